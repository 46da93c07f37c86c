"""Are speech and the quality of a recording measured as documented?"""

import numpy as np
import pytest

from unheard import audio
from unheard.audio.activity import Gauge, Quality, is_music
from unheard.types import FloatArray
from voice import silence, voice


def measured(samples: FloatArray) -> Quality:
    gauge = Gauge()
    gauge.push(samples)
    return gauge.quality()


def test_voice_counts_and_silence_does_not() -> None:
    assert measured(voice(4)).speech_s > 2.5
    assert measured(silence(4)).speech_s == 0
    rng = np.random.default_rng(0)
    faint = (0.001 * rng.standard_normal(64_000)).astype(np.float32)
    assert measured(faint).speech_s < 0.2


def test_speech_is_found_where_it_is() -> None:
    gauge = Gauge()
    gauge.push(np.concatenate([silence(2), voice(2), silence(2)]))
    assert gauge.speech_s(0, 2) == 0
    assert gauge.speech_s(2, 4) > 1.2
    assert gauge.speech_s(4.3, 6) == 0
    assert gauge.speech_s(0, 6) == gauge.quality().speech_s
    assert gauge.quality().longest_pause_s == pytest.approx(2.0, abs=0.15)


@pytest.mark.parametrize("rate_hz", [8_000, 11_025])
def test_upsampled_recordings_show_the_bandwidth_they_had(rate_hz: int) -> None:
    narrow = audio.resample(audio.resample(voice(4), 16_000, rate_hz), rate_hz, 16_000)
    assert measured(narrow).bandwidth_hz == pytest.approx(rate_hz / 2, rel=0.08)
    assert measured(voice(4)).bandwidth_hz > 7_500


def test_level_spread_separates_voices_from_noise() -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(64_000)
    assert measured(voice(4)).level_spread_db > 3
    assert measured(noise.astype(np.float32)).level_spread_db < 1
    assert measured(silence(1)).level_spread_db == np.inf


def test_clipping_and_peak_are_measured() -> None:
    loud = np.clip(4 * voice(2), -1, 1)
    assert measured(loud).clipped_share == pytest.approx(np.mean(np.abs(loud) >= 0.99))
    assert 0.01 < measured(loud).clipped_share < 0.5
    assert measured(loud).peak == 1
    assert measured(voice(2)).clipped_share == 0
    assert measured(voice(2)).peak == pytest.approx(0.5)


def melody(duration_s: float, seed: int = 0, note_s: float = 0.4) -> FloatArray:
    """Chords that follow each other and ring on, as a piano's; shape [T] float32."""
    rng = np.random.default_rng(seed)
    n_note = round(note_s * 16_000)
    time_s = np.arange(4 * n_note) / 16_000
    wave = np.zeros(round(duration_s * 16_000) + 4 * n_note)
    for start in range(0, wave.size - time_s.size, n_note):
        for semitones in rng.choice(24, 3, replace=False):
            pitch_hz = 220 * 2 ** (semitones / 12)
            note = sum(np.sin(2 * np.pi * k * pitch_hz * time_s) / k for k in range(1, 8))
            wave[start : start + time_s.size] += note * np.exp(-2 * time_s)
    wave = wave[: round(duration_s * 16_000)]
    return (0.5 * wave / np.abs(wave).max()).astype(np.float32)


def test_held_tones_separate_music_from_voices() -> None:
    music, speech = measured(melody(8)), measured(voice(8))
    assert music.speech_s + music.music_s > 4, "the activity detector takes chords for speech"
    assert music.held_tones > 3 * speech.held_tones
    assert is_music(music.held_tones, music.level_spread_db)
    assert not is_music(speech.held_tones, speech.level_spread_db)


def test_tones_far_below_the_loudest_are_not_counted() -> None:
    time_s = np.arange(8 * 16_000) / 16_000
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * 4 * time_s)
    loud = 0.2 * swell * sum(np.sin(2 * np.pi * hz * time_s) for hz in (220.0, 440.0, 660.0))
    row = sum(np.sin(2 * np.pi * hz * time_s) for hz in np.arange(2000.0, 5000.0, 150.0))
    shares = [measured((loud + a * row).astype(np.float32)).held_tones for a in (0.0, 2e-5, 2e-3)]
    assert shares[0] > 0, "nothing is taken for speech, so nothing is measured"
    assert shares[1] == pytest.approx(shares[0], rel=0.05), "70 dB below the loudest and counted"
    assert shares[2] > 3 * shares[0]


def test_the_more_the_level_varies_the_more_held_tones_it_takes() -> None:
    assert is_music(0.05, 3.0)
    assert not is_music(0.05, 8.0)
    assert not is_music(0.0, np.inf)


def test_music_holds_no_speech_and_a_voice_after_it_does() -> None:
    gauge = Gauge()
    gauge.push(np.concatenate([melody(4), voice(4)]))
    assert gauge.active_s(0, 4) > 2
    assert gauge.speech_s(0, 4) == 0
    assert gauge.speech_s(4, 8) == gauge.active_s(4, 8) > 2
    whole = gauge.quality()
    assert whole.music_s == pytest.approx(gauge.active_s(0, 3.99))
    assert whole.speech_s + whole.music_s == pytest.approx(gauge.active_s(0, 8))


def test_short_windows_are_judged_by_the_four_seconds_before_their_end() -> None:
    gauge = Gauge()
    gauge.push(np.concatenate([melody(6), silence(1)]))
    assert gauge.active_s(5, 6) > 0.5
    assert gauge.speech_s(5, 6) == 0


def test_under_three_seconds_nothing_is_called_music() -> None:
    gauge = Gauge()
    gauge.push(melody(2.9))
    assert gauge.speech_s(0, 2.9) == gauge.active_s(0, 2.9) > 1
    assert gauge.quality().music_s == 0


@pytest.mark.parametrize("size", [1, 479, 480, 481, 16_000])
def test_chunks_do_not_matter(size: int) -> None:
    samples = voice(1.01)
    gauge = Gauge()
    for start in range(0, samples.size, size):
        gauge.push(samples[start : start + size])
    whole, parts = measured(samples), gauge.quality()
    assert parts.speech_s == whole.speech_s
    assert parts.bandwidth_hz == whole.bandwidth_hz
    assert parts.level_spread_db == pytest.approx(whole.level_spread_db, rel=1e-9)
    assert (parts.held_tones, parts.music_s) == (whole.held_tones, whole.music_s)
    assert (parts.peak, parts.duration_s) == (whole.peak, whole.duration_s)


def test_nothing_is_measured_of_nothing() -> None:
    assert measured(np.zeros(0, np.float32)) == Quality(0, 0, 0, 0, 0, 0, np.inf)


def test_offset_and_rumble_are_removed_before_anything_is_measured() -> None:
    speech = 0.3 * voice(4)
    time_s = np.arange(speech.size) / 16_000
    rumble = (0.05 * np.sin(2 * np.pi * 10 * time_s)).astype(np.float32)
    clean = measured(speech)
    for dirty in (measured(speech + np.float32(0.05)), measured(speech + rumble)):
        assert dirty.speech_s == pytest.approx(clean.speech_s, abs=0.1)
        assert dirty.level_spread_db == pytest.approx(clean.level_spread_db, abs=0.5)
        assert dirty.held_tones == pytest.approx(clean.held_tones, abs=0.01)
    assert measured(speech + np.float32(0.05)).offset == pytest.approx(0.05, abs=1e-3)
    assert abs(clean.offset) < 1e-3


def test_faint_noise_after_speech_is_no_speech() -> None:
    noise = (1e-3 * np.random.default_rng(0).standard_normal(80_000)).astype(np.float32)
    gauge = Gauge()
    gauge.push(np.concatenate([voice(2), noise]))
    assert gauge.speech_s(0, 2) > 1.5
    assert gauge.speech_s(2.1, 7) == 0


@pytest.mark.parametrize("snr_db", [np.inf, 20.0])
def test_signal_tones_are_told_from_voices(snr_db: float) -> None:
    time_s = np.arange(12 * 16_000) / 16_000
    rng = np.random.default_rng(0)
    for hz, on_s, off_s in [((440, 480), 2.0, 4.0), ((480, 620), 0.5, 0.5), ((425,), 1.0, 4.0)]:
        wave = sum(np.sin(2 * np.pi * pitch * time_s) for pitch in hz)
        wave = wave * (time_s % (on_s + off_s) < on_s)
        noise = 10 ** (-snr_db / 20) * rng.standard_normal(time_s.size)
        quality = measured((0.1 * (wave + noise)).astype(np.float32))
        assert quality.signals_s > 1.5
        assert quality.speech_s < (0.3 if snr_db > 30 else 4)
    for seed in range(4):
        assert measured(voice(12, seed=seed)).signals_s == 0
