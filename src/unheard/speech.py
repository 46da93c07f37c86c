"""How much speech a recording holds, and what is wrong with the recording.

A `Gauge` is fed any chunks and gives the same numbers for any chunking. It keeps no audio but the
beginning of a frame, and one byte for every 30 ms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unheard.audio import SAMPLE_RATE_HZ
from unheard.types import FloatArray

__all__ = ["FRAME_S", "VAD_MODE", "Condition", "Gauge"]

FRAME_S = 0.03
"""Length of the frames that are called speech or not."""

VAD_MODE = 2
"""Strictness of webrtcvad, 0 to 3; docs/verdict.md has what it finds in speech, noise and music."""

_FRAME = round(FRAME_S * SAMPLE_RATE_HZ)
_CLIPPED = 0.99
_REST_OF_POWER = 10**-5.5


@dataclass(frozen=True)
class Condition:
    """What a recording is like, over all of it.

    Attributes:
        duration_s: Length.
        speech_s: Sum of the frames that are speech.
        longest_pause_s: Longest stretch without a frame of speech.
        peak: Largest magnitude, 1 is full scale.
        clipped_share: Share of samples within 1 % of full scale.
        bandwidth_hz: Frequency above which speech has less than -55 dB of its power; 0 if there is
            no speech.
        level_spread_db: Standard deviation of the level of the frames called speech. In speech it
            is 3 dB and more, in noise and held tones less than 2 dB; infinite without speech.
    """

    duration_s: float
    speech_s: float
    longest_pause_s: float
    peak: float
    clipped_share: float
    bandwidth_hz: float
    level_spread_db: float


class Gauge:
    """Measures a recording as it comes.

    Source:
        The activity of a frame is the WebRTC project's detector, through the webrtcvad package.
    """

    def __init__(self) -> None:
        import webrtcvad

        self._vad = webrtcvad.Vad(VAD_MODE)
        self._speech = bytearray()
        self._rest: FloatArray = np.zeros(0, np.float32)
        self._taper = np.hanning(_FRAME).astype(np.float32)
        self._power = np.zeros(_FRAME // 2 + 1)
        self._level_sums = np.zeros(2)  # of decibels, of their squares
        self._n_samples = 0
        self._n_clipped = 0
        self._peak = 0.0

    def push(self, samples: FloatArray) -> None:
        """Take the next samples, shape [T] float32 at 16 kHz."""
        if not samples.size:
            return
        size = np.abs(samples)
        self._n_samples += samples.size
        self._n_clipped += int(np.count_nonzero(size >= _CLIPPED))
        self._peak = max(self._peak, float(size.max()))
        waiting = np.concatenate([self._rest, samples])
        n_frames = waiting.size // _FRAME
        self._rest = waiting[n_frames * _FRAME :].copy()
        frames = waiting[: n_frames * _FRAME].reshape(n_frames, _FRAME)
        pcm = np.round(np.clip(frames, -1, 1) * 32767).astype("<i2")
        flags = bytes(self._vad.is_speech(frame.tobytes(), SAMPLE_RATE_HZ) for frame in pcm)
        self._speech += flags
        spoken = frames[np.frombuffer(flags, np.uint8) == 1]
        level_db = 10 * np.log10(np.mean(spoken**2, axis=1, dtype=np.float64) + 1e-10)
        self._level_sums += level_db.sum(), np.square(level_db).sum()
        spectrum = np.fft.rfft(spoken * self._taper, axis=1)
        self._power += np.sum(spectrum.real**2 + spectrum.imag**2, axis=0, dtype=np.float64)

    def speech_s(self, start_s: float, end_s: float) -> float:
        """Return the seconds of speech in the whole frames between two times."""
        first = -(-round(start_s * SAMPLE_RATE_HZ) // _FRAME)
        last = round(end_s * SAMPLE_RATE_HZ) // _FRAME
        return self._speech.count(1, first, max(first, last)) * FRAME_S

    def condition(self) -> Condition:
        """Return what all samples until now are like."""
        pauses = bytes(self._speech).split(b"\x01")
        return Condition(
            duration_s=self._n_samples / SAMPLE_RATE_HZ,
            speech_s=self._speech.count(1) * FRAME_S,
            longest_pause_s=max(map(len, pauses)) * FRAME_S,
            peak=self._peak,
            clipped_share=self._n_clipped / max(self._n_samples, 1),
            bandwidth_hz=self._bandwidth_hz(),
            level_spread_db=self._level_spread_db(),
        )

    def _bandwidth_hz(self) -> float:
        above = np.cumsum(self._power[::-1])[::-1]
        inside = np.flatnonzero(above > _REST_OF_POWER * above[0])
        return float(inside[-1] * SAMPLE_RATE_HZ / _FRAME) if inside.size else 0.0

    def _level_spread_db(self) -> float:
        n_spoken = self._speech.count(1)
        if not n_spoken:
            return float("inf")
        mean, square = self._level_sums / n_spoken
        return float(np.sqrt(max(square - mean**2, 0.0)))
