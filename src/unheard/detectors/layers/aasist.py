"""AASIST: graphs over frequency and over time, joined, on maps or on frames of an encoder.

B clips, F frames, C features of a frame, K channels, S spectral nodes, T temporal nodes,
D features of a node.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from unheard.detectors.layers.graph import GraphAttention, GraphPool, JointGraphAttention

__all__ = [
    "Aasist",
    "GraphHead",
    "ResidualBlock",
    "largest_size",
    "logit_difference",
    "residual_blocks",
]

N_PROJECTED = 128
"""Features of a frame after the projection of the SSL variant."""

POOLING = 3
"""Frames and features are pooled by this before the residual blocks."""

BRANCH_DROPOUT = 0.2
EMBEDDING_DROPOUT = 0.5
NODE_TEMPERATURE = 2.0
JOINT_TEMPERATURE = 100.0


class ResidualBlock(nn.Module):
    """Two convolutions next to a shortcut, over maps of frequency by time.

    Shape:
        [B, n_in, S, T] -> [B, n_out, S, T].

    Source:
        Jung et al., AASIST, 2022, section 3.1 and the authors' code; AASIST's encoder is that of
        Tak et al., RawNet2 for anti-spoofing, 2021, in two dimensions.

        Differences from the source: none in the numbers. There, a normalisation and an activation
        before the first convolution are computed and then not used: their weights count as
        parameters but never learn. Here they are kept, frozen, for the same count, and not
        computed. Where the source pools maps over time after a block, the caller does.
    """

    def __init__(self, n_in: int, n_out: int, *, first: bool = False) -> None:
        super().__init__()
        if not first:
            self.unused_norm = nn.BatchNorm2d(n_in).requires_grad_(False)
        self.conv_in = nn.Conv2d(n_in, n_out, (2, 3), padding=(1, 1))
        self.norm = nn.BatchNorm2d(n_out)
        self.conv_out = nn.Conv2d(n_out, n_out, (2, 3), padding=(0, 1))
        self.shortcut: nn.Module = nn.Identity()
        if n_in != n_out:
            self.shortcut = nn.Conv2d(n_in, n_out, (1, 3), padding=(0, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the next maps, [B, n_in, S, T] -> [B, n_out, S, T]."""
        inner = nn.functional.selu(self.norm(self.conv_in(x)))
        result: Tensor = self.conv_out(inner) + self.shortcut(x)
        return result


def residual_blocks(n_first: int, n_last: int) -> list[ResidualBlock]:
    """Return the six blocks of AASIST: two of `n_first` channels, then four of `n_last`."""
    widths = [1, n_first, n_first, n_last, n_last, n_last, n_last]
    return [
        ResidualBlock(n_in, n_out, first=place == 0)
        for place, (n_in, n_out) in enumerate(pairwise(widths))
    ]


class GraphHead(nn.Module):
    """Two graphs, two branches that join them, and the read-out of AASIST.

    Shape:
        spectral [B, S, n_channels], temporal [B, T, n_channels] -> [B, 5 * widths[1]], any T >= 1.

    Source:
        Jung et al., AASIST, 2022, sections 3.2 to 3.4, and the authors' code.

        Differences from the source: none in the numbers.
    """

    def __init__(
        self, n_spectral: int, n_channels: int, widths: Sequence[int], shares: Sequence[float]
    ) -> None:
        super().__init__()
        n_nodes, n_joint = widths
        spectral_share, temporal_share, joint_share = shares
        self.n_embedding = 5 * n_joint
        self.position = _normal(n_spectral, n_channels)
        self.spectral = GraphAttention(n_channels, n_nodes, NODE_TEMPERATURE)
        self.spectral_pool = GraphPool(n_nodes, spectral_share)
        self.temporal = GraphAttention(n_channels, n_nodes, NODE_TEMPERATURE)
        self.temporal_pool = GraphPool(n_nodes, temporal_share)
        self.first = _Branch(n_nodes, n_joint, joint_share)
        self.second = _Branch(n_nodes, n_joint, joint_share)
        self.dropout = nn.Dropout(EMBEDDING_DROPOUT)

    def forward(self, spectral: Tensor, temporal: Tensor) -> Tensor:
        """Return one embedding per clip."""
        spectral = self.spectral_pool(self.spectral(spectral + self.position))
        temporal = self.temporal_pool(self.temporal(temporal))
        branches = zip(self.first(temporal, spectral), self.second(temporal, spectral), strict=True)
        temporal, spectral, master = (torch.maximum(first, second) for first, second in branches)
        read = [
            largest_size(temporal, 1),
            temporal.mean(dim=1),
            largest_size(spectral, 1),
            spectral.mean(dim=1),
            master.squeeze(1),
        ]
        embedding: Tensor = self.dropout(torch.cat(read, dim=1))
        return embedding


class _Branch(nn.Module):
    """Joint attention, pooling of each kind, and joint attention again next to a shortcut."""

    def __init__(self, n_in: int, n_out: int, share: float) -> None:
        super().__init__()
        self.master = _normal(1, n_in)
        self.attend = JointGraphAttention(n_in, n_out, JOINT_TEMPERATURE)
        self.spectral_pool = GraphPool(n_out, share)
        self.temporal_pool = GraphPool(n_out, share)
        self.refine = JointGraphAttention(n_out, n_out, JOINT_TEMPERATURE)
        self.dropout = nn.Dropout(BRANCH_DROPOUT)

    def forward(self, temporal: Tensor, spectral: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return temporal nodes, spectral nodes and the master node."""
        temporal, spectral, master = self.attend(temporal, spectral, self.master)
        nodes = self.temporal_pool(temporal), self.spectral_pool(spectral), master
        refined = self.refine(*nodes)
        temporal, spectral, master = (
            self.dropout(old + new) for old, new in zip(nodes, refined, strict=True)
        )
        return temporal, spectral, master


class Aasist(nn.Module):
    """The AASIST back-end over the frames of a speech encoder: 447,242 parameters for 1024.

    Frames are projected to 128 features and seen as a map of 128 by F; residual blocks, attentive
    pooling into spectral and temporal nodes, and the graphs of AASIST follow.

    Shape:
        frames [B, F, n_features] -> embedding [B, 160] -> score [B]; F from 3 frames, and from 6
        to train on one clip at a time.

    Source:
        Tak et al., Automatic speaker verification spoofing and deepfake detection using wav2vec
        2.0 and data augmentation, 2022, and the authors' code; graphs from Jung et al., AASIST,
        2022.

        Differences from the source: the score is the difference of the two logits, bona fide less
        spoof, where the source takes the logit of bona fide alone: trained by cross-entropy, only
        the difference is how likely each class is. Weights of the residual blocks that never
        learn are frozen (see `ResidualBlock`).

    Attributes:
        n_embedding: Features of the embedding.
    """

    def __init__(self, n_features: int = 1024) -> None:
        super().__init__()
        self.projection = nn.Linear(n_features, N_PROJECTED)
        self.norm_in = nn.BatchNorm2d(1)
        self.blocks = nn.Sequential(*residual_blocks(32, 64))
        self.norm_out = nn.BatchNorm2d(64)
        self.attention = nn.Sequential(
            nn.Conv2d(64, 128, 1), nn.SELU(), nn.BatchNorm2d(128), nn.Conv2d(128, 64, 1)
        )
        self.graphs = GraphHead(N_PROJECTED // POOLING, 64, (64, 32), (0.5, 0.5, 0.5))
        self.n_embedding = self.graphs.n_embedding
        self.logits = nn.Linear(self.n_embedding, 2)

    def embed(self, frames: Tensor) -> Tensor:
        """Return one embedding per clip, [B, F, C] -> [B, 160]."""
        selu = nn.functional.selu
        maps = self.projection(frames).transpose(1, 2).unsqueeze(1)  # [B, 1, 128, F]
        maps = selu(self.norm_in(nn.functional.max_pool2d(maps, POOLING)))
        maps = selu(self.norm_out(self.blocks(maps)))  # [B, K, S, T]
        weights = self.attention(maps)
        spectral = (maps * torch.softmax(weights, dim=3)).sum(dim=3)  # [B, K, S]
        temporal = (maps * torch.softmax(weights, dim=2)).sum(dim=2)  # [B, K, T]
        embedding: Tensor = self.graphs(spectral.transpose(1, 2), temporal.transpose(1, 2))
        return embedding

    def score(self, embedding: Tensor) -> Tensor:
        """Return one score per embedding, [B, 160] -> [B]; higher is more bona fide."""
        return logit_difference(self.logits(embedding))

    def forward(self, frames: Tensor) -> Tensor:
        """Return one score per clip, [B, F, C] -> [B]."""
        return self.score(self.embed(frames))


def largest_size(x: Tensor, dim: int) -> Tensor:
    """Return the largest absolute value along one dimension, which is dropped."""
    # Without abs(): its second derivative makes PyTorch 2.13 import its compiler, 4 s once.
    return torch.maximum(x.amax(dim), -x.amin(dim))


def logit_difference(logits: Tensor) -> Tensor:
    """Return the logit of bona fide (1) less that of spoof (0), [B, 2] -> [B]."""
    return logits[:, 1] - logits[:, 0]


def _normal(n_nodes: int, n_features: int) -> nn.Parameter:
    parameter = nn.Parameter(torch.empty(1, n_nodes, n_features))
    # Shapes alone (meta) need no numbers, and drawing them there would import SymPy: 3 s.
    if not parameter.is_meta:
        nn.init.normal_(parameter)
    return parameter
