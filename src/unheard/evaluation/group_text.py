"""Averages and tables by columns, in words and tables."""

from __future__ import annotations

from collections.abc import Iterator

from unheard.evaluation.groups import Cell, Grid
from unheard.evaluation.markup import Block, Heading, Table, Words
from unheard.evaluation.results import FEW_CLIPS, Report
from unheard.metrics import METRICS

__all__ = ["METRIC_NAMES", "averages", "grids", "pages", "rate"]

METRIC_NAMES = {
    "eer": "EER",
    "eer_official": "EER, official",
    "eer_by_speaker": "EER, by speaker and attack",
    "min_dcf": "minDCF",
    "act_dcf": "actDCF",
    "cllr": "Cllr, bits",
    "min_cllr": "min Cllr, bits",
    "min_tdcf": "min t-DCF, revised",
    "min_tdcf_legacy": "min t-DCF, legacy",
}
"""What a report calls a metric; also the order of its rows."""

METRIC_NAMES |= {name: name for name in METRICS if name not in METRIC_NAMES}


def rate(name: str, value: float) -> str:
    """Return a metric as text: an error rate in percent, a cost as it is."""
    return f"{value:.2%}" if name.startswith("eer") else f"{value:.3f}"


def pages(report: Report) -> Iterator[Block]:
    """Yield the numbers over pages and unseen systems, if clips name their page."""
    if not report.pages:
        return
    yield Heading("Over pages and unseen systems")
    unseen = (
        "Unseen is a system if nothing that the detector was trained on has its base system."
        if report.facts.trained_systems
        else "Unseen is a system that no page of train or dev has: this detector's card does "
        "not say what else it was trained on."
    )
    yield Words(
        "Means over systems or pages let each weigh the same; a system needs 4 clips, a page 4 of "
        "each class, a page or source corpus of people 10 to be named as the worst. Within a page "
        "both classes share rate, codec and room. " + unseen + " Shares are at the default "
        "decision; a clip without a verdict is undecided. Intervals draw pages or source corpora, "
        "and systems, whole."
    )
    yield Table(
        ("part", "number", "value", "bona fide", "spoof", "groups", "worst", "of"),
        tuple(
            (
                rate.part,
                rate.name,
                f"{rate.value:.1%}"
                + ("" if rate.low is None else f" ({rate.low:.1%} to {rate.high:.1%})"),
                f"{rate.n_bonafide:,}",
                f"{rate.n_spoof:,}",
                f"{rate.n_groups}",
                "-" if rate.worst is None else f"{rate.worst:.1%}",
                rate.worst_group or "-",
            )
            for rate in report.pages
        ),
    )


def averages(report: Report) -> Iterator[Block]:
    """Yield the plain means over attacks and test sets, if there are any."""
    if not report.averages:
        return
    yield Heading("Averages")
    yield Words(
        "Plain means over groups that all weigh the same. A pooled rate has one threshold for all "
        "groups, so it is not their mean."
    )
    yield Table(
        ("mean over", "groups", "metric", "mean", "worst", "of"),
        tuple(
            (
                f"attacks of {average.part}" if average.part else "test sets",
                f"{len(average.groups)}",
                METRIC_NAMES[average.metric],
                rate(average.metric, average.mean),
                rate(average.metric, average.worst),
                average.worst_group,
            )
            for average in report.averages
        ),
    )


def grids(report: Report) -> Iterator[Block]:
    """Yield the tables by one or two columns that were asked for."""
    for grid in report.grids:
        yield Heading(f"EER by {' and '.join(grid.by)}, {grid.part}")
        yield Words(
            "Spoofed clips of each value against the bona fide clips of the same value where "
            f"these have one, else against all; * marks fewer than {FEW_CLIPS} clips of a class."
        )
        yield _grid_table(grid)


def _grid_table(grid: Grid) -> Table:
    if len(grid.by) == 1:
        lines = [(name, cells[0]) for name, cells in zip(grid.rows, grid.cells, strict=True)]
        return Table(
            (grid.by[0], "bona fide", "spoof", "EER", "minDCF"),
            tuple(
                (
                    name,
                    f"{cell.n_bonafide:,}",
                    f"{cell.n_spoof:,}",
                    _grid_cell(cell),
                    "-" if cell.min_dcf is None else rate("min_dcf", cell.min_dcf),
                )
                for name, cell in lines
            ),
        )
    return Table(
        (" \u00d7 ".join(grid.by), *grid.columns),
        tuple(
            (name, *map(_grid_cell, cells))
            for name, cells in zip(grid.rows, grid.cells, strict=True)
        ),
    )


def _grid_cell(cell: Cell) -> str:
    if cell.eer is None:
        return "-"
    few = " *" if min(cell.n_bonafide, cell.n_spoof) < FEW_CLIPS else ""
    return f"{cell.eer:.2%}{few}"
