"""ASVspoof 2021, deepfake: attacks of 2019 and of two voice conversion challenges, compressed.

Evaluation only. On disk, audio and keys unpacked into one folder (root); the audio comes in four
archives that unpack into one folder:

    ASVspoof2021_DF_eval/flac/DF_E_2000011.flac ...
    keys/DF/CM/trial_metadata.txt                        from DF-keys-full.tar.gz

The keys have thirteen space-separated columns and no header: speaker, clip, compression (nocodec,
low_mp3, high_mp3, low_m4a, high_m4a, low_ogg, high_ogg, mp3m4a, oggm4a), source (asvspoof, vcc2018,
vcc2020), attack ("-" for bona fide), key, trim ("notrim" or "trim": non-speech cut off), subset,
vocoder (bonafide, traditional_vocoder, neural_vocoder_autoregressive,
neural_vocoder_nonautoregressive, waveform_concatenation, unknown), and of clips of vcc2020 task,
team, genders and language, "-" else. The first eight alone are accepted too:

    LA_0023 DF_E_2000011 nocodec asvspoof A14 spoof notrim progress traditional_vocoder - - - -
    TEF2 DF_E_2000013 low_m4a vcc2020 Task1-team20 spoof notrim eval
        neural_vocoder_nonautoregressive Task1 team20 FF E                     (one line)

The parts are the subsets. Published numbers are those of part "eval"; "progress" was scored during
the challenge and "hidden" holds trimmed clips.

Counts: eval 14,869 bona fide and 519,059 spoofed, progress 5,768 and 53,557, hidden 1,980 and
16,596. Those of eval, the rows of the others (59,325 and 18,576) and the labels in all (22,617 and
589,212) are known from public readers of the keys; the split of progress and hidden by label is
recalled, and agrees with all sums.

Licence: ODC-By 1.0. Where to get it: Zenodo, the record of ASVspoof 2021 DF (four archives); the
keys from the challenge's own page. That the licence is that of the LA task is recalled.

Citation: X. Liu et al., "ASVspoof 2021: Towards spoofed and deepfake speech detection in the wild",
IEEE/ACM Transactions on Audio, Speech, and Language Processing 31, 2023.

Known defects: 97 of 100 clips of eval are spoofed, so accuracy says nothing; the length of silence
at the edges gives labels away in eval and progress, which is why hidden is trimmed; speakers and
attacks named A07 to A19 are those of the evaluation part of ASVspoof 2019 LA; the language of what
is said in vcc2020 is not in the keys, whose last column is read as the target's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from unheard.corpora.asvspoof2019_la import ATTACK_FAMILY
from unheard.corpora.asvspoof2021_la import SUBSETS, keys_of, subset
from unheard.data.clip import BONAFIDE_ATTACK, Clip
from unheard.data.tables import check_attack, check_part, is_bonafide, rows

__all__ = ["Asvspoof2021Df"]

_WANTED = (
    "the full keys of the DF task: trial_metadata.txt with 13 columns, or its first 8 without "
    "vocoder, task, team, genders and language"
)
_MORE = ("vocoder", "task", "team", "genders", "language")


@dataclass(frozen=True)
class Asvspoof2021Df:
    """Reader of ASVspoof 2021 DF; the layout is in the module's docstring."""

    name: ClassVar[str] = "asvspoof2021_df"
    parts: ClassVar[tuple[str, ...]] = SUBSETS
    published: ClassVar[Mapping[str, tuple[int, int]]] = {
        "eval": (14_869, 519_059),
        "progress": (5_768, 53_557),
        "hidden": (1_980, 16_596),
    }
    licence: ClassVar[str] = "ODC-By-1.0"
    source: ClassVar[str] = (
        "Zenodo, the record of ASVspoof 2021 DF (four archives); DF-keys-full.tar.gz from the "
        "challenge's page"
    )
    citation: ClassVar[str] = (
        'X. Liu et al., "ASVspoof 2021: Towards spoofed and deepfake speech detection in the '
        'wild", IEEE/ACM Transactions on Audio, Speech, and Language Processing 31, 2023'
    )
    defects: ClassVar[tuple[str, ...]] = (
        "97 of 100 clips of eval are spoofed: accuracy says nothing.",
        "The length of silence at the edges gives labels away in eval and progress; hidden is "
        "trimmed.",
        "Speakers and attacks named A07 to A19 are those of the evaluation part of ASVspoof 2019 "
        "LA.",
        "The keys do not say which language is spoken in clips of vcc2020.",
    )

    def clips(self, root: Path, part: str) -> Iterator[Clip]:
        """Yield the clips that the keys list in a subset.

        Args:
            root: Folder that holds `ASVspoof2021_DF_eval` and `keys`.
            part: "eval", "progress" or "hidden".

        Raises:
            CorpusError: If the part does not exist, or the keys are missing or malformed.
        """
        check_part(self.name, part, self.parts)
        keys, audio = keys_of(root, "DF")
        for number, columns in rows(keys, columns=(13, 8), what=_WANTED):
            if subset(columns[7], f"{keys}:{number}") == part:
                yield _clip(columns, f"{keys}:{number}", audio)


def _clip(columns: list[str], where: str, audio: str) -> Clip:
    speaker, name, compression, source, attack, label, trim, part = columns[:8]
    bonafide = is_bonafide(label, where)
    attack = BONAFIDE_ATTACK if attack == "bonafide" else attack
    check_attack(bonafide, attack, where)
    notes = {"subset": part, "compression": compression, "source": source, "trim": trim}
    notes |= {name: value for name, value in zip(_MORE, columns[8:], strict=False) if value != "-"}
    return Clip(
        id=f"asvspoof2021_df/{name}",
        path=f"{audio}/{name}.flac",
        bonafide=bonafide,
        part=part,
        attack=attack,
        family=BONAFIDE_ATTACK if bonafide else _family(attack, source),
        speaker=f"asvspoof2021_df/{speaker}",
        corpus="asvspoof2021_df",
        language="" if source == "vcc2020" else "en",
        licence=Asvspoof2021Df.licence,
        codec="none" if compression == "nocodec" else compression,
        notes=notes,
    )


def _family(attack: str, source: str) -> str:
    """All that takes part in a voice conversion challenge is conversion."""
    return "conversion" if source.startswith("vcc") else ATTACK_FAMILY.get(attack, "unknown")
