"""LFCC-LCNN: a light CNN with a recurrent layer over cepstral coefficients.

B clips, T samples, F frames, K frequency bins, C channels, D embedding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from unheard.detectors.detector import Detector
from unheard.detectors.layers.exporting import recurrent
from unheard.detectors.layers.features import Lfcc, Spectrogram
from unheard.detectors.layers.max_feature_map import light_convolutions
from unheard.errors import RecipeError

__all__ = ["Lcnn"]

POOLING = 16
"""Frames and features are halved four times."""


@dataclass(frozen=True, kw_only=True)
class Lcnn:
    """What to build: the LFCC-LCNN baseline of ASVspoof 2021, 0.27 million parameters.

    Attributes:
        n_filters: Linear filters of the front end; features are three times as many.
        band: Share of 0 to 8 kHz that the front end sees; the source takes 0.5, up to 4 kHz.
        dropout: Share of the last feature maps that is dropped in training.
    """

    kind: ClassVar[str] = "lcnn"

    n_filters: int = 20
    band: float = 0.5
    dropout: float = 0.7

    def __post_init__(self) -> None:
        if 3 * self.n_filters < POOLING:
            raise RecipeError(f"n_filters={self.n_filters}; the network needs 6 or more")
        if not 0 <= self.dropout < 1:
            raise RecipeError(f"dropout={self.dropout:g}; choose a share from 0 up to below 1")

    def build(self) -> Detector:
        """Return a module with fresh weights."""
        return LcnnDetector(self)


class LcnnDetector(Detector):
    """LFCC, nine convolutions with max-feature-maps, two bidirectional LSTM layers, mean, linear.

    Shape:
        waveform [B, T] float32 at 16 kHz in [-1, 1] -> score [B]; T from 2,400 samples.

    Source:
        ASVspoof 2021, LA track, baseline LFCC-LCNN; convolutions after Lavrentyeva et al.,
        STC antispoofing systems for the ASVspoof2019 challenge, 2019.

        Differences from the source: none in the layers. It trains on whole clips of any length,
        in blocks of equal length; here the recipe decides what a window is. The embedding that
        other detectors may use is the mean over time, 96 features, before the last layer.
    """

    def __init__(self, spec: Lcnn) -> None:
        super().__init__()
        self.spectrogram = Spectrogram(Lfcc.framing())
        self.lfcc = Lfcc(Lfcc.framing(), n_filters=spec.n_filters, band=spec.band)
        self.n_embedding = self.lfcc.n_features // POOLING * 32
        self.convolutions = nn.Sequential(
            *light_convolutions(affine=False),
            nn.MaxPool2d(2),
            nn.Dropout(spec.dropout),
        )
        self.recurrent = nn.LSTM(
            self.n_embedding,
            self.n_embedding // 2,
            num_layers=2,
            batch_first=True,
            bidirectional=True,
        )
        self.score = nn.Linear(self.n_embedding, 1)

    def embed(self, waveform: Tensor) -> Tensor:
        """Return one embedding per clip, [B, T] -> [B, 96]."""
        return self.embed_power(self.spectrogram(waveform))

    def embed_power(self, power: Tensor) -> Tensor:
        """Return the same from the detector's own spectrogram, [B, F, K] -> [B, 96]."""
        maps = self.convolutions(self.lfcc(power).unsqueeze(1))  # [B, C, F / 16, M / 16]
        frames = maps.transpose(1, 2).flatten(2)  # [B, F / 16, D]
        pooled: Tensor = (frames + recurrent(self.recurrent, frames)).mean(dim=1)
        return pooled

    def classify(self, embedding: Tensor) -> Tensor:
        """Return one score per embedding, [B, 96] -> [B]; higher is more bona fide."""
        score: Tensor = self.score(embedding).squeeze(1)
        return score
