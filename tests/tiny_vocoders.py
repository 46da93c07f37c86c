"""Vocoders of ATTACKS on tiny random weights, written as the published files are."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from unheard.attacks import ATTACKS, Attack, Engines, Published
from unheard.attacks.hifi_gan_network import HifiGanNetwork
from unheard.attacks.hifi_gan_v1 import HifiGanV1
from unheard.attacks.nsf import Nsf
from unheard.attacks.nsf_network import NsfNetwork
from unheard.attacks.published import folder_of

__all__ = ["WITH_FILES", "normed", "ready", "script", "written"]

WITH_FILES = (
    *("hifi-gan-universal", "hifi-gan-ljspeech", "hifi-gan-16khz"),
    *("nsf-hn", "nsf-hn-sinc", "nsf-cyc-noise"),
)
"""Rows whose weights are one file of a size that a test can write."""


def ready(name: str, home: Path) -> Attack:
    """Return a row of ATTACKS that looks into a corpus cache with tiny weights of its class."""
    torch.manual_seed(0)
    row = ATTACKS[name]
    if isinstance(row, HifiGanV1):
        row = replace(row, n_channels=32)
        network = HifiGanNetwork(row.shape())
        target = home / "pypi" / row.file.path
        if target.suffix == ".ts":
            script(target, network)
        else:
            written(target, {"generator": normed(network.state_dict())})
    else:
        assert isinstance(row, Nsf)
        weights = NsfNetwork(row.network).state_dict()
        if row.network == "hn":
            weights = {key.replace("m_cond.", "m_condition."): w for key, w in weights.items()}
        target = written(home / folder_of(row.file.source) / row.file.path, weights)
    sha256 = hashlib.sha256(target.read_bytes()).hexdigest()
    file = Published(row.file.source, row.file.path, sha256)
    return replace(row, file=file, engines=Engines(home))


def written(path: Path, content: object) -> Path:
    """Write what torch can save."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)
    return path


def normed(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return weights split into direction and norm, the direction of another length."""
    split = {}
    for name, weight in weights.items():
        if name.endswith(".weight"):
            axes = tuple(range(1, weight.ndim))
            split[f"{name}_g"] = weight.norm(dim=axes, keepdim=True)
            split[f"{name}_v"] = 3.0 * weight
        else:
            split[name] = weight
    return split


def script(path: Path, network: HifiGanNetwork) -> Path:
    """Write the tensors of a network as TorchScript does, next to a program that must not run."""
    weights = network.state_dict()
    modules = dict.fromkeys(name.rpartition(".")[0] for name in weights)
    names = [f"{module}.{part}" for module in modules for part in ("bias", "weight")]
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for number, name in enumerate(names):
            archive.writestr(f"model/data/{number}", weights[name].numpy().tobytes())
        archive.writestr("model/data.pkl", b"not to be read")
    return path
