"""In-the-Wild: speech of 58 public figures, real and faked, as found on the internet.

On disk, as its archive unpacks (root is the folder that holds `release_in_the_wild`, or that folder
itself):

    release_in_the_wild/meta.csv
    release_in_the_wild/0.wav ... 31778.wav

meta.csv has a header and three columns: file, speaker, label ("bona-fide", with a hyphen, or
"spoof"). A test for "bonafide" drops every real clip without a word:

    file,speaker,label
    0.wav,Alec Guinness,spoof
    4.wav,Christopher Hitchens,bona-fide

There is no split: all of it is the part "all", meant for evaluation.

Counts: 19,963 bona fide and 11,816 spoofed, 31,779 in all, 37.9 hours.

Licence: CC BY-SA 4.0 by the card of the authors' copy on a data-set hub; older pages of theirs were
not available. Where to get it: the page of Fraunhofer AISEC, release_in_the_wild.zip.

Citation: N. Mueller, P. Czempin, F. Dieckmann, A. Froghyar, K. Boettinger, "Does Audio Deepfake
Detection Generalize?", Interspeech 2022.

Known defects: which system made a clip is not known, so all attacks are "unknown"; clips were cut
from videos, so neighbouring files share a recording, its room and its codec, and which codec that
was is not known either; a speaker's real and faked clips come from different videos, so the channel
may tell them apart as well as the voice does; most persons speak on both sides, so a split by
speaker has both labels in each part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from unheard.data.clip import BONAFIDE_ATTACK, Clip
from unheard.data.tables import check_part, csv_rows, file, is_bonafide

__all__ = ["InTheWild"]


@dataclass(frozen=True)
class InTheWild:
    """Reader of In-the-Wild; the layout is in the module's docstring."""

    name: ClassVar[str] = "in_the_wild"
    parts: ClassVar[tuple[str, ...]] = ("all",)
    published: ClassVar[Mapping[str, tuple[int, int]]] = {"all": (19_963, 11_816)}
    licence: ClassVar[str] = "CC-BY-SA-4.0"
    source: ClassVar[str] = "The page of Fraunhofer AISEC: release_in_the_wild.zip"
    citation: ClassVar[str] = (
        'N. Mueller et al., "Does Audio Deepfake Detection Generalize?", Interspeech 2022'
    )
    defects: ClassVar[tuple[str, ...]] = (
        "Which system made a clip is not known.",
        "Clips were cut from videos: neighbours share a recording, its room and its codec.",
        "Real and faked clips of a speaker come from different videos, so the channel may tell "
        "them apart as well.",
    )

    def clips(self, root: Path, part: str) -> Iterator[Clip]:
        """Yield the clips that meta.csv lists.

        Args:
            root: Folder that holds `release_in_the_wild`, or that folder itself.
            part: "all".

        Raises:
            CorpusError: If the part does not exist, or meta.csv is missing or malformed.
        """
        check_part(self.name, part, self.parts)
        table = file(
            root,
            "release_in_the_wild/meta.csv",
            "meta.csv",
            what="release_in_the_wild.zip was unpacked into",
        )
        folder = table.parent.relative_to(root)
        for number, row in csv_rows(table, wanted=("file", "speaker", "label")):
            name = row["file"].strip()
            bonafide = is_bonafide(row["label"], f"{table}:{number}")
            yield Clip(
                id=f"{self.name}/{name}",
                path=(folder / name).as_posix(),
                bonafide=bonafide,
                part=part,
                attack=BONAFIDE_ATTACK if bonafide else "unknown",
                family=BONAFIDE_ATTACK if bonafide else "unknown",
                speaker=f"{self.name}/{row['speaker'].strip()}",
                corpus=self.name,
                language="en",
                licence=self.licence,
            )
