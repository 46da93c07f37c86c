"""A gated recurrent network over cepstral coefficients or a mel spectrogram.

B clips, T samples, F frames, K frequency bins, M features, C channels, N units, D embedding.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from unheard.detectors.detector import Detector
from unheard.detectors.layers.exporting import recurrent
from unheard.detectors.layers.features import Framing, Lfcc, Log, Mel, Spectrogram
from unheard.detectors.layers.growth import Reads, Width
from unheard.errors import RecipeError, check_choices, suggestion

__all__ = ["Grnn"]

CELLS: dict[str, type[nn.GRU] | type[nn.LSTM]] = {"gru": nn.GRU, "lstm": nn.LSTM}
LAYER = "recurrent."
"""What the name of a width starts with; the number of the layer follows."""

VARIANCE_FLOOR = 1e-5


@dataclass(frozen=True, kw_only=True)
class Grnn:
    """What to build: a recurrent detector, 0.52 million parameters as it stands.

    Of the dropin and plasticity paper (2603.24343) is known that one of its three networks is a
    "gated recurrent network", no more: every number here is ours.

    Attributes:
        feature: "lfcc" with differences over time, or "mel": a log spectrogram, its mean over time
            taken away.
        n_filters: Linear filters of "lfcc"; features are three times as many.
        band: Share of 0 to 8 kHz that "lfcc" sees.
        n_mels: Features of "mel" (Slaney's scale).
        low_hz: Lowest frequency that "mel" sees.
        high_hz: Highest frequency that "mel" sees.
        n_halvings: Convolutions of stride 2 before the recurrent layers; a frame lasts 10 ms times
            2 to the power of them.
        channels: Features that these convolutions make.
        cell: "gru" or "lstm".
        hidden: Units of each recurrent layer, in each direction; there are as many layers as
            entries. These widths may grow.
        bidirectional: Read each clip from both ends.
        dropout: Share of each recurrent layer's input, but the first's, that is dropped in
            training.
        pooling: What is kept of frames: "attentive", their mean under learned weights; or
            "statistics", mean and standard deviation.
        embedding: Features of the embedding.
    """

    kind: ClassVar[str] = "grnn"

    feature: Literal["lfcc", "mel"] = "lfcc"
    n_filters: int = 20
    band: float = 1.0
    n_mels: int = 80
    low_hz: float = 20.0
    high_hz: float = 7600.0
    n_halvings: int = 2
    channels: int = 64
    cell: Literal["gru", "lstm"] = "gru"
    hidden: tuple[int, ...] = (128, 128)
    bidirectional: bool = True
    dropout: float = 0.1
    pooling: Literal["attentive", "statistics"] = "statistics"
    embedding: int = 64

    def __post_init__(self) -> None:
        check_choices(self, "Grnn knows no {name} {value!r}")
        if not self.hidden or min(self.channels, self.embedding, *self.hidden) < 1:
            raise RecipeError(
                f"hidden={self.hidden}, channels={self.channels}, embedding={self.embedding}; "
                "choose 1 or more for each, and one recurrent layer at least"
            )
        if self.n_halvings < 0:
            raise RecipeError(f"n_halvings={self.n_halvings}; choose 0 or more")
        if not 0 <= self.dropout < 1:
            raise RecipeError(f"dropout={self.dropout:g}; choose a share from 0 up to below 1")

    def build(self) -> Detector:
        """Return a module with fresh weights."""
        return GrnnDetector(self)

    def with_widths(self, widths: Mapping[str, int]) -> Grnn:
        """Return the same network with other numbers of units in some layers.

        Args:
            widths: Units by name, such as {"recurrent.0": 160}; layers not named keep theirs.

        Raises:
            RecipeError: If there is no such layer.
        """
        known = [f"{LAYER}{index}" for index in range(len(self.hidden))]
        for name in widths:
            if name not in known:
                raise RecipeError(f"Grnn has no width {name!r}{suggestion(name, known)}")
        hidden = [
            widths.get(name, n_hidden) for name, n_hidden in zip(known, self.hidden, strict=True)
        ]
        return replace(self, hidden=tuple(hidden))


class GrnnDetector(Detector):
    """Features, strided convolutions, gated recurrent layers, pooling over time, two linear layers.

    Shape:
        waveform [B, T] float32 at 16 kHz in [-1, 1] -> score [B]; T from 1 sample.

    Source:
        Cho et al., Learning phrase representations using RNN encoder-decoder, 2014, for "gru";
        Hochreiter, Schmidhuber, Long short-term memory, 1997, for "lstm"; pooling "statistics" as
        in Snyder et al., X-vectors, 2018. The network as a whole follows no publication.
    """

    def __init__(self, spec: Grnn) -> None:
        super().__init__()
        n_features = self._add_front_end(spec)
        self.norm = nn.BatchNorm1d(n_features)
        self.convolutions = nn.Sequential()
        for _ in range(spec.n_halvings):
            self.convolutions += nn.Sequential(
                nn.Conv1d(n_features, spec.channels, 5, stride=2, padding=2, bias=False),
                nn.BatchNorm1d(spec.channels),
                nn.ReLU(),
            )
            n_features = spec.channels
        self.n_directions = 2 if spec.bidirectional else 1
        self.recurrent = nn.ModuleList()
        for n_units in spec.hidden:
            cell = CELLS[spec.cell]
            self.recurrent.append(
                cell(n_features, n_units, batch_first=True, bidirectional=spec.bidirectional)
            )
            n_features = self.n_directions * n_units
        self.dropout = nn.Dropout(spec.dropout)
        self.attention: nn.Linear | None = None
        self.n_statistics = 2
        if spec.pooling == "attentive":
            self.attention = nn.Linear(n_features, 1, bias=False)
            self.n_statistics = 1
        self.n_embedding = spec.embedding
        self.embedding = nn.Linear(self.n_statistics * n_features, spec.embedding)
        self.score = nn.Linear(spec.embedding, 1)

    def _add_front_end(self, spec: Grnn) -> int:
        """Add what makes features of a waveform; return how many there are."""
        framing = Lfcc.framing() if spec.feature == "lfcc" else Framing()
        self.spectrogram = Spectrogram(framing)
        if spec.feature == "lfcc":
            lfcc = Lfcc(framing, n_filters=spec.n_filters, band=spec.band)
            self.features: nn.Module = lfcc
            return lfcc.n_features
        mel = Mel(framing, n_mels=spec.n_mels, low_hz=spec.low_hz, high_hz=spec.high_hz)
        self.features = nn.Sequential(mel, Log())
        return mel.n_features

    def embed(self, waveform: Tensor) -> Tensor:
        """Return one embedding per clip, [B, T] -> [B, D]."""
        return self.embed_power(self.spectrogram(waveform))

    def embed_power(self, power: Tensor) -> Tensor:
        """Return the same from the detector's own spectrogram, [B, F, K] -> [B, D]."""
        features = self.norm(self.features(power).transpose(1, 2))  # [B, M, F]
        frames = self.convolutions(features).transpose(1, 2)  # [B, F / 4, C]
        for index, layer in enumerate(cast(Iterable[nn.GRU | nn.LSTM], self.recurrent)):
            frames = recurrent(layer, self.dropout(frames) if index else frames)  # [B, F / 4, N]
        embedding: Tensor = self.embedding(self._pooled(frames))
        return embedding

    def _pooled(self, frames: Tensor) -> Tensor:
        """Return what is kept of frames, [B, F, N] -> [B, n_statistics * N]."""
        if self.attention is not None:
            weights = self.attention(frames).softmax(dim=1)
            mean: Tensor = (weights * frames).sum(dim=1)
            return mean
        variance, mean = torch.var_mean(frames, dim=1, correction=0)
        return torch.cat([mean, (variance + VARIANCE_FLOOR).sqrt()], dim=1)

    def classify(self, embedding: Tensor) -> Tensor:
        """Return one score per embedding, [B, D] -> [B]; higher is more bona fide."""
        score: Tensor = self.score(torch.relu(embedding)).squeeze(1)
        return score

    def widths(self) -> Mapping[str, Width]:
        """Return the units of each recurrent layer, both directions alike, by name."""
        widths = {}
        for index in range(len(self.recurrent)):
            reads = [Reads(f"{LAYER}{index + 1}", repeats=self.n_directions)]
            if index + 1 == len(self.recurrent):
                reads = [Reads("embedding", repeats=self.n_directions * self.n_statistics)]
                if self.attention is not None:
                    reads.append(Reads("attention", repeats=self.n_directions))
            widths[f"{LAYER}{index}"] = Width((f"{LAYER}{index}",), tuple(reads))
        return widths
