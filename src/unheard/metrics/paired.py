"""Is one system better than another on the same trials, or was it luck?

N bona fide clips, M spoofed clips, T = N + M trials, P hypotheses.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from unheard.errors import MetricError, suggestion
from unheard.metrics.counted import counted
from unheard.metrics.rates import TiesWarning, checked
from unheard.metrics.resampling import (
    Measured,
    checked_classes,
    checked_draws,
    memberships,
    percentiles,
    resampled,
    stacked,
    two_sided_p,
)
from unheard.types import BoolArray, FloatArray

__all__ = ["Difference", "correct_at", "corrected", "mcnemar", "paired_bootstrap"]


@dataclass(frozen=True)
class Difference:
    """A metric of system A minus that of system B, on the same trials.

    Attributes:
        value: Below 0, A errs less.
        low: Lower end of the percentile interval.
        high: Upper end.
        p: Two-sided p value of "no difference": the least level at which the interval holds 0.
    """

    value: float
    low: float
    high: float
    p: float


def paired_bootstrap(
    metric: Callable[..., float],
    a: Sequence[ArrayLike],
    b: Sequence[ArrayLike],
    *,
    n_draws: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    clusters: Sequence[ArrayLike] | None = None,
) -> Difference:
    """Return how much two systems differ, and how sure that is, by resampling trials for both.

    Each draw takes the same clips for both systems, so what makes a clip hard for both cancels:
    two overlapping intervals can hide a sure difference.

    Args:
        metric: A metric of this package, plain or with options set by `functools.partial`, or any
            function of arrays.
        a: Scores of system A, one array per class: of bona fide clips [N] and spoofed clips [M].
        b: Scores of system B of the same clips in the same order, same shapes.
        n_draws: Resamples; the least p value is 2 / (n_draws + 1).
        seed: Same seed, same result.
        level: Share of draws inside the interval.
        clusters: Speaker or attack of each clip, one array per class. Then whole clusters are
            resampled.

    Raises:
        MetricError: As the metric; or if the systems did not score the same number of clips, or
            draws or level are out of range, or clusters do not fit.

    Source:
        Efron and Tibshirani, "An introduction to the bootstrap", 1993, chapters 13 and 16; the
        p value counts the observed data as one draw, as Davison and Hinkley 1997 advise.
    """
    checked_draws(n_draws, level)
    scores_a, scores_b = checked_classes(a), checked_classes(b)
    sizes_a, sizes_b = ([array.size for array in system] for system in (scores_a, scores_b))
    if sizes_a != sizes_b:
        raise MetricError(
            f"one system scored {sizes_a} clips of each class, the other {sizes_b}; the same "
            "clips in the same order are wanted: join the score files by clip first"
        )
    rows, stratum = stacked(scores_a)
    units = None if clusters is None else np.concatenate(memberships(scores_a, clusters))
    systems = [
        Measured(counted(metric, *scores, near=clusters is None), rows)
        for scores in (scores_a, scores_b)
    ]
    with warnings.catch_warnings(action="ignore", category=TiesWarning):
        value = metric(*scores_a) - metric(*scores_b)
    rng = np.random.default_rng(seed)
    of_a, of_b = resampled(systems, stratum, n_draws, rng, units=units)
    low, high = percentiles(of_a - of_b, level)
    return Difference(float(value), low, high, two_sided_p(of_a - of_b))


def correct_at(bonafide: ArrayLike, spoof: ArrayLike, threshold: float) -> BoolArray:
    """Return which trials a system decides rightly, bona fide clips first.

    Args:
        bonafide: Scores of bona fide clips, shape [N]; right if at or above the threshold.
        spoof: Scores of spoofed clips, shape [M]; right if below.
        threshold: Fitted on dev, not on these clips.

    Returns:
        Shape [T].

    Raises:
        MetricError: As `eer`.
    """
    human, machine = checked(bonafide, spoof)
    return np.concatenate([human >= threshold, machine < threshold])


def mcnemar(correct_a: ArrayLike, correct_b: ArrayLike, *, mid_p: bool = True) -> float:
    """Return the p value of "both systems err equally often", from decisions on the same trials.

    Only the trials that one of the two decides rightly say anything. Their number is binomial
    under no difference, so the test is exact for any number of them.

    Args:
        correct_a: Whether system A decides each trial rightly, booleans, shape [T].
        correct_b: The same of system B.
        mid_p: Count half of the outcomes as likely as the observed one. The plain exact test
            (False) is too cautious with few trials.

    Returns:
        Two-sided p value in (0, 1]; 1 if the systems never disagree.

    Raises:
        MetricError: If the two are not booleans of one shape [T].

    Source:
        McNemar 1947; Fagerland, Lydersen and Laake, "The McNemar test for binary matched-pairs
        data: mid-p and asymptotic are better than exact conditional", 2013.
    """
    from scipy.special import bdtr

    right_a, right_b = np.asarray(correct_a), np.asarray(correct_b)
    if not (right_a.dtype == right_b.dtype == bool and right_a.ndim == 1):
        raise MetricError(
            f"decisions of type {right_a.dtype} and {right_b.dtype}, shape {list(right_a.shape)}; "
            "one boolean per trial is wanted: make them with correct_at"
        )
    if right_a.shape != right_b.shape:
        raise MetricError(
            f"{right_a.size} decisions of one system and {right_b.size} of the other; the same "
            "trials in the same order are wanted: join the score files by clip first"
        )
    only_a, only_b = np.count_nonzero(right_a & ~right_b), np.count_nonzero(right_b & ~right_a)
    fewer, n = min(only_a, only_b), only_a + only_b
    at_most = bdtr(float(fewer), n, 0.5)
    below = bdtr(float(fewer - 1), n, 0.5) if fewer else 0.0
    return float(min(1.0, at_most + (below if mid_p else at_most)))


def corrected(p_values: ArrayLike, method: str = "holm") -> FloatArray:
    """Return p values adjusted for having made several tests, comparable with one level.

    Args:
        p_values: One per hypothesis, in [0, 1], shape [P].
        method: "holm" bounds the chance of any false finding; "benjamini_hochberg" the expected
            share of false findings among all findings, for independent or positively dependent
            tests.

    Returns:
        Adjusted p values in the order given, shape [P].

    Raises:
        MetricError: If the method is unknown or a p value is not in [0, 1].

    Source:
        Holm, "A simple sequentially rejective multiple test procedure", 1979; Benjamini and
        Hochberg, "Controlling the false discovery rate", 1995.
    """
    if method not in _CORRECTIONS:
        raise MetricError(f"no correction {method!r}{suggestion(method, _CORRECTIONS)}")
    values = np.asarray(p_values, np.float64)
    if values.ndim != 1 or not np.all((values >= 0) & (values <= 1)):
        raise MetricError(
            f"p values of shape {list(values.shape)} or outside [0, 1]; give one probability per "
            "test as a one-dimensional array"
        )
    order = np.argsort(values)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(_CORRECTIONS[method](values[order]), 1)
    return adjusted


def _holm(ascending: FloatArray) -> FloatArray:
    return np.maximum.accumulate(ascending * np.arange(ascending.size, 0, -1))


def _benjamini_hochberg(ascending: FloatArray) -> FloatArray:
    n = ascending.size
    return np.minimum.accumulate((ascending * n / np.arange(1, n + 1))[::-1])[::-1]


_CORRECTIONS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "holm": _holm,
    "benjamini_hochberg": _benjamini_hochberg,
}
