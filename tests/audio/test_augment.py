import itertools

import numpy as np
import pytest

from unheard.audio.augment import AUGMENTS, Augment, Step
from unheard.audio.codecs import CODECS
from unheard.errors import RecipeError
from unheard.types import FloatArray

RATE_HZ = 16_000


def speech_like(n: int = 12_000, seed: int = 0) -> FloatArray:
    rng = np.random.default_rng(seed)
    time_s = np.arange(n) / RATE_HZ
    wave = sum(np.sin(2 * np.pi * 130 * k * time_s + k) / k for k in range(1, 40))
    wave = wave * (1 + np.sin(2 * np.pi * 3 * time_s)) + 0.05 * rng.standard_normal(n)
    return (0.7 * wave / np.abs(wave).max()).astype(np.float32)


def band_db(wave: FloatArray, low_hz: float, high_hz: float) -> float:
    power = np.abs(np.fft.rfft(wave)) ** 2
    hz = np.fft.rfftfreq(len(wave), 1 / RATE_HZ)
    return float(10 * np.log10(power[(hz >= low_hz) & (hz < high_hz)].mean() + 1e-20))


WAVES = {
    "speech": speech_like(),
    "odd length": speech_like(9_999),
    "full scale": np.sign(speech_like()).astype(np.float32),
    "silence": np.zeros(8_000, np.float32),
    "one click": np.eye(1, 8_000, 4_000, dtype=np.float32)[0],
}


@pytest.mark.parametrize("name", AUGMENTS)
@pytest.mark.parametrize("kind", WAVES)
def test_transform_keeps_length_type_and_range(name: str, kind: str) -> None:
    wave = WAVES[kind]
    before = wave.copy()
    for seed in range(3):
        changed = AUGMENTS[name](wave, np.random.default_rng(seed))
        assert changed.shape == wave.shape
        assert changed.dtype == np.float32
        assert np.isfinite(changed).all()
        assert np.abs(changed).max() <= 1
    np.testing.assert_array_equal(wave, before)  # the clip may be cached


@pytest.mark.parametrize("name", AUGMENTS)
def test_same_generator_gives_same_wave_and_another_gives_another(name: str) -> None:
    wave = speech_like()
    first, again, *others = (
        AUGMENTS[name](wave, np.random.default_rng(seed)) for seed in (5, 5, 6, 7, 8)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, wave)
    if name != "polarity":
        assert any(not np.array_equal(first, other) for other in others)


def test_noise_has_the_ratio_that_was_asked_for() -> None:
    wave = speech_like() * np.float32(0.2)
    noisy = AUGMENTS["noise"](wave, np.random.default_rng(0), low_db=12, high_db=12)
    ratio = np.sum(wave**2) / np.sum((noisy - wave) ** 2)
    assert 10 * np.log10(ratio) == pytest.approx(12, abs=0.05)


def test_low_pass_removes_what_is_above_and_keeps_what_is_below() -> None:
    wave = np.random.default_rng(0).uniform(-0.3, 0.3, 16_000).astype(np.float32)
    low = AUGMENTS["low_pass"](wave, np.random.default_rng(0), low_hz=4000, high_hz=4000)
    assert band_db(low, 200, 3500) == pytest.approx(band_db(wave, 200, 3500), abs=0.5)
    assert band_db(low, 6000, 8000) < band_db(wave, 6000, 8000) - 25


def test_band_pass_keeps_what_lies_between_its_edges() -> None:
    wave = np.random.default_rng(0).uniform(-0.3, 0.3, 16_000).astype(np.float32)
    numbers = {"bottom_low_hz": 300, "bottom_high_hz": 300, "top_low_hz": 3400, "top_high_hz": 3400}
    telephone = AUGMENTS["band_pass"](wave, np.random.default_rng(0), **numbers)
    level_db = band_db(wave, 400, 3200)
    assert band_db(telephone, 400, 3200) == pytest.approx(level_db, abs=0.5)
    for low_hz, high_hz in ((20, 150), (5000, 8000)):
        assert band_db(telephone, low_hz, high_hz) < level_db - 30
    for low_hz, high_hz in ((295, 305), (3390, 3410)):
        assert band_db(telephone, low_hz, high_hz) == pytest.approx(level_db - 3, abs=2.5)


def test_resampling_loses_what_lies_above_half_the_rate_and_moves_nothing() -> None:
    wave = np.random.default_rng(0).uniform(-0.3, 0.3, 16_001).astype(np.float32)
    for rate_hz in (6_000, 7_999, 12_345):
        coarse = AUGMENTS["resampling"](
            wave, np.random.default_rng(0), low_hz=rate_hz, high_hz=rate_hz
        )
        lost = band_db(coarse, rate_hz / 2 + 50, 8000) - band_db(wave, rate_hz / 2 + 50, 8000)
        assert lost < -40
        kept_hz = 0.45 * rate_hz
        spectra = [np.fft.rfft(each)[: int(kept_hz)] for each in (wave, coarse)]
        error = np.abs(spectra[1] - spectra[0]) ** 2
        assert error.sum() < 0.01 * (np.abs(spectra[0]) ** 2).sum()  # in level and in phase


def test_codec_draws_any_codec_at_any_of_its_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    used = set()

    def round_trip(wave: FloatArray, name: str, *, kbps: float) -> FloatArray:
        used.add((name, kbps))
        return wave

    monkeypatch.setattr("unheard.audio.codecs.round_trip", round_trip)
    for seed in range(600):
        AUGMENTS["codec"](speech_like(10), np.random.default_rng(seed))
    assert used == {(name, kbps) for name, codec in CODECS.items() for kbps in codec.kbps}


def test_notch_removes_one_band_and_leaves_the_rest() -> None:
    wave = np.random.default_rng(0).uniform(-0.3, 0.3, 16_000).astype(np.float32)
    rng = np.random.default_rng(3)
    start_hz = (rng.uniform(1000, 1000), rng.uniform(0, 7000))[1]
    cut = AUGMENTS["notch"](wave, np.random.default_rng(3), low_hz=1000, high_hz=1000)
    assert band_db(cut, start_hz + 20, start_hz + 980) < band_db(wave, 0, 8000) - 60
    assert band_db(cut, 0, start_hz - 100) == pytest.approx(
        band_db(wave, 0, start_hz - 100), abs=0.01
    )


def test_room_rings_after_the_sound_has_ended() -> None:
    click = WAVES["one click"] * np.float32(0.5)
    wet = AUGMENTS["room"](click, np.random.default_rng(0), low_s=0.2, high_s=0.2)
    tail = wet[4_001:]
    early, late = np.sum(tail[:1600] ** 2), np.sum(tail[2400:] ** 2)
    assert early > 0
    assert late < early / 1000  # 60 dB in 0.2 s is 45 dB in 0.15 s
    assert np.sum(wet**2) == pytest.approx(np.sum(click**2), rel=1e-4)
    assert np.abs(wet[:4_000]).max() < 1e-6  # rounding of the transform


def test_clip_flattens_the_loudest_share() -> None:
    wave = speech_like()
    clipped = AUGMENTS["clip"](wave, np.random.default_rng(0), low_share=0.02, high_share=0.02)
    flat = np.abs(clipped) == np.abs(clipped).max()
    assert flat.mean() == pytest.approx(0.02, abs=0.002)
    np.testing.assert_array_equal(clipped[~flat], wave[~flat])


def test_mu_law_has_no_more_levels_than_its_bits() -> None:
    wave = speech_like()
    coded = AUGMENTS["mu_law"](wave, np.random.default_rng(0), low_bits=6, high_bits=6)
    assert 32 < len(np.unique(coded)) <= 64
    assert 10 * np.log10(np.sum(wave**2) / np.sum((coded - wave) ** 2)) > 20


def test_gain_is_in_range_and_never_clips() -> None:
    wave = speech_like()
    for seed in range(20):
        gained = AUGMENTS["gain"](wave, np.random.default_rng(seed), low_db=-9, high_db=20)
        ratio = gained[wave != 0] / wave[wave != 0]
        assert np.ptp(ratio) < 1e-4
        assert 10 ** (-9 / 20) - 1e-4 < ratio[0] <= 1 / np.abs(wave).max() + 1e-4


def test_steps_run_in_order_and_as_often_as_asked() -> None:
    wave = speech_like()
    assert Augment()(wave, np.random.default_rng(0)) is wave
    never = Augment((Step("noise", 0.0), Step("gain", 0.0)))
    np.testing.assert_array_equal(never(wave, np.random.default_rng(0)), wave)
    half = Augment((Step("polarity", 0.5),))
    rng = np.random.default_rng(0)
    flipped = sum(bool(np.array_equal(half(wave, rng), -wave)) for _ in range(200))
    assert 80 < flipped < 120
    loud = {"low_db": 6.0, "high_db": 6.0}
    quiet_then_clip = Augment((Step("gain", 1.0, {"low_db": -20, "high_db": -20}), Step("clip", 1)))
    clip_then_quiet = Augment((Step("clip", 1), Step("gain", 1.0, loud)))
    clipped_last = quiet_then_clip(wave, np.random.default_rng(0))
    clipped_first = clip_then_quiet(wave, np.random.default_rng(0))
    assert np.abs(clipped_last).max() < 0.1 < np.abs(clipped_first).max()


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (("noize",), "did you mean 'noise'"),
        (("noise", 0.5, {"low_dB": 3}), "did you mean 'low_db'"),
        (("noise", 1.5), r"give one in \[0, 1\]"),
    ],
)
def test_wrong_names_and_numbers_fail_at_once(arguments: tuple[str], remedy: str) -> None:
    with pytest.raises(RecipeError, match=remedy):
        Step(*arguments)


def test_offset_is_a_constant_of_either_sign() -> None:
    wave = speech_like() / 2
    steps = [AUGMENTS["offset"](wave, np.random.default_rng(seed)) - wave for seed in range(12)]
    for step in steps:
        assert np.ptp(step) < 1e-6
        assert 1e-5 <= abs(step.mean()) <= 1.1e-2
    assert {bool(step.mean() > 0) for step in steps} == {False, True}


def test_high_pass_removes_what_is_below_its_edge_alone() -> None:
    rng = np.random.default_rng(0)
    wave = (0.05 * rng.standard_normal(RATE_HZ * 2)).astype(np.float32)
    changed = AUGMENTS["high_pass"](wave, rng, low_hz=80.0, high_hz=90.0)
    assert band_db(changed, 1, 20) < band_db(wave, 1, 20) - 20
    assert abs(band_db(changed, 300, 8000) - band_db(wave, 300, 8000)) < 0.2


def test_equaliser_stays_within_its_gains() -> None:
    rng = np.random.default_rng(0)
    wave = (0.01 * rng.standard_normal(RATE_HZ)).astype(np.float32)
    changed = AUGMENTS["equaliser"](wave, rng, high_db=6.0)
    edges_hz = np.geomspace(60, 8000, 9)
    gains = [
        band_db(changed, low, high) - band_db(wave, low, high)
        for low, high in itertools.pairwise(edges_hz)
    ]
    assert max(map(abs, gains)) <= 6.1
    assert np.ptp(gains) > 2


def test_denoiser_lowers_noise_between_words_and_leaves_speech() -> None:
    rng = np.random.default_rng(0)
    wave = speech_like(2 * RATE_HZ) * (np.arange(2 * RATE_HZ) < RATE_HZ)
    noisy = (0.5 * wave + 0.003 * rng.standard_normal(wave.size)).astype(np.float32)
    changed = AUGMENTS["denoiser"](noisy, rng, low_db=15.0, high_db=20.0)
    level = [10 * np.log10(np.mean(np.square(part))) for part in (noisy[20_000:], changed[20_000:])]
    assert level[1] < level[0] - 8
    loud = slice(2_000, 14_000)
    error = np.mean(np.square(changed[loud] - noisy[loud])) / np.mean(np.square(noisy[loud]))
    assert error < 0.02


def test_codec_draws_no_lower_rates_than_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    from unheard.audio import codecs

    drawn: list[tuple[str, float]] = []

    def spy(wave: FloatArray, name: str, *, kbps: float) -> FloatArray:
        drawn.append((name, kbps))
        return wave

    monkeypatch.setattr(codecs, "round_trip", spy)
    rng = np.random.default_rng(0)
    for _ in range(60):
        AUGMENTS["codec"](speech_like(800), rng, low_kbps=24.0, low_rate_hz=16_000.0)
    assert {name for name, _ in drawn} == {"opus", "mp3", "aac", "vorbis", "g722"}
    assert min(kbps for _, kbps in drawn) >= 24
