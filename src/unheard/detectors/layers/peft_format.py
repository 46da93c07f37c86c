"""Adapters as the peft library keeps them: a folder of adapter_config.json and safetensors.

Plain LoRA, or one expert of a mixture as plain LoRA. Names are relative to the module that is
given, so give what peft is put around: the model of the transformers library.

E experts, R rank, C features in, D features out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor, nn

from unheard.detectors.layers.lora import AdaptedLinear, adapted
from unheard.errors import BundleError, RecipeError

__all__ = ["from_peft", "to_peft"]

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
PREFIX = "base_model.model."

WITHOUT_EFFECT = {
    *("auto_mapping", "base_model_name_or_path", "ensure_weight_tying", "exclude_modules"),
    *("inference_mode", "layers_pattern", "layers_to_transform", "lora_alpha", "lora_dropout"),
    *("megatron_core", "peft_type", "peft_version", "qalora_group_size", "r", "revision"),
    *("target_modules", "task_type"),
}
"""Fields that change no number beyond what rank, alpha and the names of the weights say."""
PLAIN = {"bias": ("none",), "init_lora_weights": (True, False, "gaussian", "orthogonal")}
"""Values with which a field changes nothing; other starts than these also move the base weights."""


def to_peft(module: nn.Module, folder: Path, *, expert: int | None = None) -> Path:
    """Write adapters so that peft reads them.

    Args:
        module: Holds adapted projections, all of one rank and alpha.
        folder: Where to write; files of these names there are replaced.
        expert: Which expert of a mixture to write, as if it were always the only one chosen.

    Returns:
        The folder.

    Raises:
        RecipeError: If nothing is adapted, ranks differ, or a mixture comes without an expert.
    """
    parts = adapted(module)
    index = _expert(parts.values(), expert)
    rank, alpha = _scale(parts.values())
    tensors: dict[str, Tensor] = {}
    for name, part in parts.items():
        down, up = _names(name)
        tensors[down] = part.lora_down[index].detach().cpu().contiguous()
        tensors[up] = part.lora_up[index].detach().cpu().contiguous()
    config = {
        "peft_type": "LORA",
        "task_type": None,
        "base_model_name_or_path": None,
        "inference_mode": True,
        "r": rank,
        "lora_alpha": alpha,
        "lora_dropout": next(iter(parts.values())).adapters.dropout,
        "target_modules": sorted(parts),
        "bias": "none",
    }
    folder.mkdir(parents=True, exist_ok=True)
    safetensors.save_file(tensors, folder / WEIGHTS, {"format": "pt"})
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n")
    return folder


def from_peft(module: nn.Module, folder: Path, *, expert: int | None = None) -> None:
    """Read adapters that peft wrote into a module that is adapted in the same places.

    Args:
        module: Holds adapted projections; nothing changes unless all of them are read.
        folder: Holds the two files.
        expert: Which expert of a mixture to fill.

    Raises:
        BundleError: If the files are missing or malformed, or are more than plain LoRA.
        RecipeError: If rank, alpha or places differ from the module's.
    """
    parts = adapted(module)
    index = _expert(parts.values(), expert)
    config = _config(folder / CONFIG)
    given, wanted = (config.get("r"), config.get("lora_alpha")), _scale(parts.values())
    if given != wanted:
        raise RecipeError(
            f"{folder}: rank {given[0]} and alpha {given[1]}, the module has rank {wanted[0]} and "
            f"alpha {wanted[1]:g}; adapt it with those of the file"
        )
    tensors = _tensors(folder / WEIGHTS)
    new: list[tuple[Tensor, Tensor]] = []
    for name, part in parts.items():
        for key, old in zip(_names(name), (part.lora_down, part.lora_up), strict=True):
            new.append((old[index], _fitting(tensors, key, old[index], folder)))
    if tensors:
        raise RecipeError(
            f"{folder}: also holds {min(tensors)!r}, which the module has no adapter for; "
            "adapt the same projections and layers"
        )
    with torch.no_grad():
        for place, value in new:
            place.copy_(value)


def _names(name: str) -> tuple[str, str]:
    """Return peft's names of the two weights of a projection: down [R, C], up [D, R]."""
    return f"{PREFIX}{name}.lora_A.weight", f"{PREFIX}{name}.lora_B.weight"


def _expert(parts: Iterable[AdaptedLinear], expert: int | None) -> int:
    counts = {part.adapters.n_experts for part in parts}
    if not counts:
        raise RecipeError("the module has no adapters; call adapt on its layers first")
    if expert is None and counts != {1}:
        raise RecipeError(
            f"a mixture of {max(counts)} experts is no plain LoRA; name one expert with expert=0"
        )
    index = expert or 0
    if not 0 <= index < min(counts):
        raise RecipeError(f"expert={index} of {min(counts)}; choose from 0 to {min(counts) - 1}")
    return index


def _scale(parts: Iterable[AdaptedLinear]) -> tuple[int, float]:
    """Return the rank and alpha of all adapters."""
    scales = {(part.adapters.rank, part.adapters.alpha) for part in parts}
    if len(scales) > 1:
        raise RecipeError(f"rank and alpha differ between layers: {sorted(scales)}; write one kind")
    return scales.pop()


def _config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise BundleError(
            f"{path}: cannot be read ({error}); give a folder that peft's save_pretrained wrote"
        ) from error
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        raise BundleError(f"{path}: not the config of a LoRA adapter; only LoRA can be read")
    for field, value in config.items():
        usual = not value or field in WITHOUT_EFFECT
        if not (value in PLAIN[field] if field in PLAIN else usual):
            raise BundleError(
                f"{path}: {field!r} is {value!r}; only plain LoRA can be read, merge the adapter "
                "into its model with peft instead"
            )
    return config


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.load_file(path)
    except (OSError, SafetensorError) as error:
        raise BundleError(
            f"{path}: cannot be read ({error}); give a folder that peft's save_pretrained wrote"
        ) from error


def _fitting(tensors: dict[str, Tensor], key: str, old: Tensor, folder: Path) -> Tensor:
    """Take a tensor out of those read; it must be there, fit and be finite."""
    value = tensors.pop(key, None)
    if value is None or value.shape != old.shape:
        problem = "nothing" if value is None else f"shape {list(value.shape)}"
        raise RecipeError(
            f"{folder}: {problem} under {key!r}, shape {list(old.shape)} wanted; "
            "adapt the same projections and layers of the same model"
        )
    if not torch.isfinite(value).all():
        raise BundleError(f"{folder}: {key!r} holds a value that is not finite; get it again")
    return value
