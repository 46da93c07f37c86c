"""Windows of a recording: equal pieces, of the whole or of a stream, for any chunking.

N windows, T samples at 16 kHz.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unheard.audio.recording import SAMPLE_RATE_HZ
from unheard.errors import AudioError
from unheard.types import FloatArray, IntArray

__all__ = ["Windower", "Windows", "windows"]


@dataclass(frozen=True, eq=False)
class Windows:
    """Equal pieces of a recording, in order.

    Attributes:
        samples: Shape [N, T] float32, not to be written to: windows that overlap may share memory.
        starts_s: Shape [N], seconds from the start of the recording.
        ends_s: Shape [N], end of the audio in the window; of a repeated clip, the clip's end.
        repeated: Whether the clip was shorter than one window and was repeated to fill it.
    """

    samples: FloatArray
    starts_s: FloatArray
    ends_s: FloatArray
    repeated: bool


def windows(samples: FloatArray, *, window_s: float, hop_s: float) -> Windows:
    """Cut a recording into windows of equal length.

    The last window is aligned with the end of the recording, so all of it is covered and nothing
    is padded: silence at the end would be a cue. A shorter clip is repeated to fill one window.

    Args:
        samples: Shape [T'], at 16 kHz.
        window_s: Length of a window, seconds.
        hop_s: From one start to the next, seconds; at most `window_s`, so that no audio is missed.

    Returns:
        Windows [N, T]; N is 0 for an empty recording.

    Raises:
        AudioError: If window_s or hop_s do not fit.
    """
    windower = Windower(window_s, hop_s)
    body, tail = windower.push(samples), windower.close()
    return Windows(
        samples=np.concatenate([body.samples, tail.samples]),
        starts_s=np.concatenate([body.starts_s, tail.starts_s]),
        ends_s=np.concatenate([body.ends_s, tail.ends_s]),
        repeated=tail.repeated,
    )


class Windower:
    """Cuts a stream into the windows that `windows` would cut of the whole, for any chunking.

    Between two pushes it holds at most one window of audio.
    """

    def __init__(self, window_s: float, hop_s: float) -> None:
        self.n_window = round(window_s * SAMPLE_RATE_HZ)
        self.n_hop = round(hop_s * SAMPLE_RATE_HZ)
        if not 1 <= self.n_hop <= self.n_window:
            raise AudioError(
                f"windows of {window_s:g} s every {hop_s:g} s; "
                "a hop above 0 and at most one window is wanted, so that no audio is missed"
            )
        self._buffer = np.zeros(0, np.float32)
        self._n_seen = 0
        self._next = 0

    @property
    def n_missing(self) -> int:
        """Samples that complete the next window."""
        return self._next + self.n_window - self._n_seen

    def push(self, samples: FloatArray) -> Windows:
        """Take samples [n]; return the windows that they complete, N may be 0."""
        buffer = np.concatenate([self._buffer, np.asarray(samples, np.float32)])
        offset = self._n_seen - len(self._buffer)
        self._n_seen += len(samples)
        starts = np.arange(self._next, self._n_seen - self.n_window + 1, self.n_hop)
        self._next += len(starts) * self.n_hop
        self._buffer = buffer[max(0, len(buffer) - self.n_window) :].copy()
        if not len(starts):
            return self._windows(np.zeros((0, self.n_window), np.float32), starts)
        views = np.lib.stride_tricks.sliding_window_view(buffer, self.n_window)
        return self._windows(views[starts[0] - offset :: self.n_hop], starts)

    def close(self) -> Windows:
        """Return what is left: the right-aligned last window, or a short clip repeated."""
        n_left = self._n_seen - self._next
        n_covered = self.n_window - self.n_hop if self._next else 0
        if n_left <= n_covered:
            return self._windows(np.zeros((0, self.n_window), np.float32), np.zeros(0, np.int64))
        short = self._n_seen < self.n_window
        last = np.resize(self._buffer, self.n_window) if short else self._buffer
        return self._windows(last[None], np.array([max(0, self._n_seen - self.n_window)]), short)

    def _windows(self, samples: FloatArray, starts: IntArray, short: bool = False) -> Windows:
        ends = np.minimum(starts + self.n_window, self._n_seen)
        return Windows(samples, starts / SAMPLE_RATE_HZ, ends / SAMPLE_RATE_HZ, short)
