"""Is a stream the file, for any recording and any chunking?"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unheard.scoring.scorer import Scorer, Stream
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
