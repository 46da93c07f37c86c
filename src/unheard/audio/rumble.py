"""A high-pass filter for sound as it comes, frame by frame.

Loading scipy.signal for it takes longer than a short clip takes to be scored.

T samples of a frame, S states of the filter.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from unheard.types import FloatArray

__all__ = ["HighPass"]

_N_BLOCK = 80
"""Samples that are filtered by one product; the work grows with it, the number of calls falls."""

_Section = tuple[tuple[float, float, float], tuple[float, float]]
"""A section of second order: b0, b1, b2 and a1, a2, with a0 = 1."""


class HighPass:
    """A Butterworth high-pass of even order, the same for any chunking.

    It starts as if the first sample had been there for ever.

    Source:
        The bilinear transform of S. Butterworth, "On the theory of filter amplifiers", 1930, in
        sections of second order; agrees with `scipy.signal.sosfilt` to rounding.
    """

    def __init__(self, order: int, edge_hz: float, rate_hz: int) -> None:
        """Design the filter; `order` is even."""
        self._step, self._at_rest = _designed(order, edge_hz, rate_hz)
        self._state: FloatArray | None = None

    def push(self, frames: FloatArray) -> FloatArray:
        """Return frames [N, T] filtered, float32; T is a multiple of 80 samples."""
        blocks = frames.reshape(-1, _N_BLOCK)
        filtered = np.empty(blocks.shape, np.float32)
        if self._state is None and blocks.size:
            self._state = self._at_rest * float(blocks[0, 0])
        for block, row in zip(blocks, filtered, strict=True):  # one shape: the same sums always
            both = self._step @ np.concatenate([block, self._state])
            row[:], self._state = both[:_N_BLOCK], both[_N_BLOCK:]
        return filtered.reshape(frames.shape)


@lru_cache(maxsize=4)
def _designed(order: int, edge_hz: float, rate_hz: int) -> tuple[FloatArray, FloatArray]:
    """Return the product that filters a block, and the states after a constant 1 for ever.

    The product takes (samples, states) to (filtered samples, states).
    """
    sections = _sections(order, edge_hz, rate_hz)
    n_states = 2 * len(sections)
    rows = [_next(sections, unit[0], unit[1:]) for unit in np.eye(n_states + 1)]
    one = np.array(rows).T  # (output, states) from (sample, states)
    step = np.eye(_N_BLOCK + n_states)
    for at in range(_N_BLOCK):
        used = [at, *range(_N_BLOCK, _N_BLOCK + n_states)]
        step[used] = one @ step[used]
    at_rest = np.linalg.solve(np.eye(n_states) - one[1:, 1:], one[1:, 0])
    return step, at_rest


def _sections(order: int, edge_hz: float, rate_hz: int) -> list[_Section]:
    angle = 2 * math.pi * edge_hz / rate_hz
    sections: list[_Section] = []
    for pair in range(order // 2):
        damping = math.sin(angle) * math.cos(math.pi * (2 * pair + 1) / (2 * order))
        scale = 1 / (1 + damping)
        gain = scale * (1 + math.cos(angle)) / 2
        feedback = (-2 * scale * math.cos(angle), scale * (1 - damping))
        sections.append(((gain, -2 * gain, gain), feedback))
    return sections


def _next(sections: list[_Section], sample: float, states: FloatArray) -> list[float]:
    """Return the output and the next states of sections in a row, transposed direct form II."""
    following: list[float] = []
    for number, ((b0, b1, b2), (a1, a2)) in enumerate(sections):
        first, second = states[2 * number : 2 * number + 2]
        output = b0 * sample + first
        following += [b1 * sample - a1 * output + second, b2 * sample - a2 * output]
        sample = output
    return [sample, *following]
