"""What becomes of a detector when the same clips come under conditions."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from unheard.audio.conditions import RAW
from unheard.evaluation.scores import SCORED, Facts
from unheard.metrics import TiesWarning, bootstrap, corrected, eer, paired_bootstrap
from unheard.types import BoolArray, FloatArray

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "SURE",
    "ConditionRow",
    "condition_rows",
    "conditions_to_compare",
    "parts_with_condition",
    "raw_alone",
]

SURE = 0.05
"""Corrected p value below which a difference is more than luck."""

DRAWS_PER_TEST = 80
"""Least draws for each test that is made: after Holm's correction p can still be 0.025."""


@dataclass(frozen=True, kw_only=True)
class ConditionRow:
    """One part under one condition; rates in [0, 1].

    Attributes:
        part: Part of the clips.
        condition: Name in `unheard.audio.conditions.CONDITIONS`.
        n_bonafide: Bona fide clips with a score.
        n_spoof: Spoofed clips with a score.
        n_unscored: Clips without one.
        eer: Equal error rate; None without clips of both classes.
        eer_low: Lower end of its 95 % interval, clips resampled.
        eer_high: Upper end.
        n_shared: Clips that have a score here and as they are.
        difference: EER here minus EER as they are, on the clips shared; None for "raw", and
            without clips of both classes.
        low: Lower end of its 95 % interval, the same clips resampled for both.
        high: Upper end.
        p: Two-sided p value of no difference.
        p_holm: The same, corrected for all conditions and parts of a report.
        undecided: Share of clips between the default thresholds, both classes weighing the same;
            None where no thresholds are known, as for the shares below.
        wrong: Share of errors among the clips decided, both classes weighing the same; None also
            if none is decided.
        bonafide_as_spoof: Share of bona fide clips called spoof.
        spoof_as_bonafide: Share of spoofed clips called bona fide.
    """

    part: str
    condition: str
    n_bonafide: int
    n_spoof: int
    n_unscored: int
    eer: float | None = None
    eer_low: float | None = None
    eer_high: float | None = None
    n_shared: int = 0
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_holm: float | None = None
    undecided: float | None = None
    wrong: float | None = None
    bonafide_as_spoof: float | None = None
    spoof_as_bonafide: float | None = None

    @property
    def sure(self) -> bool:
        """Whether the difference is more than luck."""
        return self.p_holm is not None and self.p_holm < SURE


def parts_with_condition(table: pa.Table) -> list[str]:
    """Return the part of each row, with the condition behind it if not raw."""
    parts = list(table.column("part").to_pylist())
    if "condition" not in table.column_names:
        return parts
    conditions = table.column("condition").to_pylist()
    return [
        part if condition == RAW else f"{part} under {condition}"
        for part, condition in zip(parts, conditions, strict=True)
    ]


def conditions_to_compare(table: pa.Table, facts: Facts) -> tuple[str, ...]:
    """Return the conditions to compare, "raw" first; none if there is nothing to compare."""
    if "condition" not in table.column_names:
        return ()
    scored = set(table.column("condition").unique().to_pylist())
    present = tuple(name for name in facts.conditions if name in scored)
    return present if RAW in present and len(present) > 1 else ()


def raw_alone(table: pa.Table, facts: Facts) -> pa.Table:
    """Return the clips as they are, out of scores under several conditions."""
    import pyarrow.compute as pc

    if not conditions_to_compare(table, facts):
        return table
    return table.filter(pc.equal(table.column("condition"), RAW))


def condition_rows(
    table: pa.Table, facts: Facts, parts: Sequence[str], *, n_draws: int = 1000, seed: int = 0
) -> list[ConditionRow]:
    """Return what became of each part under each condition, all parts of a condition together.

    Args:
        table: Scores under conditions, as `read_scores` gives them; others give no rows.
        facts: Of the score file: its conditions and thresholds.
        parts: Parts with clips of both classes.
        n_draws: Bootstrap draws behind each interval; at least `DRAWS_PER_TEST` for each test are
            made for the differences.
        seed: Seed of the bootstrap.
    """
    names = conditions_to_compare(table, facts)
    if not names:
        return []
    scores = _Scores(table)
    n_paired = max(n_draws, DRAWS_PER_TEST * (len(names) - 1) * len(parts))
    results = []
    for part in parts:
        raw = scores.of(part, RAW)
        for name in names:
            clips = scores.of(part, name)
            row = replace(_counted(part, name, clips, n_draws, seed), **_decided(clips, facts))
            results.append(
                row if name == RAW else replace(row, **_compared(clips, raw, n_paired, seed))
            )
    tested = [row.p for row in results if row.p is not None]
    holm = iter(corrected(tested).tolist() if tested else ())
    return [row if row.p is None else replace(row, p_holm=next(holm)) for row in results]


@dataclass(frozen=True, eq=False)
class _ScoredClips:
    """The clips of one part under one condition: ids as they are when raw, scores, classes."""

    ids: Any
    score: FloatArray
    bonafide: BoolArray
    n_unscored: int

    def classes(self, chosen: BoolArray) -> tuple[FloatArray, FloatArray]:
        return self.score[chosen & self.bonafide], self.score[chosen & ~self.bonafide]


class _Scores:
    """Columns of all rows as arrays."""

    def __init__(self, table: pa.Table) -> None:
        names = ("id", "score", "bonafide", "part", "condition", "status")
        columns = (table.column(name).to_numpy(zero_copy_only=False) for name in names)
        self._ids, self._score, bonafide, self._part, self._condition, status = columns
        self._bonafide, self._scored = bonafide.astype(bool), status == SCORED

    def of(self, part: str, condition: str) -> _ScoredClips:
        inside = (self._part == part) & (self._condition == condition)
        scored = inside & self._scored
        ids = [name.removesuffix(f"@{condition}") for name in self._ids[scored]]
        n_unscored = int(inside.sum() - scored.sum())
        return _ScoredClips(
            np.array(ids, object), self._score[scored], self._bonafide[scored], n_unscored
        )


def _counted(
    part: str, condition: str, clips: _ScoredClips, n_draws: int, seed: int
) -> ConditionRow:
    human, machine = clips.classes(np.ones(clips.score.size, bool))
    row = ConditionRow(
        part=part,
        condition=condition,
        n_bonafide=human.size,
        n_spoof=machine.size,
        n_unscored=clips.n_unscored,
        n_shared=clips.score.size,
    )
    if not (human.size and machine.size):
        return row
    with warnings.catch_warnings(action="ignore", category=TiesWarning):
        interval = bootstrap(eer, human, machine, n_draws=n_draws, seed=seed)
        rate = eer(human, machine)
    return replace(row, eer=rate, eer_low=interval.low, eer_high=interval.high)


def _compared(clips: _ScoredClips, raw: _ScoredClips, n_draws: int, seed: int) -> dict[str, Any]:
    """Return the fields of the difference to the same clips as they are."""
    _, ours, theirs = np.intersect1d(clips.ids, raw.ids, assume_unique=True, return_indices=True)
    order = np.argsort(ours)  # that of the file
    ours, theirs = ours[order], theirs[order]
    human = clips.bonafide[ours]
    a, b = ((score[human], score[~human]) for score in (clips.score[ours], raw.score[theirs]))
    if not (a[0].size and a[1].size):
        return {"n_shared": ours.size}
    with warnings.catch_warnings(action="ignore", category=TiesWarning):
        test = paired_bootstrap(eer, a, b, n_draws=n_draws, seed=seed)
    return {
        "n_shared": ours.size,
        "difference": test.value,
        "low": test.low,
        "high": test.high,
        "p": test.p,
    }


def _decided(clips: _ScoredClips, facts: Facts) -> dict[str, Any]:
    """Return the shares of decisions at the default thresholds."""
    human, machine = clips.classes(np.ones(clips.score.size, bool))
    if not (facts.thresholds and human.size and machine.size):
        return {}
    low, high = facts.thresholds[:2]
    missed, accepted = float(np.mean(human < low)), float(np.mean(machine >= high))
    undecided = [float(np.mean((scores >= low) & (scores < high))) for scores in (human, machine)]
    n_decided = 2 - sum(undecided)
    return {
        "undecided": sum(undecided) / 2,
        "wrong": (missed + accepted) / n_decided if n_decided > 0 else None,
        "bonafide_as_spoof": missed,
        "spoof_as_bonafide": accepted,
    }
