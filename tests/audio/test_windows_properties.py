"""What holds for every recording and every way it arrives?"""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_files import pipe, tone, wav
from unheard import audio

few = settings(max_examples=60, derandomize=True, deadline=None)
RATE_HZ = audio.SAMPLE_RATE_HZ


@few
@given(
    n=st.integers(0, 900),
    n_window=st.integers(1, 200),
    hop=st.floats(0.01, 1.0),
    sizes=st.lists(st.integers(0, 400), max_size=8),
)
def test_a_stream_is_cut_as_the_whole_is(
    n: int, n_window: int, hop: float, sizes: list[int]
) -> None:
    samples = np.arange(n, dtype=np.float32)
    window_s, hop_s = n_window / RATE_HZ, max(1, int(hop * n_window)) / RATE_HZ
    whole = audio.windows(samples, window_s=window_s, hop_s=hop_s)
    windower = audio.Windower(window_s, hop_s)
    parts = [windower.push(part) for part in np.split(samples, np.cumsum(sizes).clip(0, n))]
    parts.append(windower.close())
    for name in ("samples", "starts_s", "ends_s"):
        joined = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(joined, getattr(whole, name))
    assert parts[-1].repeated == whole.repeated


@few
@given(n=st.integers(1, 900), n_window=st.integers(1, 200), hop=st.floats(0.01, 1.0))
def test_windows_cover_every_sample_and_no_other(n: int, n_window: int, hop: float) -> None:
    samples = 1 + np.arange(n, dtype=np.float32)
    hop_s = max(1, int(hop * n_window)) / RATE_HZ
    cut = audio.windows(samples, window_s=n_window / RATE_HZ, hop_s=hop_s)
    assert set(cut.samples.ravel()) == set(samples)
    assert cut.samples.shape[1] == n_window
    assert (np.diff(cut.starts_s) > 0).all()
    assert cut.repeated == (n < n_window)


@settings(max_examples=25, derandomize=True, deadline=None)
@given(
    rate_hz=st.sampled_from([8_000, 11_025, 22_050, 44_100, 47_999, 48_000]),
    n_bytes=st.integers(1, 50_000),
    duration_s=st.floats(0.2, 2.5),
)
def test_a_pipe_gives_the_samples_of_the_file(
    rate_hz: int, n_bytes: int, duration_s: float
) -> None:
    data = wav(tone(duration_s, rate_hz), rate_hz)
    with audio.open_stream(pipe(data, max(n_bytes, 50))) as stream:
        chunks = list(stream)
    read = audio.read(data, minimum_s=0.0).samples
    np.testing.assert_array_equal(np.concatenate(chunks), read)


@settings(max_examples=25, derandomize=True, deadline=None)
@given(
    rate_hz=st.sampled_from([8_000, 16_000, 22_050, 44_100, 47_999]),
    start_s=st.floats(0.0, 2.0),
    length_s=st.floats(0.2, 2.0),
)
def test_a_part_is_a_slice_of_the_whole(rate_hz: int, start_s: float, length_s: float) -> None:
    data = wav(tone(3.0, rate_hz), rate_hz)
    whole = audio.read(data).samples
    part = audio.read(data, start_s=start_s, length_s=length_s).samples
    start = round(start_s * RATE_HZ)
    expected = whole[start : start + round(length_s * RATE_HZ)]
    np.testing.assert_allclose(part, expected, atol=1e-6)
