"""Test recordings in every format, written with PyAV and libsndfile; no ffmpeg binary is needed."""

import io
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

import av
import numpy as np
import soundfile

from unheard.types import FloatArray

# suffix: (FFmpeg container, encoder, rates tried; the first is the default)
LOSSY = {
    ".mp3": ("mp3", "libmp3lame"),
    ".m4a": ("ipod", "aac"),
    ".aac": ("adts", "aac"),
    ".ogg": ("ogg", "libopus"),
    ".opus": ("opus", "libopus"),
    ".webm": ("webm", "libopus"),
    ".mka": ("matroska", "aac"),
    ".mp4": ("mp4", "aac"),
    ".mov": ("mov", "aac"),
    ".3gp": ("3gp", "aac"),
    ".wma": ("asf", "wmav2"),
}
LOSSLESS = {
    ".wav": ("wav", "pcm_s16le"),
    ".w64": ("w64", "pcm_s16le"),
    ".flac": ("flac", "flac"),
    ".aiff": ("aiff", "pcm_s16be"),
    ".caf": ("caf", "pcm_s16be"),
    ".au": ("au", "pcm_s16be"),
    ".mkv": ("matroska", "pcm_s16le"),
}
FORMATS = LOSSY | LOSSLESS


def tone(duration_s: float = 1.0, rate_hz: int = 16_000, n_channels: int = 1) -> FloatArray:
    """A tone that rises from 300 Hz and swells, shape [C, T] float32: each instant is its own."""
    t = np.arange(round(duration_s * rate_hz)) / rate_hz
    swell = 0.3 + 0.2 * np.sin(2 * np.pi * 1.7 * t)
    wave = swell * np.sin(2 * np.pi * (300 * t + 200 * t**2 / max(duration_s, 0.1)))
    return np.tile(wave.astype(np.float32), (n_channels, 1))


def encoded(
    channels: FloatArray,
    suffix: str,
    rate_hz: int = 16_000,
    *,
    codec: str = "",
    options: dict[str, str] | None = None,
) -> bytes:
    """Encode float32 [C, T] as a file of the format that the suffix names."""
    container_name, encoder = FORMATS[suffix]
    file = io.BytesIO()
    with av.open(file, "w", format=container_name, options=options or {}) as container:
        stream = cast("av.AudioStream", container.add_stream(codec or encoder, rate=rate_hz))
        stream.layout = _layout(len(channels))
        if encoder == "wmav2":
            stream.bit_rate = 64_000  # its default is refused
        for frame in _frames(channels, rate_hz):
            container.mux(stream.encode(frame))
    return file.getvalue()


def video(duration_s: float, *, sound: FloatArray | None) -> bytes:
    """An mp4 with moving pictures, with a 48 kHz audio track [C, T] or without one."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        pictures = container.add_stream("mpeg4", rate=10)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        audio = None
        if sound is not None:
            audio = container.add_stream("aac", rate=48_000)
            audio.layout = _layout(len(sound))
        for index in range(round(duration_s * 10)):
            grey = np.full((48, 64, 3), 20 * index % 256, np.uint8)
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        container.mux(pictures.encode(None))
        if audio is not None and sound is not None:
            for frame in _frames(sound, 48_000):
                container.mux(audio.encode(frame))
    return file.getvalue()


def wav(channels: FloatArray, rate_hz: int = 16_000, subtype: str = "PCM_16") -> bytes:
    """Encode [C, T] as wav with libsndfile, without changing 16-bit, float or double samples."""
    file = io.BytesIO()
    soundfile.write(file, channels.T, rate_hz, format="WAV", subtype=subtype)
    return file.getvalue()


class _Pipe(io.RawIOBase):
    """A source that gives at most `n` bytes at a time and cannot go back, as standard input."""

    def __init__(self, data: bytes, n: int = 1000) -> None:
        self._data, self._n, self._at = data, n, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def readinto(self, buffer: Any) -> int:
        part = self._data[self._at : self._at + min(self._n, len(buffer))]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)


def pipe(data: bytes, n: int = 1000) -> BinaryIO:
    """Return such a source, which is as much of a file as recordings are read with."""
    return cast("BinaryIO", _Pipe(data, n))


def _layout(n_channels: int) -> str:
    return {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}[n_channels]


def _frames(channels: FloatArray, rate_hz: int) -> Iterator[av.AudioFrame | None]:
    for start in range(0, channels.shape[1], 1024):
        planes = np.ascontiguousarray(channels[:, start : start + 1024], np.float32)
        frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout=_layout(len(channels)))
        frame.sample_rate = rate_hz
        frame.pts = start
        yield frame
    yield None
