"""Pretrained weights of encoders: where they are, and under which names they are written.

Read are transformers folders (safetensors, whole or in shards, or the older pytorch_model.bin) and
checkpoints of fairseq (`fairseq.py`). Nothing in a file can run: files that are pickles are opened
by torch's restricted reader.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from unheard.detectors.layers.fairseq import renamed, unpacked
from unheard.errors import RecipeError

__all__ = ["HOME_VARIABLE", "config_of", "find", "hash_of", "is_local", "read_weights"]

HOME_VARIABLE = "UNHEARD_ENCODERS"
"""Environment variable with the folder that holds encoders by name."""

PREFIXES = {
    "wav2vec2": ("wav2vec2.",),
    "hubert": ("hubert.",),
    "wavlm": ("wavlm.",),
    "wav2vec2-bert": ("wav2vec2_bert.",),
    "whisper": ("model.encoder.", "encoder."),
    "campplus": (),
}
OLD_NAMES = (
    ("pos_conv_embed.conv.weight_g", "pos_conv_embed.conv.parametrizations.weight.original0"),
    ("pos_conv_embed.conv.weight_v", "pos_conv_embed.conv.parametrizations.weight.original1"),
)


def find(source: str) -> Path:
    """Return the folder or file of an encoder.

    Looked for in turn: a path; a name below the folder that the environment variable
    UNHEARD_ENCODERS names, or ~/.cache/unheard/encoders; an id on a model hub, fetched by the
    hub's own library if it is installed and the hub can be reached.

    Raises:
        RecipeError: If it is nowhere.
    """
    for path in _places(source):
        if path.exists():
            return path
    if source.count("/") == 1:
        return _from_hub(source)
    raise RecipeError(
        f"there is no encoder {source!r}, neither as a path nor in "
        f"{_places(source)[1].parent}; fetch it with `unheard encoder {source}`, or set "
        "detector.encoder.source to a transformers folder"
    )


def is_local(source: str) -> bool:
    """Return whether a source names a transformers folder or a checkpoint on this machine."""
    return any((path / "config.json").is_file() or path.is_file() for path in _places(source))


def _places(source: str) -> tuple[Path, Path]:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    home = os.environ.get(HOME_VARIABLE) or Path(cache) / "unheard/encoders"
    return Path(source), Path(home) / source


def _from_hub(source: str) -> Path:
    try:
        from huggingface_hub import snapshot_download

        patterns = ["config.json", "*.safetensors", "*.safetensors.index.json"]
        folder = Path(snapshot_download(source, allow_patterns=patterns))
        if not any(folder.glob("*.safetensors")):
            folder = Path(snapshot_download(source, allow_patterns=["config.json", BINARY]))
    except Exception as error:
        raise RecipeError(
            f"encoder {source!r} is no path and cannot be fetched from the model hub "
            f"({type(error).__name__}); copy its folder here and set detector.encoder.source to it"
        ) from error
    return folder


BINARY = "pytorch_model.bin"


def config_of(folder: Path) -> dict[str, Any]:
    """Return the config of a transformers folder.

    Raises:
        RecipeError: If there is none that can be read.
    """
    file = folder / "config.json"
    try:
        written = json.loads(file.read_text())
        if not isinstance(written, dict):
            raise ValueError("it holds no object")
    except (OSError, ValueError) as error:
        raise RecipeError(
            f"{file}: no readable config ({error}); give the folder of an encoder as the "
            "transformers library saves it"
        ) from error
    return written


def read_weights(path: Path, family: str) -> dict[str, Tensor]:
    """Return the weights of an encoder in float32, by the names of transformers' bare model.

    Args:
        path: A transformers folder, or a fairseq checkpoint (.pt).
        family: Row of `PREFIXES`.

    Raises:
        RecipeError: If there are none, or the file cannot be read without running code.
    """
    if path.is_file():
        return renamed(_tensors(path))
    tensors: dict[str, Tensor] = {}
    shards = sorted(path.glob("*.safetensors"))
    if shards:
        from safetensors.torch import load_file

        for shard in shards:
            tensors |= load_file(shard)
    elif (path / BINARY).is_file():
        tensors = _tensors(path / BINARY)
    else:
        raise RecipeError(
            f"{path}: neither model.safetensors nor {BINARY} in it; give the folder of an encoder "
            "as the transformers library saves it"
        )
    return {_bare(name, family): value.float() for name, value in tensors.items()}


def hash_of(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of tensors by name, shape and value, whatever file they came from."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {list(value.shape)}\n".encode())
        digest.update(value.numpy().tobytes())
    return digest.hexdigest()


def _tensors(file: Path) -> dict[str, Tensor]:
    checkpoint = unpacked(file)
    weights = checkpoint.get("model", checkpoint)
    return {name: value for name, value in weights.items() if isinstance(value, Tensor)}


def _bare(name: str, family: str) -> str:
    for prefix in PREFIXES[family]:
        name = name.removeprefix(prefix) if name.startswith(prefix) else name
    for old, new in OLD_NAMES:
        name = name.replace(old, new)
    return name
