"""ASVspoof 2021, logical access: the attacks of 2019 sent over telephone lines; evaluation only.

On disk, audio and keys unpacked into one folder (root):

    ASVspoof2021_LA_eval/flac/LA_E_9332881.flac ...      from the audio archive
    keys/LA/CM/trial_metadata.txt                        from LA-keys-full.tar.gz

The keys have eight space-separated columns and no header: speaker, clip, codec (none, alaw, pstn,
g722, ulaw, gsm, opus), transmission (ita_tx, sin_tx, loc_tx, mad_tx or "-"), attack (A07 to A19;
"bonafide" or "-" for bona fide), key, trim ("notrim" or "trim": non-speech cut off), subset:

    LA_0009 LA_E_9332881 alaw ita_tx A07 spoof notrim eval

The parts are the subsets. Published numbers are those of part "eval"; "progress" was scored during
the challenge and "hidden" holds trimmed clips.

Counts: eval 14,816 bona fide and 133,360 spoofed, progress 1,676 and 14,788, hidden 1,960 and
14,966. Rows by subset (148,176, 16,464, 16,926) and labels in all (18,452 and 163,114) are known
from public readers of the keys; the split of each subset by label is recalled, and agrees with all
five sums.

Licence: ODC-By 1.0. Where to get it: Zenodo, the record of ASVspoof 2021 LA; the keys from the
challenge's own page.

Citation: X. Liu et al., "ASVspoof 2021: Towards spoofed and deepfake speech detection in the wild",
IEEE/ACM Transactions on Audio, Speech, and Language Processing 31, 2023.

Known defects: speakers and attacks are those of the evaluation part of ASVspoof 2019 LA; the length
of silence at the edges gives labels away in eval and progress, which is why hidden is trimmed; all
speech is English, read, studio (VCTK).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from unheard.corpora.asvspoof2019_la import ATTACK_FAMILY
from unheard.data.clip import BONAFIDE_ATTACK, Clip
from unheard.data.tables import check_attack, check_part, file, is_bonafide, rows
from unheard.errors import CorpusError

__all__ = ["SUBSETS", "Asvspoof2021La", "keys_of", "subset"]

SUBSETS = ("eval", "progress", "hidden")
"""Subsets of both tasks of 2021, which are the parts here."""

_WANTED = "the full keys of the LA task: trial_metadata.txt of CM, not of ASV"


@dataclass(frozen=True)
class Asvspoof2021La:
    """Reader of ASVspoof 2021 LA; the layout is in the module's docstring."""

    name: ClassVar[str] = "asvspoof2021_la"
    parts: ClassVar[tuple[str, ...]] = SUBSETS
    published: ClassVar[Mapping[str, tuple[int, int]]] = {
        "eval": (14_816, 133_360),
        "progress": (1_676, 14_788),
        "hidden": (1_960, 14_966),
    }
    licence: ClassVar[str] = "ODC-By-1.0"
    source: ClassVar[str] = (
        "Zenodo, the record of ASVspoof 2021 LA; LA-keys-full.tar.gz from the challenge's page"
    )
    citation: ClassVar[str] = (
        'X. Liu et al., "ASVspoof 2021: Towards spoofed and deepfake speech detection in the '
        'wild", IEEE/ACM Transactions on Audio, Speech, and Language Processing 31, 2023'
    )
    defects: ClassVar[tuple[str, ...]] = (
        "Speakers and attacks are those of the evaluation part of ASVspoof 2019 LA.",
        "The length of silence at the edges gives labels away in eval and progress; hidden is "
        "trimmed.",
        "All speech is English, read, recorded in a studio (VCTK).",
    )

    def clips(self, root: Path, part: str) -> Iterator[Clip]:
        """Yield the clips that the keys list in a subset.

        Args:
            root: Folder that holds `ASVspoof2021_LA_eval` and `keys`.
            part: "eval", "progress" or "hidden".

        Raises:
            CorpusError: If the part does not exist, or the keys are missing or malformed.
        """
        check_part(self.name, part, self.parts)
        keys, audio = keys_of(root, "LA")
        for number, columns in rows(keys, columns=8, what=_WANTED):
            speaker, name, codec, transmission, attack, label, trim, row_subset = columns
            where = f"{keys}:{number}"
            if subset(row_subset, where) != part:
                continue
            bonafide = is_bonafide(label, where)
            attack = BONAFIDE_ATTACK if attack == "bonafide" else attack
            check_attack(bonafide, attack, where)
            yield Clip(
                id=f"asvspoof2021_la/{name}",
                path=f"{audio}/{name}.flac",
                bonafide=bonafide,
                part=part,
                attack=attack,
                family=BONAFIDE_ATTACK if bonafide else ATTACK_FAMILY.get(attack, "unknown"),
                speaker=f"asvspoof2021_la/{speaker}",
                corpus="asvspoof2021_la",
                language="en",
                licence=self.licence,
                codec=codec,
                notes={"subset": row_subset, "transmission": transmission, "trim": trim},
            )


def keys_of(root: Path, task: str) -> tuple[Path, str]:
    """Return the keys of a task of 2021 and the folder of its audio, relative to root.

    Args:
        root: Folder that audio and keys were unpacked into.
        task: "LA" or "DF".

    Raises:
        CorpusError: If there are no keys.
    """
    archive = f"ASVspoof2021_{task}_eval"
    keys = file(
        root,
        *(
            f"{above}{task}/CM/trial_metadata.txt"
            for above in ("keys/", f"{task}-keys-full/keys/", f"{archive}/keys/", "")
        ),
        what=f"{archive} and {task}-keys-full.tar.gz were unpacked into",
    )
    for above in (archive, f"{archive}/{archive}"):
        if (root / above / "flac").is_dir():
            return keys, f"{above}/flac"
    return keys, "flac" if (root / "flac").is_dir() else f"{archive}/flac"


def subset(value: str, where: str) -> str:
    """Return the subset of a row of the keys.

    Raises:
        CorpusError: If it is none of `SUBSETS`.
    """
    if value not in SUBSETS:
        raise CorpusError(
            f"{where}: subset {value!r}, one of {', '.join(SUBSETS)} wanted; give the full keys, "
            "those of the first stage have no subsets"
        )
    return value
