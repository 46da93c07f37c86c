"""A folder that is watched: files that come or change are scored once they have stopped growing.

The folder is looked at again and again, which works on every file system, on those of a network
too. What is known of files is in the row file, so a watch that was killed resumes where it was.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from unheard.data import storage
from unheard.data.recordings import Search, find
from unheard.data.rows import RowFile
from unheard.errors import RecipeError
from unheard.files import open_regular
from unheard.scoring.many import Row, Task

__all__ = ["SETTLE_S", "Watch"]

SETTLE_S = 5.0
"""A file whose size and time of change stay for so long is taken for complete."""


class _Waiting(NamedTuple):
    """What a file that is not yet scored was like, and since when."""

    stamp: storage.Stamp
    since_s: float


class Watch:
    """What is known of a folder between two looks at it.

    A file that was scored is not scored again before its size or time of change is another. One
    that was moved or renamed inside the folder takes its row with it, known by the hash of its
    content; the row of a deleted one stays. A file that cannot be read gets a row with its error,
    and is tried again when it changes.

    Attributes:
        skipped: What the last look passed over, a line for each reason.
    """

    def __init__(
        self,
        folder: Path,
        row_file: RowFile,
        score: Callable[[Task], Row],
        *,
        settle_s: float = SETTLE_S,
    ) -> None:
        """Begin to watch; nothing is looked at yet.

        Args:
            folder: Searched to any depth; hidden files and other suffixes are left out.
            row_file: Where rows go, and what is known already.
            score: Gives the row of a recording.
            settle_s: How long a file must stay as it is before it is scored.

        Raises:
            RecipeError: If there is no such folder.
        """
        if not folder.is_dir():
            raise RecipeError(f"{folder}: no such folder; make it, or check the path")
        self._folder = folder
        self._row_file = row_file
        self._score = score
        self._settle_s = settle_s
        self.skipped: list[str] = []
        self._waiting: dict[str, _Waiting] = {}
        self._content = {
            row["source"]: row["sha256"]
            for row in row_file.rows()
            if "sha256" in row and "error" not in row and row_file.stamp(row["source"])
        }
        self._by_content = {sha256: source for source, sha256 in self._content.items()}

    def look(self, now_s: float) -> Iterator[Row]:
        """Look at the folder once; score what is ready and yield each row when it is kept.

        Args:
            now_s: Time of a clock that only goes forward.
        """
        search = Search()
        sources = find([str(self._folder)], search)
        self.skipped = search.notes()
        stamps = {source: storage.stamp(source) for source in sources}
        before, self._waiting = self._waiting, {}
        for source, stamp in stamps.items():
            if stamp in (storage.GONE, self._row_file.stamp(source)):
                continue
            known = before.get(source)
            same = known is not None and known.stamp == stamp
            self._waiting[source] = known if known and same else _Waiting(stamp, now_s)
        ready = [
            (source, waiting.stamp)
            for source, waiting in self._waiting.items()
            if now_s - waiting.since_s >= self._settle_s
        ]
        for source, stamp in ready:
            row = self._row_of(source, stamp)
            if row is not None:
                del self._waiting[source]
                yield row

    def _row_of(self, source: str, stamp: storage.Stamp) -> Row | None:
        """Return the row of a file once it is kept; None if the file changes meanwhile."""
        sha256 = _hash(source)
        old = self._by_content.get(sha256, "")
        if sha256 and self._content.get(old) == sha256 and not os.path.lexists(old):
            del self._content[old]
            self._remember(source, sha256)
            return self._row_file.move(old, source, stamp)
        row = self._score(Task(source, Path(source)))
        if storage.stamp(source) != stamp:
            return None
        row = {**row, "sha256": sha256}
        self._row_file.add(row, stamp)
        self._remember(source, sha256 if "error" not in row else "")
        return row

    def _remember(self, source: str, sha256: str) -> None:
        """Note what a file holds; "" if it was not scored."""
        self._content[source] = sha256
        if sha256:
            self._by_content[sha256] = source


def _hash(file: str) -> str:
    """Return the sha256 of a file, hexadecimal; "" if it cannot be read."""
    try:
        with open_regular(file) as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""
