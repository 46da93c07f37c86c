"""What a reader of a corpus on disk is, and what importing one gives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from unheard.data.clip import Clip
from unheard.errors import CorpusError

__all__ = ["GET_LFS", "Corpus", "Imported", "PartsOnDisk", "above_parts", "parts_of"]

GET_LFS = "run `git lfs pull` in the folder of the corpus"
"""What to do about pointers."""


class Corpus(Protocol):
    """A corpus as its authors lay it out: a frozen dataclass, in a file of its own.

    The module's docstring shows the tree on disk, columns, licence, citation, counts by part and
    known defects, and says what is not known. Fields of the dataclass, if any, are text with a
    default: what the user may set, such as the variant of a corpus.

    A clip's id is "<corpus>/<utterance>", its speaker "<corpus>/<speaker>"; a bona fide clip has
    attack and family "-", a spoofed one a family of `asvspoof2019_la.ATTACK_FAMILY` or "unknown".
    """

    @property
    def name(self) -> str:
        """Key in `CORPORA`."""
        ...

    @property
    def parts(self) -> tuple[str, ...]:
        """Parts as the authors name them; empty if they depend on the folder: `PartsOnDisk`."""
        ...

    @property
    def published(self) -> Mapping[str, tuple[int, int]]:
        """Bona fide and spoofed clips by part, as published; only parts whose counts are known."""
        ...

    @property
    def licence(self) -> str:
        """SPDX identifier or a few words; "unknown" if it is."""
        ...

    @property
    def source(self) -> str:
        """Where to get it, in words."""
        ...

    @property
    def citation(self) -> str:
        """Authors, title, year, in one line."""
        ...

    @property
    def defects(self) -> tuple[str, ...]:
        """What is known to be wrong with it, a sentence each."""
        ...

    def clips(self, root: Path, part: str) -> Iterator[Clip]:
        """Yield what the protocol of a part lists, whether or not the file is there.

        Paths are relative to root. Raises CorpusError if the part does not exist, or its protocol
        is missing or malformed.
        """
        ...


@runtime_checkable
class PartsOnDisk(Protocol):
    """A corpus whose parts are those that its folder or table holds."""

    def parts_in(self, root: Path) -> tuple[str, ...]:
        """Return the parts that there are, sorted. Raises CorpusError if there is none."""
        ...


def parts_of(corpus: Corpus, root: Path) -> tuple[str, ...]:
    """Return the parts of a corpus, those in its folder if its authors name none.

    Raises:
        CorpusError: If they are looked for in the folder and there is none.
    """
    return corpus.parts_in(root) if isinstance(corpus, PartsOnDisk) else corpus.parts


@dataclass(frozen=True)
class Imported:
    """What an import found.

    Attributes:
        manifest: The file that was written.
        counts: Bona fide and spoofed clips by part, of files that are there.
        published: The same as the authors give it, for parts of which that is known.
        missing: Files that a protocol lists and that are not on disk.
        extra: Audio files on disk that no protocol lists, in folders of files that one lists.
        unreadable: Files that are no audio; not looked for if neither headers nor hashes were.
        pointers: Files that stand in for ones which Git LFS has not fetched.
        elsewhere: Audio files in folders of which nothing is listed: another list's, perhaps.
    """

    manifest: Path
    counts: dict[str, tuple[int, int]]
    published: dict[str, tuple[int, int]]
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    unreadable: tuple[str, ...]
    pointers: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()

    def render(self) -> str:
        """Return the counts, and what is wrong, as text."""
        lines = ["part            bona fide     spoofed   published"]
        for part, (bona, spoof) in self.counts.items():
            known = self.published.get(part)
            remark = "" if known is None else "as published"
            if known is not None and known != (bona, spoof):
                remark = f"{known[0]} + {known[1]} DIFFERS"
            lines.append(f"{part:14} {bona:10d}  {spoof:10d}   {remark}".rstrip())
        for what, files in (
            ("listed, not there", self.missing),
            ("there, not listed", self.extra),
            ("in folders of which nothing is listed, perhaps another list's", self.elsewhere),
            ("no audio: fetch or unpack them again", self.unreadable),
            (f"Git LFS pointers and not audio: {GET_LFS}", self.pointers),
        ):
            if files:
                shown = ", ".join(files[:3]) + (", ..." if len(files) > 3 else "")
                lines.append(f"{len(files)} files {what}: {shown}")
        return "\n".join(lines) + "\n"


def above_parts(root: Path, parts: Iterable[str], *inside: str, unpacked: str) -> Path:
    """Return the folder that holds one for each part: `root`, or one that it holds.

    Args:
        root: What the user gave.
        parts: Names of the parts; one that is there is enough.
        inside: Folders of `root` to look into.
        unpacked: What the folder is that was meant, for messages.

    Raises:
        CorpusError: If no part is there.
    """
    names = list(parts)
    for base in (root, *(root / name for name in inside)):
        if any((base / part).is_dir() for part in names):
            return base
    if root.resolve().name in names:
        raise CorpusError(
            f"{root}: this is one part; give the folder that holds it, {root.resolve().parent}"
        )
    raise CorpusError(
        f"{root}: no part such as {names[0]} in it or in {inside[0]} below it; give the folder "
        f"that {unpacked} unpacked into, the one that holds {inside[0]}"
    )
