"""The convolutions of a speech quality network as a front end: they read the complex spectrum.

B clips, T samples at 16 kHz, F frames (50 a second), K frequency bins, C features.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from unheard.detectors.layers.encoder_weights import find, read_weights
from unheard.detectors.layers.exporting import fourier_matrix
from unheard.detectors.layers.features import full_precision

__all__ = ["QualityConvolutions"]

N_WINDOW, N_HOP = 320, 160
COMPRESSION = 0.3
CHANNELS = (2, 64, 64, 128, 256, 256, 256)
SLOPE = 0.1
FAMILY = "distillmos"


class QualityConvolutions(nn.Module):
    """Frames of DistillMOS below its transformer: six convolutions over the complex spectrum.

    Magnitudes are compressed and phases kept, so what generators do to phase is within reach. The
    network was taught by XLS-R to judge the quality of speech; none of its weights learns here.

    Shape:
        waveform [B, T] at 16 kHz, T >= 480 -> [B, F, C]; F is about T / 320, C = 1024.

    Source:
        Stahl and Gamper, Distillation and pruning for scalable self-supervised representation-based
        speech quality assessment, 2025; the network of package distillmos 0.9.1.

        Differences from the source: clips are not padded to 7.68 s, and are scaled by the largest
        sample of each window.
    """

    taps: Tensor

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        n_bins = N_WINDOW // 2 + 1
        n_last = len(CHANNELS) - 2
        for number, (n_in, n_out) in enumerate(pairwise(CHANNELS)):
            stride = (2 if number else 1, 2 if number == n_last else 1)
            layers += [nn.Conv2d(n_in, n_out, 3, stride, (0, 1)), nn.LeakyReLU(SLOPE)]
            n_bins = (n_bins - 3) // stride[0] + 1
        self.cnn = nn.Sequential(*layers)
        self.n_features = CHANNELS[-1] * n_bins
        waves = fourier_matrix(N_WINDOW, 0, N_WINDOW)
        waves[N_WINDOW // 2 + 1 :] *= -1  # the imaginary part, as the source has it
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_WINDOW) / N_WINDOW)
        taps = torch.from_numpy((waves * window).astype(np.float32))[:, None]
        self.register_buffer("taps", taps, persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Return frames, [B, T] -> [B, F, C]."""
        maps: Tensor = self.cnn(self._spectrum(waveform))  # [B, 256, 4, F]
        return maps.flatten(1, 2).transpose(1, 2)

    def pretrained(self, source: str) -> dict[str, Tensor]:
        """Return the published weights by name in this module.

        Args:
            source: A folder, or a name that `unheard encoder` builds.

        Raises:
            RecipeError: If there are none.
        """
        return read_weights(find(source), FAMILY)

    def _spectrum(self, waveform: Tensor) -> Tensor:
        """Return real and imaginary parts with compressed magnitudes, [B, T] -> [B, 2, K, F]."""
        with full_precision(waveform):
            waveform = waveform.float()
            loudest = waveform.abs().amax(dim=1, keepdim=True)
            scaled = (waveform / loudest.clamp(min=1e-8))[:, None]
            half = (N_WINDOW - N_HOP) // 2
            padded = nn.functional.pad(scaled, (half, half), mode="reflect")
            parts = nn.functional.conv1d(padded, self.taps, stride=N_HOP)
            parts = torch.unflatten(parts, 1, (2, -1))
            magnitude = parts.square().sum(dim=1, keepdim=True).sqrt().clamp(min=1e-12)
            return parts * magnitude.pow(COMPRESSION - 1.0)
