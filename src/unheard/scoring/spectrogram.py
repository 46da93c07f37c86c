"""What a recording looks like, small enough to keep: its waveform and its spectrogram.

A `SmallSpectrogram` is fed any chunks and holds the same memory for seconds and for days: when its
columns are full, each two become one.

K frequency bins, C columns, T samples at 16 kHz.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np

from unheard.audio import SAMPLE_RATE_HZ, Source, open_stream
from unheard.types import FloatArray, IntArray

__all__ = ["SmallSpectrogram", "read_spectrogram"]

_FRAME = 256
_MOST_COLUMNS = 1024
_RANGE_DB = 70.0
_FLOOR = 1e-12


class SmallSpectrogram:
    """Lowest and highest sample and mean spectrum of each stretch of a recording."""

    def __init__(self) -> None:
        self._low = np.zeros(_MOST_COLUMNS, np.float32)
        self._high = np.zeros(_MOST_COLUMNS, np.float32)
        self._power = np.zeros((_MOST_COLUMNS, _FRAME // 2))
        self._taper = np.hanning(_FRAME).astype(np.float32)
        self._rest: FloatArray = np.zeros(0, np.float32)
        self._frames_per_column = 1
        self._n_frames = 0
        self._n_samples = 0

    @property
    def duration_s(self) -> float:
        """Length of all samples until now."""
        return self._n_samples / SAMPLE_RATE_HZ

    @property
    def column_s(self) -> float:
        """Length that a column stands for; the last one may stand for less."""
        return self._frames_per_column * _FRAME / SAMPLE_RATE_HZ

    def push(self, samples: FloatArray) -> None:
        """Take the next samples, shape [T] float32."""
        self._n_samples += samples.size
        waiting = np.concatenate([self._rest, np.asarray(samples, np.float32)])
        n_new = waiting.size // _FRAME
        self._rest = waiting[n_new * _FRAME :].copy()
        frames = waiting[: n_new * _FRAME].reshape(n_new, _FRAME)
        while len(frames):
            free = _MOST_COLUMNS * self._frames_per_column - self._n_frames
            self._add(frames[:free])
            frames = frames[free:]
            if self._n_frames == _MOST_COLUMNS * self._frames_per_column:
                self._halve()

    def envelope(self) -> tuple[FloatArray, FloatArray]:
        """Return the lowest and the highest sample of each column, both [C]."""
        n_columns = self._counts().size
        return self._low[:n_columns].copy(), self._high[:n_columns].copy()

    def levels(self) -> IntArray:
        """Return loudness by frequency, [K, C] from 0 to 255, the highest frequency first.

        255 is the loudest place of the recording, 0 is 70 dB below it and less.
        """
        counts = self._counts()
        level_db = 10 * np.log10(self._power[: counts.size] / counts[:, None] + _FLOOR)
        top_db = max(float(level_db.max(initial=-60.0)), -60.0)
        share = np.clip((level_db - top_db) / _RANGE_DB + 1, 0, 1)
        return np.round(255 * share).astype(np.int64).T[::-1]

    def png(self) -> bytes:
        """Return the spectrogram as a grey PNG image, loud is dark; at least one column needed."""
        # 32 steps of grey are 2 dB each: finer ones cannot be seen and double the file.
        grey = (255 - self.levels() // 8 * 8).astype(np.uint8)
        height, width = grey.shape
        rows = np.concatenate([np.zeros((height, 1), np.uint8), grey], axis=1)
        head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
        chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
        return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)

    def _counts(self) -> IntArray:
        """Return how many frames each column stands for, shape [C]."""
        starts = np.arange(0, self._n_frames, self._frames_per_column)
        return np.minimum(self._n_frames - starts, self._frames_per_column)

    def _add(self, frames: FloatArray) -> None:
        column = (self._n_frames + np.arange(len(frames))) // self._frames_per_column
        spectrum = np.fft.rfft(frames * self._taper, axis=1)[:, 1:]
        np.minimum.at(self._low, column, frames.min(axis=1))
        np.maximum.at(self._high, column, frames.max(axis=1))
        np.add.at(self._power, column, spectrum.real**2 + spectrum.imag**2)
        self._n_frames += len(frames)

    def _halve(self) -> None:
        half = _MOST_COLUMNS // 2
        self._low[:half] = self._low.reshape(half, 2).min(axis=1)
        self._high[:half] = self._high.reshape(half, 2).max(axis=1)
        self._power[:half] = self._power.reshape(half, 2, -1).sum(axis=1)
        for columns in (self._low, self._high, self._power):
            columns[half:] = 0
        self._frames_per_column *= 2


def read_spectrogram(
    source: Source, channel: str = "mix", track: int | None = None
) -> SmallSpectrogram:
    """Return the small spectrogram of a channel of a recording, read chunk by chunk.

    Raises:
        AudioError: If it cannot be opened or decoded.
    """
    spectrogram = SmallSpectrogram()
    with open_stream(source, channel=channel, track=track) as stream:
        for chunk in stream:
            spectrogram.push(chunk)
    return spectrogram


def _chunk(name: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + check
