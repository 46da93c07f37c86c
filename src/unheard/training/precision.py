"""In which numbers a run computes its forward passes: float32 or bfloat16."""

from __future__ import annotations

import time

import torch
from torch import Tensor, nn

__all__ = ["autocast", "gains"]

_LEAST_GAIN = 1.2
_TOLERANCE = 0.05
_REPEATS = 4
_FEW_CLIPS = 4
_HOPELESS = 2.0


def autocast(device: torch.device, *, bfloat16: bool) -> torch.autocast:
    """Return the context that forward passes run in."""
    return torch.autocast(device.type, torch.bfloat16, enabled=bfloat16)


def gains(model: nn.Module, waveform: Tensor) -> bool:
    """Return whether a model gains from bfloat16 on the device that it is on.

    An accelerator does. A processor does if it scores four clips of a first batch 1.2 times as
    fast, the shortest of a few turns, and the scores are those of float32 up to a twentieth. Few
    processors have the instructions; without them bfloat16 takes several times as long, so the
    first turn that takes twice as long is the last.

    Args:
        model: As it was prepared for training; left as it is.
        waveform: Shape [B, T], on the device of the model.
    """
    if waveform.device.type != "cpu":
        return True
    training, waveform = model.training, waveform[:_FEW_CLIPS]
    model.eval()
    seconds: dict[bool, list[float]] = {False: [], True: []}
    scores: dict[bool, Tensor] = {}
    try:
        with torch.no_grad():
            for _ in range(_REPEATS):
                for bfloat16, spent in seconds.items():
                    started = time.perf_counter()
                    with autocast(waveform.device, bfloat16=bfloat16):
                        scores[bfloat16] = model(waveform).float()
                    spent.append(time.perf_counter() - started)
                if seconds[True][-1] > _HOPELESS * seconds[False][-1]:
                    return False
    finally:
        model.train(training)
    faster = min(seconds[False]) >= _LEAST_GAIN * min(seconds[True])
    off = (scores[True] - scores[False]).abs().max()
    same = off <= _TOLERANCE * max(1.0, scores[False].abs().max().item())
    return faster and bool(same)
