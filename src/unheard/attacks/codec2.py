"""Codec2: a sinusoidal speech codec of 700 to 3200 bits a second, at 8 kHz."""

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

__all__ = ["Codec2", "rows"]

_RATE_HZ = 8_000
# Samples at 8 kHz by which the decoded envelope lags, measured over seven clips of speech.
_DELAY_8KHZ = {"3200": 160, "2400": 160, "1300": 160, "700C": 250}


@dataclass(frozen=True)
class Codec2(Copy):
    """A recording that was sent through one mode of Codec2.

    Attributes:
        name: As in `ATTACKS`.
        mode: Bits a second, as `c2enc` names them.
        engines: Where the engine lies.
    """

    name: str
    mode: str
    engines: Engines = field(default=Engines())
    family: ClassVar[str] = "parametric codec"
    free: ClassVar[bool] = True
    licence: ClassVar[str] = "LGPL-2.1"
    packages: ClassVar[tuple[str, ...]] = ("debian:codec2", "debian:libcodec2-1.0")

    def missing(self) -> str:
        """Return how to install Codec2, or ""."""
        ready = all(self.engines.program(name) for name in ("c2enc", "c2dec"))
        return "" if ready else install_hint("Codec2", self.packages[:1])

    def generate(self, speech: Speech, rng: np.random.Generator) -> FloatArray:
        """Return the recording after the codec, shape [T] float32 at 16 kHz.

        Raises:
            AttackError: If the engine is not installed, fails, or gives nothing usable.
        """
        source = sound.recording(self, speech)
        narrow = np.clip(sound.at_rate(source, _RATE_HZ), -1.0, 1.0)
        # The codec holds frames of 40 ms back; a tail of zeros pushes the last one out.
        padded = np.concatenate([narrow, np.zeros(_RATE_HZ // 10)])
        with tempfile.TemporaryDirectory() as folder:
            raw, bits, out = (Path(folder) / name for name in ("in.raw", "bits.c2", "out.raw"))
            raw.write_bytes(np.round(padded * 32767).astype("<i2").tobytes())
            self.engines.run(["c2enc", self.mode, raw, bits])
            self.engines.run(["c2dec", self.mode, bits, out])
            decoded = np.frombuffer(out.read_bytes(), "<i2") / 32768.0
        decoded = decoded[_DELAY_8KHZ[self.mode] :]
        return sound.copied(self.name, sound.from_rate(decoded, _RATE_HZ), source)


def rows(engines: Engines) -> list[Codec2]:
    """Return one generator for each mode."""
    return [Codec2(f"codec2-{mode}", mode, engines) for mode in _DELAY_8KHZ]
