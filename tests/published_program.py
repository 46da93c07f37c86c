"""A detector that pretends to be published, for the processes that run its authors' code.

Importing this adds it to the table, in a process that was spawned too.
"""

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import torch as safetensors
from torch import Tensor

from unheard.data.clip import Clip
from unheard.errors import UnheardError
from unheard.evaluation import authors, published
from unheard.scoring.many import Task

CODE = """\
import os
import socket
from pathlib import Path

import torch

import beside

Path("/").exists()


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.zeros(1))

    def forward(self, waveform):
        peak = waveform.abs().max()
        if peak > 0.9:
            os._exit(3)
        if peak < 0.01:
            socket.create_connection(("127.0.0.1", 9))
        difference = waveform.diff().abs().mean() * self.gain * beside.SIGN
        return torch.stack([-difference, difference], dim=1)
"""
BESIDE = "SIGN = 1\n"
FILES = {
    "net/model.py": CODE.encode(),
    "net/beside.py": BESIDE.encode(),
    "weights.safetensors": safetensors.save({"gain": torch.tensor([2.0])}),
}


def _open(folder: Path, weights: Any, less_spoof: bool) -> authors.Score:
    import sys

    sys.path.insert(0, str(folder / "net"))
    network = authors._with_weights(authors._module(folder, "net/model.py").Model(), weights)

    def twice(waveform: Tensor) -> Tensor:
        logits: Tensor = network(waveform)
        return logits

    return partial(authors._of_64600, twice, less_spoof)


authors.PUBLISHED["pretender"] = authors.PublishedDetector(
    title="Pretender",
    source="someone/pretender@0123456",
    licence="MIT",
    says="how rough the clip is",
    files={name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()},
    weights="weights.safetensors",
    open=_open,
)


def write(folder: Path) -> Path:
    """Write the files of the authors as they published them."""
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def score(of: published.Authors, task: Task) -> dict[str, Any] | UnheardError:
    """Score a clip, where the table has the pretender."""
    return published._score_apart(of, task)


def noise_scores(of: published.Authors, weights: Path) -> Any:
    """Score noise, likewise."""
    return published._noise_scores(of, weights)


def clip(name: str, *, bonafide: bool, part: str = "eval", corpus: str = "rough") -> Clip:
    """Return a clip that lies beside the manifest."""
    return Clip(
        id=name,
        path=f"{name}.wav",
        bonafide=bonafide,
        part=part,
        attack="-" if bonafide else "smooth",
        family="-" if bonafide else "formant",
        speaker="",
        corpus=corpus,
        language="xx",
        licence="CC0",
        duration_s=1.0,
        sha256=hashlib.sha256(name.encode()).hexdigest(),
    )
