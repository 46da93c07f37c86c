"""What a protocol is: selections of clips to train on, to choose by, and to test on."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from unheard.errors import EvaluationError

if TYPE_CHECKING:
    import pyarrow as pa

    from unheard.data.clip import Manifest
    from unheard.types import BoolArray

__all__ = ["Protocol", "Selection", "TestSet", "gathered", "moved", "replaced"]


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Clips of one corpus, with the human speech that its manifest holds next to them.

    Attributes:
        corpus: Name in `CORPORA`; "" for all that is in the manifest.
        parts: Parts of it, any of which may be there; empty for all.
        where: Column or note -> values, one of which a clip must have.
    """

    corpus: str = ""
    parts: tuple[str, ...] = ()
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def mask(self, manifest: Manifest) -> BoolArray:
        """Return which clips of a manifest are meant, shape [len(manifest)]."""
        import numpy as np

        inside = np.ones(len(manifest), bool)
        if self.corpus:
            inside = _equals(manifest.table, "corpus", (self.corpus,))
            if inside.any():
                inside |= manifest.bonafide()
        if self.parts:
            inside &= _equals(manifest.table, "part", self.parts)
        for name, values in self.where.items():
            inside &= _equals(manifest.table, name, values)
        return inside

    def __str__(self) -> str:
        where = [f"{name} {' or '.join(values)}" for name, values in self.where.items()]
        parts = [f"part {' or '.join(self.parts)}"] if self.parts else []
        return " ".join([self.corpus or "any corpus", *parts, *where])


@dataclass(frozen=True)
class TestSet:
    """One test set of a protocol: reported alone.

    Attributes:
        name: What the report calls it; "" keeps the parts of the clips, each reported alone.
        selections: What it consists of.
        column: Column of the authors' table that it goes into; "" is a column of its own. The
            mean over sets is one over columns, a column with several sets being their mean.
    """

    __test__: ClassVar[bool] = False  # no test of pytest's

    name: str
    selections: tuple[Selection, ...]
    column: str = ""


@dataclass(frozen=True)
class Protocol:
    """What to train on and which clips to test on.

    Attributes:
        name: Name for the report and the command line.
        tests: Test sets.
        summary: What it tests, and what of it is inferred, in sentences.
        train: Clips to train on; empty leaves it open.
        dev: Clips to choose by and calibrate on.
        mean_over: Columns that enter the plain mean of equal error rates; empty for all.
    """

    name: str
    tests: tuple[TestSet, ...]
    summary: str = ""
    train: tuple[Selection, ...] = ()
    dev: tuple[Selection, ...] = ()
    mean_over: tuple[str, ...] = ()

    @classmethod
    def of_parts(cls, name: str, parts: Iterable[str], summary: str = "") -> Protocol:
        """Return a protocol of parts of one manifest, each reported alone; no part for every one.

        Args:
            name: Its name.
            parts: Parts of the manifest, all of which must be there.
            summary: What it tests.
        """
        chosen = tuple(Selection(parts=(part,)) for part in parts) or (Selection(),)
        return cls(name, (TestSet("", chosen),), summary)

    def columns(self) -> dict[str, tuple[str, ...]]:
        """Return the columns of the mean over sets, each with the test sets in it."""
        columns: dict[str, tuple[str, ...]] = {}
        for test in self.tests:
            name = test.column or test.name
            if name and (name in self.mean_over or not self.mean_over):
                columns[name] = (*columns.get(name, ()), test.name)
        return columns

    def chosen(self, manifests: Sequence[Manifest], *, allow_missing: bool = False) -> Manifest:
        """Return the clips to test on, their part being the test set's name.

        A clip of two test sets (human speech that two corpora of fakes share) comes twice, from
        the second time on as "<id>@<test set>".

        Args:
            manifests: Clips of all corpora.
            allow_missing: Whether test sets that lack a selection are left out.

        Raises:
            EvaluationError: If a test set lacks a selection, or nothing is there.
            ManifestError: If no manifest has a part that is named without a corpus.
        """
        import pyarrow as pa

        missing: dict[str, Selection] = {}
        tables: list[pa.Table] = []
        seen: set[str] = set()
        for test in self.tests:
            lacking = [
                selection for selection in test.selections if not _is_in(selection, manifests)
            ]
            for selection in lacking:
                if not selection.corpus and len(manifests) == 1:
                    manifests[0].part(*selection.parts)  # says which parts there are
            missing |= {str(selection): selection for selection in lacking}
            if lacking:
                continue
            table = gathered(test.selections, manifests).table
            ids = table.column("id").to_pylist()
            if test.name:
                again = [
                    f"{selection}@{test.name}" if selection in seen else selection
                    for selection in ids
                ]
                table = replaced(table, "id", again)
                table = replaced(table, "part", [test.name] * len(ids))
            seen |= set(ids)
            tables.append(table)
        if not tables or (missing and not allow_missing):
            raise EvaluationError(_how_to_get(self.name, missing))
        root = manifests[0].root if len(manifests) == 1 else Path("/")
        return type(manifests[0])(pa.concat_tables(tables).combine_chunks(), root)


def gathered(selections: Sequence[Selection], manifests: Sequence[Manifest]) -> Manifest:
    """Return the clips of several selections out of several manifests, each clip once.

    Paths are absolute if there is more than one manifest.

    Args:
        selections: Which clips.
        manifests: Where they are looked for.
    """
    import numpy as np
    import pyarrow as pa

    tables = []
    for manifest in manifests:
        inside = np.logical_or.reduce([selection.mask(manifest) for selection in selections])
        part = manifest.where(inside)
        tables.append((moved(part, None) if len(manifests) > 1 else part).table)
    table = pa.concat_tables(tables)
    ids = table.column("id").to_pylist()
    first = {name: row for row, name in reversed(list(enumerate(ids)))}
    if len(first) < len(ids):
        table = table.take(pa.array(sorted(first.values()), pa.int64()))
    root = manifests[0].root if len(manifests) == 1 else Path("/")
    return type(manifests[0])(table, root)


def moved(manifest: Manifest, folder: Path | None) -> Manifest:
    """Return the same clips with paths that start from another folder.

    Args:
        manifest: Clips; their files stay where they are.
        folder: Where the manifest will lie; None makes the paths absolute.
    """
    root = manifest.root.resolve()
    start = str(root) if folder is None else os.path.relpath(root, folder.resolve())
    start = start.replace(os.sep, "/")
    if start == ".":
        return type(manifest)(manifest.table, folder or root)
    paths = [
        path if path.startswith("/") else f"{start}/{path}"
        for path in manifest.table.column("path").to_pylist()
    ]
    return type(manifest)(replaced(manifest.table, "path", paths), folder or Path("/"))


def replaced(table: pa.Table, name: str, cells: Sequence[str]) -> pa.Table:
    """Return a table with another text in one column."""
    import pyarrow as pa

    column = pa.chunked_array([pa.array(cells, pa.string())])
    return table.set_column(table.column_names.index(name), name, column)


def _is_in(selection: Selection, manifests: Sequence[Manifest]) -> bool:
    return any(selection.mask(manifest).any() for manifest in manifests)


def _equals(table: pa.Table, name: str, values: tuple[str, ...]) -> BoolArray:
    """Return in which rows a column, or a note, has one of some values."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if name in table.column_names:
        cells = table.column(name)
    else:
        cells = pc.map_lookup(table.column("notes"), pa.scalar(name), "first")
    equal: BoolArray = (
        pc.is_in(cells, value_set=pa.array(values, pa.string())).to_numpy().astype(bool)
    )
    return equal


def _how_to_get(name: str, missing: Mapping[str, Selection]) -> str:
    """Say what a protocol lacks and how to come by it."""
    corpora = sorted({selection.corpus for selection in missing.values() if selection.corpus})
    imports = "; ".join(
        f"`unheard corpus import {corpus} FOLDER --out {corpus}.parquet`" for corpus in corpora
    )
    return (
        f"the protocol {name!r} lacks {', '.join(missing)}: import what is missing ({imports}; "
        "`unheard corpus info NAME` says where to get a corpus) and give each manifest with "
        "--data, or report on the sets that are there with --allow-missing-sets"
    )
