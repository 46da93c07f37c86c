"""Do windows cover a recording exactly, with no padding and nothing missed?"""

import numpy as np
import pytest

from unheard.audio import Windower, windows
from unheard.errors import AudioError

T, HOP = 16_000, 8_000


def ramp(n: int) -> np.ndarray:
    return np.arange(n, dtype=np.float32)


@pytest.mark.parametrize(
    ("n", "starts"),
    [
        (T, [0]),
        (T + 1, [0, 1]),
        (T + HOP - 1, [0, HOP - 1]),
        (T + HOP, [0, HOP]),
        (T + HOP + 1, [0, HOP, HOP + 1]),
        (3 * T, [0, HOP, 2 * HOP, 3 * HOP, 4 * HOP]),
    ],
)
def test_the_last_window_ends_where_the_recording_ends(n: int, starts: list[int]) -> None:
    cut = windows(ramp(n), window_s=1.0, hop_s=0.5)
    np.testing.assert_array_equal(cut.samples, [ramp(n)[s : s + T] for s in starts])
    np.testing.assert_array_equal(cut.starts_s, np.array(starts) / 16_000)
    np.testing.assert_array_equal(cut.ends_s, (np.array(starts) + T) / 16_000)
    assert cut.ends_s[-1] == n / 16_000
    assert not cut.repeated
    assert cut.samples.dtype == np.float32


@pytest.mark.parametrize("n", [1, 2, 5_000, T - 1])
def test_a_short_clip_is_repeated_not_zero_padded(n: int) -> None:
    cut = windows(1 + ramp(n), window_s=1.0, hop_s=0.5)
    np.testing.assert_array_equal(cut.samples, np.resize(1 + ramp(n), (1, T)))
    assert cut.repeated
    assert cut.starts_s.tolist() == [0.0]
    assert cut.ends_s.tolist() == [n / 16_000]


def test_of_nothing_there_are_no_windows() -> None:
    cut = windows(ramp(0), window_s=1.0, hop_s=0.5)
    assert cut.samples.shape == (0, T)
    assert cut.starts_s.shape == cut.ends_s.shape == (0,)
    assert not cut.repeated


def test_windows_without_overlap_leave_nothing_out() -> None:
    cut = windows(ramp(2 * T + 10), window_s=1.0, hop_s=1.0)
    assert cut.starts_s.tolist() == [0.0, 1.0, (T + 10) / 16_000]


def test_a_window_is_given_as_soon_as_it_is_complete() -> None:
    windower = Windower(1.0, 0.5)
    assert len(windower.push(ramp(T - 1)).samples) == 0
    assert len(windower.push(ramp(1)).samples) == 1
    assert len(windower.push(ramp(HOP)).samples) == 1
    assert len(windower.close().samples) == 0


def test_an_hour_is_cut_holding_one_window() -> None:
    windower = Windower(1.0, 0.5)
    n_windows = 0
    for _ in range(3600):
        n_windows += len(windower.push(np.zeros(16_000, np.float32)).samples)
        assert windower._buffer.size <= T
        assert windower._buffer.base is None
    assert n_windows + len(windower.close().samples) == 7199


@pytest.mark.parametrize(("window_s", "hop_s"), [(1.0, 1.1), (1.0, 0.0), (0.0, 0.0), (1.0, -1.0)])
def test_windows_that_would_miss_audio_are_refused(window_s: float, hop_s: float) -> None:
    with pytest.raises(AudioError, match="a hop above 0 and at most one window is wanted"):
        windows(ramp(T), window_s=window_s, hop_s=hop_s)
