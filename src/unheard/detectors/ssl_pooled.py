"""A speech foundation model, attentive statistics over time, and one hidden layer.

B clips, T samples, F frames, C features of the encoder, S spectral statistics.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from unheard.detectors.detector import Detector
from unheard.detectors.layers.features import (
    Framing,
    SpectralStatistics,
    Spectrogram,
    full_precision,
)
from unheard.detectors.layers.pooling import AttentiveStatistics
from unheard.detectors.ssl import Ssl, SslDetector
from unheard.errors import RecipeError

__all__ = ["SslPooled"]


@dataclass(frozen=True, kw_only=True)
class SslPooled(Ssl):
    """What to build: fields as those of `Ssl`, and of the back-end.

    Attributes:
        spectral: Give the hidden layer statistics of the spectrum too; see `SpectralStatistics`.
        n_hidden: Units of the hidden layer, and of the embedding.
        dropout: Share of its inputs that are dropped in training.
    """

    kind: ClassVar[str] = "ssl_pooled"

    spectral: bool = False
    n_hidden: int = 128
    dropout: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_hidden < 1:
            raise RecipeError(f"n_hidden={self.n_hidden}; give 1 or more")
        if not 0 <= self.dropout < 1:
            raise RecipeError(f"dropout={self.dropout:g}; choose a share from 0 up to below 1")

    def build(self) -> Detector:
        """Return a module with random weights; `fresh` adds the pretrained ones."""
        return SslPooledDetector(self)


class SslPooledDetector(SslDetector):
    """Encoder, one sequence of frames, its weighted mean and deviation over time, two layers.

    Shape:
        waveform [B, T] float32 at 16 kHz in [-1, 1] -> score [B]; any T.

    Source:
        Okabe et al., Attentive statistics pooling for deep speaker embedding, 2018, for the
        pooling. The rest is the plainest there is: what a method gains over it is its own.
    """

    def __init__(self, spec: SslPooled) -> None:
        super().__init__(spec)
        n_frame = self.encoder.n_features
        self.frame_norm = nn.LayerNorm(n_frame)
        self.pooling = AttentiveStatistics(n_frame)
        self.pooled_norm = nn.LayerNorm(2 * n_frame)
        n_pooled = 2 * n_frame
        self.spectrum: nn.Sequential | None = None
        if spec.spectral:
            statistics = SpectralStatistics(Framing())
            scaled = nn.BatchNorm1d(statistics.n_features, affine=False)
            self.spectrum = nn.Sequential(Spectrogram(Framing()), statistics, scaled)
            n_pooled += statistics.n_features
        self.hidden = nn.Sequential(
            nn.Dropout(spec.dropout), nn.Linear(n_pooled, spec.n_hidden), nn.GELU()
        )
        self.score = nn.Linear(spec.n_hidden, 1)
        self.n_embedding = spec.n_hidden

    def embed(self, waveform: Tensor) -> Tensor:
        """Return one embedding per clip, [B, T] -> [B, n_hidden]."""
        frames = self.frames(waveform)
        with full_precision(frames):  # the back-end costs little
            pooled = self.pooled_norm(self.pooling(self.frame_norm(frames.float())))
            if self.spectrum is not None:
                pooled = torch.cat([pooled, self.spectrum(waveform)], dim=1)
            embedding: Tensor = self.hidden(pooled)
            return embedding

    def classify(self, embedding: Tensor) -> Tensor:
        """Return one score per embedding, [B, n_hidden] -> [B]; higher is more bona fide."""
        with full_precision(embedding):
            score: Tensor = self.score(embedding)[:, 0]
            return score
