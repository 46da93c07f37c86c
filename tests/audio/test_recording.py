"""Does one recording give the same samples, whatever it is wrapped in and however it arrives?"""

import io
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import soundfile

from audio_files import FORMATS, LOSSLESS, encoded, pipe, tone, video, wav
from full_disk import room_for
from unheard import audio
from unheard.errors import AudioError
from unheard.files import OutputError
from unheard.types import FloatArray

RATE_HZ = audio.SAMPLE_RATE_HZ
CODEC_NAMES = {".mp3": "mp3", ".ogg": "opus", ".opus": "opus", ".webm": "opus"}


def streamed(source: audio.Source) -> FloatArray:
    with audio.open_stream(source) as stream:
        return np.concatenate(list(stream))


def lag(samples: FloatArray, truth: FloatArray) -> int:
    """Samples by which a recording is late against the truth."""
    window = np.lib.stride_tricks.sliding_window_view(samples[500:9500], 7000)
    return int(np.argmax(window @ truth[1500:8500])) - 1000


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_gives_the_tone_that_went_in(suffix: str) -> None:
    recording = audio.read(encoded(tone(1.0, 48_000, 2), suffix, 48_000))
    truth = tone(1.0)[0]
    late = lag(recording.samples, truth)
    # Neither of these says how long its encoder takes to start.
    assert late == 0 or suffix in {".aac", ".wma"}
    start = 1000 + max(late, 0)
    decoded = recording.samples[start : start + 13_000]
    expected = truth[start - late : start - late + 13_000]
    assert abs(decoded - expected).max() < (0.001 if suffix in LOSSLESS else 0.06)
    assert abs(recording.duration_s - 1) < 0.07
    assert recording.source_rate_hz == 48_000
    assert recording.n_channels == 2
    assert recording.n_bad_packets == 0
    assert recording.codec == CODEC_NAMES.get(suffix, FORMATS[suffix][1])
    assert recording.samples.dtype == np.float32
    assert suffix in audio.AUDIO_SUFFIXES


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_every_rate_becomes_16_khz(rate_hz: int) -> None:
    recording = audio.read(wav(tone(1.0, rate_hz), rate_hz))
    assert recording.samples.shape == (RATE_HZ,)
    assert recording.source_rate_hz == rate_hz
    inner = slice(500, -500)
    assert abs(recording.samples[inner] - tone(1.0)[0][inner]).max() < 1e-3


def test_what_16_khz_cannot_hold_is_removed_not_folded() -> None:
    t = np.arange(48_000) / 48_000
    high = 0.5 * np.sin(2 * np.pi * 9_000 * t, dtype=np.float64)
    samples = audio.read(wav(high[None], 48_000)).samples
    assert abs(samples[500:-500]).max() < 1e-3


@pytest.mark.parametrize("n_channels", [1, 2, 8, 64])
def test_channels_are_averaged(n_channels: int) -> None:
    channels = np.zeros((n_channels, 8_000))
    channels[::2] = 0.5
    recording = audio.read(wav(channels))
    np.testing.assert_allclose(recording.samples, channels.mean(axis=0), atol=1e-7)
    assert recording.n_channels == n_channels


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("n_channels", [1, 12])
def test_both_decoders_give_the_same_bits(subtype: str, n_channels: int) -> None:
    noise = np.random.default_rng(0).uniform(-1, 1, (n_channels, 8_000))
    data = wav(noise, 44_100, subtype)
    seeks, flows = audio.read(data, minimum_s=0), audio.read(pipe(data), minimum_s=0)
    np.testing.assert_array_equal(seeks.samples, flows.samples)
    assert seeks.codec == flows.codec


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("n_bytes", [100, 1 << 20])
def test_a_stream_equals_the_file(suffix: str, n_bytes: int, tmp_path: Path) -> None:
    data = encoded(tone(1.3, 48_000, 2), suffix, 48_000)
    path = tmp_path / f"clip{suffix}"
    path.write_bytes(data)
    read = audio.read(path).samples
    for source in (path, str(path), data, io.BytesIO(data)):
        np.testing.assert_array_equal(streamed(source), read)
    piped = streamed(pipe(data, n_bytes))
    if suffix == ".mp3":
        # FFmpeg learns only from a file that can seek how much padding an mp3 ends with.
        assert 0 <= len(piped) - len(read) < 0.1 * RATE_HZ
        piped, read = piped[: len(read) - 500], read[:-500]
    np.testing.assert_array_equal(piped, read)


def test_streams_come_in_small_chunks() -> None:
    with audio.open_stream(wav(tone(10, 44_100, 2), 44_100)) as stream:
        assert max(map(len, stream)) < 2 * RATE_HZ


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3", ".m4a"])
@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 48_000])
def test_a_part_is_cut_from_the_whole(suffix: str, rate_hz: int) -> None:
    data = encoded(tone(4, rate_hz), suffix, rate_hz)
    whole = audio.read(data).samples
    for start_s, length_s in [(0.0, 1.0), (0.03, 0.5), (1.2345, 2.0), (3.5, 9.0)]:
        part = audio.read(data, start_s=start_s, length_s=length_s).samples
        start = round(start_s * RATE_HZ)
        expected = whole[start : start + round(length_s * RATE_HZ)]
        np.testing.assert_allclose(part, expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["WAV", "FLAC"])
def test_a_part_of_a_long_file_costs_only_the_part(kind: str) -> None:
    file = Counting()
    with soundfile.SoundFile(file, "w", 16_000, 1, "PCM_16", format=kind) as sound:
        for seed in range(120):
            noise = np.random.default_rng(seed).integers(-9_000, 9_000, 16_000)
            sound.write(noise.astype(np.int16))
    size = len(file.getvalue())
    file.n_read = 0
    assert audio.read(file, start_s=77.7, length_s=2.0).duration_s == 2.0
    assert file.n_read < size / 4


class Counting(io.BytesIO):
    n_read = 0

    def read(self, n: int | None = -1) -> bytes:
        data = super().read(n)
        self.n_read += len(data)
        return data

    def readinto(self, buffer: object) -> int:
        n = super().readinto(buffer)  # type: ignore[arg-type]
        self.n_read += n
        return n


@pytest.mark.parametrize("make", [lambda data: data, pipe], ids=["file", "pipe"])
def test_the_sound_of_a_video_is_read(make: Callable[[bytes], bytes | BinaryIO]) -> None:
    recording = audio.read(make(video(1.0, sound=tone(1.0, 48_000, 2))))
    assert abs(recording.samples[1000:15_000] - tone(1.0)[0][1000:15_000]).max() < 0.04


def test_what_the_caller_opened_stays_open() -> None:
    file = io.BytesIO(wav(tone(1.0)))
    audio.read(file)
    assert not file.closed


def test_loud_float_samples_are_clipped_to_full_scale() -> None:
    samples = audio.read(wav(4 * tone(1.0), subtype="FLOAT")).samples
    np.testing.assert_array_equal(samples, np.clip(4 * tone(1.0)[0], -1, 1))


def test_silence_is_a_recording() -> None:
    assert not audio.read(wav(np.zeros((1, 8_000)))).samples.any()


def test_what_is_shorter_is_accepted_when_asked_for() -> None:
    assert len(audio.read(wav(tone(1.0)[:, :1]), minimum_s=0.0).samples) == 1


def test_a_wav_from_a_pipe_with_no_length_is_whole() -> None:
    data = wav(tone(1.0))
    at = data.index(b"data") + 4
    for size in (b"\xff\xff\xff\xff", b"\x00\xf0\xff\x7f"):
        unknown = data[:at] + size + data[at + 4 :]
        assert audio.read(unknown).duration_s == 1.0
        assert audio.read(pipe(unknown)).duration_s == 1.0


def test_damaged_flac_continues_after_the_damage() -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 160_000))
    file = io.BytesIO()
    soundfile.write(file, noise.T, 16_000, format="FLAC")
    whole = file.getvalue()
    middle = len(whole) * 3 // 4
    damaged = whole[:middle] + bytes(100) + whole[middle + 100 :]
    recording = audio.read(damaged)
    assert recording.n_bad_packets >= 1
    assert 9.0 < recording.duration_s < 10.0
    sound = audio.read(whole).samples
    np.testing.assert_array_equal(recording.samples[:112_000], sound[:112_000])
    np.testing.assert_array_equal(recording.samples[-32_000:], sound[-32_000:])


@pytest.mark.parametrize("suffix", [".mp3", ".m4a", ".ogg"])
def test_bad_packets_are_left_out_and_counted(suffix: str) -> None:
    data = bytearray(encoded(tone(4, 48_000), suffix, 48_000))
    middle = len(data) // 2
    data[middle : middle + 300] = np.random.default_rng(0).bytes(300)
    recording = audio.read(bytes(data))
    assert recording.n_bad_packets >= 1
    assert 2.5 < recording.duration_s < 4.1


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_what_is_written_is_read_back_to_the_bit(suffix: str, tmp_path: Path) -> None:
    levels = np.random.default_rng(0).integers(-32_768, 32_768, 16_000)
    path = tmp_path / "new" / f"clip{suffix}"
    audio.write(path, levels / 32_768)
    np.testing.assert_array_equal(audio.read(path).samples, np.float32(levels / 32_768))
    audio.write(path, np.array([2.0, -2.0, 1.0, -1.0]))
    expected = np.array([32_767, -32_768, 32_767, -32_768], np.float32) / 32_768
    np.testing.assert_array_equal(audio.read(path, minimum_s=0).samples, expected)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert soundfile.info(path).samplerate == RATE_HZ
    assert soundfile.info(path).subtype == "PCM_16"


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clip{suffix}"
    audio.write(path, tone(1.0)[0])
    before = path.read_bytes()
    with room_for(1_000), pytest.raises(OutputError, match=f"clip{suffix}: cannot be written"):
        audio.write(path, tone(2.0)[0])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "samples", "remedy"),
    [
        ("clip.mp3", np.zeros(9), "end in .flac or .wav"),
        ("clip.wav", np.zeros(0), "non-empty"),
        ("clip.wav", np.zeros((2, 9)), "one-dimensional"),
        ("clip.wav", np.array([np.nan]), "finite numbers is wanted"),
    ],
)
def test_unfit_samples_are_not_written(
    name: str, samples: FloatArray, remedy: str, tmp_path: Path
) -> None:
    with pytest.raises(AudioError, match=remedy):
        audio.write(tmp_path / name, samples)
    assert not list(tmp_path.iterdir())


def test_resampling_by_part_and_whole_is_the_same_resampling() -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 44_100).astype(np.float32)
    whole = audio.resample(noise, 44_100)
    assert whole.shape == (16_000,)
    np.testing.assert_array_equal(whole, audio.read(wav(noise[None], 44_100, "FLOAT")).samples)
    assert audio.resample(noise, 16_000, 8_000).shape == (22_050,)
    assert audio.resample(np.zeros(0), 44_100).shape == (0,)


def test_memory_of_a_stream_does_not_grow(tmp_path: Path) -> None:
    import tracemalloc

    paths = []
    for minutes in (1, 10):
        path = tmp_path / f"{minutes}.flac"
        with soundfile.SoundFile(path, "w", 16_000, 1) as sound:
            for _ in range(minutes):
                sound.write(np.zeros(60 * 16_000, np.int16))
        paths.append(path)
    peaks = []
    for path in paths:
        tracemalloc.start()
        with audio.open_stream(path) as stream:
            n_samples = sum(map(len, stream))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert n_samples == int(path.stem) * 60 * 16_000
    assert peaks[1] < 1.2 * peaks[0] < 4e6


def test_suffixes_are_lower_case_with_a_dot() -> None:
    assert all(s == s.lower() and s.startswith(".") for s in audio.AUDIO_SUFFIXES)
    assert set(itertools.chain(FORMATS)) <= audio.AUDIO_SUFFIXES
