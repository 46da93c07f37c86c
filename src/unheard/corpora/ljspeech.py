"""LJSpeech 1.1: one woman reads seven books in English; bona fide only.

On disk, as its archive unpacks (root is the folder that holds `LJSpeech-1.1`, or that folder):

    LJSpeech-1.1/metadata.csv
    LJSpeech-1.1/wavs/LJ001-0001.wav ...

metadata.csv has no header and three columns separated by "|": clip, text as printed, text with
numbers and abbreviations written out, which is what is said. It is not quoted: a quotation mark is
a quotation mark, and a reader that takes it for a quoted field joins rows and loses clips:

    LJ001-0001|Printing, in the only sense with which we are at present concerned, ...|Printing, ...

Counts: 13,100 clips, all bona fide, in one part ("all").

Licence: public domain. Where to get it: the page of the LJ Speech Dataset of its author.

Citation: K. Ito, L. Johnson, "The LJ Speech Dataset", 2017.

Known defects: the recordings were MP3 files of 128 kbit/s (LibriVox), so human speech carries the
traces of a codec; one speaker, one microphone: next to other voices the speaker gives the label
away; it is the usual training set of English voices, so spoofed clips of WaveFake, DiffSSD and
others speak with this voice and often these very sentences: split by sentence, not only by file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from unheard.data.clip import Clip
from unheard.data.tables import check_part, file, lines
from unheard.errors import CorpusError

__all__ = ["LjSpeech", "metadata"]


@dataclass(frozen=True)
class LjSpeech:
    """Reader of LJSpeech 1.1; the layout is in the module's docstring."""

    name: ClassVar[str] = "ljspeech"
    parts: ClassVar[tuple[str, ...]] = ("all",)
    published: ClassVar[Mapping[str, tuple[int, int]]] = {"all": (13_100, 0)}
    licence: ClassVar[str] = "public domain"
    source: ClassVar[str] = "The page of the LJ Speech Dataset of its author"
    citation: ClassVar[str] = "K. Ito, L. Johnson, The LJ Speech Dataset, 2017"
    defects: ClassVar[tuple[str, ...]] = (
        "The recordings were MP3 files of 128 kbit/s.",
        "One speaker and one microphone: next to other voices the speaker gives the label away.",
        "Many spoofed corpora speak with this voice, and often its very sentences.",
    )

    def clips(self, root: Path, part: str) -> Iterator[Clip]:
        """Yield the clips that metadata.csv lists.

        Args:
            root: Folder that holds `LJSpeech-1.1`, or that folder itself.
            part: "all".

        Raises:
            CorpusError: If the part does not exist, or metadata.csv is missing or malformed.
        """
        check_part(self.name, part, self.parts)
        table = file(
            root,
            "metadata.csv",
            "LJSpeech-1.1/metadata.csv",
            what="holds LJSpeech-1.1, or metadata.csv and wavs",
        )
        folder = (table.parent / "wavs").relative_to(root)
        for name, text in metadata(table):
            yield Clip(
                id=f"ljspeech/{name}",
                path=(folder / f"{name}.wav").as_posix(),
                bonafide=True,
                part=part,
                speaker="ljspeech/lj",
                corpus="ljspeech",
                language="en",
                licence=self.licence,
                text=text,
                codec="mp3-128k",
            )


def metadata(path: Path) -> Iterator[tuple[str, str]]:
    """Yield names and texts of a metadata.csv of LJSpeech's form: "name|text|text as said".

    Quotation marks mean nothing. A row may lack the last column.

    Args:
        path: The table.

    Raises:
        CorpusError: If it is missing, no text, or a line has no "|".
    """
    for number, line in lines(path, "the metadata.csv of the corpus"):
        name, *texts = line.split("|")
        if not texts or not name.strip():
            raise CorpusError(
                f"{path}:{number}: {line.strip()[:80]!r}; columns name|text|text as said wanted, "
                "separated by |; unpack the archive again, a spreadsheet may have rewritten it"
            )
        yield name.strip(), texts[-1].strip() or texts[0].strip()
