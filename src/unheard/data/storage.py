"""Files at paths and at URLs: an object store is searched, read and written like a folder.

A URL has "://" in it; fsspec opens it, with the package that it wants for the store (s3fs for
s3://, gcsfs for gs://, adlfs for abfs://). All else is a path of this machine.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from unheard.data.shards import MARK
from unheard.errors import AudioError, MissingExtra, RecipeError
from unheard.files import in_one_step, write_through

__all__ = [
    "GONE",
    "Stamp",
    "fetch",
    "find_at",
    "is_remote",
    "names",
    "read",
    "remove",
    "stamp",
    "write",
]

Stamp = tuple[int, int]
"""Bytes of a file, and when it changed in nanoseconds or, from some stores, a hash instead."""

GONE: Stamp = (-1, -1)
"""Stamp of a file that is not there, or cannot be looked at."""

_CHANGED = ("ETag", "etag", "mtime", "LastModified", "last_modified", "updated", "created")
"""What stores report of a file's change, the surest first: their times may be whole seconds."""


def is_remote(place: str) -> bool:
    """Return whether a place is a URL."""
    return "://" in place


def find_at(url: str, takes: Callable[[str], bool]) -> Iterator[str]:
    """Yield the URLs that a URL stands for: a file, all audio under a folder, or a glob's files.

    A folder is listed level by level, each level sorted.

    Args:
        url: Of a file or a folder, or with * in it.
        takes: Whether a file of a folder is taken, by its URL.

    Raises:
        RecipeError: If the kind of store is unknown, or the package for it is not installed.
        MissingExtra: If fsspec is not installed.
    """
    store, path = _opened(url)
    if "*" in path:
        yield from (store.unstrip_protocol(match) for match in sorted(store.glob(path)))
        return
    if store.isfile(path):
        yield url
        return
    for parent, folders, files in store.walk(path):
        folders.sort()
        for name in sorted(files):
            found = store.unstrip_protocol(f"{parent.rstrip('/')}/{name}")
            if takes(found):
                yield found


def stamp(place: str) -> Stamp:
    """Return what tells a file from the one that lay at a place before; a shard's for its members.

    Args:
        place: A URL or a path; `GONE` is returned if nothing is there.
    """
    if not is_remote(place):
        file = place if os.path.lexists(place) else place.partition(MARK)[0]
        try:
            stat = os.stat(file)
        except (OSError, ValueError):
            return GONE
        return stat.st_size, stat.st_mtime_ns
    store, path = _opened(place)
    try:
        info = store.info(path)
    except (OSError, ValueError):
        return GONE
    changed = next((info[name] for name in _CHANGED if info.get(name) is not None), 0)
    return int(info.get("size") or 0), _number(changed)


def fetch(url: str, folder: Path) -> Path:
    """Copy a file into a local folder, under a name of its own, and return the copy.

    Raises:
        AudioError: If it cannot be fetched.
    """
    file = folder / uuid.uuid4().hex
    store, path = _opened(url)
    try:
        store.get_file(path, str(file))
    except FileNotFoundError as error:
        raise AudioError(f"{url}: no such file; check the URL") from error
    except Exception as error:  # each store has exceptions of its own
        raise AudioError(
            f"{url}: cannot be fetched ({type(error).__name__}: {error}); check the network "
            "and your permissions there, then give the same command again"
        ) from error
    return file


def names(folder: str) -> list[str]:
    """Return the sorted names of the files in a folder, hidden ones left out; none if it is not."""
    try:
        if is_remote(folder):
            store, path = _opened(folder)
            store.invalidate_cache(path)
            entries = [
                entry.rstrip("/").rpartition("/")[2] for entry in store.ls(path, detail=False)
            ]
        else:
            entries = os.listdir(folder)
    except FileNotFoundError:
        return []
    return sorted(name for name in entries if not name.startswith("."))


def read(place: str) -> bytes:
    """Return what a file holds.

    Raises:
        FileNotFoundError: If there is none.
    """
    if not is_remote(place):
        return Path(place).read_bytes()
    store, path = _opened(place)
    content: bytes = store.cat_file(path)
    return content


def write(place: str, content: bytes) -> None:
    """Write a file in one step: a reader sees all of it, or what was there before.

    Machines that write the same place at once do not mix their files: the last one stays.
    """
    if is_remote(place):
        store, path = _opened(place)
        store.makedirs(path.rpartition("/")[0], exist_ok=True)
        store.pipe_file(path, content)  # stores show an object when it is complete
        return
    with in_one_step(Path(place)) as unfinished:
        write_through(unfinished, content)


def remove(place: str) -> None:
    """Delete a file, if it is there."""
    with contextlib.suppress(FileNotFoundError):
        if is_remote(place):
            store, path = _opened(place)
            store.rm_file(path)
        else:
            os.unlink(place)


def _opened(url: str) -> tuple[Any, str]:
    """Return the store that a URL names, and the path in it."""
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise MissingExtra("ray", "fsspec") from error
    try:
        store, path = url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise RecipeError(
            f"{url}: cannot be opened ({error}); give a URL such as s3://bucket/x, and install "
            "the package for its kind of store: s3fs for s3://, gcsfs for gs://, adlfs for abfs://"
        ) from error
    return store, path


def _number(changed: Any) -> int:
    """Return when a file changed, in nanoseconds, or the hash of what a store says instead."""
    import hashlib

    if isinstance(changed, datetime.datetime):
        return round(changed.timestamp() * 10**6) * 10**3
    if isinstance(changed, int | float):
        return int(changed * 10**9)
    return int.from_bytes(hashlib.sha256(str(changed).encode()).digest()[:6])
