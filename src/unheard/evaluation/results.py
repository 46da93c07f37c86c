"""What a report holds, as values: made by `numbers`, shown by `text` and `pictures`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from unheard.audio.conditions import RAW
from unheard.evaluation.conditions import ConditionRow
from unheard.evaluation.groups import Average, Grid
from unheard.evaluation.pages import PageRate
from unheard.evaluation.scores import Facts
from unheard.evaluation.segments import SegmentRow
from unheard.metrics import METRICS, AsvRates

__all__ = [
    "ALL_PARTS",
    "FEW_CLIPS",
    "LEVEL",
    "PLAIN",
    "Count",
    "Extras",
    "Rates",
    "Report",
    "Row",
    "Value",
]

FEW_CLIPS = 30
"""With fewer clips of a class a rate is marked as doubtful."""

ALL_PARTS = "all parts"
LEVEL = 0.95


@dataclass(frozen=True)
class Value:
    """A metric and its 95 % bootstrap interval; None for metrics that are not resampled."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Extras:
    """What a report holds in addition to its usual numbers.

    Attributes:
        official: Whether to give the EER as the ASVspoof packages define it, next to ours.
        asv: Rates of a speaker verifier, for min t-DCF.
        by: Tables by one or two columns each.
        sets: Columns of the mean over test sets, each with the parts in it.
    """

    official: bool = False
    asv: AsvRates | None = None
    by: tuple[tuple[str, ...], ...] = ()
    sets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


PLAIN = Extras()
"""A report without extras."""


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
        metrics: By name; "eer_by_speaker" resamples speakers and attacks instead of clips,
            "eer_official", "min_tdcf" and "min_tdcf_legacy" are there if asked for.
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
        averages: Plain means over attacks, and over test sets.
        pages: Numbers over pages and unseen systems, where clips name their page.
        segments: Which part of a recording is synthetic, where labels hold segments.
        grids: Tables by one or two columns.
        conditions: The same clips under conditions; all else is over the clips as they are.
        unscored: Id, status and reason of each clip without a score.
        n_draws: Bootstrap draws behind each interval.
        seed: Seed of the bootstrap.
    """

    facts: Facts
    parts: tuple[str, ...]
    counts: tuple[Count, ...]
    rows: tuple[Row, ...]
    rates: tuple[Rates, ...]
    averages: tuple[Average, ...]
    pages: tuple[PageRate, ...]
    segments: tuple[SegmentRow, ...]
    grids: tuple[Grid, ...]
    conditions: tuple[ConditionRow, ...]
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
        """Return lines for a bundle's card: by family, language and condition, for each part."""
        known = {"date": self.facts.date, "manifest": self.facts.manifest_sha256}
        as_they_are = [
            {
                "protocol": f"{self.facts.protocol}/{row.part}",
                "group": "all" if row.by == "language" else row.group,
                "language": row.group if row.by == "language" else "",
                "n_bonafide": row.n_bonafide,
                "n_spoof": row.n_spoof,
                "eer": row.metrics["eer"].value,
                "eer_low": row.metrics["eer"].low,
                "eer_high": row.metrics["eer"].high,
                "metrics": {
                    name: metric.value for name, metric in row.metrics.items() if name in METRICS
                },
                **known,
            }
            for row in self.rows
            if row.by in ("all", "family", "language") and row.part != ALL_PARTS
        ]
        changed = [
            {
                "protocol": f"{self.facts.protocol}/{row.part}",
                "condition": row.condition,
                "n_bonafide": row.n_bonafide,
                "n_spoof": row.n_spoof,
                "eer": row.eer,
                "eer_low": row.eer_low,
                "eer_high": row.eer_high,
                "metrics": {
                    name: value
                    for name in ("undecided", "wrong", "bonafide_as_spoof", "spoof_as_bonafide")
                    if (value := getattr(row, name)) is not None
                },
                **known,
            }
            for row in self.conditions
            if row.eer is not None and row.condition != RAW and row.part != ALL_PARTS
        ]
        return [*as_they_are, *changed]

    def page_lines(self) -> list[dict[str, Any]]:
        """Return the numbers over pages and systems as lines for a bundle's card."""
        known = {"date": self.facts.date, "manifest": self.facts.manifest_sha256}
        return [
            {
                **{name: value for name, value in asdict(rate).items() if name != "part"},
                "protocol": f"{self.facts.protocol}/{rate.part}",
                **known,
            }
            for rate in self.pages
            if rate.part != ALL_PARTS
        ]
