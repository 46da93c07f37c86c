"""Weights that others saved with torch, as tensors and nothing else: no code in a file is run."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from unheard.errors import BundleError

__all__ = ["tensors_of"]

INSIDE = ("state_dict", "model_state_dict", "model")
"""Entries in which training programs keep the tensors, next to an optimiser and numbers."""

PARALLEL = "module."
"""What a model that was trained on several devices puts before every name."""


def tensors_of(file: Path) -> dict[str, Tensor]:
    """Return the tensors of a file that `torch.save` or safetensors wrote, by name.

    Args:
        file: A mapping of names to tensors, or one that holds such a mapping under an entry of
            `INSIDE`. A "module." before all names is taken off.

    Raises:
        BundleError: If the file is missing or damaged, holds anything but tensors and plain values,
            such as a whole module, or no tensors.
    """
    stored: object
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            stored = load_file(file)
        else:
            stored = torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise BundleError(f"{file}: {error.strerror or error}; check the path") from error
    except Exception as error:  # whatever a damaged or hostile file provokes
        raise BundleError(
            f"{file}: holds more than tensors (perhaps a whole module) or is damaged, and is not "
            "opened, for reading such a file can run code; where you trust it, open it with its "
            "authors' program and save the tensors alone: torch.save(model.state_dict(), "
            "'tensors.pth')"
        ) from error
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
