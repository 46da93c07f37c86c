"""RawBoost step by step, as the paper describes it: slow, and nothing shared with the product.

Every noise takes what was drawn for it as arguments, so that the same draws can be given to both;
`rawboost` draws by itself. Filters are designed one notch at a time by scipy, convolved with each
other, and applied in the time domain.
"""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.signal import firwin, freqz, lfilter

from unheard.types import FloatArray

RATE_HZ = 16_000
N_POWERS, N_NOTCHES = 5, 5
CENTRE_HZ, WIDTH_HZ, TAPS = (20, 8000), (100, 1000), (10, 100)
GAIN_DB, BIAS_DB = (0, 0), (5, 20)
PERCENT, IMPULSE_GAIN = 10, 2
SNR_DB = (10, 40)


def scaled_if_over(wave: FloatArray) -> FloatArray:
    peak = np.abs(wave).max()
    return wave / peak if peak > 1 else wave


def notch_filter(
    centre_hz: FloatArray, width_hz: FloatArray, n_taps: FloatArray, gain_db: float
) -> FloatArray:
    taps = np.ones(1)
    for centre, width, n in zip(centre_hz, width_hz, n_taps, strict=True):
        n_odd = int(n) + (int(n) + 1) % 2
        low, high = max(centre - width / 2, 0.001), min(centre + width / 2, RATE_HZ / 2 - 0.001)
        notch = firwin(n_odd, [low, high], window="hamming", pass_zero=True, fs=RATE_HZ)
        taps = np.convolve(taps, notch)
    _, spectrum = freqz(taps, worN=512)
    return taps * 10 ** (gain_db / 20) / np.abs(spectrum).max()


def through(wave: FloatArray, taps: FloatArray) -> FloatArray:
    """The delay of the filter is taken off, and one sample more."""
    n_extra = len(taps) + 1
    wet = lfilter(taps, 1.0, np.concatenate([wave, np.zeros(n_extra)]))
    return wet[n_extra // 2 : len(wet) - n_extra // 2]


def convolutive(wave: FloatArray, filters: list[FloatArray]) -> FloatArray:
    total = np.zeros(len(wave))
    for index, taps in enumerate(filters):
        total += through(wave ** (index + 1), taps)
    return scaled_if_over(total - total.mean())


def impulsive(wave: FloatArray, places: NDArray[np.int64], factors: FloatArray) -> FloatArray:
    changed = wave.copy()
    for place, factor in zip(places, factors, strict=True):
        changed[place] = wave[place] + IMPULSE_GAIN * wave[place] * factor
    return scaled_if_over(changed)


def stationary(wave: FloatArray, noise: FloatArray, taps: FloatArray, snr_db: float) -> FloatArray:
    coloured = through(noise, taps)
    coloured = coloured / np.abs(coloured).max()
    scale = np.linalg.norm(wave) / np.linalg.norm(coloured) / 10 ** (snr_db / 20)
    return wave + coloured * scale


def draw_filter(rng: Generator, low_db: float, high_db: float) -> FloatArray:
    drawn = [[rng.uniform(*bounds) for _ in range(N_NOTCHES)] for bounds in (CENTRE_HZ, WIDTH_HZ)]
    n_taps = np.array([int(rng.uniform(*TAPS)) for _ in range(N_NOTCHES)])
    gain_db = low_db + (high_db - low_db) * rng.random()
    return notch_filter(np.array(drawn[0]), np.array(drawn[1]), n_taps, gain_db)


def draw_convolutive(wave: FloatArray, rng: Generator) -> FloatArray:
    filters, (low_db, high_db) = [], GAIN_DB
    for index in range(N_POWERS):
        if index == 1:  # once only: later powers keep this range
            low_db, high_db = low_db - BIAS_DB[0], high_db - BIAS_DB[1]
        filters.append(draw_filter(rng, low_db, high_db))
    return convolutive(wave, filters)


def draw_impulsive(wave: FloatArray, rng: Generator) -> FloatArray:
    n_changed = int(len(wave) * rng.uniform(0, PERCENT) / 100)
    places = rng.permutation(len(wave))[:n_changed]
    factors = (2 * rng.random(n_changed) - 1) * (2 * rng.random(n_changed) - 1)
    return impulsive(wave, places, factors)


def draw_stationary(wave: FloatArray, rng: Generator) -> FloatArray:
    noise = rng.standard_normal(len(wave))
    return stationary(wave, noise, draw_filter(rng, *GAIN_DB), rng.uniform(*SNR_DB))


def rawboost(wave: FloatArray, rng: Generator, *, algorithm: int = 5) -> FloatArray:
    """Apply algorithm 0 to 8 to wave [T]; may leave [-1, 1] after stationary noise."""
    wave = wave.astype(np.float64)
    if algorithm in (1, 4, 5, 6):
        wave = draw_convolutive(wave, rng)
    if algorithm in (2, 4, 5, 7):
        wave = draw_impulsive(wave, rng)
    if algorithm in (3, 4, 6, 7):
        wave = draw_stationary(wave, rng)
    if algorithm == 8:
        wave = scaled_if_over(draw_convolutive(wave, rng) + draw_impulsive(wave, rng))
    return wave
