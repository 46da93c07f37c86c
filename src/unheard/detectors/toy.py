"""A detector that needs no training: for tests, documentation and trying out the service.

B clips, T samples, F frames, K frequency bins, D embedding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from unheard.detectors.detector import Detector
from unheard.detectors.layers.features import Framing, Spectrogram
from unheard.errors import RecipeError

__all__ = ["Toy"]


@dataclass(frozen=True, kw_only=True)
class Toy:
    """What to build: a linear function of a few spectral statistics. It detects nothing real.

    Attributes:
        n_bands: Bands of equal width in which the spectrum's shape is measured.
    """

    kind: ClassVar[str] = "toy"

    n_bands: int = 8

    def __post_init__(self) -> None:
        if not 1 <= self.n_bands <= 64:
            raise RecipeError(f"n_bands={self.n_bands}; choose 1 to 64")

    def build(self) -> Detector:
        """Return a module whose weights are always the same: the score is spectral flatness."""
        return ToyDetector(self)


class ToyDetector(Detector):
    """Level, mean and spread of log power per band, and spectral flatness; then one linear layer.

    Before training the score is ten times the flatness minus five: noise is called bona fide, a
    tone is called spoofed. Deterministic, a millisecond per clip, learns separable data in seconds.

    Shape:
        waveform [B, T] float32 at 16 kHz in [-1, 1] -> score [B]; T from 1 sample.

    Source:
        Ours. Flatness is the geometric over the arithmetic mean of the power of a frame.
    """

    def __init__(self, spec: Toy) -> None:
        super().__init__()
        self.n_bands = spec.n_bands
        self.spectrogram = Spectrogram(Framing(n_window=256, n_hop=128, n_fft=256))
        self.n_embedding = 2 * spec.n_bands + 2
        self.score = nn.Linear(self.n_embedding, 1)
        with torch.no_grad():
            self.score.weight.zero_()
            self.score.weight[0, 0] = 10.0
            self.score.bias.fill_(-5.0)

    def embed(self, waveform: Tensor) -> Tensor:
        """Return statistics of each clip, [B, T] -> [B, 2 * n_bands + 2], all near [-1, 1]."""
        return self.embed_power(self.spectrogram(waveform))

    def embed_power(self, power: Tensor) -> Tensor:
        """Return the same from the detector's own spectrogram, [B, F, K] -> [B, D]."""
        power = power[:, :, 1:] + 1e-6
        logarithm = power.log()
        flatness = (logarithm.mean(dim=2) - power.mean(dim=2).log()).exp().mean(dim=1)  # [B]
        level = logarithm.mean(dim=(1, 2))
        bands = torch.stack([band.mean(dim=2) for band in logarithm.chunk(self.n_bands, 2)], 2)
        shape = bands.mean(dim=1) - level[:, None]  # [B, n_bands]
        spread = (bands - bands.mean(dim=1, keepdim=True)).abs().mean(dim=1)
        statistics = [flatness[:, None], level[:, None] / 10, shape / 5, spread / 5]
        return torch.cat(statistics, dim=1)

    def classify(self, embedding: Tensor) -> Tensor:
        """Return one score per embedding, [B, D] -> [B]; higher is more bona fide."""
        score: Tensor = self.score(embedding).squeeze(1)
        return score
