"""WORLD: a source-filter vocoder; as a copy, or with pitch and vocal tract changed."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import util
from typing import Any, ClassVar

import numpy as np

from unheard.attacks import sound
from unheard.attacks.attack import Copy, Speech
from unheard.attacks.engines import install_hint
from unheard.audio import SAMPLE_RATE_HZ
from unheard.types import FloatArray

__all__ = ["World", "pitch", "rows"]


@dataclass(frozen=True)
class World(Copy):
    """A recording taken apart into F0, envelope and aperiodicity, and put together again.

    Attributes:
        name: As in `ATTACKS`.
        family: "signal vocoder" for a copy, "conversion" if the voice is changed.
        pitch_semitones: Smallest and largest change of F0, either way; (0, 0) for a copy.
        tract_ratio: Largest stretch of the envelope along frequency; 1 for a copy.

    Source:
        Morise, Yokomori, Ozawa, "WORLD: a vocoder-based high-quality speech synthesis system",
        2016, by pyworld: Harvest, CheapTrick, D4C. In a conversion, bins above the end of a
        shrunk envelope repeat its last one.
    """

    name: str
    family: str = "signal vocoder"
    pitch_semitones: tuple[float, float] = (0.0, 0.0)
    tract_ratio: float = 1.0
    free: ClassVar[bool] = True
    licence: ClassVar[str] = "MIT"
    packages: ClassVar[tuple[str, ...]] = ("pypi:pyworld==0.3.5", "pypi:setuptools<81")

    def missing(self) -> str:
        """Return how to install pyworld, or "".

        pyworld needs `pkg_resources`, which setuptools dropped in version 81.
        """
        ready = all(util.find_spec(name) for name in ("pyworld", "pkg_resources"))
        hint = install_hint("pyworld, or the setuptools it needs,", self.packages)
        return "" if ready else hint.replace("setuptools<81", "'setuptools<81'")

    def generate(self, speech: Speech, rng: np.random.Generator) -> FloatArray:
        """Return the recording as WORLD speaks it, shape [T] float32 at 16 kHz.

        Raises:
            AttackError: If pyworld is not installed or gives nothing usable.
        """
        source = sound.recording(self, speech)
        world = _pyworld()
        f0, times = world.harvest(source, SAMPLE_RATE_HZ)
        envelope = world.cheaptrick(source, f0, times, SAMPLE_RATE_HZ)
        aperiodicity = world.d4c(source, f0, times, SAMPLE_RATE_HZ)
        if self.tract_ratio != 1.0:
            semitones = rng.uniform(*self.pitch_semitones) * rng.choice([-1, 1])
            f0 = f0 * 2 ** (semitones / 12)
            # Voices that are higher have shorter vocal tracts; the other way round is rare.
            ratio = rng.uniform(1.0 + (self.tract_ratio - 1.0) / 3, self.tract_ratio)
            envelope = _stretched(envelope, ratio if semitones > 0 else 1 / ratio)
        return sound.copied(
            self.name, world.synthesize(f0, envelope, aperiodicity, SAMPLE_RATE_HZ), source
        )


def rows() -> list[World]:
    """Return the copy and the conversion."""
    return [World("world"), World("world-shift", "conversion", (2.0, 6.0), 1.25)]


def pitch(samples: FloatArray, n_frames: int) -> FloatArray:
    """Return the pitch every 5 ms, [T] at 16 kHz -> [F] hertz, 0 where there is none.

    Args:
        samples: Recording.
        n_frames: Frames F wanted, the first at sample 0; the last pitch is repeated if need be.
    """
    hertz: FloatArray = _pyworld().harvest(samples, SAMPLE_RATE_HZ, frame_period=5.0)[0]
    return np.pad(hertz, (0, max(0, n_frames - hertz.size)), mode="edge")[:n_frames]


def _stretched(envelope: FloatArray, ratio: float) -> FloatArray:
    """The envelope, shape [F, K], with formants moved up by a ratio."""
    bins = np.arange(envelope.shape[1])
    logs = np.log(envelope)
    moved = np.stack([np.interp(bins / ratio, bins, frame) for frame in logs])
    return np.ascontiguousarray(np.exp(moved))


def _pyworld() -> Any:
    import warnings

    with warnings.catch_warnings():
        # pyworld reads its own version through pkg_resources, which warns of its end.
        warnings.simplefilter("ignore")
        import pyworld
    return pyworld
