"""Weights that others saved with torch, as tensors and nothing else: no code in a file is run."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from unheard.errors import BundleError

__all__ = ["tensors_of", "torch_file"]

INSIDE = ("state_dict", "model_state_dict", "model")
"""Entries in which training programs keep the tensors, next to an optimiser and numbers."""

PARALLEL = "module."
"""What a model that was trained on several devices puts before every name."""


def torch_file(file: Path | IO[bytes], *, mmap: bool = False) -> Any:
    """Return what `torch.save` wrote into a file: tensors and plain values.

    The one place that opens such files. Whatever else is in one is refused by torch's restricted
    reader, unless `torch.serialization.safe_globals` stands a harmless class in for it.

    Args:
        file: The file, or a stream of its bytes.
        mmap: Read tensors when they are used; wants a zipped file on disk.

    Raises:
        BundleError: If the file is missing or damaged, or holds anything else, such as a module.
    """
    name = file if isinstance(file, Path) else "the file"
    try:
        return torch.load(file, map_location="cpu", mmap=mmap, weights_only=True)
    except OSError as error:
        raise BundleError(f"{name}: {error.strerror or error}; check the path") from error
    except Exception as error:  # whatever a damaged or hostile file provokes
        raise BundleError(
            f"{name}: holds more than tensors (perhaps a whole module) or is damaged, and is not "
            "opened, for reading such a file can run code; where you trust it, open it with its "
            "authors' program and save the tensors alone: torch.save(model.state_dict(), "
            "'tensors.pth')"
        ) from error


def tensors_of(file: Path) -> dict[str, Tensor]:
    """Return the tensors of a file that `torch.save` or safetensors wrote, by name.

    Args:
        file: A mapping of names to tensors, or one that holds such a mapping under an entry of
            `INSIDE`. A "module." before all names is taken off.

    Raises:
        BundleError: If the file is missing or damaged, holds anything but tensors and plain values,
            such as a whole module, or no tensors.
    """
    stored = _safetensors(file) if file.suffix == ".safetensors" else torch_file(file)
    for name in INSIDE:
        if isinstance(stored, dict) and isinstance(stored.get(name), dict):
            stored = stored[name]
    entries = stored.items() if isinstance(stored, dict) else ()
    tensors = {str(name): value for name, value in entries if isinstance(value, Tensor)}
    if not tensors:
        raise BundleError(f"{file}: no tensors by name in it; give a saved state_dict")
    if all(name.startswith(PARALLEL) for name in tensors):
        tensors = {name.removeprefix(PARALLEL): value for name, value in tensors.items()}
    return tensors


def _safetensors(file: Path) -> dict[str, Tensor]:
    try:
        return load_file(file)
    except OSError as error:
        raise BundleError(f"{file}: {error.strerror or error}; check the path") from error
    except SafetensorError as error:
        raise BundleError(f"{file}: damaged ({error}); fetch it again") from error
