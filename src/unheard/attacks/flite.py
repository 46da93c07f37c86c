"""flite: statistical voices (clustergen) and one diphone voice, English."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from unheard.attacks import sound
from unheard.attacks.attack import Kind, Speech
from unheard.attacks.engines import Engines, install_hint
from unheard.types import FloatArray

__all__ = ["Flite", "rows"]

_FAMILY = {
    "awb": "statistical",
    "rms": "statistical",
    "slt": "statistical",
    "kal16": "diphone",
}


@dataclass(frozen=True)
class Flite:
    """One flite voice; the speaking rate is drawn again for each text.

    Attributes:
        name: As in `ATTACKS`.
        voice: Voice of the engine, as `flite -lv` lists it.
        family: "statistical" or "diphone".
        engines: Where the engine lies.
    """

    name: str
    voice: str
    family: str
    engines: Engines = field(default=Engines())
    kind: ClassVar[Kind] = "text"
    free: ClassVar[bool] = True
    licence: ClassVar[str] = "BSD-like (CMU flite)"
    languages: ClassVar[tuple[str, ...]] = ("en",)
    packages: ClassVar[tuple[str, ...]] = ("debian:flite", "debian:libflite1")

    def missing(self) -> str:
        """Return how to install flite, or ""."""
        ready = self.engines.program("flite") is not None
        return "" if ready else install_hint("flite", self.packages[:1])

    def generate(self, speech: Speech, rng: np.random.Generator) -> FloatArray:
        """Return the text as speech, shape [T] float32 at 16 kHz.

        Raises:
            AttackError: If the engine is not installed, fails, or gives nothing usable.
        """
        line = sound.text(self, speech)
        stretch = f"duration_stretch={rng.uniform(0.9, 1.15):.3f}"
        with tempfile.TemporaryDirectory() as folder:
            out, words = Path(folder) / "out.wav", Path(folder) / "text.txt"
            words.write_text(line + "\n", encoding="utf-8")
            options = ["-voice", self.voice, "--setf", stretch]
            self.engines.run(["flite", *options, "-f", words, "-o", out])
            return sound.spoken(self.name, sound.read(self.name, out))


def rows(engines: Engines) -> list[Flite]:
    """Return one generator for each voice that is compiled into flite."""
    return [Flite(f"flite-{voice}", voice, kind, engines) for voice, kind in _FAMILY.items()]
