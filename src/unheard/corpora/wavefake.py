"""WaveFake: the sentences of LJSpeech and JSUT, vocoded again by six networks.

On disk (root is the folder that holds `generated_audio`; the recordings are fetched separately and
may lie next to it or in `real_audio`; without them every clip is spoofed):

    generated_audio/ljspeech_melgan/LJ001-0001_gen.wav ...
    generated_audio/ljspeech_melgan_large/...
    generated_audio/ljspeech_multi_band_melgan/...
    generated_audio/ljspeech_full_band_melgan/...
    generated_audio/ljspeech_parallel_wavegan/...
    generated_audio/ljspeech_hifiGAN/...
    generated_audio/ljspeech_waveglow/...
    generated_audio/jsut_multi_band_melgan/BASIC5000_0001_gen.wav ...
    generated_audio/jsut_parallel_wavegan/...
    generated_audio/common_voices_prompts_from_conformer_fastspeech2_pwg_ljspeech/...
    LJSpeech-1.1/metadata.csv                        or real_audio/LJSpeech-1.1/...
    LJSpeech-1.1/wavs/LJ001-0001.wav ...
    jsut_ver1.1/basic5000/wav/BASIC5000_0001.wav ... or real_audio/jsut_ver1.1/...

There is no table and no split: all of it is the part "all". Everything under `generated_audio` is
spoofed, whatever a folder is called; the folder is the attack. One public preparation script labels
it all bona fide: do not copy that. LJSpeech and JSUT (of it only basic5000, which the clips were
made from) are read by their own readers, and keep the ids that they have there.

Counts: 117,985 generated, from 13,100 recordings of LJSpeech and 5,000 of JSUT, 18,100 in all,
which are not part of the archive. A public copy that walked the archive counted 134,266 files,
which is not explained here, so what an import counts may differ.

Licence: CC BY-SA 4.0 (recalled, not verified); LJSpeech is in the public domain, JSUT has terms of
its own. Where to get it: Zenodo record 5642694, generated_audio.zip.

Citation: J. Frank, L. Schoenherr, "WaveFake: A Data Set to Facilitate Audio Deepfake Detection",
NeurIPS 2021, Datasets and Benchmarks.

Known defects: two voices, so a detector can learn the voice; clips are the same sentences as the
recordings, vocoded from their true spectrograms, where a faker has only predicted ones; the folder
common_voices_prompts_... alone is text to speech; rates follow the recordings (22,050 Hz; JSUT
48,000 Hz, generated at 24,000 Hz: recalled), so the rate may tell human from machine; "hifiGAN" is
one of several spellings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar

from unheard.corpora.beside import clips_as_part
from unheard.corpora.jsut import Jsut
from unheard.corpora.ljspeech import LjSpeech
from unheard.data.clip import Clip
from unheard.data.tables import check_part, files_under, folder

__all__ = ["WaveFake"]

_GENERATED = "generated_audio"
_SOURCES = {
    "ljspeech": ("ljspeech/", "ljspeech/lj", "en"),
    "jsut": ("jsut/", "jsut/jsut", "ja"),
}
"""By how a folder's name begins: ids of the recordings, speaker, language."""

# fmt: off
_VOCODERS = (
    "melgan", "melgan_large", "multi_band_melgan", "full_band_melgan", "parallel_wavegan",
    "hifigan", "waveglow",
)
# fmt: on


@dataclass(frozen=True)
class WaveFake:
    """Reader of WaveFake and of the recordings next to it; see the module's docstring."""

    name: ClassVar[str] = "wavefake"
    parts: ClassVar[tuple[str, ...]] = ("all",)
    published: ClassVar[Mapping[str, tuple[int, int]]] = {"all": (18_100, 117_985)}
    licence: ClassVar[str] = "CC-BY-SA-4.0 (recalled, not verified)"
    source: ClassVar[str] = "Zenodo record 5642694; LJSpeech 1.1 and JSUT 1.1 from their own pages"
    citation: ClassVar[str] = (
        'J. Frank, L. Schoenherr, "WaveFake: A Data Set to Facilitate Audio Deepfake Detection", '
        "NeurIPS 2021"
    )
    defects: ClassVar[tuple[str, ...]] = (
        "Two voices: a detector can learn the voice.",
        "The archive holds no human speech; fetch LJSpeech and JSUT next to it.",
        "Clips are the very sentences of the recordings, from their true spectrograms.",
        "A public copy counted 134,266 generated files instead of the published 117,985.",
    )

    def clips(self, root: Path, part: str) -> Iterator[Clip]:
        """Yield the generated clips that are there, and the recordings next to them.

        Args:
            root: Folder that holds `generated_audio`.
            part: "all".

        Raises:
            CorpusError: If the part does not exist, `generated_audio` is not there, or a
                recording corpus next to it lacks its list.
        """
        check_part(self.name, part, self.parts)
        base = folder(root, _GENERATED, what=f"holds {_GENERATED}, from {_GENERATED}.zip")
        for inside in files_under(base):
            yield self._generated(PurePosixPath(inside), part)
        for above in (".", "real_audio"):
            if (root / above / "LJSpeech-1.1").is_dir():
                yield from clips_as_part(LjSpeech(), root, above, "all", part)
            if (root / above / "jsut_ver1.1").is_dir():
                yield from clips_as_part(Jsut(), root, above, "basic5000", part)

    def _generated(self, inside: PurePosixPath, part: str) -> Clip:
        attack = inside.parts[0] if len(inside.parts) > 1 else "unknown"
        corpus, _, system = attack.partition("_")
        recordings, speaker, language = _SOURCES.get(corpus, ("", "", ""))
        copied = bool(recordings) and inside.stem.endswith("_gen")
        family = "neural vocoder" if recordings and system.lower() in _VOCODERS else "unknown"
        if "fastspeech2" in attack:
            family, speaker, language = "neural TTS", "ljspeech/lj", "en"
        return Clip(
            id=f"{self.name}/{inside.with_suffix('')}",
            path=f"{_GENERATED}/{inside}",
            bonafide=False,
            part=part,
            attack=attack,
            family=family,
            speaker=speaker,
            source_clip=recordings + inside.stem.removesuffix("_gen") if copied else "",
            corpus=self.name,
            language=language,
            licence=self.licence,
            notes={"vocoder": system} if family == "neural vocoder" else {},
        )
