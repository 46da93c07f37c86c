"""What a detector costs: its size, and the time of one core for a second of audio."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from unheard import audio
from unheard.detectors import bundle
from unheard.errors import EvaluationError
from unheard.files import in_one_step

__all__ = ["Cost", "measure", "read_cost", "write_cost"]

AUDIO_S = 20.0
N_REPEATS = 3


@dataclass(frozen=True)
class Cost:
    """What a detector costs.

    Attributes:
        parameters: Numbers that scoring needs, published ones that it builds on included.
        trained: How many of them its training changed.
        bundle_bytes: Size of its bundle.
        core_s: Seconds of one core to score a second of audio, decoding left out.
    """

    parameters: int
    trained: int
    bundle_bytes: int
    core_s: float


def measure(folder: Path) -> Cost:
    """Measure what a bundle costs, on one thread, by noise that is the same for all.

    The least of a few repeats is taken, in processor time, so that other work on the machine
    matters little.

    Raises:
        BundleError: If it cannot be loaded.
    """
    detector_bundle = bundle.load(folder)
    weights = list(detector_bundle.detector.parameters())
    noise = np.random.default_rng(0).standard_normal(round(AUDIO_S * audio.SAMPLE_RATE_HZ))
    cut = audio.windows(
        0.1 * noise.astype(np.float32),
        window_s=detector_bundle.card.window_s,
        hop_s=detector_bundle.card.hop_s,
    )
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        seconds = []
        for _ in range(1 + N_REPEATS):  # the first one warms up
            started = time.process_time()
            detector_bundle.scores(cut.samples)
            seconds.append(time.process_time() - started)
    finally:
        torch.set_num_threads(n_threads)
    return Cost(
        parameters=sum(weight.numel() for weight in weights),
        trained=sum(weight.numel() for weight in weights if weight.requires_grad),
        bundle_bytes=sum(file.stat().st_size for file in folder.iterdir()),
        core_s=min(seconds[1:]) / AUDIO_S,
    )


def write_cost(cost: Cost, path: Path) -> Path:
    """Write it as JSON, in one step."""
    with in_one_step(path) as unfinished:
        unfinished.write_text(json.dumps(asdict(cost), indent=1) + "\n")
    return path


def read_cost(path: Path) -> Cost:
    """Read what `write_cost` wrote.

    Raises:
        EvaluationError: If it is not that.
    """
    try:
        return Cost(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise EvaluationError(
            f"{path}: not the cost of a detector ({error}); delete it and measure again with "
            "`unheard inspect cost`"
        ) from error
