"""LibriSpeech: a thousand hours of English audiobooks read by volunteers; bona fide only.

On disk, as its archives unpack (root is the folder that holds `LibriSpeech`, or `LibriSpeech`
itself; parts that were not fetched are skipped):

    LibriSpeech/SPEAKERS.TXT
    LibriSpeech/dev-clean/84/121123/84-121123-0000.flac ...
    LibriSpeech/dev-clean/84/121123/84-121123.trans.txt
    LibriSpeech/train-clean-100/19/198/19-198-0000.flac ...

A folder for each speaker, in it one for each chapter. The transcripts of a chapter are the list of
its clips: a name, a space, the text in capitals. A chapter without transcripts gives the files that
are there. SPEAKERS.TXT has five columns separated by "|", comments begin with ";"; a name may
itself hold a "|":

    14   | F | train-clean-360  | 25.03 | Kristin LeMoine

Counts, all bona fide: train-clean-100 28,539; train-clean-360 104,014; train-other-500 148,688;
dev-clean 2,703; dev-other 2,864; test-clean 2,620; test-other 2,939 (as public dataset cards give
them; they add up to the 292,367 that others count).

Licence: CC BY 4.0. Where to get it: OpenSLR, resource 12.

Citation: V. Panayotov, G. Chen, D. Povey, S. Khudanpur, "Librispeech: an ASR corpus based on public
domain audio books", ICASSP 2015.

Known defects: the recordings were MP3 files before they were cut, so human speech carries the
traces of a codec that clean generated speech does not; microphones and rooms differ by reader, so a
detector can learn the reader; "clean" and "other" were sorted by a speech recogniser, not by ear;
text has no punctuation. Generators are often trained on it or on LibriTTS, which has the same
readers: a voice in a spoofed clip may be one of its speakers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from unheard.corpora.corpus import above_parts
from unheard.data.clip import Clip
from unheard.data.tables import check_part, files_under, lines, subfolders
from unheard.errors import CorpusError

__all__ = ["LibriSpeech"]

_COUNTS = {
    "dev-clean": 2_703,
    "dev-other": 2_864,
    "test-clean": 2_620,
    "test-other": 2_939,
    "train-clean-100": 28_539,
    "train-clean-360": 104_014,
    "train-other-500": 148_688,
}
_GENDER = {"F": "female", "M": "male"}


@dataclass(frozen=True)
class LibriSpeech:
    """Reader of LibriSpeech; the layout is in the module's docstring."""

    name: ClassVar[str] = "librispeech"
    parts: ClassVar[tuple[str, ...]] = tuple(_COUNTS)
    published: ClassVar[Mapping[str, tuple[int, int]]] = {
        part: (count, 0) for part, count in _COUNTS.items()
    }
    licence: ClassVar[str] = "CC-BY-4.0"
    source: ClassVar[str] = "OpenSLR, resource 12, an archive for each part"
    citation: ClassVar[str] = (
        "V. Panayotov, G. Chen, D. Povey, S. Khudanpur, Librispeech: an ASR corpus based on public "
        "domain audio books, ICASSP 2015"
    )
    defects: ClassVar[tuple[str, ...]] = (
        "The recordings were MP3 files before they were cut.",
        "Microphones and rooms differ by reader.",
        "Generators are often trained on these readers, so a spoofed voice may be one of them.",
    )

    def parts_in(self, root: Path) -> tuple[str, ...]:
        """Return the parts that were fetched, sorted.

        Raises:
            CorpusError: If there is none.
        """
        base = _base(root)
        return tuple(part for part in self.parts if (base / part).is_dir())

    def clips(self, root: Path, part: str) -> Iterator[Clip]:
        """Yield the clips that the transcripts of a part list.

        Args:
            root: Folder that holds `LibriSpeech`, or `LibriSpeech` itself.
            part: Such as "dev-clean".

        Raises:
            CorpusError: If the part does not exist or was not fetched, or a transcript is
                malformed.
        """
        check_part(self.name, part, self.parts)
        base = _base(root)
        if not (base / part).is_dir():
            raise CorpusError(
                f"{base / part}: no such folder, only {', '.join(self.parts_in(root))}; "
                f"fetch {part}.tar.gz and unpack it next to them"
            )
        genders = _genders(base / "SPEAKERS.TXT")
        for speaker in subfolders(base / part):
            notes = {"gender": genders[speaker]} if speaker in genders else {}
            for chapter in subfolders(base / part / speaker):
                folder = base / part / speaker / chapter
                for name, text in _chapter(folder, f"{speaker}-{chapter}"):
                    yield Clip(
                        id=f"librispeech/{name}",
                        path=(folder / f"{name}.flac").relative_to(root).as_posix(),
                        bonafide=True,
                        part=part,
                        speaker=f"librispeech/{speaker}",
                        corpus="librispeech",
                        language="en",
                        licence=self.licence,
                        text=text,
                        codec="mp3",
                        notes=notes,
                    )


def _base(root: Path) -> Path:
    return above_parts(root, _COUNTS, "LibriSpeech", unpacked="the archives were")


def _chapter(folder: Path, prefix: str) -> Iterator[tuple[str, str]]:
    """Names and texts of a chapter, by its transcripts, or by its files if there are none."""
    transcripts = folder / f"{prefix}.trans.txt"
    if not transcripts.is_file():
        for file in files_under(folder, suffixes={".flac"}):
            yield Path(file).stem, ""
        return
    for number, line in lines(transcripts, "the transcripts of a chapter"):
        name, _, text = line.strip().partition(" ")
        if not name.startswith(f"{prefix}-"):
            raise CorpusError(
                f"{transcripts}:{number}: {line.strip()[:80]!r}; a name that begins with "
                f"{prefix}- and the text wanted; unpack the archive again"
            )
        yield name, text.strip()


def _genders(path: Path) -> dict[str, str]:
    """Gender by speaker; nothing if the file is not there."""
    if not path.is_file():
        return {}
    genders: dict[str, str] = {}
    for _, line in lines(path, "SPEAKERS.TXT"):
        # A reader's name may hold the separator: only the columns before it count.
        cells = [cell.strip() for cell in line.split("|", 4)]
        if not line.startswith(";") and len(cells) > 1 and cells[1] in _GENDER:
            genders[cells[0]] = _GENDER[cells[1]]
    return genders
