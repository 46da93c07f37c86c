"""Bootstrap: one engine for intervals and for paired tests, fast enough for a million clips.

Trials that are alike to all that is measured on them are one cell: those of a stratum that share
the kind of every metric (`counted`), and the cluster where whole clusters are drawn. Drawn is how
often each cell comes, in the distribution of drawing every trial; then each metric is read from
the counts of its kinds. T trials, D draws, C cells, K kinds, N bona fide and M spoofed clips.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from unheard.errors import MetricError
from unheard.metrics.counted import Counted, counted
from unheard.metrics.rates import TiesWarning, checked_class
from unheard.types import FloatArray, IntArray

__all__ = [
    "Interval",
    "Measured",
    "Metric",
    "bootstrap",
    "checked_classes",
    "checked_draws",
    "memberships",
    "percentiles",
    "resampled",
    "stacked",
    "two_sided_p",
]

_AT_ONCE = 1_000_000
"""Counts that are held at once."""

_LARGE = 32
"""Trials from which on it is faster to draw the count of a cell than to draw its trials."""

Metric = Callable[[ArrayLike, ArrayLike], float]
"""Scores of bona fide and of spoofed clips -> number."""

Scores = Sequence[FloatArray]
"""Scores of each class, those of bona fide clips or target trials first."""

_CLASS_NAMES: tuple[str, ...] = ("bona fide", "spoofed")


@dataclass(frozen=True)
class Interval:
    """A percentile interval."""

    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Measured:
    """A metric, and the trials it is measured on.

    Attributes:
        metric: What `counted` gives.
        rows: Trials of each class, in the order of the scores that `counted` got.
    """

    metric: Counted
    rows: Sequence[IntArray]


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
    checked_draws(n_draws, level)
    arrays = checked_classes(scores)
    rows, stratum = stacked(arrays)
    units = None if clusters is None else np.concatenate(memberships(arrays, clusters))
    metric_of_counts = counted(metric, *arrays, near=clusters is None)
    rng = np.random.default_rng(seed)
    (draws,) = resampled([Measured(metric_of_counts, rows)], stratum, n_draws, rng, units=units)
    return Interval(*percentiles(draws, level))


def checked_draws(n_draws: int, level: float) -> None:
    """Refuse draws or a level that give no interval.

    Raises:
        MetricError: If there is no draw or the level is outside (0, 1).
    """
    if n_draws < 1 or not 0 < level < 1:
        raise MetricError(
            f"n_draws={n_draws}, level={level:g}; give at least one draw and a level inside (0, 1)"
        )


def checked_classes(scores: Sequence[ArrayLike]) -> list[FloatArray]:
    """Return the scores of each class that a metric takes, as `checked` does.

    Raises:
        MetricError: As `checked`, by the name of the class.
    """
    names = _CLASS_NAMES
    if len(scores) != len(names):
        names = tuple(f"argument {place}" for place in range(1, len(scores) + 1))
    return [checked_class(name, array) for name, array in zip(names, scores, strict=True)]


def percentiles(draws: FloatArray, level: float = 0.95) -> tuple[float, float]:
    """Return the ends of the percentile interval of draws, shape [D]."""
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def two_sided_p(differences: FloatArray) -> float:
    """Return the p value of "no difference" from D drawn ones; the data count as one draw more."""
    fewer = min(np.count_nonzero(differences <= 0), np.count_nonzero(differences >= 0))
    return min(1.0, 2 * (1 + int(fewer)) / (differences.size + 1))


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


def stacked(scores: Scores) -> tuple[list[IntArray], IntArray]:
    """Return the trials of each class when classes stand one after the other, and whose they are.

    Returns:
        Rows of each class; and the number of the class of each trial, shape [T].
    """
    sizes = [array.size for array in scores]
    rows: list[IntArray] = list(np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1]))
    return rows, np.repeat(np.arange(len(sizes)), sizes)


def resampled(
    measured: Sequence[Measured],
    stratum: IntArray,
    n_draws: int,
    rng: np.random.Generator,
    *,
    units: IntArray | None = None,
) -> FloatArray:
    """Return metrics of resampled trials; in one draw, all see the same trials.

    Args:
        measured: Metrics and their trials.
        stratum: Of each trial, shape [T]: from 0 up, each is resampled by itself and keeps its
            number of trials. Trials of stratum -1 come once in every draw.
        n_draws: D.
        rng: Source of the draws.
        units: Cluster of each trial, shape [T], numbered from 0 in each stratum; then as many
            clusters of a stratum are drawn as it has, and all their trials come.

    Returns:
        Shape [len(measured), D].
    """
    columns = [
        (kind, rows)
        for one in measured
        for kind, rows in zip(one.metric.kinds, one.rows, strict=True)
    ]
    keys = [stratum + 1, *(() if units is None else (units,))]
    cell = _cells(keys, columns)
    _, first, size = np.unique(cell, return_index=True, return_counts=True)
    readers = []
    for one in measured:
        for kinds, n_kinds, rows in zip(one.metric.kinds, one.metric.sizes, one.rows, strict=True):
            readers.append(_Kinds(cell[rows], kinds, n_kinds))
    drawing = _Drawing(stratum[first], size, None if units is None else units[first])
    values = np.empty((len(measured), n_draws))
    n_at_once = max(1, _AT_ONCE // size.size)
    # Resampled clips tie with themselves.
    with warnings.catch_warnings(action="ignore", category=TiesWarning):
        for start in range(0, n_draws, n_at_once):
            part = values[:, start : start + n_at_once]
            counts = drawing.counts(part.shape[1], rng)
            reading = iter(readers)
            for row, one in zip(part, measured, strict=True):
                row[:] = one.metric.of_kinds(*(next(reading)(counts) for _ in one.rows))
    return values


def _cells(keys: Sequence[IntArray], columns: Sequence[tuple[IntArray, IntArray]]) -> IntArray:
    """Number trials by what they are: one number for all that agree in every key and column."""
    cell = keys[0]
    n_trials = cell.size
    more: Iterator[IntArray] = (_spread(kind, rows, n_trials) for kind, rows in columns)
    for key in (*keys[1:], *more):
        distinct, cell = np.unique(cell * (key.max() + 1) + key, return_inverse=True)
        if distinct.size == n_trials:
            break
    return np.unique(cell, return_inverse=True)[1]


def _spread(kind: IntArray, rows: IntArray, n_trials: int) -> IntArray:
    """Return the kind of each trial from 1 up, 0 where it has none, shape [T]."""
    of_all = np.zeros(n_trials, np.int64)
    of_all[rows] = kind + 1
    return of_all


class _Kinds:
    """How often each kind of a class came, from how often each cell came."""

    def __init__(self, cell: IntArray, kinds: IntArray, n_kinds: int) -> None:
        cells, first = np.unique(cell, return_index=True)
        order = np.argsort(kinds[first], kind="stable")
        self._cells, ordered = cells[order], kinds[first][order]
        self._present, self._starts = np.unique(ordered, return_index=True)
        self._n_kinds = n_kinds

    def __call__(self, counts: IntArray) -> IntArray:
        """Return [D, K] from [D, C]."""
        drawn = counts[:, self._cells]
        if self._starts.size < self._cells.size:
            drawn = np.add.reduceat(drawn, self._starts, axis=1)
        if self._starts.size == self._n_kinds:
            return drawn
        of_kinds = np.zeros((len(counts), self._n_kinds), np.int64)
        of_kinds[:, self._present] = drawn
        return of_kinds


class _Drawing:
    """Draws how often each cell comes, given its stratum, its trials and its cluster."""

    def __init__(self, stratum: IntArray, size: IntArray, unit: IntArray | None) -> None:
        self._fixed = np.flatnonzero(stratum < 0)
        self._strata = [np.flatnonzero(stratum == n) for n in range(int(stratum.max()) + 1)]
        self._size, self._unit = size, unit

    def counts(self, n_draws: int, rng: np.random.Generator) -> IntArray:
        """Return the counts of some draws, shape [D, C]."""
        counts = np.empty((n_draws, self._size.size), np.int64)
        counts[:, self._fixed] = self._size[self._fixed]
        for cells in self._strata:
            if self._unit is None:
                counts[:, cells] = _of_trials(self._size[cells], n_draws, rng)
            else:
                unit = self._unit[cells]
                n = int(unit.max()) + 1
                picks = (rng.integers(n, size=n) for _ in range(n_draws))
                drawn = np.stack([np.bincount(pick, minlength=n) for pick in picks])
                counts[:, cells] = drawn[:, unit] * self._size[cells]
        return counts


def _of_trials(size: IntArray, n_draws: int, rng: np.random.Generator) -> IntArray:
    """Return how often cells of given sizes come in as many draws as they have trials, [D, C]."""
    n = int(size.sum())
    counts = np.empty((n_draws, size.size), np.int64)
    large, small = np.flatnonzero(size > _LARGE), np.flatnonzero(size <= _LARGE)
    n_small = int(size[small].sum())
    drawn = rng.multinomial(n, np.append(size[large], n_small) / n, n_draws)
    counts[:, large] = drawn[:, :-1]
    if small.size:
        place = np.repeat(np.arange(small.size), size[small])
        for row, n_left in zip(counts, drawn[:, -1], strict=True):
            picks = rng.integers(n_small, size=n_left)
            if small.size < n_small:
                picks = place[picks]
            row[small] = np.bincount(picks, minlength=small.size)
    return counts
