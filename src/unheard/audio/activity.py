"""How much speech a recording holds, and what is wrong with the recording.

A `Gauge` is fed any chunks and gives the same numbers for any chunking. It keeps no audio but the
last 60 ms, and six bytes for every 30 ms.

K frames of 30 ms.
"""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass

import numpy as np

from unheard.audio.recording import SAMPLE_RATE_HZ
from unheard.types import BoolArray, FloatArray

__all__ = ["FRAME_S", "VAD_MODE", "Gauge", "Quality", "is_music"]

FRAME_S = 0.03
"""Length of the frames that are called speech or not."""

VAD_MODE = 2
"""Strictness of webrtcvad, 0 to 3; docs/verdict.md has what it finds in speech, noise and music."""

_FRAME = round(FRAME_S * SAMPLE_RATE_HZ)
_CLIPPED = 0.99
_REST_OF_POWER = 10**-5.5

_BLOCK = 10  # frames
_N_FFT = 1024
_BINS = slice(11, 321)  # 170 Hz to 5 kHz
_AROUND = 10  # bins on each side that a peak stands out from
_OVER_DB = 3.0
_AUDIBLE_DB = 60.0
_HELD = 0.8
_MUSIC_FRAMES = 133  # 4 s, as the line of `is_music` was fitted on
_LEAST_MUSIC_FRAMES = 100  # 3 s; in 1 s, one voice in ten holds a tone


@dataclass(frozen=True)
class Quality:
    """What a recording is like, over all of it.

    Attributes:
        duration_s: Length.
        speech_s: Sum of the frames that are speech, without music.
        longest_pause_s: Longest stretch without a frame of speech.
        peak: Largest magnitude, 1 is full scale.
        clipped_share: Share of samples within 1 % of full scale.
        bandwidth_hz: Frequency above which speech has less than -55 dB of its power; 0 if there is
            no speech.
        level_spread_db: Standard deviation of the level of the frames called speech. In speech it
            is 3 dB and more, in noise and held tones less than 2 dB; infinite without speech.
        held_tones: Share of the spectrum up to 5 kHz that holds a tone for 0.3 s, mean over the
            frames called speech; see `is_music`.
        music_s: Sum of the frames called speech in stretches of 4 s that are music.
    """

    duration_s: float
    speech_s: float
    longest_pause_s: float
    peak: float
    clipped_share: float
    bandwidth_hz: float
    level_spread_db: float
    held_tones: float = 0.0
    music_s: float = 0.0


def is_music(held_tones: float, level_spread_db: float) -> bool:
    """Return whether sound that is active at speech frequencies is music rather than speech.

    Notes are held where a voice glides, and notes follow each other where a voice pauses: the more
    the level varies, the more held tones it takes.

    Args:
        held_tones: Share of the spectrum that holds a tone for 0.3 s.
        level_spread_db: Standard deviation of the level.

    Source:
        Held peaks are the continuous frequency activation of K. Seyerlehner, T. Pohle, M. Schedl,
        G. Widmer, "Automatic music detection in television productions", DAFx 2007; differences:
        a peak is held if it is one in 8 of 10 frames, and the share of such bins is the measure.
        The line was fitted on windows of 4 s of speech, of speech 10 dB over music, and of music;
        docs/verdict.md has what it finds.
    """
    return math.log(held_tones + 0.005) - 0.6 * min(level_spread_db, 40.0) > -5.56


class Gauge:
    """Measures a recording as it comes.

    Source:
        The activity of a frame is the WebRTC project's detector, through the webrtcvad package.
    """

    def __init__(self) -> None:
        import webrtcvad

        self._vad = webrtcvad.Vad(VAD_MODE)
        self._speech = bytearray()
        self._levels_db = array("f")
        self._tones = _Tones()
        self._n_music = 0
        self._n_judged = 0
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
        self._tones.push(frames, flags)
        level_db = 10 * np.log10(np.mean(frames**2, axis=1, dtype=np.float64) + 1e-10)
        self._levels_db.extend(level_db)
        is_spoken = np.frombuffer(flags, np.uint8) == 1
        spoken, level_db = frames[is_spoken], level_db[is_spoken]
        self._level_sums += level_db.sum(), np.square(level_db).sum()
        spectrum = np.fft.rfft(spoken * self._taper, axis=1)
        self._power += np.sum(spectrum.real**2 + spectrum.imag**2, axis=0, dtype=np.float64)
        while len(self._speech) - self._n_judged >= _MUSIC_FRAMES:
            first, self._n_judged = self._n_judged, self._n_judged + _MUSIC_FRAMES
            if self._is_music(first, self._n_judged):
                self._n_music += self._speech.count(1, first, self._n_judged)

    def speech_s(self, start_s: float, end_s: float) -> float:
        """Return the seconds of speech in the whole frames between two times; none if music.

        Whether it is music is judged over at least the 4 s before the end; nothing is called so
        where fewer than 3 s have come.
        """
        first, last = _frames(start_s, end_s)
        if self._is_music(max(0, min(first, last - _MUSIC_FRAMES)), last):
            return 0.0
        return self.active_s(start_s, end_s)

    def active_s(self, start_s: float, end_s: float) -> float:
        """Return the seconds active at speech frequencies between two times, music or not."""
        return self._speech.count(1, *_frames(start_s, end_s)) * FRAME_S

    def _is_music(self, first: int, last: int) -> bool:
        """Return whether the frames from first to before last are music."""
        if last - first < _LEAST_MUSIC_FRAMES or not self._speech.count(1, first, last):
            return False
        flags = np.frombuffer(self._speech[first:last], np.uint8) == 1
        spread_db = float(np.std(np.array(self._levels_db[first:last], np.float64)[flags]))
        return is_music(self._tones.held_share(first, last), spread_db)

    def quality(self) -> Quality:
        """Return what all samples until now are like."""
        pauses = bytes(self._speech).split(b"\x01")
        return Quality(
            duration_s=self._n_samples / SAMPLE_RATE_HZ,
            speech_s=(self._speech.count(1) - self._n_music) * FRAME_S,
            longest_pause_s=max(map(len, pauses)) * FRAME_S,
            peak=self._peak,
            clipped_share=self._n_clipped / max(self._n_samples, 1),
            bandwidth_hz=self._bandwidth_hz(),
            level_spread_db=self._level_spread_db(),
            held_tones=self._tones.held_share(0, len(self._speech)),
            music_s=self._n_music * FRAME_S,
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


def _frames(start_s: float, end_s: float) -> tuple[int, int]:
    """Return the first whole frame between two times, and the one after the last."""
    first = -(-round(start_s * SAMPLE_RATE_HZ) // _FRAME)
    return first, max(first, round(end_s * SAMPLE_RATE_HZ) // _FRAME)


class _Tones:
    """Which share of the spectrum holds a tone, in each block of ten frames."""

    def __init__(self) -> None:
        self._before: FloatArray = np.zeros(_N_FFT - _FRAME, np.float32)
        self._taper = np.hanning(_N_FFT).astype(np.float32)
        self._peaks: BoolArray = np.zeros((0, _BINS.stop - _BINS.start), bool)
        self._flags = b""
        self._shares = array("f")
        self._weights = array("f")

    def push(self, frames: FloatArray, flags: bytes) -> None:
        """Take frames [K, 480], and a byte for each that is 1 if it is speech."""
        if not flags:
            return
        wave = np.concatenate([self._before, frames.ravel()])
        self._before = wave[wave.size - self._before.size :].copy()
        views = np.lib.stride_tricks.sliding_window_view(wave, _N_FFT)[::_FRAME]
        peaks = np.concatenate([self._peaks, _peaks(views * self._taper)])
        waiting = self._flags + flags
        n_blocks = len(peaks) // _BLOCK
        whole = n_blocks * _BLOCK
        self._peaks, self._flags = peaks[whole:].copy(), waiting[whole:]
        is_held = (
            peaks[:whole].reshape(n_blocks, _BLOCK, peaks.shape[1]).sum(axis=1) >= _HELD * _BLOCK
        )
        self._shares.extend(is_held.mean(axis=1))
        spoken = np.frombuffer(waiting[:whole], np.uint8).reshape(n_blocks, _BLOCK)
        self._weights.extend(spoken.sum(axis=1, dtype=np.float64))

    def held_share(self, first: int, last: int) -> float:
        """Return the mean share over the speech of the whole blocks between two frames."""
        blocks = slice(-(-first // _BLOCK), last // _BLOCK)
        weights = np.array(self._weights[blocks], np.float64)
        total = weights.sum()
        return float(weights @ np.array(self._shares[blocks], np.float64) / total) if total else 0.0


def _peaks(tapered: FloatArray) -> BoolArray:
    """Return which bins stand out from those around them, of frames [K, 1024]."""
    spectrum = np.fft.rfft(tapered, axis=1)[:, : _BINS.stop + _AROUND + 1]
    level_db = 10 * np.log10(spectrum.real**2 + spectrum.imag**2 + 1e-7)
    sums = np.cumsum(level_db, axis=1, dtype=np.float64)
    before = sums[:, _BINS.start - _AROUND - 1 : _BINS.stop - _AROUND - 1]
    around = sums[:, _BINS.start + _AROUND : _BINS.stop + _AROUND]
    bins_db = level_db[:, _BINS]
    loud = bins_db > bins_db.max(axis=1, keepdims=True) - _AUDIBLE_DB
    peaks: BoolArray = loud & (bins_db - (around - before) / (2 * _AROUND + 1) > _OVER_DB)
    return peaks
