"""Cost of a network that grows: parameters, multiply-accumulates and time per step.

Run:  OMP_NUM_THREADS=1 python bench/growth.py [--repeats 5]

The networks are those of the recipes resnet18_mel_w16_dropin, grnn_w128_dropin and
ssl_aasist_small_dropin with random
weights, before and after their growth; for the encoder also LoRA and tuning all of it. A
multiply-accumulate is counted in linear layers, convolutions, recurrences and attention, for one
clip of 4 s forward; Fourier transforms and what is done entry by entry are not counted.

A step is gradients, update and what the method does after it, on 16 clips of 4 s of noise that are
already there. Networks take steps in turn, in processor time, and the ratio given is the median
over turns, since other work may share the processor. "dropin" and "plasticity" are the time of all
steps of those recipes against as many of the network before, by how long each size is trained.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from unheard.data.batches import Batch
from unheard.recipes import load
from unheard.training.checkpoint import moments_of, optimizer_of
from unheard.training.method import Method, Progress
from unheard.training.objectives import WeightedCrossEntropy
from unheard.training.plasticity import Plasticity
from unheard.training.recipe import Recipe

N_CLIPS, N_SAMPLES = 16, 64_000
OBJECTIVE = WeightedCrossEntropy()
ARCHITECTURES = {
    "ResNet18": "resnet18_mel_w16",
    "GRU": "grnn_w128",
    "Whisper-tiny + AASIST": "ssl_aasist_small",
}
GROWN = {
    "resnet18_mel_w16": "resnet18_mel_w24_control",
    "grnn_w128": "grnn_w192_control",
    "ssl_aasist_small": "ssl_aasist_small_grown_control",
}
OTHERS = {"ssl": {"LoRA, rank 16": "lora_small", "everything tuned": "ssl_aasist_small"}}


@dataclass(eq=False)
class Training:
    """A network in training.

    Attributes:
        model: As its method prepared it.
        method: How it is trained.
        optimizer: What updates it.
        recipe: Where it comes from.
        step: Steps done.
    """

    model: nn.Module
    method: Method
    optimizer: torch.optim.Optimizer
    recipe: Recipe
    step: int = 0

    @classmethod
    def started(cls, recipe: Recipe) -> Training:
        """Return a run at its first step, with random weights."""
        torch.manual_seed(0)
        model = recipe.method.prepare(recipe.detector.build()).train()
        return cls(model, recipe.method, optimizer_of(recipe.optimiser, model, {}), recipe)

    def after_step(self) -> None:
        """Let the method change the network, and renew the optimizer if it did."""
        n_steps = self.recipe.budget.n_steps
        progress = Progress(self.step, n_steps, moments_of(self.model, self.optimizer))
        if self.method.after_step(self.model, progress):
            optimiser = self.recipe.optimiser
            self.optimizer = optimizer_of(optimiser, self.model, progress.moments)

    def step_s(self, clips: Batch) -> float:
        """Return the processor time of one step."""
        start = time.process_time()
        self.optimizer.zero_grad()
        self.method.gradients(self.model, clips, OBJECTIVE)
        self.optimizer.step()
        self.step += 1
        self.after_step()
        return time.process_time() - start

    def n_parameters(self) -> int:
        """Return how many there are, trained or not."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    def macs(self, clip: Tensor) -> int:
        """Return the multiply-accumulates of one clip [1, T]."""
        self.model.eval()
        counter = FlopCounterMode(display=False)
        # Of the kernels of attention only the plain one is counted on a processor.
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
            self.model(clip)
        self.model.train()
        return counter.get_total_flops() // 2


def grown(recipe: Recipe) -> Training:
    """Return a run right after its first growth."""
    training = Training.started(recipe)
    changes = cast(Plasticity, recipe.method).changes(recipe.budget.n_steps)
    training.step = changes[0][0]
    training.after_step()
    return training


def trainings(kind: str) -> Iterator[tuple[str, Training]]:
    recipe = load(f"{kind}_dropin")
    method = cast(Plasticity, recipe.method)
    yield "before", Training.started(replace(recipe, method=replace(method, n_growths=0)))
    yield "grown", grown(recipe)
    yield "grown, new units alone", grown(replace(recipe, method=replace(method, train="new")))
    yield "the final size from the start", Training.started(load(GROWN[kind]))
    for name, other in OTHERS.get(kind, {}).items():
        yield name, Training.started(load(other))


def batch() -> Batch:
    return Batch(
        waveform=0.1 * torch.randn(N_CLIPS, N_SAMPLES),
        n_samples=torch.full((N_CLIPS,), N_SAMPLES),
        bonafide=torch.arange(N_CLIPS) % 2 == 0,
        domain=torch.zeros(N_CLIPS, dtype=torch.long),
        twin=torch.full((N_CLIPS,), -1),
        ids=tuple(map(str, range(N_CLIPS))),
    )


def times_s(runs: Mapping[str, Training], clips: Batch, repeats: int) -> dict[str, list[float]]:
    """Return the time of each step, by run; the first of each warms up and is left out."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(repeats + 1):
        for name, training in runs.items():
            taken_s = training.step_s(clips)
            if turn:
                times[name].append(taken_s)
    return times


def of_run(kind: str, ratio: float) -> float:
    """Return the time of all steps of a recipe, as a share of those without growth."""
    recipe = load(kind)
    n_steps = recipe.budget.n_steps
    changes = cast(Plasticity, recipe.method).changes(n_steps)
    ends = [step for step, _ in changes[1:]] + [n_steps]
    pairs = zip(changes, ends, strict=True)
    n_grown = sum(end - step for (step, what), end in pairs if what == "grow")
    return 1 + (ratio - 1) * n_grown / n_steps


def measure(name: str, kind: str, clips: Batch, repeats: int) -> None:
    runs = dict(trainings(kind))
    macs = {variant: run.macs(clips.waveform[:1]) for variant, run in runs.items()}
    times = times_s(runs, clips, repeats)
    for variant, run in runs.items():
        pairs = zip(times[variant], times["before"], strict=True)
        ratio = statistics.median(a / b for a, b in pairs)
        recipes = [f"{kind}_dropin", f"{kind}_plasticity"] if variant == "grown" else []
        whole = " | ".join(f"{of_run(recipe, ratio):.2f}" for recipe in recipes) or "|"
        print(
            f"| {name} | {variant} | {run.n_parameters():,} | {macs[variant] / 1e6:,.0f} | "
            f"{min(times[variant]):.2f} s | {ratio:.2f} | {whole} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    clips = batch()
    print(
        "| network | | parameters | million multiply-accumulates | best step | ratio, median | "
        "dropin | plasticity |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name, kind in ARCHITECTURES.items():
        measure(name, kind, clips, options.repeats)


if __name__ == "__main__":
    main()
