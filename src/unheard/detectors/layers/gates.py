"""Gates: how much each expert of a mixture counts, for each clip.

A gate is a value; what it builds is called with the waveform and the experts' embeddings and
returns one logit per expert. The mixture takes their softmax.

B clips, T samples at 16 kHz, E experts, D embedding features of one expert, W features of a token.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from unheard.detectors.layers.exporting import at_least
from unheard.errors import RecipeError, check_choices

__all__ = ["AttentionGate", "EnhancedGate", "FixedGate", "Gate", "WaveformGate"]


@dataclass(frozen=True, kw_only=True)
class AttentionGate:
    """What to build: a transformer in which the experts look at each other.

    That a transformer takes the experts' embeddings as tokens is published; none of the numbers
    are, nor which read-out: these are our defaults.

    Attributes:
        width: Features of an expert's token.
        heads: Heads of attention; they divide the width.
        depth: Layers of the transformer; 0 leaves each expert to itself until the read-out.
        feed_forward: Features inside of a layer's feed-forward part.
        dropout: Share that each layer drops in training.
        readout: "joint" is a linear layer from all tokens to all logits; "token" is one linear
            layer from a token to its expert's logit, the same for all experts.
    """

    width: int = 64
    heads: int = 4
    depth: int = 2
    feed_forward: int = 128
    dropout: float = 0.1
    readout: Literal["joint", "token"] = "joint"

    def __post_init__(self) -> None:
        if min(self.width, self.heads, self.feed_forward) < 1 or self.depth < 0:
            raise RecipeError(
                f"gate with width={self.width}, heads={self.heads}, depth={self.depth}, "
                f"feed_forward={self.feed_forward}; give 1 or more for each, depth 0 or more"
            )
        if self.width % self.heads:
            raise RecipeError(
                f"gate with {self.heads} heads of a width of {self.width}; "
                "give a width that is a multiple of the heads"
            )
        _check_dropout(self.dropout)
        check_choices(self, "gate.{name} cannot be {value!r}")

    def build(self, n_embeddings: Sequence[int]) -> nn.Module:
        """Return a module with fresh weights, for experts with these embedding sizes."""
        return AttentionGateModule(self, n_embeddings)


@dataclass(frozen=True, kw_only=True)
class WaveformGate:
    """What to build: one linear layer from the samples of the window to the logits.

    Attributes:
        n_samples: Samples that it sees. Of a longer window it takes the middle; a shorter one is
            repeated from its start.
    """

    n_samples: int = 48_000

    def __post_init__(self) -> None:
        if self.n_samples < 1:
            raise RecipeError(f"gate.n_samples is {self.n_samples}; give 1 or more")

    def build(self, n_embeddings: Sequence[int]) -> nn.Module:
        """Return a module with fresh weights, for as many experts as sizes are given."""
        return WaveformGateModule(self, len(n_embeddings))


@dataclass(frozen=True, kw_only=True)
class EnhancedGate:
    """What to build: two linear layers over the experts' embeddings and over their product.

    Attributes:
        width: Features that each embedding is projected to.
        hidden: Features of the layer before the logits.
        dropout: Share of them that is dropped in training.
    """

    width: int = 32
    hidden: int = 64
    dropout: float = 0.2

    def __post_init__(self) -> None:
        if min(self.width, self.hidden) < 1:
            raise RecipeError(
                f"gate with width={self.width}, hidden={self.hidden}; give 1 or more for each"
            )
        _check_dropout(self.dropout)

    def build(self, n_embeddings: Sequence[int]) -> nn.Module:
        """Return a module with fresh weights, for experts with these embedding sizes."""
        return EnhancedGateModule(self, n_embeddings)


@dataclass(frozen=True, kw_only=True)
class FixedGate:
    """What to build: nothing that learns; each expert counts the same for every clip.

    Attributes:
        weights: Of each expert, above 0; their sum does not matter. Empty: all count alike.
    """

    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not all(0 < weight < math.inf for weight in self.weights):
            raise RecipeError(f"gate.weights is {self.weights}; give numbers above 0")

    def build(self, n_embeddings: Sequence[int]) -> nn.Module:
        """Return a module without parameters, for as many experts as sizes are given.

        Raises:
            RecipeError: If there are weights for another number of experts.
        """
        if self.weights and len(self.weights) != len(n_embeddings):
            raise RecipeError(
                f"gate.weights has {len(self.weights)} numbers for {len(n_embeddings)} experts; "
                "give one each, or none"
            )
        return FixedGateModule(self.weights or (1.0,) * len(n_embeddings))


Gate = AttentionGate | WaveformGate | EnhancedGate | FixedGate
"""What may stand in the field `gate` of a mixture."""


class AttentionGateModule(nn.Module):
    """A token for each expert, attention among the tokens of a clip, a linear read-out.

    Shape:
        waveform [B, T], E embeddings [B, D] -> logits [B, E].

    Source:
        Attention-based mixture of experts for robust speech deepfake detection (2509.17585), of
        which is known that a transformer's tokens are the experts' last hidden embeddings, that
        they attend to each other and that the result gives soft weights.

        Ours: token e is W_e h_e + p_e, with a projection W_e and an identity vector p_e for each
        expert; layers that normalise after each part, as in Vaswani et al., Attention is all you
        need, 2017; both read-outs, where "token" has no bias, which would move all logits alike.
    """

    def __init__(self, spec: AttentionGate, n_embeddings: Sequence[int]) -> None:
        super().__init__()
        n_experts, width = len(n_embeddings), spec.width
        self.projections = nn.ModuleList(nn.Linear(n, width, bias=False) for n in n_embeddings)
        self.identities = nn.Parameter(torch.empty(n_experts, width))
        nn.init.uniform_(self.identities, -1 / math.sqrt(width), 1 / math.sqrt(width))
        self.layers = nn.Sequential(
            *(
                nn.TransformerEncoderLayer(
                    width, spec.heads, spec.feed_forward, spec.dropout, batch_first=True
                )
                for _ in range(spec.depth)
            )
        )
        self.is_joint = spec.readout == "joint"
        if self.is_joint:
            self.readout = nn.Linear(n_experts * width, n_experts)
        else:
            self.readout = nn.Linear(width, 1, bias=False)

    def forward(self, waveform: Tensor, embeddings: Sequence[Tensor]) -> Tensor:
        """Return one logit per clip and expert."""
        projected = [
            project(embedding)
            for project, embedding in zip(self.projections, embeddings, strict=True)
        ]
        tokens = self.layers(torch.stack(projected, dim=1) + self.identities)  # [B, E, W]
        logits: Tensor = self.readout(tokens.flatten(1) if self.is_joint else tokens)
        return logits if self.is_joint else logits.squeeze(2)


class WaveformGateModule(nn.Module):
    """One linear layer over raw samples.

    Shape:
        waveform [B, T], embeddings (not looked at) -> logits [B, E].

    Source:
        Leveraging mixture of experts for improved speech deepfake detection (2409.16077), its
        first gate, with windows of 3 s. Windows of other lengths are ours, see `WaveformGate`.
    """

    def __init__(self, spec: WaveformGate, n_experts: int) -> None:
        super().__init__()
        self.n_samples = spec.n_samples
        self.logits = nn.Linear(spec.n_samples, n_experts)

    def forward(self, waveform: Tensor, embeddings: Sequence[Tensor]) -> Tensor:
        """Return one logit per clip and expert."""
        logits: Tensor = self.logits(_of_length(waveform, self.n_samples))
        return logits


class EnhancedGateModule(nn.Module):
    """The experts' projected embeddings, and their product, through two linear layers.

    Shape:
        waveform (not looked at), E embeddings [B, D] -> logits [B, E].

    Source:
        Leveraging mixture of experts for improved speech deepfake detection (2409.16077), its
        second gate, as its published code has it: one batch normalisation for all experts, and
        dropout before the second one.

        Differences from the source: any number of experts, with embeddings of any sizes.
    """

    def __init__(self, spec: EnhancedGate, n_embeddings: Sequence[int]) -> None:
        super().__init__()
        n_experts, width = len(n_embeddings), spec.width
        self.projections = nn.ModuleList(nn.Linear(n, width) for n in n_embeddings)
        self.norm = nn.BatchNorm1d(width)
        self.scale = nn.Parameter(torch.ones(width))
        self.logits = nn.Sequential(
            nn.Linear((n_experts + 1) * width, spec.hidden),
            nn.Dropout(spec.dropout),
            nn.BatchNorm1d(spec.hidden),
            nn.LeakyReLU(),
            nn.Linear(spec.hidden, n_experts),
        )

    def forward(self, waveform: Tensor, embeddings: Sequence[Tensor]) -> Tensor:
        """Return one logit per clip and expert."""
        features = [
            nn.functional.leaky_relu(self.norm(project(embedding)))
            for project, embedding in zip(self.projections, embeddings, strict=True)
        ]
        combined = self.scale * math.prod(features[1:], start=features[0])
        logits: Tensor = self.logits(torch.cat([*features, combined], dim=1))
        return logits


class FixedGateModule(nn.Module):
    """The same logits for every clip: the logarithms of the weights.

    Shape:
        waveform [B, T], embeddings (not looked at) -> logits [B, E].

    Source:
        None needed: it makes the mixture the average that other gates are measured against.
    """

    logits: Tensor

    def __init__(self, weights: Sequence[float]) -> None:
        super().__init__()
        logits = torch.tensor([math.log(weight) for weight in weights])
        self.register_buffer("logits", logits, persistent=False)

    def forward(self, waveform: Tensor, embeddings: Sequence[Tensor]) -> Tensor:
        """Return one logit per clip and expert."""
        return self.logits.to(waveform).expand(waveform.shape[0], -1)


def _of_length(waveform: Tensor, n_samples: int) -> Tensor:
    """Return the middle of longer windows, or shorter ones repeated, [B, T] -> [B, n_samples]."""
    n_given = waveform.shape[1]
    start = at_least(n_given - n_samples, 0) // 2
    place = torch.arange(n_samples, device=waveform.device)
    return waveform[:, (start + place) % place.new_full((1,), n_given)]


def _check_dropout(dropout: float) -> None:
    if not 0 <= dropout < 1:
        raise RecipeError(f"gate.dropout is {dropout:g}; give a share from 0 up to below 1")
