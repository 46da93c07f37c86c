"""A speaker network as a front end: what its stages compute on the way to telling people apart.

B clips, T samples at 16 kHz, K frequency bands, F frames, C features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unheard.detectors.layers.encoder_weights import find, read_weights
from unheard.detectors.layers.features import full_precision
from unheard.detectors.layers.kaldi_mel import KaldiMel

__all__ = ["SpeakerStages"]

N_MELS = 80
N_CHANNELS = 32
N_FIRST, N_GROWTH, N_BOTTLENECK, N_CONTEXT = 128, 32, 128, 64
DENSE_LAYERS = (12, 24, 16)
DILATIONS = (1, 2, 2)
N_SEGMENT = 100
"""Frames that share a local context: two seconds."""
FAMILY = "campplus"


class SpeakerStages(nn.Module):
    """What six stages of CAM++ compute, on the way to an embedding that is not taken.

    Three are convolutions over time and frequency, three are blocks of densely joined layers over
    time. The network was taught to tell people apart whatever they say, in Mandarin and English;
    none of its weights learns here. Batch norms are folded into convolutions that stand before
    them.

    Shape:
        waveform [B, T] at 16 kHz, T >= 400 -> six of [B, F, C]: C = 1280, 640 and 320, 100 frames a
        second, then 512, 1024 and 1024, 50 a second.

    Source:
        Wang et al., CAM++: a fast and efficient network for speaker verification using
        context-aware masking, 2023, sections 2.1 to 2.3; its model zh_en_16k-common_advanced.

        Differences from the source: computed in float32 whatever the rest computes in.
    """

    n_features = (
        *(N_CHANNELS * N_MELS // 2, N_CHANNELS * N_MELS // 4, N_CHANNELS * N_MELS // 8),
        *(512, 1024, 1024),
    )
    shortest = KaldiMel.n_window

    def __init__(self) -> None:
        super().__init__()
        self.bands = KaldiMel(N_MELS, full_scale=1.0)
        c = N_CHANNELS
        self.conv1 = nn.Conv2d(1, c, 3, padding=1)
        self.layer1 = nn.Sequential(_Residual(halves=True), _Residual(halves=False))
        self.layer2 = nn.Sequential(_Residual(halves=True), _Residual(halves=False))
        self.conv2 = nn.Conv2d(c, c, 3, stride=(2, 1), padding=1)
        self.tdnn = nn.Conv1d(self.n_features[2], N_FIRST, 5, stride=2, padding=2)
        self.dense = nn.ModuleList()
        self.transit = nn.ModuleList()
        n_in = N_FIRST
        for n_layers, dilation in zip(DENSE_LAYERS, DILATIONS, strict=True):
            widths = range(n_in, n_in + n_layers * N_GROWTH, N_GROWTH)
            self.dense.append(_Block(_Dense(n, dilation) for n in widths))
            n_out = n_in + n_layers * N_GROWTH
            n_in = n_out // 2
            if len(self.dense) < len(DENSE_LAYERS):
                narrow = nn.Linear(n_out, n_in, bias=False)
                self.transit.append(nn.Sequential(_Scale(n_out), narrow))

    def forward(self, waveform: Tensor) -> list[Tensor]:
        """Return the frames of each stage, [B, T] -> six of [B, F, C]."""
        with full_precision(waveform):
            level = self.bands.levels(waveform)
            level = level - level.mean(dim=2, keepdim=True)  # [B, K, F]
            first = self.layer1(self.conv1(level[:, None]).relu())
            second = self.layer2(first)
            third = self.conv2(second).relu()
            stages = [maps.flatten(1, 2).transpose(1, 2) for maps in (first, second, third)]
            frames = self.tdnn(third.flatten(1, 2)).relu().transpose(1, 2)
            context = _context(frames)
            for number, block in enumerate(self.dense):
                if number:
                    frames = self.transit[number - 1](frames)
                frames = block(frames, context)
                stages.append(frames)
        return stages

    def pretrained(self, source: str) -> dict[str, Tensor]:
        """Return the published weights by name in this module.

        Args:
            source: A folder, or a name that `unheard encoder` builds.

        Raises:
            RecipeError: If there are none.
        """
        return read_weights(find(source), FAMILY)


class _Residual(nn.Module):
    """Two convolutions around which the input is added, [B, C, K, F] -> [B, C, K or K / 2, F]."""

    def __init__(self, halves: bool) -> None:
        super().__init__()
        stride, c = (2 if halves else 1, 1), N_CHANNELS
        self.conv1 = nn.Conv2d(c, c, 3, stride, padding=1)
        self.conv2 = nn.Conv2d(c, c, 3, padding=1)
        self.shortcut = nn.Conv2d(c, c, 1, stride) if halves else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        within: Tensor = self.conv2(self.conv1(x).relu()) + self.shortcut(x)
        return within.relu()


class _Scale(nn.Module):
    """Scale and shift each feature, then rectify: a batch norm before a layer, [B, F, C]."""

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n_features))
        self.bias = nn.Parameter(torch.zeros(n_features))

    def forward(self, x: Tensor) -> Tensor:
        return (x * self.weight + self.bias).relu()


class _Dense(nn.Module):
    """A layer that appends its output, masked by context: [B, F, C], [F, F] -> [B, F, C + 32]."""

    def __init__(self, n_in: int, dilation: int) -> None:
        super().__init__()
        self.scale = _Scale(n_in)
        self.narrow = nn.Linear(n_in, N_BOTTLENECK)
        self.local = nn.Conv1d(
            N_BOTTLENECK, N_GROWTH, 3, padding=dilation, dilation=dilation, bias=False
        )
        self.mask = nn.Sequential(
            nn.Linear(N_BOTTLENECK, N_CONTEXT),
            nn.ReLU(),
            nn.Linear(N_CONTEXT, N_GROWTH),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        narrow = self.narrow(self.scale(x)).relu()
        local = self.local(narrow.transpose(1, 2)).transpose(1, 2)
        return torch.cat([x, local * self.mask(context @ narrow)], dim=2)


class _Block(nn.ModuleList):
    """Dense layers one after the other: [B, F, C], [F, F] -> [B, F, C + 32 a layer]."""

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        for layer in self:
            x = layer(x, context)
        return x


def _context(frames: Tensor) -> Tensor:
    """Return what takes the mean of all frames plus that of a frame's segment, [B, F, C] -> [F, F].

    One product gives both, and a graph can hold it at any length.
    """
    n_frames = frames.shape[1]
    segment = torch.arange(n_frames, device=frames.device) // N_SEGMENT
    same = (segment[:, None] == segment).to(frames.dtype)
    return same / same.sum(dim=0) + 1 / n_frames
