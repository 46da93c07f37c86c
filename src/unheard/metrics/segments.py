"""Metrics of stretches: where in a recording synthetic speech is, and how well a detector says it.

A recording is cut into pieces within which score, truth and decision stay the same: P pieces of all
recordings lie one behind the other in arrays [P]. Stretches are [K, 2], start and end in seconds.

Intervals draw recordings whole (`by_recording`): all that stands for a recording comes as often as
it is drawn. R recordings.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from unheard.errors import MetricError
from unheard.metrics.resampling import Interval
from unheard.types import BoolArray, FloatArray, IntArray

__all__ = [
    "Matched",
    "by_recording",
    "cells",
    "match",
    "per_hour",
    "range_eer",
    "time_f1",
]


def range_eer(score: ArrayLike, bonafide: ArrayLike, duration_s: ArrayLike) -> float:
    """Return the equal error rate over time instead of over trials.

    At a threshold, the share of bona fide time below it, and that of spoofed time at or above it;
    where the two cross, by a straight line between thresholds. Pieces of one length (`cells`) give
    the segment-level rate at that resolution.

    Args:
        score: Of each piece, shape [P]; higher is more bona fide.
        bonafide: Whether it is, shape [P].
        duration_s: Its length or weight, shape [P].

    Raises:
        MetricError: If a class has no time, or a score is not finite.

    Source:
        Zhang, Wang, Cooper, Evans, Yamagishi, "Range-based equal error rate for spoof
        localization", Interspeech 2023.
    """
    scores, human = np.asarray(score, np.float64), np.asarray(bonafide, bool)
    weight = np.asarray(duration_s, np.float64)
    totals = weight[human].sum(), weight[~human].sum()
    if min(totals) <= 0 or not np.isfinite(scores).all():
        raise MetricError(
            f"{totals[0]:g} s of bona fide and {totals[1]:g} s of spoofed pieces, scores finite: "
            f"{np.isfinite(scores).all()}; both classes and finite scores are wanted"
        )
    order = np.argsort(scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), scores.size - 1)
    missed = np.append(0.0, np.cumsum((weight * human)[order])[last]) / totals[0]
    passed = 1 - np.append(0.0, np.cumsum((weight * ~human)[order])[last]) / totals[1]
    place = int(np.argmax(missed >= passed))
    below, above = passed[place - 1] - missed[place - 1], missed[place] - passed[place]
    share = below / (below + above)
    return float(missed[place - 1] + share * (missed[place] - missed[place - 1]))


def time_f1(called: ArrayLike, bonafide: ArrayLike, duration_s: ArrayLike) -> float:
    """Return the F1 of time that is called synthetic; NaN if none is synthetic and none called.

    Args:
        called: Whether each piece is called synthetic, shape [P].
        bonafide: Whether it is bona fide, shape [P].
        duration_s: Its length or weight, shape [P].
    """
    said, spoof = np.asarray(called, bool), ~np.asarray(bonafide, bool)
    weight = np.asarray(duration_s, np.float64)
    both = 2 * weight[said & spoof].sum()
    either = weight[said].sum() + weight[spoof].sum()
    return float(both / either) if either else math.nan


def cells(stretches: FloatArray, duration_s: float, resolution_s: float) -> BoolArray:
    """Return which cells of one length a recording's stretches reach into.

    The last cell may be shorter. A stretch that only touches a cell's edge is not in it.

    Args:
        stretches: Shape [K, 2].
        duration_s: Length of the recording.
        resolution_s: Length of a cell.
    """
    starts_s = resolution_s * np.arange(max(1, math.ceil(duration_s / resolution_s - 1e-9)))
    ends_s = np.minimum(starts_s + resolution_s, duration_s)
    pairs = np.asarray(stretches, np.float64).reshape(-1, 2)
    reached: BoolArray = ((pairs[:, :1] < ends_s - 1e-9) & (pairs[:, 1:] > starts_s + 1e-9)).any(
        axis=0
    )
    return reached


@dataclass(frozen=True, eq=False)
class Matched:
    """How the called stretches of a recording fit the true ones.

    Attributes:
        found: Whether a called stretch overlaps each true one, shape [K].
        error_s: Mean distance of the two ends of a true stretch from those of what overlaps it,
            shape [K]; NaN where it was not found.
        n_false: Called stretches that overlap no true one.
    """

    found: BoolArray
    error_s: FloatArray
    n_false: int


def match(true: FloatArray, called: FloatArray) -> Matched:
    """Return how called stretches [M, 2] of a recording fit its true ones [K, 2].

    Several called stretches over a true one count as one, from the first start to the last end.
    """
    truth = np.asarray(true, np.float64).reshape(-1, 2)
    said = np.asarray(called, np.float64).reshape(-1, 2)
    overlaps = (said[None, :, 0] < truth[:, None, 1]) & (said[None, :, 1] > truth[:, None, 0])
    error_s = np.full(len(truth), np.nan)
    for place, (start_s, end_s) in enumerate(truth):
        over = said[overlaps[place]]
        if len(over):
            ends_s = abs(over[:, 0].min() - start_s), abs(over[:, 1].max() - end_s)
            error_s[place] = sum(ends_s) / 2
    return Matched(np.any(overlaps, axis=1), error_s, int((~overlaps.any(axis=0)).sum()))


def per_hour(
    n_false: ArrayLike,
    hours: ArrayLike,
    recording: ArrayLike,
    *,
    n_draws: int = 1000,
    seed: int = 0,
) -> tuple[float, Interval]:
    """Return the rate of false stretches, with its 95 % interval.

    The interval draws recordings whole, and reaches at least to what a Poisson count of the same
    number allows in the hours that are distinct: of nothing found, a bootstrap knows no upper end.

    Args:
        n_false: False stretches of each trial, shape [N].
        hours: Hours of bona fide speech of each, shape [N].
        recording: Which recording each is; one under several codings is one, shape [N].
        n_draws: Resamples.
        seed: Same seed, same interval.

    Raises:
        MetricError: If there is no speech.
    """
    from scipy.stats import chi2

    counts, length = np.asarray(n_false, np.float64), np.asarray(hours, np.float64)
    names, member = np.unique(np.asarray(recording).astype(str), return_inverse=True)
    if not length.sum() > 0:
        raise MetricError("no bona fide speech to count false stretches in; give some")
    drawn = by_recording(
        lambda weight: float(weight[member] @ counts / max(float(weight[member] @ length), 1e-12)),
        names.size,
        n_draws=n_draws,
        seed=seed,
    )
    rate = float(counts.sum() / length.sum())
    longest = np.zeros(names.size)
    np.maximum.at(longest, member, length)
    n_distinct = rate * longest.sum()  # as many as the distinct speech would have given
    highest = float(chi2.ppf(0.975, 2 * (n_distinct + 1)) / 2 / longest.sum())
    return rate, Interval(drawn.low, max(drawn.high, highest))


def by_recording(
    statistic: Callable[[IntArray], float], n_recordings: int, *, n_draws: int = 1000, seed: int = 0
) -> Interval:
    """Return the 95 % bootstrap interval of a number when recordings are drawn whole.

    Args:
        statistic: How often each recording comes, shape [R] -> the number; draws of NaN do not
            count.
        n_recordings: R.
        n_draws: Resamples.
        seed: Same seed, same interval.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.integers(n_recordings, size=(n_draws, n_recordings))
    counts = [np.bincount(draw, minlength=n_recordings) for draw in drawn]
    draws = np.array([statistic(count) for count in counts])
    draws = draws[np.isfinite(draws)]
    if not draws.size:
        return Interval(math.nan, math.nan)
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(float(low), float(high))
