"""Is a stream the file, for any recording and any chunking?"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unheard.audio.activity import Gauge
from unheard.scoring.scorer import Scorer, Stream
from unheard.scoring.windowed import WindowTrack
from unheard.types import FloatArray
from voice import scorer, silence, voice

few = settings(max_examples=25, derandomize=True, deadline=None)
SPEECH = np.concatenate([voice(3), silence(1.7), voice(4, seed=1), silence(0.6)])


@few
@given(
    n=st.integers(0, SPEECH.size),
    sizes=st.lists(st.integers(0, 30_000), max_size=12),
)
def test_a_stream_gives_the_verdict_of_the_whole(n: int, sizes: list[int]) -> None:
    samples = SPEECH[:n]
    whole = scorer().samples(samples, name="one")
    stream = scorer().stream(name="one")
    new = [stream.push(part) for part in np.split(samples, np.cumsum(sizes).clip(0, n))]
    verdict = stream.close()
    came = [window for windows in new for window in windows]
    assert tuple(came) == verdict.windows[: len(came)]
    assert len(verdict.windows) - len(came) <= 2  # one may wait until it is known to be no tone
    # A window is scored alone or in a batch; sums over it may then differ in the last bits.
    for got, wanted in zip(verdict.windows, whole.windows, strict=True):
        assert (got.start_s, got.end_s, got.speech_s) == (
            wanted.start_s,
            wanted.end_s,
            wanted.speech_s,
        )
        assert got.score == pytest.approx(wanted.score, abs=1e-9)
    assert verdict.score == pytest.approx(whole.score, abs=1e-9)
    assert (verdict.decision, verdict.reason, verdict.warnings) == (
        whole.decision,
        whole.reason,
        whole.warnings,
    )


@few
@given(n=st.integers(1, SPEECH.size), gain=st.floats(0.2, 1.0))
def test_probability_and_decision_follow_the_score(n: int, gain: float) -> None:
    verdict = scorer().samples((gain * SPEECH[:n]).astype(np.float32))
    if verdict.score is None:
        assert verdict.reason
        assert verdict.decision is None
        assert verdict.spoof_probability is None
        return
    assert verdict.reason is None
    assert verdict.spoof_probability == pytest.approx(1 / (1 + np.exp(verdict.score)))
    low, high = verdict.thresholds
    assert (verdict.decision == "spoof") == (verdict.score < low)
    assert (verdict.decision == "bonafide") == (verdict.score >= high)


def held_s(stream: Stream) -> float:
    """Seconds of audio in every array that a stream can reach, through our own objects."""
    n_samples, waiting = 0, [stream]
    while waiting:
        for value in vars(waiting.pop()).values():
            if isinstance(value, np.ndarray) and value.dtype == np.float32 and value.ndim == 1:
                n_samples += value.size
            elif type(value).__module__.startswith("unheard.") and hasattr(value, "__dict__"):
                waiting += [] if isinstance(value, Scorer) else [value]
    return n_samples / 16_000


def test_a_stream_holds_at_most_two_windows_of_audio() -> None:
    stream = scorer().stream()
    for part in np.split(np.tile(SPEECH, 3), 40):
        stream.push(part)
        assert 0 < held_s(stream) <= 2.0


@pytest.mark.parametrize(
    ("judged", "scored"),
    [
        ("mxxm", "...."),  # all that the two in the middle hear is music
        ("mxxxm", ".xxx."),  # here some is not
        ("xmxmmxx", "x....xx"),
        ("xxm", "xx."),
        ("mx", ".x"),
    ],
)
@pytest.mark.parametrize("n_chunk", [700, 16_000, 10**6])
def test_windows_whose_sound_lies_in_music_are_left_out(
    judged: str, scored: str, n_chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = iter(judged)
    monkeypatch.setattr(Gauge, "speech_s", lambda *_: 1.0 if next(kinds) == "x" else 0.0)
    monkeypatch.setattr(Gauge, "is_music", lambda *_: True)

    def score_windows(windows: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        none = np.empty((len(windows), 0))
        return windows.mean(axis=1), none, none

    track = WindowTrack(score_windows, window_s=1.5, hop_s=0.5, gate_s=0.25)
    samples = voice(1.0 + 0.5 * len(judged))
    came = [track.push(samples[at : at + n_chunk]) for at in range(0, samples.size, n_chunk)]
    windows = [window for each in came for window in each] + track.close()[0]
    starts_s = [window.start_s for window in windows]
    assert starts_s == sorted(starts_s)
    assert "".join("." if window.score is None else "x" for window in windows) == scored
    assert [window.speech_s > 0 for window in windows] == [kind == "x" for kind in scored]
    assert track.scored().size == scored.count("x")


def test_windows_that_overlap_reach_the_detector_as_one_stretch() -> None:
    """By the strides it knows what they share, and computes that once."""
    came: list[FloatArray] = []

    def score_windows(windows: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        came.append(windows)
        none = np.empty((len(windows), 0))
        return windows.mean(axis=1), none, none

    WindowTrack(score_windows, window_s=1.5, hop_s=0.5, gate_s=0.25).push(voice(10.0))
    windows = max(came, key=len)
    assert len(windows) > 2
    assert windows.strides == (8_000 * 4, 4)
