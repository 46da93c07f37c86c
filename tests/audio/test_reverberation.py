"""Do simulated rooms follow the formulae of room acoustics?"""

import numpy as np
import pytest

from unheard.audio.reverberation import SOUND_M_PER_S, images, response, shoebox
from unheard.types import FloatArray
from voice import silence, voice

RATE_HZ = 16_000
ROOMS_M = [(3.0, 4.0, 2.5), (5.0, 4.0, 3.0), (9.0, 7.5, 3.5)]


def places(size_m: tuple[float, ...], seed: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    size = np.array(size_m)
    source_m, microphone_m = size * np.random.default_rng(seed).uniform(0.1, 0.9, (2, 3))
    return size, source_m, microphone_m


def in_order(delays_s: FloatArray, gains: FloatArray) -> tuple[FloatArray, FloatArray]:
    order = np.argsort(delays_s)
    return delays_s[order], gains[order]


@pytest.mark.parametrize("size_m", ROOMS_M)
def test_the_direct_sound_comes_first_at_the_speed_of_sound_and_falls_with_distance(
    size_m: tuple[float, ...],
) -> None:
    for seed in range(5):
        room = places(size_m, seed)
        distance_m = float(np.linalg.norm(room[1] - room[2]))
        delays_s, gains = in_order(*images(*room, echo=0.8, until_s=0.06))
        assert delays_s[0] == pytest.approx(distance_m / SOUND_M_PER_S)
        assert gains[0] == pytest.approx(1 / distance_m)
        assert delays_s[-1] <= 0.06


def test_first_reflections_are_mirror_images_behind_the_six_walls() -> None:
    size_m, source_m, microphone_m = places(ROOMS_M[1], 3)
    mirrored = []
    for axis in range(3):
        for wall_m in (0.0, size_m[axis]):
            image_m = source_m.copy()
            image_m[axis] = 2 * wall_m - image_m[axis]
            mirrored.append(float(np.linalg.norm(image_m - microphone_m)))
    delays_s, gains = images(size_m, source_m, microphone_m, echo=0.5, until_s=0.1)
    walls = np.rint(-np.log2(gains * delays_s * SOUND_M_PER_S))
    once = walls == 1
    np.testing.assert_allclose(np.sort(delays_s[once]) * SOUND_M_PER_S, sorted(mirrored))
    assert (walls == 0).sum() == 1
    assert (walls == 2).sum() == 18  # 6 across one axis, 12 across two


def test_images_are_as_dense_as_rooms_of_that_volume_would_lie() -> None:
    size_m, source_m, microphone_m = places(ROOMS_M[1], 0)
    delays_s, _ = images(size_m, source_m, microphone_m, echo=0.9, until_s=0.1)
    sphere_m3 = 4 / 3 * np.pi * (0.1 * SOUND_M_PER_S) ** 3
    assert len(delays_s) == pytest.approx(sphere_m3 / np.prod(size_m), rel=0.02)


def t60_by_schroeder(impulse_response: FloatArray) -> float:
    """Reverberation time from the slope between -5 and -35 dB of the energy yet to come."""
    left = np.cumsum(np.square(impulse_response, dtype=np.float64)[::-1])[::-1]
    left_db = 10 * np.log10(left / left[0])
    used = (left_db < -5) & (left_db > -35)
    slope_db, _ = np.polyfit(np.flatnonzero(used) / RATE_HZ, left_db[used], 1)
    return float(-60 / slope_db)


@pytest.mark.parametrize("size_m", ROOMS_M)
@pytest.mark.parametrize("t60_s", [0.2, 0.4, 0.8])
def test_the_decay_takes_the_reverberation_time(size_m: tuple[float, ...], t60_s: float) -> None:
    measured_s = [
        t60_by_schroeder(response(*places(size_m, seed), t60_s, np.random.default_rng(seed)))
        for seed in range(5)
    ]
    assert np.mean(measured_s) == pytest.approx(t60_s, rel=0.1)
    np.testing.assert_allclose(measured_s, t60_s, rtol=0.25)


def test_reverberant_energy_is_that_of_a_diffuse_field() -> None:
    size_m, t60_s = ROOMS_M[1], 0.6
    energy = []
    for seed in range(20):
        sound = response(*places(size_m, seed), t60_s, np.random.default_rng(seed))
        energy.append(np.sum(sound[round(0.01 * RATE_HZ) :].astype(float) ** 2))
    # From 10 ms after the direct sound, which comes from 6 ms away on the average.
    decay_s = t60_s / (6 * np.log(10))
    expected = 4 * np.pi * SOUND_M_PER_S / np.prod(size_m) * decay_s * np.exp(-0.016 / decay_s)
    assert 10 * np.log10(np.mean(energy) / expected) == pytest.approx(0, abs=1.0)


def test_noise_takes_over_from_images_without_a_step() -> None:
    before, after = [], []
    for seed in range(20):
        room = places(ROOMS_M[seed % 3], seed)
        energy = response(*room, 0.5, np.random.default_rng(seed)).astype(float) ** 2
        edge, span = round(0.08 * RATE_HZ), round(0.02 * RATE_HZ)
        before.append(energy[edge - span : edge].sum())
        after.append(energy[edge + 1 : edge + 1 + span].sum())
    fall_db = 10 * np.log10(np.array(before) / after).mean()
    assert fall_db == pytest.approx(60 * 0.02 / 0.5, abs=2.0)


def test_a_response_starts_with_the_direct_sound_and_has_no_rumble() -> None:
    size_m, source_m, microphone_m = places(ROOMS_M[0], 1)
    sound = response(size_m, source_m, microphone_m, 0.5, np.random.default_rng(0))
    distance_m = float(np.linalg.norm(source_m - microphone_m))
    assert sound[0] == pytest.approx(1 / distance_m, rel=0.02)
    assert sound.dtype == np.float32
    spectrum = np.abs(np.fft.rfft(sound, RATE_HZ))  # one bin is 1 Hz
    assert spectrum[:5].max() < 0.5 * spectrum[200:2000].mean()


def test_a_source_at_the_microphone_is_as_loud_as_one_near_it() -> None:
    size_m = np.array(ROOMS_M[0])
    sound = response(size_m, size_m / 3, size_m / 3, 0.3, np.random.default_rng(0))
    assert sound[0] == pytest.approx(10, rel=0.02)


def test_played_speech_stays_in_place_and_at_its_level() -> None:
    wave = 0.3 * voice(1.0)
    for seed in range(5):
        wet = shoebox(wave, np.random.default_rng(seed))
        assert np.sum(wet**2) == pytest.approx(np.sum(wave**2), rel=1e-3)
    click = np.eye(1, 4_000, 1_000, dtype=np.float32)[0] / 4
    wet = shoebox(click, np.random.default_rng(0))
    assert np.abs(wet[:1_000]).max() < 1e-6
    assert wet[1_000] > 0.01
    assert not shoebox(silence(0.1), np.random.default_rng(0)).any()


def test_rooms_differ_from_draw_to_draw() -> None:
    click = np.eye(1, 16_000, dtype=np.float32)[0] / 8
    short, long = (
        t60_by_schroeder(shoebox(click, np.random.default_rng(0), low_s=s, high_s=s))
        for s in (0.15, 0.6)
    )
    assert short == pytest.approx(0.15, rel=0.3)
    assert long == pytest.approx(0.6, rel=0.3)
