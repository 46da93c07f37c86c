"""Many score files on the same clips, resampled together: every number sees the same draws.

T trials in all, D draws.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unheard.errors import EvaluationError
from unheard.evaluation.scores import SCORED, read_scores
from unheard.metrics import Metric, TiesWarning, eer
from unheard.metrics.counted import counted
from unheard.types import FloatArray, IntArray

__all__ = ["Group", "JoinedScores", "join_scores", "measured"]

COLUMNS = ("bonafide", "part", "family")


@dataclass(frozen=True, eq=False)
class Group:
    """Trials that one error rate is of.

    Attributes:
        human: Rows of bona fide trials.
        machine: Rows of spoofed ones.
    """

    human: IntArray
    machine: IntArray


@dataclass(frozen=True, eq=False)
class JoinedScores:
    """What several score files say of the clips that all of them scored.

    Attributes:
        ids: Of the clips, sorted, shape [T].
        columns: What is known of each, by the name of the column, shape [T].
        scores: Of each file, shape [T].
        n_left_out: Clips that only some of the files scored.
    """

    ids: Sequence[str]
    columns: Mapping[str, Any]
    scores: Sequence[FloatArray]
    n_left_out: int

    def group(self, inside: Any) -> Group:
        """Return the trials at which a mask, shape [T], is true."""
        bonafide = self.columns["bonafide"].astype(bool)
        return Group(np.flatnonzero(inside & bonafide), np.flatnonzero(inside & ~bonafide))


def join_scores(files: Sequence[Path]) -> JoinedScores:
    """Read score files and join them by clip.

    Raises:
        EvaluationError: If a file cannot be read, or no clip is scored in all of them.
    """
    tables = []
    for path in files:
        table = read_scores(path)
        tables.append(
            table.filter([status == SCORED for status in table.column("status").to_pylist()])
        )
    names = [table.column("id").to_pylist() for table in tables]
    shared = set(names[0]).intersection(*names[1:])
    if not shared:
        raise EvaluationError(
            f"no clip is scored in all of {', '.join(map(str, files))}; evaluate every system on "
            "the same clips"
        )
    ids = sorted(shared)
    places = []
    for file_ids in names:
        row = {name: place for place, name in enumerate(file_ids)}
        places.append(np.array([row[name] for name in ids]))
    first = {
        name: tables[0].column(name).to_numpy(zero_copy_only=False)[places[0]] for name in COLUMNS
    }
    scores = [
        table.column("score").to_numpy(zero_copy_only=False)[place]
        for table, place in zip(tables, places, strict=True)
    ]
    return JoinedScores(ids, first, scores, len(set().union(*names)) - len(ids))


def measured(
    wanted: Sequence[tuple[Metric, Group, FloatArray]],
    *,
    n_trials: int,
    n_draws: int,
    seed: int,
) -> FloatArray:
    """Return metrics of the trials as they are and of resampled ones, the same for all.

    Trials are drawn among those that are in the same groups: each group keeps its number of
    trials, of each class, in every draw.

    Args:
        wanted: Metric, group of trials, and the scores of all trials, shape [T].
        n_trials: T.
        n_draws: D.
        seed: Of the draws.

    Returns:
        Shape [len(wanted), 1 + D], the trials as they are first.
    """
    groups = {id(group): group for _, group, _ in wanted}
    values = np.empty((len(wanted), 1 + n_draws))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TiesWarning)  # resampled clips tie with themselves
        of_draws = []
        for row, (metric, group, score) in enumerate(wanted):
            scores = score[group.human], score[group.machine]
            values[row, 0] = metric(*scores)
            of_draws.append(_of_draws(metric, *scores))
        drawn = _counts(list(groups.values()), n_trials, n_draws, seed)
        n_at_once = max(1, _AT_ONCE // n_trials)
        for first in range(1, n_draws + 1, n_at_once):
            counts = np.stack(list(itertools.islice(drawn, n_at_once)))
            split = {
                name: (counts[:, group.human], counts[:, group.machine])
                for name, group in groups.items()
            }
            for row, (_, group, _) in enumerate(wanted):
                values[row, first : first + len(counts)] = of_draws[row](*split[id(group)])
    return values


_AT_ONCE = 500_000
"""Counts that are held at once."""


def _of_draws(
    metric: Metric, human: FloatArray, machine: FloatArray
) -> Callable[[IntArray, IntArray], FloatArray]:
    """Return a metric as a function of how often clips came, shapes [C, N], [C, M] -> [C]."""
    if metric is eer:
        return _Eer(human, machine)
    of_counts = counted(metric, human, machine)
    return lambda *counts: np.array([of_counts(*pair) for pair in zip(*counts, strict=True)])


class _Eer:
    """The equal error rate of many draws at once; the numbers of `metrics.eer`."""

    def __init__(self, human: FloatArray, machine: FloatArray) -> None:
        pooled = np.concatenate([human, machine])
        self._order = np.argsort(pooled)
        self._is_human = self._order < human.size
        self._ends = np.append(np.flatnonzero(np.diff(pooled[self._order])), pooled.size - 1)

    def __call__(self, humans: IntArray, machines: IntArray) -> FloatArray:
        n, m = humans.sum(axis=1, keepdims=True), machines.sum(axis=1, keepdims=True)
        drawn = np.concatenate([humans, machines], axis=1)[:, self._order]
        below = np.cumsum(drawn * self._is_human, axis=1)[:, self._ends]
        excess = np.cumsum(drawn, axis=1)[:, self._ends] - below  # so far: machines below
        excess = below * m + excess * n - n * m
        start = np.zeros((len(drawn), 1), np.int64)
        below, excess = np.hstack([start, below]), np.hstack([start - n * m, excess])
        step = (excess < 0).sum(axis=1, keepdims=True)
        (low, high), (before, after) = (
            [np.take_along_axis(values, step - back, axis=1) for back in (1, 0)]
            for values in (below, excess)
        )
        rates: FloatArray = ((low - before / (after - before) * (high - low)) / n)[:, 0]
        return rates


def _counts(groups: Sequence[Group], n_trials: int, n_draws: int, seed: int) -> Iterator[IntArray]:
    """Yield how often each trial was drawn, shape [T], D times."""
    member = np.zeros((n_trials, 2 * len(groups)), bool)
    for place, group in enumerate(groups):
        member[group.human, 2 * place] = True
        member[group.machine, 2 * place + 1] = True
    stratum = np.unique(member, axis=0, return_inverse=True)[1].ravel()
    strata = [np.flatnonzero(stratum == number) for number in range(stratum.max() + 1)]
    rng = np.random.default_rng(seed)
    for _ in range(n_draws):
        counts = np.zeros(n_trials, np.int64)
        for rows in strata:
            counts[rows] = np.bincount(rng.integers(rows.size, size=rows.size), minlength=rows.size)
        yield counts
