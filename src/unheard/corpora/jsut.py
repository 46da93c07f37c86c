"""JSUT 1.1: one Japanese woman reads ten hours of sentences; bona fide only.

On disk, as its archive unpacks (root is the folder that holds `jsut_ver1.1`, or that folder;
sub-corpora that were taken away are skipped):

    jsut_ver1.1/basic5000/wav/BASIC5000_0001.wav ...
    jsut_ver1.1/basic5000/transcript_utf8.txt
    jsut_ver1.1/voiceactress100/wav/VOICEACTRESS100_001.wav ...

and so on for each of nine sub-corpora, which are the parts. A transcript has no header; a clip and
its text are separated by the first ":" (the text may hold more of them):

    BASIC5000_0001:水をマレーシアから買わなくてはならないのです。

Counts, all bona fide, as the numbers in the names say: basic5000 5,000; utparaphrase512 512;
onomatopee300 300; countersuffix26 26; loanword128 128; voiceactress100 100; travel1000 1,000;
precedent130 130; repeat500 500.

Licence: terms of its own for the audio: research, use by private persons, no redistribution; the
texts CC BY-SA. Where to get it: the page of the corpus of Saruwatari laboratory, University of
Tokyo.

Citation: R. Sonobe, S. Takamichi, H. Saruwatari, "JSUT corpus: free large-scale Japanese speech
corpus for end-to-end speech synthesis", arXiv 1711.00354, 2017.

Known defects: one speaker, one anechoic room: next to other voices the speaker gives the label
away; repeat500 says one hundred sentences five times; the Japanese clips of WaveFake speak with
this voice, and they are made from basic5000.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from unheard.corpora.corpus import above_parts
from unheard.data.clip import Clip
from unheard.data.tables import check_part, lines
from unheard.errors import CorpusError

__all__ = ["Jsut"]

_COUNTS = {
    "basic5000": 5_000,
    "countersuffix26": 26,
    "loanword128": 128,
    "onomatopee300": 300,
    "precedent130": 130,
    "repeat500": 500,
    "travel1000": 1_000,
    "utparaphrase512": 512,
    "voiceactress100": 100,
}


@dataclass(frozen=True)
class Jsut:
    """Reader of JSUT 1.1; the layout is in the module's docstring."""

    name: ClassVar[str] = "jsut"
    parts: ClassVar[tuple[str, ...]] = tuple(_COUNTS)
    published: ClassVar[Mapping[str, tuple[int, int]]] = {
        part: (count, 0) for part, count in _COUNTS.items()
    }
    licence: ClassVar[str] = "JSUT terms: research and private use, no redistribution"
    source: ClassVar[str] = "The page of the corpus of Saruwatari laboratory, University of Tokyo"
    citation: ClassVar[str] = (
        "R. Sonobe, S. Takamichi, H. Saruwatari, JSUT corpus: free large-scale Japanese speech "
        "corpus for end-to-end speech synthesis, arXiv 1711.00354, 2017"
    )
    defects: ClassVar[tuple[str, ...]] = (
        "One speaker and one room: next to other voices the speaker gives the label away.",
        "repeat500 says one hundred sentences five times.",
        "The Japanese clips of WaveFake speak with this voice.",
    )

    def parts_in(self, root: Path) -> tuple[str, ...]:
        """Return the sub-corpora that are there, sorted.

        Raises:
            CorpusError: If there is none.
        """
        base = _base(root)
        return tuple(part for part in self.parts if (base / part).is_dir())

    def clips(self, root: Path, part: str) -> Iterator[Clip]:
        """Yield the clips that the transcript of a sub-corpus lists.

        Args:
            root: Folder that holds `jsut_ver1.1`, or that folder itself.
            part: Such as "basic5000".

        Raises:
            CorpusError: If the sub-corpus does not exist, or its transcript is missing or
                malformed.
        """
        check_part(self.name, part, self.parts)
        folder = _base(root) / part
        transcript = folder / "transcript_utf8.txt"
        for number, line in lines(transcript, "the transcript of the sub-corpus, from its archive"):
            name, colon, text = line.partition(":")
            if not colon or not name.strip():
                raise CorpusError(
                    f"{transcript}:{number}: {line.strip()[:80]!r}; a clip, a colon and the text "
                    "wanted; unpack the archive again"
                )
            yield Clip(
                id=f"jsut/{name.strip()}",
                path=(folder / "wav" / f"{name.strip()}.wav").relative_to(root).as_posix(),
                bonafide=True,
                part=part,
                speaker="jsut/jsut",
                corpus="jsut",
                language="ja",
                licence=self.licence,
                text=text.strip(),
            )


def _base(root: Path) -> Path:
    return above_parts(root, _COUNTS, "jsut_ver1.1", "jsut_ver1", unpacked="the archive was")
