"""Error rates of a detector: operating points, equal error rate, detection costs.

A clip is called bona fide when `score >= threshold`. A miss is a bona fide clip that is rejected,
a false alarm a spoofed clip that is accepted, as in the ASVspoof evaluation plans. Tied scores
always move together, so input order never matters. Everything is computed in float64.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from unheard.errors import MetricError
from unheard.types import FloatArray, IntArray

__all__ = [
    "Steps",
    "TiesWarning",
    "act_dcf",
    "bayes_threshold",
    "checked",
    "checked_class",
    "crossing",
    "dcf_weights",
    "det_curve",
    "eer",
    "eer_threshold",
    "equal_error_rate",
    "min_dcf",
    "steps",
]


class TiesWarning(UserWarning):
    """Bona fide and spoofed clips share the score at which the equal error rate is read."""


@dataclass(frozen=True, eq=False)
class Steps:
    """How many clips lie at or below each distinct score: all that a rank metric needs.

    Counts of D resamples of the clips may stand in one: shapes [D, K + 1].

    Attributes:
        scores: Distinct pooled scores, ascending, shape [K].
        bonafide: Bona fide clips among the first k distinct scores, k = 0..K, shape [K + 1].
        spoof: Spoofed clips likewise, shape [K + 1].
    """

    scores: FloatArray
    bonafide: IntArray
    spoof: IntArray

    @property
    def n_bonafide(self) -> int:
        """Number of bona fide clips."""
        return int(self.bonafide[-1])

    @property
    def n_spoof(self) -> int:
        """Number of spoofed clips."""
        return int(self.spoof[-1])

    @property
    def miss(self) -> FloatArray:
        """Share of bona fide clips rejected at each step, rising from 0 to 1, shape [K + 1]."""
        return np.asarray(self.bonafide / self.n_bonafide)

    @property
    def false_alarm(self) -> FloatArray:
        """Share of spoofed clips accepted at each step, falling from 1 to 0, shape [K + 1]."""
        return np.asarray((self.n_spoof - self.spoof) / self.n_spoof)


def checked(bonafide: ArrayLike, spoof: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return both score arrays as float64, or refuse them.

    Raises:
        MetricError: If either is empty, not one-dimensional, not numeric, or not finite.
    """
    return checked_class("bona fide", bonafide), checked_class("spoofed", spoof)


def checked_class(name: str, scores: ArrayLike) -> FloatArray:
    """Return the scores of one class as float64, or refuse them by the name of the class.

    Raises:
        MetricError: As `checked`.
    """
    try:
        array = np.asarray(scores, np.float64)
    except (TypeError, ValueError) as error:
        raise MetricError(f"the scores of {name} clips are not numbers ({error})") from error
    if array.ndim != 1:
        raise MetricError(
            f"the scores of {name} clips have shape {list(array.shape)}, one number per clip is "
            "wanted; pass a one-dimensional array"
        )
    if not array.size:
        raise MetricError(
            f"no scores of {name} clips; a metric needs at least one clip of each class, "
            "so widen the selection"
        )
    bad = ~np.isfinite(array)
    if bad.any():
        n_nan = int(np.isnan(array).sum())
        raise MetricError(
            f"{n_nan} NaN and {int(bad.sum()) - n_nan} infinite among {array.size} scores of "
            f"{name} clips; finite scores are wanted: find the clips and leave them out"
        )
    return array


def steps(bonafide: ArrayLike, spoof: ArrayLike) -> Steps:
    """Return the distinct pooled scores and the cumulative counts of both classes.

    Raises:
        MetricError: As `checked`.
    """
    human, machine = checked(bonafide, spoof)
    pooled = np.concatenate([human, machine])
    order = np.argsort(pooled)
    pooled = pooled[order]
    last = np.append(np.flatnonzero(pooled[1:] != pooled[:-1]), pooled.size - 1)
    below = np.cumsum(order < human.size)[last]
    return Steps(
        pooled[last],
        np.concatenate([[0], below]),
        np.concatenate([[0], last + 1 - below]),
    )


def det_curve(bonafide: ArrayLike, spoof: ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return every operating point of a detector.

    Args:
        bonafide: Scores of bona fide clips, shape [N].
        spoof: Scores of spoofed clips, shape [M].

    Returns:
        Miss rate, false-alarm rate and threshold, each shape [K + 1] for K distinct scores, by
        ascending threshold: from (0, 1) where all is accepted to (1, 0) at threshold infinity.

    Raises:
        MetricError: As `checked`.
    """
    curve = steps(bonafide, spoof)
    return curve.miss, curve.false_alarm, np.append(curve.scores, np.inf)


def crossing(curve: Steps) -> tuple[IntArray, FloatArray]:
    """Return the step in which miss and false-alarm rate cross, and how far into it, in (0, 1].

    Returns:
        Both of shape [1] for one set of clips, [D, 1] for D resamples.
    """
    n, m = curve.bonafide[..., -1:], curve.spoof[..., -1:]
    excess = curve.bonafide * m + curve.spoof * n - n * m  # (miss - false alarm) n m, exact
    step = np.argmax(excess >= 0, axis=-1)[..., None]
    before, after = (np.take_along_axis(excess, step - back, axis=-1) for back in (1, 0))
    return step, -before / (after - before)


def equal_error_rate(curve: Steps) -> FloatArray:
    """Return the equal error rate of counted clips, shape [] for one set, [D] for D resamples."""
    step, share = crossing(curve)
    before, after = (np.take_along_axis(curve.bonafide, step - back, axis=-1) for back in (1, 0))
    return np.asarray((before + share * (after - before)) / curve.bonafide[..., -1:])[..., 0]


def eer(bonafide: ArrayLike, spoof: ArrayLike) -> float:
    """Return the equal error rate.

    The operating points over the distinct scores are joined by straight lines; the rate is where
    that line meets miss = false alarm. Tied scores move together, so a constant scorer has 0.5.
    If bona fide and spoofed clips are tied at the very crossing, definitions that sort ties in
    some order would differ: a `TiesWarning` says between which values.

    Args:
        bonafide: Scores of bona fide clips, shape [N], any unit; higher is more bona fide.
        spoof: Scores of spoofed clips, shape [M], same unit.

    Returns:
        Equal error rate in [0, 1], not percent. 0.5 is chance, above 0.5 the polarity is swapped.

    Raises:
        MetricError: If either array is empty, not one-dimensional, or holds a non-finite score.

    Source:
        The crossing of the piecewise-linear ROC; agrees with scikit-learn's `roc_curve` and a root
        finder to 1e-12 on tests/metrics/reference.json.

    Example:
        >>> eer([2.0, 3.0], [0.0, 1.0])
        0.0
    """
    curve = steps(bonafide, spoof)
    at, shares = crossing(curve)
    step, share, rate = int(at[0]), float(shares[0]), float(equal_error_rate(curve))
    n, m = curve.n_bonafide, curve.n_spoof
    before, after = int(curve.bonafide[step - 1]), int(curve.bonafide[step])
    rejected_before, rejected_after = int(curve.spoof[step - 1]), int(curve.spoof[step])
    if share < 1 and after > before and rejected_after > rejected_before:
        low = max(before / n, 1 - rejected_after / m)
        high = min(after / n, 1 - rejected_before / m)
        warnings.warn(
            f"{after - before} bona fide and {rejected_after - rejected_before} spoofed clips "
            f"share the score {curve.scores[step - 1]:g}, where the error rates cross: "
            f"EER {rate:.2%} by interpolation, {low:.2%} to {high:.2%} by the order of ties; "
            "give scores of finer resolution",
            TiesWarning,
            stacklevel=2,
        )
    return rate


def eer_threshold(bonafide: ArrayLike, spoof: ArrayLike) -> float:
    """Return the score at which miss and false-alarm rate are (nearly) equal.

    The middle of the gap if a whole range of thresholds has equal rates, else the score whose
    clips carry the curve over the crossing.

    Raises:
        MetricError: As `eer`.
    """
    curve = steps(bonafide, spoof)
    at, share = crossing(curve)
    step = int(at[0])
    if share[0] < 1:
        return float(curve.scores[step - 1])
    return float(curve.scores[step - 1] / 2 + curve.scores[step] / 2)


def dcf_weights(
    *, spoof_prior: float = 0.05, miss_cost: float = 1.0, false_alarm_cost: float = 10.0
) -> tuple[float, float]:
    """Return what miss and false-alarm rate weigh in a DCF; the smaller weight is 1.

    Raises:
        MetricError: If the prior is outside (0, 1) or a cost is not positive.
    """
    if not (0 < spoof_prior < 1 and miss_cost > 0 and false_alarm_cost > 0):
        raise MetricError(
            f"spoof_prior={spoof_prior:g}, miss_cost={miss_cost:g}, "
            f"false_alarm_cost={false_alarm_cost:g}; give a prior inside (0, 1) and positive costs"
        )
    miss, false_alarm = miss_cost * (1 - spoof_prior), false_alarm_cost * spoof_prior
    blind = min(miss, false_alarm)
    return miss / blind, false_alarm / blind


def bayes_threshold(
    *, spoof_prior: float = 0.05, miss_cost: float = 1.0, false_alarm_cost: float = 10.0
) -> float:
    """Return the log-likelihood ratio at and above which accepting a clip costs least.

    Raises:
        MetricError: If the prior is outside (0, 1) or a cost is not positive.

    Example:
        >>> round(bayes_threshold(), 4)
        -0.6419
    """
    miss, false_alarm = dcf_weights(
        spoof_prior=spoof_prior, miss_cost=miss_cost, false_alarm_cost=false_alarm_cost
    )
    return float(np.log(false_alarm / miss))


def min_dcf(
    bonafide: ArrayLike,
    spoof: ArrayLike,
    *,
    spoof_prior: float = 0.05,
    miss_cost: float = 1.0,
    false_alarm_cost: float = 10.0,
) -> float:
    """Return the least detection cost over all thresholds.

    Args:
        bonafide: Scores of bona fide clips, shape [N].
        spoof: Scores of spoofed clips, shape [M].
        spoof_prior: Share of spoofed clips in the assumed application.
        miss_cost: Cost of rejecting a bona fide clip.
        false_alarm_cost: Cost of accepting a spoofed clip.

    Returns:
        Cost in [0, 1]; 1 is what deciding blindly costs.

    Raises:
        MetricError: As `eer`, or if prior or costs are out of range.

    Source:
        ASVspoof 5 evaluation plan, track 1: miss_cost (1 - prior) P_miss + false_alarm_cost prior
        P_fa, divided by the smaller of the two weights.
    """
    weight_miss, weight_false_alarm = dcf_weights(
        spoof_prior=spoof_prior, miss_cost=miss_cost, false_alarm_cost=false_alarm_cost
    )
    miss, false_alarm, _ = det_curve(bonafide, spoof)
    return float(np.min(weight_miss * miss + weight_false_alarm * false_alarm))


def act_dcf(
    bonafide: ArrayLike,
    spoof: ArrayLike,
    *,
    spoof_prior: float = 0.05,
    miss_cost: float = 1.0,
    false_alarm_cost: float = 10.0,
) -> float:
    """Return the detection cost at the Bayes threshold, which calibrated scores are entitled to.

    Args:
        bonafide: Natural-log likelihood ratios of bona fide clips, shape [N].
        spoof: The same of spoofed clips, shape [M].
        spoof_prior: As `min_dcf`.
        miss_cost: As `min_dcf`.
        false_alarm_cost: As `min_dcf`.

    Returns:
        Cost, 0 or more; at least `min_dcf`. Above 1 is worse than deciding blindly.

    Raises:
        MetricError: As `min_dcf`.

    Source:
        ASVspoof 5 evaluation plan, track 1; threshold `bayes_threshold`, a miss is score < it.
    """
    human, machine = checked(bonafide, spoof)
    weight_miss, weight_false_alarm = dcf_weights(
        spoof_prior=spoof_prior, miss_cost=miss_cost, false_alarm_cost=false_alarm_cost
    )
    threshold = np.log(weight_false_alarm / weight_miss)
    return float(
        weight_miss * np.mean(human < threshold)
        + weight_false_alarm * np.mean(machine >= threshold)
    )
