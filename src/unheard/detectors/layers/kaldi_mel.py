"""Kaldi's log-mel features, as w2v-BERT 2.0 and speaker networks read them.

B clips, T samples at 16 kHz, F frames (50 a second), K frequency bins.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from unheard.audio import SAMPLE_RATE_HZ
from unheard.detectors.layers.exporting import fourier_matrix

__all__ = ["KaldiMel"]


class KaldiMel(nn.Module):
    """Log-mel features of 25 ms every 10 ms, each band with mean 0 and variance 1, in pairs.

    All that is linear in a frame (its mean taken away, pre-emphasis, window, Fourier transform) is
    one matrix, so that a graph can hold it.

    Shape:
        waveform [B, T] -> [B, F, 2 n_mels], F about T / 320; T from 560, which is one pair.

    Source:
        Barrault et al., Seamless, 2023; equality with transformers' extractor is tested.
    """

    n_window = 400
    n_fft = 512
    n_hop = 160
    shortest = n_window + n_hop
    taps: Tensor
    filters: Tensor

    def __init__(self, n_mels: int, full_scale: float = 2.0**15) -> None:
        """Make the matrices.

        Args:
            n_mels: Number of bands.
            full_scale: What a sample of 1 counts: Kaldi's steps of 16 bits, or 1 where a network
                was taught on samples in [-1, 1]; it decides how quiet the floor is.
        """
        super().__init__()
        from transformers.audio_utils import mel_filter_bank, window_function

        n, n_bins = self.n_window, self.n_fft // 2 + 1
        centred = np.eye(n) - 1 / n
        emphasis = np.eye(n) - 0.97 * np.eye(n, k=-1)
        emphasis[0, 0] = 1 - 0.97
        waves = fourier_matrix(self.n_fft, 0, n)
        taps = waves * window_function(n, "povey", periodic=False) @ emphasis @ centred
        filters = mel_filter_bank(
            n_bins,
            n_mels,
            20,
            8000.0,
            SAMPLE_RATE_HZ,
            None,
            "kaldi",
            triangularize_in_mel_space=True,
        )
        self._constant("taps", full_scale * taps[:, None])  # [2 K, 1, n_window]
        self._constant("filters", filters.T)  # [n_mels, K]

    def _constant(self, name: str, values: np.ndarray) -> None:
        self.register_buffer(name, torch.tensor(values.astype("float32")), persistent=False)

    def levels(self, waveform: Tensor) -> Tensor:
        """Return log levels of the bands, [B, T] -> [B, n_mels, F], 100 frames a second."""
        parts = nn.functional.conv1d(waveform.float()[:, None], self.taps, stride=self.n_hop)
        cosine, sine = parts.square().chunk(2, dim=1)
        return (self.filters @ (cosine + sine)).clamp(min=2.0**-23).log()

    def forward(self, waveform: Tensor) -> Tensor:
        """Return pairs of frames, [B, T] -> [B, F, 2 n_mels], in float32."""
        with torch.autocast(waveform.device.type, enabled=False):
            level = self.levels(waveform)
            centred = level - level.mean(dim=2, keepdim=True)
            n_frames = level.shape[2]
            variance = centred.square().sum(dim=2, keepdim=True) / (n_frames - 1)
            bands = (centred / (variance + 1e-7).sqrt()).transpose(1, 2)
            n_pairs = n_frames // 2
            return bands[:, : 2 * n_pairs].reshape(len(waveform), n_pairs, -1)
