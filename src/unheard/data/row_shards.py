"""The rows of an archive as Parquet shards: exactly one for each recording, after any kill.

    plan/000000.parquet        which recordings belong to which shard, written before any is scored
    rows/00000017.parquet      the rows of a shard, complete, with the columns of any Parquet output
    partial/00000017.parquet   those so far of a shard that is in work

A recording belongs to one shard for good, and a shard is written in one step by the process that
has scored it. So a shard that two machines score, because one was thought dead, is still there
once; and a killed run resumes with the recordings that have no row.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unheard.data import storage
from unheard.data.rows import flat, schema
from unheard.errors import EvaluationError
from unheard.files import parquet_bytes, spelt, writing

__all__ = ["SHARD_ROWS", "Filled", "RowShards", "Shard", "fill"]

Row = dict[str, Any]

SHARD_ROWS = 1_000
"""Recordings of a shard at most: some minutes of one process with the packaged detector."""

FEWEST_ROWS = 8
"""Recordings of the first shards, which are small so that every worker has one at once."""

_SHARDS_LEFT = 16
"""A new shard is one of so many that each worker would have of all recordings known until then."""

SAVE_S = 30.0
"""How often the rows of a shard in work are saved; what a kill costs each process at most."""

_PLAN_SHARDS = 100
_GROUP_SHARDS = 20


@dataclass(frozen=True)
class Shard:
    """Some recordings whose rows lie in one file.

    Attributes:
        number: From 0, in the order that recordings were found in.
        sources: Their paths or URLs.
    """

    number: int
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Filled:
    """What became of a shard.

    Attributes:
        number: Of the shard.
        n_rows: Recordings of the shard; each has a row now.
        n_before: Rows that were there and stay.
        n_verdicts: Rows with a score.
        errors: Of those that were tried and could not be scored, what is wrong.
    """

    number: int
    n_rows: int
    n_before: int
    n_verdicts: int
    errors: tuple[str, ...]


class RowShards:
    """The shards of one output; a context manager, one process at a time may plan in it.

    Only the plan needs that. Shards may be read and written from many machines.
    """

    def __init__(self, out: str, *, shard_rows: int = SHARD_ROWS) -> None:
        """Name an output; nothing is read or written.

        Args:
            out: A folder, or its URL.
            shard_rows: Recordings of a new shard at most.
        """
        self.out = out.rstrip("/")
        self.shard_rows = shard_rows
        self._opened = contextlib.ExitStack()

    def __enter__(self) -> RowShards:
        """Keep others from planning.

        Raises:
            EvaluationError: If another process does, or the folder holds something else.
        """
        with self._opened:
            if not storage.is_remote(self.out):
                self._lock(Path(self.out))
            self._opened = self._opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def plan(self, sources: Iterable[str], n_workers: int = 1) -> Iterator[str]:
        """Give every recording that has none a shard; yield the files of the plan, old ones first.

        Files are written while recordings are found, each about as large as all before it, so that
        work starts with the first few. Shards grow with what is known, so that workers share a
        small archive evenly and a large one has few files.

        Args:
            sources: Paths or URLs; one that comes twice counts once.
            n_workers: How many will work through the shards.
        """
        files = self.plan_files()
        known: set[str] = set()
        number = 0
        for file in files:
            for shard in self.planned(file):
                known.update(shard.sources)
                number = shard.number + 1
        yield from files
        block: list[Shard] = []
        n_files = len(files)
        for shard in self._shards(_new(sources, known), known, number, n_workers):
            block.append(shard)
            is_half = 2 * sum(len(shard.sources) for shard in block) >= len(known)
            if len(block) == _PLAN_SHARDS or (is_half and len(block) >= n_workers):
                yield self._add(n_files, block)
                n_files, block = n_files + 1, []
        if block:
            yield self._add(n_files, block)

    def plan_files(self) -> list[str]:
        """Return where the plan lies, in order."""
        return [f"{self.out}/plan/{name}" for name in storage.names(f"{self.out}/plan")]

    def n_planned(self, file: str) -> int:
        """Return the number of shards in a file of the plan."""
        import pyarrow.parquet as pq

        return int(pq.read_metadata(io.BytesIO(storage.read(file))).num_rows)

    def n_shards(self) -> int:
        """Return the number of shards in the plan."""
        return sum(map(self.n_planned, self.plan_files()))

    def planned(self, file: str) -> Iterator[Shard]:
        """Yield the shards of a file of the plan."""
        import pyarrow.parquet as pq

        for batch in pq.ParquetFile(io.BytesIO(storage.read(file))).iter_batches(_GROUP_SHARDS):
            for row in batch.to_pylist():
                yield Shard(row["shard"], tuple(map(os.fsdecode, row["sources"])))

    def rows(self, number: int) -> list[Row]:
        """Return the rows of a shard as far as there are any, those in work instead of old ones."""
        by_source: dict[str, Row] = {}
        for folder in ("rows", "partial"):
            for row in _read_rows(self._file(folder, number)):
                by_source[row["source"]] = row
        return list(by_source.values())

    def is_settled(self, number: int) -> bool:
        """Return whether a shard is complete and nobody has left rows of it aside."""
        rows, partial = (self._file(folder, number) for folder in ("rows", "partial"))
        return storage.stamp(rows) != storage.GONE == storage.stamp(partial)

    def save(self, number: int, rows: Iterable[Row]) -> None:
        """Keep the rows so far of a shard that is in work."""
        storage.write(self._file("partial", number), _row_bytes(rows))

    def finish(self, number: int, rows: Iterable[Row]) -> None:
        """Write a shard that is complete."""
        storage.write(self._file("rows", number), _row_bytes(rows))
        storage.remove(self._file("partial", number))

    def _shards(
        self, new: Iterator[str], known: set[str], number: int, n_workers: int
    ) -> Iterator[Shard]:
        """Cut recordings into shards while `known` grows by them; numbers go on from one."""
        while True:
            n_rows = max(len(known) // (_SHARDS_LEFT * n_workers), FEWEST_ROWS)
            sources = tuple(itertools.islice(new, min(n_rows, self.shard_rows)))
            if not sources:
                return
            yield Shard(number, sources)
            number += 1

    def _add(self, number: int, block: list[Shard]) -> str:
        file = f"{self.out}/plan/{number:06}.parquet"
        storage.write(file, _plan_bytes(block))
        return file

    def _file(self, folder: str, number: int) -> str:
        return f"{self.out}/{folder}/{number:08}.parquet"

    def _lock(self, folder: Path) -> None:
        import fcntl

        if folder.is_file() or (
            folder.is_dir() and not (folder / "plan").is_dir() and any(folder.iterdir())
        ):
            raise EvaluationError(
                f"{folder}: holds something else than rows of an archive; give a new folder"
            )
        with writing(folder):
            (folder / "plan").mkdir(parents=True, exist_ok=True)
            file = self._opened.enter_context((folder / ".lock").open("w"))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise EvaluationError(
                f"{folder}: another process is writing it; wait for it, or choose another folder"
            ) from error
        for unfinished in folder.glob("*/.*.unfinished*"):  # of writers that were killed
            unfinished.unlink(missing_ok=True)


def fill(
    row_shards: RowShards,
    shard: Shard,
    settings: str,
    score: Callable[[Iterable[str]], Iterator[Row]],
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Filled:
    """Score the recordings of a shard that have no row, have changed, or failed; write its rows.

    A row stays while the size and time of change of its file and the settings are the same, and
    when its file is gone.

    Args:
        row_shards: What the shard belongs to.
        shard: Which one.
        settings: Changes whenever scores may change, see `unheard.scoring.many.Settings.key`.
        score: Gives for each recording its row, in order. What it raises ends the scoring; the
            rows until then are saved.
        clock: Seconds that pass.
    """
    rows = {row["source"]: row for row in row_shards.rows(shard.number)}
    stamps = {source: storage.stamp(source) for source in shard.sources}
    tried = [
        source
        for source in shard.sources
        if not _stays(rows.get(spelt(source)), stamps[source], settings)
    ]
    saved_s = clock()
    errors: list[str] = []
    try:
        for source, row in zip(tried, score(tried), strict=True):
            size, changed_ns = stamps[source]
            known = {"size_bytes": size, "changed_ns": changed_ns, "settings": settings}
            rows[spelt(source)] = flat({**row, **known})
            if "error" in row:
                errors.append(spelt(row["error"]))
            if clock() - saved_s > SAVE_S:
                row_shards.save(shard.number, rows.values())
                saved_s = clock()
    except Exception:
        row_shards.save(shard.number, rows.values())
        raise
    if tried or not row_shards.is_settled(shard.number):
        row_shards.finish(shard.number, (rows[spelt(source)] for source in shard.sources))
    n_verdicts = sum(row["score"] is not None for row in rows.values())
    n_rows = len(shard.sources)
    return Filled(shard.number, n_rows, n_rows - len(tried), n_verdicts, tuple(errors))


def _stays(row: Row | None, stamp: storage.Stamp, settings: str) -> bool:
    if row is None or row["error"] is not None:
        return False
    same = (row["size_bytes"], row["changed_ns"], row["settings"]) == (*stamp, settings)
    return same or stamp == storage.GONE


def _new(sources: Iterable[str], known: set[str]) -> Iterator[str]:
    for source in sources:
        if source not in known:
            known.add(source)
            yield source


def _plan_bytes(shards: Iterable[Shard]) -> bytes:
    """Return a plan as Parquet; paths as bytes, for not all are UTF-8."""
    import pyarrow as pa

    columns = [("shard", pa.int64()), ("sources", pa.list_(pa.binary()))]
    rows = [
        {"shard": shard.number, "sources": list(map(os.fsencode, shard.sources))}
        for shard in shards
    ]
    table = pa.Table.from_pylist(rows, schema=pa.schema(columns))
    return parquet_bytes(table, group_rows=_GROUP_SHARDS)


def _row_bytes(rows: Iterable[Row]) -> bytes:
    import pyarrow as pa

    table = pa.Table.from_pylist(list(rows), schema=schema())
    return parquet_bytes(table, group_rows=SHARD_ROWS)


def _read_rows(file: str) -> list[Row]:
    import pyarrow.parquet as pq

    try:
        content = storage.read(file)
    except FileNotFoundError:
        return []
    rows: list[Row] = pq.read_table(io.BytesIO(content)).to_pylist()
    return rows
