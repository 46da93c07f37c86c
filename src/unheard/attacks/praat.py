"""Praat: linear prediction with a made-up source, and a change of the speaker's apparent sex."""

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

__all__ = ["PraatGender", "PraatLpc", "rows"]

# Pulses where Praat hears a pitch, noise elsewhere, both of unit power, through the filter. Praat
# predicts the pre-emphasised sound, so the emphasis is taken back afterwards; pulses that all
# point up leave an offset, which is cut below 50 Hz.
_LPC = """\
form Resynthesis
  sentence before
  sentence after
  integer seed
endform
random_initializeWithSeedUnsafelyButPredictably (seed)
voice = Read from file: before$
pitch = To Pitch: 0, 75, 500
To PointProcess
source = To Sound (pulse train): 16000, 1, 0.05, 2000
selectObject: pitch
track = To Matrix
selectObject: voice
filter = To LPC (burg): 18, 0.025, 0.005, 50
selectObject: source
Formula: "if object (track, x, 1) < 75 then randomGauss (0, 1) else self * sqrt (16000 / object (track, x, 1)) + randomGauss (0, 0.1) fi"
selectObject: filter, source
Filter: "yes"
De-emphasize (in-place): 50
Filter (stop Hann band): 0, 50, 20
Scale peak: 0.99
Save as WAV file: after$
"""  # noqa: E501

_GENDER = """\
form Change of voice
  sentence before
  sentence after
  integer seed
  real formants
  real median
endform
random_initializeWithSeedUnsafelyButPredictably (seed)
voice = Read from file: before$
pitch = To Pitch: 0, 75, 500
old = Get quantile: 0, 0, 0.5, "Hertz"
if old = undefined
  new = 0
else
  new = old * median
endif
selectObject: voice
Change gender: 75, 500, formants, new, 1, 1
Scale peak: 0.99
Save as WAV file: after$
"""


class _Praat(Copy):
    name: str
    engines: Engines
    free: ClassVar[bool] = True
    licence: ClassVar[str] = "GPL-3.0-or-later"
    packages: ClassVar[tuple[str, ...]] = ("debian:praat",)

    def missing(self) -> str:
        """Return how to install Praat, or ""."""
        return "" if self._program() else install_hint("praat", self.packages)

    def _program(self) -> Path | None:
        return self.engines.program("praat_nogui") or self.engines.program("praat")

    def _copied(self, script: str, source: FloatArray, *arguments: str) -> FloatArray:
        program = self._program()
        assert program is not None
        with tempfile.TemporaryDirectory() as folder:
            before, after, written = (Path(folder) / end for end in ("in.wav", "out.wav", "praat"))
            sound.write(before, source)
            written.write_text(script)
            self.engines.run([program, "--run", written, before, after, *arguments])
            return sound.copied(self.name, sound.read(self.name, after), source)


@dataclass(frozen=True)
class PraatLpc(_Praat):
    """A recording filtered again: its linear prediction filter over pulses and noise.

    Attributes:
        name: As in `ATTACKS`.
        engines: Where the engine lies.
    """

    name: str = "praat-lpc"
    engines: Engines = field(default=Engines())
    family: ClassVar[str] = "signal vocoder"

    def generate(self, speech: Speech, rng: np.random.Generator) -> FloatArray:
        """Return the recording from its filter, shape [T] float32 at 16 kHz.

        Raises:
            AttackError: If the engine is not installed, fails, or gives nothing usable.
        """
        source = sound.recording(self, speech)
        return self._copied(_LPC, source, str(rng.integers(1, 2**31)))


@dataclass(frozen=True)
class PraatGender(_Praat):
    """A recording with pitch and formants moved as between women and men, by overlap-add.

    Attributes:
        name: As in `ATTACKS`.
        engines: Where the engine lies.
    """

    name: str = "praat-gender"
    engines: Engines = field(default=Engines())
    family: ClassVar[str] = "conversion"

    def generate(self, speech: Speech, rng: np.random.Generator) -> FloatArray:
        """Return the recording in another voice, shape [T] float32 at 16 kHz.

        Raises:
            AttackError: If the engine is not installed, fails, or gives nothing usable.
        """
        source = sound.recording(self, speech)
        up = bool(rng.integers(2))
        formants, median = rng.uniform(1.08, 1.22), rng.uniform(1.25, 1.7)
        changed = (formants, median) if up else (1 / formants, 1 / median)
        numbers = [str(rng.integers(1, 2**31)), *(f"{number:.4f}" for number in changed)]
        return self._copied(_GENDER, source, *numbers)


def rows(engines: Engines) -> list[PraatLpc | PraatGender]:
    """Return both generators."""
    return [PraatLpc(engines=engines), PraatGender(engines=engines)]
