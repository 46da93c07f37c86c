"""SpoofCeleb: VoxCeleb1's celebrities, and 23 text-to-speech systems trained on their speech.

On disk, as its archive unpacks (root is the folder that holds `spoofceleb`, or that folder itself):

    spoofceleb/metadata/train.csv
    spoofceleb/metadata/development.csv
    spoofceleb/metadata/evaluation.csv
    spoofceleb/flac/train/a00/id10001/YYsxcZ5saac-00002-006.flac ...
    spoofceleb/flac/development/a06/id10310/...
    spoofceleb/flac/evaluation/a15/id10270/...

A table has a header and three columns: file, from the folder of its part, speaker, attack ("a00"
for bona fide, "a01" to "a23" for a system). There is no column of a label:

    file,speaker,attack
    a00/id10318/YYsxcZ5saac-00002-006.flac,id10318,a00

Counts: evaluation 9,113 bona fide and 82,017 spoofed. A public copy that walked the archive counted
train 230,948 and 2,309,473, development 7,963 and 47,778; these are not verified, so not compared.

Licence: CC BY 4.0 by the authors' card. Where to get it: the data-set hub page jungjee/spoofceleb.

Citation: J. Jung et al., "SpoofCeleb: Speech Deepfake Detection and SASV In The Wild", arXiv
2409.17285, 2024.

Known defects: bona fide speech is not the video's own: it was cut and cleaned for training text to
speech (TITW, recalled), so it carries the traces of an enhancer; speech is called English, though
VoxCeleb1 is not wholly; which system a number stands for was not available, so all families are
"unknown" (all are text to speech; that they are 23 is recalled); attacks differ by part.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar

from unheard.data.clip import BONAFIDE_ATTACK, Clip
from unheard.data.tables import check_part, csv_rows, folder
from unheard.errors import CorpusError

__all__ = ["SpoofCeleb"]

_ATTACK = re.compile(r"a\d\d")
_BONAFIDE = "a00"


@dataclass(frozen=True)
class SpoofCeleb:
    """Reader of SpoofCeleb; the layout is in the module's docstring."""

    name: ClassVar[str] = "spoofceleb"
    parts: ClassVar[tuple[str, ...]] = ("train", "development", "evaluation")
    published: ClassVar[Mapping[str, tuple[int, int]]] = {"evaluation": (9_113, 82_017)}
    licence: ClassVar[str] = "CC-BY-4.0"
    source: ClassVar[str] = "The data-set hub page jungjee/spoofceleb, an archive in pieces"
    citation: ClassVar[str] = (
        'J. Jung et al., "SpoofCeleb: Speech Deepfake Detection and SASV In The Wild", arXiv '
        "2409.17285, 2024"
    )
    defects: ClassVar[tuple[str, ...]] = (
        "Bona fide speech was cut and cleaned for training text to speech.",
        "Which system a number stands for is not said in the tables.",
    )

    def clips(self, root: Path, part: str) -> Iterator[Clip]:
        """Yield the clips that the table of a part lists.

        Args:
            root: Folder that holds `spoofceleb`, or that folder itself.
            part: "train", "development" or "evaluation".

        Raises:
            CorpusError: If the part does not exist, or its table is missing or malformed.
        """
        check_part(self.name, part, self.parts)
        names = ("metadata", "spoofceleb/metadata", "SpoofCeleb/metadata")
        tables = folder(root, *names, what="holds metadata and flac, from the archive's pieces")
        above = (tables.parent / "flac" / part).relative_to(root)
        table = tables / f"{part}.csv"
        for number, row in csv_rows(table, wanted=("file", "speaker", "attack")):
            name, attack = row["file"].strip(), row["attack"].strip().lower()
            if not _ATTACK.fullmatch(attack):
                raise CorpusError(
                    f"{table}:{number}: attack {row['attack']!r}; a00 for bona fide or a01 to a23 "
                    "wanted; fetch the table again"
                )
            bonafide = attack == _BONAFIDE
            yield Clip(
                id=f"{self.name}/{part}/{PurePosixPath(name).with_suffix('')}",
                path=(above / name).as_posix(),
                bonafide=bonafide,
                part=part,
                attack=BONAFIDE_ATTACK if bonafide else attack,
                family=BONAFIDE_ATTACK if bonafide else "unknown",
                speaker=f"voxceleb1/{row['speaker'].strip()}",
                corpus=self.name,
                language="en",
                licence=self.licence,
            )
