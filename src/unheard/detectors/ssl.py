"""A speech foundation model before a back-end: tuned whole, frozen, or through adapters.

What detectors of every back-end share. B clips, T samples, F frames, C features of the encoder, L
of its states.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Self

import torch
from torch import Tensor, nn

from unheard.detectors.detector import Detector
from unheard.detectors.layers.aggregation import Adaptive, AdaptiveSum, WeightedSum
from unheard.detectors.layers.encoder import XLS_R_300M, Encoder
from unheard.detectors.layers.growth import Reads, Width, is_resized, mark_resized, unit_axes
from unheard.detectors.layers.lora import LoraExperts, adapt, adapter_names, expert_terms
from unheard.errors import RecipeError

__all__ = ["Ssl", "SslDetector"]

LAYER = "encoder.layers."
GROWS = 2
"""Which layer grows by default: the third, as paper 2603.24343 found best for wav2vec 2.0 base."""


@dataclass(frozen=True, kw_only=True)
class Ssl:
    """What to build: an encoder, what of it is trained, which layers are read.

    Attributes:
        encoder: The foundation model.
        frozen: Leave the encoder's weights as they are; with adapters they always stay.
        adapters: LoRA, or a mixture of LoRA experts, in the encoder's layers.
        reading: "last" takes the output of the last kept layer; "weighted" a learned weighted sum
            over all layers; "adaptive" one whose weights depend on the clip.
        checkpointing: Compute layers again in the backward pass instead of keeping their insides:
            less memory, about a third more time.
        feed_forward: Inner width of each layer's feed-forward part, from the first layer; 0, or no
            entry, leaves a layer as it was published. A layer with a width of its own starts from
            as many published units as it has room for, more are random; all of them are trained
            and saved, also if all else is frozen.
        adaptive: How an adaptive sum finds its weights.
    """

    encoder: Encoder = XLS_R_300M
    frozen: bool = False
    adapters: LoraExperts | None = None
    reading: Literal["last", "weighted", "adaptive"] = "last"
    checkpointing: bool = False
    feed_forward: tuple[int, ...] = ()
    adaptive: Adaptive = field(default_factory=Adaptive)

    def __post_init__(self) -> None:
        if any(n_units < 0 for n_units in self.feed_forward):
            raise RecipeError(
                f"feed_forward={self.feed_forward}; give 1 or more units for each layer, or 0 to "
                "leave it as it was published"
            )

    def with_widths(self, widths: Mapping[str, int]) -> Self:
        """Return the same with other feed-forward widths, by layer, such as "encoder.layers.2".

        Raises:
            RecipeError: If a name is not that of a layer.
        """
        by_layer = dict(enumerate(self.feed_forward))
        for name, n_units in widths.items():
            index = name.removeprefix(LAYER)
            if not name.startswith(LAYER) or not index.isdecimal():
                raise RecipeError(
                    f"{type(self).__name__} has no width {name!r}; name a layer, such as '{LAYER}2'"
                )
            by_layer[int(index)] = n_units
        together = tuple(by_layer.get(index, 0) for index in range(max(by_layer, default=-1) + 1))
        return replace(self, feed_forward=together)


class SslDetector(Detector):
    """Encoder, and one sequence of frames out of its layers; a subclass adds the back-end.

    Source:
        Mixture of low-rank adapter experts (2509.13878) for adapters with n_experts > 1;
        meta-learned LoRA (2502.10838) for those with one.
    """

    def __init__(self, spec: Ssl) -> None:
        super().__init__()
        self.encoder = spec.encoder.build()
        self.encoder.checkpointing = spec.checkpointing
        self.pretraining = spec.encoder
        own_widths = {layer: n for layer, n in enumerate(spec.feed_forward) if n}
        for layer, n_units in own_widths.items():
            self.encoder.set_feed_forward(layer, n_units)
        self.stays = spec.frozen or spec.adapters is not None
        if self.stays:
            self.encoder.requires_grad_(False)
        if spec.adapters is not None:
            adapt(self.encoder.layers, spec.adapters)
        for layer in own_widths:
            mark_resized(self, self.widths()[f"{LAYER}{layer}"])
        n_states = len(self.encoder.layers) + 1
        self.reading: nn.Module | None = None
        if spec.reading != "last":
            self.reading = (
                WeightedSum(n_states) if spec.reading == "weighted" else AdaptiveSum(spec.adaptive)
            )

    def train(self, mode: bool = True) -> Self:
        """Switch between training and scoring; running statistics of a kept encoder stay."""
        super().train(mode)
        if self.stays:
            for part in self.encoder.modules():
                if isinstance(part, nn.BatchNorm1d):
                    part.eval()
        return self

    def frames(self, waveform: Tensor) -> Tensor:
        """Return what the back-end sees, [B, T] -> [B, F, C]."""
        states = self._states(waveform)
        read: Tensor = states[-1] if self.reading is None else self.reading(states)
        return read

    def layer_weights(self, waveform: Tensor) -> Tensor:
        """Return how much each state counts in what the back-end sees, [B, T] -> [B, L].

        The first is the input of the encoder's first layer. Only a weighted or adaptive sum has
        weights.
        """
        assert isinstance(self.reading, WeightedSum | AdaptiveSum), "the last layer alone is read"
        return self.reading.weights(self._states(waveform))

    def _states(self, waveform: Tensor) -> list[Tensor]:
        """Return the states of the encoder's layers, L times [B, F, C]."""
        learns = any(parameter.requires_grad for parameter in self.encoder.parameters())
        with torch.set_grad_enabled(torch.is_grad_enabled() and learns):
            states: list[Tensor] = self.encoder(waveform)
        return states

    def terms(self) -> Mapping[str, Tensor]:
        """Return the experts' balance and orthogonality of the last training pass."""
        return expert_terms(self.encoder)

    def pretrained(self) -> dict[str, Tensor]:
        """Return the encoder's published weights by name in this module."""
        wanted = self.state_dict()
        encoder = {
            f"encoder.{name}": value for name, value in self.pretraining.pretrained().items()
        }
        resized = self._resized()
        return {
            name: _fitted(value, wanted[name]) if name in resized else value
            for name, value in encoder.items()
            if name in wanted
        }

    def pretrained_names(self) -> frozenset[str]:
        """Return the names of the encoder's own weights, if they are published ones."""
        if not self.pretraining.source:
            return frozenset()
        added = {f"encoder.{name}" for name in adapter_names(self.encoder)}
        names = {name for name in self.state_dict() if name.startswith("encoder.")}
        return frozenset(names - added)

    def frozen_names(self) -> frozenset[str]:
        """Return the same names, if those weights stay as they were published."""
        return self.pretrained_names() - self._resized() if self.stays else frozenset()

    def widths(self) -> Mapping[str, Width]:
        """Return the inner width of each layer's feed-forward part."""
        n_layers = len(self.encoder.layers)
        widths = {}
        for layer in range(n_layers):
            first, second = self.encoder.feed_forward(layer)
            widths[f"{LAYER}{layer}"] = Width(
                makes=(f"encoder.{first}",),
                reads=(Reads(f"encoder.{second}"),),
                by_default=layer == min(GROWS, n_layers - 1),
            )
        return widths

    def _resized(self) -> frozenset[str]:
        """Return the names of tensors of feed-forward parts that have a width of their own."""
        resized = [width for width in self.widths().values() if is_resized(self, width)]
        return frozenset(place.name for width in resized for place in unit_axes(self, width))


def _fitted(published: Tensor, built: Tensor) -> Tensor:
    """Return as much of a published tensor as there is room for; what it lacks stays as built."""
    fitted = built.clone()
    shared = tuple(slice(min(sizes)) for sizes in zip(published.shape, built.shape, strict=True))
    fitted[shared] = published[shared].to(fitted)
    return fitted
