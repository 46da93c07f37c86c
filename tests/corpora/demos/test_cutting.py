"""The cut rule, by hand-made recordings whose loudest stretch is known."""

import io

import numpy as np
import pytest
import soundfile

from unheard.corpora.demos.cutting import cut, decode
from unheard.errors import AudioError
from unheard.types import FloatArray

RATE = 16_000


def ramp(seconds: float) -> FloatArray:
    return np.full(round(seconds * RATE), 0.01, np.float32)


def loud(samples: FloatArray, start_s: float, end_s: float) -> FloatArray:
    samples[round(start_s * RATE) : round(end_s * RATE)] = 0.5
    return samples


def marked(samples: FloatArray) -> FloatArray:
    """Number the samples in their last digits, so that a cut tells where it was made."""
    numbered: FloatArray = samples + np.arange(samples.size, dtype=np.float32) * np.float32(2**-22)
    return numbered


def start_of(piece: FloatArray, whole: FloatArray) -> float:
    places = [s for s in range(whole.size - piece.size + 1) if whole[s] == piece[0]]
    return next(s for s in places if np.array_equal(whole[s : s + piece.size], piece)) / RATE


@pytest.mark.parametrize(
    ("length_s", "stretch", "start_s"),
    [
        pytest.param(8.0, (3.5, 6.5), 3.5, id="on the grid"),
        pytest.param(8.0, (3.7, 6.7), 3.5, id="beside the grid"),
        pytest.param(12.0, (11.0, 12.0), 7.0, id="under 20 s, the first 10 s alone"),
        pytest.param(20.0, (14.0, 15.0), 12.0, id="from 20 s on, seconds 5 to 15"),
        pytest.param(3.25, (3.0, 3.25), 0.25, id="the last place is moved back to the end"),
        pytest.param(3.25, (0.1, 0.4), 0.0, id="where the last place is judged without its start"),
    ],
)
def test_the_window_of_most_energy_is_kept(
    length_s: float, stretch: tuple[float, float], start_s: float
) -> None:
    whole = marked(loud(ramp(length_s), *stretch))
    piece = cut(whole, 3.0)
    assert piece.size == 3 * RATE
    assert start_of(piece, whole) == start_s


def test_what_is_shorter_than_the_window_stays_whole() -> None:
    whole = ramp(2.9)
    assert np.array_equal(cut(whole, 3.0), whole)


def encoded(samples: FloatArray, rate_hz: int = RATE, **how: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, **how)
    return file.getvalue()


def test_channels_are_averaged_and_the_rate_is_kept() -> None:
    stereo = np.stack([np.full(44_100, 0.5), np.full(44_100, 0.1)], axis=1)
    decoded = decode(encoded(stereo, 44_100, format="WAV", subtype="FLOAT"), "x")
    assert decoded.rate_hz == 44_100
    assert decoded.samples.size == RATE
    np.testing.assert_allclose(decoded.samples[4000:12000], 0.3, atol=1e-3)


@pytest.mark.parametrize("kind", ["MP3", "OGG"])
def test_lossy_formats_are_decoded(kind: str) -> None:
    tone = 0.3 * np.sin(np.arange(2 * RATE) * 0.2)
    decoded = decode(encoded(tone, format=kind), "x")
    assert abs(decoded.samples.size / RATE - 2.0) < 0.1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(encoded(ramp(0.7), format="WAV"), "0.70 s long", id="short"),
        pytest.param(encoded(np.zeros(RATE), format="WAV"), "silent", id="silent"),
        pytest.param(
            encoded(np.full(RATE, np.nan), format="WAV", subtype="FLOAT"), "no audio levels",
            id="not numbers",
        ),
        pytest.param(b"version https://git-lfs.github.com/spec/v1\n", "Git LFS", id="pointer"),
        pytest.param(b"", "empty", id="empty"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_clip_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(AudioError, match=reason):
        decode(content, "page/file.wav")
