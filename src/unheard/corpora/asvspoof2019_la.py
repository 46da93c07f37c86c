"""ASVspoof 2019, logical access: the corpus most detectors are trained on.

On disk, as its archive unpacks (root is the folder that holds `LA`, or `LA` itself):

    LA/ASVspoof2019_LA_train/flac/LA_T_1138215.flac ...
    LA/ASVspoof2019_LA_dev/flac/LA_D_1047731.flac ...
    LA/ASVspoof2019_LA_eval/flac/LA_E_2834763.flac ...
    LA/ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.train.trn.txt
    LA/ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.dev.trl.txt
    LA/ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.eval.trl.txt

A protocol has five space-separated columns and no header: speaker, clip, "-", attack ("A01" to
"A19", or "-"), key ("bonafide" or "spoof"):

    LA_0069 LA_D_1047731 - - bonafide

Counts: train 2,580 bona fide and 22,800 spoofed (A01 to A06, 3,800 each); dev 2,548 and 22,296
(A01 to A06, 3,716 each); eval 7,355 and 63,882 (A07 to A19, 4,914 each).

Licence: ODC-By 1.0. Where to get it: the Edinburgh DataShare page of ASVspoof 2019.

Citation: X. Wang et al., "ASVspoof 2019: A large-scale public database of synthesized, converted
and replayed speech", Computer Speech & Language 64, 2020.

Known defects: the length of silence at the edges differs between bona fide and spoofed clips and
between attacks, and detectors learn it (Mueller et al., "Speech is silver, silence is golden",
2021); A16 is the system of A04 and A19 that of A06 with other training data, so eval is not wholly
unseen; all speech is English, read, studio (VCTK); the dev and eval folders also hold the clips of
enrolment lists, which no countermeasure protocol names, so extra files there are no fault.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from unheard.data.clip import BONAFIDE_ATTACK, Clip
from unheard.data.tables import check_attack, check_part, folder, is_bonafide, rows

__all__ = ["ATTACK_FAMILY", "Asvspoof2019La", "trials_of_2019"]

_WANTED = "the countermeasure protocol (cm), not the one for speaker verification (asv)"
_LISTS = {"train": "train.trn.txt", "dev": "dev.trl.txt", "eval": "eval.trl.txt"}

ATTACK_FAMILY: dict[str, str] = {
    "A01": "neural TTS",
    "A02": "signal vocoder",
    "A03": "signal vocoder",
    "A04": "unit selection",
    "A05": "conversion",
    "A06": "conversion",
    "A07": "signal vocoder",
    "A08": "neural TTS",
    "A09": "signal vocoder",
    "A10": "neural TTS",
    "A11": "signal vocoder",
    "A12": "neural TTS",
    "A13": "conversion",
    "A14": "conversion",
    "A15": "conversion",
    "A16": "unit selection",
    "A17": "conversion",
    "A18": "conversion",
    "A19": "conversion",
}
"""The kind of each system in this project's families.

By the list of systems in README.LA.txt of the corpus, as two public readers of the corpus reproduce
it; the archive itself was not available. Text to speech is sorted by how the waveform is made: a
neural waveform model is "neural TTS", a vocoder (A07 with a network after it) or Griffin-Lim (A11)
"signal vocoder", waveform concatenation "unit selection". Whatever converts a voice, of a recording
or of synthesised speech (A13 to A15), is "conversion".
"""


@dataclass(frozen=True)
class Asvspoof2019La:
    """Reader of ASVspoof 2019 LA; the layout is in the module's docstring."""

    name: ClassVar[str] = "asvspoof2019_la"
    parts: ClassVar[tuple[str, ...]] = ("train", "dev", "eval")
    published: ClassVar[Mapping[str, tuple[int, int]]] = {
        "train": (2_580, 22_800),
        "dev": (2_548, 22_296),
        "eval": (7_355, 63_882),
    }
    licence: ClassVar[str] = "ODC-By-1.0"
    source: ClassVar[str] = "Edinburgh DataShare, the page of ASVspoof 2019: LA.zip"
    citation: ClassVar[str] = (
        'X. Wang et al., "ASVspoof 2019: A large-scale public database of synthesized, converted '
        'and replayed speech", Computer Speech & Language 64, 2020'
    )
    defects: ClassVar[tuple[str, ...]] = (
        "The length of silence at the edges differs between bona fide and spoofed clips and "
        "between attacks, and detectors learn it.",
        "A16 is the system of A04 and A19 that of A06, trained on other data: eval is not wholly "
        "unseen.",
        "All speech is English, read, recorded in a studio (VCTK).",
        "The dev and eval folders also hold enrolment clips, which no countermeasure protocol "
        "lists: extra files there are no fault.",
    )

    def clips(self, root: Path, part: str) -> Iterator[Clip]:
        """Yield the clips that a protocol lists.

        Args:
            root: Folder that holds `LA`, or `LA` itself.
            part: "train", "dev" or "eval".

        Raises:
            CorpusError: If the part does not exist, or its protocol is missing or malformed.
        """
        for clip, attack, _ in trials_of_2019(root, "LA", part, self.name):
            family = BONAFIDE_ATTACK if clip.bonafide else ATTACK_FAMILY.get(attack, "unknown")
            yield replace(clip, family=family)


def trials_of_2019(
    root: Path, task: str, part: str, corpus: str
) -> Iterator[tuple[Clip, str, str]]:
    """Yield the clips that a protocol of a task of 2019 lists, all but their family.

    Args:
        root: Folder that holds the task's, or that one itself.
        task: "LA" or "PA".
        part: "train", "dev" or "eval".
        corpus: What the corpus is called here.

    Returns:
        Clips, each with its attack and the third column of the protocol.

    Raises:
        CorpusError: If the part does not exist, or its protocol is missing or malformed.
    """
    check_part(corpus, part, _LISTS)
    where = f"{task}.zip was unpacked into, the one that holds {task}"
    protocols = f"ASVspoof2019_{task}_cm_protocols"
    base = folder(root, f"{task}/{protocols}", protocols, what=where)
    protocol = base / f"ASVspoof2019.{task}.cm.{_LISTS[part]}"
    audio = (base.parent / f"ASVspoof2019_{task}_{part}/flac").relative_to(root).as_posix()
    for number, columns in rows(protocol, columns=5, what=_WANTED):
        speaker, name, environment, attack, label = columns
        bonafide = is_bonafide(label, f"{protocol}:{number}")
        check_attack(bonafide, attack, f"{protocol}:{number}")
        clip = Clip(
            id=f"{corpus}/{name}",
            path=f"{audio}/{name}.flac",
            bonafide=bonafide,
            part=part,
            attack=attack,
            speaker=f"{corpus}/{speaker}",
            corpus=corpus,
            language="en",
            licence="ODC-By-1.0",
        )
        yield clip, attack, environment
