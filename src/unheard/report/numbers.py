"""From a score table to the numbers of a report; no text, no pictures."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from unheard.errors import EvaluationError
from unheard.metrics import METRICS, TiesWarning, bootstrap, eer
from unheard.report.scores import SCORED, Facts
from unheard.types import BoolArray, FloatArray

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ALL_PARTS", "FEW_CLIPS", "Count", "Rates", "Report", "Row", "Value", "summarise"]

FEW_CLIPS = 30
"""With fewer clips of a class a rate is marked as doubtful."""

ALL_PARTS = "all parts"
LEVEL = 0.95
_GROUP_METRICS = ("eer", "min_dcf", "act_dcf")
_CLUSTER_WORK = 20_000_000


@dataclass(frozen=True)
class Value:
    """A metric and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """Metrics of one group of spoofed clips against bona fide clips of the same part.

    Attributes:
        part: Part, or `ALL_PARTS`.
        by: "all", "family", "attack" or "language".
        group: The family, attack or language; "all".
        n_bonafide: Bona fide clips.
        n_spoof: Spoofed clips.
        trained: Whether the detector was trained on this family; None if not known or no family.
        metrics: By name; "eer_by_speaker" resamples speakers and attacks instead of clips.
        ties: What a `TiesWarning` said of the equal error rate; "" without one.
    """

    part: str
    by: str = "all"
    group: str = "all"
    n_bonafide: int
    n_spoof: int
    trained: bool | None = None
    metrics: Mapping[str, Value]
    ties: str = ""

    @property
    def few(self) -> bool:
        """Whether there are too few clips of a class for the numbers to be relied on."""
        return min(self.n_bonafide, self.n_spoof) < FEW_CLIPS


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Shares of clips decided wrongly or not at all under one way to decide, in [0, 1]."""

    part: str
    point: str
    low: float
    high: float
    bonafide_as_spoof: float
    bonafide_undecided: float
    spoof_as_bonafide: float
    spoof_undecided: float


@dataclass(frozen=True, kw_only=True)
class Count:
    """How many clips of one part and class there are, and what became of them."""

    part: str
    bonafide: bool
    n_clips: int
    n_scored: int
    n_no_verdict: int
    n_unreadable: int


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that is said of one score file.

    Attributes:
        facts: What was scored, and with what.
        parts: Parts with clips of both classes, in order of name.
        counts: Clips by part and class.
        rows: Metrics; pooled first, then by family, attack, language.
        rates: Decisions at the detector's operating points.
        unscored: Id, status and reason of each clip without a score.
        n_draws: Bootstrap draws behind each interval.
        seed: Seed of the bootstrap.
    """

    facts: Facts
    parts: tuple[str, ...]
    counts: tuple[Count, ...]
    rows: tuple[Row, ...]
    rates: tuple[Rates, ...]
    unscored: tuple[tuple[str, str, str], ...]
    n_draws: int
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON has it."""
        return {"format": 1, "level": LEVEL, **asdict(self)}

    def pooled(self, part: str) -> Row:
        """Return the pooled metrics of a part."""
        return next(row for row in self.rows if row.part == part and row.by == "all")

    def results(self) -> list[dict[str, Any]]:
        """Return lines for a bundle's card: pooled and by family, for each part."""
        return [
            {
                "protocol": f"{self.facts.protocol}/{row.part}",
                "group": row.group,
                "n_bonafide": row.n_bonafide,
                "n_spoof": row.n_spoof,
                "eer": row.metrics["eer"].value,
                "eer_low": row.metrics["eer"].low,
                "eer_high": row.metrics["eer"].high,
                "metrics": {
                    name: metric.value for name, metric in row.metrics.items() if name in METRICS
                },
                "date": self.facts.date,
                "manifest": self.facts.manifest_sha256,
            }
            for row in self.rows
            if row.by in ("all", "family") and row.part != ALL_PARTS
        ]


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


def summarise(table: pa.Table, facts: Facts, *, n_draws: int = 1000, seed: int = 0) -> Report:
    """Compute every number of a report.

    Args:
        table: As `read_scores` gives it.
        facts: What the file says of its making.
        n_draws: Bootstrap draws.
        seed: Seed of the bootstrap.

    Raises:
        EvaluationError: If no part has scored clips of both classes.
    """
    import pyarrow.compute as pc

    clips = _Clips.of(table.filter(pc.equal(table.column("status"), SCORED)))
    parts = [
        part
        for part in sorted(set(clips.part))
        if len(set(clips.bonafide[clips.part == part])) == 2
    ]
    counts = _counts(table)
    if not parts:
        found = "; ".join(
            f"{count.part}: {count.n_scored} {'bona fide' if count.bonafide else 'spoofed'}"
            for count in counts
        )
        raise EvaluationError(
            f"no part has scored clips of both classes (found {found or 'no clips'}); an error "
            "rate needs both: choose another protocol, or add clips"
        )
    measure = _Measure(clips, facts, n_draws, seed)
    shown = [*parts, ALL_PARTS] if len(parts) > 1 else parts
    unscored = table.filter(pc.not_equal(table.column("status"), SCORED))
    columns = (unscored.column(name).to_pylist() for name in ("id", "status", "reason"))
    return Report(
        facts=facts,
        parts=tuple(parts),
        counts=tuple(counts),
        rows=tuple(measure.rows(shown)),
        rates=tuple(rate for part in shown for rate in _rates(clips, part, facts)),
        unscored=tuple(zip(*columns, strict=True)),
        n_draws=n_draws,
        seed=seed,
    )


def _counts(table: pa.Table) -> list[Count]:
    groups = table.group_by(["part", "bonafide", "status"]).aggregate([("id", "count")])
    found = {
        (row["part"], row["bonafide"], row["status"]): row["id_count"] for row in groups.to_pylist()
    }
    return [
        Count(
            part=part,
            bonafide=bonafide,
            n_clips=sum(n for key, n in found.items() if key[:2] == (part, bonafide)),
            n_scored=found.get((part, bonafide, SCORED), 0),
            n_no_verdict=found.get((part, bonafide, "no verdict"), 0),
            n_unreadable=found.get((part, bonafide, "unreadable"), 0),
        )
        for part, bonafide in sorted(
            {key[:2] for key in found}, key=lambda key: (key[0], not key[1])
        )
    ]


@dataclass(frozen=True, eq=False)
class _Measure:
    clips: _Clips
    facts: Facts
    n_draws: int
    seed: int

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
        row = self._row(inside, part, "all", "all", tuple(METRICS))
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

    def _row(
        self,
        chosen: BoolArray,
        part: str,
        by: str,
        group: str,
        names: Sequence[str] = _GROUP_METRICS,
    ) -> Row:
        clips = self.clips
        bonafide = clips.score[chosen & clips.bonafide]
        spoof = clips.score[chosen & ~clips.bonafide]
        metrics = {}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", TiesWarning)
            for name in names:
                interval = bootstrap(
                    METRICS[name],
                    bonafide,
                    spoof,
                    n_draws=self.n_draws,
                    seed=self.seed,
                    level=LEVEL,
                )
                metrics[name] = Value(METRICS[name](bonafide, spoof), interval.low, interval.high)
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
