"""Several detectors and a gate that computes, for each clip, how much each of them counts.

B clips, T samples, E experts, F frames, K frequency bins, D embedding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from unheard.detectors.detector import Detector, Spec
from unheard.detectors.layers.features import Framing, Spectrogram
from unheard.detectors.layers.gates import AttentionGate, Gate
from unheard.detectors.mel_lcnn import MelLcnn
from unheard.detectors.resnet18 import ResNet18
from unheard.errors import RecipeError, check_choices

__all__ = ["Mixture", "blended"]

EXPERTS: tuple[Spec, ...] = (
    MelLcnn(),
    ResNet18(feature="mel", window="hamming", pre_emphasis=0.97),
    ResNet18(feature="linear", window="hamming", pre_emphasis=0.97, low_hz=0.0, high_hz=8000.0),
)
"""The paper's three kinds, all on the framing of the first, so one transform serves them."""


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """What to build: experts, the gate between them, what is blended and what is trained.

    Attributes:
        experts: One or more detectors of any kind, mixtures too.
        gate: What decides how much each expert counts for a clip.
        blend: "logits" averages the experts' scores; "probabilities" averages the probabilities
            that they give to bona fide, and the score is the logit of that average.
        frozen: Train the gate alone; the experts stay as they are, in evaluation mode.
    """

    kind: ClassVar[str] = "mixture"

    experts: tuple[Spec, ...] = EXPERTS
    gate: Gate = field(default_factory=AttentionGate)
    blend: Literal["logits", "probabilities"] = "logits"
    frozen: bool = True

    def __post_init__(self) -> None:
        if not self.experts:
            raise RecipeError("a mixture without experts; give one or more detectors in experts")
        _check_experts(self.experts)
        check_choices(self, "{name} cannot be {value!r}")

    def build(self) -> Detector:
        """Return a module with fresh weights, those of the experts too."""
        return MixtureDetector(self)


class MixtureDetector(Detector):
    """Every expert once, one transform for all with the same framing, weights from the gate.

    The embedding is those of the experts, one after the other, then the gate's E logits: all that
    `classify` and `expert_scores` need.

    Shape:
        waveform [B, T] float32 at 16 kHz in [-1, 1] -> score [B]; any T that all experts can take.

    Source:
        Attention-based mixture of experts for robust speech deepfake detection (2509.17585); with
        `WaveformGate` or `EnhancedGate` its predecessor (2409.16077). The papers do not say whether
        logits or probabilities are blended, nor whether the first trains its experts further.
    """

    def __init__(self, spec: Mixture) -> None:
        super().__init__()
        self.experts = _names(spec.experts)
        self.blend = spec.blend
        self.frozen = spec.frozen
        # Not "experts": the names above are what every detector calls so.
        self.detectors = nn.ModuleList(expert.build() for expert in spec.experts)
        self.sizes = [detector.n_embedding for detector in self._each()]
        self.n_embedding = sum(self.sizes) + len(self.sizes)
        self.gate = spec.gate.build(self.sizes)
        weights = self.detectors.eval().named_parameters()
        self.learnt = frozenset(name for name, weight in weights if weight.requires_grad)
        self.train()

    def train(self, mode: bool = True) -> MixtureDetector:
        """Switch to training or evaluation; frozen experts stay in evaluation.

        Their weights want no gradient in training. In evaluation they are marked as in a detector
        of their own: torch folds a product differently when a weight wants a gradient, and an
        expert is to give the same score, to the bit, inside of a mixture and outside.
        """
        super().train(mode)
        if self.frozen:
            for name, weight in self.detectors.eval().named_parameters():
                weight.requires_grad_(not mode and name in self.learnt)
        return self

    def embed(self, waveform: Tensor) -> Tensor:
        """Return one embedding per clip, [B, T] -> [B, D]."""
        powers = {
            framing: spectrogram(waveform) for framing, spectrogram in self.spectrograms().items()
        }
        return self.embed_powers(waveform, powers)

    def spectrograms(self) -> dict[Framing, Spectrogram]:
        """Return one transform for each framing that experts need, those of inner mixtures too."""
        by_framing: dict[Framing, Spectrogram] = {}
        for detector in self._each():
            if isinstance(detector, MixtureDetector):
                by_framing |= detector.spectrograms()
            elif (spectrogram := _spectrogram(detector)) is not None:
                by_framing[spectrogram.framing] = spectrogram
        return by_framing

    def embed_powers(self, waveform: Tensor, powers: Mapping[Framing, Tensor]) -> Tensor:
        """Return one embedding per clip from the waveform and what `spectrograms` made of it.

        Args:
            waveform: Shape [B, T].
            powers: Shape [B, F, K] for each framing.
        """
        with self._experts_graph():
            embeddings = [_embedding(each, waveform, powers) for each in self._each()]
        return torch.cat([*embeddings, self.gate(waveform, embeddings)], dim=1)

    def classify(self, embedding: Tensor) -> Tensor:
        """Return one score per embedding, [B, D] -> [B]; higher is more bona fide."""
        return blended(*self._scores_and_logits(embedding), self.blend)

    def expert_scores(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Return each expert's score and weight, [B, D] -> [B, E] and [B, E]."""
        scores, logits = self._scores_and_logits(embedding)
        return scores, logits.softmax(dim=1)

    def terms(self) -> Mapping[str, Tensor]:
        """Return what the experts offer, if they are trained, as "detectors.0.expert_balance"."""
        if self.frozen:
            return {}
        return {
            f"{path}{key}": term
            for path, each in self._paths()
            for key, term in each.terms().items()
        }

    def pretrained(self) -> dict[str, Tensor]:
        """Return the experts' published weights by name in this module."""
        return {
            f"{path}{key}": value
            for path, each in self._paths()
            for key, value in each.pretrained().items()
        }

    def pretrained_names(self) -> frozenset[str]:
        """Return the names of those weights."""
        return frozenset(
            f"{path}{key}" for path, each in self._paths() for key in each.pretrained_names()
        )

    def frozen_names(self) -> frozenset[str]:
        """Return which of those never change."""
        return frozenset(
            f"{path}{key}" for path, each in self._paths() for key in each.frozen_names()
        )

    def _each(self) -> Iterator[Detector]:
        return (cast(Detector, detector) for detector in self.detectors)

    def _paths(self) -> Iterator[tuple[str, Detector]]:
        return ((f"detectors.{place}.", each) for place, each in enumerate(self._each()))

    def _experts_graph(self) -> torch.set_grad_enabled:
        """Return the context that experts run in; no graph is kept of frozen ones."""
        return torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen)

    def _scores_and_logits(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Return the experts' scores and the gate's logits, [B, D] -> [B, E] and [B, E]."""
        *embeddings, logits = torch.split(embedding, [*self.sizes, len(self.sizes)], dim=1)
        with self._experts_graph():
            scores = [
                # The same layout as from the expert alone, so the same kernels and the same bits.
                each.classify(own.contiguous())
                for each, own in zip(self._each(), embeddings, strict=True)
            ]
        return _at_least_single(torch.stack(scores, dim=1)), _at_least_single(logits)


def blended(scores: Tensor, logits: Tensor, blend: str) -> Tensor:
    """Return one score of several, as a logit; that of a single expert comes back to the bit.

    With w the softmax of the gate's logits and z the scores, "logits" is sum_e w_e z_e, and
    "probabilities" is log P - log(1 - P) for P = sum_e w_e sigmoid(z_e), computed without leaving
    logarithms: sigmoid(z) = exp(z) sigmoid(-z), so it is log sum_e v_e exp(z_e), where v is
    w sigmoid(-z) divided by its sum.

    Args:
        scores: Shape [B, E], logits; higher is more bona fide.
        logits: Shape [B, E], of the gate.
        blend: "logits" or "probabilities".

    Returns:
        Shape [B].
    """
    if blend == "logits":
        return (logits.softmax(dim=1) * scores).sum(dim=1)
    spoof = logits.log_softmax(dim=1) + nn.functional.logsigmoid(-scores)
    return (spoof.log_softmax(dim=1) + scores).logsumexp(dim=1)


def _embedding(detector: Detector, waveform: Tensor, powers: Mapping[Framing, Tensor]) -> Tensor:
    """Return an expert's embedding, from a power spectrogram if it has a use for one."""
    if isinstance(detector, MixtureDetector):
        return detector.embed_powers(waveform, powers)
    spectrogram = _spectrogram(detector)
    if spectrogram is None:
        return detector.embed(waveform)
    embedding: Tensor = cast(Any, detector).embed_power(powers[spectrogram.framing])
    return embedding


def _spectrogram(detector: Detector) -> Spectrogram | None:
    """Return the transform that a detector starts with, if that is all it needs of a waveform."""
    spectrogram = getattr(detector, "spectrogram", None)
    return (
        spectrogram
        if isinstance(spectrogram, Spectrogram) and hasattr(detector, "embed_power")
        else None
    )


def _at_least_single(tensor: Tensor) -> Tensor:
    """Return a tensor of autocast's half precision as float32; others stay."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def _check_experts(experts: Sequence[object]) -> None:
    for expert in experts:
        if not isinstance(expert, Spec) or isinstance(expert, type):
            raise RecipeError(f"an expert is {expert!r}; give detectors such as ResNet18()")


def _names(experts: Sequence[Spec]) -> tuple[str, ...]:
    """Return a name for each expert: its kind, its feature if it has one, a number if needed."""
    names = []
    for expert in experts:
        feature = getattr(expert, "feature", "")
        names.append(f"{expert.kind}_{feature}" if feature else expert.kind)
    again = [names[:place].count(name) for place, name in enumerate(names)]
    return tuple(f"{name}_{n + 1}" if n else name for name, n in zip(names, again, strict=True))
