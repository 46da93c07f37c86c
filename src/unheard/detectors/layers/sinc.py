"""A fixed bank of band-pass filters over the waveform, as in RawNet2 and AASIST.

B clips, T samples, N filters, L taps.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from unheard.audio import SAMPLE_RATE_HZ
from unheard.types import FloatArray

__all__ = ["SincFilters"]


class SincFilters(nn.Module):
    """Ideal band-pass filters side by side on the mel scale, each cut short by a Hamming window.

    Nothing is learned: the bands cover 0 to 8 kHz, each from the edge of the one before.

    Shape:
        waveform [B, T] at 16 kHz -> [B, n_filters, T - n_taps + 1].

    Source:
        Ravanelli and Bengio, Speaker recognition from raw waveform with SincNet, 2018, equations 4
        to 6, with the fixed mel bands of Tak et al., End-to-end anti-spoofing with RawNet2, 2021.

        Differences from the source: the taps are computed in double precision and then rounded.
    """

    taps: Tensor

    def __init__(self, n_filters: int, n_taps: int) -> None:
        super().__init__()
        taps = torch.from_numpy(_taps(n_filters, n_taps).astype(np.float32))
        self.register_buffer("taps", taps.unsqueeze(1), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Return one filtered waveform per band, [B, T] -> [B, N, T - L + 1]."""
        return nn.functional.conv1d(waveform.unsqueeze(1), self.taps)


def _taps(n_filters: int, n_taps: int) -> FloatArray:
    """Return the filters, shape [N, L]."""
    highest_mel = 2595 * np.log10(1 + SAMPLE_RATE_HZ / 2 / 700)
    edges_hz = 700 * (10 ** (np.linspace(0, highest_mel, n_filters + 1) / 2595) - 1)
    place = np.arange(n_taps) - (n_taps - 1) / 2
    rate = 2 * edges_hz[:, None] / SAMPLE_RATE_HZ
    low_pass = rate * np.sinc(rate * place)  # [N + 1, L], up to each edge
    taps: FloatArray = np.hamming(n_taps) * np.diff(low_pass, axis=0)
    return taps
