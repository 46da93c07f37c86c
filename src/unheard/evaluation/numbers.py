"""From a score table to the numbers of a report; no text, no pictures."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from unheard.errors import EvaluationError
from unheard.evaluation.conditions import condition_rows, raw_alone
from unheard.evaluation.groups import Average, average, grids
from unheard.evaluation.pages import page_rates
from unheard.evaluation.results import (
    ALL_PARTS,
    LEVEL,
    PLAIN,
    Count,
    Extras,
    Rates,
    Report,
    Row,
    Value,
)
from unheard.evaluation.scores import SCORED, Facts
from unheard.evaluation.segments import segment_rows
from unheard.metrics import (
    METRICS,
    OFFICIAL,
    Metric,
    TiesWarning,
    bootstrap,
    eer,
    min_tdcf,
    min_tdcf_legacy,
)
from unheard.types import BoolArray, FloatArray

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["summarise"]

_GROUP_METRICS = {name: METRICS[name] for name in ("eer", "min_dcf", "act_dcf")}
_CLUSTER_WORK = 20_000_000


@dataclass(frozen=True, eq=False)
class _Clips:
    """Columns of the scored clips as arrays, each shape [N]."""

    score: FloatArray
    bonafide: BoolArray
    part: Any
    attack: Any
    family: Any
    speaker: Any
    language: Any

    @classmethod
    def of(cls, table: pa.Table) -> _Clips:
        names = ("score", "bonafide", "part", "attack", "family", "speaker", "language")
        return cls(*(table.column(name).to_numpy(zero_copy_only=False) for name in names))

    def inside(self, part: str) -> BoolArray:
        everywhere: BoolArray = np.ones(self.score.size, bool)
        return everywhere if part == ALL_PARTS else self.part == part


def summarise(
    table: pa.Table,
    facts: Facts,
    *,
    n_draws: int = 1000,
    seed: int = 0,
    extras: Extras = PLAIN,
) -> Report:
    """Compute every number of a report.

    Of scores under conditions the clips as they are count, everywhere but in the comparison of
    conditions and in tables by "condition".

    Args:
        table: As `read_scores` gives it.
        facts: What the file says of its making.
        n_draws: Bootstrap draws.
        seed: Seed of the bootstrap.
        extras: What to compute in addition.

    Raises:
        EvaluationError: If no part has scored clips of both classes.
        RecipeError: If a table by a column that does not exist is wanted.
    """
    import pyarrow.compute as pc

    whole, table = table, raw_alone(table, facts)
    everything = whole.filter(pc.equal(whole.column("status"), SCORED))
    scored = table.filter(pc.equal(table.column("status"), SCORED))
    clips = _Clips.of(scored)
    parts = [
        part
        for part in sorted(set(clips.part))
        if len(set(clips.bonafide[clips.part == part])) == 2
    ]
    counts = _counts(table)
    if not parts:
        raise _one_sided(counts)
    tables = [
        list(grids(everything if "condition" in by else scored, parts, [by])) for by in extras.by
    ]
    measure = _Measure(clips, facts, n_draws, seed, extras)
    shown = [*parts, ALL_PARTS] if len(parts) > 1 else parts
    unscored = table.filter(pc.not_equal(table.column("status"), SCORED))
    rows = tuple(measure.rows(shown))
    columns = (unscored.column(name).to_pylist() for name in ("id", "status", "reason"))
    return Report(
        facts=facts,
        parts=tuple(parts),
        counts=tuple(counts),
        rows=rows,
        rates=tuple(rate for part in shown for rate in _rates(clips, part, facts)),
        averages=tuple(_averages(rows, extras.sets)),
        pages=tuple(page_rates(table, parts, facts, n_draws=n_draws, seed=seed)),
        segments=tuple(segment_rows(table, parts, n_draws=n_draws, seed=seed)),
        grids=tuple(grid for split in tables for grid in split),
        conditions=tuple(condition_rows(whole, facts, parts, n_draws=n_draws, seed=seed)),
        unscored=tuple(zip(*columns, strict=True)),
        n_draws=n_draws,
        seed=seed,
    )


def _one_sided(counts: Sequence[Count]) -> EvaluationError:
    present = "; ".join(
        f"{count.part}: {count.n_scored} {'bona fide' if count.bonafide else 'spoofed'}"
        for count in counts
    )
    return EvaluationError(
        f"no part has scored clips of both classes (found {present or 'no clips'}); an error "
        "rate needs both: choose another protocol, or add clips"
    )


def _counts(table: pa.Table) -> list[Count]:
    groups = table.group_by(["part", "bonafide", "status"]).aggregate([("id", "count")])
    counts = {
        (row["part"], row["bonafide"], row["status"]): row["id_count"] for row in groups.to_pylist()
    }
    return [
        Count(
            part=part,
            bonafide=bonafide,
            n_clips=sum(n for key, n in counts.items() if key[:2] == (part, bonafide)),
            n_scored=counts.get((part, bonafide, SCORED), 0),
            n_no_verdict=counts.get((part, bonafide, "no verdict"), 0),
            n_unreadable=counts.get((part, bonafide, "unreadable"), 0),
        )
        for part, bonafide in sorted(
            {key[:2] for key in counts}, key=lambda key: (key[0], not key[1])
        )
    ]


@dataclass(frozen=True, eq=False)
class _Measure:
    clips: _Clips
    facts: Facts
    n_draws: int
    seed: int
    extras: Extras

    def rows(self, parts: Sequence[str]) -> Iterator[Row]:
        for part in parts:
            yield self._pooled(part)
        clips = self.clips
        for by, column in (("family", clips.family), ("attack", clips.attack)):
            for part in parts:
                if part == ALL_PARTS:
                    continue
                inside = clips.inside(part)
                for group in sorted(set(column[inside & ~clips.bonafide]) - {"", "-"}):
                    chosen = inside & (clips.bonafide | (column == group))
                    yield self._row(chosen, part, by, group)
        for part in parts:
            inside = clips.inside(part)
            for language in sorted(set(clips.language[inside]) - {""}):
                chosen = inside & (clips.language == language)
                if part != ALL_PARTS and len(set(clips.bonafide[chosen])) == 2:
                    yield self._row(chosen, part, "language", language)

    def _pooled(self, part: str) -> Row:
        clips = self.clips
        inside = clips.inside(part)
        row = self._row(inside, part, "all", "all", {**METRICS, **self._tandem()})
        human, machine = inside & clips.bonafide, inside & ~clips.bonafide
        speakers, attacks = clips.speaker[human], clips.attack[machine]
        if min(len(set(speakers)), len(set(attacks))) < 2:
            return row
        draws = min(self.n_draws, max(100, _CLUSTER_WORK // int(inside.sum())))
        interval = bootstrap(
            eer,
            clips.score[human],
            clips.score[machine],
            n_draws=draws,
            seed=self.seed,
            level=LEVEL,
            clusters=(speakers.astype(str), attacks.astype(str)),
        )
        by_speaker = Value(row.metrics["eer"].value, interval.low, interval.high)
        metrics = {**row.metrics, "eer_by_speaker": by_speaker}
        return Row(**{**vars(row), "metrics": metrics})

    def _tandem(self) -> dict[str, Metric]:
        """Both t-DCF, where a verifier is given; its rates are pooled, so is what they weigh."""
        asv = self.extras.asv
        if asv is None:
            return {}
        return {
            "min_tdcf": functools.partial(min_tdcf, asv=asv),
            "min_tdcf_legacy": functools.partial(min_tdcf_legacy, asv=asv),
        }

    def _row(
        self,
        chosen: BoolArray,
        part: str,
        by: str,
        group: str,
        wanted: Mapping[str, Metric] = _GROUP_METRICS,
    ) -> Row:
        clips = self.clips
        bonafide = clips.score[chosen & clips.bonafide]
        spoof = clips.score[chosen & ~clips.bonafide]
        metrics = {}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", TiesWarning)
            for name, metric in wanted.items():
                interval = bootstrap(
                    metric, bonafide, spoof, n_draws=self.n_draws, seed=self.seed, level=LEVEL
                )
                metrics[name] = Value(metric(bonafide, spoof), interval.low, interval.high)
        if self.extras.official:
            metrics["eer_official"] = Value(OFFICIAL["eer"](bonafide, spoof))
        known = self.facts.trained_families
        return Row(
            part=part,
            by=by,
            group=group,
            n_bonafide=bonafide.size,
            n_spoof=spoof.size,
            trained=group in known if by == "family" and known else None,
            metrics=metrics,
            ties=str(caught[0].message) if caught else "",
        )


def _averages(rows: Sequence[Row], sets: Mapping[str, tuple[str, ...]]) -> Iterator[Average]:
    """Yield the means over the attacks of each part, and over the test sets that are there."""
    for part in dict.fromkeys(row.part for row in rows):
        attacks = {row.group: row for row in rows if row.part == part and row.by == "attack"}
        for metric in ("eer", "min_dcf") if len(attacks) > 1 else ():
            values = {name: row.metrics[metric].value for name, row in attacks.items()}
            yield average(values, part=part, over="attack", metric=metric)
    pooled = {row.part: row.metrics["eer"].value for row in rows if row.by == "all"}
    columns = {}
    for name, parts in sets.items():
        present = [pooled[part] for part in parts if part in pooled]
        if present:
            columns[name] = sum(present) / len(present)
    if columns:
        yield average(columns, part="", over="set", metric="eer")


def _rates(clips: _Clips, part: str, facts: Facts) -> Iterator[Rates]:
    inside = clips.inside(part)
    human = clips.score[inside & clips.bonafide]
    machine = clips.score[inside & ~clips.bonafide]
    points = {name: (at, at) for name, at in facts.operating_points.items()}
    if facts.thresholds:
        points = {"default": (facts.thresholds[0], facts.thresholds[1]), **points}
    for name, (low, high) in points.items():
        yield Rates(
            part=part,
            point=name,
            low=low,
            high=high,
            bonafide_as_spoof=float(np.mean(human < low)),
            bonafide_undecided=float(np.mean((human >= low) & (human < high))),
            spoof_as_bonafide=float(np.mean(machine >= high)),
            spoof_undecided=float(np.mean((machine >= low) & (machine < high))),
        )
