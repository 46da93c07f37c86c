"""Do headerless samples become what the same samples in a file become?"""

import numpy as np
import pytest

from audio_files import encoded, tone, wav
from unheard import audio
from unheard.audio.pcm import PCM_FORMATS, PcmReader
from unheard.errors import AudioError
from voice import silence, voice

SUBTYPES = {kind: subtype for kind, (subtype, _) in PCM_FORMATS.items()}


def swapped(raw: bytes, kind: str) -> bytes:
    """Samples in the byte order of their kind; a wav has the other one."""
    n_bytes = PCM_FORMATS[kind][1]
    if not kind.endswith("be"):
        return raw
    return np.frombuffer(raw, np.uint8).reshape(-1, n_bytes)[:, ::-1].tobytes()


def body(data: bytes) -> bytes:
    """Samples of a wav file without its header."""
    start = data.index(b"data") + 8
    return data[start : start + int.from_bytes(data[start - 4 : start], "little")]


@pytest.mark.parametrize("kind", PCM_FORMATS)
@pytest.mark.parametrize(("rate_hz", "n_channels"), [(16_000, 1), (8_000, 1), (44_100, 2)])
def test_headerless_samples_are_those_of_a_file(kind: str, rate_hz: int, n_channels: int) -> None:
    channels = np.stack([voice(1.3, seed=seed) for seed in range(n_channels)])
    data = wav(channels, rate_hz=rate_hz, subtype=SUBTYPES[kind])
    reader, raw = PcmReader(kind, rate_hz, n_channels), swapped(body(data), kind)
    pieces = [reader.push(raw[start : start + 1_001]) for start in range(0, len(raw), 1_001)]
    got = np.concatenate([*pieces, reader.close()])
    wanted = audio.read(data).samples
    assert got.dtype == np.float32
    assert np.array_equal(got, wanted)


def test_bytes_of_half_a_sample_wait_for_the_rest() -> None:
    reader = PcmReader("s16le", n_channels=2)
    assert reader.push(b"\x00\x40\x00").size == 0
    assert reader.push(b"").size == 0
    assert [*reader.push(b"\x20\x01"), *reader.close()] == [0.375]


def test_samples_come_as_soon_as_the_resampler_has_them() -> None:
    reader, n_out = PcmReader("s16le", 48_000), 0
    for n_in in range(960, 96_000, 960):
        n_out += reader.push(bytes(2 * 960)).size
        assert n_in / 48_000 - n_out / 16_000 < 0.05


@pytest.mark.parametrize(
    ("kind", "rate_hz", "n_channels", "remedy"),
    [
        ("s16", 16_000, 1, "did you mean 's16le'"),
        ("s16le", 100, 1, "give a rate of 4000 to 384000 Hz"),
        ("s16le", 16_000, 0, "give 1 to 64 channels"),
    ],
)
def test_what_cannot_be_read_is_refused(
    kind: str, rate_hz: int, n_channels: int, remedy: str
) -> None:
    with pytest.raises(AudioError, match=remedy):
        PcmReader(kind, rate_hz, n_channels)


def test_floats_that_are_no_sound_are_refused() -> None:
    with pytest.raises(AudioError, match="finite samples are wanted"):
        PcmReader("f32le").push(np.array([np.nan], "<f4").tobytes())
    with pytest.raises(AudioError, match="divide them by their full scale"):
        PcmReader("f32le").push(np.array([20_000], "<f4").tobytes())


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".m4a", ".webm"])
def test_a_file_that_is_sent_as_samples_is_recognised_at_once(suffix: str) -> None:
    data = encoded(tone(1.0, 48_000), suffix, 48_000)
    reader = PcmReader()
    reader.push(data[:3])
    with pytest.raises(AudioError, match=r"begin as a file does.*; headerless samples are wanted"):
        reader.push(data[3:20])


@pytest.mark.parametrize(("kind", "better"), [("s16le", "s16be"), ("s24be", "s24le")])
def test_samples_that_fit_better_swapped_are_named(kind: str, better: str) -> None:
    subtype = SUBTYPES[kind]
    raw = body(wav(np.concatenate([silence(1), voice(1)])[None], subtype=subtype))
    other = swapped(raw, f"s{8 * PCM_FORMATS[kind][1]}be") if better.endswith("be") else raw
    with pytest.raises(AudioError, match=f"far more like sound as {better}; say that"):
        PcmReader(kind).push(other)
    PcmReader(better).push(other)
    noise = np.random.default_rng(0).integers(-9_000, 9_000, 16_000).astype("<i2")
    PcmReader("s16le").push(noise.tobytes())
