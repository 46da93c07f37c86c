"""Statistics of frames over time. B clips, F frames, C features."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["AttentiveStatistics", "deviation", "statistics"]

_FIRST_WORTH = 1e-3


def deviation(variance: Tensor) -> Tensor:
    """Return the root of a variance plus 1e-8, of any shape: a finite slope where nothing moves.

    The sum is taken in units ten thousand times smaller: the exporter of graphs holds a summand of
    1e-8 for nothing and leaves it out, which features that hardly move do not forgive.
    """
    return (variance * 1e4 + 1e-4).sqrt() * 1e-2


def statistics(frames: Tensor) -> Tensor:
    """Return mean and standard deviation over time, [B, F, C] -> [B, 2 C]."""
    mean = frames.mean(dim=1, keepdim=True)
    variance = (frames - mean).square().mean(dim=1)
    return torch.cat([mean[:, 0], deviation(variance)], dim=1)


class AttentiveStatistics(nn.Module):
    """Mean and standard deviation over time, in which each frame counts as much as it is worth.

    Shape:
        [B, F, C] -> [B, 2 C].

    Source:
        Okabe et al., Attentive statistics pooling for deep speaker embedding, 2018, eq. 1 to 6: one
        weight a frame. Frames start with nearly equal weights.
    """

    def __init__(self, n_features: int, n_attention: int = 128) -> None:
        super().__init__()
        worth = nn.Linear(n_attention, 1, bias=False)
        nn.init.normal_(worth.weight, std=_FIRST_WORTH)
        self.attention = nn.Sequential(nn.Linear(n_features, n_attention), nn.Tanh(), worth)

    def forward(self, frames: Tensor) -> Tensor:
        """Return the statistics."""
        weights = self.attention(frames).softmax(dim=1)
        mean = (weights * frames).sum(dim=1, keepdim=True)
        variance = (weights * (frames - mean).square()).sum(dim=1)
        return torch.cat([mean[:, 0], deviation(variance)], dim=1)
