"""Checkpoints under their authors' names become bundles that score as the weights say."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from fairseq_files import as_fairseq
from small_detectors import TINY_ENCODER
from unheard.detectors import bundle
from unheard.detectors.aasist import RawAasist
from unheard.detectors.checkpoints import (
    CHECKPOINTS,
    Checkpoint,
    _ssl_aasist,
    detector_of,
    import_checkpoint,
    renamed,
)
from unheard.detectors.detector import window_scores
from unheard.detectors.ssl_aasist import SslAasist
from unheard.errors import BundleError

NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
LINEAR = ("weight", "bias")
JOINT = ("proj_type1", "proj_type2", "att_proj", "att_projM", "proj_with_att", "proj_without_att")


def names(*, ssl: bool) -> list[str]:
    """Return what the authors' programs call the tensors of AASIST, and of SSL + AASIST."""
    found = ["pos_S", "master1", "master2", *(f"first_bn.{leaf}" for leaf in NORM)]
    for place in range(6):
        parts = {"conv1": LINEAR, "bn2": NORM, "conv2": LINEAR}
        parts |= {"bn1": NORM} if place else {}
        parts |= {"conv_downsample": LINEAR} if place in (0, 2) else {}
        found += [f"encoder.{place}.0.{p}.{leaf}" for p, leaves in parts.items() for leaf in leaves]
    for kind in "ST":
        layer = f"GAT_layer_{kind}"
        found += [f"{layer}.att_weight", *(f"{layer}.bn.{leaf}" for leaf in NORM)]
        for part in ("att_proj", "proj_with_att", "proj_without_att"):
            found += [f"{layer}.{part}.{leaf}" for leaf in LINEAR]
        for pool in ("pool_", "pool_h"):
            for index in ("",) if pool == "pool_" else "12":
                found += [f"{pool}{kind}{index}.proj.{leaf}" for leaf in LINEAR]
    for index in ("11", "12", "21", "22"):
        layer = f"HtrgGAT_layer_ST{index}"
        found += [f"{layer}.att_weight{which}" for which in ("11", "22", "12", "M")]
        found += [f"{layer}.bn.{leaf}" for leaf in NORM]
        for part in (*JOINT, "proj_with_attM", "proj_without_attM"):
            found += [f"{layer}.{part}.{leaf}" for leaf in LINEAR]
    if ssl:
        found += [f"LL.{leaf}" for leaf in LINEAR] + [f"first_bn1.{leaf}" for leaf in NORM]
        found += [f"attention.{place}.{leaf}" for place in (0, 3) for leaf in LINEAR]
        found += [f"attention.2.{leaf}" for leaf in NORM]
    return [*found, "out_layer.weight", "out_layer.bias"]


def under_their_names(checkpoint: Checkpoint, theirs: list[str]) -> dict[str, Tensor]:
    """Return random tensors under the authors' names, of the shapes that this detector has."""
    torch.manual_seed(0)
    state = checkpoint.spec.build().state_dict()
    tensors = {}
    for name in theirs:
        (ours,) = checkpoint.rename({name: torch.zeros(1)})
        value = state[ours]
        noise = 0.05 * torch.randn(value.shape) if value.is_floating_point() else 0
        tensors[name] = value + (abs(noise) if name.endswith("var") else noise)
    return tensors


@pytest.mark.parametrize("name", ["aasist", "aasist_l"])
def test_aasist_under_its_authors_names(name: str, tmp_path: Path) -> None:
    checkpoint = CHECKPOINTS[name]
    theirs = under_their_names(checkpoint, names(ssl=False))
    assert len(theirs) == 229
    torch.save(theirs, tmp_path / "best.pth")
    folder = import_checkpoint(
        tmp_path / "best.pth", name, tmp_path / "b", name="mine", origin="LA, by me"
    )
    loaded = bundle.load(folder)
    ours = loaded.detector.state_dict()
    second = "graphs.second.refine.cross_weight"
    assert torch.equal(ours[second], theirs["HtrgGAT_layer_ST22.att_weight12"])
    assert torch.equal(ours["blocks.3.norm.running_var"], theirs["encoder.3.0.bn2.running_var"])
    windows = 0.1 * np.random.default_rng(0).standard_normal((1, 8_000)).astype("f")
    expected = window_scores(detector_of(tmp_path / "best.pth", checkpoint), windows)
    assert loaded.scores(windows) == pytest.approx(expected)
    card = loaded.card
    assert card.window_s == 64_600 / 16_000
    assert card.provenance.notes["origin"] == "LA, by me"
    assert "Calibration and thresholds are not known" in card.limits[0]
    assert card.operating_points.surely_spoof < -1e5 < 1e5 < card.operating_points.surely_bonafide


def test_ssl_aasist_has_its_encoder_as_fairseq_writes_it() -> None:
    layered = replace(
        TINY_ENCODER, settings=(*TINY_ENCODER.settings, ("feat_extract_norm", "layer"))
    )
    checkpoint = Checkpoint("SSL + AASIST", SslAasist(encoder=layered), _ssl_aasist)
    torch.manual_seed(0)
    state = checkpoint.spec.build().state_dict()
    theirs = {
        f"ssl_model.model.{as_fairseq(name.removeprefix('encoder.model.'), True)}": value
        for name, value in state.items()
        if name.startswith("encoder.")
    }
    theirs["ssl_model.model.mask_emb"] = torch.zeros(4)
    theirs |= under_their_names(checkpoint, names(ssl=True))
    ours = renamed(theirs, checkpoint, "best.pth")
    assert ours.keys() == state.keys()
    for name, value in state.items():
        if name.startswith("encoder."):
            assert torch.equal(ours[name], value), name
    assert torch.equal(ours["back_end.projection.weight"], theirs["LL.weight"])
    assert torch.equal(ours["back_end.norm_out.bias"], theirs["first_bn1.bias"])


def test_what_does_not_fit_is_refused_by_name() -> None:
    checkpoint = CHECKPOINTS["aasist"]
    theirs = under_their_names(checkpoint, names(ssl=False))
    with pytest.raises(BundleError, match=r"x: holds 'decoder.weight'; it is no checkpoint of"):
        renamed(theirs | {"decoder.weight": torch.zeros(1)}, checkpoint, "x")
    with pytest.raises(BundleError, match=r"lacks what is 'logits.bias' here"):
        renamed({n: v for n, v in theirs.items() if n != "out_layer.bias"}, checkpoint, "x")
    light = CHECKPOINTS["aasist_l"]
    with pytest.raises(BundleError, match="wanted; it is no checkpoint of AASIST-L"):
        renamed(theirs, light, "x")
    with pytest.raises(BundleError, match=r"what would be 'projection\.weight' here"):
        renamed(theirs | {"LL.weight": torch.zeros(1)}, checkpoint, "x")
    with pytest.raises(BundleError, match="did you mean 'aasist'"):
        import_checkpoint(Path("w"), "aasst", Path("b"), name="n")


def test_rows_are_of_the_published_sizes() -> None:
    assert CHECKPOINTS["aasist"].spec == RawAasist()
    assert CHECKPOINTS["aasist_l"].spec == RawAasist.light()
