"""ASVspoof 2019, physical access: replayed recordings in simulated rooms, no generated speech.

On disk, as its archive unpacks (root is the folder that holds `PA`, or `PA` itself):

    PA/ASVspoof2019_PA_train/flac/PA_T_0000001.flac ...
    PA/ASVspoof2019_PA_dev/flac/PA_D_0000001.flac ...
    PA/ASVspoof2019_PA_eval/flac/PA_E_0000001.flac ...
    PA/ASVspoof2019_PA_cm_protocols/ASVspoof2019.PA.cm.train.trn.txt
    PA/ASVspoof2019_PA_cm_protocols/ASVspoof2019.PA.cm.dev.trl.txt
    PA/ASVspoof2019_PA_cm_protocols/ASVspoof2019.PA.cm.eval.trl.txt

A protocol has five space-separated columns and no header: speaker, clip, environment (three letters
of a, b, c), attack (two letters of A, B, C, or "-"), key ("bonafide" or "spoof"):

    PA_0079 PA_T_0000001 aaa - bonafide

The letters of an environment are the size of the room, its reverberation time and the distance of
the talker to the microphone; those of an attack the distance of the attacker to the talker and the
quality of the replay device, from A (nearest, perfect) to C. What the letters mean is recalled from
the evaluation plan; it was not available.

Counts: train 5,400 bona fide and 48,600 spoofed, dev 5,400 and 24,300, eval 18,090 and 116,640. The
counts by part are recalled from the evaluation plan; their sums are the published totals, 28,890
and 189,540.

Licence: ODC-By 1.0. Where to get it: the Edinburgh DataShare page of ASVspoof 2019.

Citation: X. Wang et al., "ASVspoof 2019: A large-scale public database of synthesized, converted
and replayed speech", Computer Speech & Language 64, 2020.

Known defects: rooms and devices are simulated, and the corpus of 2019 says nothing of real replay;
all speech is English, read, studio (VCTK), the same as in ASVspoof 2019 LA; spoofed clips are
recordings of people, so a detector of generated speech has nothing to find in them; the dev and
eval folders also hold clips of enrolment, which no countermeasure protocol lists.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from unheard.corpora.asvspoof2019_la import trials_of_2019
from unheard.data.clip import BONAFIDE_ATTACK, Clip

__all__ = ["Asvspoof2019Pa"]


@dataclass(frozen=True)
class Asvspoof2019Pa:
    """Reader of ASVspoof 2019 PA; the layout is in the module's docstring."""

    name: ClassVar[str] = "asvspoof2019_pa"
    parts: ClassVar[tuple[str, ...]] = ("train", "dev", "eval")
    published: ClassVar[Mapping[str, tuple[int, int]]] = {
        "train": (5_400, 48_600),
        "dev": (5_400, 24_300),
        "eval": (18_090, 116_640),
    }
    licence: ClassVar[str] = "ODC-By-1.0"
    source: ClassVar[str] = "Edinburgh DataShare, the page of ASVspoof 2019: PA.zip"
    citation: ClassVar[str] = (
        'X. Wang et al., "ASVspoof 2019: A large-scale public database of synthesized, converted '
        'and replayed speech", Computer Speech & Language 64, 2020'
    )
    defects: ClassVar[tuple[str, ...]] = (
        "Rooms and devices are simulated: it says nothing of real replay.",
        "Spoofed clips are recordings of people: a detector of generated speech has nothing to "
        "find in them.",
        "All speech is English, read, recorded in a studio (VCTK), as in ASVspoof 2019 LA.",
        "The dev and eval folders also hold enrolment clips, which no countermeasure protocol "
        "lists: extra files there are no fault.",
    )

    def clips(self, root: Path, part: str) -> Iterator[Clip]:
        """Yield the clips that a protocol lists.

        Args:
            root: Folder that holds `PA`, or `PA` itself.
            part: "train", "dev" or "eval".

        Raises:
            CorpusError: If the part does not exist, or its protocol is missing or malformed.
        """
        for clip, _, environment in trials_of_2019(root, "PA", part, self.name):
            family = BONAFIDE_ATTACK if clip.bonafide else "replay"
            yield replace(clip, family=family, notes={"environment": environment})
