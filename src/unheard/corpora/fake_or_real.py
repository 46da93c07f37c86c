"""Fake-or-Real (FoR): text to speech of 2019 next to recordings, in four variants.

On disk, as its four archives unpack (root is the folder that holds one variant or several, or the
folder of a variant itself):

    for-original/training/real/file1.wav      as collected: any rate, .wav and .mp3
    for-original/training/fake/file1.mp3
    for-original/validation/...
    for-original/testing/...
    for-norm/testing/real/file1044.wav_16k.wav_norm.wav_mono.wav_silence.wav
    for-2seconds/...                          for-norm cut to two seconds; archive for-2sec
    for-rerecorded/...                        for-2sec played and recorded again; archive for-rerec

There is no table: the folder is the label. Which variants are read is what is there. If root holds
variants, a part is "for-norm/training", by the names that the authors give the variants
(for-original, for-norm, for-2sec, for-rerec) and their parts; if root is a variant, it is
"training". A copy in which the folder of an archive holds that of the variant
(for-2sec/for-2seconds) is read too.

Counts: "more than 195,000 utterances"; a survey gives 111,000 real and 87,000 fake over all. By
variant and part they are not known here, except that for-norm/testing has 2,264 real, and a public
leaderboard lists as many fake; so none is compared: count on disk.

Licence: unknown. Where to get it: the page of the BIL laboratory, York University (Toronto).

Citation: R. Reimao, V. Tzerpos, "FoR: A Dataset for Synthetic Speech Detection", SpeD 2019.

Known defects: some files of for-original cannot be opened, or are no files: import with headers to
leave them out; in for-original formats and rates differ between real and fake, which tells them
apart without listening, so use for-norm at least; which system made a clip and who speaks are not
said, so all attacks and speakers are unknown; part of the real clips are those of LJSpeech and CMU
Arctic, which other corpora have too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from unheard.data.clip import BONAFIDE_ATTACK, Clip
from unheard.data.tables import check_part, files_under
from unheard.errors import CorpusError

__all__ = ["FakeOrReal"]

_PARTS = ("training", "validation", "testing")
_VARIANTS = {
    "for-original": ("for-original",),
    "for-norm": ("for-norm",),
    "for-2sec": ("for-2seconds", "for-2sec"),
    "for-rerec": ("for-rerecorded", "for-rerec"),
}


@dataclass(frozen=True)
class FakeOrReal:
    """Reader of Fake-or-Real, whichever variants are there; see the module's docstring."""

    name: ClassVar[str] = "fake_or_real"
    parts: ClassVar[tuple[str, ...]] = ()
    published: ClassVar[Mapping[str, tuple[int, int]]] = {}
    licence: ClassVar[str] = "unknown"
    source: ClassVar[str] = "The page of the BIL laboratory, York University, Toronto"
    citation: ClassVar[str] = (
        'R. Reimao, V. Tzerpos, "FoR: A Dataset for Synthetic Speech Detection", SpeD 2019'
    )
    defects: ClassVar[tuple[str, ...]] = (
        "Some files of for-original cannot be opened: import with headers to leave them out.",
        "In for-original formats and rates differ between real and fake.",
        "Which system made a clip and who speaks are not said.",
        "Part of the real clips are those of LJSpeech and CMU Arctic.",
    )

    def parts_in(self, root: Path) -> tuple[str, ...]:
        """Return the parts that there are, as "for-norm/training" or as "training", sorted.

        Raises:
            CorpusError: If no variant is there.
        """
        parts = tuple(sorted(_folders(root)))
        if not parts:
            raise CorpusError(
                f"{root}: no folder training, validation or testing with real and fake in it, nor "
                f"one of {', '.join(_VARIANTS)}; give the folder that the archive was unpacked into"
            )
        return parts

    def clips(self, root: Path, part: str) -> Iterator[Clip]:
        """Yield the audio files of a part, of any format.

        Args:
            root: Folder of the variants, or of one.
            part: One of `parts_in`.

        Raises:
            CorpusError: If there is no such part.
        """
        known = self.parts_in(root)
        check_part(self.name, part, known)
        above = _folders(root)[part]
        variant = part.rpartition("/")[0] or _variant(root)
        for label, bonafide in (("fake", False), ("real", True)):
            for inside in files_under(root / above / label):
                yield Clip(
                    id=f"{self.name}/{part}/{label}/{inside}",
                    path=f"{above}/{label}/{inside}",
                    bonafide=bonafide,
                    part=part,
                    attack=BONAFIDE_ATTACK if bonafide else "unknown",
                    family=BONAFIDE_ATTACK if bonafide else "unknown",
                    corpus=self.name,
                    language="en",
                    notes={"variant": variant},
                )


def _folders(root: Path) -> dict[str, str]:
    """Where each part lies, relative to root."""
    if any(_is_part(root / part) for part in _PARTS):
        return {part: part for part in _PARTS if _is_part(root / part)}
    folders = {}
    for variant, names in _VARIANTS.items():
        places = (*names, *(f"{above}/{name}" for above in names for name in names))
        for part in _PARTS:
            present = [place for place in places if _is_part(root / place / part)]
            if present:
                folders[f"{variant}/{part}"] = f"{present[0]}/{part}"
    return folders


def _is_part(folder: Path) -> bool:
    return any((folder / label).is_dir() for label in ("real", "fake"))


def _variant(root: Path) -> str:
    """The variant that root itself is, by its name."""
    name = root.resolve().name
    return next((variant for variant, names in _VARIANTS.items() if name in names), "unknown")
