"""Training-time transforms of a waveform, each a function of the wave, a generator and numbers.

Every function keeps the length, gives float32 in [-1, 1], and gives the same wave for the same
generator state. Speed and pitch are left alone: a stretched human voice is half way to a converted
one, and the label would no longer be certain.

T samples at 16 kHz.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from numpy.random import Generator

from unheard.audio.rawboost import rawboost
from unheard.audio.reverberation import room, shoebox
from unheard.audio.transforms import (
    band_pass,
    clip,
    codec,
    denoiser,
    equaliser,
    gain,
    high_pass,
    low_pass,
    mu_law,
    noise,
    notch,
    offset,
    polarity,
    resampling,
)
from unheard.errors import RecipeError, suggestion
from unheard.types import FloatArray

__all__ = ["AUGMENTS", "Augment", "Step"]

AUGMENTS: dict[str, Callable[..., FloatArray]] = {
    "rawboost": rawboost,
    "gain": gain,
    "polarity": polarity,
    "noise": noise,
    "room": room,
    "shoebox": shoebox,
    "codec": codec,
    "resampling": resampling,
    "low_pass": low_pass,
    "band_pass": band_pass,
    "notch": notch,
    "clip": clip,
    "mu_law": mu_law,
    "offset": offset,
    "high_pass": high_pass,
    "equaliser": equaliser,
    "denoiser": denoiser,
}
"""Every transform, by the name that recipes use."""


@dataclass(frozen=True)
class Step:
    """One transform, how often, and with which numbers.

    Attributes:
        name: A row of `AUGMENTS`.
        probability: Share of clips that go through it, in [0, 1].
        numbers: Arguments of the function, by name; those not named keep their defaults.
    """

    name: str
    probability: float = 0.5
    numbers: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name not in AUGMENTS:
            raise RecipeError(f"no transform {self.name!r}{suggestion(self.name, AUGMENTS)}")
        if not 0 <= self.probability <= 1:
            raise RecipeError(
                f"transform {self.name!r} has probability {self.probability:g}; give one in [0, 1]"
            )
        known = list(inspect.signature(AUGMENTS[self.name]).parameters)[2:]
        for number in self.numbers:
            if number not in known:
                raise RecipeError(
                    f"transform {self.name!r} has no number {number!r}{suggestion(number, known)}"
                )


@dataclass(frozen=True)
class Augment:
    """Transforms in the order they are applied; none leaves the wave as it is."""

    steps: tuple[Step, ...] = ()

    def __call__(self, wave: FloatArray, rng: Generator) -> FloatArray:
        """Return wave [T] after the steps that the generator chose."""
        for step in self.steps:
            if rng.random() < step.probability:
                wave = AUGMENTS[step.name](wave, rng, **step.numbers)
        return wave
