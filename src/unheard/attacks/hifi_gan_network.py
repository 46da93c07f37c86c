"""The generator of HiFi-GAN: from mel frames to samples by transposed and dilated convolutions.

B clips, C channels, F frames, M mel bands, T samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

__all__ = ["HifiGanNetwork", "HifiGanShape"]

_SLOPE, _LAST_SLOPE = 0.1, 0.01


@dataclass(frozen=True)
class HifiGanShape:
    """The size of a network; the defaults are those of V1.

    Attributes:
        rates: Samples that each stage makes of one; their product is the hop.
        kernels: Width of each stage's transposed convolution.
        n_channels: Channels C before the first stage; each stage halves them.
        widths: Kernel widths of the residual blocks that each stage averages.
        dilations: Dilations within each residual block.
        n_mels: Bands M.
    """

    rates: tuple[int, ...] = (8, 8, 2, 2)
    kernels: tuple[int, ...] = (16, 16, 4, 4)
    n_channels: int = 512
    widths: tuple[int, ...] = (3, 7, 11)
    dilations: tuple[int, ...] = (1, 3, 5)
    n_mels: int = 80

    @property
    def n_hop(self) -> int:
        """Samples of a frame."""
        return prod(self.rates)


class HifiGanNetwork(nn.Module):
    """The generator, with residual blocks of type 1; its modules are named as in published weights.

    Shape:
        log mel spectrogram [B, M, F] -> samples [B, F * n_hop] in [-1, 1].

    Source:
        Kong, Kim, Bae, "HiFi-GAN: generative adversarial networks for efficient and high fidelity
        speech synthesis", 2020, section 2.1 and table 5. Weight normalisation is multiplied out.
    """

    def __init__(self, shape: HifiGanShape) -> None:
        super().__init__()
        self.shape = shape
        self.conv_pre = nn.Conv1d(shape.n_mels, shape.n_channels, 7, padding=3)
        self.ups, self.resblocks = nn.ModuleList(), nn.ModuleList()
        n_channels = shape.n_channels
        for rate, kernel in zip(shape.rates, shape.kernels, strict=True):
            before, n_channels = n_channels, n_channels // 2
            # An odd surplus of the kernel over the rate is cut off on the right by one more.
            lead = (kernel - rate + 1) // 2
            self.ups.append(
                nn.ConvTranspose1d(
                    before, n_channels, kernel, rate, lead, output_padding=(kernel - rate) % 2
                )
            )
            self.resblocks.extend(
                _Residual(n_channels, width, shape.dilations) for width in shape.widths
            )
        self.conv_post = nn.Conv1d(n_channels, 1, 7, padding=3)

    def forward(self, logs: Tensor) -> Tensor:
        """Return the samples of log mel spectrograms."""
        out = self.conv_pre(logs)
        n_blocks = len(self.shape.widths)
        for stage, up in enumerate(self.ups):
            out = up(leaky_relu(out, _SLOPE))
            blocks = list(self.resblocks)[stage * n_blocks : (stage + 1) * n_blocks]
            out = sum(block(out) for block in blocks) / n_blocks
        samples = torch.tanh(self.conv_post(leaky_relu(out, _LAST_SLOPE)))
        return samples[:, 0]


class _Residual(nn.Module):
    """Pairs of convolutions, the first of each dilated, each pair added to what it was given."""

    def __init__(self, n_channels: int, width: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(
            nn.Conv1d(
                n_channels, n_channels, width, dilation=dilation, padding=dilation * (width // 2)
            )
            for dilation in dilations
        )
        self.convs2 = nn.ModuleList(
            nn.Conv1d(n_channels, n_channels, width, padding=width // 2) for _ in dilations
        )

    def forward(self, given: Tensor) -> Tensor:
        out = given
        for first, second in zip(self.convs1, self.convs2, strict=True):
            out = out + second(leaky_relu(first(leaky_relu(out, _SLOPE)), _SLOPE))
        return out
