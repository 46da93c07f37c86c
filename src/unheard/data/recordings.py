"""Which recordings are meant by what a user names, and which files that passes over.

Named are files, folders and globs; URLs of these; and lists: a manifest, a table with a column of
paths or of recordings (.parquet), one of paths (.csv, .tsv, .jsonl), or a text with a path or URL
on each line (.txt, .lst).
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from unicodedata import normalize

from unheard.audio import AUDIO_SUFFIXES
from unheard.audio.containers import looks_like_audio
from unheard.data import storage
from unheard.data.lists import LIST_SUFFIXES, listed
from unheard.data.shards import MARK
from unheard.data.tables import is_new_folder
from unheard.errors import AudioError, CorpusError
from unheard.files import open_regular

__all__ = ["Search", "absolute", "find", "recordings"]

Row = dict[str, Any]

_MOST_NAMED = 3
_HEAD_BYTES = 4096

_HIDDEN = "hidden, --all looks into them"
_SUFFIX = "without a suffix of audio, --all looks into them"
_LINK = "links to folders, --follow-symlinks follows them"
_CONTENT = "not beginning like audio"
_SPECIAL = "pipes, sockets or devices, not files"


@dataclass
class Search:
    """How recordings are searched for, and what the search met that it did not take.

    Attributes:
        every_file: Whether folders are searched for whatever begins like a recording, hidden and
            of any name; else for files that end like one.
        follow_links: Whether links to folders are followed, each real folder once.
        suffixes: Lower-case suffixes of audio files, with the dot.
        errors: A row for each name that stands for nothing.
        skipped: How many files were passed over for a reason, and the first few of them.
    """

    every_file: bool = False
    follow_links: bool = False
    suffixes: frozenset[str] = AUDIO_SUFFIXES
    errors: list[Row] = field(default_factory=list)
    skipped: dict[str, tuple[int, list[str]]] = field(default_factory=dict)

    def skip(self, path: str, why: str) -> bool:
        """Note what is passed over; return False."""
        number, first = self.skipped.get(why, (0, []))
        self.skipped[why] = number + 1, first if number >= _MOST_NAMED else [*first, path]
        return False

    def takes(self, path: str) -> bool:
        """Return whether a file in a folder is taken for a recording by its name."""
        name = path.rpartition("/")[2]
        if self.every_file:
            return True
        if name.startswith("."):
            return self.skip(path, _HIDDEN)
        return os.path.splitext(name)[1].lower() in self.suffixes or self.skip(path, _SUFFIX)

    def fail(self, name: str, why: str) -> None:
        """Note a name that stands for nothing."""
        self.errors.append({"source": name, "error": f"{name}: {why}"})

    def notes(self) -> list[str]:
        """Return a line for each reason why files were passed over."""
        return [
            f"skipped {number:,} {why}: {', '.join(first)}{', ...' if number > len(first) else ''}"
            for why, (number, first) in sorted(self.skipped.items())
        ]


def find(names: Iterable[str], search: Search) -> list[str]:
    """Return the recordings that names stand for, at once; see `recordings`."""
    return list(recordings(names, search))


def recordings(names: Iterable[str], search: Search) -> Iterator[str]:
    """Yield the recordings that names stand for, as they are found.

    A file that is named is taken whatever its suffix; those of one folder come sorted. Each file
    comes once, under the first spelling of its path: `a.wav`, `./a.wav` and the same through a
    link to its folder are one. A link to a file is a file of its own.

    Args:
        names: What the user wrote.
        search: How to search; takes what is not there, and what is passed over.

    Raises:
        RecipeError: If the kind of store is unknown, or the package for it is not installed.
    """
    real = cache(os.path.realpath)
    seen: set[str] = set()
    for name in names:
        n_before, found = len(search.errors), False
        for path in _meant(name, search):
            found = True
            if (place := _place(path, real)) not in seen:
                seen.add(place)
                yield path
        if not found and len(search.errors) == n_before:
            search.fail(name, _nothing(name, search))


def absolute(path: str) -> str:
    """Return what rows of files call a recording: its path from the root, or its URL.

    A step to the folder above is taken as the system takes it, through links.
    """
    if os.pardir in path.split(os.sep):
        return _place(path, os.path.realpath)
    return path if storage.is_remote(path) else os.path.abspath(path)


def _place(path: str, real: Callable[[str], str]) -> str:
    """What a file is called under any spelling of its folder."""
    if storage.is_remote(path):
        return path
    folder, name = os.path.split(path)
    return os.path.join(real(folder or os.curdir), name)


def _meant(name: str, search: Search) -> Iterator[str]:
    if storage.is_remote(name):
        yield from storage.find_at(name, search.takes)
        return
    there = _on_disk(name, cache(_names_in))
    if there is not None:
        matches = [there]
    else:
        matches = [
            path for path in sorted(glob.iglob(name, recursive=True)) if os.path.isfile(path)
        ]
    for path in matches:
        if os.path.isdir(path):
            yield from _inside(path, search)
        elif os.path.splitext(path)[1].lower() in LIST_SUFFIXES and not _is_audio(path):
            yield from _in_list(path, search)
        else:
            yield path


def _inside(folder: str, search: Search) -> Iterator[str]:
    """The recordings of a folder, to any depth: its files first, then what is below."""
    waiting, seen = [folder], {os.path.realpath(folder)}
    while waiting:
        parent = waiting.pop()
        try:
            with os.scandir(parent) as scanned:
                entries = sorted(scanned, key=lambda entry: entry.name)
        except OSError as error:
            why = f"cannot be listed ({error.strerror}); fix its permissions, or leave it out"
            search.fail(parent, why)
            continue
        below = []
        for entry in entries:
            if not os.path.isdir(entry.path):
                if _takes_file(entry, search):
                    yield entry.path
            elif entry.name.startswith(".") and not search.every_file:
                search.skip(entry.path, _HIDDEN)
            elif entry.is_symlink() and not search.follow_links:
                search.skip(entry.path, _LINK)
            elif is_new_folder(entry, seen):
                below.append(entry.path)
        waiting += reversed(below)


def _takes_file(entry: os.DirEntry[str], search: Search) -> bool:
    if not search.takes(entry.path):
        return False
    if os.path.exists(entry.path) and not os.path.isfile(entry.path):
        return search.skip(entry.path, _SPECIAL)
    if search.every_file and not _is_audio(entry.path, unknown=True):
        return search.skip(entry.path, _CONTENT)
    return True


def _is_audio(path: str, *, unknown: bool = False) -> bool:
    """Whether a file begins like a recording; what to say of one that cannot be read."""
    try:
        with open_regular(path) as file:
            return looks_like_audio(file.read(_HEAD_BYTES))
    except OSError:
        return unknown


def _in_list(file: str, search: Search) -> Iterator[str]:
    """The recordings of a list, whose paths start from its folder, or from here."""
    names, folder = cache(_names_in), os.path.dirname(file)
    try:
        for cell in listed(file):
            if storage.is_remote(cell):
                yield cell
                continue
            below = os.path.join(folder, cell)
            yield _on_disk(below, names) or _on_disk(cell, names) or below
    except (AudioError, CorpusError) as error:
        search.errors.append({"source": file, "error": str(error)})


def _on_disk(path: str, names: Callable[[str], dict[str, str]]) -> str | None:
    """A path, or member of a shard, as the disk spells it; None if it is not there.

    macOS writes an accent apart from its letter, lists do not: names are compared in one form.
    """
    file, mark, inside = path.partition(MARK)
    if os.path.lexists(path):
        return path
    if os.path.lexists(file):
        return file + mark + inside
    if file.isascii():
        return None
    folder, name = os.path.split(file)
    above = folder if os.path.isdir(folder or os.curdir) else _on_disk(folder, names)
    spelling = None if above is None else names(above).get(normalize("NFC", name))
    return None if spelling is None else os.path.join(above or "", spelling) + mark + inside


def _names_in(folder: str) -> dict[str, str]:
    """What lies in a folder, by its name in one Unicode form."""
    try:
        return {normalize("NFC", name): name for name in os.listdir(folder or os.curdir)}
    except OSError:
        return {}


def _nothing(name: str, search: Search) -> str:
    if os.path.isdir(name):
        if search.every_file:
            return "nothing in this folder begins like audio; name what you mean"
        return (
            "no audio in this folder; it is searched for files that end in "
            f"{', '.join(sorted(search.suffixes))}; name others one by one, or give --all"
        )
    if storage.is_remote(name):
        return "no audio there; check the URL and your permissions"
    if glob.has_magic(name):
        return "no file fits this pattern; check it, or give the folder"
    if os.path.splitext(name)[1].lower() in LIST_SUFFIXES and os.path.isfile(name):
        return "lists no recording; give a path on each line, or a table with a column path"
    return "no such file or folder; check the path"
