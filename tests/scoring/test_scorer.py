"""Does a scorer give one score, one decision and the right reasons?"""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_files import wav
from unheard import audio
from unheard.errors import AudioError, BundleError, RecipeError
from unheard.scoring.scorer import OPERATING_POINTS
from unheard.scoring.windowed import POOLING, pooled
from unheard.types import FloatArray
from voice import FakeBundle, FakeCard, level, scorer, silence, voice


def test_the_score_is_the_calibrated_pool_of_the_windows() -> None:
    speech = voice(3.2)
    verdict = scorer().samples(speech)
    cut = audio.windows(speech, window_s=1.0, hop_s=0.5)
    raw = level(cut.samples)
    assert verdict.score == pytest.approx(2.0 * raw.mean() + 0.5)
    assert [w.score for w in verdict.windows] == pytest.approx(list(2.0 * raw + 0.5))
    assert [w.start_s for w in verdict.windows] == pytest.approx(cut.starts_s)
    assert verdict.windows[-1].end_s == 3.2


def test_raw_is_the_score_before_calibration() -> None:
    speech = voice(3.2)
    plain = scorer()
    assert plain.samples(speech).score == pytest.approx(2.0 * plain.raw(speech) + 0.5)


def test_a_file_has_the_score_of_its_samples(tmp_path: Path) -> None:
    audio.write(tmp_path / "a.wav", voice(40))
    from_file = scorer().file(tmp_path / "a.wav")
    from_samples = scorer().samples(audio.read(tmp_path / "a.wav").samples)
    assert from_file.score == pytest.approx(from_samples.score)
    assert from_file.source == str(tmp_path / "a.wav")
    assert from_samples.source == "samples"


def test_encoded_bytes_are_scored_under_the_given_name() -> None:
    verdict = scorer().file(wav(voice(2)[None]), name="upload")
    assert verdict.source == "upload"
    assert verdict.score is not None


def test_windows_without_speech_are_neither_scored_nor_pooled() -> None:
    bundle = FakeBundle()
    with_gap = np.concatenate([voice(2), silence(4), voice(2)])
    verdict = scorer(bundle).samples(with_gap)
    silent = [window for window in verdict.windows if window.score is None]
    assert [w for w in silent if w.start_s >= 2 and w.end_s <= 6] == [
        w for w in verdict.windows if w.start_s >= 2 and w.end_s <= 6
    ]
    assert sum(bundle.batches) == len(verdict.windows) - len(silent)
    kept = [window.score for window in verdict.windows if window.score is not None]
    assert verdict.score == pytest.approx(np.mean(kept))


def test_pooled_always_gives_a_number() -> None:
    quiet = silence(2)
    got = pooled(level, quiet, window_s=1.0, hop_s=0.5, pooling="mean")
    assert got == pytest.approx(4 + math.log(1e-9))


def test_lowest_pooling_detects_a_spoofed_quarter() -> None:
    scores = np.array([5.0, 5, 5, 5, 5, 5, -3, -4])
    assert scores[POOLING["lowest"](scores)].mean() == -3.5
    assert scores[POOLING["lowest"](scores[:5])].mean() == 5.0
    assert scores[POOLING["mean"](scores)].mean() == 2.875


def test_the_bundle_states_the_pooling_rule() -> None:
    speech = np.concatenate([voice(4), voice(1, peak=0.05)])
    mean = scorer().samples(speech).score
    lowest = scorer(FakeBundle(card=FakeCard(pooling="lowest"))).samples(speech).score
    assert mean is not None
    assert lowest is not None
    assert lowest < mean - 0.5


def test_a_shorter_hop_gives_a_finer_timeline() -> None:
    assert len(scorer(hop_s=0.1).samples(voice(3)).windows) == 21
    assert len(scorer().samples(voice(3)).windows) == 5


@pytest.mark.parametrize(
    ("point", "thresholds"),
    [
        ("sure", (-1.0, 2.0)),
        ("balanced", (0.25, 0.25)),
        ("false_alarm_1pct", (-2.0, -2.0)),
        ("miss_1pct", (3.0, 3.0)),
    ],
)
def test_operating_points_give_their_thresholds(
    point: str, thresholds: tuple[float, float]
) -> None:
    assert scorer(operating_point=point).thresholds() == thresholds
    assert point in OPERATING_POINTS


def test_a_threshold_of_the_users_own_replaces_the_operating_point() -> None:
    speech = voice(2)
    score = scorer().samples(speech).score
    assert score is not None
    above = scorer(threshold=score + 0.1).samples(speech)
    at = scorer(threshold=score).samples(speech)
    assert (above.decision, at.decision) == ("spoof", "bonafide")
    assert at.operating_point == "threshold"


def test_the_prior_moves_the_probability_and_nothing_else() -> None:
    speech = voice(2)
    even, rare = scorer().samples(speech), scorer(spoof_prior=0.01).samples(speech)
    assert even.score == rare.score
    assert even.decision == rare.decision
    assert even.spoof_probability is not None
    assert rare.spoof_probability is not None
    odds = even.spoof_probability / (1 - even.spoof_probability) / 99
    assert rare.spoof_probability == pytest.approx(odds / (1 + odds))


def test_a_verdict_is_json_and_back() -> None:
    verdict = scorer().samples(voice(2)).to_dict()
    assert json.loads(json.dumps(verdict, allow_nan=False)) == verdict
    assert verdict["detector"] == {"name": "level", "version": "1", "sha256": "0" * 64}


def test_long_recordings_reach_the_detector_in_batches(tmp_path: Path) -> None:
    audio.write(tmp_path / "a.flac", voice(30))
    bundle = FakeBundle()
    scorer(bundle).file(tmp_path / "a.flac")
    assert max(bundle.batches) == 4
    assert sum(bundle.batches) == 59


def test_no_verdict_without_speech_and_the_detector_does_not_run() -> None:
    bundle = FakeBundle()
    verdict = scorer(bundle).samples(silence(3))
    assert (verdict.score, verdict.decision, verdict.spoof_probability) == (None, None, None)
    assert verdict.reason is not None
    assert "digital silence" in verdict.reason
    assert bundle.batches == []
    assert all(window.score is None for window in verdict.windows)


@pytest.mark.parametrize("n_samples", [0, 1, 3199])
def test_less_than_a_fifth_of_a_second_gets_no_verdict(n_samples: int) -> None:
    verdict = scorer(minimum_speech_s=0).samples(voice(1)[:n_samples])
    assert verdict.score is None
    assert verdict.reason is not None
    assert "give a longer recording" in verdict.reason


def test_less_speech_is_accepted_on_request() -> None:
    little = np.concatenate([voice(0.4), silence(2)])
    refused = scorer().samples(little)
    assert refused.reason is not None
    assert "accept less with --min-speech" in refused.reason
    assert scorer(minimum_speech_s=0.1).samples(little).score is not None


def test_scattered_speech_is_gathered_into_windows() -> None:
    scattered = np.concatenate([np.concatenate([silence(3), voice(0.4)]) for _ in range(6)])
    verdict = scorer().samples(scattered)
    assert verdict.score is not None
    assert all(window.speech_s > 0.3 for window in verdict.windows)
    assert verdict.windows[0].start_s == pytest.approx(3.0, abs=0.2)
    assert verdict.windows[-1].end_s == pytest.approx(20.4, abs=0.2)


@pytest.mark.parametrize("room", [0.0, 1e-3])
def test_added_pauses_hardly_move_a_score(room: float) -> None:
    def pause(duration_s: float) -> FloatArray:
        noise = np.random.default_rng(0).standard_normal(round(16_000 * duration_s))
        return (room * noise).astype(np.float32)

    words = [voice(1.5, seed=seed) for seed in range(6)]
    alone = scorer().samples(np.concatenate(words))
    for spoken in (
        np.concatenate([np.concatenate([word, pause(1.0)]) for word in words]),
        np.concatenate([pause(5.0), *words, pause(20.0)]),
    ):
        with_pauses = scorer().samples(spoken)
        assert alone.score is not None
        assert with_pauses.score == pytest.approx(alone.score, abs=0.5)  # 0.2 nats of this level
        assert all(window.speech_s > 0.3 for window in with_pauses.windows)


def tones(hz: tuple[float, ...], on_s: float, off_s: float, duration_s: float) -> FloatArray:
    """A signal with a cadence, as telephones give them; shape [T]."""
    time_s = np.arange(round(16_000 * duration_s)) / 16_000
    wave = sum(np.sin(2 * np.pi * one * time_s) for one in hz) / len(hz)
    return (0.3 * wave * (time_s % (on_s + off_s) < on_s)).astype(np.float32)


def keys() -> FloatArray:
    pairs = [(697.0, 1209.0), (770.0, 1336.0), (852.0, 1477.0), (941.0, 1336.0)] * 6
    return np.concatenate([tones(pair, 0.1, 0.1, 0.2) for pair in pairs])


SIGNALS = {
    "ringing": tones((440.0, 480.0), 2.0, 4.0, 12.0),
    "ringing elsewhere": tones((425.0,), 1.0, 4.0, 12.0),
    "busy": tones((480.0, 620.0), 0.5, 0.5, 20.0),
    "beep": tones((1000.0,), 0.5, 0.5, 5.0),
    "keys": keys(),
}


@pytest.mark.parametrize("name", SIGNALS)
def test_signal_tones_get_no_verdict_and_are_named(name: str) -> None:
    verdict = scorer().samples(SIGNALS[name])
    assert verdict.score is None
    assert verdict.reason is not None
    assert "only signal tones are heard" in verdict.reason


@pytest.mark.parametrize("name", SIGNALS)
def test_signal_tones_before_speech_are_not_scored(name: str) -> None:
    speech = voice(6)
    alone = scorer().samples(speech)
    after = scorer().samples(np.concatenate([SIGNALS[name], silence(0.5), speech]))
    assert alone.score is not None
    assert after.score == pytest.approx(alone.score, abs=0.8)
    assert any("signal tones" in warning for warning in after.warnings)
    assert not any("signal tones" in warning for warning in alone.warnings)


@pytest.mark.parametrize("rumble_hz", [0.0, 12.0])
def test_offset_and_rumble_change_neither_score_nor_reason(rumble_hz: float) -> None:
    speech = 0.3 * voice(6)
    time_s = np.arange(speech.size) / 16_000
    below = 0.05 * np.cos(2 * np.pi * rumble_hz * time_s)
    clean, dirty = scorer().samples(speech), scorer().samples((speech + below).astype(np.float32))
    assert dirty.reason is None
    assert dirty.speech_s == pytest.approx(clean.speech_s, abs=0.1)
    assert any("5.0% of full scale off zero" in line for line in dirty.warnings) == (not rumble_hz)
    if not rumble_hz:  # a detector gets rumble as it is
        assert dirty.score == pytest.approx(clean.score, abs=0.1)


@pytest.mark.parametrize("kind", ["noise", "tone"])
def test_steady_sounds_get_no_verdict(kind: str) -> None:
    time_s = np.arange(48_000) / 16_000
    noise = 0.1 * np.random.default_rng(0).standard_normal(48_000)
    sound = noise if kind == "noise" else 0.3 * np.sin(2 * np.pi * 440 * time_s)
    verdict = scorer().samples(sound.astype(np.float32))
    assert verdict.score is None
    assert verdict.reason is not None
    remedy = "in which the voice stands out" if kind == "noise" else "only signal tones"
    assert remedy in verdict.reason


def test_a_short_clip_is_marked_as_repeated() -> None:
    verdict = scorer().samples(voice(0.8))
    assert verdict.windows[0].end_s == 0.8
    assert any("repeated" in warning for warning in verdict.warnings)


def test_a_detector_that_gives_nan_is_refused() -> None:
    broken = FakeBundle(scores_of=lambda windows: np.full(len(windows), np.nan))
    with pytest.raises(BundleError, match="train it again, or use another"):
        scorer(broken).samples(voice(2))


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        ({"operating_point": "balance"}, "did you mean 'balanced'"),
        ({"threshold": math.nan}, "give a finite score"),
        ({"threshold": -math.inf}, "threshold is -inf; give a finite score"),
        ({"threshold": 1e10}, r"10000000000.0; give a finite score up to \+-1e6"),
        ({"spoof_prior": 0.0}, "above 0 and below 1"),
        ({"spoof_prior": 1.0}, "above 0 and below 1"),
        ({"hop_s": 1.5}, "at most the window"),
        ({"hop_s": 0.0}, "more than 0 s"),
        ({"minimum_speech_s": -1.0}, "0 s or more"),
        ({"minimum_speech_s": math.nan}, "0 s or more"),
        ({"minimum_speech_s": math.inf}, "inf s of speech asked for; give a finite time"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, Any], remedy: str) -> None:
    with pytest.raises(RecipeError, match=remedy):
        scorer(**settings)


def test_an_unknown_pooling_rule_is_refused_at_once() -> None:
    with pytest.raises(BundleError, match="did you mean 'mean'"):
        scorer(FakeBundle(card=FakeCard(pooling="meen")))
    with pytest.raises(RecipeError, match="did you mean 'mean'"):
        pooled(level, voice(1), window_s=1.0, hop_s=0.5, pooling="meen")


@pytest.mark.parametrize(
    ("samples", "remedy"),
    [
        (np.zeros((2, 16_000)), r"array of shape \[T\]"),
        (np.full(16_000, np.nan), "repair them"),
        (np.full(16_000, np.inf), "repair them"),
    ],
)
def test_arrays_that_are_no_recording_are_refused(samples: Any, remedy: str) -> None:
    with pytest.raises(AudioError, match=remedy):
        scorer().samples(samples)


def test_nothing_to_pool_is_refused() -> None:
    with pytest.raises(AudioError, match="give at least one"):
        pooled(level, np.zeros(0, np.float32), window_s=1.0, hop_s=0.5, pooling="mean")


def test_a_closed_stream_takes_nothing_more() -> None:
    stream = scorer().stream()
    stream.push(voice(1))
    stream.close()
    with pytest.raises(AudioError, match="make a new one"):
        stream.push(voice(1))
    with pytest.raises(AudioError, match="make a new one"):
        stream.close()


@pytest.mark.parametrize("is_first", [False, True])
@given(
    tones_hz=st.lists(st.floats(300, 1500), min_size=1, max_size=2),
    on_s=st.floats(0.3, 2.0),
    off_s=st.floats(0.2, 2.0),
    level_db=st.floats(-30, -6),
)
@settings(deadline=None, max_examples=12, derandomize=True)
def test_signal_tones_beside_speech_do_not_move_its_score(
    is_first: bool, tones_hz: list[float], on_s: float, off_s: float, level_db: float
) -> None:
    time_s = np.arange(12 * 16_000) / 16_000
    tone = sum(np.sin(2 * np.pi * hz * time_s) for hz in tones_hz) * 10 ** (level_db / 20)
    signal = (tone * (time_s % (on_s + off_s) < on_s) / len(tones_hz)).astype(np.float32)
    speech = voice(6)
    alone = scorer().samples(speech)
    parts = [signal, speech] if is_first else [speech, signal]
    beside = scorer().samples(np.concatenate(parts))
    assert alone.score is not None
    assert beside.score == pytest.approx(alone.score, abs=0.4)  # an edge may stay in a window
    assert any("are signal tones (ringing, busy, keys)" in warning for warning in beside.warnings)


def test_threads_change_no_row(tmp_path: Path) -> None:
    pieces = [voice(4.3, seed=seed) if seed % 3 else silence(1.7) for seed in range(8)]
    file = tmp_path / "long.wav"
    file.write_bytes(wav(np.concatenate(pieces)[None]))
    alone = scorer()
    verdict = alone.file(file)
    assert len(verdict.windows) > 20
    for n_threads in (2, 5):
        assert replace(alone, n_threads=n_threads).file(file) == verdict
