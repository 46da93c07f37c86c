"""Is it RawBoost? Equal to the literal transcription for equal draws, alike for drawn ones."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.random import Generator
from scipy.stats import ks_2samp, kstest

import rawboost_reference as reference
from unheard.audio.augment import Augment, Step
from unheard.audio.rawboost import filtered, notch_filters, rawboost
from unheard.errors import RecipeError
from unheard.types import FloatArray
from voice import voice

N_DRAWS = 300
ALIKE = 0.001  # below this chance two sets of draws are different; the seeds are fixed


def quiet(n: int = 6_000, seed: int = 0) -> FloatArray:
    """Noise with a low tilt, so low that nothing needs scaling; shape [n] float32."""
    white = np.random.default_rng(seed).standard_normal(n)
    tilted = np.convolve(white, 0.8 ** np.arange(20))[:n]
    return (0.1 * tilted / np.abs(tilted).max()).astype(np.float32)


def uniform(rng: Generator, low: float, high: float, size: tuple[int, ...] = ()) -> FloatArray:
    return np.asarray(low + (high - low) * rng.random(size))


def same_filters(rng: Generator, gains_db: list[tuple[float, float]]) -> list[FloatArray]:
    """Draw in the order of the product, design as the transcription does."""
    size = (len(gains_db), 5)
    centre_hz, width_hz = uniform(rng, 20, 8000, size), uniform(rng, 100, 1000, size)
    n_taps = uniform(rng, 10, 100, size).astype(int)
    gain_db = [float(uniform(rng, *bounds)) for bounds in gains_db]
    return [
        reference.notch_filter(*drawn)
        for drawn in zip(centre_hz, width_hz, n_taps, gain_db, strict=True)
    ]


def same_convolutive(wave: FloatArray, rng: Generator) -> FloatArray:
    return reference.convolutive(wave, same_filters(rng, [(0, 0), *[(-5, -20)] * 4]))


def same_impulsive(wave: FloatArray, rng: Generator) -> FloatArray:
    n_changed = int(len(wave) * rng.random() * 10 / 100)
    places = rng.choice(len(wave), n_changed, replace=False, shuffle=False)
    return reference.impulsive(wave, places, rng.uniform(-1, 1, (2, n_changed)).prod(axis=0))


def same_stationary(wave: FloatArray, rng: Generator) -> FloatArray:
    (taps,) = same_filters(rng, [(0, 0)])
    noise = rng.standard_normal(len(wave), np.float32).astype(np.float64)
    return reference.stationary(wave, noise, taps, float(uniform(rng, 10, 40)))


def in_series(*noises: Callable[[FloatArray, Generator], FloatArray]) -> Callable[..., FloatArray]:
    def apply(wave: FloatArray, rng: Generator) -> FloatArray:
        for noise in noises:
            wave = noise(wave, rng)
        return wave

    return apply


def in_parallel(wave: FloatArray, rng: Generator) -> FloatArray:
    return reference.scaled_if_over(same_convolutive(wave, rng) + same_impulsive(wave, rng))


SAME = {
    0: in_series(),
    1: same_convolutive,
    2: same_impulsive,
    3: same_stationary,
    4: in_series(same_convolutive, same_impulsive, same_stationary),
    5: in_series(same_convolutive, same_impulsive),
    6: in_series(same_convolutive, same_stationary),
    7: in_series(same_impulsive, same_stationary),
    8: in_parallel,
}


@pytest.mark.parametrize("algorithm", SAME)
@pytest.mark.parametrize("peak", [0.3, 1.0])
def test_equal_draws_give_the_samples_of_the_literal_transcription(
    algorithm: int, peak: float
) -> None:
    for seed, duration_s in enumerate((0.4, 0.701)):
        wave = voice(duration_s, peak=peak)
        ours = rawboost(wave, np.random.default_rng(seed), algorithm=algorithm)
        literal = SAME[algorithm](wave.astype(np.float64), np.random.default_rng(seed))
        np.testing.assert_allclose(ours, reference.scaled_if_over(literal), atol=1e-6)


@pytest.mark.parametrize(
    ("centre_hz", "width_hz", "n_taps", "gain_db"),
    [
        ([20.0, 7990.0], [1000.0, 1000.0], [11, 99], 0.0),  # edges beyond the band
        ([1000.0], [100.0], [10], -12.0),  # even: one more
        ([1000.0], [500.0], [1], 0.0),
        ([3000.0] * 20, [400.0] * 20, [98] * 20, 3.0),  # longer than the grid of the gain
    ],
)
def test_a_filter_is_the_convolution_of_its_notches(
    centre_hz: list[float], width_hz: list[float], n_taps: list[int], gain_db: float
) -> None:
    (ours,) = notch_filters(
        centre_hz=np.array([centre_hz]),
        width_hz=np.array([width_hz]),
        n_taps=np.array([n_taps]),
        gain_db=np.array([gain_db]),
    )
    literal = reference.notch_filter(
        np.array(centre_hz), np.array(width_hz), np.array(n_taps), gain_db
    )
    n_more = len(ours) - len(literal)
    np.testing.assert_allclose(ours, np.pad(literal, n_more // 2), atol=1e-6)
    np.testing.assert_allclose(ours, ours[::-1], atol=1e-6)


@pytest.mark.parametrize("n", [1, 2, 100, 4096 - 490, 4096 - 489, 9_001])
def test_blocks_join_without_a_seam(n: int) -> None:
    rng = np.random.default_rng(n)
    wave, filters = rng.uniform(-1, 1, n), rng.standard_normal((3, 491)) / 20
    literal = sum(
        reference.through(wave ** (1 + index), taps) for index, taps in enumerate(filters)
    )
    ours = filtered(wave.astype(np.float32), filters.astype(np.float32))
    np.testing.assert_allclose(ours, literal, atol=5e-6)  # float32 of values up to 4


def draws(which: Callable[..., FloatArray], wave: FloatArray, algorithm: int) -> FloatArray:
    """Shape [N_DRAWS, T]; the two implementations get different generators."""
    seed = 2 if which is rawboost else 3
    return np.stack(
        [
            which(wave, np.random.default_rng((seed, index)), algorithm=algorithm)
            for index in range(N_DRAWS)
        ]
    )


def bands_db(waves: FloatArray) -> FloatArray:
    """Levels in eight bands of 1 kHz, shape [N, 8]."""
    power = np.abs(np.fft.rfft(waves)[:, 1:]) ** 2
    bands = np.array_split(power, 8, axis=1)
    return 10 * np.log10(np.stack([band.mean(axis=1) for band in bands], axis=1))


def alike(ours: FloatArray, literal: FloatArray) -> bool:
    """Compare two sets of draws, [N] or [N, columns]; a chance shared by the columns."""
    least_p = np.min(ks_2samp(ours, literal).pvalue)
    return bool(least_p > ALIKE / (ours.shape[1] if ours.ndim > 1 else 1))


def test_convolutive_noise_colours_and_distorts_as_the_transcription() -> None:
    wave = 5 * quiet()
    ours, literal = (draws(which, wave, 1) for which in (rawboost, reference.rawboost))
    assert alike(bands_db(ours), bands_db(literal))
    assert alike(np.abs(ours).max(axis=1), np.abs(literal).max(axis=1))
    even = [(waves**2 * waves).mean(axis=1) for waves in (ours, literal)]  # what x^2 skews
    assert alike(*even)


def test_impulses_are_as_many_and_as_large_as_those_of_the_transcription() -> None:
    wave = quiet()
    ours, literal = (draws(which, wave, 2) / wave - 1 for which in (rawboost, reference.rawboost))
    n_ours, n_literal = ((np.abs(change) > 1e-6).sum(axis=1) for change in (ours, literal))
    assert alike(n_ours, n_literal)
    assert n_ours.max() <= 0.1 * wave.size
    assert kstest(n_ours / (0.1 * wave.size), "uniform").pvalue > ALIKE
    large = [change[np.abs(change) > 1e-3][::40] for change in (ours, literal)]
    assert alike(*large)
    assert np.abs(ours).max() <= 2


def test_stationary_noise_has_the_levels_and_colours_of_the_transcription() -> None:
    wave = quiet()
    ours, literal = (draws(which, wave, 3) - wave for which in (rawboost, reference.rawboost))
    snr_db = [
        10 * np.log10((wave**2).mean() / (noise**2).mean(axis=1)) for noise in (ours, literal)
    ]
    assert alike(*snr_db)
    assert kstest((snr_db[0] - 10) / 30, "uniform").pvalue > ALIKE
    shapes = [bands_db(noise / noise.std(axis=1, keepdims=True)) for noise in (ours, literal)]
    assert alike(*shapes)


def test_the_powers_from_the_second_on_share_one_lowered_range() -> None:
    click = np.zeros(2_000, np.float32)
    click[1_000] = 0.5
    numbers = {"n_powers": 3, "narrow_hz": 1.0, "wide_hz": 1.0}  # hardly a notch: a plain gain
    gains_db = []
    for seed in range(60):
        up, down = (
            rawboost(wave, np.random.default_rng(seed), algorithm=1, **numbers)[999]
            for wave in (click, -click)  # 999: one sample early
        )
        gains = (up + down) / 2 / 0.25, ((up - down) / 2 - 0.5) / 0.125
        gains_db.append(20 * np.log10(gains))
    for second_or_third in np.transpose(gains_db):
        assert kstest((second_or_third + 20) / 15, "uniform").pvalue > ALIKE


def test_a_wave_is_scaled_only_if_its_peak_passes_one() -> None:
    wave = quiet()
    half = rawboost(wave / 2, np.random.default_rng(0), algorithm=7)
    np.testing.assert_allclose(rawboost(wave, np.random.default_rng(0), algorithm=7), 2 * half)
    loud = rawboost(10 * wave, np.random.default_rng(0), algorithm=7)
    assert np.abs(loud).max() == pytest.approx(1)
    np.testing.assert_allclose(loud / loud[0], half / half[0], rtol=2e-3)


@pytest.mark.parametrize("algorithm", range(9))
@pytest.mark.parametrize("n", [1, 2, 11, 700])
def test_short_and_silent_waves_survive(algorithm: int, n: int) -> None:
    for wave in (np.zeros(n, np.float32), quiet(n), np.ones(n, np.float32)):
        for seed in range(3):
            changed = rawboost(wave, np.random.default_rng(seed), algorithm=algorithm)
            assert changed.shape == (n,)
            assert changed.dtype == np.float32
            assert np.abs(changed).max() <= 1  # false for NaN


def test_a_recipe_chooses_the_algorithm_and_every_number() -> None:
    wave = quiet()
    steps = Augment((Step("rawboost", 1.0, {"algorithm": 2.0, "impulse_gain": 0.0}),))
    np.testing.assert_array_equal(steps(wave, np.random.default_rng(0)), wave)
    with pytest.raises(RecipeError, match="did you mean 'algorithm'"):
        Step("rawboost", 1.0, {"algoritm": 3})


@pytest.mark.parametrize("algorithm", [9, -1, 2.5])
def test_an_unknown_algorithm_says_which_there_are(algorithm: float) -> None:
    with pytest.raises(RecipeError, match="give one from 0 to 8"):
        rawboost(quiet(), np.random.default_rng(0), algorithm=algorithm)
