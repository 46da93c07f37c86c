"""One sequence of frames out of the states of all layers of an encoder.

B clips, L layer states, F frames, C features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from unheard.errors import RecipeError, check_choices

__all__ = ["Adaptive", "AdaptiveSum", "WeightedSum", "summed"]


class WeightedSum(nn.Module):
    """A learned weighted sum of layer states; the weights are the same for every clip.

    Shape:
        L times [B, F, C] -> [B, F, C]. Weights start equal and sum to one.

    Source:
        Yang et al., SUPERB, 2021, section 3.
    """

    def __init__(self, n_states: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(n_states))

    def weights(self, states: Sequence[Tensor]) -> Tensor:
        """Return the weight of each state for each clip, [B, L]."""
        return self.logits.softmax(dim=0).expand(states[0].shape[0], -1)

    def forward(self, states: Sequence[Tensor]) -> Tensor:
        """Return the weighted sum."""
        return summed(states, self.weights(states))


@dataclass(frozen=True)
class Adaptive:
    """How an adaptive sum finds its weights. None of these numbers is known of the paper.

    Attributes:
        n_kernel: Neighbouring layers that a convolution spans, an odd number.
        n_convolutions: Convolutions in a row, with ReLU in between.
        n_channels: Channels between them.
        activation: Of the weights: "softmax" makes them positive with a sum of one, "sigmoid" puts
            each between 0 and 1, "none" leaves them as they are.
    """

    n_kernel: int = 3
    n_convolutions: int = 1
    n_channels: int = 8
    activation: Literal["softmax", "sigmoid", "none"] = "softmax"

    def __post_init__(self) -> None:
        if self.n_kernel < 1 or self.n_kernel % 2 == 0:
            raise RecipeError(f"n_kernel is {self.n_kernel}; give an odd number, such as 3")
        if self.n_convolutions < 1 or self.n_channels < 1:
            raise RecipeError(
                f"n_convolutions is {self.n_convolutions} and n_channels {self.n_channels}; give "
                "1 or more of each"
            )
        check_choices(self, "{name} cannot be {value!r}")


class AdaptiveSum(nn.Module):
    """A weighted sum of layer states whose weights are computed from the clip.

    Shape:
        L times [B, F, C] -> [B, F, C].

    Source:
        Diffusion reconstruction towards generalizable audio deepfake detection (2604.26465): z_l is
        the mean of state l over time and features (eq. 1); the weights are a 1-D convolution over
        (z_1 .. z_L) (eq. 2). What the paper does not state is in `Adaptive`; ours also is that the
        input of the first layer counts as a state. Softmax is blind to a bias, so it has none.
    """

    def __init__(self, how: Adaptive = Adaptive()) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for place in range(how.n_convolutions):
            is_last = place == how.n_convolutions - 1
            n_in, n_out = how.n_channels if place else 1, 1 if is_last else how.n_channels
            has_bias = not is_last or how.activation != "softmax"
            parts += [
                nn.Conv1d(n_in, n_out, how.n_kernel, padding=how.n_kernel // 2, bias=has_bias),
                nn.ReLU(),
            ]
        self.convolution = nn.Sequential(*parts[:-1])
        self.activation = how.activation

    def weights(self, states: Sequence[Tensor]) -> Tensor:
        """Return the weight of each state for each clip, [B, L]."""
        means = torch.stack([state.mean(dim=(1, 2)) for state in states], dim=1)
        weights: Tensor = self.convolution(means.unsqueeze(1)).squeeze(1)
        if self.activation == "softmax":
            return weights.softmax(dim=1)
        return weights.sigmoid() if self.activation == "sigmoid" else weights

    def forward(self, states: Sequence[Tensor]) -> Tensor:
        """Return the weighted sum."""
        return summed(states, self.weights(states))


def summed(states: Sequence[Tensor], weights: Tensor) -> Tensor:
    """Return sum_l weights[:, l] states[l], without stacking the states, [B, F, C]."""
    total = states[0] * weights[:, 0, None, None]
    for index, state in enumerate(states[1:], start=1):
        total = total + state * weights[:, index, None, None]
    return total
