"""Codecfake of Xie et al.: speech re-synthesised by seven codecs, or made by audio language models.

Not CodecFake of Wu et al. (capital F, made from VCTK alone, no label files): that is
`codecfake_wu`.

On disk, as the authors' README arranges it (root is the folder that holds `label`; folders of the
test sets may also lie next to it, as their archives unpack; A3 unpacks as `A3_fake`):

    label/train.txt  dev.txt  C1.txt ... C7.txt  A1.txt  A2.txt  A3.txt
    train/SSB13650058.wav  F01_SSB13650058.wav ...
    dev/...
    test/C1/...  or C1/...

A label file has three space-separated columns and no header: file, "real" or "fake", and a number,
0 for real and 1 to 7 for the codec (F01 to F07). A public reader takes the first line for a header
and loses a clip:

    SSB13650058.wav real 0
    F01_SSB13650058.wav fake 1

Counts, real and fake: train 105,821 and 634,926; dev 13,228 and 79,368; C1 to C6 13,228 and 13,228
each; C7 13,228 and 132,277; A3 49,274 and 49,838. Of C1 to C6 and A3 they are counted in the score
files that the authors published; of train, dev and C7 worked out: the published totals (740,747;
92,596; 145,505; 132,277 real and 925,939 fake over all) are met exactly by one real clip for each
six fake ones, and by every clip once in C7. A1 and A2 have 8,902 clips each, but the score files
8,887 (4,451 and 4,436), so none is compared.

Licence: CC BY-NC-ND 4.0. Where to get it: Zenodo, six records named in the authors' README.

Citation: Y. Xie et al., "The Codecfake Dataset and Countermeasures for the Universally Detection of
Deepfake Audio", arXiv 2405.04880, 2024.

Known defects: clips have several rates, users report, and readers that take all for 16 kHz learn
the rate; a fake clip says what its real one says, in the same voice, with only the codec between;
who counts codec re-synthesis as human speech (one public benchmark does) turns the labels of C1
to C7 over; real clips are those of AISHELL-3 and VCTK (one public list adds LibriTTS), so this and
ASVspoof share voices; real clips of C1 to C6 are the same 13,228 in each, so ids hold the part.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from unheard.data.clip import BONAFIDE_ATTACK, Clip
from unheard.data.tables import check_part, is_bonafide, rows
from unheard.errors import CorpusError

__all__ = ["CodecfakeXie", "voice"]

_TEST = ("C1", "C2", "C3", "C4", "C5", "C6", "C7", "A1", "A2", "A3")
_CODECS = ("1", "2", "3", "4", "5", "6", "7")
_VOICES = (
    (re.compile(r"(SSB\d{4})\d{4}"), "aishell3", "zh"),
    (re.compile(r"(p\d{3})_\d+"), "vctk", "en"),
)


@dataclass(frozen=True)
class CodecfakeXie:
    """Reader of Codecfake of Xie et al.; the layout is in the module's docstring."""

    name: ClassVar[str] = "codecfake_xie"
    parts: ClassVar[tuple[str, ...]] = ("train", "dev", *_TEST)
    published: ClassVar[Mapping[str, tuple[int, int]]] = {
        "train": (105_821, 634_926),
        "dev": (13_228, 79_368),
        **dict.fromkeys(("C1", "C2", "C3", "C4", "C5", "C6"), (13_228, 13_228)),
        "C7": (13_228, 132_277),
        "A3": (49_274, 49_838),
    }
    licence: ClassVar[str] = "CC-BY-NC-ND-4.0"
    source: ClassVar[str] = "Zenodo, six records named in the README of xieyuankun/Codecfake"
    citation: ClassVar[str] = (
        'Y. Xie et al., "The Codecfake Dataset and Countermeasures for the Universally Detection '
        'of Deepfake Audio", arXiv 2405.04880, 2024'
    )
    defects: ClassVar[tuple[str, ...]] = (
        "Clips have several rates, users report; readers that take all for 16 kHz learn the rate.",
        "Real clips of C1 to C6 are the same in each: scores pooled over them are not independent.",
        "Voices are those of AISHELL-3 and VCTK, which other corpora have too.",
        "A1 and A2 have 8,902 clips by the README and 8,887 in the authors' score files.",
    )

    def parts_in(self, root: Path) -> tuple[str, ...]:
        """Return the parts whose audio was fetched; all of them if none was.

        Raises:
            CorpusError: If root holds no label files.
        """
        _labels(root)
        fetched = tuple(part for part in self.parts if (root / _place(root, part)).is_dir())
        return fetched or self.parts

    def clips(self, root: Path, part: str) -> Iterator[Clip]:
        """Yield the clips that the label file of a part lists.

        Args:
            root: Folder that holds `label`.
            part: "train", "dev", "C1" to "C7" or "A1" to "A3".

        Raises:
            CorpusError: If the part does not exist, its label file is missing or malformed, or
                root is CodecFake of Wu et al.
        """
        check_part(self.name, part, self.parts)
        table = _labels(root) / f"{part}.txt"
        place = _place(root, part)
        for number, columns in rows(table, columns=3, what="the label file, from label.zip"):
            where = f"{table}:{number}"
            attack = _attack(columns, where, part)
            name = os.path.splitext(columns[0])[0]
            speaker, language = voice(name)
            real = name.removeprefix(f"{attack}_")
            yield Clip(
                id=f"{self.name}/{part}/{name}",
                path=f"{place}/{columns[0]}",
                bonafide=attack == BONAFIDE_ATTACK,
                part=part,
                attack=attack,
                family=_family(attack),
                speaker=speaker,
                source_clip=f"{self.name}/{part}/{real}" if real != name and part != "C7" else "",
                corpus=self.name,
                language=language,
                licence=self.licence,
            )


def voice(name: str) -> tuple[str, str]:
    """Return speaker and language of a clip that was made from AISHELL-3 or VCTK, by its name.

    Args:
        name: File name, such as "F01_SSB13650058" or "encodec_24khz+p272_103".

    Returns:
        Speaker as the reader of that corpus names it and language; both "" if it is neither.

    Example:
        >>> voice("F01_p272_103")
        ('vctk/p272', 'en')
    """
    for pattern, corpus, language in _VOICES:
        match = pattern.search(name)
        if match:
            return f"{corpus}/{match[1]}", language
    return "", ""


def _attack(columns: list[str], where: str, part: str) -> str:
    """The codec of a row, "-" for real; the number of the language models is theirs to choose."""
    _, label, number = columns
    if is_bonafide(label, where):
        if number != "0" and part[0] != "A":
            raise CorpusError(
                f"{where}: real and codec {number} contradict each other; fetch label.zip again"
            )
        return BONAFIDE_ATTACK
    if part[0] == "A":
        return part
    if number not in _CODECS:
        raise CorpusError(
            f"{where}: fake and codec {number!r}; 1 to 7 wanted; fetch label.zip again"
        )
    return f"F0{number}"


def _family(attack: str) -> str:
    if attack == BONAFIDE_ATTACK:
        return BONAFIDE_ATTACK
    return "neural codec" if attack[0] == "F" else "unknown"


def _labels(root: Path) -> Path:
    """The folder of label files; says which corpus root is instead."""
    if (root / "label").is_dir():
        return root / "label"
    if (root / "datalist.csv").is_file() or any(_of_wu(root)):
        raise CorpusError(
            f"{root}: this is CodecFake of Wu et al. (one folder for each codec, no label files); "
            "import it as codecfake_wu"
        )
    raise CorpusError(
        f"{root}: no folder label in it; give the folder that label.zip was unpacked into, the "
        "one that holds label, train, dev and test"
    )


def _of_wu(root: Path) -> Iterator[str]:
    """Names of the other corpus's clips that lie in root, or in a folder of it."""
    if not root.is_dir():
        return
    for above, folders, names in os.walk(root):
        yield from (name for name in names if "+" in name and name.endswith(".wav"))
        if Path(above) != root:
            folders.clear()


def _place(root: Path, part: str) -> str:
    """Where the audio of a part lies, relative to root."""
    if part not in _TEST:
        return part
    places = (f"test/{part}", part, f"test/{part}_fake", f"{part}_fake")
    return next((place for place in places if (root / place).is_dir()), places[0])
