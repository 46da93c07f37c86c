"""Averages over attacks and test sets, and tables by one or two columns."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from unheard.errors import RecipeError, suggestion
from unheard.metrics import TiesWarning, eer, min_dcf
from unheard.types import BoolArray, IntArray

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["POOLED", "Average", "Cell", "Grid", "average", "grids", "splits"]

POOLED = "pooled"
"""Name of the row and the column of a grid that take all values together."""


@dataclass(frozen=True, kw_only=True)
class Average:
    """A plain mean of a metric over groups that all weigh the same, and the worst of them.

    Attributes:
        part: Part whose attacks are meant; "" for a mean over test sets.
        over: "attack" or "set".
        metric: Name of the metric.
        mean: Mean over the groups.
        worst: Highest value.
        worst_group: Which group has it.
        groups: Names of the groups, in order.
    """

    part: str
    over: str
    metric: str
    mean: float
    worst: float
    worst_group: str
    groups: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One meeting of two values; rates are None without clips of both classes."""

    n_bonafide: int
    n_spoof: int
    eer: float | None
    min_dcf: float | None


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Error rates by the values of one or two columns, the last row and column pooled.

    A column in which bona fide clips differ too (codec, language) splits them; in one that only
    separates spoofed clips (attack, family) every value meets all bona fide clips.

    Attributes:
        part: Part of the clips.
        by: Names of the columns, one or two.
        rows: Values of the first.
        columns: Values of the second; only `POOLED` without one.
        cells: One row of cells for each of `rows`.
    """

    part: str
    by: tuple[str, ...]
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[Cell, ...], ...]


def average(values: Mapping[str, float], *, part: str, over: str, metric: str) -> Average:
    """Return the plain mean and the worst of some values.

    Args:
        values: Value of each group, at least one.
        part: As `Average` has it.
        over: As `Average` has it.
        metric: As `Average` has it.
    """
    worst = max(sorted(values), key=values.__getitem__)
    return Average(
        part=part,
        over=over,
        metric=metric,
        mean=sum(values.values()) / len(values),
        worst=values[worst],
        worst_group=worst,
        groups=tuple(values),
    )


def grids(table: pa.Table, parts: Sequence[str], by: Sequence[Sequence[str]]) -> Iterator[Grid]:
    """Yield a table for each part and each choice of columns.

    Args:
        table: Scored clips, as `read_scores` gives them.
        parts: Parts with clips of both classes.
        by: One or two column names each.

    Raises:
        RecipeError: If a column does not exist, or more than two are named.
    """
    for names in by:
        if not 1 <= len(names) <= 2:
            raise RecipeError(f"a table by {', '.join(names)}; name one or two columns")
        for name in names:
            if name not in table.column_names:
                raise RecipeError(
                    f"the scores have no column {name!r}{suggestion(name, table.column_names)}; "
                    "columns come from the score file, the keys, or the notes of a manifest"
                )
        for part in parts:
            yield _grid(table, part, tuple(names))


def splits(values: Any, bonafide: BoolArray) -> bool:
    """Return whether a column separates bona fide clips too, and not only attacks."""
    return bool(set(values[bonafide]) - {"", "-", "bonafide"})


class _Column:
    """One column as numbers; class 0 of both labels is "not given"."""

    def __init__(self, cells: Any, bonafide: BoolArray) -> None:
        cells = cells.astype(str)
        self.splits = splits(cells, bonafide)
        named = np.where(np.isin(cells, ("", "-", "bonafide")), "", cells)
        self.names, self.codes = np.unique(named, return_inverse=True)
        spoofed: IntArray = np.unique(self.codes[~bonafide])
        self.values = [int(code) for code in spoofed if self.names[code]]

    def spoof(self, code: int | None) -> BoolArray:
        """Return the clips of a value; None for all."""
        inside: BoolArray = np.ones(self.codes.size, bool) if code is None else self.codes == code
        return inside

    def human(self, code: int | None) -> BoolArray:
        return self.spoof(code if self.splits else None)


def _grid(table: pa.Table, part: str, by: tuple[str, ...]) -> Grid:
    inside = table.column("part").to_numpy(zero_copy_only=False) == part
    score = table.column("score").to_numpy()[inside]
    bonafide = table.column("bonafide").to_numpy(zero_copy_only=False).astype(bool)[inside]
    first, *others = [
        _Column(table.column(name).to_numpy(zero_copy_only=False)[inside], bonafide) for name in by
    ]
    second = others[0] if others else None
    codes = [*second.values, None] if second else [None]
    cells = []
    for row in [*first.values, None]:
        line = []
        for code in codes:
            human, machine = bonafide & first.human(row), ~bonafide & first.spoof(row)
            if second:
                human, machine = human & second.human(code), machine & second.spoof(code)
            line.append(_cell(score[human], score[machine]))
        cells.append(tuple(line))
    return Grid(
        part=part,
        by=by,
        rows=(*(str(first.names[code]) for code in first.values), POOLED),
        columns=(*(str(second.names[code]) for code in codes[:-1]), POOLED)
        if second
        else (POOLED,),
        cells=tuple(cells),
    )


def _cell(human: Any, machine: Any) -> Cell:
    both_classes = human.size > 0 and machine.size > 0
    with warnings.catch_warnings(action="ignore", category=TiesWarning):
        return Cell(
            n_bonafide=human.size,
            n_spoof=machine.size,
            eer=eer(human, machine) if both_classes else None,
            min_dcf=min_dcf(human, machine) if both_classes else None,
        )
