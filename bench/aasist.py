"""Cost of the AASIST back-end against the same equations with every pair of nodes written out.

Run:  OMP_NUM_THREADS=1 python bench/aasist.py [--clips 16] [--frames 201] [--repeats 10]

Forward and backward in float32 on one thread, without dropout, in training mode. Both sides take
turns, and the shortest processor time of each is given, since other work may share the machine.
"Written out" is tests/aasist_reference.py, with the same convolutions: they take most of the time
of the whole back-end on either side, so the graphs are also measured alone. The pooling there goes
through the clips one by one, which the row "pairs" leaves out of the comparison.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from unheard.detectors.layers.aasist import Aasist, GraphHead
from unheard.detectors.layers.graph import GraphAttention

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
import aasist_reference as reference

WHISPER_TINY = {"d_model": 384, "nhead": 6, "dim_feedforward": 1536, "n_layers": 4}


def best_s(runs: dict[str, Callable[[], Tensor]], repeats: int) -> dict[str, float]:
    """Return the shortest processor time of each, forward and backward, taken in turns."""
    best = dict.fromkeys(runs, float("inf"))
    for repeat in range(repeats + 1):
        for name, run in runs.items():
            start = time.process_time()
            torch.autograd.backward(run().square().sum())
            if repeat:  # the first one warms up
                best[name] = min(best[name], time.process_time() - start)
    return best


def still(module: nn.Module) -> dict[str, Tensor]:
    """Take dropout out of a module and return its weights for the reference."""
    for part in module.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    weights: dict[str, Tensor] = reference.tensors(module)
    return weights


def compare(name: str, runs: dict[str, Callable[[], Tensor]], repeats: int) -> None:
    difference = (runs["ours"]() - runs["written out"]()).abs().max().item()
    times = best_s(runs, repeats)
    ratio = times["written out"] / times["ours"]
    print(
        f"| {name} | {times['ours'] * 1e3:.0f} ms | {times['written out'] * 1e3:.0f} ms "
        f"| {ratio:.2f} | {difference:.0e} |",
        flush=True,
    )


def pairs(n_clips: int, n_nodes: int, repeats: int) -> None:
    layer = GraphAttention(64, 64, temperature=2.0)
    weights = still(layer)
    nodes = torch.randn(n_clips, n_nodes, 64, requires_grad=True)
    runs = {
        "ours": lambda: layer(nodes),
        "written out": lambda: reference.graph_attention(weights, nodes, 2.0, training=True),
    }
    compare(f"pairs: one attention layer, {n_nodes} nodes", runs, repeats)


def graphs(n_clips: int, n_nodes: int, repeats: int) -> None:
    shares = (0.5, 0.5, 0.5)
    head = GraphHead(42, 64, (64, 32), shares)
    weights = still(head)
    spectral = torch.randn(n_clips, 42, 64, requires_grad=True)
    temporal = torch.randn(n_clips, n_nodes, 64, requires_grad=True)
    runs = {
        "ours": lambda: head(spectral, temporal),
        "written out": lambda: reference.graph_head(weights, spectral, temporal, shares, True),
    }
    compare(f"all graphs, 42 and {n_nodes} nodes", runs, repeats)


def whole(n_clips: int, n_frames: int, repeats: int) -> None:
    module = Aasist(384)
    weights = still(module)
    frames = torch.randn(n_clips, n_frames, 384, requires_grad=True)
    runs = {
        "ours": lambda: module(frames),
        "written out": lambda: reference.aasist_score(weights, frames, True),
    }
    compare(f"whole back-end, {n_frames} frames", runs, repeats)
    maps = torch.randn(n_clips, 1, 42, n_frames // 3)
    n_layers = WHISPER_TINY["n_layers"]
    layer = nn.TransformerEncoderLayer(
        WHISPER_TINY["d_model"],
        WHISPER_TINY["nhead"],
        WHISPER_TINY["dim_feedforward"],
        activation="gelu",
        batch_first=True,
    )
    encoder = nn.TransformerEncoder(layer, n_layers)
    background = {
        "its residual blocks alone": lambda: module.blocks(maps),
        "a transformer of Whisper-tiny's size": lambda: encoder(frames),
    }
    for name, cost_s in best_s(background, repeats).items():
        print(f"| {name} | {cost_s * 1e3:.0f} ms | | | |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--frames", type=int, default=201)
    parser.add_argument("--repeats", type=int, default=10)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(f"| {options.clips} clips | ours | written out | ratio | difference |")
    print("|---|---|---|---|---|")
    pairs(options.clips, options.frames // 3, options.repeats)
    graphs(options.clips, options.frames // 3, options.repeats)
    whole(options.clips, options.frames, options.repeats)


if __name__ == "__main__":
    main()
