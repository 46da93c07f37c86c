"""RawBoost: the noises of telephone channels, made from the speech itself, without recordings.

Three noises and their combinations, with the parameters of the public code:

    1   LnL   linear and non-linear convolutive noise: powers of the wave through random notches
    2   ISD   impulsive noise that depends on the signal: some samples get louder or softer
    3   SSI   stationary noise independent of the signal: noise through random notches
    4   1, then 2, then 3        5   1, then 2        6   1, then 3        7   2, then 3
    8   1 and 2 side by side, added                   0   nothing

H. Tak, M. Kamble, J. Patino, M. Todisco and N. Evans, RawBoost: a raw data boosting and
augmentation method applied to automatic speaker verification anti-spoofing, 2022.

T samples at 16 kHz, N filters, B notches in series in each, K taps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from unheard.audio.recording import SAMPLE_RATE_HZ
from unheard.audio.transforms import bounded
from unheard.errors import RecipeError
from unheard.types import FloatArray, IntArray

__all__ = ["filtered", "notch_filters", "rawboost"]

SERIES = {0: "", 1: "L", 2: "I", 3: "S", 4: "LIS", 5: "LI", 6: "LS", 7: "IS"}
PARALLEL = 8
LOWEST_EDGE_HZ = 0.001  # also the distance of the highest from half the sample rate
N_GRID = 512
"""Frequencies from 0 to below half the sample rate at which the gain of a filter is taken."""


def rawboost(  # noqa: PLR0913  (the published parameters, each open to a recipe)
    wave: FloatArray,
    rng: Generator,
    *,
    algorithm: float = 5,
    n_powers: float = 5,
    n_notches: float = 5,
    low_hz: float = 20.0,
    high_hz: float = 8000.0,
    narrow_hz: float = 100.0,
    wide_hz: float = 1000.0,
    low_taps: float = 10,
    high_taps: float = 100,
    low_gain_db: float = 0.0,
    high_gain_db: float = 0.0,
    low_bias_db: float = 5.0,
    high_bias_db: float = 20.0,
    impulse_percent: float = 10.0,
    impulse_gain: float = 2.0,
    low_snr_db: float = 10.0,
    high_snr_db: float = 40.0,
) -> FloatArray:
    """Apply one of the RawBoost algorithms.

    Args:
        wave: Shape [T].
        rng: Source of randomness.
        algorithm: 0 to 8, as listed at the top of this file.
        n_powers: How many powers of the wave LnL adds up, from the first on (N_f).
        n_notches: Notches in series in every filter (nBands).
        low_hz: Lowest centre of a notch (minF).
        high_hz: Highest centre of a notch (maxF).
        narrow_hz: Narrowest notch (minBW).
        wide_hz: Widest notch (maxBW).
        low_taps: Fewest taps of one notch; even numbers are raised by one (minCoeff).
        high_taps: One more than the most taps of one notch (maxCoeff).
        low_gain_db: Smallest gain of the filter of the wave itself (minG).
        high_gain_db: Largest gain of the filter of the wave itself (maxG).
        low_bias_db: By how much `low_gain_db` is lower for the other powers (minBiasLinNonLin).
        high_bias_db: By how much `high_gain_db` is lower for the other powers (maxBiasLinNonLin).
        impulse_percent: Most samples that ISD changes, in percent (P).
        impulse_gain: By how much it changes a sample at most, as a share of it (g_sd).
        low_snr_db: Smallest signal-to-noise ratio of SSI (SNRmin).
        high_snr_db: Largest signal-to-noise ratio of SSI (SNRmax).

    Raises:
        RecipeError: If there is no such algorithm.

    Source:
        The paper named above and its public code, TakHemlata/RawBoost-antispoofing; the noises
        have the same distribution. Kept from it: the bias is taken off the gain bounds once, so
        all powers from the second on share one range; every filter brings its sound one sample
        early; a wave is scaled only if its peak passes 1. Difference: the code does not scale after
        SSI, and may so leave [-1, 1]; here the result is scaled if its peak passes 1.
    """
    notches = _Notches(
        n_notches=int(n_notches),
        centre_hz=(low_hz, high_hz),
        width_hz=(narrow_hz, wide_hz),
        taps=(low_taps, high_taps),
    )
    gain_db = (low_gain_db, high_gain_db)
    lower_db = (low_gain_db - low_bias_db, high_gain_db - high_bias_db)

    def apply(noise: str, wave: FloatArray) -> FloatArray:
        if noise == "L":
            gains_db = [gain_db, *[lower_db] * (int(n_powers) - 1)]
            return _convolutive(wave, rng, notches, gains_db)
        if noise == "I":
            return _impulsive(wave, rng, impulse_percent, impulse_gain)
        return _stationary(wave, rng, notches, (low_snr_db, high_snr_db))

    if algorithm == PARALLEL:
        return bounded(apply("L", wave) + apply("I", wave))
    if algorithm not in SERIES:
        raise RecipeError(f"RawBoost has no algorithm {algorithm:g}; give one from 0 to 8")
    for noise in SERIES[int(algorithm)]:
        wave = apply(noise, wave)
    return bounded(wave)


@dataclass(frozen=True, kw_only=True)
class _Notches:
    """What the filters are drawn from: bounds of uniform distributions."""

    n_notches: int
    centre_hz: tuple[float, float]
    width_hz: tuple[float, float]
    taps: tuple[float, float]

    def draw(self, rng: Generator, gains_db: list[tuple[float, float]]) -> FloatArray:
        """Return filters [N, K], one for each pair of bounds of the gain."""
        size = (len(gains_db), self.n_notches)
        return notch_filters(
            centre_hz=_between(rng, self.centre_hz, size),
            width_hz=_between(rng, self.width_hz, size),
            n_taps=_between(rng, self.taps, size).astype(np.int64),
            gain_db=np.array([_between(rng, bounds) for bounds in gains_db]).reshape(-1),
        )


def _convolutive(
    wave: FloatArray, rng: Generator, notches: _Notches, gains_db: list[tuple[float, float]]
) -> FloatArray:
    """LnL: every power of the wave through a filter of its own, added up."""
    wet = filtered(wave, notches.draw(rng, gains_db))
    return bounded(wet - np.float32(wet.mean(dtype=np.float64)))


def _impulsive(wave: FloatArray, rng: Generator, percent: float, gain: float) -> FloatArray:
    """ISD: a random share of the samples changed, each in proportion to itself."""
    n_changed = int(wave.size * _between(rng, (0, percent)) / 100)
    places = rng.choice(wave.size, n_changed, replace=False, shuffle=False)
    factors = np.prod(rng.uniform(-1, 1, (2, n_changed)), axis=0)
    changed = wave.copy()
    changed[places] += gain * wave[places] * factors
    return bounded(changed)


def _stationary(
    wave: FloatArray, rng: Generator, notches: _Notches, snr_db: tuple[float, float]
) -> FloatArray:
    """SSI: noise through one filter, whose gain drops out when the ratio is set."""
    filters = notches.draw(rng, [(0.0, 0.0)])
    noise = filtered(rng.standard_normal(wave.size, np.float32), filters)
    ratio = 10 ** (_between(rng, snr_db) / 20)
    level = np.linalg.norm(wave) / max(np.linalg.norm(noise), np.finfo(np.float32).tiny)
    return wave + noise * np.float32(level / ratio)


def notch_filters(
    *, centre_hz: FloatArray, width_hz: FloatArray, n_taps: IntArray, gain_db: FloatArray
) -> FloatArray:
    """Return filters that are each several notches in series.

    A notch is a Hamming-windowed ideal one with gain 1 at 0 Hz. All are designed at once and
    multiplied as spectra, instead of one by one and convolved.

    Args:
        centre_hz: Middle of each notch, shape [N, B]; edges are kept inside (0, 8000).
        width_hz: Width of each notch, shape [N, B].
        n_taps: Taps of each notch, shape [N, B]; even numbers are raised by one.
        gain_db: Largest gain of each filter over frequency, shape [N].

    Returns:
        Shape [N, K] float32, K odd: each symmetrical around its middle, with zeros to K taps.
    """
    half = n_taps[..., None] // 2
    at = np.arange(-half.max(), half.max() + 1)
    middle, reach = centre_hz[..., None], width_hz[..., None] / 2
    nyquist_hz = SAMPLE_RATE_HZ / 2
    low = np.maximum(middle - reach, LOWEST_EDGE_HZ) / nyquist_hz
    high = np.minimum(middle + reach, nyquist_hz - LOWEST_EDGE_HZ) / nyquist_hz
    taps = np.sinc(at) + low * np.sinc(low * at) - high * np.sinc(high * at)
    taps *= np.where(np.abs(at) <= half, 0.54 + 0.46 * np.cos(np.pi * at / np.maximum(half, 1)), 0)
    taps /= taps.sum(axis=-1, keepdims=True)

    n_half = max(int(half.sum(axis=1).max()), 1)
    per_grid = math.ceil((2 * n_half + 1) / (2 * N_GRID))
    n_spectrum = 2 * N_GRID * per_grid
    # Rolled, so that the middle tap is at time 0 and the spectra are real.
    spread = np.zeros((*taps.shape[:2], n_spectrum))
    spread[..., at] = taps
    spectra = np.prod(np.fft.rfft(spread).real, axis=1)
    peak = np.abs(spectra[:, :-1:per_grid]).max(axis=1)
    series = np.fft.irfft(spectra, n_spectrum) * (10 ** (gain_db / 20) / peak)[:, None]
    return np.asarray(series[:, np.arange(-n_half, n_half + 1)], np.float32)


def filtered(wave: FloatArray, filters: FloatArray) -> FloatArray:
    """Return the sum of the powers of a wave, each through its own filter, one sample early.

    By overlap and save, added up as spectra, so that one inverse transform serves all filters.

    Args:
        wave: Shape [T].
        filters: Shape [N, K], K odd and at least 3, the middle tap at time 0: the first for the
            wave itself, the second for its square, and so on.

    Returns:
        Shape [T] float32; what the filters need beyond the ends is zero.
    """
    from scipy import fft

    n_taps = filters.shape[1]
    n_block = 2 ** math.ceil(math.log2(8 * n_taps))
    n_new = n_block - n_taps + 1
    n_blocks = math.ceil(wave.size / n_new)
    padded = np.zeros(n_blocks * n_new + n_taps - 1, np.float32)
    start = n_taps // 2 - 1  # where the first wanted sample is the first one a block gives
    padded[start : start + wave.size] = wave
    power = np.ones_like(padded)
    total = np.zeros((n_blocks, n_block // 2 + 1), np.complex64)
    for taps in filters:
        power *= padded
        blocks = np.lib.stride_tricks.sliding_window_view(power, n_block)[::n_new]
        spectra = fft.rfft(blocks)
        spectra *= fft.rfft(taps, n_block)
        total += spectra
    sound = fft.irfft(total, n_block)[:, n_taps - 1 :]
    return np.asarray(sound.reshape(-1)[: wave.size])


def _between(rng: Generator, bounds: tuple[float, float], size: tuple[int, ...] = ()) -> FloatArray:
    """Draw uniformly between two bounds, in whichever order they are."""
    return np.asarray(bounds[0] + (bounds[1] - bounds[0]) * rng.random(size))
