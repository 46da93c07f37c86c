"""CodecFake of Wu et al.: VCTK re-synthesised by fifteen neural codecs, and codec-based talkers.

Not Codecfake of Xie et al. (small f, also AISHELL-3, with label files): that is `codecfake_xie`.

On disk, as its archives unpack, one for each codec (root is the folder that holds them, at any
depth, or one of them):

    encodec_24khz/encodec_24khz+p272_103.wav ...
    SpeechTokenizer/SpeechTokenizer+p225_001.wav ...
    descript-audio-codec-44khz/...      academicodec_hifi_16k_320d/...     audiodec_24k_320d/...
    funcodec-funcodec_en_libritts-16k-nq32ds320/...
    genuine/genuine+p225_001.wav ...                VCTK itself; not in every copy
    valle/...   valle-x/...   speechx/...           talkers: evaluation only

or, as the data-set hub gives it, Parquet tables with the columns audio, label ("genuine" or
"spoofing"), speaker_id and codec_name:

    data/train-00000-of-NNNNN.parquet ...

There is no list in the archives: what stands before "+" in a file's name, or else its folder, is
the system, and "genuine" is human. The names of files before "+" are as one public reader found
them; how files of genuine and of the talkers are named was not available, so both forms are read.
The split is by speaker, from the authors' code: dev is p226 and p229, eval p227 and p228, train all
others. What a talker says is in eval, no matter who speaks (ours: it must not be trained on).

Counts: 707,872 clips over all in the Parquet tables by their card, which is sixteen times 44,242:
VCTK once and each of its fifteen codecs once. By part they are not known here, so none is compared;
a survey's 42,752 genuine and 45,045 spoofed are of some part that it does not name.

Licence: CC BY 4.0. Where to get it: the data-set hub pages rogertseng/CodecFake (Parquet) and
rogertseng/CodecFake_wavs (archives).

Citation: H. Wu, Y. Tseng, H. Lee, "CodecFake: Enhancing Anti-Spoofing Models Against Deepfake
Audios from Codec-Based Speech Synthesis Systems", Interspeech 2024.

Known defects: copies without genuine have no human speech (fetch VCTK separately); codecs have
rates of 16, 24 and 44.1 kHz, VCTK 48 kHz, so the rate tells them apart; dev and eval are two
speakers each; a clip says what VCTK says in the same voice, so this and ASVspoof share voices and
sentences; one public benchmark labels the codecs bona fide: do not copy that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar

from unheard.corpora.codecfake_xie import voice
from unheard.data.clip import BONAFIDE_ATTACK, Clip
from unheard.data.shards import MARK
from unheard.data.tables import check_part, files_under, is_bonafide
from unheard.errors import CorpusError

__all__ = ["CodecfakeWu"]

_GENUINE = "genuine"
_TALKERS = ("valle", "valle-x", "speechx")
_SPOOFED = ("spoofing", "spoof")
_PART_OF = {"p226": "dev", "p229": "dev", "p227": "eval", "p228": "eval"}
_COLUMNS = ("audio", "label", "speaker_id", "codec_name")


@dataclass(frozen=True)
class CodecfakeWu:
    """Reader of CodecFake of Wu et al.; the layout is in the module's docstring."""

    name: ClassVar[str] = "codecfake_wu"
    parts: ClassVar[tuple[str, ...]] = ("train", "dev", "eval")
    published: ClassVar[Mapping[str, tuple[int, int]]] = {}
    licence: ClassVar[str] = "CC-BY-4.0"
    source: ClassVar[str] = (
        "The data-set hub pages rogertseng/CodecFake_wavs (archives) and rogertseng/CodecFake "
        "(Parquet)"
    )
    citation: ClassVar[str] = (
        'H. Wu, Y. Tseng, H. Lee, "CodecFake: Enhancing Anti-Spoofing Models Against Deepfake '
        'Audios from Codec-Based Speech Synthesis Systems", Interspeech 2024'
    )
    defects: ClassVar[tuple[str, ...]] = (
        "Copies without the folder genuine hold no human speech.",
        "Codecs have rates of 16, 24 and 44.1 kHz and VCTK 48 kHz: the rate tells them apart.",
        "Dev and eval are two speakers each.",
    )

    def clips(self, root: Path, part: str) -> Iterator[Clip]:
        """Yield the clips of a part, of archives or of Parquet tables.

        Args:
            root: Folder that holds the codecs' folders or the tables, or one codec's folder.
            part: "train", "dev" or "eval".

        Raises:
            CorpusError: If the part does not exist, nothing of the corpus is there, or root is
                Codecfake of Xie et al.
        """
        check_part(self.name, part, self.parts)
        if (root / "label").is_dir():
            raise CorpusError(
                f"{root}: this is Codecfake of Xie et al. (label files next to train, dev and "
                "test); import it as codecfake_xie"
            )
        tables = files_under(root, suffixes={".parquet"})
        rows = list(_rows(root, tables) if tables else _files(root))
        if not rows:
            raise CorpusError(
                f"{root}: no clip such as encodec_24khz+p272_103.wav in it, nor a Parquet table; "
                "give the folder that the archives were unpacked into"
            )
        for path, utterance, system, speaker in rows:
            if part == _part(system, speaker):
                yield self._clip(path, utterance, system, speaker, part)

    def _clip(self, path: str, utterance: str, system: str, speaker: str, part: str) -> Clip:
        bonafide = system == _GENUINE
        family = "neural TTS" if system in _TALKERS else "neural codec"
        copied = family == "neural codec" and not bonafide and MARK not in path
        return Clip(
            id=f"{self.name}/{system}/{utterance}",
            path=path,
            bonafide=bonafide,
            part=part,
            attack=BONAFIDE_ATTACK if bonafide else system,
            family=BONAFIDE_ATTACK if bonafide else family,
            speaker=speaker,
            source_clip=f"{self.name}/{_GENUINE}/{utterance}" if copied else "",
            corpus=self.name,
            language="en",
            licence=self.licence,
        )


def _part(system: str, speaker: str) -> str:
    """The part of a clip, by the authors' speakers; talkers are for evaluation."""
    if system in _TALKERS:
        return "eval"
    return _PART_OF.get(speaker.rpartition("/")[2], "train")


def _files(root: Path) -> Iterator[tuple[str, str, str, str]]:
    """Path, utterance, system and speaker of each file that is named as the corpus names them."""
    for path in files_under(root):
        above, name = PurePosixPath(path).parent.parts, PurePosixPath(path).stem
        system, plus, utterance = name.partition("+")
        if not plus:
            above = (root.resolve().name, *above)
            system = next((folder for folder in above if folder in (_GENUINE, *_TALKERS)), "")
            utterance = "/".join((*above[above.index(system) + 1 :], name)) if system else ""
        if system:
            yield path, utterance, system, voice(name)[0]


def _rows(root: Path, tables: list[str]) -> Iterator[tuple[str, str, str, str]]:
    """The same of each row of the Parquet tables, whose audio stays in them."""
    for name in tables:
        for number, row in enumerate(_table(root / name)):
            where = f"{root / name}, row {number}"
            if is_bonafide(row["label"], where, spoof=_SPOOFED) != (row["codec_name"] == _GENUINE):
                raise CorpusError(
                    f"{where}: label {row['label']} and codec {row['codec_name']} contradict each "
                    "other; fetch the table again"
                )
            yield (
                f"{name}{MARK}audio{MARK}{number}",
                f"{PurePosixPath(name).stem}-{number}",
                row["codec_name"],
                f"vctk/{row['speaker_id']}",
            )


def _table(path: Path) -> list[dict[str, str]]:
    """Rows of a Parquet table without their audio."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        lacking = set(_COLUMNS) - set(pq.read_schema(path).names)
        if lacking:
            raise CorpusError(
                f"{path}: lacks the columns {', '.join(sorted(lacking))}; give a folder with the "
                "tables of rogertseng/CodecFake and no other"
            )
        rows: list[dict[str, str]] = pq.read_table(path, columns=list(_COLUMNS[1:])).to_pylist()
    except (pa.ArrowInvalid, OSError) as error:
        raise CorpusError(
            f"{path}: not a readable Parquet file ({error}); fetch it again, with `git lfs pull` "
            "if it is a pointer of Git LFS"
        ) from error
    return rows
