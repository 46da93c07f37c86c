"""The generator of chunked autoregressive GAN: each chunk is given how the one before it ended.

B clips, C channels, F frames of a chunk, M mel bands, P samples of the past, T samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

__all__ = ["CarganNetwork", "CarganShape"]

_SLOPE = 0.1


@dataclass(frozen=True)
class CarganShape:
    """The size of a network; the defaults are those of the published weights.

    Attributes:
        n_mels: Bands M.
        n_past: Samples P that each chunk is given of the one before.
        n_hidden: Width of the layers that read the past.
        n_context: Numbers that they make of it.
        widths: Channels C of each block.
        rates: Samples that each block makes of one; their product is the hop.
        n_chunk: Samples of a chunk, a multiple of the hop.
    """

    n_mels: int = 80
    n_past: int = 512
    n_hidden: int = 256
    n_context: int = 128
    widths: tuple[int, ...] = (768, 768, 384, 384, 384, 384, 192, 192, 96, 96)
    rates: tuple[int, ...] = (1, 1, 4, 4, 4, 1, 2, 1, 2, 1)
    n_chunk: int = 2048

    @property
    def n_hop(self) -> int:
        """Samples of a frame."""
        return prod(self.rates)


class CarganNetwork(nn.Module):
    """Blocks of GAN-TTS over mel frames, joined with what is read out of the past samples.

    Shape:
        log mel spectrogram [B, M, F] -> samples [B, F * n_hop] in [-1, 1], chunk by chunk.

    Source:
        Morrison et al., "Chunked autoregressive GAN for conditional waveform synthesis", 2022,
        section 3; the blocks are those of Binkowski et al., "High fidelity speech synthesis with
        adversarial networks", 2020, without their conditional normalisation. Differs: frames that
        fill up the last chunk repeat the last one instead of being zero.
    """

    def __init__(self, shape: CarganShape) -> None:
        super().__init__()
        self.shape = shape
        width = shape.widths[0]
        self.first = nn.Conv1d(shape.n_mels + shape.n_context, width, 1)
        self.blocks = nn.ModuleList()
        for rate, wider in zip(shape.rates, shape.widths, strict=True):
            self.blocks.append(_Block(width, wider, rate))
            width = wider
        self.last = nn.Conv1d(width, 1, 3, padding=1)
        widths = (shape.n_past, *(shape.n_hidden,) * 4, shape.n_context)
        self.past = nn.ModuleList(nn.Linear(n_in, n_out) for n_in, n_out in pairwise(widths))

    def forward(self, logs: Tensor) -> Tensor:
        """Return the samples of log mel spectrograms."""
        n_frames, n_chunk = logs.shape[2], self.shape.n_chunk // self.shape.n_hop
        filled = nn.functional.pad(logs, (0, -n_frames % n_chunk), mode="replicate")
        chunks = [logs.new_zeros(len(logs), self.shape.n_chunk)]
        for frames in torch.split(filled, n_chunk, dim=2):
            chunks.append(self._chunk(frames, chunks[-1][:, -self.shape.n_past :]))
        return torch.cat(chunks[1:], dim=1)[:, : n_frames * self.shape.n_hop]

    def _chunk(self, frames: Tensor, past: Tensor) -> Tensor:
        for number, layer in enumerate(self.past):
            past = layer(past if number == 0 else leaky_relu(past, _SLOPE))
        context = past[:, :, None].expand(-1, -1, frames.shape[2])
        out = self.first(torch.cat([frames, context], dim=1))
        for block in self.blocks:
            out = block(out)
        return torch.tanh(self.last(torch.relu(out)))[:, 0]


class _Block(nn.Module):
    """Two pairs of dilated convolutions, each pair added to what it was given."""

    def __init__(self, n_in: int, n_out: int, rate: int) -> None:
        super().__init__()
        self.grow = nn.Upsample(scale_factor=rate) if rate > 1 else nn.Identity()
        self.one = nn.Conv1d(n_in, n_out, 3, padding=1)
        self.two = nn.Conv1d(n_out, n_out, 3, dilation=3, padding=3)
        self.skip = nn.Conv1d(n_in, n_out, 1)
        self.three = nn.Conv1d(n_out, n_out, 3, dilation=9, padding=9)
        self.four = nn.Conv1d(n_out, n_out, 3, dilation=27, padding=27)

    def forward(self, given: Tensor) -> Tensor:
        out = self.two(torch.relu(self.one(self.grow(torch.relu(given)))))
        out = out + self.skip(self.grow(given))
        kept: Tensor = out + self.four(torch.relu(self.three(torch.relu(out))))
        return kept
