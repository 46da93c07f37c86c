"""Does each condition do to a recording what its name says?"""

import pickle
from functools import partial
from typing import Any

import numpy as np
import pytest

from unheard.audio import codecs
from unheard.audio.conditions import (
    CONDITIONS,
    RAW,
    Condition,
    level,
    loudspeaker,
    named_conditions,
)
from unheard.errors import RecipeError
from unheard.types import FloatArray
from voice import silence, voice

RATE_HZ = 16_000
VOICE = voice(3.0)


def under(name: str, wave: FloatArray = VOICE, clip: str = "clip") -> FloatArray:
    return CONDITIONS[name](wave, clip)


def band_db(wave: FloatArray, low_hz: float, high_hz: float) -> float:
    power = np.abs(np.fft.rfft(wave)) ** 2
    at_hz = np.fft.rfftfreq(wave.size, 1 / RATE_HZ)
    inside = (at_hz >= low_hz) & (at_hz < high_hz)
    return float(10 * np.log10(power[inside].sum() + 1e-12))


def hiss(seed: int = 0) -> FloatArray:
    return np.asarray(0.05 * np.random.default_rng(seed).standard_normal(48_000), np.float32)


def tone(hz: float, peak: float = 0.5) -> FloatArray:
    return np.asarray(peak * np.sin(2 * np.pi * hz * np.arange(48_000) / RATE_HZ), np.float32)


def test_raw_is_the_wave_itself() -> None:
    assert under(RAW) is VOICE


@pytest.mark.parametrize(
    ("name", "factor"), [("gain_down_20", 0.1), ("gain_down_10", 10**-0.5), ("gain_up_6", 1.9953)]
)
def test_gain_moves_the_level_and_cuts_off_only_at_full_scale(name: str, factor: float) -> None:
    wave = tone(200, 0.8)
    expected = np.clip(wave * factor, -1, 1)
    np.testing.assert_allclose(under(name, wave), expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "kept_hz", "lost_hz"),
    [
        ("low_pass_4k", (100, 3500), (5500, 7900)),
        ("telephone", (450, 3000), (4500, 7900)),
        ("telephone", (450, 3000), (20, 150)),
    ],
)
def test_bands_are_kept_and_lost(
    name: str, kept_hz: tuple[float, float], lost_hz: tuple[float, float]
) -> None:
    wave = hiss()
    assert band_db(under(name, wave), *kept_hz) == pytest.approx(band_db(wave, *kept_hz), abs=1)
    assert band_db(under(name, wave), *lost_hz) < band_db(wave, *lost_hz) - 15


@pytest.mark.parametrize("name", [name for name in CONDITIONS if CONDITIONS[name].group in
                                  ("mp3", "opus")])  # fmt: skip
def test_codecs_are_the_codec_of_their_name_at_the_rate_of_their_name(name: str) -> None:
    codec, kbps = name.split("_")
    np.testing.assert_array_equal(
        under(name), codecs.round_trip(VOICE, codec, kbps=float(kbps)), strict=True
    )


def test_mu_law_is_louder_noise_where_the_voice_is_louder() -> None:
    wave = np.concatenate([tone(200, 0.5), tone(200, 0.01)])
    error = under("mu_law", wave) - wave
    loud, soft = (np.sqrt(np.mean(half**2)) for half in np.split(error, 2))
    assert 0 < soft < loud / 10
    assert 30 < 20 * np.log10(np.sqrt(np.mean(wave[:48_000] ** 2)) / loud) < 45


def test_the_same_noise_comes_at_three_levels() -> None:
    added = {snr_db: under(f"noise_{snr_db}") - VOICE for snr_db in (30, 20, 10)}
    for snr_db, noise in added.items():
        ratio_db = 10 * np.log10(np.mean(VOICE**2) / np.mean(noise**2))
        assert ratio_db == pytest.approx(snr_db, abs=0.05)
    np.testing.assert_allclose(added[20] * 10**0.5, added[10], atol=1e-5)


def test_a_large_room_rings_longer_than_a_small_one() -> None:
    wave = np.concatenate([hiss(), silence(1.0)])
    for clip in "abc":
        small, large = (under(f"room_{size}", wave, clip)[52_800:] for size in ("small", "large"))
        assert np.mean(large**2) > 10 * np.mean(small**2)  # 0.3 s after the sound ended


def test_trimming_keeps_the_first_speech_and_silence_goes_from_both_ends_only() -> None:
    wave = np.concatenate([silence(0.7), voice(1.2), silence(1.0), voice(2.0, 1), silence(0.5)])
    whole = under("trim_silence", wave)
    assert 4.0 < whole.size / RATE_HZ < 4.5  # the pause of a second is inside
    first = int(np.flatnonzero((wave[: whole.size * 2])[11_000:])[0]) + 11_000
    start = next(n for n in range(first - 960, first + 4_800) if np.array_equal(
        wave[n : n + whole.size], whole))  # fmt: skip
    for seconds in (1, 2):
        trimmed = under(f"trim_{seconds}s", wave)
        np.testing.assert_array_equal(trimmed, wave[start : start + trimmed.size])
    assert 1.0 <= under("trim_1s", wave).size / RATE_HZ < 1.7
    assert 2.7 < under("trim_2s", wave).size / RATE_HZ < 3.3  # the pause does not count


def test_what_has_less_speech_keeps_all_of_it_and_noise_is_left_alone() -> None:
    wave = np.concatenate([silence(0.5), voice(0.6), silence(0.5)])
    np.testing.assert_array_equal(under("trim_2s", wave), under("trim_silence", wave))
    quiet = np.concatenate([np.full(16_000, 1e-3, np.float32), tone(50, 1e-3)])
    np.testing.assert_array_equal(under("trim_1s", quiet), quiet)


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_speed_moves_length_and_pitch_together(factor: float) -> None:
    changed = under(f"speed_{factor}", tone(1000))
    assert changed.size == round(48_000 / factor)
    peak_hz = np.argmax(np.abs(np.fft.rfft(changed))) * RATE_HZ / changed.size
    assert peak_hz == pytest.approx(1000 * factor, abs=1)


def test_processed_clips_differ_and_about_a_quarter_are_resampled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    met: list[str] = []

    def pass_on(wave: FloatArray, rng: Any, name: str) -> FloatArray:
        met.append(name)
        return wave

    for name in ("codec", "resampling"):
        monkeypatch.setattr(f"unheard.audio.conditions.{name}", partial(pass_on, name=name))
    for index in range(400):
        under("processed", hiss()[:100], f"clip{index}")
    assert len(met) == 400
    assert 70 < met.count("resampling") < 130


def test_a_loudspeaker_has_a_band_and_gives_harmonics_at_any_level() -> None:
    third_harmonics_db = []
    for peak in (0.5, 0.005):
        played = loudspeaker(tone(1000, peak), np.random.default_rng(1))
        first, second, third = (band_db(played, at - 20, at + 20) for at in (1e3, 2e3, 3e3))
        assert 5 < first - third < 45
        assert second > band_db(played, 2400, 2600) + 20
        third_harmonics_db.append(first - third)
        assert np.mean(played**2) == pytest.approx(peak**2 / 2, rel=0.15)
    assert third_harmonics_db[0] == pytest.approx(third_harmonics_db[1], abs=0.1)
    flat = loudspeaker(hiss(), np.random.default_rng(1))
    for lost_hz in ((0, 40), (7700, 8000)):
        assert band_db(flat, *lost_hz) < band_db(hiss(), *lost_hz) - 10


def test_laundered_clips_are_played_in_a_room_and_recorded_with_noise() -> None:
    steps = [step.func.__name__ for step in CONDITIONS["laundered"].steps]
    assert steps == ["loudspeaker", "shoebox", "noise"]
    wave = np.concatenate([hiss(), silence(1.0)])
    powers = []
    for clip in "abcdef":
        changed = under("laundered", wave, clip)
        parts = changed[:48_000], changed[48_500:50_500], changed[-3_000:]
        powers.append([float(np.mean(part**2)) for part in parts])
        played, tail, floor = powers[-1]
        assert 12 < 10 * np.log10(played / floor) < 35
    _, tail, floor = np.sum(powers, axis=0)
    assert tail > 4 * floor


def test_clips_draw_for_themselves_and_only_by_their_id() -> None:
    for name in ("laundered", "noise_20", "room_small"):
        assert not np.array_equal(under(name, clip="a"), under(name, clip="b"))
    np.testing.assert_array_equal(under("gain_up_6", clip="a"), under("gain_up_6", clip="b"))


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_condition_reaches_other_processes_whole(name: str) -> None:
    change = pickle.loads(pickle.dumps(partial(CONDITIONS[name], clip_id="clip")))  # noqa: S301
    np.testing.assert_array_equal(change(VOICE), under(name))


def test_other_numbers_make_another_condition() -> None:
    texts = {condition.as_text() for condition in CONDITIONS.values()}
    assert len(texts) == len(CONDITIONS) == 30
    one_db, two_db = (Condition("x", "gain", "", (partial(level, gain_db=db),)) for db in (1, 2))
    assert one_db.as_text() != two_db.as_text()


@pytest.mark.parametrize(
    ("names", "conditions"),
    [
        ("raw", ("raw",)),
        ("mp3_16", ("raw", "mp3_16")),
        ("safe", ("raw", "processed", "laundered")),
        ("speed, telephone", ("raw", "telephone", "speed_0.9", "speed_1.1")),
        ("all", tuple(CONDITIONS)),
        ("grid", tuple(name for name in CONDITIONS if name not in ("processed", "laundered"))),
    ],
)
def test_lists_may_name_conditions_and_groups_and_always_include_raw(
    names: str, conditions: tuple[str, ...]
) -> None:
    assert named_conditions(names) == conditions


@pytest.mark.parametrize("names", ["mp3_61", "safe,mp3_61", ""])
def test_a_wrong_name_is_refused_with_the_nearest_right_one(names: str) -> None:
    with pytest.raises(RecipeError, match="did you mean 'mp3_(64|16)'" if names else "known: all"):
        named_conditions(names)


def test_conditions_are_listed_under_their_names() -> None:
    assert all(name == condition.name for name, condition in CONDITIONS.items())
    assert next(iter(CONDITIONS)) == RAW
