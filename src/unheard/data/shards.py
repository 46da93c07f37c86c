"""Audio inside tar files and Parquet tables, addressed by a path like a loose file.

    LA/x.flac                      a file
    shards/000.tar::LA/x.flac      a member of a tar file, by its name in it
    data/0.parquet::audio::17      row 17, from 0, of a column of bytes, or of structs with "bytes"

The index of a tar is read once by each process, member by member, without its content. Nothing
stays open between two reads, so processes that a loader forks share no place in a file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unheard.errors import AudioError
from unheard.files import open_regular

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MARK", "parquet_members", "source", "tar_finder", "tar_members"]

MARK = "::"
"""Stands between a shard's path and what is inside it."""

Stamp = tuple[int, int]


def source(root: Path, path: str) -> Path | bytes:
    """Return what `unheard.audio.read` takes: where a file lies, or the bytes of a member.

    Args:
        root: Folder that the path starts from.
        path: Of a file, whether it exists or not, or of a member of a shard.

    Raises:
        AudioError: If the shard cannot be read, or holds no such member.
    """
    shard, mark, inside = path.partition(MARK)
    if not mark:
        return root / path
    column, mark, row = inside.rpartition(MARK)
    try:
        if mark and shard.lower().endswith(".parquet"):
            return _row(root / shard, column, row)
        return _member(root / shard, inside)
    except OSError as error:
        raise AudioError(
            f"{root / shard}: cannot be read ({error}); check that the shard is where it was "
            "when the manifest was made"
        ) from error


def tar_members(path: Path) -> tuple[str, ...]:
    """Return the names of the files in a tar, in its order.

    Raises:
        AudioError: If it cannot be read, or is compressed.
    """
    try:
        return tuple(_index(str(path), _stamp(path)))
    except OSError as error:
        raise AudioError(f"{path}: cannot be read ({error}); check the path") from error


def tar_finder(root: Path, tars: list[str]) -> Callable[[str], str | None]:
    """Return a function that finds a listed file in some tars.

    A member fits if its name ends as the listed path does, folder by folder, or the other way
    round; or if no other member has its file name.

    Args:
        root: Folder that all paths start from.
        tars: Paths of the tars.

    Returns:
        A function from a listed path to the path of its member, None if no member or more than one
        fits.

    Raises:
        AudioError: If a tar cannot be read.
    """
    by_name: dict[str, list[tuple[str, str]]] = {}
    for tar in tars:
        for member in tar_members(root / tar):
            by_name.setdefault(member.rpartition("/")[2], []).append((tar, member))

    def find(listed: str) -> str | None:
        named = by_name.get(listed.rpartition("/")[2], [])
        fitting = [(tar, member) for tar, member in named if _fits(listed, member)] or named
        return MARK.join(fitting[0]) if len(fitting) == 1 else None

    return find


def parquet_members(path: Path, column: str) -> Iterator[str]:
    """Yield the path of each row's audio in a Parquet file, beginning with the path as given.

    Args:
        path: A Parquet file.
        column: Column of bytes, or of structs with a field "bytes", as data-set hubs store audio.

    Raises:
        AudioError: If it is no Parquet file, or the column does not exist or holds something else.
    """
    try:
        file = _parquet(str(path), _stamp(path))
    except OSError as error:
        raise AudioError(f"{path}: cannot be read ({error}); check the path") from error
    _leaf(path, file.schema, column)
    for row in range(file.starts[-1]):
        yield f"{path.as_posix()}{MARK}{column}{MARK}{row}"


def _fits(listed: str, member: str) -> bool:
    listed_path, member_path = f"/{listed}", f"/{member.removeprefix('./')}"
    return listed_path.endswith(member_path) or member_path.endswith(listed_path)


def _stamp(path: Path) -> Stamp:
    stat = os.stat(path)
    return stat.st_size, stat.st_mtime_ns


def _member(path: Path, name: str) -> bytes:
    with open_regular(path) as stream:
        stat = os.fstat(stream.fileno())
        index = _index(str(path), (stat.st_size, stat.st_mtime_ns))
        if name not in index:
            raise AudioError(
                f"{path}: holds no member {name!r} among its {len(index)}; import the corpus again"
            )
        offset, n_bytes = index[name]
        stream.seek(offset)
        return stream.read(n_bytes)


@cache
def _index(path: str, stamp: Stamp) -> Mapping[str, tuple[int, int]]:
    """Offset and size of each file in a tar; the stamp makes a tar that was replaced another."""
    import tarfile

    try:
        with tarfile.open(path, "r:") as tar:
            return {
                member.name: (member.offset_data, member.size) for member in tar if member.isreg()
            }
    except tarfile.TarError as error:
        raise AudioError(
            f"{path}: not a whole, plain tar ({error}); fetch it again, or if it is compressed, "
            "uncompress it to a plain .tar"
        ) from error


class _Parquet:
    """Layout of a Parquet file: `starts` are the first rows of its groups, and its length."""

    def __init__(self, path: str) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            self.metadata = pq.read_metadata(path)
        except pa.ArrowInvalid as error:
            raise AudioError(
                f"{path}: not a readable Parquet file ({error}); fetch it again"
            ) from error
        self.schema: pa.Schema = self.metadata.schema.to_arrow_schema()
        self.starts = [0]
        for group in range(self.metadata.num_row_groups):
            self.starts.append(self.starts[-1] + self.metadata.row_group(group).num_rows)


@lru_cache(maxsize=1024)
def _parquet(path: str, stamp: Stamp) -> _Parquet:
    return _Parquet(path)


def _row(path: Path, column: str, row: str) -> bytes:
    from bisect import bisect_right

    stamp = _stamp(path)
    file = _parquet(str(path), stamp)
    number = int(row) if row.isdigit() else -1
    if not 0 <= number < file.starts[-1]:
        raise AudioError(
            f"{path}: has rows 0 to {file.starts[-1] - 1} and no {row}; import the corpus again"
        )
    group = bisect_right(file.starts, number) - 1
    content = _group(str(path), stamp, group, column)[number - file.starts[group]].as_py()
    if content is None:
        raise AudioError(f"{path}: row {row} of {column!r} is empty; leave this clip out")
    return bytes(content)


@lru_cache(maxsize=2)
def _group(path: str, stamp: Stamp, group: int, column: str) -> Any:
    """The bytes of a row group; its neighbours are often wanted next."""
    import pyarrow.parquet as pq

    file = _parquet(path, stamp)
    leaf = _leaf(Path(path), file.schema, column)
    with pq.ParquetFile(path, metadata=file.metadata) as opened:
        values = opened.read_row_group(group, columns=[leaf], use_threads=False).column(column)
    values = values.combine_chunks()
    return values.field("bytes") if leaf != column else values


def _leaf(path: Path, schema: pa.Schema, column: str) -> str:
    """What to read of a column: itself, or the bytes of its structs."""
    import pyarrow as pa

    kind = schema.field(column).type if column in schema.names else None
    if kind is not None and (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        return column
    if kind is not None and pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        return f"{column}.bytes"
    problem = "does not exist" if kind is None else f"holds {kind}"
    raise AudioError(
        f"{path}: column {column!r} {problem}; name one of bytes, or of structs with a field "
        f"'bytes', among {', '.join(schema.names)}"
    )
