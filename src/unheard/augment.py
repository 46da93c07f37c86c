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

import numpy as np
from numpy.random import Generator

from unheard import channel
from unheard.audio import SAMPLE_RATE_HZ
from unheard.errors import RecipeError, suggestion
from unheard.types import FloatArray

__all__ = [
    "AUGMENTS",
    "Augment",
    "Step",
    "clip",
    "codec",
    "gain",
    "low_pass",
    "mu_law",
    "noise",
    "notch",
    "polarity",
    "room",
]

SILENCE = 1e-8  # mean power under which a wave has no level to set anything against


def gain(
    wave: FloatArray, rng: Generator, *, low_db: float = -15.0, high_db: float = 6.0
) -> FloatArray:
    """Change the level by a random amount, as far as the peak allows.

    Args:
        wave: Shape [T].
        rng: Source of randomness.
        low_db: Smallest change.
        high_db: Largest change; less where the peak would pass 1.
    """
    return _bounded(wave * 10 ** (rng.uniform(low_db, high_db) / 20))


def polarity(wave: FloatArray, rng: Generator) -> FloatArray:
    """Flip the sign, as a reversed microphone cable does."""
    return -wave


def noise(
    wave: FloatArray, rng: Generator, *, low_db: float = 5.0, high_db: float = 30.0
) -> FloatArray:
    """Add noise whose power falls with frequency as 1 / f^a, a drawn from 0 (white) to 2 (brown).

    Args:
        wave: Shape [T]; silence is returned as it is, for it has no ratio to keep.
        rng: Source of randomness.
        low_db: Smallest signal-to-noise ratio.
        high_db: Largest signal-to-noise ratio.
    """
    snr_db, slope = rng.uniform(low_db, high_db), rng.uniform(0, 2)
    if _power(wave) < SILENCE:
        return wave
    spectrum = np.fft.rfft(rng.standard_normal(wave.size, np.float32))
    spectrum[0] = 0
    spectrum[1:] *= np.arange(1, spectrum.size, dtype=np.float32) ** np.float32(-slope / 2)
    hiss = np.fft.irfft(spectrum, wave.size)
    return _bounded(wave + hiss * np.sqrt(_power(wave) / _power(hiss) / 10 ** (snr_db / 10)))


def room(
    wave: FloatArray,
    rng: Generator,
    *,
    low_s: float = 0.1,
    high_s: float = 0.7,
    direct_low_db: float = 0.0,
    direct_high_db: float = 15.0,
) -> FloatArray:
    """Play the wave in a simulated room: the direct sound, then exponentially decaying noise.

    The level is kept.

    Args:
        wave: Shape [T].
        rng: Source of randomness.
        low_s: Shortest reverberation time, to a decay of 60 dB.
        high_s: Longest reverberation time.
        direct_low_db: Smallest ratio of direct to reverberant energy.
        direct_high_db: Largest ratio of direct to reverberant energy.

    Source:
        J. D. Polack, La transmission de l'energie sonore dans les salles, 1988: late reverberation
        as decaying Gaussian noise. Difference: early reflections are part of the noise.
    """
    from scipy.signal import oaconvolve

    t60_s = rng.uniform(low_s, high_s)
    ratio = 10 ** (-rng.uniform(direct_low_db, direct_high_db) / 10)
    first = int(rng.uniform(0.002, 0.02) * SAMPLE_RATE_HZ)
    after_s = np.arange(round(t60_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    tail = rng.standard_normal(after_s.size) * 10 ** (-3 * after_s / t60_s)
    tail *= np.sqrt(ratio / np.sum(tail**2))
    response = np.concatenate([[1.0], np.zeros(first), tail]).astype(np.float32)
    wet = oaconvolve(wave, response)[: wave.size]
    return _bounded(wet * np.sqrt(_power(wave) / max(_power(wet), SILENCE**2)))


def codec(wave: FloatArray, rng: Generator) -> FloatArray:
    """Send the wave through a lossy codec drawn at random, at a bit rate drawn at random."""
    name = str(rng.choice(sorted(channel.CODECS)))
    kbps = float(rng.choice(channel.CODECS[name].kbps))
    return _bounded(channel.round_trip(wave, name, kbps=kbps))


def low_pass(
    wave: FloatArray, rng: Generator, *, low_hz: float = 3400.0, high_hz: float = 7800.0
) -> FloatArray:
    """Remove what lies above a random frequency, as cheap channels and resamplers do.

    Args:
        wave: Shape [T].
        rng: Source of randomness.
        low_hz: Lowest edge, in (0, 8000).
        high_hz: Highest edge, in (0, 8000).
    """
    from scipy.signal import butter, sosfilt

    edge_hz = rng.uniform(low_hz, high_hz)
    return _bounded(sosfilt(butter(8, edge_hz, fs=SAMPLE_RATE_HZ, output="sos"), wave))


def clip(
    wave: FloatArray, rng: Generator, *, low_share: float = 0.001, high_share: float = 0.03
) -> FloatArray:
    """Cut the loudest samples off, as an overdriven microphone does.

    Args:
        wave: Shape [T].
        rng: Source of randomness.
        low_share: Smallest share of samples that are cut, in [0, 1].
        high_share: Largest share of samples that are cut, in [0, 1].
    """
    limit = np.quantile(np.abs(wave), 1 - rng.uniform(low_share, high_share))
    return _bounded(np.clip(wave, -limit, limit))


def mu_law(
    wave: FloatArray, rng: Generator, *, low_bits: int = 6, high_bits: int = 8
) -> FloatArray:
    """Quantise with logarithmic steps, as telephone lines do.

    Args:
        wave: Shape [T].
        rng: Source of randomness.
        low_bits: Fewest bits per sample.
        high_bits: Most bits per sample.

    Source:
        ITU-T G.711 mu-law by its continuous formula; 8 bits give mu = 255.
    """
    mu = 2.0 ** rng.integers(low_bits, high_bits, endpoint=True) - 1
    level = np.sign(wave) * np.log1p(mu * np.abs(wave)) / np.log1p(mu)
    level = (np.rint((level + 1) / 2 * mu)) / mu * 2 - 1
    return _bounded(np.sign(level) * np.expm1(np.abs(level) * np.log1p(mu)) / mu)


def notch(
    wave: FloatArray, rng: Generator, *, low_hz: float = 100.0, high_hz: float = 1500.0
) -> FloatArray:
    """Remove one band at a random place, so that no single band can decide.

    Args:
        wave: Shape [T].
        rng: Source of randomness.
        low_hz: Narrowest band.
        high_hz: Widest band.
    """
    width_hz = rng.uniform(low_hz, high_hz)
    start_hz = rng.uniform(0, SAMPLE_RATE_HZ / 2 - width_hz)
    spectrum = np.fft.rfft(wave)
    from_edge_hz = np.abs(
        np.fft.rfftfreq(wave.size, 1 / SAMPLE_RATE_HZ) - start_hz - width_hz / 2
    ) - (width_hz / 2)
    spectrum *= np.clip(from_edge_hz / 50, 0, 1)  # edges 50 Hz wide ring for 20 ms only
    return _bounded(np.fft.irfft(spectrum, wave.size))


AUGMENTS: dict[str, Callable[..., FloatArray]] = {
    "gain": gain,
    "polarity": polarity,
    "noise": noise,
    "room": room,
    "codec": codec,
    "low_pass": low_pass,
    "clip": clip,
    "mu_law": mu_law,
    "notch": notch,
}


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


def _power(wave: FloatArray) -> float:
    return float(np.mean(np.square(wave, dtype=np.float64)))


def _bounded(wave: FloatArray) -> FloatArray:
    """Return float32, scaled down as a whole if the peak passes 1."""
    peak = float(np.max(np.abs(wave), initial=0.0))
    return (wave / peak if peak > 1 else wave).astype(np.float32)
