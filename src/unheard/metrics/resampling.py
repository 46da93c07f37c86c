"""Bootstrap intervals of the metrics, fast enough for a million clips.

A plain loop draws every clip again and sorts a thousand times. Here only what the metric needs is
drawn, in the same distribution:

- `eer`: how often the clips of a resample fall into the lower half of the distinct scores is a
  binomial number, within that half again, and so on (a multinomial as a tree of binomials). Only
  the branch that holds the crossing is followed: about 20 pairs of numbers per draw. So too
  `eer_official`.
- `min_dcf`, `min_tdcf`, `min_tdcf_legacy`, `a_dcf`: the same tree, following every branch whose
  least possible cost is below the least cost found so far. No point that could be the minimum is
  skipped.
- `act_dcf`: two binomial numbers per draw.
- `cllr`: a mean of per-clip costs. Costs are sorted into at most `CELLS` cells of equal count; the
  count of each cell is drawn exactly, the spread inside cells as a normal number of its exact
  variance. Exact up to `CELLS` clips of a class; beyond, mean and variance stay exact.
- `min_cllr`: runs of one class between two of the other cannot be separated by an increasing
  map, so counts of runs are all that matters. Exact up to `CELLS` runs; beyond, neighbouring runs
  are joined evenly, and the draws shifted by what joining does to the whole data.

Under `clusters` it is drawn how often each cluster comes, and the metric is read from these counts
(`counted`), without sorting again. `t_eer` and any other function of arrays take the plain loop.
D draws, N bona fide clips, M spoofed clips, C classes, K distinct scores.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from unheard.errors import MetricError
from unheard.metrics.counted import WEIGHTS, counted, split
from unheard.metrics.likelihood import clip_costs, cllr, min_cllr, pooled_cllr
from unheard.metrics.official import eer_official, nearest_rate
from unheard.metrics.rates import (
    TiesWarning,
    act_dcf,
    checked_class,
    dcf_weights,
    eer,
)
from unheard.metrics.tandem import Weights
from unheard.types import FloatArray, IntArray

__all__ = ["CELLS", "Interval", "Metric", "bootstrap", "class_name", "memberships", "resampled"]

CELLS = 4096
"""Most cells that the bootstrap of `cllr` and `min_cllr` draws counts for."""

_CHUNK = 50

Metric = Callable[[ArrayLike, ArrayLike], float]
"""Scores of bona fide and of spoofed clips -> number."""

Scores = Sequence[FloatArray]
"""Scores of each class, those of bona fide clips or target trials first."""

_CLASS_NAMES = ("bona fide", "spoofed")


def class_name(index: int, n_classes: int) -> str:
    """Return what messages call the scores that a metric takes as its argument `index`."""
    return _CLASS_NAMES[index] if n_classes == len(_CLASS_NAMES) else f"argument {index + 1}"


@dataclass(frozen=True)
class Interval:
    """A percentile interval."""

    low: float
    high: float


def bootstrap(
    metric: Callable[..., float],
    *scores: ArrayLike,
    n_draws: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    clusters: Sequence[ArrayLike] | None = None,
) -> Interval:
    """Return a percentile bootstrap interval, each class resampled by itself and with replacement.

    Args:
        metric: A metric of this package, plain or with options set by `functools.partial`, or any
            function of arrays.
        scores: What the metric takes: scores of bona fide clips, shape [N], and of spoofed clips,
            shape [M]; or of more classes, as `a_dcf` and `t_eer` take.
        n_draws: Resamples.
        seed: Same seed, same interval.
        level: Share of draws inside the interval.
        clusters: Speaker or attack of each clip, one array per class of its shape. Then whole
            clusters are resampled, which is the honest interval when clips of a cluster resemble
            each other.

    Raises:
        MetricError: As the metric; or if draws or level are out of range, or clusters do not fit.

    Source:
        Efron, "Bootstrap methods: another look at the jackknife", 1979; the module says how the
        draws are made cheap.
    """
    if n_draws < 1 or not 0 < level < 1:
        raise MetricError(
            f"n_draws={n_draws}, level={level:g}; give at least one draw and a level inside (0, 1)"
        )
    arrays = [checked_class(class_name(i, len(scores)), array) for i, array in enumerate(scores)]
    rng = np.random.default_rng(seed)
    function, options = split(metric)
    if clusters is None and function in _DRAWS:
        draws = _DRAWS[function](arrays, n_draws, rng, **options)
    else:
        labels = [np.arange(array.size) for array in arrays] if clusters is None else clusters
        draws = _plain(metric, arrays, labels, n_draws, rng)
    tail = (1 - level) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return Interval(float(low), float(high))


def _plain(
    metric: Callable[..., float],
    scores: Scores,
    clusters: Sequence[ArrayLike],
    n_draws: int,
    rng: np.random.Generator,
) -> FloatArray:
    members = memberships(scores, clusters)
    of_counts = counted(metric, *scores)
    draws = np.empty(n_draws)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TiesWarning)
        for draw in range(n_draws):
            draws[draw] = of_counts(*(resampled(member, rng) for member in members))
    return draws


def memberships(scores: Scores, clusters: Sequence[ArrayLike]) -> list[IntArray]:
    """Return the number of each clip's cluster, from 0 up in each class, shapes of the scores.

    Raises:
        MetricError: If there is not one label per clip.
    """
    shapes = [list(np.shape(labels)) for labels in clusters]
    if shapes != [list(array.shape) for array in scores]:
        raise MetricError(
            f"clusters of shapes {shapes} for scores of shapes "
            f"{[list(array.shape) for array in scores]}; give one cluster per clip"
        )
    return [np.unique(np.asarray(labels), return_inverse=True)[1] for labels in clusters]


def resampled(member: IntArray, rng: np.random.Generator) -> IntArray:
    """Return how often each clip comes when as many clusters are drawn as there are.

    Args:
        member: Cluster of each clip, numbered from 0, shape [N].
        rng: Source of the draw.
    """
    n = int(member.max()) + 1
    return np.bincount(rng.integers(n, size=n), minlength=n)[member]


@dataclass(frozen=True, eq=False)
class _Branches:
    """Ranges [low, high) of distinct scores, and the resampled clips in and below them.

    B branches; `draw` says which resample a branch belongs to, `below` and `inside` count the
    clips of each of C classes, shape [C, B].
    """

    draw: IntArray
    low: IntArray
    high: IntArray
    below: IntArray
    inside: IntArray

    @classmethod
    def roots(cls, cumulative: IntArray, n_draws: int) -> _Branches:
        everything = np.repeat(cumulative[:, -1:], n_draws, axis=1)
        low = np.zeros(n_draws, np.int64)
        high = np.full(n_draws, cumulative.shape[1] - 1)
        return cls(np.arange(n_draws), low, high, np.zeros_like(everything), everything)

    def where(self, mask: Any) -> _Branches:
        return _Branches(*(column[..., mask] for column in vars(self).values()))

    def split(self, cumulative: IntArray, rng: np.random.Generator) -> tuple[_Branches, _Branches]:
        """Return both halves of every branch, the lower first; `cumulative` is [C, K + 1]."""
        middle = (self.low + self.high) // 2
        started = cumulative[:, self.low]
        in_branch = np.maximum(cumulative[:, self.high] - started, 1)
        drawn = rng.binomial(self.inside, (cumulative[:, middle] - started) / in_branch)
        lower = _Branches(self.draw, self.low, middle, self.below, drawn)
        upper = _Branches(self.draw, middle, self.high, self.below + drawn, self.inside - drawn)
        return lower, upper


def _below_each(scores: Scores) -> IntArray:
    """Return clips of each class at or below each distinct score, shape [C, K + 1]."""
    distinct = np.unique(np.concatenate(scores))
    below = [np.searchsorted(np.sort(array), distinct, side="right") for array in scores]
    return np.pad(np.stack(below), [(0, 0), (1, 0)])


def _crossing_branches(scores: Scores, n_draws: int, rng: np.random.Generator) -> _Branches:
    """Return, per draw, the distinct score at which the error rates cross."""
    cumulative = _below_each(scores)
    n, m = (array.size for array in scores)
    branches = _Branches.roots(cumulative, n_draws)
    while np.any(branches.high - branches.low > 1):
        lower, upper = branches.split(cumulative, rng)
        excess = upper.below[0] * m + upper.below[1] * n - n * m
        branches = _Branches(
            *(
                np.where(excess >= 0, low, high)
                for low, high in zip(vars(lower).values(), vars(upper).values(), strict=True)
            )
        )
    return branches


def _eer_draws(scores: Scores, n_draws: int, rng: np.random.Generator) -> FloatArray:
    n, m = (array.size for array in scores)
    branches = _crossing_branches(scores, n_draws, rng)
    (human, machine), inside = branches.below, branches.inside
    share = (n * m - human * m - machine * n) / (inside[0] * m + inside[1] * n)
    rates: FloatArray = (human + share * inside[0]) / n
    return rates


def _eer_official_draws(scores: Scores, n_draws: int, rng: np.random.Generator) -> FloatArray:
    branches = _crossing_branches(scores, n_draws, rng)
    human, machine = branches.below
    return nearest_rate((human, machine), branches.inside[0], scores[0].size, scores[1].size)


def _least_draws(
    scores: Scores,
    n_draws: int,
    rng: np.random.Generator,
    *,
    weights: Callable[..., Weights],
    **options: Any,
) -> FloatArray:
    weigh = weights(**options)
    cumulative = _below_each(scores)
    sizes = cumulative[:, -1:]
    per_clip = np.array([weigh.miss, *weigh.false_alarms]) / sizes[:, 0]
    best = np.full(n_draws, min(weigh.miss, sum(weigh.false_alarms)))  # reject all, accept all
    for start in range(0, n_draws, _CHUNK):
        chunk = best[start : start + _CHUNK]
        branches = _Branches.roots(cumulative, chunk.size)
        while branches.draw.size:
            halves = branches.split(cumulative, rng)
            errors = sizes - halves[1].below
            errors[0] = halves[1].below[0]
            np.minimum.at(chunk, halves[1].draw, per_clip @ errors)
            branches = _joined([_promising(half, sizes, per_clip, chunk) for half in halves])
    return weigh.constant + best


def _promising(
    branches: _Branches, sizes: IntArray, per_clip: FloatArray, best: FloatArray
) -> _Branches:
    """Return the branches with a threshold inside that could cost less than the best so far."""
    fewest = sizes - branches.below - branches.inside
    fewest[0] = branches.below[0]
    cheap = per_clip @ fewest < best[branches.draw]
    return branches.where(cheap & (branches.high - branches.low > 1))


def _joined(parts: list[_Branches]) -> _Branches:
    columns = zip(*(vars(part).values() for part in parts), strict=True)
    return _Branches(*(np.concatenate(column, axis=-1) for column in columns))


def _act_dcf_draws(
    scores: Scores, n_draws: int, rng: np.random.Generator, **options: float
) -> FloatArray:
    bonafide, spoof = scores
    miss, false_alarm = dcf_weights(**options)
    threshold = np.log(false_alarm / miss)
    n, m = bonafide.size, spoof.size
    missed = rng.binomial(n, np.mean(bonafide < threshold), n_draws) / n
    accepted = rng.binomial(m, np.mean(spoof >= threshold), n_draws) / m
    return np.asarray(miss * missed + false_alarm * accepted)


def _cllr_draws(scores: Scores, n_draws: int, rng: np.random.Generator) -> FloatArray:
    human, machine = clip_costs(*scores)
    return (_mean_draws(human, n_draws, rng) + _mean_draws(machine, n_draws, rng)) / 2


def _mean_draws(values: FloatArray, n_draws: int, rng: np.random.Generator) -> FloatArray:
    n = values.size
    edges = np.linspace(0, n, min(n, CELLS) + 1).astype(np.int64)
    counts, values = np.diff(edges), np.sort(values)
    means = np.add.reduceat(values, edges[:-1]) / counts
    spread = np.add.reduceat((values - np.repeat(means, counts)) ** 2, edges[:-1]) / counts
    draws = np.empty(n_draws)
    for start in range(0, n_draws, _CHUNK):
        part = draws[start : start + _CHUNK]
        drawn = rng.multinomial(n, counts / n, part.size)
        part[:] = drawn @ means / n + np.sqrt(drawn @ spread) / n * rng.standard_normal(part.size)
    return draws


def _min_cllr_draws(scores: Scores, n_draws: int, rng: np.random.Generator) -> FloatArray:
    human, machine = np.diff(_below_each(scores))
    first = _runs(human, machine)
    n_runs = first.size
    if n_runs > CELLS:
        first = first[np.linspace(0, n_runs, CELLS, endpoint=False).astype(np.int64)]
    human_cells, machine_cells = np.add.reduceat(human, first), np.add.reduceat(machine, first)
    shift = 0.0
    if n_runs > CELLS:
        shift = pooled_cllr(human, machine) - pooled_cllr(human_cells, machine_cells)
    n, m = (array.size for array in scores)
    draws = np.empty(n_draws)
    for start in range(0, n_draws, _CHUNK):
        part = draws[start : start + _CHUNK]
        humans = rng.multinomial(n, human_cells / n, part.size)
        machines = rng.multinomial(m, machine_cells / m, part.size)
        part[:] = [
            pooled_cllr(human_counts, machine_counts)
            for human_counts, machine_counts in zip(humans, machines, strict=True)
        ]
    return np.maximum(draws + shift, 0.0)


def _runs(bonafide: IntArray, spoof: IntArray) -> IntArray:
    """Return where runs of one class begin; a tie of both classes is a run of its own."""
    kind = np.where(spoof == 0, 0, np.where(bonafide == 0, 1, 2))
    new = (kind[1:] != kind[:-1]) | (kind[1:] == 2)
    return np.concatenate([[0], 1 + np.flatnonzero(new)])


_DRAWS: dict[Callable[..., float], Callable[..., FloatArray]] = {
    eer: _eer_draws,
    eer_official: _eer_official_draws,
    act_dcf: _act_dcf_draws,
    cllr: _cllr_draws,
    min_cllr: _min_cllr_draws,
    **{metric: partial(_least_draws, weights=weights) for metric, weights in WEIGHTS.items()},
}
