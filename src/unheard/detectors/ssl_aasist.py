"""A speech foundation model with the AASIST back-end.

B clips, T samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from unheard.detectors.detector import Detector
from unheard.detectors.layers.aasist import Aasist
from unheard.detectors.ssl import Ssl, SslDetector

__all__ = ["SslAasist"]


@dataclass(frozen=True, kw_only=True)
class SslAasist(Ssl):
    """What to build: fields as those of `Ssl`."""

    kind: ClassVar[str] = "ssl_aasist"

    def build(self) -> Detector:
        """Return a module with random weights; `fresh` adds the pretrained ones."""
        return SslAasistDetector(self)


class SslAasistDetector(SslDetector):
    """Encoder, one sequence of frames out of its layers, AASIST.

    Shape:
        waveform [B, T] float32 at 16 kHz in [-1, 1] -> score [B]; any T that gives the back-end
        its frames, from about 0.2 s.

    Source:
        Tak et al., Automatic speaker verification spoofing and deepfake detection using wav2vec
        2.0 and data augmentation, 2022: XLS-R 300M, last layer, everything tuned.
    """

    def __init__(self, spec: SslAasist) -> None:
        super().__init__(spec)
        self.back_end = Aasist(self.encoder.n_features)
        self.n_embedding = self.back_end.n_embedding

    def embed(self, waveform: Tensor) -> Tensor:
        """Return one embedding per clip, [B, T] -> [B, 160]."""
        return self.back_end.embed(self.frames(waveform))

    def classify(self, embedding: Tensor) -> Tensor:
        """Return one score per embedding, [B, 160] -> [B]; higher is more bona fide."""
        return self.back_end.score(embedding)
