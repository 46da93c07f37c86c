"""Is a spectrogram the same for any chunking, true to the sound, and of one size for any length?"""

import io
from pathlib import Path

import numpy as np
import pytest

from audio_files import wav
from unheard.errors import AudioError
from unheard.scoring.spectrogram import SmallSpectrogram, read_spectrogram
from voice import RATE_HZ, voice


def pushed(samples: np.ndarray, n_chunk: int) -> SmallSpectrogram:
    spectrogram = SmallSpectrogram()
    for start in range(0, samples.size, n_chunk):
        spectrogram.push(samples[start : start + n_chunk])
    return spectrogram


@pytest.mark.parametrize("n_chunk", [1, 100, 255, 257, 7_777, 10**6])
def test_any_chunking_gives_the_same_spectrogram(n_chunk: int) -> None:
    rng = np.random.default_rng(0)
    duration_s = 1.3 if n_chunk == 1 else 40
    samples = rng.standard_normal(round(duration_s * RATE_HZ)).astype(np.float32)
    whole, chunked = SmallSpectrogram(), pushed(samples, n_chunk)
    whole.push(samples)
    np.testing.assert_array_equal(chunked.envelope(), whole.envelope())
    np.testing.assert_array_equal(chunked.levels(), whole.levels())


def test_columns_stay_few_and_cover_the_recording() -> None:
    for duration_s in (1, 16.384, 16.4, 33, 100):
        spectrogram = pushed(np.ones(round(duration_s * RATE_HZ), np.float32), 8_000)
        n_columns = spectrogram.envelope()[0].size
        assert n_columns <= 1024
        assert n_columns * spectrogram.column_s == pytest.approx(
            duration_s, abs=spectrogram.column_s
        )
        assert spectrogram.duration_s == pytest.approx(duration_s)


def test_a_click_is_seen_where_it_is_however_long_the_recording() -> None:
    samples = np.zeros(60 * RATE_HZ, np.float32)
    samples[45 * RATE_HZ] = -0.5
    low, high = (spectrogram := pushed(samples, 5_000)).envelope()
    assert low.argmin() == int(45 / spectrogram.column_s)
    assert (low.min(), high.max()) == (-0.5, 0)


@pytest.mark.parametrize("duration_s", [2, 60])
def test_a_tone_is_loudest_in_its_row(duration_s: float) -> None:
    time_s = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    levels = pushed(np.sin(2 * np.pi * 2_000 * time_s).astype(np.float32), 4_000).levels()
    n_rows = len(levels)
    loudest = n_rows - 1 - levels.argmax(axis=0)  # row 0 from below is 62.5 Hz
    assert set((loudest + 1) * 62.5) == {2_000.0}
    assert levels.max() == 255
    assert levels[0].max() == 0


def test_the_image_is_a_png_of_the_levels() -> None:
    from PIL import Image

    spectrogram = pushed(voice(3), 4_000)
    with Image.open(io.BytesIO(spectrogram.png())) as image:
        pixels = np.asarray(image)
    np.testing.assert_array_equal(pixels, 255 - spectrogram.levels() // 8 * 8)


def test_a_file_has_the_spectrogram_of_its_samples(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(voice(2)[None]))
    n_columns = read_spectrogram(path).envelope()[0].size
    assert n_columns == 125
    with pytest.raises(AudioError, match="check the path"):
        read_spectrogram(tmp_path / "missing.wav")


def test_less_than_a_column_is_no_column() -> None:
    spectrogram = pushed(voice(0.01), 100)
    assert spectrogram.envelope()[0].size == 0
    assert spectrogram.levels().shape == (128, 0)
