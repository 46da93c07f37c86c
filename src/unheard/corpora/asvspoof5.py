"""ASVspoof 5: crowdsourced speech of some 2,000 speakers, 32 attacks, codecs in the evaluation.

On disk, as its archives unpack (root holds all of it; the tables may lie in root itself):

    flac_T/T_0000000000.flac ...             flac_T_aa.tar to flac_T_ae.tar
    flac_D/D_0000000001.flac ...             flac_D_aa.tar to flac_D_ac.tar
    flac_E_eval/E_0000000001.flac ...        flac_E_aa.tar to flac_E_aj.tar
    ASVspoof5_protocols/ASVspoof5.train.tsv
    ASVspoof5_protocols/ASVspoof5.dev.track_1.tsv
    ASVspoof5_protocols/ASVspoof5.eval.track_1.tsv

The archives of audio need not be unpacked: members of .tar files in root are read where they are.

The tables are named .tsv and are separated by single spaces, without a header; a reader that takes
the first line for one loses a trial. Ten columns: speaker, clip, gender, codec (C01 to C11; "-"
where none was used), codec quality, codec seed (the clip before coding), attack tag (how the
attacker was adapted), attack (A01 to A32, or "bonafide"), key, and one that is always "-":

    D_4461 D_0000000169 F - - - AC1 A14 spoof -

The early release for the challenge had tables of six columns (the metadata.txt files that the
baseline reads); they are refused.

Counts: train 18,797 bona fide and 163,560 spoofed, dev 31,334 and 109,616, eval 138,688 and
542,086. Lines of the tables (182,357, 140,950 and 680,774) are those of its README; the labels of
train and dev are recalled, and agree with them.

Licence: ODC-By-1.0; bona fide speech CC-BY-4.0, by its README. Where to get it: Zenodo, the record
of ASVspoof 5.

Citation: X. Wang et al., "ASVspoof 5: Crowdsourced speech data, deepfakes, and adversarial attacks
at scale", ASVspoof Workshop, 2024.

Known defects: train and dev know no codec, three quarters of eval went through one, so a codec is
never seen in training; a clip of eval and its coded versions are up to a dozen rows of one
utterance, so draws by clip understate an interval; the families of the attacks are not in the
tables and are "unknown" here; the flac folders of dev and eval also hold 1,184 and 1,098 clips of
enrolment, which no table of track 1 lists; all speech is English, read from books (MLS).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from unheard.data.clip import BONAFIDE_ATTACK, Clip
from unheard.data.tables import check_attack, check_part, file, is_bonafide, rows

__all__ = ["Asvspoof5"]

_WANTED = (
    "the table of the full release (.tsv, space-separated); the one of 6 columns belongs to the "
    "early release for the challenge and has neither codec nor adaptation"
)
_TABLES = {
    "train": ("ASVspoof5.train.tsv", "flac_T"),
    "dev": ("ASVspoof5.dev.track_1.tsv", "flac_D"),
    "eval": ("ASVspoof5.eval.track_1.tsv", "flac_E_eval"),
}


@dataclass(frozen=True)
class Asvspoof5:
    """Reader of ASVspoof 5, track 1; the layout is in the module's docstring."""

    name: ClassVar[str] = "asvspoof5"
    parts: ClassVar[tuple[str, ...]] = tuple(_TABLES)
    published: ClassVar[Mapping[str, tuple[int, int]]] = {
        "train": (18_797, 163_560),
        "dev": (31_334, 109_616),
        "eval": (138_688, 542_086),
    }
    licence: ClassVar[str] = "ODC-By-1.0; bona fide speech CC-BY-4.0"
    source: ClassVar[str] = "Zenodo, the record of ASVspoof 5"
    citation: ClassVar[str] = (
        'X. Wang et al., "ASVspoof 5: Crowdsourced speech data, deepfakes, and adversarial '
        'attacks at scale", ASVspoof Workshop, 2024'
    )
    defects: ClassVar[tuple[str, ...]] = (
        "Train and dev know no codec; three quarters of eval went through one.",
        "A clip of eval and its coded versions are up to a dozen rows of one utterance: draws by "
        "clip understate an interval.",
        "The tables do not name the families of the attacks; they are unknown here.",
        "The folders of dev and eval also hold 1,184 and 1,098 enrolment clips, which no table of "
        "track 1 lists: extra files there are no fault.",
        "All speech is English, read from books (MLS).",
    )

    def clips(self, root: Path, part: str) -> Iterator[Clip]:
        """Yield the clips that the table of a part lists.

        Args:
            root: Folder that holds the flac folders or tars, and `ASVspoof5_protocols`.
            part: "train", "dev" or "eval".

        Raises:
            CorpusError: If the part does not exist, or its table is missing or malformed.
        """
        check_part(self.name, part, self.parts)
        table, audio = _TABLES[part]
        where = "the archives were unpacked into, ASVspoof5_protocols.tar.gz among them"
        path = file(root, f"ASVspoof5_protocols/{table}", table, what=where)
        for number, columns in rows(path, columns=10, what=_WANTED):
            yield _clip(columns, f"{path}:{number}", audio, part)


def _clip(columns: list[str], where: str, audio: str, part: str) -> Clip:
    speaker, name, gender, codec, quality, seed, tag, attack, label, _ = columns
    bonafide = is_bonafide(label, where)
    attack = BONAFIDE_ATTACK if attack == "bonafide" else attack
    check_attack(bonafide, attack, where)
    notes = {"gender": gender, "codec_quality": quality, "attack_tag": tag}
    return Clip(
        id=f"asvspoof5/{name}",
        path=f"{audio}/{name}.flac",
        bonafide=bonafide,
        part=part,
        attack=attack,
        family=BONAFIDE_ATTACK if bonafide else "unknown",
        speaker=f"asvspoof5/{speaker}",
        source_clip="" if seed == "-" else f"asvspoof5/{seed}",
        corpus="asvspoof5",
        language="en",
        licence="CC-BY-4.0" if bonafide else "ODC-By-1.0",
        codec="none" if codec == "-" else codec,
        notes={name: value for name, value in notes.items() if value != "-"},
    )
