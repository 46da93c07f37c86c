"""DiffSSD: English speech of ten generators, most of them diffusion models, by Purdue University.

Very likely the "Purdue speech dataset" of one paper (same laboratory; its count of real clips,
13,100 of LJSpeech and 11,126 of LibriSpeech, is DiffSSD's 24,226 exactly): it may be imported as
"purdue". That paper's predecessor reads *.wav only, and so skips clips that are .mp3; here all
are read.

On disk (root is the folder that holds train_val_test_splits.csv; the recordings are fetched
separately):

    train_val_test_splits.csv
    generated_speech/diffgan_tts/sentence_0.wav ...  and grad_tts, pro_diff, wavegrad2: LJ's voice
    generated_speech/elevenlabs/speaker_1487/sentence_0.mp3 ...
    generated_speech/playht/speaker_1487/sentence_0_british.mp3 ...
    generated_speech/xtts_v2/speaker_1487/sentence_0.wav ...  and openvoicev2, unit_speech, your_tts
    real_speech/LJSpeech-1.1/wavs/LJ001-0001.wav ...   or real_speech/ljspeech/..., LJSpeech-1.1/...
    real_speech/LibriSpeech/dev-clean/84/121123/84-121123-0000.flac ...

The table has a header and three columns: filename, set ("train", "val", "test"), label (0 for real,
1 for synthetic). It calls the folders of the recordings librispeech and ljspeech, whatever their
archives call them. Which folder and suffix a generator has is known from public listings, not
from the archive itself.

    filename,set,label
    real_speech/ljspeech/LJ001-0001.wav,train,0
    generated_speech/xtts_v2/speaker_1487/sentence_0.wav,test,1

Counts: 24,226 real and 70,000 synthetic, 94,226 rows in all; by part they are not known here, so
none is compared. diffgan_tts, playht and unit_speech are in test only.

Licence: CC BY-NC-ND 4.0; the recordings have their own. Where to get it: the data-set hub page
purdueviperlab/diffssd; LJSpeech 1.1 and LibriSpeech from their pages.

Citation: K. Bhagtani, A. K. Singh Yadav, P. Bestagini, E. J. Delp, "DiffSSD: A Diffusion-Based
Dataset For Speech Forensics", arXiv 2409.13049, 2024.

Known defects: the voice of LJSpeech is very likely in every part, human and generated, and readers
of LibriSpeech may be, so parts share speakers; generators of LJ's voice say one list of 5,000
sentences and the others one of 500, so parts may share sentences too; .mp3 is the format of some
generators and of no recording; the authors count all open generators as diffusion models, but here
XTTS v2, YourTTS and OpenVoice v2 are "neural TTS" by how they are built, and the two that are sold
are "unknown".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar

from unheard.data.clip import Clip
from unheard.data.tables import check_part, csv_rows, file, is_bonafide
from unheard.errors import CorpusError

__all__ = ["Diffssd", "Purdue"]

_FAMILIES = {
    **dict.fromkeys(
        ("diffgan_tts", "grad_tts", "pro_diff", "wavegrad2", "unit_speech"), "diffusion"
    ),
    **dict.fromkeys(("openvoicev2", "xtts_v2", "your_tts"), "neural TTS"),
}
_LJ = ("diffgan_tts", "grad_tts", "pro_diff", "wavegrad2")

_PLACES = {
    "ljspeech": ("real_speech/ljspeech", "real_speech/LJSpeech-1.1/wavs", "LJSpeech-1.1/wavs"),
    "librispeech": ("real_speech/librispeech", "real_speech/LibriSpeech", "LibriSpeech"),
}
"""Where recordings may lie, by what the table calls their folder."""


@dataclass(frozen=True)
class Diffssd:
    """Reader of DiffSSD; the layout is in the module's docstring."""

    name: ClassVar[str] = "diffssd"
    parts: ClassVar[tuple[str, ...]] = ("train", "val", "test")
    published: ClassVar[Mapping[str, tuple[int, int]]] = {}
    licence: ClassVar[str] = "CC-BY-NC-ND-4.0"
    source: ClassVar[str] = (
        "The data-set hub page purdueviperlab/diffssd (very likely what is also called the Purdue "
        "speech dataset); LJSpeech 1.1 and LibriSpeech from their own pages"
    )
    citation: ClassVar[str] = (
        'K. Bhagtani et al., "DiffSSD: A Diffusion-Based Dataset For Speech Forensics", arXiv '
        "2409.13049, 2024"
    )
    defects: ClassVar[tuple[str, ...]] = (
        "Parts share speakers: the voice of LJSpeech is very likely in all, human and generated.",
        "Parts may share sentences: generators say one list of 5,000 or one of 500.",
        "Some generators give .mp3, and no recording is: the format tells them apart.",
    )

    def clips(self, root: Path, part: str) -> Iterator[Clip]:
        """Yield the clips that the table lists for a part.

        Args:
            root: Folder that holds train_val_test_splits.csv.
            part: "train", "val" or "test".

        Raises:
            CorpusError: If the part does not exist, or the table is missing or malformed.
        """
        check_part(self.name, part, self.parts)
        table = file(root, "train_val_test_splits.csv", what="holds train_val_test_splits.csv")
        places = {name: _place(root, *folders) for name, folders in _PLACES.items()}
        for number, row in csv_rows(table, wanted=("filename", "set", "label")):
            where = f"{table}:{number}"
            if row["set"] not in self.parts:
                raise CorpusError(
                    f"{where}: set {row['set']!r}; train, val or test wanted; fetch the table again"
                )
            if row["set"] == part:
                yield _clip(row, where, part, places)


@dataclass(frozen=True)
class Purdue(Diffssd):
    """DiffSSD under the name that one paper calls it by; clips keep the ids of DiffSSD."""

    name: ClassVar[str] = "purdue"


def _place(root: Path, *folders: str) -> str:
    return next((folder for folder in folders if (root / folder).is_dir()), folders[0])


def _clip(row: dict[str, str], where: str, part: str, places: Mapping[str, str]) -> Clip:
    path = PurePosixPath(row["filename"].strip())
    bonafide = is_bonafide(row["label"], where, bonafide=("0",), spoof=("1",))
    called = [index for index, name in enumerate(path.parts) if name.lower() in places]
    if bonafide != bool(called):
        raise CorpusError(
            f"{where}: label {row['label']} and file {path} contradict each other: 0 is a "
            "recording of ljspeech or librispeech, 1 is generated; fetch the table again"
        )
    if bonafide:
        corpus = path.parts[called[0]].lower()
        inside = PurePosixPath(*path.parts[called[0] + 1 :])
        return _recording(corpus, PurePosixPath(places[corpus]) / inside, part)
    inside = PurePosixPath(*(name for name in path.parts if name != "generated_speech"))
    return _generated(inside, part)


def _recording(corpus: str, path: PurePosixPath, part: str) -> Clip:
    speaker = "lj" if corpus == "ljspeech" else path.stem.partition("-")[0]
    return Clip(
        id=f"{corpus}/{path.stem}",
        path=path.as_posix(),
        bonafide=True,
        part=part,
        speaker=f"{corpus}/{speaker}",
        corpus=corpus,
        language="en",
        licence="public domain" if corpus == "ljspeech" else "CC-BY-4.0",
    )


def _generated(inside: PurePosixPath, part: str) -> Clip:
    generator = inside.parts[0]
    voices = [name for name in inside.parts[1:-1] if name.startswith("speaker_")]
    speaker = f"librispeech/{voices[0].removeprefix('speaker_')}" if voices else ""
    return Clip(
        id=f"diffssd/{inside}",
        path=f"generated_speech/{inside}",
        bonafide=False,
        part=part,
        attack=generator,
        family=_FAMILIES.get(generator, "unknown"),
        speaker=speaker or ("ljspeech/lj" if generator in _LJ else ""),
        corpus="diffssd",
        language="en",
        licence=Diffssd.licence,
    )
