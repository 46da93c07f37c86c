"""Tones in the spectrum: those that music holds, and signal tones of telephones and machines.

K frames of 30 ms, F bins of a spectrum over 64 ms.
"""

from __future__ import annotations

from array import array

import numpy as np

from unheard.types import BoolArray, FloatArray

__all__ = ["OPEN_FRAMES", "SIGNAL_CONTEXT", "Tones"]

_N_FFT = 1024
_BINS = slice(11, 321)  # 170 Hz to 5 kHz
_AROUND = 10  # bins on each side that a peak stands out from
_OVER_DB = 3.0
_AUDIBLE_DB = 60.0
_BLOCK = 10  # frames
_HELD = 0.8

_SIGNAL_BIN = 3  # 47 Hz, the first that counts
_N_SIGNALS = 2
_SIDE = 5  # bins on each side that belong to a tone: two tones of a ringing signal are 40 Hz apart
_SIGNAL_SHARE = 0.98
_LEAST_RUN = 8  # frames, 0.24 s
_LEAST_DIGIT_RUN = 2
_DIGITS_HZ = ((697.0, 770.0, 852.0, 941.0), (1209.0, 1336.0, 1477.0, 1633.0))
_DIGIT_BINS = 1.2
_BEFORE, _AFTER = 3, 8
"""Frames before and after a run that belong to it: its edges, and those still called speech."""

SIGNAL_CONTEXT = _LEAST_RUN + _BEFORE + _AFTER
"""Frames whose being a signal tone may still change with those that follow."""

OPEN_FRAMES = _BEFORE
"""The last frames, at least so many, may still belong to a tone that follows."""

_NO_TONE, _DIGIT = -1, -2


class Tones:
    """How much of the spectrum holds a tone, by blocks of ten frames; which frames are signals."""

    def __init__(self, n_frame: int) -> None:
        self._n_frame = n_frame
        self._before: FloatArray = np.zeros(_N_FFT - n_frame, np.float32)
        self._taper = np.hanning(_N_FFT).astype(np.float32)
        self._peaks: BoolArray = np.zeros((0, _BINS.stop - _BINS.start), bool)
        self._flags = b""
        self._shares = array("f")
        self._weights = array("f")
        self._signals = array("h")  # of each frame: bin of its tone, or one of the two above

    def push(self, frames: FloatArray, flags: bytes) -> None:
        """Take frames [K, T], and a byte for each that is 1 if it is speech."""
        if not flags:
            return
        wave = np.concatenate([self._before, frames.ravel()])
        self._before = wave[wave.size - self._before.size :].copy()
        views = np.lib.stride_tricks.sliding_window_view(wave, _N_FFT)[:: self._n_frame]
        spectrum = np.fft.rfft(views * self._taper, axis=1)[:, : _BINS.stop + _AROUND + 1]
        powers = spectrum.real**2 + spectrum.imag**2
        self._signals.extend(_signals(powers))
        peaks = np.concatenate([self._peaks, _peaks(powers)])
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

    def n_open(self) -> int:
        """Return how many of the last frames may still turn out to be signal tones, or not."""
        if not self._signals or self._signals[-1] == _NO_TONE:
            return _BEFORE
        n_run, least = 1, _LEAST_DIGIT_RUN if self._signals[-1] == _DIGIT else _LEAST_RUN
        while n_run < min(least, len(self._signals)) and _goes_on(
            self._signals[-n_run - 1], self._signals[-n_run]
        ):
            n_run += 1
        return _BEFORE + n_run if n_run < least else _BEFORE

    def signals(self, first: int, last: int) -> BoolArray:
        """Return which frames from first to before last are signal tones, [K].

        A frame is one if two tones or one hold nearly all of its power for a quarter of a second,
        or are those of a telephone's key. Frames around it that its edges spoil count as well.
        Nothing after the last frame is looked at, so the answer is the same for any chunking.
        """
        start = max(0, first - _LEAST_RUN - _AFTER)
        bins = self._signals[start:last]
        is_signal = np.zeros(len(bins), bool)
        begin = 0
        for place in range(1, len(bins) + 1):
            if place < len(bins) and _goes_on(bins[begin], bins[place]):
                continue
            least = _LEAST_DIGIT_RUN if bins[begin] == _DIGIT else _LEAST_RUN
            if bins[begin] != _NO_TONE and place - begin >= least:
                is_signal[max(0, begin - _BEFORE) : place + _AFTER] = True
            begin = place
        return is_signal[first - start :]


def _goes_on(first: int, other: int) -> bool:
    return first == other if min(first, other) < 0 else abs(first - other) <= 1


def _signals(powers: FloatArray) -> list[int]:
    """Return for each spectrum [K, F] of powers the bin of its tone, or what else it is."""
    left = powers.astype(np.float64)
    left[:, :_SIGNAL_BIN] = 0
    total = left.sum(axis=1) + 1e-6
    places = np.arange(left.shape[1])
    tops: list[FloatArray] = []
    strengths: list[FloatArray] = []
    for _ in range(_N_SIGNALS):
        top = left.argmax(axis=1)
        near = np.abs(places - top[:, None]) <= _SIDE
        tops.append(top)
        strengths.append(np.where(near, left, 0).sum(axis=1))
        left[near] = 0
    is_tone = np.add(*strengths) >= _SIGNAL_SHARE * total
    both = strengths[1] > 0.02 * strengths[0]
    low, high = np.minimum(*tops), np.maximum(*tops)
    is_digit = is_tone & both & _near(low, _DIGITS_HZ[0]) & _near(high, _DIGITS_HZ[1])
    lowest = np.where(both, low, tops[0])
    bins: list[int] = np.where(is_digit, _DIGIT, np.where(is_tone, lowest, _NO_TONE)).tolist()
    return bins


def _near(bins: FloatArray, wanted_hz: tuple[float, ...]) -> BoolArray:
    wanted = np.array(wanted_hz) * _N_FFT / 16_000
    near: BoolArray = np.abs(bins[:, None] - wanted).min(axis=1) <= _DIGIT_BINS
    return near


def _peaks(powers: FloatArray) -> BoolArray:
    """Return which bins stand out from those around them, of spectra [K, F] of powers."""
    level_db = 10 * np.log10(powers + 1e-7)
    sums = np.cumsum(level_db, axis=1, dtype=np.float64)
    before = sums[:, _BINS.start - _AROUND - 1 : _BINS.stop - _AROUND - 1]
    around = sums[:, _BINS.start + _AROUND : _BINS.stop + _AROUND]
    bins_db = level_db[:, _BINS]
    loud = bins_db > bins_db.max(axis=1, keepdims=True) - _AUDIBLE_DB
    peaks: BoolArray = loud & (bins_db - (around - before) / (2 * _AROUND + 1) > _OVER_DB)
    return peaks
