"""Speed of scoring: PyTorch as the field runs it, ours, ONNX Runtime, rounded, layers left out.

Run:  python bench/export.py [--shape full|reduced] [--batches 1 16] [--threads 1 2]
                             [--repeats 3] [--clock wall|core]

Two detectors: XLS-R 300M (or, reduced, a quarter of its width and 4 of its 24 layers) with AASIST,
and the one inside the package; weights are random, on which no time depends. Windows last 4 s. A
row's time is the least of its repeats, and the systems take turns, since other work may share the
processor. Where it does so all the time, `--clock core` counts the seconds that cores worked: they
do not fall with threads, but ratios at one thread mean what they say. All in one run:

- against "field": torch with attention written out, gradients off, what published scripts do;
- against real time: seconds of audio scored per second;
- windows overlap: those of a long recording, 4 s every 2 s, which may share first convolutions;
- of the product rate: operations per second, as a share of what one large matrix product in float32
  reaches on the spot; in 8 bits it can pass 1.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from unheard.detectors import bundle, exported, onnx
from unheard.detectors.detector import Detector, Spec, window_scores
from unheard.detectors.layers.encoder import XLS_R_300M, Encoder
from unheard.detectors.spec_json import spec_from_json
from unheard.detectors.ssl_aasist import SslAasist

WINDOW_S, RATE_HZ = 4.0, 16_000
REDUCED = replace(
    XLS_R_300M,
    settings=(
        ("conv_bias", True),
        ("do_stable_layer_norm", True),
        ("feat_extract_norm", "layer"),
        ("hidden_size", 256),
        ("intermediate_size", 1024),
        ("num_attention_heads", 4),
        ("num_hidden_layers", 4),
    ),
)

Run = Callable[[np.ndarray, int], None]
Clock = Callable[[], float]
CLOCKS: dict[str, Clock] = {"wall": time.perf_counter, "core": time.process_time}


def built(spec: Spec) -> Detector:
    torch.manual_seed(0)
    return spec.build().eval()


def as_the_field(detector: Detector) -> Run:
    """Torch as published scripts have it: attention written out, `no_grad`."""
    for module in detector.modules():
        config: Any = getattr(module, "config", None)
        if config is not None and hasattr(config, "_attn_implementation"):
            config._attn_implementation = "eager"

    def run(windows: np.ndarray, n_threads: int) -> None:
        torch.set_num_threads(n_threads)
        with torch.no_grad():
            detector(torch.from_numpy(windows))

    return run


def ours(detector: Detector) -> Run:
    def run(windows: np.ndarray, n_threads: int) -> None:
        torch.set_num_threads(n_threads)
        window_scores(detector, windows)

    return run


def overlapping(detector: Detector) -> Run:
    """Ours, on windows of one stretch of sound that overlap by half, as in a long recording."""

    def run(windows: np.ndarray, n_threads: int) -> None:
        torch.set_num_threads(n_threads)
        n_windows, n_samples = windows.shape
        stretch = np.resize(windows, n_samples * (n_windows + 1) // 2)
        views = np.lib.stride_tricks.sliding_window_view(stretch, n_samples)
        window_scores(detector, views[:: n_samples // 2])

    return run


def by_onnx(content: bytes) -> Run:
    sessions: dict[int, exported.Exported] = {}

    def run(windows: np.ndarray, n_threads: int) -> None:
        if n_threads not in sessions:
            sessions.clear()  # one copy of the weights at a time
            os.environ["OMP_NUM_THREADS"] = str(n_threads)
            sessions[n_threads] = exported.opened(content, "the graph", ())
        sessions[n_threads].scores(windows)

    return run


def systems(spec: Spec, fewer: dict[str, Spec]) -> tuple[dict[str, Run], dict[str, float]]:
    """Return what runs, by name, and the operations that each needs for one window."""
    whole = built(spec)
    content = onnx.graph(whole, WINDOW_S)
    runs = {
        "field, float32": as_the_field(built(spec)),
        "ours, float32": ours(whole),
        "ONNX Runtime, float32": by_onnx(content),
        "ONNX Runtime, int8": by_onnx(onnx.rounded(content, whole)),
    }
    if isinstance(spec, SslAasist):
        runs["ours, float32, windows overlap"] = overlapping(whole)
    flops = dict.fromkeys(runs, operations(whole))
    for name, truncated in fewer.items():
        detector = built(truncated)
        content = onnx.graph(detector, WINDOW_S)
        more = {
            f"ours, {name}": ours(detector),
            f"ONNX Runtime, int8, {name}": by_onnx(onnx.rounded(content, detector)),
        }
        runs |= more
        flops |= dict.fromkeys(more, operations(detector))
    return runs, flops


def operations(detector: Detector) -> float:
    with torch.no_grad(), FlopCounterMode(display=False) as counted:
        detector(torch.zeros(1, round(WINDOW_S * RATE_HZ)))
    return float(counted.get_total_flops())


def product_rate(n_threads: int, clock: Clock) -> float:
    """Return the operations a second of a large matrix product in float32."""
    torch.set_num_threads(n_threads)
    n = 1024
    matrix = torch.randn(n, n)
    seconds = []
    for _ in range(6):
        started = clock()
        matrix @ matrix
        seconds.append(clock() - started)
    return 2 * n**3 / min(seconds)


def measure(title: str, spec: Spec, fewer: dict[str, Spec], options: argparse.Namespace) -> None:
    runs, flops = systems(spec, fewer)
    rng, clock = np.random.default_rng(0), CLOCKS[options.clock]
    print(f"\n**{title}**\n")
    second = f"{options.clock} s per window"
    print(f"| system | threads | batch | {second} | against field | real time | product rate |")
    print("|---|---|---|---|---|---|---|")
    for n_threads in options.threads:
        for batch in options.batches:
            windows = 0.1 * rng.standard_normal((batch, round(WINDOW_S * RATE_HZ)))
            times: dict[str, list[float]] = {name: [] for name in runs}
            rate = product_rate(n_threads, clock)
            for turn in range(1 + options.repeats):
                for name, run in runs.items():
                    if not turn and batch == options.batches[0]:  # without a clock, to warm up
                        run(windows.astype(np.float32), n_threads)
                    started = clock()
                    run(windows.astype(np.float32), n_threads)
                    times[name].append(clock() - started)
            field = min(times["field, float32"])
            for name, taken in times.items():
                each = min(taken) / batch
                print(
                    f"| {name} | {n_threads} | {batch} | {each:.4f} | {min(taken) / field:.2f} "
                    f"| {WINDOW_S / each:.1f} x | {flops[name] / each / rate:.2f} |",
                    flush=True,
                )


def with_layers(encoder: Encoder, n_layers: int) -> SslAasist:
    return SslAasist(encoder=replace(encoder, n_layers=n_layers))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", choices=["full", "reduced"], default="reduced")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall")
    chosen = parser.parse_args()
    packaged = spec_from_json(bundle.read_card(bundle.default()).detector.model_dump())
    measure("the packaged detector", packaged, {}, chosen)
    encoder, kept = (XLS_R_300M, (12, 6)) if chosen.shape == "full" else (REDUCED, (2,))
    measure(
        f"XLS-R 300M with AASIST, {chosen.shape} shape",
        SslAasist(encoder=encoder),
        {f"{n} layers kept": with_layers(encoder, n) for n in kept},
        chosen,
    )
