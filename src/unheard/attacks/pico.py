"""SVOX Pico: small statistical (HMM) voices, one a language."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from unheard.attacks import pico_driver, sound
from unheard.attacks.attack import Kind, Speech
from unheard.attacks.engines import Engines, install_hint
from unheard.types import FloatArray

__all__ = ["Pico", "rows"]

_LIBRARY = "usr/lib/*/libttspico.so.0"
_VOICES = ("en-GB", "en-US", "de-DE", "es-ES", "fr-FR", "it-IT")


@dataclass(frozen=True)
class Pico:
    """One Pico voice.

    Attributes:
        name: As in `ATTACKS`.
        voice: Language and country, as the voice's files are named.
        engines: Where the engine lies.
    """

    name: str
    voice: str
    engines: Engines = field(default=Engines())
    family: ClassVar[str] = "statistical"
    kind: ClassVar[Kind] = "text"
    free: ClassVar[bool] = True
    licence: ClassVar[str] = "Apache-2.0"
    packages: ClassVar[tuple[str, ...]] = (
        "debian/non-free:libttspico0",
        "debian/non-free:libttspico-data",
    )

    @property
    def languages(self) -> tuple[str, ...]:
        """The one language of the voice."""
        return (self.voice[:2],)

    def missing(self) -> str:
        """Return how to install Pico, or ""."""
        ready = all(self._files())
        return "" if ready else install_hint("SVOX Pico", self.packages)

    def generate(self, speech: Speech, rng: np.random.Generator) -> FloatArray:
        """Return the text as speech, shape [T] float32 at 16 kHz.

        Raises:
            AttackError: If the engine is not installed, fails, or gives nothing usable.
        """
        # Pico reads tags between angle brackets.
        line = sound.text(self, speech).replace("<", " ").replace(">", " ")
        driver = Path(pico_driver.__file__)
        output = self.engines.run(
            [Path(sys.executable), driver, *map(str, self._files())], stdin=line.encode()
        )
        return sound.spoken(self.name, np.frombuffer(output, "<i2") / np.float32(32768.0))

    def _files(self) -> list[Path | None]:
        """The library and the two files of the voice; None where one is not there."""
        voice = f"usr/share/pico/lang/{self.voice}"
        patterns = (_LIBRARY, f"{voice}_ta.bin", f"{voice}_*_sg.bin")
        return [self.engines.data(pattern) for pattern in patterns]


def rows(engines: Engines) -> list[Pico]:
    """Return one generator for each voice."""
    return [Pico(f"pico-{voice}", voice, engines) for voice in _VOICES]
