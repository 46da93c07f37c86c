"""Samples in, windows with their speech and raw scores out, and what a recording has of them.

N windows, T samples at 16 kHz.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from unheard import audio
from unheard.audio.activity import FRAME_S, Gauge
from unheard.audio.pauses import PauseCutter
from unheard.audio.tones import OPEN_FRAMES
from unheard.errors import AudioError, BundleError, RecipeError, suggestion
from unheard.scoring.verdict import OFFSET, WINDOW_SPEECH_S
from unheard.types import FloatArray, IntArray

__all__ = ["POOLING", "RawWindow", "WindowTrack", "pooled"]

_FULL_SHARE = 0.5
_BATCH_WINDOWS = 4
"""Windows a detector gets at once; more cost memory, no faster on processors (bench/score.py)."""

_LARGEST_SCORE = 1e12
_FRAME = round(FRAME_S * audio.SAMPLE_RATE_HZ)
_NONE: FloatArray = np.zeros(0, np.float32)

_Scores = tuple[FloatArray, FloatArray, FloatArray]
"""Scores [N], and of E experts scores and weights [N, E], as `Bundle.expert_scores` gives them."""

POOLING: dict[str, Callable[[FloatArray], IntArray]] = {
    "mean": lambda scores: np.arange(scores.size),
    # A spoofed part is not outvoted by the rest.
    "lowest": lambda scores: np.argsort(scores, kind="stable")[: math.ceil(scores.size / 4)],
}
"""Rules that say of which windows a recording's score is the mean: raw scores [N] -> indices."""


def pooled(
    score_windows: Callable[[FloatArray], FloatArray],
    samples: FloatArray,
    *,
    window_s: float,
    hop_s: float,
    pooling: str,
) -> float:
    """Return the pooled raw score of one clip, as `Scorer` does before calibration.

    Windows with too little speech do not count, unless no window has enough: then all count.

    Args:
        score_windows: The detector, [N, T] float32 -> [N].
        samples: Shape [T] at 16 kHz in [-1, 1].
        window_s: Length of a window.
        hop_s: Distance between windows.
        pooling: One of `POOLING`.

    Raises:
        AudioError: If there are no samples, or they are not one-dimensional or not finite.
        RecipeError: If no pooling rule has that name.
    """
    if pooling not in POOLING:
        raise RecipeError(f"no pooling rule is called {pooling!r}{suggestion(pooling, POOLING)}")

    def without_experts(windows: FloatArray) -> _Scores:
        none = np.empty((len(windows), 0))
        return score_windows(windows), none, none

    for gate_s in (WINDOW_SPEECH_S, 0.0):
        track = WindowTrack(without_experts, window_s=window_s, hop_s=hop_s, gate_s=gate_s)
        track.push(samples)
        track.close()
        if track.scored().size:
            raw = track.scored()
            return float(raw[track.counted(pooling)].mean())
    raise AudioError("no samples to score; give at least one")


@dataclass(frozen=True)
class RawWindow:
    """A window before calibration; attributes as `WindowScore` has them."""

    start_s: float
    end_s: float
    speech_s: float
    score: float | None
    experts: list[float]
    weights: list[float]


@dataclass(frozen=True, eq=False)
class _Window:
    """A window that is not yet scored: where it is, its speech, and which row of a cut it is.

    The rows of a cut [N, T] may overlap in one stretch of sound; see `_samples_of`.
    """

    start_s: float
    end_s: float
    speech_s: float
    cut: FloatArray
    row: int


class WindowTrack:
    """Cuts samples into windows, measures their speech, scores those with enough of it.

    Pauses are cut short first, and signal tones as if they were pauses, so that windows are laid
    over speech, unless all is to be scored (a gate of 0 s). Windows keep the recording's times.
    What comes waits for 0.09 s, or 0.33 s where it may be a tone, until it is known what it is;
    a window that follows music waits for those that overlap with the music.

    With more threads than one, windows come later than their samples: batches are scored side by
    side, the same ones and in the same order.
    """

    def __init__(
        self,
        score_windows: Callable[[FloatArray], _Scores],
        *,
        window_s: float,
        hop_s: float,
        gate_s: float,
        n_threads: int = 1,
    ) -> None:
        self.gauge = Gauge()
        self._pool = ThreadPoolExecutor(n_threads) if n_threads > 1 else None
        self._n_ahead = 2 * n_threads
        self._pending: deque[tuple[list[_Window], Future[_Scores]]] = deque()
        self.step = _BATCH_WINDOWS * round(hop_s * audio.SAMPLE_RATE_HZ)
        self._score_windows = score_windows
        self._windower = audio.Windower(window_s, hop_s)
        self._cutter = PauseCutter(_FRAME) if gate_s else None
        self._gate_s = gate_s
        self._scores: list[float] = []
        self._speech_s: list[float] = []
        self._n_overlap = self._windower.n_window // self._windower.n_hop
        self._n_since_music = self._n_overlap
        self._after_music: list[_Window] = []
        self._closed = False
        self._n_cut = 0  # frames that the cutter has
        self._waiting: FloatArray = np.zeros(0, np.float32)  # until it is known what they are

    def push(self, samples: FloatArray) -> list[RawWindow]:
        """Take the next samples [T] and return the windows that they complete."""
        samples = np.asarray(samples, np.float32)
        if self._closed:
            raise AudioError("this stream is closed; make a new one for the next recording")
        if samples.ndim != 1:
            raise AudioError(
                f"samples of shape {samples.shape}, one channel needed; "
                "give an array of shape [T], or a file, whose channels are mixed"
            )
        if not np.isfinite(samples).all():
            raise AudioError("samples hold NaN or infinite values; repair them before scoring")
        scored: list[RawWindow] = []
        for start in range(0, samples.size, self.step):
            piece = samples[start : start + self.step]
            self.gauge.push(piece)
            scored += self._windows_of(self._without_pauses(piece))
        return scored

    def _windows_of(self, kept: FloatArray) -> list[RawWindow]:
        """Return the windows that kept samples [T] complete, scored in batches."""
        pieces = [kept[start : start + self.step] for start in range(0, kept.size, self.step)]
        return [window for piece in pieces for window in self._scored(self._windower.push(piece))]

    def _without_pauses(self, samples: FloatArray, *, at_end: bool = False) -> FloatArray:
        """Return what is kept of the samples [T] of which it is known what they are."""
        if self._cutter is None:
            return samples
        waiting = np.concatenate([self._waiting, samples])
        is_speech = self.gauge.is_speech(self._n_cut, at_end=at_end)
        n_known = waiting.size if at_end else is_speech.size * _FRAME
        self._n_cut += is_speech.size
        self._waiting = waiting[n_known:]
        return self._cutter.push(waiting[:n_known], is_speech)

    def n_missing(self) -> int:
        """Return how many samples at least complete the next window."""
        if self._cutter is None:
            return self._windower.n_missing
        # Nothing is known of a frame before it is whole, and some frames more.
        n_frames = max(1, -(-(self._windower.n_missing - self._cutter.n_held) // _FRAME))
        n_waiting = self._waiting.size
        next_frame = _FRAME - n_waiting % _FRAME
        return max(next_frame, (n_frames + OPEN_FRAMES) * _FRAME - n_waiting)

    def close(self) -> tuple[list[RawWindow], bool]:
        """Return the windows that were left, and whether a short clip was repeated."""
        if self._closed:
            raise AudioError("this stream is closed; make a new one for the next recording")
        self._closed = True
        scored = self._windows_of(self._without_pauses(_NONE, at_end=True))
        last = self._windower.close()
        scored += self._scored(last)
        waiting, self._after_music = self._after_music, []
        scored += self._with_scores(waiting)
        if self._pool is not None:
            scored += self._ready(0)
            self._pool.shutdown()
        return scored, last.repeated

    def scored(self) -> FloatArray:
        """Return the raw scores of the windows that count, until now."""
        return np.array(self._scores, np.float64)

    def counted(self, pooling: str) -> IntArray:
        """Return which of the scored windows a pooling rule takes the mean of.

        A window with less than half of the speech of the fullest one does not count.
        """
        speech_s = np.array(self._speech_s)
        full = np.flatnonzero(speech_s >= _FULL_SHARE * speech_s.max(initial=0.0))
        return full[POOLING[pooling](self.scored()[full])]

    def _scored(self, framed: audio.Windows) -> list[RawWindow]:
        """Return the windows of which it is known what they are, scored if they hold speech."""
        starts_s, ends_s = framed.starts_s, framed.ends_s
        if self._cutter is not None:
            starts_s, ends_s = self._cutter.times_s(starts_s, ends_s)
        settled: list[_Window] = []
        times = zip(starts_s.tolist(), ends_s.tolist(), strict=True)
        for row, (start_s, end_s) in enumerate(times):
            speech_s = self.gauge.speech_s(start_s, end_s)
            is_music = not speech_s and self._gate_s > 0 and self.gauge.is_music(start_s, end_s)
            window = _Window(start_s, end_s, speech_s, framed.samples, row)
            settled += self._settled(window, is_music)
        return self._with_scores(settled)

    def _settled(self, window: _Window, is_music: bool) -> list[_Window]:
        """Return the windows whose being music is known with the next one, in order.

        Those between two that are music, and overlap or touch, are music too: all of their sound
        is. So a window that follows music waits until music can no more come back in time.
        """
        self._n_since_music += 1
        waiting = [*self._after_music, window]
        self._after_music = []
        if is_music:
            if self._n_since_music <= self._n_overlap:
                waiting = [replace(each, speech_s=0.0) for each in waiting]
            self._n_since_music = 0
        elif self._n_since_music < self._n_overlap:
            self._after_music = waiting
            return []
        return waiting

    def _with_scores(self, windows: list[_Window]) -> list[RawWindow]:
        """Return windows with their scores; with threads those that are done by now."""
        enough = [window for window in windows if window.speech_s >= self._gate_s]
        if self._pool is None:
            return self._raw(windows, self._outputs(enough))
        self._pending.append((windows, self._pool.submit(self._outputs, enough)))
        return self._ready(self._n_ahead)

    def _ready(self, n_left: int) -> list[RawWindow]:
        """Wait until so many batches are left in work; return the others, in order."""
        ready: list[RawWindow] = []
        while len(self._pending) > n_left:
            windows, outputs = self._pending.popleft()
            ready += self._raw(windows, outputs.result())
        return ready

    def _outputs(self, windows: list[_Window]) -> _Scores:
        if not windows:
            return _NONE, _NONE, _NONE
        inputs = _without_offset(_samples_of(windows))
        scores, experts, weights = map(_as_float64, self._score_windows(inputs))
        if not all(
            (np.abs(output) < _LARGEST_SCORE).all() for output in (scores, experts, weights)
        ):
            raise BundleError(
                f"the detector gave a score that is not finite, or beyond "
                f"{_LARGEST_SCORE:.0e}, near {windows[0].start_s:g} s; "
                "its weights are damaged: train it again, or use another detector"
            )
        return scores, experts, weights

    def _raw(self, windows: list[_Window], outputs: _Scores) -> list[RawWindow]:
        speech_s = [window.speech_s for window in windows if window.speech_s >= self._gate_s]
        self._scores += outputs[0].tolist()
        self._speech_s += speech_s
        scores = zip(*(output.tolist() for output in outputs), strict=True)
        return [
            RawWindow(
                window.start_s,
                window.end_s,
                window.speech_s,
                *(next(scores) if window.speech_s >= self._gate_s else (None, [], [])),
            )
            for window in windows
        ]


def _as_float64(numbers: FloatArray) -> FloatArray:
    return np.asarray(numbers, np.float64)


def _samples_of(windows: list[_Window]) -> FloatArray:
    """Return the samples of windows, [N, T]: those in one stretch as a view of it, not copied.

    A detector sees by the strides that windows overlap, and computes what they share once.
    """
    first, n_windows = windows[0], len(windows)
    end = first.row + n_windows
    if all(
        window.cut is first.cut and window.row == row
        for window, row in zip(windows, range(first.row, end), strict=True)
    ):
        return first.cut[first.row : end]
    return np.stack([window.cut[window.row] for window in windows])


def _without_offset(windows: FloatArray) -> FloatArray:
    """Return windows [N, T] without their means, where these are more than a detector has met."""
    offsets = windows.mean(axis=1, keepdims=True, dtype=np.float32)
    large = np.abs(offsets) > OFFSET
    return windows - np.where(large, offsets, 0) if large.any() else windows
