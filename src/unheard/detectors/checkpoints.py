"""Checkpoints that others published, made bundles of: the architecture is ours, the weights theirs.

Weights are read as tensors, renamed one by one, and must then fit the detector exactly.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from unheard.audio import SAMPLE_RATE_HZ
from unheard.detectors.aasist import RawAasist
from unheard.detectors.card import Card, Provenance
from unheard.detectors.detector import Detector, Spec
from unheard.detectors.layers import fairseq
from unheard.detectors.layers.encoder import XLS_R_300M
from unheard.detectors.layers.weight_files import tensors_of
from unheard.detectors.ssl_aasist import SslAasist
from unheard.detectors.weights import save
from unheard.errors import BundleError, suggestion
from unheard.metrics import NEVER, Calibration, OperatingPoints

__all__ = [
    "CHECKPOINTS",
    "Checkpoint",
    "detector_of",
    "import_checkpoint",
    "known",
    "renamed",
]

N_SAMPLES = 64_600
"""Samples of the windows that all of these were trained on."""

MODULES = {
    "LL": "projection",
    "first_bn": "norm_in",
    "first_bn1": "norm_out",
    "attention": "attention",
    "pos_S": "graphs.position",
    "GAT_layer_S": "graphs.spectral",
    "GAT_layer_T": "graphs.temporal",
    "pool_S": "graphs.spectral_pool",
    "pool_T": "graphs.temporal_pool",
    "master1": "graphs.first.master",
    "HtrgGAT_layer_ST11": "graphs.first.attend",
    "HtrgGAT_layer_ST12": "graphs.first.refine",
    "pool_hS1": "graphs.first.spectral_pool",
    "pool_hT1": "graphs.first.temporal_pool",
    "master2": "graphs.second.master",
    "HtrgGAT_layer_ST21": "graphs.second.attend",
    "HtrgGAT_layer_ST22": "graphs.second.refine",
    "pool_hS2": "graphs.second.spectral_pool",
    "pool_hT2": "graphs.second.temporal_pool",
    "out_layer": "logits",
}
"""What the authors of AASIST, and of SSL + AASIST, call a part, and what it is called here."""

IN_BLOCK = {
    "bn1": "unused_norm",
    "conv1": "conv_in",
    "bn2": "norm",
    "conv2": "conv_out",
    "conv_downsample": "shortcut",
}
IN_GRAPH = {
    "proj": "score",
    "proj_type1": "temporal",
    "proj_type2": "spectral",
    "att_proj": "pair",
    "att_projM": "master_pair",
    "att_weight": "pair_weight",
    "att_weight11": "temporal_weight",
    "att_weight22": "spectral_weight",
    "att_weight12": "cross_weight",
    "att_weightM": "master_weight",
    "proj_with_att": "neighbours",
    "proj_without_att": "itself",
    "proj_with_attM": "master_neighbours",
    "proj_without_attM": "master_itself",
    "bn": "norm",
}

ENCODER = "ssl_model.model."
ONLY_PRETRAINING = ("mask_emb", "quantizer.", "project_q.", "final_proj.", "target_glu.")
"""What a fairseq model holds for its pretraining alone."""


@dataclass(frozen=True)
class Checkpoint:
    """Checkpoints of one architecture, as its authors' program saves them.

    Attributes:
        title: What the authors call the detector.
        spec: What it is here.
        rename: From the authors' names to those of this detector; raises KeyError for others.
    """

    title: str
    spec: Spec
    rename: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]


def import_checkpoint(
    weights: Path, architecture: str, out: Path, *, name: str, origin: str = ""
) -> Path:
    """Write the bundle of a published checkpoint.

    Nothing is known of its calibration: scores are the difference of its two logits, and the
    thresholds are such that every clip is undecided until it is calibrated.

    Args:
        weights: File of tensors, as `unheard.detectors.layers.weight_files.tensors_of` takes it.
        architecture: Row of `CHECKPOINTS`.
        out: Folder of the bundle.
        name: Of the detector.
        origin: Where the weights come from and what they were trained on, to be stated.

    Returns:
        The folder.

    Raises:
        BundleError: If there is no such architecture, the file is no mapping of tensors, or they do
            not fit the detector.
    """
    checkpoint = known(architecture)
    card = _card(weights, checkpoint, name, origin)
    detector = detector_of(weights, checkpoint)
    return save(out, detector, checkpoint.spec, card, seen=())


def known(architecture: str) -> Checkpoint:
    """Return a row of `CHECKPOINTS`.

    Raises:
        BundleError: If there is none of that name.
    """
    if architecture not in CHECKPOINTS:
        raise BundleError(
            f"no checkpoints of {architecture!r} are known{suggestion(architecture, CHECKPOINTS)}"
        )
    return CHECKPOINTS[architecture]


def detector_of(weights: Path, checkpoint: Checkpoint) -> Detector:
    """Return a detector with the weights of a checkpoint, in evaluation mode.

    Raises:
        BundleError: If the file is no mapping of tensors, or they do not fit.
    """
    tensors = renamed(tensors_of(weights), checkpoint, str(weights))
    with torch.random.fork_rng(devices=[]):
        detector = checkpoint.spec.build()
    detector.load_state_dict(tensors)
    return detector.eval()


def renamed(tensors: Mapping[str, Tensor], checkpoint: Checkpoint, where: str) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint under this detector's names; each must be there and fit.

    Args:
        tensors: By the authors' names.
        checkpoint: What it is a checkpoint of.
        where: What messages call the file.

    Raises:
        BundleError: If a name is unknown, one is missing, or a shape is another.
    """
    remedy = f"it is no checkpoint of {checkpoint.title}, as its authors save one; known are "
    remedy += ", ".join(CHECKPOINTS)
    try:
        ours = checkpoint.rename(tensors)
    except KeyError as error:
        raise BundleError(f"{where}: holds {error.args[0]!r}; {remedy}") from error
    wanted = _shapes(checkpoint.spec)
    if lacking := sorted(wanted.keys() - ours.keys()):
        raise BundleError(f"{where}: lacks what is {lacking[0]!r} here; {remedy}")
    for name, value in ours.items():
        if name not in wanted:
            raise BundleError(
                f"{where}: holds more than {checkpoint.title}, what would be {name!r} here"
                f"{suggestion(name, wanted)}; {remedy}"
            )
        if value.shape != wanted[name]:
            raise BundleError(
                f"{where}: {name!r} is {list(value.shape)}, {list(wanted[name])} wanted; {remedy}"
            )
    return {
        name: value.float() if value.is_floating_point() else value for name, value in ours.items()
    }


def _shapes(spec: Spec) -> dict[str, torch.Size]:
    with torch.device("meta"):
        detector: Detector = spec.build()
    return {name: value.shape for name, value in detector.state_dict().items()}


def _card(weights: Path, checkpoint: Checkpoint, name: str, origin: str) -> Card:
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    window_s = N_SAMPLES / SAMPLE_RATE_HZ
    return Card(
        name=name,
        version="1",
        window_s=window_s,
        hop_s=window_s / 2,
        calibration=Calibration(scale=1.0, offset=0.0),
        operating_points=OperatingPoints(
            balanced=0.0,
            false_alarm_1pct=-NEVER,
            miss_1pct=NEVER,
            surely_spoof=-NEVER,
            surely_bonafide=NEVER,
        ),
        provenance=Provenance(
            notes={
                "imported": f"{checkpoint.title}, {weights.name}, sha256 {sha256}",
                "origin": origin or "not stated",
            }
        ),
        limits=[
            "Imported weights. Calibration and thresholds are not known: a score is the difference "
            "of two logits, every clip is undecided, and a probability means nothing until the "
            "detector is calibrated on clips of known truth.",
            "Which clips it was trained on is not known, so an evaluation cannot refuse them.",
        ],
    )


def _aasist(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {_aasist_name(name): value for name, value in tensors.items()}


def _ssl_aasist(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The encoder lies inside as fairseq writes it, with what only its pretraining needs."""
    inside = {
        name.removeprefix(ENCODER): value
        for name, value in tensors.items()
        if name.startswith(ENCODER)
    }
    encoder = fairseq.renamed(
        {name: value for name, value in inside.items() if not name.startswith(ONLY_PRETRAINING)}
    )
    back_end = {name: value for name, value in tensors.items() if not name.startswith(ENCODER)}
    return {f"encoder.model.{name}": value for name, value in encoder.items()} | {
        f"back_end.{name}": value for name, value in _aasist(back_end).items()
    }


def _aasist_name(theirs: str) -> str:
    """Return what a tensor of the authors' AASIST is called here.

    Raises:
        KeyError: With the name, if AASIST has none of that name.
    """
    module, *inside = theirs.split(".")
    try:
        if module == "encoder":
            place, _, part, *leaf = inside
            return ".".join(["blocks", place, IN_BLOCK[part], *leaf])
        if "GAT" in module or module.startswith("pool_"):
            inside[0] = IN_GRAPH[inside[0]]
        return ".".join([MODULES[module], *inside])
    except (KeyError, IndexError, ValueError) as error:
        raise KeyError(theirs) from error


CHECKPOINTS: dict[str, Checkpoint] = {
    "aasist": Checkpoint("AASIST", RawAasist(), _aasist),
    "aasist_l": Checkpoint("AASIST-L", RawAasist.light(), _aasist),
    "ssl_aasist": Checkpoint(
        "SSL + AASIST", SslAasist(encoder=replace(XLS_R_300M, source="")), _ssl_aasist
    ),
}
"""Whose checkpoints can be imported, by the name that `unheard import` takes."""
