"""Neural source-filter networks: a source of sines or noise, shaped by dilated convolutions.

B clips, C channels, F frames, T samples, H harmonics, K taps.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

__all__ = ["N_HARMONICS", "N_HOP", "N_INPUTS", "NsfKind", "NsfNetwork"]

NsfKind = Literal["hn", "hn-sinc", "cyc-noise"]

N_HOP = 80
"""Samples of a frame, at 16 kHz."""
N_HARMONICS = 8
"""Sines of the harmonic source: the fundamental and its overtones."""
N_INPUTS = 81
"""Mel bands, and the fundamental in hertz."""

_N_CHANNELS, _N_BLOCKS, _N_LAYERS = 64, 5, 10
_N_SINC = 31
# Taps of the fixed low- and high-pass filters of voiced and unvoiced samples.
_TAPS = {"l_fir_lp_v": 9, "l_fir_lp_u": 11, "l_fir_hp_v": 11, "l_fir_hp_u": 9}


class NsfNetwork(nn.Module):
    """One of three networks: a harmonic branch, a noise branch, and filters that join the two.

    The filters are fixed, two for voiced and two for unvoiced samples ("hn"), or windowed sincs at
    a cut-off that the network predicts for each sample ("hn-sinc", "cyc-noise"). Modules are named
    as in published weights.

    Shape:
        inputs [B, 81, F] (mel bands, then hertz, 0 where unvoiced), source [B, H, F * 80] (sines;
        one row for "cyc-noise"), noise [B, 1, F * 80] -> samples [B, F * 80].

    Source:
        Wang, Takaki, Yamagishi, "Neural source-filter waveform models for statistical parametric
        speech synthesis", 2020 (hn); Wang, Yamagishi, "Neural harmonic-plus-noise waveform model
        with trainable maximum voice frequency for text-to-speech synthesis", 2019 (hn-sinc), and
        "Using cyclic noise as the source signal for neural source-filter-based speech waveform
        model", 2020 (cyc-noise).
    """

    def __init__(self, kind: NsfKind) -> None:
        super().__init__()
        self.kind = kind
        self.input_mean = nn.Buffer(torch.zeros(N_INPUTS))
        self.input_std = nn.Buffer(torch.ones(N_INPUTS))
        # Published weights hold them; the output is left as it is.
        self.output_mean = nn.Buffer(torch.zeros(1))
        self.output_std = nn.Buffer(torch.ones(1))
        self.m_cond = _Condition(kind)
        if kind != "cyc-noise":
            self.m_source = nn.ModuleDict({"l_linear": nn.Linear(N_HARMONICS, 1)})
        self.m_filter = _Filter(kind)

    def forward(self, inputs: Tensor, source: Tensor, noise: Tensor) -> Tensor:
        """Return the samples of frames, given what excites the filters."""
        hertz = inputs[:, -1:]
        normal = (inputs - self.input_mean[:, None]) / self.input_std[:, None]
        voiced = (hertz > 0).to(inputs).repeat_interleave(N_HOP, dim=2)
        context, cut = self.m_cond(normal, voiced)
        if self.kind != "cyc-noise":
            source = torch.tanh(self.m_source["l_linear"](source.mT)).mT
        samples: Tensor = self.m_filter(source, noise, context, voiced, cut)
        return samples[:, 0]


class _Condition(nn.Module):
    """Frames to one vector for each sample, and to the cut-off of the sinc filters."""

    def __init__(self, kind: NsfKind) -> None:
        super().__init__()
        self.kind = kind
        if kind == "hn-sinc":
            widths = (N_INPUTS, _N_CHANNELS, _N_CHANNELS)
            self.l_conv1ds = nn.ModuleList(
                nn.Conv1d(width, _N_CHANNELS, 3, padding=1) for width in widths
            )
            self.l_upsamp_f0_hi = _Upsample(1)
        else:
            both = nn.LSTM(N_INPUTS, _N_CHANNELS // 2, bidirectional=True, batch_first=True)
            self.l_blstm = nn.ModuleDict({"l_blstm": both})
        n_out = _N_CHANNELS + (kind == "cyc-noise")
        if kind != "hn-sinc":
            self.l_conv1d = nn.Conv1d(_N_CHANNELS, n_out, 3, padding=1)
        self.l_upsamp = _Upsample(n_out)
        if kind != "hn":
            self.l_cut_f_smooth = _Average(1, 4 * N_HOP)

    def forward(self, normal: Tensor, voiced: Tensor) -> tuple[Tensor, Tensor]:
        """Return context [B, C, T] and cut-off [B, 1, T] as a share of half the sampling rate."""
        if self.kind == "hn-sinc":
            hidden = normal
            for convolution in self.l_conv1ds:
                hidden = torch.tanh(convolution(hidden))
        else:
            hidden = torch.tanh(self.l_conv1d(self.l_blstm["l_blstm"](normal.mT)[0].mT))
        wide = self.l_upsamp(hidden)
        if self.kind == "hn":
            return wide, voiced
        context, edge = wide[:, :-1], wide[:, -1:]
        if self.kind == "hn-sinc":
            context = torch.cat([context, self.l_upsamp_f0_hi(normal[:, -1:])], dim=1)
        return context, self.l_cut_f_smooth(0.3 + 0.4 * voiced + 0.2 * edge)


class _Filter(nn.Module):
    """The two branches, and the filters that let the harmonic one have the low frequencies."""

    def __init__(self, kind: NsfKind) -> None:
        super().__init__()
        self.kind = kind
        biased = kind == "cyc-noise"
        self.l_har_blocks = nn.ModuleList(
            _Block(_N_LAYERS, biased=biased) for _ in range(_N_BLOCKS)
        )
        self.l_noi_blocks = nn.ModuleList([_Block(_N_LAYERS // 2, biased=biased, adds=not biased)])
        if kind == "hn":
            for name, taps in _TAPS.items():
                setattr(self, name, nn.Conv1d(1, 1, taps, bias=False))

    def forward(
        self, source: Tensor, noise: Tensor, context: Tensor, voiced: Tensor, cut: Tensor
    ) -> Tensor:
        """Return samples [B, 1, T]."""
        for block in self.l_har_blocks:
            source = block(source, context)
        for block in self.l_noi_blocks:
            noise = block(noise, context)
        if self.kind == "hn":
            return self._fixed(source, noise, voiced)
        low, high = _sincs(cut)
        return _varying(source, low) + _varying(noise, high)

    def _fixed(self, source: Tensor, noise: Tensor, voiced: Tensor) -> Tensor:
        low_v, low_u, high_v, high_u = (
            getattr(self, name)(pad(branch, (taps - 1, 0)))
            for (name, taps), branch in zip(
                _TAPS.items(), (source, source, noise, noise), strict=True
            )
        )
        share = torch.sigmoid((voiced - 0.5) * 10)
        mixed: Tensor = (low_v + high_v) * share + (low_u + high_u) * (1 - share)
        return mixed


class _Block(nn.Module):
    """Causal convolutions of growing dilation, each fed the context; added to what came in."""

    def __init__(self, n_layers: int, *, biased: bool, adds: bool = True) -> None:
        super().__init__()
        self.adds = adds
        self.scale = nn.Buffer(torch.tensor([0.1]))
        self.l_ff_1 = nn.Linear(1, _N_CHANNELS, bias=biased)
        self.l_convs = nn.ModuleList(
            nn.Conv1d(_N_CHANNELS, _N_CHANNELS, 3, dilation=2**layer, bias=biased)
            for layer in range(n_layers)
        )
        self.l_ff_2 = nn.Linear(_N_CHANNELS, _N_CHANNELS // 4, bias=biased)
        self.l_ff_3 = nn.Linear(_N_CHANNELS // 4, 1, bias=biased)

    def forward(self, signal: Tensor, context: Tensor) -> Tensor:
        hidden = torch.tanh(self.l_ff_1(signal.mT)).mT
        for layer, convolution in enumerate(self.l_convs):
            past = pad(hidden, (2 * 2**layer, 0))
            hidden = hidden + torch.tanh(convolution(past)) + context
        narrow = torch.tanh(self.l_ff_2((hidden * self.scale).mT))
        output: Tensor = self.l_ff_3(narrow).mT
        return torch.tanh(output) + signal if self.adds else output


class _Average(nn.Conv1d):
    """A moving average of each channel; its equal taps are kept with the weights."""

    def __init__(self, n_channels: int, n_taps: int) -> None:
        super().__init__(n_channels, n_channels, n_taps, groups=n_channels, bias=False)
        nn.init.constant_(self.weight, 1 / n_taps)

    def forward(self, given: Tensor) -> Tensor:
        before = (self.kernel_size[0] - 1) // 2
        around = (before, self.kernel_size[0] - 1 - before)
        return super().forward(pad(given, around, mode="replicate"))


class _Upsample(nn.Module):
    """Frames to samples: repeated, then smoothed twice."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.l_ave1 = _Average(n_channels, N_HOP)
        self.l_ave2 = _Average(n_channels, N_HOP)

    def forward(self, frames: Tensor) -> Tensor:
        smooth: Tensor = self.l_ave1(self.l_ave2(frames.repeat_interleave(N_HOP, dim=2)))
        return smooth


def _sincs(cut: Tensor) -> tuple[Tensor, Tensor]:
    """Low- and high-pass filters at a cut-off for each sample, [B, 1, T] -> two of [B, K, T].

    Hamming-windowed sincs whose gain is 1 at 0 hertz and at half the sampling rate.
    """
    taps = torch.arange(_N_SINC).to(cut)[:, None] - _N_SINC // 2
    window = 0.54 + 0.46 * torch.cos(2 * math.pi * taps / _N_SINC)
    low = cut * torch.sinc(cut * taps)
    high = (torch.sinc(taps) - low) * window
    low = low * window
    signs = 1 - 2 * (taps.abs() % 2)
    return low / low.sum(1, keepdim=True), high / (high * signs).sum(1, keepdim=True)


def _varying(signal: Tensor, filters: Tensor) -> Tensor:
    """Filter a signal [B, 1, T] with taps for each sample [B, K, T], the first for the newest."""
    past = pad(signal, (_N_SINC - 1, 0)).unfold(2, _N_SINC, 1)[:, 0].flip(2)  # [B, T, K]
    return (past * filters.mT).sum(2)[:, None]
