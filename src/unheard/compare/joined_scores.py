"""Many score files on the same clips, resampled together: every number sees the same draws.

T trials in all, D draws.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unheard.errors import EvaluationError
from unheard.evaluation.scores import SCORED, read_scores
from unheard.metrics import Metric, TiesWarning
from unheard.metrics.counted import counted
from unheard.metrics.resampling import Measured, resampled
from unheard.types import FloatArray, IntArray

if TYPE_CHECKING:
    import pyarrow as pa

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


def join_scores(files: Sequence[Path], columns: Sequence[str] = COLUMNS) -> JoinedScores:
    """Read score files and join them by clip.

    Args:
        files: At least one.
        columns: What is wanted of each clip, from the first file; "" where it has no such column.

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
    first = {name: _column(tables[0], name)[places[0]] for name in columns}
    scores = [
        table.column("score").to_numpy(zero_copy_only=False)[place]
        for table, place in zip(tables, places, strict=True)
    ]
    return JoinedScores(ids, first, scores, len(set().union(*names)) - len(ids))


def _column(table: pa.Table, name: str) -> Any:
    if name not in table.column_names:
        return np.full(table.num_rows, "", object)
    return table.column(name).to_numpy(zero_copy_only=False)


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
    metrics = [
        Measured(
            counted(metric, score[group.human], score[group.machine], near=True),
            (group.human, group.machine),
        )
        for metric, group, score in wanted
    ]
    stratum = _strata(list({id(group): group for _, group, _ in wanted}.values()), n_trials)
    with warnings.catch_warnings(action="ignore", category=TiesWarning):
        values = [
            metric(score[group.human], score[group.machine]) for metric, group, score in wanted
        ]
    draws = resampled(metrics, stratum, n_draws, np.random.default_rng(seed))
    return np.concatenate([np.array(values)[:, None], draws], axis=1)


def _strata(groups: Sequence[Group], n_trials: int) -> IntArray:
    """Return one number for all trials that are in the same groups, shape [T]."""
    member = np.zeros((n_trials, 2 * len(groups)), bool)
    for place, group in enumerate(groups):
        member[group.human, 2 * place] = True
        member[group.machine, 2 * place + 1] = True
    return np.unique(member, axis=0, return_inverse=True)[1].ravel()
