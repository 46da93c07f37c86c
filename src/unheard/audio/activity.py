"""How much speech a recording holds, and what is wrong with the recording.

A `Gauge` is fed any chunks and gives the same numbers for any chunking. It keeps no audio but the
last 60 ms, and nine bytes for every 30 ms. What lies below 40 Hz, an offset of the sound card or
rumble, is removed before anything is measured but the peak and clipping.

K frames of 30 ms.
"""

from __future__ import annotations

import math
import operator
from array import array
from dataclasses import dataclass

import numpy as np

from unheard.audio.recording import SAMPLE_RATE_HZ
from unheard.audio.rumble import HighPass
from unheard.audio.tones import SIGNAL_CONTEXT, Tones
from unheard.types import BoolArray, FloatArray

__all__ = ["FRAME_S", "VAD_MODE", "Gauge", "Quality", "is_music"]

FRAME_S = 0.03
"""Length of the frames that are called speech or not."""

VAD_MODE = 2
"""Strictness of webrtcvad, 0 to 3; docs/verdict.md has what it finds in speech, noise and music."""

_FRAME = round(FRAME_S * SAMPLE_RATE_HZ)
_CLIPPED = 0.99
_REST_OF_POWER = 10**-5.5

_RUMBLE_HZ = 40.0
_RUMBLE_ORDER = 4
_SILENT_DB = -75.0
_FAINT_DB = 40.0
_LOUDEST_FRAMES = 666  # 20 s

_MUSIC_FRAMES = 133  # 4 s, as the line of `is_music` was fitted on
_LEAST_MUSIC_FRAMES = 100  # 3 s; in 1 s, one voice in ten holds a tone


@dataclass(frozen=True)
class Quality:
    """What a recording is like, over all of it.

    Attributes:
        duration_s: Length.
        speech_s: Sum of the frames that are speech, without music and signal tones.
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
        signals_s: Sum of the frames called speech that are signal tones, such as ringing.
        offset: Mean of the samples, 1 is full scale.
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
    signals_s: float = 0.0
    offset: float = 0.0


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

        self._rumble = HighPass(_RUMBLE_ORDER, _RUMBLE_HZ, SAMPLE_RATE_HZ)
        self._sum = 0.0
        self._vad = webrtcvad.Vad(VAD_MODE)
        self._speech = bytearray()
        self._levels_db = array("f")
        self._tones = Tones(_FRAME)
        self._is_signal = bytearray()
        self._n_music = 0
        self._n_judged = 0
        self._rest: FloatArray = np.zeros(0, np.float32)
        self._taper = np.hanning(_FRAME).astype(np.float32)
        self._power = np.zeros(_FRAME // 2 + 1)
        self._n_samples = 0
        self._n_clipped = 0
        self._peak = 0.0

    def push(self, samples: FloatArray) -> None:
        """Take the next samples, shape [T] float32 at 16 kHz."""
        if not samples.size:
            return
        size = np.abs(samples)
        self._n_samples += samples.size
        self._sum += float(samples.sum(dtype=np.float64))
        self._n_clipped += int(np.count_nonzero(size >= _CLIPPED))
        self._peak = max(self._peak, float(size.max()))
        waiting = np.concatenate([self._rest, samples])
        n_frames = waiting.size // _FRAME
        self._rest = waiting[n_frames * _FRAME :].copy()
        frames = self._rumble.push(waiting[: n_frames * _FRAME].reshape(n_frames, _FRAME))
        pcm = np.round(np.clip(frames, -1, 1) * 32767).astype("<i2")
        level_db = 10 * np.log10(np.mean(frames**2, axis=1, dtype=np.float64) + 1e-10)
        self._levels_db.extend(level_db)
        audible = (level_db > self._floor_db(n_frames)).tolist() if n_frames else []
        # Each frame goes through the detector, which adapts to what it is given.
        active = [self._vad.is_speech(frame.tobytes(), SAMPLE_RATE_HZ) for frame in pcm]
        flags = bytes(map(operator.and_, active, audible))
        self._speech += flags
        self._tones.push(frames, flags)
        self._find_signals()
        spoken = frames[np.frombuffer(flags, np.uint8) == 1]
        spectrum = np.fft.rfft(spoken * self._taper, axis=1)
        self._power += np.sum(spectrum.real**2 + spectrum.imag**2, axis=0, dtype=np.float64)
        while len(self._speech) - self._n_judged >= _MUSIC_FRAMES:
            first, self._n_judged = self._n_judged, self._n_judged + _MUSIC_FRAMES
            if self._is_music(first, self._n_judged):
                self._n_music += int(self._spoken(first, self._n_judged).sum())

    @property
    def n_frames(self) -> int:
        """Whole frames until now."""
        return len(self._speech)

    def is_speech(self, first: int, *, at_end: bool = False) -> BoolArray:
        """Return which frames from a frame on are active, and no signal tone.

        Args:
            first: That frame.
            at_end: Whether no more will come; else the last few frames, of which it is not known
                whether they are a tone, are left out.
        """
        n_open = 0 if at_end else self._tones.n_open()
        return self._spoken(first, max(first, len(self._speech) - n_open))

    def _floor_db(self, n_new: int) -> FloatArray:
        """Return the level above which each of the last frames may be speech, [K].

        Well below the loudest of the 20 s before there is none: after speech, webrtcvad calls
        noise that is as faint speech for long, and silence for a moment.
        """
        levels_db = np.array(self._levels_db[-(n_new + _LOUDEST_FRAMES) :], np.float64)
        padding = np.full(n_new + _LOUDEST_FRAMES - levels_db.size, -np.inf)
        views = np.lib.stride_tricks.sliding_window_view(
            np.concatenate([padding, levels_db]), _LOUDEST_FRAMES + 1
        )[-n_new:]
        floor_db: FloatArray = np.maximum(views.max(axis=1) - _FAINT_DB, _SILENT_DB)
        return floor_db

    def _find_signals(self) -> None:
        """Note which frames are signal tones; what is new may change that of the last frames."""
        first = max(0, len(self._is_signal) - SIGNAL_CONTEXT)
        self._is_signal[first:] = self._tones.signals(first, len(self._speech)).tobytes()

    def _spoken(self, first: int, last: int) -> BoolArray:
        """Return which frames from first to before last are speech, [K], for all that is known."""
        flags = np.frombuffer(self._speech[first:last], np.uint8) == 1
        spoken: BoolArray = flags & (np.frombuffer(self._is_signal[first:last], np.uint8) == 0)
        return spoken

    def speech_s(self, start_s: float, end_s: float) -> float:
        """Return the seconds of speech in the whole frames between two times; none if music.

        Signal tones are no speech.
        """
        if self.is_music(start_s, end_s):
            return 0.0
        first, last = _frames(start_s, end_s)
        spoken = np.frombuffer(self._speech[first:last], np.uint8) == 1
        return int((spoken & ~self._tones.signals(first, last)[: spoken.size]).sum()) * FRAME_S

    def is_music(self, start_s: float, end_s: float) -> bool:
        """Return whether what is active between two times is music.

        Judged over at least the 4 s before the end; nothing is called so where fewer than 3 s have
        come.
        """
        first, last = _frames(start_s, end_s)
        return self._is_music(max(0, min(first, last - _MUSIC_FRAMES)), last)

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
        spoken = self._spoken(0, len(self._speech))
        levels_db = np.array(self._levels_db, np.float64)[spoken]
        n_spoken = int(spoken.sum())
        return Quality(
            duration_s=self._n_samples / SAMPLE_RATE_HZ,
            speech_s=(n_spoken - self._n_music) * FRAME_S,
            longest_pause_s=max(map(len, pauses)) * FRAME_S,
            peak=self._peak,
            clipped_share=self._n_clipped / max(self._n_samples, 1),
            bandwidth_hz=self._bandwidth_hz(),
            level_spread_db=float(levels_db.std()) if n_spoken else math.inf,
            held_tones=self._tones.held_share(0, len(self._speech)),
            music_s=self._n_music * FRAME_S,
            signals_s=(self._speech.count(1) - n_spoken) * FRAME_S,
            offset=self._sum / max(self._n_samples, 1),
        )

    def _bandwidth_hz(self) -> float:
        above = np.cumsum(self._power[::-1])[::-1]
        inside = np.flatnonzero(above > _REST_OF_POWER * above[0])
        return float(inside[-1] * SAMPLE_RATE_HZ / _FRAME) if inside.size else 0.0


def _frames(start_s: float, end_s: float) -> tuple[int, int]:
    """Return the first whole frame between two times, and the one after the last."""
    first = -(-round(start_s * SAMPLE_RATE_HZ) // _FRAME)
    return first, max(first, round(end_s * SAMPLE_RATE_HZ) // _FRAME)
