"""VCTK: 110 speakers of English with many accents read newspaper sentences; bona fide only.

On disk, release 0.92 (root is the folder it was unpacked into, or one that holds it as
`VCTK-Corpus-0.92`; its archive has no folder of its own):

    wav48_silence_trimmed/p225/p225_001_mic1.flac
    wav48_silence_trimmed/p225/p225_001_mic2.flac ...
    wav48_silence_trimmed/s5/s5_001_mic1.flac ...
    txt/p225/p225_001.txt ...
    speaker-info.txt

and the releases before (root holds `VCTK-Corpus`, or is it):

    VCTK-Corpus/wav48/p225/p225_001.wav ...
    VCTK-Corpus/txt/p225/p225_001.txt ...
    VCTK-Corpus/speaker-info.txt

The files are the list of clips; there is no other. Each sentence of 0.92 was recorded by two
microphones at once: parts "mic1" and "mic2" hold the same speech, use one of them. The older
layout is one part, "wav48".

speaker-info.txt is a table for the eye: columns of changing width, regions of several words or
none, remarks in brackets; the number of a speaker is "225" in the older one and "p225" in 0.92:

    ID  AGE  GENDER  ACCENTS  REGION COMMENTS
    p225  23  F    English    Southern  England
    p315  18  M    American  New England (Text unavailable)

Counts: about 400 sentences of each of 110 speakers; the number of clips was not verified, so none
is compared.

Licence: CC BY 4.0 (0.92), ODC-By 1.0 (before; recalled, not seen). Where to get it: Edinburgh
DataShare, "CSTR VCTK Corpus".

Citation: J. Yamagishi, C. Veaux, K. MacDonald, "CSTR VCTK Corpus: English multi-speaker corpus for
CSTR voice cloning toolkit (version 0.92)", University of Edinburgh, 2019.

Known defects: p315 has no text; p280 has no second microphone and p362 lacks some files of it; the
silence at the edges was cut off in 0.92, which tells its clips from generated ones that keep
theirs; the older layout keeps long silences and holds a file p376_295.raw, which is passed over;
all speakers read the same first sentences; ASVspoof 2019 and 2021 are made from this corpus, so do
not train on it and test on them by speaker.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from unheard.data.clip import Clip
from unheard.data.tables import check_part, files_under, folder, lines
from unheard.errors import CorpusError

__all__ = ["Vctk"]

_NEW, _OLD = "wav48_silence_trimmed", "wav48"
_NAME = re.compile(r"([ps]\d+)_(\d+)(?:_(mic[12]))?")
_GENDER = {"F": "female", "M": "male"}


@dataclass(frozen=True)
class Vctk:
    """Reader of VCTK 0.92 and before; the layouts are in the module's docstring."""

    name: ClassVar[str] = "vctk"
    parts: ClassVar[tuple[str, ...]] = ("mic1", "mic2", _OLD)
    published: ClassVar[Mapping[str, tuple[int, int]]] = {}
    licence: ClassVar[str] = "CC-BY-4.0 (0.92), ODC-By-1.0 (before)"
    source: ClassVar[str] = "Edinburgh DataShare, CSTR VCTK Corpus"
    citation: ClassVar[str] = (
        "J. Yamagishi, C. Veaux, K. MacDonald, CSTR VCTK Corpus: English multi-speaker corpus for "
        "CSTR voice cloning toolkit (version 0.92), University of Edinburgh, 2019"
    )
    defects: ClassVar[tuple[str, ...]] = (
        "p315 has no text, p280 no second microphone, p362 lacks some files of it.",
        "mic1 and mic2 are the same speech; use one of them.",
        "The silence at the edges was cut off in 0.92 and is long before.",
        "ASVspoof 2019 and 2021 are made from these speakers.",
    )

    def parts_in(self, root: Path) -> tuple[str, ...]:
        """Return the parts that there are, sorted.

        Raises:
            CorpusError: If there is no folder of recordings.
        """
        present = {part for _, _, part in _recordings(_audio(root))}
        if not present:
            raise CorpusError(
                f"{_audio(root)}: no recording such as p225/p225_001_mic1.flac in it; "
                "give the folder that the archive was unpacked into, and unpack it whole"
            )
        return tuple(part for part in self.parts if part in present)

    def clips(self, root: Path, part: str) -> Iterator[Clip]:
        """Yield the recordings of a part that are there.

        Args:
            root: Folder that the archive was unpacked into, or the one above.
            part: "mic1" or "mic2" of 0.92, "wav48" of the releases before.

        Raises:
            CorpusError: If the part does not exist, or there is no folder of recordings.
        """
        check_part(self.name, part, self.parts)
        audio = _audio(root)
        speaker_notes = _speakers(audio.parent / "speaker-info.txt")
        for path, sentence, recorded_part in _recordings(audio):
            if recorded_part != part:
                continue
            speaker = sentence.partition("_")[0]
            yield Clip(
                id=f"vctk/{Path(path).stem}",
                path=(audio / path).relative_to(root).as_posix(),
                bonafide=True,
                part=part,
                speaker=f"vctk/{speaker}",
                corpus="vctk",
                language="en",
                licence="ODC-By-1.0" if part == _OLD else "CC-BY-4.0",
                text=_text(audio.parent / "txt" / speaker / f"{sentence}.txt"),
                notes=speaker_notes.get(speaker, {}),
            )


def _audio(root: Path) -> Path:
    """The folder of recordings, of whichever release there is."""
    bases = ("", "VCTK-Corpus-0.92/", "VCTK-Corpus/")
    return folder(
        root,
        *(base + name for base in bases for name in (_NEW, _OLD)),
        what=f"the archive was unpacked into, the one that holds {_NEW} (or {_OLD}) and txt",
    )


def _recordings(audio: Path) -> Iterator[tuple[str, str, str]]:
    """Path, sentence and part of each recording; other files are passed over."""
    for path in files_under(audio, suffixes={".flac", ".wav"}):
        if match := _NAME.fullmatch(Path(path).stem):
            speaker, number, microphone = match.groups()
            yield path, f"{speaker}_{number}", microphone or _OLD


def _speakers(path: Path) -> dict[str, dict[str, str]]:
    """What speaker-info.txt says of each speaker; nothing if it is not there."""
    if not path.is_file():
        return {}
    speakers: dict[str, dict[str, str]] = {}
    for _, line in lines(path, "speaker-info.txt"):
        speaker, *cells = line.split()
        if speaker != "ID":
            # Regions have no fixed number of words, so what follows the accent stays together.
            notes = dict(zip(("age", "gender", "accent"), cells, strict=False))
            if "gender" in notes:
                notes["gender"] = _GENDER.get(notes["gender"], notes["gender"])
            speakers[f"p{speaker}" if speaker.isdigit() else speaker] = notes
    return speakers


def _text(path: Path) -> str:
    try:
        return " ".join(path.read_text("utf-8-sig", errors="replace").split())
    except OSError:
        return ""
