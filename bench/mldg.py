"""Cost of a meta-learning step, against a supervised step on the same clips.

Run:  OMP_NUM_THREADS=1 python bench/mldg.py [--repeats 5]

The detector is that of mldg_lora_small with random weights: LoRA on the encoder of Whisper-tiny,
AASIST, 16 clips of 4 s of noise from four domains. The methods take steps in turn, in processor
time, and the ratio given is the median over turns, since other work may share the processor.
Memory is what a first step adds to the largest size of a process.
"""

from __future__ import annotations

import argparse
import copy
import multiprocessing
import resource
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from unheard.data.batches import Batch
from unheard.detectors.detector import Detector
from unheard.detectors.ssl_aasist import SslAasist
from unheard.recipes import load
from unheard.training.method import Method
from unheard.training.mldg import Mldg
from unheard.training.objectives import WeightedCrossEntropy
from unheard.training.supervised import Supervised

N_CLIPS, N_DOMAINS, N_SAMPLES = 16, 4, 64_000
OBJECTIVE = WeightedCrossEntropy()
METHODS: dict[str, Method] = {
    "supervised": Supervised(),
    "first order": Mldg(),
    "first order, zip": Mldg(pairing="zip"),
    "second order": Mldg(order="second"),
}


def detector() -> Detector:
    spec = load("mldg_lora_small").detector
    assert isinstance(spec, SslAasist)
    torch.manual_seed(0)
    return replace(spec, encoder=replace(spec.encoder, source="")).build().train()


def batch() -> Batch:
    none = torch.full((N_CLIPS,), -1)
    return Batch(
        waveform=0.1 * torch.randn(N_CLIPS, N_SAMPLES),
        n_samples=torch.full((N_CLIPS,), N_SAMPLES),
        bonafide=torch.arange(N_CLIPS) % 2 == 0,
        domain=torch.arange(N_CLIPS) // (N_CLIPS // N_DOMAINS),
        twin=none,
        ids=tuple(map(str, range(N_CLIPS))),
    )


def step_s(method: Method, model: Detector, clips: Batch) -> float:
    """Return the processor time of one step."""
    model.zero_grad()
    start = time.process_time()
    method.gradients(model, clips, OBJECTIVE)
    return time.process_time() - start


def _added(name: str, model: Detector, clips: Batch, queue: Any) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    before = pages * resource.getpagesize()
    METHODS[name].gradients(model, clips, OBJECTIVE)
    queue.put(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before)


def added_mb(name: str, model: Detector, clips: Batch) -> float:
    """Return how much the first step of a process of its own adds to its largest size."""
    context = multiprocessing.get_context("fork")
    queue: Any = context.Queue()
    child = context.Process(target=_added, args=(name, model, clips, queue))
    child.start()
    n_bytes: int = queue.get()
    child.join()
    return n_bytes / 1024**2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model, clips = detector(), batch()
    memory = {name: added_mb(name, model, clips) for name in METHODS}
    models = {name: copy.deepcopy(model) for name in METHODS}
    times: dict[str, list[float]] = {name: [] for name in METHODS}
    for turn in range(options.repeats + 1):
        for name, method in METHODS.items():
            step = step_s(method, models[name], clips)
            if turn:  # the first one warms up
                times[name].append(step)
    print("| step | best, processor time | ratio, median | memory |")
    print("|---|---|---|---|")
    for name, taken in times.items():
        ratio = statistics.median(a / b for a, b in zip(taken, times["supervised"], strict=True))
        print(f"| {name} | {min(taken):.2f} s | {ratio:.2f} | {memory[name]:.0f} MB |")


if __name__ == "__main__":
    main()
