"""Generators that copy at once, for tests of what is done with copies; no engine, no torch."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from unheard.attacks import Kind, Speech
from unheard.errors import AttackError
from unheard.types import FloatArray

__all__ = ["Crash", "Echo", "Weighted"]


@dataclass(frozen=True)
class Echo:
    """A recording upside down, with another gain and offset, and noise from the seed."""

    name: str = "echo"
    gain: float = 1.0
    noise: float = 1e-4
    offset: float = 0.0
    family: ClassVar[str] = "signal vocoder"
    kind: ClassVar[Kind] = "copy"
    free: ClassVar[bool] = True
    licence: ClassVar[str] = "CC0"
    languages: ClassVar[tuple[str, ...]] = ()
    packages: ClassVar[tuple[str, ...]] = ()

    def missing(self) -> str:
        """Nothing is missing."""
        return ""

    def generate(self, speech: Speech, rng: np.random.Generator) -> FloatArray:
        """The copy, shape [T]."""
        samples = speech.samples
        if samples.size == 1_234:
            raise AttackError("echo: 1234 samples; give another length")
        noise = self.noise * rng.standard_normal(samples.size, np.float32)
        return np.clip(self.offset - self.gain * samples + noise, -1, 1).astype(np.float32)


@dataclass(frozen=True)
class Crash(Echo):
    """Ends the process that copies a recording of 1234 samples."""

    name: str = "crash"

    def generate(self, speech: Speech, rng: np.random.Generator) -> FloatArray:
        """The copy, shape [T]."""
        if speech.samples.size == 1_234:
            os._exit(77)
        return super().generate(speech, rng)


@dataclass(frozen=True)
class Weighted(Echo):
    """Reads weights from a folder."""

    name: str = "weighted"
    source: str = ""

    def weights(self) -> tuple[str, ...]:
        """The folder."""
        return (self.source,)

    @staticmethod
    def write(folder: Path, content: str) -> str:
        """Make such a folder; return its path."""
        folder.mkdir()
        (folder / "model.safetensors").write_text(content)
        return str(folder)
