"""Graph attention and graph pooling over the nodes of an utterance.

B clips, N nodes, D features in, E features out, P distances between two nodes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, selu

from unheard.detectors.layers.exporting import share_of

__all__ = ["GraphAttention", "GraphPool", "JointGraphAttention"]

INPUT_DROPOUT = 0.2
SCORE_DROPOUT = 0.3


class GraphAttention(nn.Module):
    """Attention among nodes of one kind; how much a pair attends follows from its product.

    Shape:
        [B, N, D] -> [B, N, E].

    Source:
        Jung et al., AASIST: audio anti-spoofing using integrated spectro-temporal graph attention
        networks, 2022, section 2.2, with the authors' code for what the text leaves open.

        Differences from the source: none in the numbers. The product of two nodes does not depend
        on their order, so half of the pairs are computed.
    """

    def __init__(self, n_in: int, n_out: int, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.pair = nn.Linear(n_in, n_out)
        self.pair_weight = _weight(n_out)
        self.neighbours = nn.Linear(n_in, n_out)
        self.itself = nn.Linear(n_in, n_out)
        self.norm = nn.BatchNorm1d(n_out)
        self.dropout = nn.Dropout(INPUT_DROPOUT)

    def forward(self, nodes: Tensor) -> Tensor:
        """Return the nodes after they have attended to each other, [B, N, D] -> [B, N, E]."""
        nodes = self.dropout(nodes)
        pairs = _pair_logits(nodes, self.pair, self.pair_weight)  # [B, N, P, 1]
        logits = pairs.flatten(1)[:, _places(nodes.shape[1], nodes.device)]
        attention = torch.softmax(logits / self.temperature, dim=2)
        return _normed(self.norm, self.neighbours(attention @ nodes) + self.itself(nodes))


class JointGraphAttention(nn.Module):
    """Attention among nodes of two kinds, and a master node that attends to them all.

    Shape:
        temporal [B, N1, D], spectral [B, N2, D], master [B or 1, 1, D] ->
        [B, N1, E], [B, N2, E], [B, 1, E].

    Source:
        Jung et al., AASIST, 2022, section 3.2 (heterogeneous stacking graph attention layer), with
        the authors' code for what the text leaves open.

        Differences from the source: none in the numbers. As there, the master node is not
        normalised. The product of two nodes does not depend on their order, so half of the pairs
        are computed.
    """

    def __init__(self, n_in: int, n_out: int, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.temporal = nn.Linear(n_in, n_in)
        self.spectral = nn.Linear(n_in, n_in)
        self.pair = nn.Linear(n_in, n_out)
        self.temporal_weight = _weight(n_out)
        self.spectral_weight = _weight(n_out)
        self.cross_weight = _weight(n_out)
        self.neighbours = nn.Linear(n_in, n_out)
        self.itself = nn.Linear(n_in, n_out)
        self.master_pair = nn.Linear(n_in, n_out)
        self.master_weight = _weight(n_out)
        self.master_neighbours = nn.Linear(n_in, n_out)
        self.master_itself = nn.Linear(n_in, n_out)
        self.norm = nn.BatchNorm1d(n_out)
        self.dropout = nn.Dropout(INPUT_DROPOUT)

    def forward(
        self, temporal: Tensor, spectral: Tensor, master: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the nodes of both kinds and the master node after one round of attention."""
        n_temporal = temporal.shape[1]
        nodes = torch.cat([self.temporal(temporal), self.spectral(spectral)], dim=1)
        nodes = self.dropout(nodes)
        attention = self._attention(nodes, n_temporal)
        master = self._master(nodes, master)
        nodes = _normed(self.norm, self.neighbours(attention @ nodes) + self.itself(nodes))
        return nodes[:, :n_temporal], nodes[:, n_temporal:], master

    def _attention(self, nodes: Tensor, n_temporal: int) -> Tensor:
        """Return how much each node attends to each other, [B, N, D] -> [B, N, N]."""
        weights = torch.cat([self.temporal_weight, self.cross_weight, self.spectral_weight], dim=1)
        pairs = _pair_logits(nodes, self.pair, weights)  # [B, N, P, 3]
        is_spectral = (torch.arange(nodes.shape[1], device=nodes.device) >= n_temporal).long()
        kinds = is_spectral[:, None] + is_spectral[None, :]
        places = 3 * _places(nodes.shape[1], nodes.device) + kinds
        return torch.softmax(pairs.flatten(1)[:, places] / self.temperature, dim=2)

    def _master(self, nodes: Tensor, master: Tensor) -> Tensor:
        """Return the master node after it has attended to all nodes, [B, 1, E]."""
        logits = torch.tanh(self.master_pair(nodes * master)) @ self.master_weight  # [B, N, 1]
        attention = torch.softmax(logits / self.temperature, dim=1)
        gathered = attention.transpose(1, 2) @ nodes
        result: Tensor = self.master_neighbours(gathered) + self.master_itself(master)
        return result


class GraphPool(nn.Module):
    """Keeps the share of nodes that a learned score puts first, each scaled by its score.

    Shape:
        [B, N, D] -> [B, max(int(N * share), 1), D], best first.

    Source:
        Jung et al., AASIST, 2022, section 2.2, after Gao and Ji, Graph U-nets, 2019.

        Differences from the source: none in the numbers; nodes are chosen before they are scaled.
    """

    def __init__(self, n_features: int, share: float) -> None:
        super().__init__()
        self.share = share
        self.score = nn.Linear(n_features, 1)
        self.dropout = nn.Dropout(SCORE_DROPOUT)

    def forward(self, nodes: Tensor) -> Tensor:
        """Return the nodes that are kept, highest score first."""
        n_kept = share_of(nodes.shape[1], self.share)
        scores = torch.sigmoid(self.score(self.dropout(nodes)))  # [B, N, 1]
        best, places = torch.topk(scores, n_kept, dim=1)
        return nodes.gather(1, places.expand(-1, -1, nodes.shape[2])) * best


def _pair_logits(nodes: Tensor, pair: nn.Linear, weights: Tensor) -> Tensor:
    """Return tanh(pair(product of two nodes)) @ weights for each pair, [B, N, D] -> [B, N, P, K].

    `_places` gives the position of each pair.
    """
    # tanh(x) is 2 * sigmoid(2 * x) - 1, and takes ten times as long as a sigmoid (PyTorch 2.13 on
    # AVX-512, 2.3 against 0.23 ns per number).
    rising = torch.sigmoid(linear(_products(nodes), 2 * pair.weight, 2 * pair.bias))
    return rising @ (2 * weights) - weights.sum(dim=0)


def _products(nodes: Tensor) -> Tensor:
    """Return the product of each node with itself and those that follow, [B, N, P, D].

    Entry [:, n, p] belongs to the pair of n and n + p, counted in a circle, for p up to N / 2:
    every pair is there, and only pairs at the distance N / 2 are there twice.
    """
    if torch.compiler.is_exporting():  # a graph with free N holds all pairs more easily than half
        return nodes[:, :, None] * nodes[:, None]
    reach = nodes.shape[1] // 2
    circle = torch.cat([nodes, nodes[:, :reach]], dim=1)
    # In this order of dimensions the product comes out contiguous, so nothing copies it later.
    return nodes[:, :, None] * circle.unfold(1, reach + 1, 1).transpose(2, 3)


def _places(n_nodes: int, device: torch.device) -> Tensor:
    """Return where `_products`, flattened over N and P, has each pair of nodes, [N, N]."""
    if torch.compiler.is_exporting():
        return torch.arange(n_nodes * n_nodes, device=device).view(n_nodes, n_nodes)
    node = torch.arange(n_nodes, device=device)
    reach = n_nodes // 2
    distance = (node[None, :] - node[:, None]) % n_nodes
    ahead = distance <= reach
    first = torch.where(ahead, node[:, None], node[None, :])
    return first * (reach + 1) + torch.where(ahead, distance, n_nodes - distance)


def _normed(norm: nn.BatchNorm1d, nodes: Tensor) -> Tensor:
    """Return nodes [B, N, E] normalised over clips and nodes, through SELU."""
    normed: Tensor = norm(nodes.flatten(0, 1)).unflatten(0, nodes.shape[:2])
    return selu(normed)


def _weight(n_features: int) -> nn.Parameter:
    weight = nn.Parameter(torch.empty(n_features, 1))
    # Shapes alone (meta) need no numbers, and drawing them there would import SymPy: 3 s.
    if not weight.is_meta:
        nn.init.xavier_normal_(weight)
    return weight
