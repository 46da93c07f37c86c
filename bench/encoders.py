"""Cost of a training step on a speech encoder: everything tuned, frozen, LoRA, mixtures of experts.

Run:  OMP_NUM_THREADS=1 python bench/encoders.py [--repeats 5] [--batch 16]

A step is forward and backward of the detector over clips of 4 s, encoder of the Whisper-tiny shape
with random weights and the AASIST back-end. The systems take turns, and the ratio is the median
over turns of a system's time to that of tuning everything, since other work may share the
processor. Memory is the peak of a process that does three steps, above what it held when the
detector was built; each system has a process of its own.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

from unheard.detectors.detector import Detector
from unheard.detectors.layers.encoder import WHISPER_TINY_EN
from unheard.detectors.layers.lora import LoraExperts
from unheard.detectors.ssl_aasist import SslAasist

ENCODER = replace(WHISPER_TINY_EN, source="")
FULL = "everything tuned"
SYSTEMS = {
    FULL: SslAasist(encoder=ENCODER),
    "everything tuned, checkpointed": SslAasist(encoder=ENCODER, checkpointing=True),
    "frozen": SslAasist(encoder=ENCODER, frozen=True),
    "LoRA, rank 16": SslAasist(encoder=ENCODER, adapters=LoraExperts(rank=16)),
    "4 experts of rank 8, 1 active": SslAasist(
        encoder=ENCODER, adapters=LoraExperts(n_experts=4, n_active=1)
    ),
    "8 experts of rank 8, 2 active": SslAasist(
        encoder=ENCODER, adapters=LoraExperts(n_experts=8, n_active=2)
    ),
}


def step(detector: Detector, waveform: torch.Tensor) -> None:
    detector.zero_grad()
    detector(waveform).square().mean().backward()
    detector.terms()


def built(name: str) -> Detector:
    torch.manual_seed(0)
    return SYSTEMS[name].build().train()


def memory_mb(name: str, batch: int) -> float:
    """Return the peak of three steps in a process of their own, MB."""
    command = [sys.executable, __file__, "--only", name, "--batch", str(batch)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def alone(name: str, batch: int) -> None:
    detector, waveform = built(name), 0.1 * torch.randn(batch, 64_000)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak, the one of the parent too
    before = peak_mb()
    for _ in range(3):
        step(detector, waveform)
    print(peak_mb() - before)


def peak_mb() -> float:
    """Return the largest memory that this process has held, MB (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--only", default="", help="measure the memory of one system")
    arguments = parser.parse_args()
    if arguments.only:
        alone(arguments.only, arguments.batch)
        return
    detectors = {name: built(name) for name in SYSTEMS}
    waveform = 0.1 * torch.randn(arguments.batch, 64_000)
    seconds: dict[str, list[float]] = {name: [] for name in SYSTEMS}
    for turn in range(arguments.repeats + 1):
        for name, detector in detectors.items():
            started = time.perf_counter()
            step(detector, waveform)
            if turn:  # the first warms up
                seconds[name].append(time.perf_counter() - started)
    print(f"batch {arguments.batch}, {torch.get_num_threads()} thread, torch {torch.__version__}\n")
    print("| system | trained parameters | step, s | ratio to everything tuned | peak memory, MB |")
    print("|---|---:|---:|---:|---:|")
    for name, detector in detectors.items():
        turns = zip(seconds[name], seconds[FULL], strict=True)
        ratio = statistics.median(turn_s / full_s for turn_s, full_s in turns)
        n_trained = sum(p.numel() for p in detector.parameters() if p.requires_grad)
        peak = memory_mb(name, arguments.batch)
        median = statistics.median(seconds[name])
        print(f"| {name} | {n_trained:,} | {median:.2f} | {ratio:.2f} | {peak:.0f} |")


if __name__ == "__main__":
    main()
