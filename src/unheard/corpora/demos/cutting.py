"""The cut rule: of a file of any length and format, a clip of a few seconds at 16 kHz.

Decode by libsndfile, what it does not know by FFmpeg (the two differ in the last bit of lossy
formats); mono by the mean of channels, resample, keep the first 10 s of a file under 20 s, else
seconds 5 to 15; then the window whose energy is largest on a grid of half seconds. No gain, no
filter. Every source of the corpus is cut by this, so all give the same clips.

T samples at 16 kHz.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np

from unheard import audio
from unheard.errors import AudioError
from unheard.types import FloatArray

__all__ = ["SHORTEST_S", "WINDOW_S", "Decoded", "cut", "decode"]

WINDOW_S = {"train": 3.0, "dev": 4.0, "eval": 4.0}
"""Longest clip by part of the page, seconds."""

SHORTEST_S = 0.75
SILENT = 1e-4
"""A peak below this is silence."""

LOUDEST = 16.0
"""A float sample beyond this is on another scale than audio."""

_GRID = audio.SAMPLE_RATE_HZ // 2


@dataclass(frozen=True, eq=False)
class Decoded:
    """A whole recording.

    Attributes:
        samples: Shape [T] float32 at 16 kHz, mono, in [-1, 1].
        rate_hz: Rate that it was stored with.
    """

    samples: FloatArray
    rate_hz: int


def decode(content: bytes, name: str) -> Decoded:
    """Return a recording, decoded as the clips of the catalogue were.

    Args:
        content: The file.
        name: What messages call it.

    Raises:
        AudioError: If it is no audio, damaged, too short, or silent.
    """
    decoded = _by_libsndfile(content, name)
    if decoded is None:
        wave = audio.read(content, minimum_s=0.0, name=name)
        decoded = Decoded(wave.samples, wave.source_rate_hz)
    length_s = decoded.samples.size / audio.SAMPLE_RATE_HZ
    if length_s < SHORTEST_S:
        raise AudioError(f"{name}: {length_s:.2f} s long, {SHORTEST_S} s wanted; left out")
    if float(np.abs(decoded.samples).max()) < SILENT:
        raise AudioError(f"{name}: silent, peak below {SILENT:g}; left out")
    return decoded


def cut(samples: FloatArray, window_s: float) -> FloatArray:
    """Return the part of a recording that is kept, shape [T'], T' at most the window.

    Args:
        samples: Shape [T], the whole recording.
        window_s: Longest clip, seconds.
    """
    rate = audio.SAMPLE_RATE_HZ
    kept = samples[: 10 * rate] if samples.size < 20 * rate else samples[5 * rate : 15 * rate]
    n_window = round(window_s * rate)
    slack = kept.size - n_window
    if slack <= 0:
        return kept
    energy = np.concatenate([[0.0], np.cumsum(np.square(kept, dtype=np.float64))])
    # The last place of the grid may reach beyond the end: it is judged by what is there of it,
    # and then moved back.
    starts = np.arange(0, slack + _GRID, _GRID)
    within = energy[np.minimum(starts + n_window, kept.size)] - energy[starts]
    start = min(int(starts[np.argmax(within)]), slack)
    return kept[start : start + n_window]


def _by_libsndfile(content: bytes, name: str) -> Decoded | None:
    import soundfile

    try:
        head = soundfile.info(io.BytesIO(content))
        longest = round(audio.LONGEST_READ_S * head.samplerate)
        # The function, not a SoundFile: it seeks first, and an MP3 decoder rounds otherwise then.
        channels, rate_hz = soundfile.read(
            io.BytesIO(content), frames=longest, dtype="float32", always_2d=True
        )
    except soundfile.SoundFileError:
        return None
    if not channels.size or not np.abs(channels).max() < LOUDEST:
        raise AudioError(f"{name}: holds no samples, or some that are no audio levels; left out")
    mono = channels.mean(axis=1, dtype=np.float32)
    return Decoded(np.clip(audio.resample(mono, rate_hz), -1, 1), rate_hz)
