r"""Your own recordings, listed in a table: CSV, TSV or Parquet, with columns that you name.

    root/meta.csv                              the table, in root or elsewhere
    root/clips/0001.wav ...                    the files that it lists, relative to root

By default the table is `meta.csv` with the columns "path" and "label". Anything else is set by
the fields of `Table`, in Python or as `--set FIELD=VALUE` of `unheard corpus import table`:

    table       the table, relative to root: "meta.csv", "lists/all.tsv", "data/*.parquet"
    path        column of the file, relative to root and `folder`
    label       column of the label
    bonafide    words for human speech, comma-separated: "real" or "real, live"
    spoof       words for generated speech; "*" for every word that is not one of `bonafide`
    part, attack, family, speaker, language, text, codec
                columns that hold these; without one the part is "eval", the attack "spoof"
    audio       column of a Parquet table that holds the recordings themselves, instead of `path`
    folder      where the files lie, if the paths of the table do not say: "clips"
    suffix      what to add to a path that lacks it: ".wav"
    delimiter   what stands between columns, such as "|" or the words tab and space; else that of
                tab, comma and semicolon which the header has
    quotes      "no" where quotation marks are part of the text and enclose no field

For example In-the-Wild, which has its own reader, would be read by

    unheard corpus import table ROOT --out wild.parquet --set path=file --set speaker=speaker

and the Parquet files of a data-set hub, where 0 is human, by

    unheard corpus import table ROOT --out hub.parquet --set table='data/*.parquet' \
        --set audio=audio --set label=target --set bonafide=0 --set spoof='*'

Labels are compared without regard to case, and 0 and 1 are never guessed: corpora disagree on them.
Columns that no field names are kept in the notes of a clip.

Licence, citation, counts: yours. Known defects: whatever differs between the classes apart from
the label (rate, format, level, silence, length) a detector will learn; run `unheard corpus check`.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from unheard.data.clip import BONAFIDE_ATTACK, Clip
from unheard.data.shards import MARK
from unheard.data.tables import (
    BONAFIDE_WORDS,
    SPOOF_WORDS,
    check_part,
    csv_rows,
    delimiter_of,
    lines,
)
from unheard.errors import CorpusError, suggestion

if TYPE_CHECKING:
    import pyarrow.parquet as pq

__all__ = ["Table"]

_ONLY_PART = "eval"
_ANY_OTHER = "*"
_DELIMITERS = {"tab": "\t", r"\t": "\t", "space": " "}
_COLUMNS = (
    *("path", "label", "part", "attack", "family"),
    *("speaker", "language", "text", "codec"),
)

Row = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Table:
    """Reader of a table with columns of your naming; fields are in the module's docstring."""

    table: str = "meta.csv"
    path: str = "path"
    label: str = "label"
    bonafide: str = ", ".join(BONAFIDE_WORDS)
    spoof: str = ", ".join(SPOOF_WORDS)
    part: str = ""
    attack: str = ""
    family: str = ""
    speaker: str = ""
    language: str = ""
    text: str = ""
    codec: str = ""
    audio: str = ""
    folder: str = ""
    suffix: str = ""
    delimiter: str = ""
    quotes: str = "yes"

    name: ClassVar[str] = "table"
    parts: ClassVar[tuple[str, ...]] = ()
    published: ClassVar[Mapping[str, tuple[int, int]]] = {}
    licence: ClassVar[str] = "yours"
    source: ClassVar[str] = "your own recordings, listed in a table"
    citation: ClassVar[str] = "yours"
    defects: ClassVar[tuple[str, ...]] = (
        "Whatever differs between the classes apart from the label (rate, format, level, silence, "
        "length) a detector will learn; run `unheard corpus check`.",
    )

    def parts_in(self, root: Path) -> tuple[str, ...]:
        """Return the parts that the table names, sorted; "eval" if it names none.

        Raises:
            CorpusError: If there is no such table, or it is malformed.
        """
        if not self.part:
            self._tables(root)
            return (_ONLY_PART,)
        return tuple(sorted({self._part(row) for _, _, row in self._rows(root)}))

    def clips(self, root: Path, part: str) -> Iterator[Clip]:
        """Yield the clips of a part, in the order of the table.

        Args:
            root: Folder that the paths of the table start from.
            part: One of `parts_in`.

        Raises:
            CorpusError: If there is no such part or table, a column does not exist, or a row has a
                label of neither class, no path, one that leaves the root, or one seen before.
        """
        known = self.parts_in(root)
        check_part(str(root), part, known)
        bonafide, spoof = _words(self.bonafide), _words(self.spoof)
        if both := bonafide & spoof:
            raise CorpusError(
                f"label {min(both)!r} is a word of both bonafide and spoof; "
                "leave it in one: set spoof to your words, or to '*' for every other"
            )
        corpus = root.resolve().name
        for where, path, row in self._rows(root):
            if self._part(row) == part:
                word = row[self.label].strip()
                human = _is_bonafide(word, where, bonafide, spoof)
                yield self._clip(row, path, corpus, human)

    def _clip(self, row: Row, path: str, corpus: str, bonafide: bool) -> Clip:
        cells = {name: self._cell(row, name) for name in _COLUMNS if name not in ("path", "label")}
        named = {getattr(self, name) for name in _COLUMNS}
        attack = cells["attack"] if cells["attack"] != BONAFIDE_ATTACK else ""
        return Clip(
            id=f"{corpus}/{path}",
            path=path,
            bonafide=bonafide,
            part=self._part(row),
            attack=BONAFIDE_ATTACK if bonafide else attack or "spoof",
            family=BONAFIDE_ATTACK if bonafide else cells["family"] or "unknown",
            speaker=f"{corpus}/{cells['speaker']}" if cells["speaker"] else "",
            corpus=corpus,
            language=cells["language"],
            text=cells["text"],
            codec=cells["codec"],
            notes={name: value for name, value in row.items() if value and name not in named},
        )

    def _cell(self, row: Row, name: str) -> str:
        """What a row says in the column of a field, if there is such a column."""
        column: str = getattr(self, name)
        return row[column].strip() if column else ""

    def _part(self, row: Row) -> str:
        return self._cell(row, "part") or _ONLY_PART

    def _tables(self, root: Path) -> list[Path]:
        """The files that the table is, in order of their names."""
        named = Path(self.table)
        tables = [named] if named.is_absolute() else sorted(root.glob(self.table))
        if not tables or not all(path.is_file() for path in tables):
            raise CorpusError(
                f"{root}: no table {self.table!r} in it; give its name, relative to that folder, "
                "as in --set table=lists/all.csv"
            )
        return tables

    def _rows(self, root: Path) -> Iterator[tuple[str, str, Row]]:
        """Place for messages, path of the clip and columns of each row."""
        columns = [getattr(self, name) for name in _COLUMNS if not (self.audio and name == "path")]
        needed = [column for column in columns if column]
        seen: set[str] = set()
        for table in self._tables(root):
            in_parquet = table.suffix.lower() == ".parquet"
            read = _parquet_rows if in_parquet else self._csv_rows
            shard = self._shard(root, table) if self.audio else ""
            for number, (where, row) in enumerate(read(table, needed)):
                path = f"{shard}{number}" if shard else self._inside(root, row[self.path], where)
                if path in seen:
                    raise CorpusError(
                        f"{where}: {path} is listed a second time; leave one of the rows out"
                    )
                seen.add(path)
                yield where, path, row

    def _csv_rows(self, table: Path, needed: list[str]) -> Iterator[tuple[str, Row]]:
        quoting = self.quotes.strip().lower() != "no"
        _, first = next(lines(table, "a table as text, or as .parquet"), (1, ""))
        usual = delimiter_of(first) or ("\t" if table.suffix.lower() == ".tsv" else ",")
        delimiter = _DELIMITERS.get(self.delimiter, self.delimiter) or usual
        if len(delimiter) != 1:
            raise CorpusError(
                f"delimiter is {delimiter!r}; one character wanted, or the word tab; "
                "a table separated by any number of spaces must be rewritten"
            )
        header = first.replace('"', "" if quoting else '"').split(delimiter)
        _check(table, needed, [name.strip() for name in header])
        rows = csv_rows(table, wanted=needed, delimiter=delimiter, quoting=quoting, exact=True)
        return ((f"{table}:{number}", row) for number, row in rows)

    def _shard(self, root: Path, table: Path) -> str:
        """How the paths of recordings within a table begin."""
        if table.suffix.lower() != ".parquet":
            raise CorpusError(
                f"{table}: recordings in a column ({self.audio!r}) are read from .parquet files; "
                "set table to those, or leave audio out and set path"
            )
        _check(table, [self.audio], _parquet(table).schema_arrow.names)
        inside = _relative(root, Path(os.path.abspath(table)).as_posix(), str(table))
        return f"{inside}{MARK}{self.audio}{MARK}"

    def _inside(self, root: Path, cell: str, where: str) -> str:
        """A path of the table, relative to root, with forward slashes."""
        path, mark, member = cell.strip().replace("\\", "/").partition(MARK)
        if not path:
            raise CorpusError(f"{where}: no path in column {self.path!r}; leave the row out")
        if not mark and not path.endswith(self.suffix):
            path += self.suffix
        return _relative(root, posixpath.join(self.folder, path), where) + mark + member


def _relative(root: Path, path: str, where: str) -> str:
    inside = posixpath.normpath(path)
    if inside.startswith("/"):
        inside = inside.removeprefix(Path(os.path.abspath(root)).as_posix() + "/")
    if inside.startswith(("/", "../")):
        raise CorpusError(
            f"{where}: {path} lies outside {root}; give a folder that holds all the files"
        )
    return inside


def _parquet(table: Path) -> pq.ParquetFile:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(table)
    except (pa.ArrowInvalid, OSError) as error:
        raise CorpusError(
            f"{table}: not a readable Parquet file ({error}); fetch or write it again"
        ) from error


def _parquet_rows(table: Path, needed: list[str]) -> Iterator[tuple[str, Row]]:
    """Rows of a Parquet table as text; columns of bytes and of lists are not read."""
    import pyarrow as pa

    with _parquet(table) as file:
        plain = [
            field.name
            for field in file.schema_arrow
            if not (pa.types.is_nested(field.type) or "binary" in str(field.type))
        ]
        _check(table, needed, plain)
        number = 0
        for batch in file.iter_batches(columns=plain):
            for row in batch.to_pylist():
                texts = {name: "" if value is None else str(value) for name, value in row.items()}
                yield f"{table}: row {number}", texts
                number += 1


def _check(table: Path, needed: list[str], header: list[str]) -> None:
    """Refuse a table that lacks a column, with the nearest name it has."""
    for name in needed:
        if name not in header:
            near = suggestion(name, header) if header else "; it has none"
            raise CorpusError(
                f"{table}: no column {name!r}{near}; say which column it is, as in "
                "--set path=NAME or --set label=NAME"
            )


def _words(listed: str) -> set[str]:
    return {word.strip().lower() for word in listed.split(",") if word.strip()}


def _is_bonafide(word: str, where: str, bonafide: set[str], spoof: set[str]) -> bool:
    if word.lower() in bonafide:
        return True
    if word.lower() in spoof or _ANY_OTHER in spoof:
        return False
    raise CorpusError(
        f"{where}: label {word!r} is none of {', '.join(sorted(bonafide))} (bona fide) and none of "
        f"{', '.join(sorted(spoof))} (spoofed); name it in one of them, as in --set bonafide="
        f"{word or 'WORD'} or --set spoof={word or 'WORD'}"
    )
