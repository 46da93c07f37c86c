"""One sequence of frames out of the states of all layers of an encoder.

B clips, L layer states, F frames, C features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

__all__ = ["AdaptiveSum", "WeightedSum", "summed"]


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
        return self.logits.softmax(dim=0).expand(len(states[0]), -1)

    def forward(self, states: Sequence[Tensor]) -> Tensor:
        """Return the weighted sum."""
        return summed(states, self.weights(states))


class AdaptiveSum(nn.Module):
    """A weighted sum of layer states whose weights are computed from the clip.

    Shape:
        L times [B, F, C] -> [B, F, C].

    Source:
        Diffusion reconstruction towards generalizable audio deepfake detection (2604.26465),
        eq. 1 and 2: z_l is the mean of state l over time and features; the weights are a 1-D
        convolution over (z_1 .. z_L). The paper states neither the kernel nor an activation:
        defaults here are one kernel of 3 and softmax.
    """

    def __init__(
        self, n_kernel: int = 3, activation: Literal["softmax", "sigmoid", "none"] = "softmax"
    ) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(1, 1, n_kernel, padding=n_kernel // 2)
        self.activation = activation

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
