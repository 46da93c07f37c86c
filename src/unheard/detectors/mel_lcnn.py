"""A light CNN over a log-mel spectrogram: one expert of the attention-gated mixture.

B clips, T samples, F frames, K frequency bins, M features, C channels, D embedding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor, nn

from unheard.detectors.detector import Detector
from unheard.detectors.layers.aasist import logit_difference
from unheard.detectors.layers.exporting import largest_in_parts
from unheard.detectors.layers.features import Framing, Log, Mel, Spectrogram
from unheard.detectors.layers.max_feature_map import MaxFeatureMap, light_convolutions
from unheard.errors import RecipeError

__all__ = ["MelLcnn"]

POOLED = (8, 16)
"""Frames and features that are left before the linear layers, whatever the window's length."""

FEWEST_MELS = 8
"""Frames and features are halved three times."""


@dataclass(frozen=True, kw_only=True)
class MelLcnn:
    """What to build: a light CNN of 0.68 million parameters, with the source's front end.

    Attributes:
        n_window: Samples per frame.
        n_hop: Samples from frame to frame.
        n_fft: Length of the transform.
        window: Shape of the window.
        pre_emphasis: a in y[t] = x[t] - a * x[t - 1] before it.
        n_mels: Features (the mel scale of the HTK book).
        low_hz: Lowest frequency seen.
        high_hz: Highest frequency seen.
    """

    kind: ClassVar[str] = "mel_lcnn"

    n_window: int = 400
    n_hop: int = 160
    n_fft: int = 512
    window: Literal["hann", "hamming"] = "hamming"
    pre_emphasis: float = 0.97
    n_mels: int = 80
    low_hz: float = 20.0
    high_hz: float = 7600.0

    def __post_init__(self) -> None:
        if self.n_mels < FEWEST_MELS:
            raise RecipeError(f"n_mels={self.n_mels}; the network needs {FEWEST_MELS} or more")

    def build(self) -> Detector:
        """Return a module with fresh weights."""
        return MelLcnnDetector(self)


class MelLcnnDetector(Detector):
    """Log-mel spectrogram, nine convolutions with max-feature-maps, two linear layers.

    Shape:
        waveform [B, T] float32 at 16 kHz in [-1, 1] -> score [B]; T from 1,120 samples.

    Source:
        The expert of "Leveraging mixture of experts for improved speech deepfake detection"
        (2409.16077) as its published code has it; that of its successor (2509.17585), a light CNN
        too, is not published further.

        Differences from the source: the score is the difference of the two outputs, bona fide less
        spoof, where the source takes a softmax, and in training a second one on top of it; the
        spectrogram's edges are padded with zeros and the first sample keeps its emphasis, where
        the source reflects; frames lie along the first axis of a map, so POOLED is (8, 16), not
        (16, 8). The source builds dropout and never applies it; here there is none.
    """

    def __init__(self, spec: MelLcnn) -> None:
        super().__init__()
        framing = Framing(
            n_window=spec.n_window,
            n_hop=spec.n_hop,
            n_fft=spec.n_fft,
            window=spec.window,
            pre_emphasis=spec.pre_emphasis,
        )
        mel = Mel(
            framing, n_mels=spec.n_mels, low_hz=spec.low_hz, high_hz=spec.high_hz, scale="htk"
        )
        self.spectrogram = Spectrogram(framing)
        self.features = nn.Sequential(mel, Log())
        self.convolutions = nn.Sequential(*light_convolutions(affine=True))
        self.n_embedding = 64
        self.embedding = nn.Sequential(
            nn.Linear(32 * POOLED[0] * POOLED[1], 2 * self.n_embedding), MaxFeatureMap()
        )
        self.norm = nn.BatchNorm1d(self.n_embedding)
        self.logits = nn.Linear(self.n_embedding, 2)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)

    def embed(self, waveform: Tensor) -> Tensor:
        """Return one embedding per clip, [B, T] -> [B, 64]."""
        return self.embed_power(self.spectrogram(waveform))

    def embed_power(self, power: Tensor) -> Tensor:
        """Return the same from the detector's own spectrogram, [B, F, K] -> [B, 64]."""
        maps = self.convolutions(self.features(power).unsqueeze(1))  # [B, C, F / 8, M / 8]
        parts = largest_in_parts(maps, POOLED)  # [B, C, 8, 16]
        embedding: Tensor = self.embedding(parts.flatten(1))
        return embedding

    def classify(self, embedding: Tensor) -> Tensor:
        """Return one score per embedding, [B, 64] -> [B]; higher is more bona fide."""
        return logit_difference(self.logits(self.norm(embedding)))
