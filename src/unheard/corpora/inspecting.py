"""Inspect the files of a corpus: length, hash, and what is no audio. An interrupted run resumes.

What an inspection says of a file is appended to a file of JSON lines, and taken from there by the
next run as long as the file has the size and time of change that it had.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from unheard.audio.containers import looks_like_audio
from unheard.data.rows import Lines
from unheard.data.shards import MARK, source
from unheard.data.tables import LFS_HEAD
from unheard.errors import AudioError, CorpusError
from unheard.files import open_regular
from unheard.types import Say
from unheard.workers import with_progress

__all__ = ["POINTER", "UNREADABLE", "Inspected", "inspect", "pointers_among"]

POINTER = "pointer"
"""State of a file that stands in for one which Git LFS has not fetched."""

UNREADABLE = "unreadable"
"""State of a file that is empty, cannot be opened, or holds no audio."""

_CHUNK = 64
_HEAD_BYTES = 4096
_SAMPLE = 64


@dataclass(frozen=True, slots=True)
class Inspected:
    """What an inspection says of a file.

    Attributes:
        path: The file, or the member of a shard, relative to the root of the corpus.
        size_bytes: Of the file or the shard; -1 if there is none.
        changed_ns: When it was changed, nanoseconds of the system's clock.
        state: `POINTER`, `UNREADABLE`, or "" if nothing is wrong.
        duration_s: Length in seconds; None if not asked for.
        sha256: Hash, hexadecimal; None if not asked for.
    """

    path: str
    size_bytes: int
    changed_ns: int
    state: str
    duration_s: float | None
    sha256: str | None


def inspect(
    root: Path,
    paths: Sequence[str],
    row_file: Path,
    *,
    headers: bool,
    hashes: bool,
    jobs: int,
    say: Say,
) -> list[Inspected]:
    """Inspect files, in the order given; those noted before that have not changed are known.

    Args:
        root: Folder that the paths start from.
        paths: Files, or members of shards.
        row_file: Where to write what is found, and to resume from; created if it does not exist.
        headers: Whether to measure how long they are.
        hashes: Whether to hash them.
        jobs: Threads; reading and hashing run in parallel.
        say: Receives progress.

    Raises:
        CorpusError: If that file was not written by an import.
    """
    wrong = CorpusError(
        f"{row_file}: not what an import wrote of the files it saw; delete it, or choose another "
        "name for the manifest"
    )
    with Lines(row_file, b'{"path": ', wrong) as lines:
        known = {
            file.path: file
            for file in _noted(lines, wrong)
            if (file.duration_s is not None or not headers)
            and (file.sha256 is not None or not hashes)
        }
        if known:
            say(f"{row_file} knows {len(known)} files")
        waiting = [path for path in paths if not _is_unchanged(root, known.get(path))]
        inspect_all = partial(_inspect_all, root, headers, hashes)
        chunks = [waiting[start : start + _CHUNK] for start in range(0, len(waiting), _CHUNK)]
        with (
            ThreadPoolExecutor(jobs) as pool,
            # Closed, and so cancelled, before the pool waits for what it was given.
            closing(_in_order(inspect_all, chunks, pool if jobs > 1 else None)) as results,
        ):
            for inspected in with_progress(results, len(waiting), say, "files inspected", len):
                for file in inspected:
                    lines.add(asdict(file))
                    known[file.path] = file
    return [known[path] for path in paths]


def pointers_among(root: Path, paths: Sequence[str]) -> set[str]:
    """Return the files that are Git LFS pointers; none is opened if no file of a sample is one.

    Args:
        root: Folder that the paths start from.
        paths: Files, or members of shards, which are passed over.
    """
    loose = [path for path in paths if MARK not in path]
    step = max(1, len(loose) // _SAMPLE)
    if not any(_is_pointer(root / path) for path in loose[::step]):
        return set()
    return {path for path in loose if _is_pointer(root / path)}


def _in_order(
    inspect_all: Callable[[list[str]], list[Inspected]],
    chunks: Iterable[list[str]],
    pool: ThreadPoolExecutor | None,
) -> Generator[list[Inspected], None, None]:
    yield from pool.map(inspect_all, chunks) if pool else map(inspect_all, chunks)


def _inspect_all(root: Path, headers: bool, hashes: bool, paths: list[str]) -> list[Inspected]:
    return [_inspect(root, path, headers, hashes) for path in paths]


def _inspect(root: Path, path: str, headers: bool, hashes: bool) -> Inspected:
    size_bytes, changed_ns = _stamp(root, path)
    state, duration_s, sha256 = "", None, None
    try:
        content = source(root, path)
        head = content[:_HEAD_BYTES] if isinstance(content, bytes) else _head(content)
        if hashes:
            sha256 = _hash(content)
        is_pointer = head.startswith(LFS_HEAD)
        if headers:
            duration_s = 0.0 if is_pointer else _duration_s(content)
        if is_pointer:
            state = POINTER
        elif not head or duration_s == 0 or not (headers or _is_audio(head, content)):
            state = UNREADABLE
    except (AudioError, OSError):
        state, duration_s, sha256 = UNREADABLE, 0.0, ""
    return Inspected(path, size_bytes, changed_ns, state, duration_s, sha256)


def _head(path: Path, n_bytes: int = _HEAD_BYTES) -> bytes:
    with path.open("rb", buffering=0) as stream:
        return stream.read(n_bytes)


def _is_audio(head: bytes, content: Path | bytes) -> bool:
    """Return whether a file begins like audio, or is some though it does not."""
    return looks_like_audio(head) or _duration_s(content) > 0


def _is_pointer(path: Path) -> bool:
    try:
        return _head(path, len(LFS_HEAD)) == LFS_HEAD
    except OSError:
        return False


def _hash(content: Path | bytes) -> str:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with open_regular(content) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _duration_s(content: Path | bytes) -> float:
    """Seconds of audio, by the header or else by decoding; 0 if there is none."""
    import soundfile

    from unheard.audio import read

    try:
        header = soundfile.info(io.BytesIO(content) if isinstance(content, bytes) else content)
        return float(header.duration)
    except (soundfile.LibsndfileError, OSError):
        try:
            return read(content, minimum_s=0.0).duration_s
        except AudioError:
            return 0.0


def _stamp(root: Path, path: str) -> tuple[int, int]:
    try:
        stat = (root / path.partition(MARK)[0]).stat()
    except OSError:
        return -1, -1
    return stat.st_size, stat.st_mtime_ns


def _is_unchanged(root: Path, known: Inspected | None) -> bool:
    return known is not None and _stamp(root, known.path) == (known.size_bytes, known.changed_ns)


def _noted(lines: Lines, wrong: CorpusError) -> Iterator[Inspected]:
    """Yield what earlier runs noted."""
    for _, row in lines:
        try:
            yield Inspected(**row)
        except TypeError as error:
            raise wrong from error
