"""What a reader of a corpus on disk is, and what importing one gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from unheard.clip import Clip

__all__ = ["Corpus", "Imported", "audio_files"]


class Corpus(Protocol):
    """A corpus as its authors lay it out; see the module of each for tree, licence and defects."""

    @property
    def name(self) -> str:
        """Key in `CORPORA`."""
        ...

    @property
    def parts(self) -> tuple[str, ...]:
        """Parts as the authors name them; empty if they are whatever folders there are."""
        ...

    @property
    def published(self) -> Mapping[str, tuple[int, int]]:
        """Bona fide and spoofed clips by part, as published; empty if there is no such count."""
        ...

    def clips(self, root: Path, part: str) -> Iterator[Clip]:
        """Yield what the protocol of a part lists, whether or not the file is there.

        Paths are relative to root. Raises CorpusError if the protocol is missing or malformed.
        """
        ...


@dataclass(frozen=True)
class Imported:
    """What an import found.

    Attributes:
        manifest: The file that was written.
        counts: Bona fide and spoofed clips by part, of files that are there.
        published: The same as the authors give it; empty if unknown.
        missing: Files that a protocol lists and that are not on disk.
        extra: Audio files on disk that no protocol lists.
        unreadable: Files whose header cannot be read; not looked for if headers were not read.
    """

    manifest: Path
    counts: dict[str, tuple[int, int]]
    published: dict[str, tuple[int, int]]
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    unreadable: tuple[str, ...]

    def render(self) -> str:
        """Return the summary as text."""
        lines = ["part          bona fide   spoof   published"]
        for part, (bona, spoof) in sorted(self.counts.items()):
            known = self.published.get(part)
            told = "" if known is None else f"{known[0]} + {known[1]}"
            if known is not None and known != (bona, spoof):
                told += "  DIFFERS"
            lines.append(f"{part:12} {bona:10d} {spoof:7d}   {told}")
        for what, found in (
            ("listed, not on disk", self.missing),
            ("on disk, not listed", self.extra),
            ("unreadable", self.unreadable),
        ):
            if found:
                shown = ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")
                lines.append(f"{len(found)} files {what}: {shown}")
        lines.append(f"manifest: {self.manifest}")
        return "\n".join(lines) + "\n"


def audio_files(folder: Path, suffixes: frozenset[str]) -> Iterator[Path]:
    """Yield the audio files under a folder, sorted; hidden ones are passed over."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in suffixes and not path.name.startswith(".") and path.is_file():
            yield path
