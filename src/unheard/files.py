"""Files that are read within a time, and files that are written in one step.

What is opened here is a regular file, and no read of it lasts for ever. Of what is written in one
step a reader sees the whole new file, or the one before.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import os
import stat
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "READ_LIMIT_S",
    "NotRegular",
    "Opened",
    "OutputError",
    "in_one_step",
    "kind_of",
    "open_regular",
    "parquet_bytes",
    "spelt",
    "write_through",
    "writing",
]

READ_LIMIT_S = 60.0
"""The longest that one read may last: what takes longer is a disk or a network that is gone."""

_READ_BYTES = 1 << 18
_WHOLE_BYTES = 1 << 20
_KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_Result = TypeVar("_Result")


class NotRegular(OSError):
    """Where a file is wanted lies a pipe, a socket or a device; the text says which."""


class OutputError(OSError):
    """A file cannot be written: no room, no permission, no folder; the text names the file."""


class Opened(io.BufferedReader):
    """A regular file, opened to be read; each read of it ends within `READ_LIMIT_S`.

    Attributes:
        failure: Why a read of it failed, None if none did. Decoders that call back into Python
            take a failed read for the end of the file: who uses one looks here afterwards.
    """

    def __init__(self, timed: _TimedReads) -> None:
        self._timed = timed
        super().__init__(timed, _READ_BYTES)

    @property
    def failure(self) -> OSError | None:
        """Why a read failed."""
        return self._timed.failure


class _TimedReads(io.RawIOBase):
    """The bytes of a file, read in threads that are left behind if they do not come back.

    A small one is read while it is opened: a thread costs more than that.
    """

    def __init__(self, path: Path, *, quiet: bool) -> None:
        self._path, self._quiet = path, quiet
        self._at, self._descriptor = 0, -1
        self.failure: OSError | None = None
        self._descriptor, self._whole = _within(path, _begin, path)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def seek(self, offset: int, whence: int = 0, /) -> int:
        end = os.fstat(self._descriptor).st_size if whence == os.SEEK_END else self._at
        at = offset + (0 if whence == os.SEEK_SET else end)
        if at < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._at = at
        return at

    def readinto(self, buffer: Any, /) -> int:
        data = (self._whole or b"")[self._at : self._at + len(buffer)]
        if self._whole is None:
            try:
                data = _within(self._path, os.pread, self._descriptor, len(buffer), self._at)
            except OSError as error:
                self.failure = error
                if not self._quiet:
                    raise
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        if not self.closed and self._descriptor >= 0:
            os.close(self._descriptor)
        super().close()


def _begin(path: Path) -> tuple[int, bytes | None]:
    """Open a regular file, and read a small one; to open a device may be to start it."""
    _refuse_others(os.stat(path).st_mode, path)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _refuse_others(os.fstat(descriptor).st_mode, path)
        content = bytearray()
        if os.fstat(descriptor).st_size > _WHOLE_BYTES:
            return descriptor, None
        while len(content) <= _WHOLE_BYTES and (more := os.read(descriptor, _READ_BYTES)):
            content += more
        return descriptor, bytes(content)
    except OSError:
        os.close(descriptor)
        raise


def open_regular(path: Path | str, *, quiet: bool = False) -> Opened:
    """Open a regular file to be read; a pipe, a socket or a device is not waited for.

    Args:
        path: The file, or a link to it.
        quiet: Whether a read that fails looks like the end of the file, see `Opened.failure`.

    Raises:
        OSError: If it cannot be opened or read.
        NotRegular: If it is no regular file.
        TimeoutError: If that takes longer than `READ_LIMIT_S`; while reading, if a read does.
    """
    return Opened(_TimedReads(Path(path), quiet=quiet))


def _refuse_others(mode: int, path: Path) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise NotRegular(kind_of(mode))


def kind_of(mode: int) -> str:
    """Return what lies at a path, such as "a pipe".

    Args:
        mode: As `os.stat` gives it.
    """
    return _KINDS.get(stat.S_IFMT(mode), "something else")


def _within(path: Path, call: Callable[..., _Result], *arguments: Any) -> _Result:
    """Call the system in a thread: a call that never returns cannot be ended, but left."""
    results: list[_Result | Exception] = []

    def run() -> None:
        try:
            results.append(call(*arguments))
        except Exception as error:
            results.append(error)

    thread = threading.Thread(target=run, daemon=True, name=f"reads {path.name}")
    thread.start()
    thread.join(READ_LIMIT_S)
    if not results:
        text = f"gave nothing for {READ_LIMIT_S:g} s"
        raise TimeoutError(errno.ETIMEDOUT, text, str(path))
    if isinstance(results[0], Exception):
        raise results[0]
    return results[0]


@contextmanager
def writing(path: Path | str) -> Iterator[None]:
    """Say which output it is that cannot be written: a full disk knows no names.

    Args:
        path: What is written.

    Raises:
        OutputError: In place of an OSError.
    """
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        if error.filename and os.path.basename(path) not in os.path.basename(str(error.filename)):
            place = f" ({error.filename})"
        else:
            place = ""
        advice = "check that its folder may be written to and has room, or choose another place"
        reason = error.strerror or str(error).replace("\n", " ")
        raise OutputError(f"{path}: cannot be written: {reason}{place}; {advice}") from error


@contextmanager
def in_one_step(path: Path) -> Iterator[Path]:
    """Give a path next to a file to write to; at the end it takes the file's place.

    Its folder is made. The suffix is that of the file, since libraries go by it. If writing fails,
    nothing is left, and what was there stays. Several processes may write one file at once; what
    one that was killed has left, the next writes over.

    Args:
        path: The file to be written.

    Raises:
        OutputError: If it cannot be written.
    """
    with writing(path), contextlib.ExitStack() as opened:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.stem}.unfinished{path.suffix}")
        if not _hold(unfinished, opened):
            name = f".{path.stem}.{uuid.uuid4().hex}.unfinished{path.suffix}"
            unfinished = path.with_name(name)
        try:
            yield unfinished
            os.replace(unfinished, path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise


def _hold(unfinished: Path, opened: contextlib.ExitStack) -> bool:
    """Make an empty file that no other process writes meanwhile; return False if one does."""
    while True:
        held = opened.enter_context(unfinished.open("ab"))
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # it is held, or the disk knows no locks
            return False
        with contextlib.suppress(FileNotFoundError):
            # Another one may have finished just now: what it held has the file's name by now.
            if os.path.samestat(os.fstat(held.fileno()), unfinished.stat()):
                held.truncate(0)
                return True


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
