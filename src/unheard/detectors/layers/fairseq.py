"""Checkpoints of fairseq, and of others who write as it does: read without running a thing.

Such a file is a pickle of tensors among objects of the program that wrote it: its configuration, a
dictionary of labels, counters. torch's restricted reader rebuilds tensors and plain values, and
each of those objects becomes a `Placeholder`, which keeps its values and does nothing. Names of any
other module, whose objects a model has no use for, are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unheard.detectors.layers.weight_files import torch_file
from unheard.errors import RecipeError

__all__ = ["family_and_settings", "renamed", "unpacked"]

KEPT = frozenset({"argparse", "fairseq", "numpy", "omegaconf", "typing"})
"""Modules whose objects become placeholders."""

OLD_FORMAT = ("argparse.Namespace", "fairseq.data.dictionary.Dictionary")
"""The same for files older than torch 1.6, whose names cannot be listed before reading."""

RENAMED = (
    (
        "encoder.pos_conv.0.weight_g",
        "encoder.pos_conv_embed.conv.parametrizations.weight.original0",
    ),
    (
        "encoder.pos_conv.0.weight_v",
        "encoder.pos_conv_embed.conv.parametrizations.weight.original1",
    ),
    ("encoder.pos_conv.0.bias", "encoder.pos_conv_embed.conv.bias"),
    ("post_extract_proj.", "feature_projection.projection."),
    ("self_attn_layer_norm.", "layer_norm."),
    ("self_attn.", "attention."),
    ("fc1.", "feed_forward.intermediate_dense."),
    ("fc2.", "feed_forward.output_dense."),
    ("attention.grep_linear.", "attention.gru_rel_pos_linear."),
    ("attention.grep_a", "attention.gru_rel_pos_const"),
    ("attention.relative_attention_bias.", "attention.rel_attn_embed."),
)
"""Names of fairseq, the last three of WavLM's own code, and what transformers calls the same."""

STRIDES = (5, 2, 2, 2, 2, 2, 2)
"""Of the seven first convolutions of every published model of these families."""


class Placeholder:
    """What stands for an object of another program; it keeps values and does nothing."""

    def __new__(cls, *_: object) -> Placeholder:
        """Return an empty one, whatever the object was made from."""
        return object.__new__(cls)

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        """Keep the values of an object by name, if it has such."""
        if isinstance(state, dict):
            self.__dict__.update(state)


def unpacked(file: Path) -> Mapping[str, Any]:
    """Return what a checkpoint holds: tensors, plain values and placeholders.

    Raises:
        RecipeError: If the file is damaged, or names what no model needs.
    """
    try:
        names = list(OLD_FORMAT)
        with file.open("rb") as stream:
            zipped = stream.read(4) == b"PK\x03\x04"
        if zipped:
            unknown = torch.serialization.get_unsafe_globals_in_checkpoint(file)
            names = [name for name in unknown if name.partition(".")[0] in KEPT]
        with torch.serialization.safe_globals([(Placeholder, name) for name in names]):
            checkpoint = torch_file(file, mmap=zipped)
    except Exception as error:  # whatever a damaged or hostile file provokes
        raise RecipeError(
            f"{file}: holds more than tensors or is damaged, and is not opened, for such a file "
            "can run code; convert it to safetensors where you trust it "
            "(fairseq: save {'model': checkpoint['model']} alone)"
        ) from error
    return checkpoint if isinstance(checkpoint, dict) else {}


def renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of a wav2vec 2.0, HuBERT or WavLM model under transformers' names."""
    ours: dict[str, Tensor] = {}
    for old, value in tensors.items():
        name = old.removeprefix("w2v_encoder.w2v_model.")
        for theirs, transformers in RENAMED:
            name = name.replace(theirs, transformers)
        if name.startswith("layer_norm."):
            name = f"feature_projection.{name}"
        if name.startswith("feature_extractor.conv_layers."):
            _, _, index, place, *_, kind = name.split(".")
            part = "conv" if place == "0" else "layer_norm"
            name = f"feature_extractor.conv_layers.{index}.{part}.{kind}"
        ours[name] = value.float()
    return ours


def family_and_settings(file: Path) -> tuple[str, dict[str, Any]]:
    """Return the family of a checkpoint's model and its shape, by the names of transformers.

    Widths, depths and kernels are those of the tensors. The number of heads, and whether norms come
    first, are read from the configuration in the file; without one they are those of the published
    models of that width.

    Raises:
        RecipeError: If it holds no such model, or one that has no published twin and does not say
            how many heads it has.
    """
    checkpoint = unpacked(file)
    theirs = checkpoint.get("model", checkpoint)
    tensors = renamed({n: v for n, v in theirs.items() if isinstance(v, Tensor)})
    convolutions = [
        tensors[name]
        for index in range(len(STRIDES))
        if (name := f"feature_extractor.conv_layers.{index}.conv.weight") in tensors
    ]
    projection = tensors.get("feature_projection.projection.weight")
    position = tensors.get("encoder.pos_conv_embed.conv.parametrizations.weight.original1")
    if projection is None or position is None or len(convolutions) != len(STRIDES):
        raise RecipeError(
            f"{file}: no wav2vec 2.0, HuBERT or WavLM model of fairseq's is in it; give the "
            "checkpoint that its authors published, or a transformers folder"
        )
    width = int(projection.shape[0])
    by_layer = "feature_extractor.conv_layers.1.layer_norm.weight" in tensors
    layers = {name.split(".")[2] for name in tensors if name.startswith("encoder.layers.")}
    inside = tensors["encoder.layers.0.feed_forward.intermediate_dense.weight"]
    settings = {
        "conv_bias": "feature_extractor.conv_layers.0.conv.bias" in tensors,
        "conv_dim": [int(weight.shape[0]) for weight in convolutions],
        "conv_kernel": [int(weight.shape[2]) for weight in convolutions],
        "conv_stride": list(STRIDES),
        "do_stable_layer_norm": bool(_said(checkpoint, "layer_norm_first", by_layer)),
        "feat_extract_norm": "layer" if by_layer else "group",
        "hidden_size": width,
        "intermediate_size": int(inside.shape[0]),
        "num_attention_heads": _heads(checkpoint, width, file),
        "num_conv_pos_embedding_groups": width // int(position.shape[1]),
        "num_conv_pos_embeddings": int(position.shape[2]),
        "num_hidden_layers": len(layers),
    }
    if any("gru_rel_pos" in name for name in tensors):
        return "wavlm", settings
    return "hubert" if "label_embs_concat" in tensors else "wav2vec2", settings


def _heads(checkpoint: Mapping[str, Any], width: int, file: Path) -> int:
    published = {768: 12, 1024: 16, 1280: 16, 1920: 16}
    n_heads = _said(checkpoint, "encoder_attention_heads", published.get(width))
    if not isinstance(n_heads, int):
        raise RecipeError(
            f"{file}: a model of width {width} without a configuration that says how many heads "
            "its attention has; give the checkpoint with its 'cfg' or 'args', or a transformers "
            "folder"
        )
    return n_heads


def _said(checkpoint: Mapping[str, Any], name: str, otherwise: object) -> object:
    """Return a value of the configuration, wherever the versions of fairseq have kept it."""
    config = checkpoint.get("cfg") or checkpoint.get("args")
    places = [config, _inside(config, "model")]
    places += [_inside(place, "w2v_args") for place in list(places)]
    places += [_inside(place, "model") for place in list(places)]
    found = (_inside(place, name) for place in places)
    return next((value for value in found if value is not None), otherwise)


def _inside(place: object, name: str) -> object:
    held = place if isinstance(place, dict) else getattr(place, "__dict__", {})
    return held.get(name)
