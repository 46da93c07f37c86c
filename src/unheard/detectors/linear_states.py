"""A linear probe: statistics over time of what frozen networks compute, and one linear layer.

B clips, T samples, F frames, C features of the encoder, D embedding.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from unheard.detectors.detector import Detector
from unheard.detectors.layers.encoder import WHISPER_BASE, Encoder
from unheard.detectors.layers.features import Framing, SpectralStatistics, Spectrogram
from unheard.detectors.layers.pooling import statistics
from unheard.detectors.layers.speaker import SpeakerStages
from unheard.errors import RecipeError

__all__ = ["LinearStates", "LinearStatesDetector"]


@dataclass(frozen=True, kw_only=True)
class LinearStates:
    """What to build: which encoder, which of its states are read, and what else.

    Attributes:
        encoder: The foundation model. Layers above the last that is read are never built.
        layers: States that are read, ascending: 0 is the input of the first layer, n the output of
            the n-th; after the last layer of all comes the encoder's own final norm, if it has one.
        spectral: Read statistics of the spectrum too; see `SpectralStatistics`.
        speaker: Read the stages of a speaker network too: a folder, or a name that `unheard
            encoder` builds, with its weights; "" reads none. See `SpeakerStages`.
    """

    kind: ClassVar[str] = "linear_states"

    encoder: Encoder = WHISPER_BASE
    layers: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)
    spectral: bool = False
    speaker: str = ""

    def __post_init__(self) -> None:
        if not self.layers or list(self.layers) != sorted({*self.layers}) or self.layers[0] < 0:
            raise RecipeError(
                f"layers={self.layers}; give one or more numbers from 0, each once, ascending"
            )
        if self.encoder.n_layers and self.encoder.n_layers < self.layers[-1]:
            raise RecipeError(
                f"layers={self.layers}, and the encoder keeps {self.encoder.n_layers}; "
                "leave encoder.n_layers at 0"
            )

    def build(self) -> Detector:
        """Return a module with random weights; `fresh` adds the encoder's pretrained ones."""
        return LinearStatesDetector(self)


class LinearStatesDetector(Detector):
    """Frozen networks, mean and deviation over time of their states, standardising, linear layer.

    Only the linear layer has weights that learn. What standardises is a buffer, the identity at
    first; `unheard.training.solve` fits both at once.

    Shape:
        waveform [B, T] float32 at 16 kHz in [-1, 1] -> score [B]; any T.

    Source:
        Alain and Bengio, Understanding intermediate layers using linear classifier probes, 2016.

        Differences from the source: states of all chosen layers in one probe, pooled over time.
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, spec: LinearStates) -> None:
        super().__init__()
        self.layers = spec.layers
        self.pretraining = replace(spec.encoder, n_layers=max(spec.layers[-1], 1))
        self.encoder = self.pretraining.build().requires_grad_(False)
        self.n_embedding = 2 * len(spec.layers) * self.encoder.n_features
        self.spectrum: nn.Sequential | None = None
        if spec.spectral:
            spectral = SpectralStatistics(Framing())
            self.spectrum = nn.Sequential(Spectrogram(Framing()), spectral)
            self.n_embedding += spectral.n_features
        self.speaker: SpeakerStages | None = None
        if spec.speaker:
            self.speaker_source = spec.speaker
            self.speaker = SpeakerStages().requires_grad_(False)
            self.n_embedding += 2 * sum(self.speaker.n_features)
        self.register_buffer("centre", torch.zeros(self.n_embedding))
        self.register_buffer("spread", torch.ones(self.n_embedding))
        self.linear = nn.Linear(self.n_embedding, 1)

    def train(self, mode: bool = True) -> LinearStatesDetector:
        """Switch between training and scoring; the encoder always computes as in scoring."""
        super().train(mode)
        self.encoder.eval()
        return self

    def embed(self, waveform: Tensor) -> Tensor:
        """Return one embedding per clip, [B, T] -> [B, D], as it is before standardising."""
        states = self.encoder(waveform)
        parts = [statistics(states[layer].float()) for layer in self.layers]
        if self.spectrum is not None:
            parts.append(self.spectrum(waveform))
        if self.speaker is not None:
            parts += [statistics(stage) for stage in self.speaker(waveform)]
        return torch.cat(parts, dim=1)

    def classify(self, embedding: Tensor) -> Tensor:
        """Return one score per embedding, [B, D] -> [B]; higher is more bona fide."""
        score: Tensor = self.linear((embedding - self.centre) / self.spread)[:, 0]
        return score

    def pretrained(self) -> dict[str, Tensor]:
        """Return the published weights of the frozen networks by name in this module."""
        wanted = self.state_dict()
        weights = {
            f"encoder.{name}": value for name, value in self.pretraining.pretrained().items()
        }
        if self.speaker is not None:
            published = self.speaker.pretrained(self.speaker_source)
            weights |= {f"speaker.{name}": value for name, value in published.items()}
        return {name: value for name, value in weights.items() if name in wanted}

    def pretrained_names(self) -> frozenset[str]:
        """Return the names of the frozen networks' weights, if they are published ones."""
        published: tuple[str, ...] = ("encoder.",) if self.pretraining.source else ()
        if self.speaker is not None:
            published += ("speaker.",)
        return frozenset(name for name in self.state_dict() if name.startswith(published))

    def frozen_names(self) -> frozenset[str]:
        """Return the same names: none of them ever changes."""
        return self.pretrained_names()
