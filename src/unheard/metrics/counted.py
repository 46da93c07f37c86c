"""Metrics of resampled clips, given how often each clip was drawn instead of the clips.

The scores are sorted once; a resample then costs two sums over the clips, not a sort. Both the
clustered bootstrap and the paired one stand on it. N bona fide clips, M spoofed clips.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from unheard.metrics.likelihood import clip_costs, cllr, min_cllr, pooled_cllr
from unheard.metrics.official import eer_official, nearest_rate
from unheard.metrics.rates import Steps, act_dcf, crossing, dcf_weights, eer, min_dcf
from unheard.metrics.tandem import (
    Weights,
    a_dcf,
    agnostic_weights,
    legacy_weights,
    min_tdcf,
    min_tdcf_legacy,
    rates_of,
    tdcf_weights,
)
from unheard.types import FloatArray, IntArray

__all__ = ["WEIGHTS", "Counted", "counted", "split"]

Counted = Callable[..., float]
"""How often each clip of each class was drawn, shapes [N], [M], ... -> number."""


def split(metric: Callable[..., float]) -> tuple[Callable[..., float], dict[str, Any]]:
    """Return a metric and the options that `functools.partial` set for it."""
    if isinstance(metric, functools.partial) and not metric.args:
        return metric.func, metric.keywords
    return metric, {}


def counted(metric: Callable[..., float], *scores: FloatArray) -> Counted:
    """Return a metric of fixed clips as a function of how often each was drawn.

    Args:
        metric: A metric of this package, plain or with options set by `functools.partial`, is
            fast; any other function of arrays gets the drawn scores repeated.
        scores: Scores of each class, as the metric takes them; checked already.

    Returns:
        The same number that the metric gives for the drawn scores, up to the order of summation.
    """
    function, options = split(metric)
    if function in _OF_STEPS:
        return _ranked(_OF_STEPS[function], *scores)
    if function in WEIGHTS:
        return _least(WEIGHTS[function](**options), *scores)
    if function is cllr:
        return _mean_of(*clip_costs(*scores), weights=(0.5, 0.5))
    if function is act_dcf:
        miss, false_alarm = dcf_weights(**options)
        threshold = np.log(false_alarm / miss)
        errors = (scores[0] < threshold, scores[1] >= threshold)
        return _mean_of(*errors, weights=(miss, false_alarm))

    def repeated(*counts: IntArray) -> float:
        return metric(*map(np.repeat, scores, counts))

    return repeated


def _cumulative(*scores: FloatArray) -> Callable[..., list[IntArray]]:
    """Return how many drawn clips of each class lie at or below each distinct score, [K + 1]."""
    distinct = np.unique(np.concatenate(scores))
    orders = [np.argsort(array) for array in scores]
    ends = [
        np.concatenate([[0], np.searchsorted(array[order], distinct, side="right")])
        for array, order in zip(scores, orders, strict=True)
    ]

    def of_counts(*counts: IntArray) -> list[IntArray]:
        return [
            np.concatenate([[0], np.cumsum(drawn[order])])[end]
            for drawn, order, end in zip(counts, orders, ends, strict=True)
        ]

    return of_counts


def _ranked(of_steps: Callable[[Steps], float], *scores: FloatArray) -> Counted:
    distinct, cumulative = np.unique(np.concatenate(scores)), _cumulative(*scores)

    def of_counts(*counts: IntArray) -> float:
        return of_steps(Steps(distinct, *cumulative(*counts)))

    return of_counts


def _least(weights: Weights, *scores: FloatArray) -> Counted:
    cumulative = _cumulative(*scores)

    def of_counts(*counts: IntArray) -> float:
        return weights.least(*rates_of(*cumulative(*counts)))

    return of_counts


def _mean_of(bonafide: ArrayLike, spoof: ArrayLike, *, weights: tuple[float, float]) -> Counted:
    human, machine = np.asarray(bonafide, np.float64), np.asarray(spoof, np.float64)

    def of_counts(humans: IntArray, machines: IntArray) -> float:
        human_mean = humans @ human / humans.sum()
        machine_mean = machines @ machine / machines.sum()
        return float(weights[0] * human_mean + weights[1] * machine_mean)

    return of_counts


def _eer_of(curve: Steps) -> float:
    step, share = crossing(curve)
    before, after = int(curve.bonafide[step - 1]), int(curve.bonafide[step])
    return (before + share * (after - before)) / curve.n_bonafide


def _eer_official_of(curve: Steps) -> float:
    step, _ = crossing(curve)
    before = (curve.bonafide[step - 1], curve.spoof[step - 1])
    inside = curve.bonafide[step] - before[0]
    return float(nearest_rate(before, inside, curve.n_bonafide, curve.n_spoof))


def _min_cllr_of(curve: Steps) -> float:
    return pooled_cllr(np.diff(curve.bonafide), np.diff(curve.spoof))


_OF_STEPS: dict[Callable[..., float], Callable[[Steps], float]] = {
    eer: _eer_of,
    eer_official: _eer_official_of,
    min_cllr: _min_cllr_of,
}


def _dcf(**options: float) -> Weights:
    miss, false_alarm = dcf_weights(**options)
    return Weights(0.0, miss, (false_alarm,))


WEIGHTS: dict[Callable[..., float], Callable[..., Weights]] = {
    min_dcf: _dcf,
    min_tdcf: tdcf_weights,
    min_tdcf_legacy: legacy_weights,
    a_dcf: agnostic_weights,
}
"""Metrics that are the least of a cost linear in the rates -> its weights, from its options."""
