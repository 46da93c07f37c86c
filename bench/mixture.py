"""Cost of a mixture, as a ratio to the sum of its experts one after the other.

Run:  OMP_NUM_THREADS=1 python bench/mixture.py [--repeats 5] [--batch 16] [--width 32]

Windows of 3 s. "score" is a forward pass in evaluation, "train experts too" is forward and backward
of everything, against the same of each expert alone; "train the gate" is forward and backward with
frozen experts, against their forward passes in evaluation. "experts in turn, own transforms" is the
same sum measured once more: how far its ratio lies from 1 is the noise. The systems take turns and
the ratio is the median over turns, of processor time, since other work may share the processor.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from unheard.detectors.detector import Detector, Spec
from unheard.detectors.layers.gates import (
    AttentionGate,
    EnhancedGate,
    FixedGate,
    Gate,
    WaveformGate,
)
from unheard.detectors.mel_lcnn import MelLcnn
from unheard.detectors.mixture import Mixture
from unheard.detectors.resnet18 import ResNet18

GATES: dict[str, Gate] = {
    "attention": AttentionGate(),
    "enhanced": EnhancedGate(),
    "waveform": WaveformGate(),
    "even": FixedGate(),
}


def experts(width: int) -> tuple[Spec, ...]:
    """Return the paper's three kinds on one framing."""
    mel = ResNet18(window="hamming", pre_emphasis=0.97, width=width)
    return MelLcnn(), mel, replace(mel, feature="linear", low_hz=0.0, high_hz=8000.0)


def built(spec: Spec) -> Detector:
    torch.manual_seed(0)
    return spec.build()


def score(detectors: Sequence[Detector], waveform: torch.Tensor) -> None:
    with torch.inference_mode():
        for detector in detectors:
            detector.eval()(waveform)


def train(detectors: Sequence[Detector], waveform: torch.Tensor) -> None:
    for detector in detectors:
        detector.train().zero_grad()
        detector(waveform).square().mean().backward()


Work = Callable[[Sequence[Detector], torch.Tensor], None]


def systems(width: int) -> dict[str, tuple[str, Work, list[Detector]]]:
    """Return name: (name of what it is compared with, what is done, with what)."""
    specs = experts(width)
    alone = [built(spec) for spec in specs]
    measured: dict[str, tuple[str, Work, list[Detector]]] = {
        "experts, score": ("experts, score", score, alone),
        "experts in turn, own transforms": ("experts, score", score, alone),
        "experts, train": ("experts, train", train, alone),
    }
    for name, gate in GATES.items():
        mixture = [built(Mixture(experts=specs, gate=gate))]
        measured[f"{name} gate, score"] = ("experts, score", score, mixture)
        if name != "even":
            measured[f"{name} gate, train the gate"] = ("experts, score", train, mixture)
    joint = [built(Mixture(experts=specs, frozen=False))]
    measured["attention gate, train experts too"] = ("experts, train", train, joint)
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--width", type=int, default=32, help="of both ResNet18; the paper's is 64")
    arguments = parser.parse_args()
    waveform = 0.1 * torch.randn(arguments.batch, 48_000)
    measured = systems(arguments.width)
    seconds: dict[str, list[float]] = {name: [] for name in measured}
    for turn in range(arguments.repeats + 1):
        for name, (_, work, detectors) in measured.items():
            started = time.process_time()
            work(detectors, waveform)
            if turn:  # the first warms up
                seconds[name].append(time.process_time() - started)
    n_threads, version = torch.get_num_threads(), torch.__version__
    print(
        f"batch {arguments.batch}, width {arguments.width}, {n_threads} thread, torch {version}\n"
    )
    print("| system | parameters | s | ratio to its experts |")
    print("|---|---:|---:|---:|")
    for name, (whole, _, detectors) in measured.items():
        turns = zip(seconds[name], seconds[whole], strict=True)
        ratio = statistics.median(turn_s / experts_s for turn_s, experts_s in turns)
        n_parameters = sum(p.numel() for detector in detectors for p in detector.parameters())
        print(f"| {name} | {n_parameters:,} | {min(seconds[name]):.2f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
