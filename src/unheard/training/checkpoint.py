"""Checkpoints: everything a run needs to resume to the bit, never a pickle.

    step-000200/
      state.json              step, recipe and data, detector, best so far, length of the log
      model.safetensors       parameters and running statistics
      moments.safetensors     the optimiser's state by parameter name
      best.safetensors        weights of the best step so far (if there was one)
      earlier-0.safetensors   weights of checks before this one, oldest first (to be averaged)

A checkpoint is written under another name and then renamed, and the older one is removed after
that: whenever a run is killed, a whole one is there.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from unheard.detectors.detector import Detector, Spec
from unheard.detectors.spec_json import spec_from_json, spec_to_json
from unheard.errors import TrainingError
from unheard.files import write_through
from unheard.training.distributed import held_as, whole
from unheard.training.method import Moments
from unheard.training.recipe import Optimiser

__all__ = [
    "Best",
    "Checkpoint",
    "latest",
    "mean_of",
    "moments_of",
    "optimizer_of",
    "store",
    "weights_of",
    "whole_moments",
]

Weights = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Best:
    """The best step so far on dev.

    Attributes:
        step: Steps done by then.
        eer: Equal error rate on the dev clips of the check, in [0, 1], before averaging.
        cllr: Cllr of the same scores after calibration on them, bits.
        spec: What builds the detector.
        weights: State of the prepared model, averaged as the recipe wants.
    """

    step: int
    eer: float
    cllr: float
    spec: Spec
    weights: Weights = field(repr=False)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A run between two steps; with a step and a spec alone, one that has not begun.

    Attributes:
        step: Steps done.
        spec: What builds the detector as it stands.
        recent: State of the prepared model, last, after those of the checks before it that may be
            averaged with later ones, oldest first.
        moments: State of the optimiser.
        best: The best step so far on dev, if there was a check.
        log_bytes: Length of the log.
        seconds: Time spent so far.
        bfloat16: Whether forward passes are computed in it; None if nobody has looked.
    """

    step: int
    spec: Spec
    recent: Sequence[Weights] = field(default=(), repr=False)
    moments: Moments = field(default_factory=Moments, repr=False)
    best: Best | None = None
    log_bytes: int = 0
    seconds: float = 0.0
    bfloat16: bool | None = None


def store(folder: Path, checkpoint: Checkpoint, identity: Mapping[str, Any]) -> None:
    """Write a checkpoint and remove older ones.

    Args:
        folder: Where checkpoints of the run are kept.
        checkpoint: What to write; its step is later than that of any checkpoint there.
        identity: Recipe and data of the run, as JSON values.
    """
    best = checkpoint.best
    *earlier, weights = checkpoint.recent
    state = {
        "identity": identity,
        "step": checkpoint.step,
        "detector": spec_to_json(checkpoint.spec),
        "log_bytes": checkpoint.log_bytes,
        "seconds": checkpoint.seconds,
        "bfloat16": checkpoint.bfloat16,
        "n_earlier": len(earlier),
        "best": best
        and {
            "step": best.step,
            "eer": best.eer,
            "cllr": best.cllr,
            "detector": spec_to_json(best.spec),
        },
    }
    unfinished = folder / f".step-{checkpoint.step:06d}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    write_through(unfinished / "model.safetensors", save(weights))
    write_through(unfinished / "moments.safetensors", save(_flat(checkpoint.moments)))
    if best is not None:
        write_through(unfinished / "best.safetensors", save(best.weights))
    for place, older in enumerate(earlier):
        write_through(unfinished / f"earlier-{place}.safetensors", save(older))
    write_through(unfinished / "state.json", json.dumps(state, indent=1).encode())
    finished = folder / f"step-{checkpoint.step:06d}"
    os.rename(unfinished, finished)
    for other in folder.glob("*step-*"):
        if other != finished:
            shutil.rmtree(other, ignore_errors=True)


def latest(folder: Path, identity: Mapping[str, Any]) -> Checkpoint | None:
    """Return the latest checkpoint of a run, or None if there is none.

    Args:
        folder: Where checkpoints of the run are kept.
        identity: Recipe and data of the run that is to resume, as JSON values.

    Raises:
        TrainingError: If the checkpoint is of another recipe or of other data.
    """
    folders = list(folder.glob("step-*"))
    if not folders:
        return None
    path = max(folders, key=lambda path: int(path.name.removeprefix("step-")))
    state = json.loads((path / "state.json").read_text())
    changed = sorted(_differences(state["identity"], identity, ""))
    if changed:
        raise TrainingError(
            f"{folder.parent}: holds a run with other settings ({'; '.join(changed[:3])}); "
            "give another --out, or start over with --start-over"
        )
    best = state["best"]
    return Checkpoint(
        step=state["step"],
        spec=spec_from_json(state["detector"]),
        recent=[
            *(load_file(path / f"earlier-{n}.safetensors") for n in range(state["n_earlier"])),
            load_file(path / "model.safetensors"),
        ],
        moments=_nested(load_file(path / "moments.safetensors")),
        best=best
        and Best(
            step=best["step"],
            eer=best["eer"],
            cllr=best["cllr"],
            spec=spec_from_json(best["detector"]),
            weights=load_file(path / "best.safetensors"),
        ),
        log_bytes=state["log_bytes"],
        seconds=state["seconds"],
        bfloat16=state.get("bfloat16"),
    )


def weights_of(model: torch.nn.Module) -> Weights:
    """Return a copy of a model's parameters and running statistics, in memory of its own.

    What a detector took from a published model and never changes is left out. If the model is
    sharded all processes call it, and get whole tensors.
    """
    frozen_names = model.frozen_names() if isinstance(model, Detector) else frozenset()
    state = model.state_dict()
    return {
        name: whole(value.detach()).cpu().clone()
        for name, value in state.items()
        if name not in frozen_names
    }


def mean_of(checks: Sequence[Weights]) -> Weights:
    """Return the mean over the last of some checks and those before it of the same shapes.

    Parameters and running statistics of normalisation alike; whole numbers, such as counts of
    batches, are the last check's. Where a shape changed, as in a detector that grew, older checks
    are left out.

    Args:
        checks: Weights of one or more checks, oldest first.

    Source:
        Izmailov et al., Averaging weights leads to wider optima and better generalization, 2018,
        who pass the training clips once more to renew the running statistics; here they are
        averaged, and dev alone calibrates.
    """
    last = checks[-1]
    shapes = {name: value.shape for name, value in last.items()}
    alike = list(
        takewhile(
            lambda check: {name: value.shape for name, value in check.items()} == shapes,
            reversed(checks),
        )
    )
    if len(alike) == 1:
        return last
    return {
        name: torch.stack([check[name].double() for check in alike]).mean(dim=0).to(value.dtype)
        if value.is_floating_point()
        else value
        for name, value in last.items()
    }


def optimizer_of(
    optimiser: Optimiser, model: torch.nn.Module, moments: Moments
) -> torch.optim.Optimizer:
    """Return a new optimizer that starts with moments, by parameter name."""
    optimizer = optimiser.build(model)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and name in moments:
            for kind, value in moments[name].items():
                assert value.ndim == 0 or value.shape == parameter.shape, f"{kind} of {name}"
                moment = held_as(parameter, value) if value.ndim else value.clone()
                optimizer.state[parameter][kind] = moment
    return optimizer


def moments_of(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> Moments:
    """Return the state of the optimizer by parameter name, not copied."""
    return {
        name: dict(optimizer.state[parameter])
        for name, parameter in model.named_parameters()
        if parameter in optimizer.state
    }


def whole_moments(moments: Moments) -> Moments:
    """Return them with whole tensors, those of shards put together; all processes call it."""
    return {
        name: {kind: whole(value) for kind, value in kinds.items()}
        for name, kinds in moments.items()
    }


def _differences(old: object, new: object, path: str) -> Iterator[str]:
    """Yield where two JSON values differ, such as "recipe.seed was 1, is 2"."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in old.keys() | new.keys():
            inside = f"{path}.{name}" if path else name
            yield from _differences(old.get(name), new.get(name), inside)
    elif old != new:
        yield f"{path} was {old}, is {new}"


def _flat(moments: Moments) -> Weights:
    return {
        f"{kind}/{name}": value.detach().cpu().clone()
        for name, kinds in moments.items()
        for kind, value in kinds.items()
    }


def _nested(flat: Weights) -> Moments:
    moments: Moments = {}
    for key, value in flat.items():
        kind, name = key.split("/", 1)
        moments.setdefault(name, {})[kind] = value
    return moments
