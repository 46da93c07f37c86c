"""A speech foundation model with the AASIST back-end: tuned whole, frozen, or through adapters.

B clips, T samples, F frames, C features of the encoder, D embedding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from unheard.detectors.detector import Detector
from unheard.detectors.layers.aasist import Aasist
from unheard.detectors.layers.aggregation import AdaptiveSum, WeightedSum
from unheard.detectors.layers.encoder import XLS_R_300M, Encoder
from unheard.detectors.layers.lora import LoraExperts, adapt, adapter_names, expert_terms

__all__ = ["SslAasist"]


@dataclass(frozen=True, kw_only=True)
class SslAasist:
    """What to build: an encoder, what of it is trained, which layers are read.

    Attributes:
        encoder: The foundation model.
        frozen: Leave the encoder's weights as they are; with adapters they always stay.
        adapters: LoRA, or a mixture of LoRA experts, in the encoder's layers.
        reading: "last" takes the output of the last kept layer; "weighted" a learned weighted sum
            over all layers; "adaptive" one whose weights depend on the clip.
        checkpointing: Compute layers again in the backward pass instead of keeping their insides:
            less memory, about a third more time.
    """

    encoder: Encoder = XLS_R_300M
    frozen: bool = False
    adapters: LoraExperts | None = None
    reading: Literal["last", "weighted", "adaptive"] = "last"
    checkpointing: bool = False

    def build(self) -> Detector:
        """Return a module with random weights; `fresh` adds the pretrained ones."""
        return SslAasistDetector(self)


class SslAasistDetector(Detector):
    """Encoder, one sequence of frames out of its layers, AASIST.

    Shape:
        waveform [B, T] float32 at 16 kHz in [-1, 1] -> score [B]; any T that gives the back-end
        its frames, from about 0.2 s.

    Source:
        Tak et al., Automatic speaker verification spoofing and deepfake detection using wav2vec
        2.0 and data augmentation, 2022: XLS-R 300M, last layer, everything tuned.
        Mixture of low-rank adapter experts (2509.13878) for adapters with n_experts > 1;
        meta-learned LoRA (2502.10838) for those with one.
    """

    def __init__(self, spec: SslAasist) -> None:
        super().__init__()
        self.encoder = spec.encoder.build()
        self.encoder.checkpointing = spec.checkpointing
        self.pretraining = spec.encoder
        self.stays = spec.frozen or spec.adapters is not None
        if self.stays:
            self.encoder.requires_grad_(False)
        if spec.adapters is not None:
            adapt(self.encoder.layers, spec.adapters)
        self.is_still = spec.frozen and spec.adapters is None
        n_states = len(self.encoder.layers) + 1
        self.reading: nn.Module | None = None
        if spec.reading != "last":
            self.reading = WeightedSum(n_states) if spec.reading == "weighted" else AdaptiveSum()
        self.back_end = Aasist(self.encoder.n_features)
        self.n_embedding = self.back_end.n_embedding

    def embed(self, waveform: Tensor) -> Tensor:
        """Return one embedding per clip, [B, T] -> [B, 160]."""
        return self.back_end.embed(self.frames(waveform))

    def frames(self, waveform: Tensor) -> Tensor:
        """Return what the back-end sees, [B, T] -> [B, F, C]."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.is_still):
            states = self.encoder(waveform)
        read: Tensor = states[-1] if self.reading is None else self.reading(states)
        return read

    def classify(self, embedding: Tensor) -> Tensor:
        """Return one score per embedding, [B, 160] -> [B]; higher is more bona fide."""
        return self.back_end.score(embedding)

    def terms(self) -> Mapping[str, Tensor]:
        """Return the experts' balance and orthogonality of the last training pass."""
        return expert_terms(self.encoder)

    def pretrained(self) -> dict[str, Tensor]:
        """Return the encoder's published weights by name in this module."""
        wanted = self.state_dict()
        found = {f"encoder.{name}": value for name, value in self.pretraining.pretrained().items()}
        return {name: value for name, value in found.items() if name in wanted}

    def inherited(self) -> frozenset[str]:
        """Return the names of the encoder's own weights, if they are published ones."""
        if not self.pretraining.source:
            return frozenset()
        added = {f"encoder.{name}" for name in adapter_names(self.encoder)}
        names = {name for name in self.state_dict() if name.startswith("encoder.")}
        return frozenset(names - added)

    def borrowed(self) -> frozenset[str]:
        """Return the same names, if those weights stay as they were published."""
        return self.inherited() if self.stays else frozenset()
