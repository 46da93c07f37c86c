"""Is a live verdict the same for any chunking?"""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unheard.audio.pcm import PcmReader
from unheard.scoring.live import EarlyDecision, LiveVerdict
from voice import scorer, silence, voice

few = settings(max_examples=20, derandomize=True, deadline=None)
SPEECH = np.concatenate([voice(3, peak=0.9), silence(1.3), voice(3, seed=1), silence(0.4)])
RULE = EarlyDecision(error=0.3, first_speech_s=1, assumed_spread=0.3)


@few
@given(n=st.integers(0, SPEECH.size), sizes=st.lists(st.integers(0, 40_000), max_size=10))
def test_updates_do_not_depend_on_chunks(n: int, sizes: list[int]) -> None:
    samples = SPEECH[:n]
    at_once, in_parts = LiveVerdict(scorer(), RULE), LiveVerdict(scorer(), RULE)
    whole = at_once.push(samples)
    parts = np.split(samples, np.cumsum(sizes).clip(0, n))
    assert tuple(update for part in parts for update in in_parts.push(part)) == whole
    assert in_parts.close() == at_once.close()


@few
@given(
    rate_hz=st.sampled_from([8_000, 11_025, 16_000, 48_000]),
    sizes=st.lists(st.integers(0, 9_000), max_size=10),
)
def test_headerless_samples_do_not_depend_on_chunks(rate_hz: int, sizes: list[int]) -> None:
    data = np.round(SPEECH[:30_000] * 32767).astype("<i2").tobytes()
    cuts = [0, *np.cumsum(sizes).clip(0, len(data)).tolist(), len(data)]
    parts = [data[start:end] for start, end in pairwise(cuts)]
    at_once, in_parts = PcmReader("s16le", rate_hz), PcmReader("s16le", rate_hz)
    whole = np.concatenate([at_once.push(data), at_once.close()])
    pieces = np.concatenate([*map(in_parts.push, parts), in_parts.close()])
    assert np.array_equal(pieces, whole)
    assert whole.size == pytest.approx(15_000 * 2 * 16_000 / rate_hz, abs=1)
