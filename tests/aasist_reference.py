"""AASIST written out step by step from its equations, with every pair of nodes and every branch.

Slow on purpose: it is what the product's layers are compared with. It takes the weights of a module
of the product by name, so outputs and gradients can both be compared; dropout is left out.

B clips, F frames, N nodes, D features in, E features out, K channels, S by T a map.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional

Weights = Mapping[str, Tensor]


def tensors(module: torch.nn.Module) -> dict[str, Tensor]:
    """Return parameters and buffers by name; the running statistics as copies."""
    named: dict[str, Tensor] = dict(module.named_parameters())
    return named | {name: value.clone() for name, value in module.named_buffers()}


def below(weights: Weights, name: str) -> dict[str, Tensor]:
    return {
        key.removeprefix(name + "."): value
        for key, value in weights.items()
        if key.startswith(name + ".")
    }


def linear(weights: Weights, name: str, x: Tensor) -> Tensor:
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def convolution(weights: Weights, name: str, x: Tensor, padding: tuple[int, int]) -> Tensor:
    return functional.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=padding)


def norm(weights: Weights, name: str, x: Tensor, training: bool) -> Tensor:
    return functional.batch_norm(
        x,
        weights[f"{name}.running_mean"],
        weights[f"{name}.running_var"],
        weights[f"{name}.weight"],
        weights[f"{name}.bias"],
        training=training,
    )


def node_norm(weights: Weights, x: Tensor, training: bool) -> Tensor:
    flat = norm(weights, "norm", x.reshape(-1, x.shape[-1]), training)
    return functional.selu(flat.reshape(x.shape))


def every_pair(nodes: Tensor) -> Tensor:
    """Return x_i * x_j for every i and j, [B, N, D] -> [B, N, N, D]."""
    n_nodes = nodes.shape[1]
    first = nodes.unsqueeze(2).expand(-1, -1, n_nodes, -1)
    return first * first.transpose(1, 2)


def graph_attention(weights: Weights, x: Tensor, temperature: float, training: bool) -> Tensor:
    pairs = torch.tanh(linear(weights, "pair", every_pair(x)))  # [B, N, N, E]
    logits = pairs @ weights["pair_weight"]  # [B, N, N, 1]
    attention = torch.softmax(logits / temperature, dim=-2).squeeze(-1)
    attended = linear(weights, "neighbours", attention @ x) + linear(weights, "itself", x)
    return node_norm(weights, attended, training)


def joint_attention(
    weights: Weights,
    temporal: Tensor,
    spectral: Tensor,
    master: Tensor,
    temperature: float,
    training: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    n = temporal.shape[1]
    x = torch.cat(
        [linear(weights, "temporal", temporal), linear(weights, "spectral", spectral)], dim=1
    )
    pairs = torch.tanh(linear(weights, "pair", every_pair(x)))  # [B, N, N, E]
    board = torch.zeros_like(pairs[..., :1])
    board[:, :n, :n] = pairs[:, :n, :n] @ weights["temporal_weight"]
    board[:, n:, n:] = pairs[:, n:, n:] @ weights["spectral_weight"]
    board[:, :n, n:] = pairs[:, :n, n:] @ weights["cross_weight"]
    board[:, n:, :n] = pairs[:, n:, :n] @ weights["cross_weight"]
    attention = torch.softmax(board / temperature, dim=-2).squeeze(-1)

    to_master = torch.tanh(linear(weights, "master_pair", x * master)) @ weights["master_weight"]
    shares = torch.softmax(to_master / temperature, dim=-2)  # [B, N, 1]
    gathered = (shares * x).sum(dim=1, keepdim=True)
    master = linear(weights, "master_neighbours", gathered) + linear(
        weights, "master_itself", master
    )

    attended = linear(weights, "neighbours", attention @ x) + linear(weights, "itself", x)
    x = node_norm(weights, attended, training)
    return x[:, :n], x[:, n:], master


def graph_pool(weights: Weights, x: Tensor, share: float) -> Tensor:
    n_kept = max(int(x.shape[1] * share), 1)
    scores = torch.sigmoid(linear(weights, "score", x))  # [B, N, 1]
    kept = []
    for clip, score in zip(x * scores, scores.detach(), strict=True):
        order = score.squeeze(1).argsort(descending=True).tolist()
        kept.append(torch.stack([clip[node] for node in order[:n_kept]]))
    return torch.stack(kept)


def branch(
    weights: Weights, temporal: Tensor, spectral: Tensor, share: float, training: bool
) -> tuple[Tensor, Tensor, Tensor]:
    temporal, spectral, master = joint_attention(
        below(weights, "attend"), temporal, spectral, weights["master"], 100.0, training
    )
    temporal = graph_pool(below(weights, "temporal_pool"), temporal, share)
    spectral = graph_pool(below(weights, "spectral_pool"), spectral, share)
    more = joint_attention(below(weights, "refine"), temporal, spectral, master, 100.0, training)
    return temporal + more[0], spectral + more[1], master + more[2]


def graph_head(
    weights: Weights,
    spectral: Tensor,
    temporal: Tensor,
    shares: tuple[float, float, float],
    training: bool,
) -> Tensor:
    spectral = spectral + weights["position"]
    spectral = graph_attention(below(weights, "spectral"), spectral, 2.0, training)
    spectral = graph_pool(below(weights, "spectral_pool"), spectral, shares[0])
    temporal = graph_attention(below(weights, "temporal"), temporal, 2.0, training)
    temporal = graph_pool(below(weights, "temporal_pool"), temporal, shares[1])
    first = branch(below(weights, "first"), temporal, spectral, shares[2], training)
    second = branch(below(weights, "second"), temporal, spectral, shares[2], training)
    temporal, spectral, master = (torch.max(a, b) for a, b in zip(first, second, strict=True))
    return torch.cat(
        [
            temporal.abs().max(dim=1).values,
            temporal.mean(dim=1),
            spectral.abs().max(dim=1).values,
            spectral.mean(dim=1),
            master.squeeze(1),
        ],
        dim=1,
    )


def residual_block(weights: Weights, x: Tensor, training: bool) -> Tensor:
    inner = convolution(weights, "conv_in", x, (1, 1))
    inner = functional.selu(norm(weights, "norm", inner, training))
    inner = convolution(weights, "conv_out", inner, (0, 1))
    if "shortcut.weight" in weights:
        x = convolution(weights, "shortcut", x, (0, 1))
    return inner + x


def aasist_embedding(weights: Weights, frames: Tensor, training: bool) -> Tensor:
    """Return the embedding of the SSL variant, [B, F, C] -> [B, 160]."""
    x = linear(weights, "projection", frames).transpose(1, 2).unsqueeze(1)
    x = functional.max_pool2d(x, (3, 3))
    x = functional.selu(norm(weights, "norm_in", x, training))
    for place in range(6):
        x = residual_block(below(weights, f"blocks.{place}"), x, training)
    x = functional.selu(norm(weights, "norm_out", x, training))
    w = functional.selu(convolution(weights, "attention.0", x, (0, 0)))
    w = convolution(weights, "attention.3", norm(weights, "attention.2", w, training), (0, 0))
    spectral = (x * torch.softmax(w, dim=-1)).sum(dim=-1).transpose(1, 2)
    temporal = (x * torch.softmax(w, dim=-2)).sum(dim=-2).transpose(1, 2)
    graphs = below(weights, "graphs")
    return graph_head(graphs, spectral, temporal, (0.5, 0.5, 0.5), training)


def aasist_score(weights: Weights, frames: Tensor, training: bool) -> Tensor:
    """Return bona fide logit less spoof logit, [B, F, C] -> [B]."""
    logits = linear(weights, "logits", aasist_embedding(weights, frames, training))
    return logits[:, 1] - logits[:, 0]


def band_pass(low_hz: float, high_hz: float, n_taps: int) -> list[float]:
    """Return an ideal band-pass filter under a Hamming window, at 16 kHz, tap by tap."""

    def low_pass(edge_hz: float, place: float) -> float:
        if place == 0:
            return 2 * edge_hz / 16_000
        return math.sin(2 * math.pi * edge_hz / 16_000 * place) / (math.pi * place)

    taps = []
    for tap in range(n_taps):
        place = tap - (n_taps - 1) / 2
        window = 0.54 - 0.46 * math.cos(2 * math.pi * tap / (n_taps - 1))
        taps.append(window * (low_pass(high_hz, place) - low_pass(low_hz, place)))
    return taps


def mel_edges_hz(n_filters: int) -> list[float]:
    highest = 2595 * math.log10(1 + 8000 / 700)
    return [700 * (10 ** (highest * k / n_filters / 2595) - 1) for k in range(n_filters + 1)]


def raw_score(
    weights: Weights,
    waveform: Tensor,
    n_filters: int,
    n_taps: int,
    shares: tuple[float, float, float],
    training: bool,
) -> Tensor:
    """Return bona fide logit less spoof logit of the raw waveform variant, [B, T] -> [B]."""
    edges = mel_edges_hz(n_filters)
    filters = torch.tensor(
        [band_pass(low, high, n_taps) for low, high in pairwise(edges)],
        dtype=waveform.dtype,
    )
    x = functional.conv1d(waveform.unsqueeze(1), filters.unsqueeze(1)).abs()
    x = functional.max_pool2d(x.unsqueeze(1), (3, 3))
    x = functional.selu(norm(weights, "norm_in", x, training))
    for place in range(6):
        x = residual_block(below(weights, f"blocks.{place}"), x, training)
        x = functional.max_pool2d(x, (1, 3))
    spectral = x.abs().max(dim=3).values.transpose(1, 2)
    temporal = x.abs().max(dim=2).values.transpose(1, 2)
    embedding = graph_head(below(weights, "graphs"), spectral, temporal, shares, training)
    logits = linear(weights, "logits", embedding)
    return logits[:, 1] - logits[:, 0]
