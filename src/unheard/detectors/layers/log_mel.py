"""Whisper's log-mel features, for windows of any length.

B clips, T samples at 16 kHz, K frequencies.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unheard.audio import SAMPLE_RATE_HZ
from unheard.detectors.layers.exporting import power_spectrogram

__all__ = ["LogMel"]


class LogMel(nn.Module):
    """Whisper's log-mel features: 25 ms windows every 10 ms, natural range about -1 to 1.

    Shape:
        waveform [B, T] -> [B, n_mels, T // 160].

    Source:
        Radford et al., 2022; equality with transformers' extractor on unpadded input is tested.
    """

    n_fft = 400
    n_hop = 160
    filters: Tensor
    window: Tensor

    def __init__(self, n_mels: int) -> None:
        super().__init__()
        from transformers.audio_utils import mel_filter_bank

        filters = mel_filter_bank(
            1 + self.n_fft // 2, n_mels, 0.0, 8000.0, SAMPLE_RATE_HZ, "slaney", "slaney"
        )
        self.register_buffer("filters", torch.tensor(filters.T.astype("float32")), persistent=False)
        self.register_buffer("window", torch.hann_window(self.n_fft), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Return log-mel features, [B, T] -> [B, n_mels, T // 160], in float32."""
        with torch.autocast(waveform.device.type, enabled=False):
            power = self._power(waveform.float())
            level = (self.filters @ power).clamp(min=1e-10).log10()
            floor = level.amax(dim=(1, 2), keepdim=True) - 8.0
            return (torch.maximum(level, floor) + 4.0) / 4.0

    def _power(self, waveform: Tensor) -> Tensor:
        """Return the power of all frames but the last, [B, T] -> [B, K, T // 160]."""
        if torch.compiler.is_exporting():
            power = power_spectrogram(
                waveform, self.window, n_fft=self.n_fft, n_hop=self.n_hop, pad_mode="reflect"
            )
            return power[:, :-1].transpose(1, 2)
        transform = torch.stft(
            waveform, self.n_fft, self.n_hop, window=self.window, return_complex=True
        )
        return torch.view_as_real(transform[..., :-1]).square().sum(dim=-1)
