"""The generator of Parallel WaveGAN: noise into speech by gated convolutions that read mel frames.

B clips, C channels, F frames, M mel bands, S channels of the sum, T samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod, sqrt

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

__all__ = ["ParallelWaveGanNetwork", "ParallelWaveGanShape", "renamed"]


@dataclass(frozen=True)
class ParallelWaveGanShape:
    """The size of a network; the defaults are those of the paper.

    Attributes:
        n_mels: Bands M.
        n_channels: Channels C of the residual path, and of the sum of all blocks.
        n_blocks: Blocks; dilations double from block to block and start again with each cycle.
        n_cycle: Blocks of a cycle.
        rates: Steps by which frames are stretched; their product is the hop.
    """

    n_mels: int = 80
    n_channels: int = 64
    n_blocks: int = 30
    n_cycle: int = 10
    rates: tuple[int, ...] = (4, 4, 4, 4)

    @property
    def n_hop(self) -> int:
        """Samples of a frame."""
        return prod(self.rates)


class ParallelWaveGanNetwork(nn.Module):
    """A WaveNet that is not causal and makes all samples at once.

    Shape:
        standardised log mel spectrogram [B, M, F], noise [B, 1, F * n_hop] -> samples
        [B, F * n_hop].

    Source:
        Yamamoto, Song, Kim, "Parallel WaveGAN: a fast waveform generation model based on generative
        adversarial networks with multi-resolution spectrogram", 2020. All blocks share one bias of
        what they add to the sum, which training makes equal and the published file keeps once.
    """

    def __init__(self, shape: ParallelWaveGanShape) -> None:
        super().__init__()
        self.shape = shape
        n_channels = shape.n_channels
        self.around = nn.Conv1d(shape.n_mels, shape.n_mels, 5, bias=False)
        self.stretches = nn.ModuleList(
            nn.Conv1d(1, 1, 2 * rate + 1, padding=rate, bias=False) for rate in shape.rates
        )
        self.first = nn.Conv1d(1, n_channels, 1)
        self.blocks = nn.ModuleList(
            _Block(shape.n_mels, n_channels, 2 ** (number % shape.n_cycle))
            for number in range(shape.n_blocks)
        )
        self.sum_bias = nn.Parameter(torch.zeros(n_channels))
        self.lower = nn.Conv1d(n_channels, n_channels, 1)
        self.last = nn.Conv1d(n_channels, 1, 1)

    def forward(self, logs: Tensor, noise: Tensor) -> Tensor:
        """Return the samples of spectrograms."""
        context = self._stretched(self.around(pad(logs, (2, 2), mode="replicate")))
        out, total = self.first(noise), self.sum_bias[:, None] * len(self.blocks)
        for block in self.blocks:
            out, part = block(out, context)
            total = total + part
        total = torch.relu(total * sqrt(1 / len(self.blocks)))
        samples: Tensor = self.last(torch.relu(self.lower(total)))
        return samples[:, 0]

    def _stretched(self, frames: Tensor) -> Tensor:
        """Repeat frames and smooth each band along time, step by step: [B, M, F] -> [B, M, T]."""
        bands = frames.flatten(0, 1)[:, None]
        for rate, smooth in zip(self.shape.rates, self.stretches, strict=True):
            bands = smooth(bands.repeat_interleave(rate, dim=2))
        return bands.reshape(*frames.shape[:2], -1)


class _Block(nn.Module):
    """A gated, dilated convolution; gives what goes on and what is added to the sum."""

    def __init__(self, n_mels: int, n_channels: int, dilation: int) -> None:
        super().__init__()
        self.wide = nn.Conv1d(n_channels, 2 * n_channels, 3, dilation=dilation, padding=dilation)
        self.context = nn.Conv1d(n_mels, 2 * n_channels, 1, bias=False)
        self.on = nn.Conv1d(n_channels, n_channels, 1)
        self.aside = nn.Conv1d(n_channels, n_channels, 1, bias=False)

    def forward(self, given: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        signal, gate = (self.wide(given) + self.context(context)).chunk(2, dim=1)
        inner = torch.tanh(signal) * torch.sigmoid(gate)
        return (self.on(inner) + given) * sqrt(0.5), self.aside(inner)


def renamed(variables: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the variables of the TensorFlow Lite file as weights of the network.

    TensorFlow keeps kernels as [taps, in, out], torch as [out, in, taps].
    """
    weights = {}
    for name, value in variables.items():
        kernel = value.permute(*reversed(range(value.ndim))) if value.ndim == 3 else value
        first, *rest = name.split("/")
        part = "bias" if name.endswith("/BiasAdd") else "weight"
        if first.startswith("residual_block_._"):
            number = first.removeprefix("residual_block_._")
            modules = {"conv1x1_aux": "context", "conv1x1_out": "on", "conv1x1_skip": "aside"}
            ours = f"blocks.{number}.{modules.get(rest[0], 'wide')}.{part}"
            weights["sum_bias" if ours.endswith("aside.bias") else ours] = kernel
        elif "upsample_network" in rest:
            number = rest[1].removeprefix("conv2d").removeprefix("_") or "0"
            weights[f"stretches.{number}.weight"] = value.reshape(1, 1, -1)
        else:
            known = {"first_convolution": "first", "tf_conv1d1x1": "lower"}
            known |= {"tf_conv1d1x1_1": "last", "tf_conv_in_upsample_net_work": "around"}
            weights[f"{known[first]}.{part}"] = kernel
    return weights
