"""What a graph can hold in place of operations that it cannot; the same numbers, up to rounding.

Layers take these roads while torch writes them as a graph (`torch.compiler.is_exporting()`), so
that batch and length stay free in it. Training and scoring in torch never do.

B clips, T samples, F frames, K frequency bins, N nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from unheard.types import FloatArray

__all__ = [
    "at_least",
    "fourier_matrix",
    "largest_in_parts",
    "power_spectrogram",
    "recurrent",
    "share_of",
]


_free: Any = torch
"""Its functions of sizes that may be free have no types; int() and max() would fix such a size."""


def power_spectrogram(
    waveform: Tensor,
    window: Tensor,
    *,
    n_fft: int,
    n_hop: int,
    pad_mode: Literal["constant", "reflect"],
) -> Tensor:
    """Return the power of a centred short-time Fourier transform, as a product with its matrix.

    Args:
        waveform: Shape [B, T].
        window: Shape [n_window], n_window <= n_fft; it lies in the middle of the transform.
        n_fft: Length of the transform.
        n_hop: Samples from one frame to the next.
        pad_mode: What the clip is continued with, by n_fft // 2 samples on both sides.

    Returns:
        Shape [B, F, K], F = T // n_hop + 1, K = n_fft // 2 + 1.
    """
    n_window, half, n_bins = len(window), n_fft // 2, n_fft // 2 + 1
    before = (n_fft - n_window) // 2
    after = n_fft - n_window - before
    padded = nn.functional.pad(waveform[:, None], (half, half), mode=pad_mode)
    waves = fourier_matrix(n_fft, before, n_window)
    taps = torch.from_numpy(waves.astype(np.float32)) * window  # [2 K, n_window]
    framed = padded[:, :, before : padded.shape[2] - after]
    parts = nn.functional.conv1d(framed, taps[:, None], stride=n_hop).square()
    return (parts[:, :n_bins] + parts[:, n_bins:]).transpose(1, 2)


def fourier_matrix(n_fft: int, first: int, n_samples: int) -> FloatArray:
    """Return cosines and sines of a Fourier transform at some of its samples.

    Args:
        n_fft: Length of the transform.
        first: First sample.
        n_samples: How many.

    Returns:
        Shape [2 K, n_samples] float64, K = n_fft // 2 + 1: K rows of cosines, then K of sines.
    """
    turns = np.outer(np.arange(n_fft // 2 + 1), np.arange(first, first + n_samples)) % n_fft / n_fft
    return np.concatenate([np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)])


def largest_in_parts(maps: Tensor, n_parts: tuple[int, int]) -> Tensor:
    """Return the maxima of a map cut into a fixed number of parts, as `adaptive_max_pool2d`.

    Args:
        maps: Shape [B, C, F, M].
        n_parts: Parts along F and along M.

    Returns:
        Shape [B, C, *n_parts].
    """
    if not torch.compiler.is_exporting():
        pooled: Tensor = nn.functional.adaptive_max_pool2d(maps, n_parts)
        return pooled
    rows = _largest_along(maps.transpose(2, 3), n_parts[0])  # [B, C, M, parts]
    return _largest_along(rows.transpose(2, 3), n_parts[1])


def _largest_along(maps: Tensor, n_parts: int) -> Tensor:
    """Return the maxima of parts of the last axis, whose length may be free."""
    length_in = maps.shape[3]
    place = torch.arange(length_in, device=maps.device)
    part = torch.arange(n_parts, device=maps.device)[:, None]
    length = part.new_full((1,), length_in)
    first, last = part * length // n_parts, ((part + 1) * length - 1) // n_parts
    inside = (place >= first) & (place <= last)  # [parts, places]
    return torch.where(inside, maps[..., None, :], float("-inf")).amax(dim=4)


def recurrent(cells: nn.GRU | nn.LSTM, frames: Tensor) -> Tensor:
    """Return what recurrent layers make of frames; in a graph, as ONNX's operators GRU and LSTM.

    torch would write out one step after the other, for a fixed number of frames.

    Args:
        cells: One or more layers, in one direction or both, with batch_first and biases.
        frames: Shape [B, F, features].

    Returns:
        Shape [B, F, units of both directions].
    """
    if not torch.compiler.is_exporting():
        output: Tensor = cells(frames)[0]
        return output
    from torch.onnx.ops import symbolic_multi_out

    assert cells.batch_first, "the only layout that detectors use"
    kind, order = ("GRU", (1, 0, 2)) if isinstance(cells, nn.GRU) else ("LSTM", (0, 3, 1, 2))
    n_directions = 2 if cells.bidirectional else 1
    steps = frames.transpose(0, 1)  # [F, B, features]
    for layer in range(cells.num_layers):
        own = cells.all_weights[n_directions * layer : n_directions * (layer + 1)]
        weights, states, *biases = (
            torch.stack([_in_order(arrays[kind_of], order) for arrays in own])
            for kind_of in range(4)
        )
        shape = (steps.shape[0], n_directions, frames.shape[0], cells.hidden_size)
        direction = "bidirectional" if cells.bidirectional else "forward"
        attributes: dict[str, Any] = {"direction": direction, "hidden_size": cells.hidden_size}
        if kind == "GRU":
            attributes |= {"linear_before_reset": 1}  # as torch has it
        outputs = symbolic_multi_out(
            kind,
            (steps, weights, states, torch.cat(biases, dim=1)),
            attrs=attributes,
            dtypes=(frames.dtype,),
            shapes=(shape,),
            version=14,
        )
        steps = outputs[0].transpose(1, 2).flatten(2)  # [F, B, both directions]
    return steps.transpose(0, 1)


def _in_order(weights: Tensor, order: Sequence[int]) -> Tensor:
    """Return the gates of a cell's weights in the order that ONNX has."""
    return weights.view(len(order), -1, *weights.shape[1:])[list(order)].flatten(0, 1)


def share_of(n_nodes: int, share: float) -> int:
    """Return how many of N nodes a share is, at least one; N may be free."""
    return at_least(_free.sym_int(n_nodes * share), 1)


def at_least(n: int, least: int) -> int:
    """Return the larger of two numbers, the first of which may be free."""
    largest: int = _free.sym_max(n, least)
    return largest
