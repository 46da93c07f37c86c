"""How well a detector says which part of a recording is synthetic, in tables."""

from __future__ import annotations

from collections.abc import Iterator

from unheard.evaluation.markup import Block, Heading, Table, Words
from unheard.evaluation.results import Report
from unheard.evaluation.segments import RESOLUTIONS_S, Estimate, SegmentRow

__all__ = ["segments"]


def segments(report: Report) -> Iterator[Block]:
    """Yield the numbers of segments, if labels of clips hold segments."""
    if not report.segments:
        return
    yield Heading("Which part is synthetic")
    yield Words(
        "People: recordings in which every stretch is real, spliced ones included; what is called "
        "synthetic there is false. Found: inserted stretches that a called one overlaps. F1: of "
        "time that is called. Boundary: mean distance of the ends, of stretches that were found. "
        "Range EER and EER in cells: of window scores over time, without a threshold. Intervals "
        "draw recordings whole; that of false segments reaches to what a Poisson count allows."
    )
    yield _of_people(report)
    yield _of_splices(report)


def _of_people(report: Report) -> Block:
    people = [row for row in report.segments if row.people]
    if not any(row.metrics for row in people):
        return Words("The detector has no operating point of segments: none is called synthetic.")
    return Table(
        ("people", "of", "recordings", "hours", "false segments an hour"),
        tuple(
            (
                row.part,
                _name(row),
                f"{row.n_recordings:,}",
                f"{row.hours:.2f}",
                _shown(row.metrics.get("false_per_hour"), ".1f"),
            )
            for row in people
        ),
    )


def _of_splices(report: Report) -> Block:
    cells = [f"eer_{length:g}s" for length in RESOLUTIONS_S]
    return Table(
        (
            *("spliced", "of", "stretches", "found", "F1", "boundary, s", "range EER"),
            *(f"EER, {length:g} s" for length in RESOLUTIONS_S),
        ),
        tuple(
            (
                row.part,
                _name(row),
                f"{row.n_stretches:,}",
                _shown(row.metrics.get("found"), ".0%"),
                _shown(row.metrics.get("f1"), ".2f"),
                _shown(row.metrics.get("boundary_s"), ".2f"),
                *(_shown(row.metrics.get(name), ".1%") for name in ("range_eer", *cells)),
            )
            for row in report.segments
            if not row.people
        ),
    )


def _name(row: SegmentRow) -> str:
    return row.group if row.by == "all" else f"{row.by}: {row.group}"


def _shown(estimate: Estimate | None, form: str) -> str:
    if estimate is None:
        return "-"
    return f"{estimate.value:{form}} ({estimate.low:{form}} to {estimate.high:{form}})"
