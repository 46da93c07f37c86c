"""Metrics of resampled clips, given how often each clip was drawn instead of the clips.

The scores are sorted once. Clips that are alike to a metric, such as all that share a score, are
one kind; from how often each kind was drawn the metric follows by sums, for many draws at once.

With `near`, clips that no draw can tell apart are one kind too. Counts of independent draws stay
within Bernstein's bound of what is expected; thresholds that would have to leave it to matter are
not looked at. The bound is missed less than once in ten million runs.
D draws, K kinds, N bona fide clips, M spoofed clips.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unheard.metrics.likelihood import clip_costs, cllr, min_cllr, pooled_cllr
from unheard.metrics.official import eer_official, nearest_rate
from unheard.metrics.rates import (
    Steps,
    act_dcf,
    crossing,
    dcf_weights,
    eer,
    equal_error_rate,
    min_dcf,
)
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
from unheard.metrics.tandem_eer import t_eer, tandem_rate
from unheard.types import BoolArray, FloatArray, IntArray

__all__ = ["Counted", "counted"]

_LOG_ODDS = 40.0
"""A count leaves its bound once in exp of this many draws."""

_FINEST = 1e-3
"""With `near`, clips whose cost differs by less than this share of the spread are one kind,"""

_MANY = 4096
"""if there are more than this many."""

_COARSE = 256
"""With `near`, steps of a curve that are kept for the t-EER far from the crossing."""


@dataclass(frozen=True, eq=False)
class Counted:
    """A metric of fixed clips, as a function of how often each kind of clip was drawn.

    Attributes:
        kinds: Of each class, the kind of each clip, from 0 up; shapes [N], [M], ...
        sizes: Of each class, how many kinds there are.
        of_kinds: How often each kind was drawn, an array [D, K] for each class -> numbers, [D].
    """

    kinds: tuple[IntArray, ...]
    sizes: tuple[int, ...]
    of_kinds: Callable[..., FloatArray]

    def __call__(self, *counts: IntArray) -> FloatArray:
        """Return the metric, shape [D], given how often each clip was drawn, [D, N], [D, M]."""
        of_kinds = (
            np.stack([np.bincount(kind, row, size) for row in drawn]).astype(np.int64)
            for kind, size, drawn in zip(self.kinds, self.sizes, counts, strict=True)
        )
        return self.of_kinds(*of_kinds)


def counted(metric: Callable[..., float], *scores: FloatArray, near: bool = False) -> Counted:
    """Return a metric of fixed clips as a function of how often each was drawn.

    Args:
        metric: A metric of this package, plain or with options set by `functools.partial`, is
            fast; any other function of arrays gets the drawn scores repeated.
        scores: Scores of each class, as the metric takes them; checked already.
        near: Whether only independent draws of clips will be asked for, as many of each class as
            there are: then far fewer kinds do.

    Returns:
        The same numbers that the metric gives for the drawn scores, to 1e-12; of `cllr` with
        `near`, beyond `_MANY` clips, to a thousandth of what is left to chance.
    """
    function, options = metric, {}
    if isinstance(metric, functools.partial) and not metric.args:
        function, options = metric.func, metric.keywords
    if function in _OF_STEPS:
        return _of_steps(_OF_STEPS[function], _near_crossing if near else None, *scores)
    if function in _WEIGHTS:
        return _least(_WEIGHTS[function](**options), *scores, near=near)
    if function is min_cllr:
        return _min_cllr(*scores)
    if function is t_eer:
        return _t_eer(*scores, near=near)
    if function is cllr:
        return _means(clip_costs(*scores), (0.5, 0.5), near=near)
    if function is act_dcf:
        weights = dcf_weights(**options)
        threshold = np.log(weights[1] / weights[0])
        return _means((scores[0] < threshold, scores[1] >= threshold), weights)
    if function is np.mean:
        return _means(scores, (1.0,))
    return _repeated(metric, *scores)


def _repeated(metric: Callable[..., float], *scores: FloatArray) -> Counted:
    distinct = [np.unique(array, return_inverse=True) for array in scores]

    def of_kinds(*counts: IntArray) -> FloatArray:
        draws = zip(*counts, strict=True)
        values = [values for values, _ in distinct]
        return np.array([metric(*map(np.repeat, values, drawn)) for drawn in draws])

    sizes = tuple(values.size for values, _ in distinct)
    return Counted(tuple(kinds for _, kinds in distinct), sizes, of_kinds)


def _means(values: Sequence[Any], weights: tuple[float, ...], *, near: bool = False) -> Counted:
    """Return the weighted sum of the means of what each clip of each class counts."""
    columns = []
    for array in values:
        exact = np.asarray(array, np.float64)
        step = _FINEST * exact.std() if near and exact.size > _MANY else 0.0
        rounded = np.floor((exact - exact.min()) / step) if step else exact
        kinds = np.unique(rounded, return_inverse=True)[1]
        columns.append((kinds, np.bincount(kinds, exact) / np.bincount(kinds)))

    def of_kinds(*counts: IntArray) -> FloatArray:
        total = 0.0
        for weight, (_, mean), drawn in zip(weights, columns, counts, strict=True):
            total = total + weight * (drawn @ mean) / drawn.sum(axis=1)
        return np.asarray(total)

    sizes = tuple(mean.size for _, mean in columns)
    return Counted(tuple(kinds for kinds, _ in columns), sizes, of_kinds)


def _ranked(*scores: FloatArray) -> tuple[list[IntArray], list[IntArray]]:
    """Return each clip's place among the distinct scores of all classes, and the counts below.

    Returns:
        Places 0..K - 1 of the clips of each class; and how many clips of the class lie at or
        below each distinct score, shape [K + 1].
    """
    pooled = np.concatenate(scores)
    distinct, place = np.unique(pooled, return_inverse=True)
    places = np.split(place, np.cumsum([array.size for array in scores])[:-1])
    return places, [_below(np.bincount(own, minlength=distinct.size)) for own in places]


def _below(counts: IntArray) -> IntArray:
    """Return how many clips lie at or below each kind, a 0 in front: [..., K] to [..., K + 1]."""
    below = np.zeros((*counts.shape[:-1], counts.shape[-1] + 1), np.int64)
    np.cumsum(counts, axis=-1, out=below[..., 1:])
    return below


def _merged(places: list[IntArray], keep: BoolArray) -> tuple[list[IntArray], int]:
    """Join the kinds between kept steps, given which of the K + 1 steps are kept."""
    kind = np.cumsum(keep[:-1]) - keep[0]
    return [kind[own] for own in places], int(kind[-1]) + 1


def _slack(rate: FloatArray, n: int) -> FloatArray:
    """Return how far a rate of n independent draws may lie from its mean (Bernstein 1924)."""
    bound = np.sqrt(2 * _LOG_ODDS * rate * (1 - rate) / n) + 2 * _LOG_ODDS / (3 * n)
    return np.asarray(bound)


def _of_steps(
    of_curve: Callable[[Steps], FloatArray],
    kept: Callable[[list[IntArray]], BoolArray] | None,
    *scores: FloatArray,
) -> Counted:
    places, below = _ranked(*scores)
    keep = kept(below) if kept else np.ones(below[0].size, bool)
    kinds, size = _merged(places, keep)
    numbers = np.arange(size, dtype=np.float64)

    def of_kinds(*counts: IntArray) -> FloatArray:
        return of_curve(Steps(numbers, *map(_below, counts)))

    return Counted(tuple(kinds), (size, size), of_kinds)


def _near_crossing(below: list[IntArray]) -> BoolArray:
    """Keep the steps between which the error rates may cross."""
    miss, false_alarm = rates_of(*below)
    slack = _slack(miss, below[0][-1]) + _slack(false_alarm, below[1][-1])
    first = np.flatnonzero(miss - false_alarm < -slack)
    last = np.flatnonzero(miss - false_alarm > slack)
    keep = np.zeros(miss.size, bool)
    keep[first[-1] if first.size else 0 : last[0] + 1 if last.size else None] = True
    return keep


def _eer_official(curve: Steps) -> FloatArray:
    step, _ = crossing(curve)
    before, after = (
        [np.take_along_axis(below, step - back, axis=-1) for below in (curve.bonafide, curve.spoof)]
        for back in (1, 0)
    )
    n, m = curve.bonafide[..., -1:], curve.spoof[..., -1:]
    return nearest_rate((before[0], before[1]), after[0] - before[0], n, m)[..., 0]


_OF_STEPS: dict[Callable[..., float], Callable[[Steps], FloatArray]] = {
    eer: equal_error_rate,
    eer_official: _eer_official,
}


def _min_cllr(*scores: FloatArray) -> Counted:
    """Runs of one class cannot be separated by a rising map, so each is a kind."""
    places, below = _ranked(*scores)
    human, machine = np.diff(below)
    of_one = np.where(machine == 0, 0, np.where(human == 0, 1, 2))
    keep = np.ones(below[0].size, bool)
    keep[1:-1] = (of_one[1:] != of_one[:-1]) | (of_one[1:] == 2)
    kinds, size = _merged(places, keep)

    def of_kinds(humans: IntArray, machines: IntArray) -> FloatArray:
        return np.array([pooled_cllr(*drawn) for drawn in zip(humans, machines, strict=True)])

    return Counted(tuple(kinds), (size, size), of_kinds)


def _least(weights: Weights, *scores: FloatArray, near: bool) -> Counted:
    places, below = _ranked(*scores)
    keep = np.ones(below[0].size, bool)
    if near:
        cost = weights.cost(*rates_of(*below))
        best = int(np.argmin(cost))
        slack = np.zeros(cost.size)
        for weight, own in zip((weights.miss, *weights.false_alarms), below, strict=True):
            slack = slack + weight * _slack(np.abs(own - own[best]) / own[-1], own[-1])
        keep = cost - cost[best] <= slack
    kinds, size = _merged(places, keep)

    def of_kinds(*counts: IntArray) -> FloatArray:
        return np.asarray(weights.cost(*rates_of(*map(_below, counts))).min(axis=-1))

    return Counted(tuple(kinds), (size,) * len(scores), of_kinds)


def _dcf(**options: float) -> Weights:
    miss, false_alarm = dcf_weights(**options)
    return Weights(0.0, miss, (false_alarm,))


_WEIGHTS: dict[Callable[..., float], Callable[..., Weights]] = {
    min_dcf: _dcf,
    min_tdcf: tdcf_weights,
    min_tdcf_legacy: legacy_weights,
    a_dcf: agnostic_weights,
}
"""Metrics that are the least of a cost linear in the rates -> its weights, from its options."""


def _t_eer(*scores: FloatArray, near: bool) -> Counted:
    systems = [_ranked(*scores[:2]), _ranked(*scores[2:])]
    keeps = [np.ones(below[0].size, bool) for _, below in systems]
    if near:
        keeps = _near_tandem(*(below for _, below in systems))
    merged = [_merged(places, keep) for (places, _), keep in zip(systems, keeps, strict=True)]

    def of_kinds(*counts: IntArray) -> FloatArray:
        below = [_below(drawn) for drawn in counts]
        detectors = zip(*rates_of(*below[:2]), strict=True)
        verifiers = zip(*rates_of(*below[2:]), strict=True)
        return np.array([tandem_rate(*pair) for pair in zip(detectors, verifiers, strict=True)])

    (detector, n_steps), (verifier, n_verifier_steps) = merged
    sizes = (n_steps,) * 2 + (n_verifier_steps,) * 3
    return Counted((*detector, *verifier), sizes, of_kinds)


def _near_tandem(detector: list[IntArray], verifier: list[IntArray]) -> list[BoolArray]:
    """Keep the steps of both curves between which all three rates may be equal, and a few others.

    At each step of the detector, bounds of its miss rate bound where the verifier may be on the
    path miss = false alarm, and with it how far false alarms and spoof false alarms may be apart.
    """
    low_miss, high_miss, low_fa, high_fa = _bounds(detector)
    _, _, low_a_fa, high_a_fa, low_spoof, high_spoof = bounds = _bounds(verifier)
    most = np.maximum.accumulate((1 + high_a_fa - bounds[0])[::-1])[::-1]
    least = np.minimum.accumulate(1 + low_a_fa - bounds[1])
    with np.errstate(divide="ignore"):
        # the verifier's first and last step at which 1 + false alarm - miss may be as needed
        first = np.searchsorted(-least, -1 / (1 - high_miss)) - 1
        last = np.searchsorted(-most, -1 / (1 - low_miss), side="right")
    first, last = np.clip([first, last], 0, most.size - 1)
    above = (1 - low_miss) * high_a_fa[first] - low_fa * low_spoof[last]
    under = (1 - high_miss) * low_a_fa[last] - high_fa * high_spoof[first]
    may_be = np.flatnonzero((above >= 0) & (under <= 0) & (low_miss <= 0.5))
    windows = [(0, low_miss.size), (0, most.size)]
    if may_be.size:
        windows = [(may_be[0] - 1, may_be[-1] + 1), (first[may_be].min(), last[may_be].max())]
    keeps = []
    for (low, high), (own, *_) in zip(windows, (detector, verifier), strict=True):
        step = np.arange(own.size)
        coarse = step % max(1, own.size // _COARSE) == 0
        keeps.append(coarse | ((step >= low) & (step <= high)))
    return keeps


def _bounds(below: list[IntArray]) -> list[FloatArray]:
    """Return the lower and the upper bound of each rate of a system, each of shape [K + 1]."""
    bounds = []
    for rate, own in zip(rates_of(*below), below, strict=True):
        slack = _slack(rate, own[-1])
        bounds += [np.maximum(rate - slack, 0.0), np.minimum(rate + slack, 1.0)]
    return bounds
