"""Cost of each detector: parameters, a training step, scoring, memory.

Run:  python bench/detectors.py [--threads 2] [--repeats 3]

Each detector runs in a process of its own, so that peak memory is its own. A step is forward and
backward of 32 clips of 4 s in float32; the best of the repeats is given, since other work may share
the processor. Scoring is the ratio of audio to wall time of `window_scores`, on one thread.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from unheard.detectors.detector import Spec, window_scores
from unheard.detectors.lcnn import Lcnn
from unheard.detectors.resnet18 import ResNet18
from unheard.detectors.toy import Toy

SAMPLE_RATE_HZ = 16_000
BATCH_CLIPS = 32
WINDOW_S = 4.0
SCORED_WINDOWS = 16

SPECS: dict[str, Spec] = {
    "toy": Toy(),
    "lcnn": Lcnn(),
    "lcnn, whole band": Lcnn(band=1.0),
    "resnet18 mel, width 16": ResNet18(width=16),
    "resnet18 mel, width 32": ResNet18(width=32),
    "resnet18 mel, width 64": ResNet18(),
    "resnet18 linear 257, width 16": ResNet18(feature="linear", width=16, high_hz=8000.0),
    "resnet18 linear 257, width 32": ResNet18(feature="linear", width=32, high_hz=8000.0),
    "resnet18 linear 129, width 32": ResNet18(
        feature="linear", width=32, n_window=256, n_fft=256, high_hz=8000.0
    ),
    "resnet18 linear 257, width 64": ResNet18(feature="linear", high_hz=8000.0),
    "resnet18 mel, width 16, stem 3x3": ResNet18(width=16, stem="3x3"),
}


def best_s(run: Callable[[], object], repeats: int) -> float:
    """Return the shortest of several times, after one run that does not count."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def measure(name: str, threads: int, repeats: int) -> dict[str, float]:
    rng = np.random.default_rng(0)
    windows = 0.1 * rng.standard_normal((BATCH_CLIPS, int(WINDOW_S * SAMPLE_RATE_HZ)))
    windows = windows.astype(np.float32)
    torch.manual_seed(0)
    detector = SPECS[name].build()
    waveform = torch.from_numpy(windows)

    def step() -> None:
        detector.zero_grad()
        detector(waveform).square().mean().backward()

    torch.set_num_threads(threads)
    step_s = best_s(step, repeats)
    detector.eval()
    torch.set_num_threads(1)
    score_s = best_s(lambda: window_scores(detector, windows[:SCORED_WINDOWS]), repeats)
    return {
        "parameters": sum(parameter.numel() for parameter in detector.parameters()),
        "step_s": step_s,
        "real_time": SCORED_WINDOWS * WINDOW_S / score_s,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", choices=SPECS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one, options.threads, options.repeats)))
        return
    print(
        f"| detector | parameters | step of 32 x 4 s, {options.threads} threads | "
        "scoring, one thread | peak memory |"
    )
    print("|---|---|---|---|---|")
    for name in SPECS:
        numbers = ["--threads", str(options.threads), "--repeats", str(options.repeats)]
        run = subprocess.run(
            [sys.executable, __file__, "--one", name, *numbers],
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        )
        cost = json.loads(run.stdout)
        print(
            f"| {name} | {cost['parameters']:,} | {cost['step_s']:.2f} s | "
            f"{cost['real_time']:.0f} x real time | {cost['peak_mb']:.0f} MB |",
            flush=True,
        )


if __name__ == "__main__":
    main()
