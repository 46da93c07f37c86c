"""Scores as evidence: Cllr, calibration to log-likelihood ratios, operating points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from unheard.metrics.rates import Steps, checked, eer_threshold, steps
from unheard.types import FloatArray, IntArray

__all__ = [
    "DECIDED_ERROR",
    "NEVER",
    "Calibration",
    "OperatingPoints",
    "clip_costs",
    "cllr",
    "fit_calibration",
    "fit_operating_points",
    "min_cllr",
    "pooled_cllr",
]

FLATTEST_SCALE = 1e-3
"""Least calibration scale, per standard deviation of the scores: order is never turned round."""


def cllr(bonafide: ArrayLike, spoof: ArrayLike) -> float:
    """Return the cost of the log-likelihood ratios, which punishes confident errors.

    Args:
        bonafide: Natural-log likelihood ratios of bona fide clips, shape [N].
        spoof: The same of spoofed clips, shape [M].

    Returns:
        Bits, 0 or more; 1 is what knowing nothing costs.

    Raises:
        MetricError: As `eer`.

    Source:
        Bruemmer and du Preez, "Application-independent evaluation of speaker detection", 2006,
        with a softplus that does not overflow; agrees with `lir` (which takes log10).
    """
    human, machine = clip_costs(*checked(bonafide, spoof))
    return float((human.mean() + machine.mean()) / 2)


def clip_costs(bonafide: FloatArray, spoof: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return what each clip's log-likelihood ratio costs in bits, shapes [N] and [M]."""
    return _softplus(-bonafide) / np.log(2), _softplus(spoof) / np.log(2)


def _softplus(x: FloatArray) -> FloatArray:
    """Return log(1 + exp(x)) without overflow."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def min_cllr(bonafide: ArrayLike, spoof: ArrayLike) -> float:
    """Return the Cllr after the best increasing map of the scores: what calibration cannot fix.

    Args:
        bonafide: Scores of bona fide clips, shape [N], any unit.
        spoof: Scores of spoofed clips, shape [M], same unit.

    Returns:
        Bits in [0, 1].

    Raises:
        MetricError: As `eer`.

    Source:
        Bruemmer and du Preez 2006: pool adjacent violators, then Cllr; agrees with `lir`.
    """
    curve = steps(bonafide, spoof)
    return pooled_cllr(np.diff(curve.bonafide), np.diff(curve.spoof))


def pooled_cllr(bonafide: IntArray, spoof: IntArray) -> float:
    """Return min Cllr from counts of both classes in cells of ascending score, each shape [K]."""
    from scipy.optimize import isotonic_regression

    total = bonafide + spoof
    bonafide, spoof, total = bonafide[total > 0], spoof[total > 0], total[total > 0]
    blocks = isotonic_regression(bonafide / total, weights=total).blocks[:-1]
    human, machine = np.add.reduceat(bonafide, blocks), np.add.reduceat(spoof, blocks)
    n, m = human.sum(), machine.sum()
    mixed = (human > 0) & (machine > 0)  # a pure block has an infinite ratio and costs nothing
    human, machine = human[mixed] / n, machine[mixed] / m
    total_cost = human @ np.log2(1 + machine / human) + machine @ np.log2(1 + human / machine)
    return float(total_cost / 2)


@dataclass(frozen=True)
class Calibration:
    """An increasing straight line from raw scores to natural-log likelihood ratios."""

    scale: float
    offset: float

    def __call__(self, scores: ArrayLike) -> FloatArray:
        """Return log-likelihood ratios, float64, of the same shape as the scores."""
        return self.scale * np.asarray(scores, np.float64) + self.offset


def fit_calibration(bonafide: ArrayLike, spoof: ArrayLike) -> Calibration:
    """Fit a logistic calibration in which both classes weigh the same.

    It minimises the Cllr of `scale * score + offset` against Platt's softened targets: a bona
    fide clip counts as 1 - 1 / (N + 2), a spoofed one as 1 / (M + 2). That is the regulariser:
    it keeps separable data finite (ratios stay near log N) and fades as clips are added. The
    scale is at least `FLATTEST_SCALE` per standard deviation, so scores that point the wrong way
    keep their order and carry next to no evidence.

    Args:
        bonafide: Raw scores of bona fide dev clips, shape [N].
        spoof: Raw scores of spoofed dev clips, shape [M].

    Raises:
        MetricError: As `eer`.

    Source:
        Platt, "Probabilistic outputs for support vector machines", 1999, for the targets.
    """
    from scipy.optimize import minimize

    human, machine = checked(bonafide, spoof)
    pooled = np.concatenate([human, machine])
    centre, spread = pooled.mean(), pooled.std() or 1.0
    z = (pooled - centre) / spread
    is_human = np.arange(z.size) < human.size
    weight = np.where(is_human, 0.5 / human.size, 0.5 / machine.size)
    target = np.where(is_human, 1 - 1 / (human.size + 2), 1 / (machine.size + 2))

    def loss(line: FloatArray) -> tuple[float, FloatArray]:
        llr = line[0] * z + line[1]
        slope = weight * (1 / (1 + np.exp(-np.clip(llr, -500, 500))) - target)
        return float(weight @ (_softplus(llr) - target * llr)), np.array([slope @ z, slope.sum()])

    fit = minimize(
        loss,
        np.array([1.0, 0.0]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(FLATTEST_SCALE, None), (None, None)],
        options={"ftol": 0.0, "gtol": 1e-9, "maxiter": 500},
    )
    scale, offset = fit.x
    return Calibration(float(scale / spread), float(offset - scale * centre / spread))


DECIDED_ERROR = 0.05
"""Error among decided dev clips that the undecided zone allows on each side, at equal priors."""


NEVER = 1e6
"""A threshold that no score reaches, the largest a card may have: calibration is not known."""


@dataclass(frozen=True)
class OperatingPoints:
    """Thresholds on the log-likelihood ratio, fitted on dev.

    Attributes:
        balanced: Bona fide clips called spoof and spoofed clips called bona fide are equally rare.
        false_alarm_1pct: At most 1 % of bona fide clips are called spoof (a false alarm of the
            spoof detector; `miss` in the sense of this module's metrics).
        miss_1pct: At most 1 % of spoofed clips are called bona fide.
        surely_spoof: Of the clips below it, at most 5 % are bona fide, both classes weighing the
            same; at most `surely_bonafide`.
        surely_bonafide: Of the clips at or above it, at most 5 % are spoofed, likewise. Between
            the two a clip is undecided.
    """

    balanced: float
    false_alarm_1pct: float
    miss_1pct: float
    surely_spoof: float
    surely_bonafide: float


def fit_operating_points(bonafide: ArrayLike, spoof: ArrayLike) -> OperatingPoints:
    """Return the published operating points of calibrated dev scores.

    With fewer than a hundred clips of a class, "at most 1 %" means none. Where no threshold keeps
    the error among decided clips, nothing is decided on that side; where the two sides would
    overlap, both end at the balanced threshold and nothing is undecided.

    Args:
        bonafide: Log-likelihood ratios of bona fide dev clips, shape [N].
        spoof: The same of spoofed dev clips, shape [M].

    Raises:
        MetricError: As `eer`.
    """
    human, machine = checked(bonafide, spoof)
    human, machine = np.sort(human), np.sort(machine)
    balanced = eer_threshold(human, machine)
    low, high = _zone(steps(human, machine))
    if low >= high:
        low = high = balanced
    return OperatingPoints(
        balanced=balanced,
        false_alarm_1pct=float(human[human.size // 100]),
        miss_1pct=float(np.nextafter(machine[-1 - machine.size // 100], np.inf)),
        surely_spoof=low,
        surely_bonafide=high,
    )


def _zone(curve: Steps) -> tuple[float, float]:
    """Return the widest thresholds that keep `DECIDED_ERROR` below the one, above the other."""
    missed, rejected = curve.bonafide / curve.n_bonafide, curve.spoof / curve.n_spoof
    thresholds = np.append(curve.scores, np.nextafter(curve.scores[-1], np.inf))
    below = missed <= DECIDED_ERROR * (missed + rejected)
    above = 1 - rejected <= DECIDED_ERROR * (2 - missed - rejected)
    return float(thresholds[np.flatnonzero(below)[-1]]), float(thresholds[np.argmax(above)])
