"""Cost of a mixture of LoRA experts, against plain LoRA of the same active rank, on one encoder.

Run:  OMP_NUM_THREADS=1 python bench/lora.py [--repeats 7]

A step is forward and backward of the transformer layers over random frames, adapters in q, k, v,
out; the encoder's weights are frozen and random. Time is that of the processor, one thread, since
other work may share it; variants are run in turn, and the ratio is the median over turns. Memory is
what the forward pass keeps for the backward pass, parameters left out.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Wav2Vec2Config, WhisperConfig
from transformers.models.wav2vec2.modeling_wav2vec2 import Wav2Vec2EncoderLayer
from transformers.models.whisper.modeling_whisper import WhisperEncoderLayer

from unheard.detectors.layers.lora import LoraExperts, adapt, expert_terms

N_FRAMES = 200
"""About 4 s of speech."""

PLAIN = LoraExperts(rank=16)
VARIANTS = {
    "LoRA, rank 64": LoraExperts(rank=64),
    "8 experts, 2 active, per frame": LoraExperts(n_experts=8, n_active=2),
    "8 experts, 2 active, per clip": LoraExperts(n_experts=8, n_active=2, router="clip"),
}


@dataclass(frozen=True)
class Shape:
    """An encoder's transformer and the batch it is timed on."""

    name: str
    n_clips: int
    width: int
    layers: Callable[[], nn.ModuleList]


def whisper_tiny() -> nn.ModuleList:
    config = WhisperConfig(d_model=384, encoder_attention_heads=6, encoder_ffn_dim=1536)
    config._attn_implementation = "sdpa"
    return nn.ModuleList([WhisperEncoderLayer(config) for _ in range(4)])


def wav2vec2_base() -> nn.ModuleList:
    config = Wav2Vec2Config(attention_dropout=0.0, hidden_dropout=0.0, activation_dropout=0.0)
    config._attn_implementation = "sdpa"
    layer: Any = Wav2Vec2EncoderLayer
    return nn.ModuleList([layer(config) for _ in range(12)])


SHAPES = [
    Shape("Whisper-tiny, 16 clips", 16, 384, whisper_tiny),
    Shape("wav2vec 2.0 base, 4 clips", 4, 768, wav2vec2_base),
]


def forward(layers: nn.ModuleList, frames: Tensor) -> Tensor:
    for layer in layers:
        frames = layer(frames, None)
    return frames.square().mean() + sum(expert_terms(layers).values())


def step_s(layers: nn.ModuleList, frames: Tensor) -> float:
    layers.zero_grad()
    start = time.process_time()
    torch.autograd.backward(forward(layers, frames))
    return time.process_time() - start


def kept_mb(layers: nn.ModuleList, frames: Tensor) -> float:
    """Return the size of the distinct tensors that one forward pass keeps."""
    own = {parameter.untyped_storage().data_ptr() for parameter in layers.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = forward(layers, frames)
    del loss
    return sum(kept.values()) / 1024**2


def measure(shape: Shape, repeats: int) -> None:
    torch.manual_seed(0)
    frozen = shape.layers()
    frames = torch.randn(shape.n_clips, N_FRAMES, shape.width)
    adapters = {"LoRA, rank 16": PLAIN, **VARIANTS}
    shared = {id(parameter): parameter for parameter in frozen.parameters()}
    built = {name: copy.deepcopy(frozen, dict(shared)) for name in adapters}
    for name, layers in built.items():
        layers.requires_grad_(False)
        adapt(layers, adapters[name])
        layers.train()
        step_s(layers, frames)
    times: dict[str, list[float]] = {name: [] for name in built}
    for _ in range(repeats):
        for name, layers in built.items():
            times[name].append(step_s(layers, frames))
    plain = times["LoRA, rank 16"]
    for name, layers in built.items():
        ratio = statistics.median(a / b for a, b in zip(times[name], plain, strict=True))
        print(
            f"| {shape.name} | {name} | {min(times[name]):.3f} s | {ratio:.2f} | "
            f"{kept_mb(layers, frames):.0f} MB |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| encoder | adapters | best step | ratio, median | kept for backward |")
    print("|---|---|---|---|---|")
    for shape in SHAPES:
        measure(shape, options.repeats)


if __name__ == "__main__":
    main()
