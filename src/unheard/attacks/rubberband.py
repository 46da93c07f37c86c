"""Rubber Band: a recording at another pitch, with or without its formants."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from unheard.attacks import sound
from unheard.attacks.attack import Copy, Speech
from unheard.attacks.engines import Engines, install_hint
from unheard.types import FloatArray

__all__ = ["RubberBand", "rows"]


@dataclass(frozen=True)
class RubberBand(Copy):
    """A recording shifted by 2 to 5 semitones, up or down.

    Attributes:
        name: As in `ATTACKS`.
        formants: True leaves the formants where they are and moves the pitch alone.
        engines: Where the engine lies.
    """

    name: str
    formants: bool
    engines: Engines = field(default=Engines())
    family: ClassVar[str] = "conversion"
    free: ClassVar[bool] = True
    licence: ClassVar[str] = "GPL-2.0-or-later"
    packages: ClassVar[tuple[str, ...]] = ("debian:rubberband-cli", "debian:librubberband2")

    def missing(self) -> str:
        """Return how to install Rubber Band, or ""."""
        ready = self.engines.program("rubberband") is not None
        return "" if ready else install_hint("rubberband", self.packages[:1])

    def generate(self, speech: Speech, rng: np.random.Generator) -> FloatArray:
        """Return the recording at another pitch, shape [T] float32 at 16 kHz.

        Raises:
            AttackError: If the engine is not installed, fails, or gives nothing usable.
        """
        source = sound.recording(self, speech)
        semitones = rng.uniform(2.0, 5.0) * rng.choice([-1, 1])
        options = ["--quiet", f"--pitch={semitones:.3f}", *(["--formant"] * self.formants)]
        with tempfile.TemporaryDirectory() as folder:
            before, after = Path(folder) / "in.wav", Path(folder) / "out.wav"
            sound.write(before, source)
            self.engines.run(["rubberband", *options, before, after])
            return sound.copied(self.name, sound.read(self.name, after), source)


def rows(engines: Engines) -> list[RubberBand]:
    """Return both generators."""
    return [
        RubberBand("rubberband-pitch", formants=False, engines=engines),
        RubberBand("rubberband-formant", formants=True, engines=engines),
    ]
