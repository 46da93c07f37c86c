"""Look into the files of a corpus: length, hash, and what is no audio. Goes on where it stopped.

What was seen of a file is appended to a journal of JSON lines, and taken from there by the next run
as long as the file has the size and time of change that it had.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from unheard.data.shards import MARK, source
from unheard.data.tables import LFS_HEAD
from unheard.errors import AudioError, CorpusError

__all__ = ["POINTER", "UNREADABLE", "Seen", "inspect", "pointers_among"]

POINTER = "pointer"
"""State of a file that stands in for one which Git LFS has not fetched."""

UNREADABLE = "unreadable"
"""State of a file that is empty, cannot be opened, or holds no audio."""

_CHUNK = 64
_SAMPLE = 64
_TOLD_EVERY_S = 5.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a file.

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
    journal: Path,
    *,
    headers: bool,
    hashes: bool,
    jobs: int,
    say: Say,
) -> list[Seen]:
    """Look into files, in the order given; those of the journal that have not changed are known.

    Args:
        root: Folder that the paths start from.
        paths: Files, or members of shards.
        journal: Where to write what was seen; made if it does not exist.
        headers: Whether to measure how long they are.
        hashes: Whether to hash them.
        jobs: Threads; reading and hashing run beside each other.
        say: Receives progress.

    Raises:
        CorpusError: If the journal was not written by this.
    """
    known = {
        seen.path: seen
        for seen in _read(journal)
        if (seen.duration_s is not None or not headers) and (seen.sha256 is not None or not hashes)
    }
    if known:
        say(f"{journal} knows {len(known)} files")
    waiting = [path for path in paths if not _still(root, known.get(path))]
    look = partial(_look_all, root, headers, hashes)
    chunks = [waiting[start : start + _CHUNK] for start in range(0, len(waiting), _CHUNK)]
    journal.parent.mkdir(parents=True, exist_ok=True)
    with (
        journal.open("a", encoding="utf-8") as stream,
        ThreadPoolExecutor(jobs) as pool,
        # Closed, and so cancelled, before the pool waits for what it was given.
        closing(_in_order(look, chunks, pool if jobs > 1 else None)) as results,
    ):
        for seen in _told(results, len(waiting), say):
            stream.writelines(json.dumps(asdict(one)) + "\n" for one in seen)
            stream.flush()
            known.update((one.path, one) for one in seen)
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
    look: Callable[[list[str]], list[Seen]],
    chunks: Iterable[list[str]],
    pool: ThreadPoolExecutor | None,
) -> Generator[list[Seen], None, None]:
    yield from pool.map(look, chunks) if pool else map(look, chunks)


def _told(results: Iterator[list[Seen]], n_files: int, say: Say) -> Iterator[list[Seen]]:
    """Pass results on, and tell now and then how far they are."""
    n_done, started = 0, time.monotonic()
    told = started
    for seen in results:
        yield seen
        n_done += len(seen)
        now = time.monotonic()
        if now - told > _TOLD_EVERY_S or n_done == n_files:
            told = now
            rate = n_done / max(now - started, 1e-9)
            left_s = (n_files - n_done) / rate
            say(f"{n_done} of {n_files} files, {rate:.0f} a second, about {left_s:.0f} s to go")


def _look_all(root: Path, headers: bool, hashes: bool, paths: list[str]) -> list[Seen]:
    return [_look(root, path, headers, hashes) for path in paths]


def _look(root: Path, path: str, headers: bool, hashes: bool) -> Seen:
    size_bytes, changed_ns = _stamp(root, path)
    state, duration_s, sha256 = "", None, None
    try:
        held = source(root, path)
        head = held[: len(LFS_HEAD)] if isinstance(held, bytes) else _head(held)
        if hashes:
            sha256 = _hash(held)
        if headers:
            duration_s = 0.0 if head == LFS_HEAD else _duration_s(held)
        if head == LFS_HEAD:
            state = POINTER
        elif not head or duration_s == 0:
            state = UNREADABLE
    except (AudioError, OSError):
        state, duration_s, sha256 = UNREADABLE, 0.0, ""
    return Seen(path, size_bytes, changed_ns, state, duration_s, sha256)


def _head(path: Path) -> bytes:
    with path.open("rb", buffering=0) as stream:
        return stream.read(len(LFS_HEAD))


def _is_pointer(path: Path) -> bool:
    try:
        return _head(path) == LFS_HEAD
    except OSError:
        return False


def _hash(held: Path | bytes) -> str:
    if isinstance(held, bytes):
        return hashlib.sha256(held).hexdigest()
    with held.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _duration_s(held: Path | bytes) -> float:
    """Seconds of audio, by the header or else by decoding; 0 if there is none."""
    import soundfile

    from unheard.audio import read

    try:
        found = soundfile.info(io.BytesIO(held) if isinstance(held, bytes) else held)
        return float(found.duration)
    except (soundfile.LibsndfileError, OSError):
        try:
            return read(held, minimum_s=0.0).duration_s
        except AudioError:
            return 0.0


def _stamp(root: Path, path: str) -> tuple[int, int]:
    try:
        stat = (root / path.partition(MARK)[0]).stat()
    except OSError:
        return -1, -1
    return stat.st_size, stat.st_mtime_ns


def _still(root: Path, seen: Seen | None) -> bool:
    return seen is not None and _stamp(root, seen.path) == (seen.size_bytes, seen.changed_ns)


def _read(journal: Path) -> list[Seen]:
    """What was seen before; a line cut off by a kill is dropped."""
    if not journal.is_file():
        return []
    content = journal.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        with journal.open("r+b") as stream:
            stream.truncate(len(whole))
    try:
        return [_seen(json.loads(line)) for line in whole.splitlines()]
    except (ValueError, TypeError) as error:
        raise CorpusError(
            f"{journal}: not what an import wrote of the files it saw ({error}); delete it, or "
            "choose another name for the manifest"
        ) from error


def _seen(told: dict[str, Any]) -> Seen:
    return Seen(**told)
