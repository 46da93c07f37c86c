"""Weights out of published files, as tensors and nothing else: no code in them is run.

B, C, K: whatever the file says.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from unheard.detectors.layers.weight_files import torch_file
from unheard.errors import AttackError

__all__ = ["filled", "from_script", "from_state", "from_tflite", "in_order", "without_norms"]

Network = TypeVar("Network", bound=nn.Module)


def from_state(path: Path, key: str = "") -> dict[str, Tensor]:
    """Return the tensors of a file that `torch.save` wrote, by name.

    Args:
        path: The file. One that holds anything but tensors and plain values is refused.
        key: Entry of the outermost mapping that holds the tensors; "" if that is the mapping.

    Raises:
        BundleError: As `torch_file`.
    """
    stored = torch_file(path)
    return dict(stored[key] if key else stored)


def from_script(path: Path, network: nn.Module) -> dict[str, Tensor]:
    """Return the tensors of a TorchScript archive of plain convolutions, named as in a network.

    The archive keeps each tensor as bytes under a running number: module by module, in each the
    bias before the weight. The program and the pickle next to them are left alone.

    Args:
        path: The archive, of float32 tensors.
        network: Has the modules that were saved, in their order.

    Raises:
        AttackError: If the archive has not as many tensors as the network, or others.
    """
    shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
    modules = dict.fromkeys(name.rpartition(".")[0] for name in shapes)
    names = [f"{module}.{part}" for module in modules for part in ("bias", "weight")]
    with zipfile.ZipFile(path) as archive:
        inside = {name.partition("/")[2]: name for name in archive.namelist()}
        n_held = sum(name.startswith("data/") for name in inside)
        if n_held != len(names):
            raise AttackError(f"{path}: {n_held} tensors, {len(names)} wanted; fetch it again")
        stored = [archive.read(inside[f"data/{number}"]) for number in range(n_held)]
    flat = [torch.from_numpy(np.frombuffer(array, "<f4").copy()) for array in stored]
    wrong = [n for n, array in zip(names, flat, strict=True) if array.numel() != shapes[n].numel()]
    if wrong:
        raise AttackError(f"{path}: {wrong[0]} does not fit the network; fetch it again")
    return {name: array.reshape(shapes[name]) for name, array in zip(names, flat, strict=True)}


def without_norms(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights with weight normalisation multiplied out.

    Source:
        Salimans, Kingma, "Weight normalization", 2016: the weight is g * v / |v|, with one norm
        for each index of the first axis.
    """
    plain = {}
    for name, stored in weights.items():
        if name.endswith(".weight_v"):
            axes = tuple(range(1, stored.ndim))
            norm = stored.norm(dim=axes, keepdim=True)
            scale = weights[name.removesuffix("v") + "g"]
            plain[name.removesuffix("_v")] = stored * (scale / norm)
        elif not name.endswith(".weight_g"):
            plain[name] = stored
    return plain


def filled(name: str, network: Network, weights: Mapping[str, Tensor]) -> Network:
    """Return a network with weights, in evaluation mode; each must be there and fit.

    Raises:
        AttackError: If a weight is missing, left over or of another shape.
    """
    try:
        network.load_state_dict(dict(weights))
    except RuntimeError as error:
        last = str(error).strip().splitlines()[-1].strip()
        raise AttackError(f"{name}: the weights do not fit the network: {last}") from error
    return network.eval().requires_grad_(False)


def in_order(weights: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Return weights under the names of a network that has the same modules in the same order.

    Raises:
        AttackError: If one has more modules than the other.
    """
    theirs, ours = (
        list(dict.fromkeys(name.rpartition(".")[0] for name in names))
        for names in (weights, network.state_dict())
    )
    if len(theirs) != len(ours):
        raise AttackError(
            f"weights of {len(theirs)} modules, {len(ours)} wanted; fetch the file again"
        )
    own = dict(zip(theirs, ours, strict=True))
    split = {name: name.rpartition(".") for name in weights}
    return {f"{own[module]}.{part}": weights[name] for name, (module, _, part) in split.items()}


def from_tflite(path: Path) -> dict[str, Tensor]:
    """Return the variables of a TensorFlow Lite file, float32, by name; its program is not run.

    Names lose what the converter put behind them: "block/kernel/ReadVariableOp/resource" is
    "block/kernel".
    """
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    behind = "/ReadVariableOp/resource"
    kept = [row for row in interpreter.get_tensor_details() if row["name"].endswith(behind)]
    return {
        row["name"].removesuffix(behind): torch.from_numpy(
            interpreter.get_tensor(row["index"]).astype(np.float32)
        )
        for row in kept
    }
