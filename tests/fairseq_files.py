"""Checkpoints as fairseq writes them, of encoders with random weights."""

import argparse
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["as_fairseq", "write_checkpoint"]

FAIRSEQ = {
    "feature_projection.layer_norm.": "layer_norm.",
    "feature_projection.projection.": "post_extract_proj.",
    "encoder.pos_conv_embed.conv.parametrizations.weight.original0": "encoder.pos_conv.0.weight_g",
    "encoder.pos_conv_embed.conv.parametrizations.weight.original1": "encoder.pos_conv.0.weight_v",
    "encoder.pos_conv_embed.conv.bias": "encoder.pos_conv.0.bias",
    ".attention.gru_rel_pos_linear.": ".attention.grep_linear.",
    ".attention.gru_rel_pos_const": ".attention.grep_a",
    ".attention.rel_attn_embed.": ".attention.relative_attention_bias.",
    ".attention.": ".self_attn.",
    ".feed_forward.intermediate_dense.": ".fc1.",
    ".feed_forward.output_dense.": ".fc2.",
}


class Dictionary:
    """An object of a class that fairseq has and this machine lacks."""

    def __init__(self) -> None:
        self.symbols = ["<s>", "<pad>"]


Dictionary.__module__ = "fairseq.data.dictionary"
_MODULE: Any = ModuleType(Dictionary.__module__)
_MODULE.Dictionary = Dictionary


def as_fairseq(name: str, layer_norm: bool) -> str:
    """Return what fairseq, or WavLM's own code, calls a tensor of transformers'."""
    if name.startswith("feature_extractor"):
        norm = ".2.1." if layer_norm else ".2."
        return name.replace(".conv.", ".0.").replace(".layer_norm.", norm)
    for ours, theirs in FAIRSEQ.items():
        name = name.replace(ours, theirs)
    if name.startswith("encoder.layers.") and ".layer_norm." in name:
        name = name.replace(".layer_norm.", ".self_attn_layer_norm.")
    return name


def write_checkpoint(network: Any, file: Path, *, layout: str = "new") -> dict[str, Tensor]:
    """Write a network of transformers' as a checkpoint; return its tensors by fairseq's names.

    Args:
        network: A wav2vec 2.0, HuBERT or WavLM model.
        file: What is written.
        layout: "new" has the configuration as plain values under "cfg", as XLS-R has; "old" as a
            Namespace under "args", in the format before torch 1.6, as wav2vec 2.0 base has;
            "bare" has the tensors alone.
    """
    config = network.config
    tensors = {
        as_fairseq(name, config.feat_extract_norm == "layer"): value
        for name, value in network.state_dict().items()
    }
    tensors["mask_emb"] = torch.zeros(config.hidden_size)
    tensors["quantizer.vars"] = torch.zeros(1, 4, 2)  # of the training alone
    if config.model_type == "hubert":
        tensors["label_embs_concat"] = torch.zeros(4, 2)
    model = {
        "encoder_attention_heads": config.num_attention_heads,
        "layer_norm_first": config.do_stable_layer_norm,
        "extractor_mode": "layer_norm" if config.feat_extract_norm == "layer" else "default",
    }
    checkpoint: dict[str, Any] = {"model": tensors}
    if layout == "new":
        checkpoint |= {
            "args": None,
            "cfg": {"common": {"seed": 1}, "model": model},
            "optimizer_history": [{"criterion_name": "Wav2vecCriterion", "num_updates": 7}],
            "task_state": {"dictionaries": [Dictionary()]},
            "extra_state": {"val_loss": np.float64(1.5), "epoch": 2},
        }
    elif layout == "old":
        checkpoint |= {"args": argparse.Namespace(**model, arch="wav2vec2")}
    modules = dict.fromkeys(("fairseq", "fairseq.data", Dictionary.__module__), _MODULE)
    with patch.dict(sys.modules, modules):  # while it is written alone: no reader has fairseq
        torch.save(checkpoint, file, _use_new_zipfile_serialization=layout != "old")
    return tensors


class Hostile(nn.Module):
    """Runs code when it is unpickled as pickles are."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what a plain reader would call."""
        return exec, ("raise SystemExit('ran')",)
