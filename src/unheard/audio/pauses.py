"""Pauses cut short, so that windows are laid over speech; times stay the recording's own.

K frames of 30 ms, T samples at 16 kHz.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from unheard.audio.recording import SAMPLE_RATE_HZ
from unheard.types import BoolArray, FloatArray, IntArray

__all__ = ["PAUSE_FRAMES", "PauseCutter"]

PAUSE_FRAMES = 5
"""Frames that stay on each side of a pause, 0.15 s; docs/design.md has how they were chosen."""


class PauseCutter:
    """Leaves out the middle of pauses, the same for any chunking; delays nothing within speech.

    Holds at most six frames, and where the parts that it kept began.
    """

    def __init__(self, n_frame: int) -> None:
        self._n_frame = n_frame
        self._n_in = self._n_out = 0  # samples that came, and that were kept
        self._n_open = 0  # frames that are still kept, the one under way among them
        self._held: deque[FloatArray] = deque()  # frames of a pause, the last one under way
        self._n_under_way = 0
        # Where kept parts begin, in what was kept and in what came.
        self._kept_starts = [0]
        self._starts = [0]

    @property
    def n_held(self) -> int:
        """Samples that the next frame of speech may add to what is kept, before its own."""
        return sum(part.size for part in self._held)

    def push(self, samples: FloatArray, is_speech: BoolArray) -> FloatArray:
        """Take the next samples [T] and whether the frames that they complete are speech, [K].

        Returns what is kept of them and of those before, shape [T'].
        """
        kept: list[FloatArray] = []
        at = 0
        for speech in [*is_speech.tolist(), None]:
            missing = self._n_frame - self._n_under_way
            part = samples[at : at + missing]
            at += part.size
            self._take(part, kept)
            if speech is None:
                break
            self._end_frame(speech, kept)
        return np.concatenate(kept) if kept else samples[:0]

    def _take(self, part: FloatArray, kept: list[FloatArray]) -> None:
        self._n_under_way += part.size
        self._n_in += part.size
        if not part.size:
            return
        if self._n_open:
            self._keep(part, self._n_in - part.size, kept)
        elif self._n_under_way > part.size:
            self._held[-1] = np.concatenate([self._held[-1], part])
        else:
            self._held.append(part)

    def _end_frame(self, speech: bool, kept: list[FloatArray]) -> None:
        self._n_under_way = 0
        self._n_open = max(0, self._n_open - 1)
        if speech:
            start = self._n_in - self.n_held
            for part in self._held:
                self._keep(part, start, kept)
                start += part.size
            self._held.clear()
            self._n_open = PAUSE_FRAMES
        elif len(self._held) > PAUSE_FRAMES:
            self._held.popleft()

    def _keep(self, part: FloatArray, start: int, kept: list[FloatArray]) -> None:
        if start - self._n_out != self._starts[-1] - self._kept_starts[-1]:
            self._kept_starts.append(self._n_out)
            self._starts.append(start)
        self._n_out += part.size
        kept.append(part)

    def times_s(self, starts_s: FloatArray, ends_s: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return where windows of what was kept, [N], begin and end in the recording."""
        firsts = np.rint(starts_s * SAMPLE_RATE_HZ).astype(np.int64)
        lasts = np.rint(ends_s * SAMPLE_RATE_HZ).astype(np.int64) - 1
        return self._places(firsts) / SAMPLE_RATE_HZ, (self._places(lasts) + 1) / SAMPLE_RATE_HZ

    def _places(self, numbers: IntArray) -> IntArray:
        kept_starts = np.array(self._kept_starts)
        part = np.searchsorted(kept_starts, numbers, side="right") - 1
        places: IntArray = np.array(self._starts)[part] + numbers - kept_starts[part]
        return places
