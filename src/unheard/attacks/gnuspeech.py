"""GnuSpeech: English by rules and a tube model of the vocal tract."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from unheard.attacks import published, sound
from unheard.attacks.attack import Kind, Speech
from unheard.attacks.engines import Engines
from unheard.attacks.published import Published
from unheard.errors import AttackError
from unheard.types import FloatArray

__all__ = ["GnuSpeech", "rows"]

_SOURCE = "npm:@echogarden/gnuspeech-wasm@0.3.0"
_FOLDER = "@echogarden/gnuspeech-wasm/wasm"
_FILES = (
    Published(
        _SOURCE,
        f"{_FOLDER}/gnuspeech.js",
        "384eaeed05cb3638ee4abb78c033b72d8409ca82fcdc10c5b3081370eed1e3ff",
    ),
    Published(
        _SOURCE,
        f"{_FOLDER}/gnuspeech.wasm",
        "4dab9797b10e6b119fef2c694b8007099482499fc6dbdd76b1c60cbeeb227bd8",
    ),
)
_VOICES = ("male", "female", "large_child", "small_child", "baby")


@dataclass(frozen=True)
class GnuSpeech:
    """One GnuSpeech voice; tempo and pitch are drawn again for each text.

    Attributes:
        name: As in `ATTACKS`.
        voice: Length and shape of the tube.
        engines: Where the engine lies, and the program `node` that runs it.

    Source:
        Hill, Manzara, Schock, "Real-time articulatory speech-synthesis-by-rules", 1995.
    """

    name: str
    voice: str
    engines: Engines = field(default=Engines())
    family: ClassVar[str] = "articulatory"
    kind: ClassVar[Kind] = "text"
    free: ClassVar[bool] = True
    licence: ClassVar[str] = "GPL-3.0-or-later"
    languages: ClassVar[tuple[str, ...]] = ("en",)
    files: ClassVar[tuple[Published, ...]] = _FILES
    packages: ClassVar[tuple[str, ...]] = (_SOURCE, "debian:nodejs")

    def missing(self) -> str:
        """Return how to get GnuSpeech or what runs it, or ""."""
        lacking = published.missing(self.name, self.engines, self.files)
        if lacking or self.engines.program("node"):
            return lacking
        return "node is missing; install it with: apt-get install nodejs"

    def generate(self, speech: Speech, rng: np.random.Generator) -> FloatArray:
        """Return the text as speech, shape [T] float32 at 16 kHz.

        Raises:
            AttackError: If the engine is missing or altered, fails, or gives nothing usable.
        """
        import soundfile

        line = sound.text(self, speech)
        engine, _ = (published.verified(self.name, self.engines, file) for file in self.files)
        tempo, semitones = rng.uniform(0.9, 1.1), rng.uniform(-6.0, -2.0)
        driver = Path(__file__).with_name("gnuspeech_driver.mjs")
        seed = int(rng.integers(2**32))
        settings = [self.voice, f"{tempo:.3f}", f"{semitones:.3f}", str(seed)]
        wav = self.engines.run(["node", driver, engine, *settings], stdin=line.encode())
        try:
            samples, rate_hz = soundfile.read(io.BytesIO(wav), dtype="float64", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise AttackError(f"{self.name}: gave no sound ({error}); change the text") from error
        return sound.spoken(self.name, sound.from_rate(samples.mean(axis=1), rate_hz))


def rows(engines: Engines) -> list[GnuSpeech]:
    """Return one generator for each voice."""
    return [GnuSpeech(f"gnuspeech-{v.replace('_', '-')}", v, engines) for v in _VOICES]
