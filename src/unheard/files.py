"""Files that are written in one step: a reader sees the whole new file, or the one before.

And what such files are made of: bytes that have reached the disk, tables as bytes, names as
text.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["in_one_step", "parquet_bytes", "spelt", "write_through"]


@contextmanager
def in_one_step(path: Path) -> Iterator[Path]:
    """Give a path next to a file to write to; at the end it takes the file's place.

    Its folder is made. The suffix is that of the file, since libraries go by it. If writing fails,
    nothing is left, and what was there stays. Several processes may write one file at once.

    Args:
        path: The file to be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.stem}.{os.getpid()}.unfinished{path.suffix}")
    try:
        yield unfinished
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def spelt(text: str) -> str:
    """Return a text with bytes of a file name that are not UTF-8 spelt out, as tables need it."""
    return text.encode("utf-8", "backslashreplace").decode()


def write_through(path: Path, content: bytes) -> None:
    """Write a file and wait until its content is on the disk."""
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def parquet_bytes(table: pa.Table, *, group_rows: int | None = None) -> bytes:
    """Return a table as the content of a Parquet file.

    Args:
        table: The table.
        group_rows: Rows that are read at once; None leaves it to the library.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", row_group_size=group_rows)
    content: bytes = sink.getvalue().to_pybytes()
    return content
