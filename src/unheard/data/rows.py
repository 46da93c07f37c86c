"""Rows of long work, kept as they come: a process killed at any time loses none.

`Lines` appends rows to a file of JSON lines, one write each. `RowFile` keeps the rows of a large
scoring so; `finish` writes them in order as Parquet, CSV or JSON lines. For Parquet and CSV the
lines stay in `<out>.journal.jsonl`, next to the output; it records what is done, so keep it as
long as files are to be added.
"""

from __future__ import annotations

import contextlib
import csv
import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from unheard.data.storage import Stamp
from unheard.errors import EvaluationError, UnheardError
from unheard.files import in_one_step, spelt, writing

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["SUFFIXES", "Lines", "RowFile", "flat", "schema", "write_rows"]

SUFFIXES = (".parquet", ".csv", ".jsonl")
"""What the name of an output may end in."""

Row = dict[str, Any]

_BATCH_ROWS = 5_000
_BLOCK_BYTES = 1 << 16


class Lines:
    """JSON objects in a file, a line each, of which one process appends to the end.

    A context manager; iterating gives each object with its place.
    """

    def __init__(self, path: Path, begins: bytes, wrong: UnheardError) -> None:
        """Open a file or start one, and cut off a line that a killed process was writing.

        Args:
            path: The file; its folder is made.
            begins: How the first line begins: one that was cut off is ours if it does.
            wrong: What is raised if the file holds something else.

        Raises:
            UnheardError: `wrong`; or, of its class, that another process is writing the file.
        """
        self.path, self._wrong = path, wrong
        with writing(path), contextlib.ExitStack() as opened:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = opened.enter_context(path.open("a+b"))
            self._lock()
            self._cut(begins)
            self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # a row that could not be written: it was reported then
            self._opened.close()

    def __iter__(self) -> Iterator[tuple[int, Row]]:
        self._file.seek(0)
        offset = 0
        for line in self._file:
            try:
                row = json.loads(line)
            except ValueError as error:
                raise self._wrong from error
            if not isinstance(row, dict):
                raise self._wrong
            yield offset, row
            offset += len(line)

    def at(self, offset: int) -> Row:
        """Return the object at a place."""
        self._file.seek(offset)
        row: Row = json.loads(self._file.readline())
        return row

    def add(self, row: Row) -> int:
        """Append an object, which is on its way to the disk when this returns; return its place."""
        with writing(self.path):
            offset = self._file.seek(0, os.SEEK_END)
            self._file.write(json.dumps(row).encode() + b"\n")
            self._file.flush()
        return offset

    def clear(self) -> None:
        """Forget all of them."""
        self._file.truncate(0)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise type(self._wrong)(
                f"{self.path}: another process is writing it; wait for it, or choose another name"
            ) from error

    def _cut(self, begins: bytes) -> None:
        start = end = self._file.seek(0, os.SEEK_END)
        tail = b""
        while start and b"\n" not in tail:
            start = max(0, start - _BLOCK_BYTES)
            self._file.seek(start)
            tail = self._file.read(end - start)
        whole = start + tail.rfind(b"\n") + 1
        if not whole and not begins.startswith(tail[: len(begins)]):
            raise self._wrong
        if whole < end:
            self._file.truncate(whole)


class _Entry(NamedTuple):
    """Where a source's last row lies, what its file was like under these settings, its state."""

    offset: int
    stamp: Stamp | None
    failed: bool
    has_verdict: bool


class RowFile:
    """Rows by source, appended to disk; the last row of a source counts.

    A row is done if its file has the size and time of change it had, and the settings are the
    same. Rows of failed files are never done: they are tried again.
    """

    def __init__(self, out: Path, settings: str) -> None:
        """Open an output, or start one.

        Args:
            out: Where the rows go at the end; its suffix is one of `SUFFIXES`.
            settings: Changes whenever scores may change, see `unheard.scoring.many.Settings.key`.

        Raises:
            EvaluationError: If the suffix is another one, the file was not written by this, or
                another process is writing it.
        """
        if out.suffix not in SUFFIXES:
            raise EvaluationError(
                f"{out}: the output's name ends in {out.suffix!r}; "
                f"choose one of {', '.join(SUFFIXES)}"
            )
        self.out = out
        self.path = out if out.suffix == ".jsonl" else out.with_name(f"{out.name}.journal.jsonl")
        self._settings = settings
        self._entries: dict[str, _Entry] = {}
        if out.exists() and not self.path.exists():
            raise EvaluationError(
                f"{out}: exists, but not the {self.path.name} that says what is in it; "
                "choose another name, or delete it"
            )
        wrong = EvaluationError(
            f"{self.path}: not written by `unheard score --out`; choose another name"
        )
        with contextlib.ExitStack() as opened:
            self._lines = opened.enter_context(Lines(self.path, b'{"source": ', wrong))
            for offset, row in self._lines:
                try:
                    self._note(row, offset)
                except (KeyError, TypeError) as error:
                    raise wrong from error
            self._opened = opened.pop_all()

    def __enter__(self) -> RowFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def is_done(self, source: str, stamp: Stamp) -> bool:
        """Return whether a source was scored under these settings and has not changed since."""
        entry = self._entries.get(source)
        return entry is not None and not entry.failed and entry.stamp == stamp

    def stamp(self, source: str) -> Stamp | None:
        """Return size and time of change of a source's file when its row was made, failed or not.

        None if there is no row under these settings.
        """
        entry = self._entries.get(source)
        return entry.stamp if entry else None

    def has_verdict(self, source: str) -> bool:
        """Return whether a source has a row with a score."""
        return source in self._entries and self._entries[source].has_verdict

    def add(self, row: Row, stamp: Stamp) -> None:
        """Append a row; it is on its way to the disk when this returns.

        Args:
            row: What is known of a source: its scores, or why it has none.
            stamp: What its file was like before it was read, by `unheard.data.storage.stamp`.
        """
        size, changed_ns = stamp
        row = {**row, "size_bytes": size, "changed_ns": changed_ns, "settings": self._settings}
        self._append(row)

    def move(self, old: str, new: str, stamp: Stamp) -> Row:
        """Give the row of a source to another one, and return it; a kill may lose it."""
        row = self._lines.at(self._entries[old].offset)
        self._append({"source": old, "moved_to": new})
        self.add({**row, "source": new}, stamp)
        return row | {"source": new}

    def finish(self) -> Path:
        """Write the output, one row for each source, sorted by source; return its path."""
        columns = schema()
        if self.out.suffix == ".jsonl":
            return write_rows(self.rows(), self.out, columns)
        if self.out.suffix == ".csv":
            columns = columns.remove(columns.get_field_index("windows"))
        return write_rows(map(flat, self.rows()), self.out, columns)

    def rows(self) -> Iterator[Row]:
        """Yield the row of each source, sorted by source."""
        for source in sorted(self._entries):
            yield self._lines.at(self._entries[source].offset)

    def _append(self, row: Row) -> None:
        self._note(row, self._lines.add(row))

    def _note(self, row: Row, offset: int) -> None:
        if "moved_to" in row:
            self._entries.pop(row["source"], None)
            return
        failed = "error" in row
        same = row["settings"] == self._settings
        self._entries[row["source"]] = _Entry(
            offset,
            (row["size_bytes"], row["changed_ns"]) if same else None,
            failed,
            not failed and row["score"] is not None,
        )


def _text(value: Any) -> Any:
    return spelt(value) if isinstance(value, str) else value


def flat(row: Row) -> Row:
    """Return a row with one level of names, those of `schema`, all of them in every row."""
    detector = row.get("detector") or {}
    low, high = row.get("thresholds") or (None, None)
    return {
        **{name: _text(row.get(name)) for name in _KINDS},
        "spoof_below": low,
        "bonafide_from": high,
        "detector": detector.get("name"),
        "detector_version": detector.get("version"),
        "detector_sha256": detector.get("sha256"),
    }


_KINDS = {
    "source": "string",
    "score": "float64",
    "spoof_probability": "float64",
    "decision": "string",
    "reason": "string",
    "error": "string",
    "channel": "string",
    "track": "string",
    "warnings": "strings",
    "segments": "segments",
    "experts": "experts",
    "windows": "windows",
    "duration_s": "float64",
    "speech_s": "float64",
    "operating_point": "string",
    "spoof_below": "float64",
    "bonafide_from": "float64",
    "spoof_prior": "float64",
    "detector": "string",
    "detector_version": "string",
    "detector_sha256": "string",
    "size_bytes": "int64",
    "changed_ns": "int64",
    "settings": "string",
}


def schema() -> pa.Schema:
    """Return the columns of a table of rows."""
    import pyarrow as pa

    expert = {"name": pa.string(), "score": pa.float64(), "weight": pa.float64()}
    experts = pa.list_(pa.struct(list(expert.items())))
    window = {"start_s": pa.float64(), "end_s": pa.float64()}
    window |= {"score": pa.float64(), "speech_s": pa.float64(), "experts": experts}
    segment = {"start_s": pa.float64(), "end_s": pa.float64()}
    segment |= {"score": pa.float64(), "decision": pa.string()}
    kinds = {
        "string": pa.string(),
        "float64": pa.float64(),
        "int64": pa.int64(),
        "strings": pa.list_(pa.string()),
        "segments": pa.list_(pa.struct(list(segment.items()))),
        "experts": experts,
        "windows": pa.list_(pa.struct(list(window.items()))),
    }
    return pa.schema([(name, kinds[kind]) for name, kind in _KINDS.items()])


def write_rows(rows: Iterable[Row], out: Path, columns: pa.Schema) -> Path:
    """Write rows as a table, in one step; return its path.

    Args:
        rows: The rows; bytes of file names that are not UTF-8 are spelt out in tables.
        out: File whose name ends in one of `SUFFIXES`; .jsonl holds the rows as they are.
        columns: Columns of the table. A list becomes text in CSV: its items behind each other
            with "; " between them, the values of an item with blanks.

    Raises:
        OutputError: If it cannot be written.
    """
    write = {".parquet": _write_parquet, ".csv": _write_csv, ".jsonl": _write_jsonl}
    with in_one_step(out) as unfinished:
        write[out.suffix](iter(rows), unfinished, columns)
    return out


def _write_parquet(rows: Iterator[Row], path: Path, columns: pa.Schema) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetWriter(path, columns, compression="zstd") as writer:
        while batch := list(islice(rows, _BATCH_ROWS)):
            cells = [{name: _text(row[name]) for name in columns.names} for row in batch]
            writer.write_table(pa.Table.from_pylist(cells, schema=columns))


def _write_csv(rows: Iterator[Row], path: Path, columns: pa.Schema) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns.names)
        for row in rows:
            writer.writerow([_cell(row[field.name], field.type) for field in columns])


def _cell(value: Any, kind: pa.DataType) -> Any:
    """Return a value as CSV has it."""
    if not hasattr(kind, "value_type"):
        return _text(value)
    fields = getattr(kind.value_type, "names", None)
    items = value or []
    return "; ".join(" ".join(str(item[n]) for n in fields) if fields else item for item in items)


def _write_jsonl(rows: Iterator[Row], path: Path, columns: pa.Schema) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, allow_nan=False) + "\n")
