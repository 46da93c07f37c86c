"""Is the high-pass filter that of Butterworth, and the same for any chunking?"""

import numpy as np
import pytest
from scipy.signal import butter, sosfilt, sosfilt_zi

from unheard.audio.rumble import HighPass


@pytest.mark.parametrize(("order", "edge_hz"), [(2, 80.0), (4, 40.0), (6, 300.0)])
def test_it_agrees_with_scipy_and_chunks_change_nothing(order: int, edge_hz: float) -> None:
    frames = 0.3 + 0.2 * np.random.default_rng(0).standard_normal((50, 320)).astype(np.float32)
    sections = butter(order, edge_hz, "highpass", fs=16_000, output="sos")
    state = sosfilt_zi(sections) * float(frames[0, 0])
    expected, _ = sosfilt(sections, frames.ravel().astype(np.float64), zi=state)
    whole = HighPass(order, edge_hz, 16_000).push(frames)
    np.testing.assert_allclose(whole.ravel(), expected, atol=1e-6)
    chunked = HighPass(order, edge_hz, 16_000)
    parts = [chunked.push(frames[at : at + 7]) for at in range(0, 50, 7)]
    assert np.array_equal(np.concatenate([chunked.push(frames[:0]), *parts]), whole)


def test_a_constant_gives_nothing_from_the_start() -> None:
    filtered = HighPass(4, 40.0, 16_000).push(np.full((3, 320), 0.7, np.float32))
    assert np.abs(filtered).max() < 1e-9
