"""Bona fide corpora that lie next to spoofed clips: their own readers, under another root and part.

A recording keeps the id, speaker and corpus that it has alone, so that clips of it are known for
the same whichever corpus they were imported with.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from unheard.corpora.corpus import Corpus
from unheard.data.clip import Clip

__all__ = ["clips_as_part"]


def clips_as_part(
    reader: Corpus, root: Path, folder: str, reader_part: str, part: str
) -> Iterator[Clip]:
    """Yield the clips of a bona fide corpus as clips of a part of another one.

    Args:
        reader: Of the bona fide corpus.
        root: Folder that paths start from.
        folder: Where the bona fide corpus was unpacked, relative to root; "." for root itself.
        reader_part: Part of the bona fide corpus.
        part: Part that the clips are given.

    Raises:
        CorpusError: If the bona fide corpus lacks its list, or it is malformed.
    """
    for clip in reader.clips(root / folder, reader_part):
        yield replace(clip, part=part, path=(Path(folder) / clip.path).as_posix())
