"""RHVoice: statistical (HMM) voices of people, in ten languages; for evaluation only."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from unheard.attacks import rhvoice_driver, sound
from unheard.attacks.attack import Kind, Speech
from unheard.attacks.engines import Engines, install_hint
from unheard.types import FloatArray

__all__ = ["RHVoice", "rows"]

_LIBRARY = "usr/lib/*/libRHVoice.so.5"
_DATA = "usr/share/RHVoice"

# Debian package after "rhvoice-": (ISO 639-1 code, voices)
_VOICES = {
    "english": ("en", ("alan", "bdl", "clb", "evgeniy-eng", "lyubov", "slt")),
    "russian": (
        "ru",
        (
            "aleksandr", "aleksandr-hq", "anna", "arina", "artemiy", "elena", "evgeniy-rus",
            "irina", "mikhail", "pavel", "tatiana", "victoria", "vitaliy", "yuriy",
        ),
    ),
    "polish": ("pl", ("magda", "natan")),
    "ukrainian": ("uk", ("anatol", "marianna", "natalia", "volodymyr")),
    "brazilian-portuguese": ("pt", ("Leticia-F123",)),
    "esperanto": ("eo", ("spomenka",)),
    "macedonian": ("mk", ("kiko", "suze")),
    "albanian": ("sq", ("hana",)),
    "kyrgyz": ("ky", ("azamat", "nazgul")),
    "tatar": ("tt", ("talgat",)),
}  # fmt: skip
_SPOKEN_NAMES = {"Leticia-F123": "Letícia-F123"}


@dataclass(frozen=True)
class RHVoice:
    """One RHVoice voice; rate and pitch are drawn anew for each text.

    Attributes:
        name: As in `ATTACKS`.
        voice: Folder of the voice.
        language: ISO 639-1 code.
        package: Debian package of the voice.
        engines: Where the engine lies.
    """

    name: str
    voice: str
    language: str
    package: str
    engines: Engines = field(default=Engines())
    family: ClassVar[str] = "statistical"
    kind: ClassVar[Kind] = "text"
    free: ClassVar[bool] = False
    licence: ClassVar[str] = "non-commercial or no-derivatives voice (RHVoice)"

    @property
    def languages(self) -> tuple[str, ...]:
        """The one language of the voice."""
        return (self.language,)

    @property
    def packages(self) -> tuple[str, ...]:
        """The library and the voice."""
        return (
            "debian/contrib:librhvoice5",
            "debian/contrib:librhvoice-core7",
            f"debian/non-free:{self.package}",
        )

    def missing(self) -> str:
        """Return how to install RHVoice and this voice, or ""."""
        ready = self.engines.data(_LIBRARY) and self.engines.data(f"{_DATA}/voices/{self.voice}")
        hint = install_hint(f"RHVoice or its voice {self.voice}", self.packages)
        return "" if ready else hint

    def generate(self, speech: Speech, rng: np.random.Generator) -> FloatArray:
        """Return the text as speech, shape [T] float32 at 16 kHz.

        Raises:
            AttackError: If the engine is not installed, fails, or gives nothing usable.
        """
        line = sound.text(self, speech)
        voice = self.engines.data(f"{_DATA}/voices/{self.voice}")
        library = self.engines.data(_LIBRARY)
        assert voice is not None
        assert library is not None
        profile = _SPOKEN_NAMES.get(self.voice, self.voice)
        rate, pitch = rng.uniform(0.9, 1.1), rng.uniform(0.92, 1.08)
        output = self.engines.run(
            [
                *(Path(sys.executable), Path(rhvoice_driver.__file__), library),
                *(voice.parents[1], profile, f"{rate:.3f}", f"{pitch:.3f}"),
            ],
            stdin=line.encode(),
        )
        rate_hz = int(np.frombuffer(output[:4], "<i4")[0])
        samples = np.frombuffer(output[4:], "<i2") / np.float32(32768.0)
        return sound.spoken(self.name, sound.from_rate(samples, rate_hz))


def rows(engines: Engines) -> list[RHVoice]:
    """Return one generator for each voice."""
    return [
        RHVoice(f"rhvoice-{voice.lower()}", voice, language, f"rhvoice-{package}", engines)
        for package, (language, voices) in _VOICES.items()
        for voice in voices
    ]
