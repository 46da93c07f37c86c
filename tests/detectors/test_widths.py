"""Widths that detectors declare: their specs, what of them is published, saved and trained."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from small_detectors import PAIRS, SMALL, TINY_ENCODER
from tiny_encoders import FAMILIES
from unheard.detectors.bundle import load
from unheard.detectors.card import Card
from unheard.detectors.detector import Detector, Resizable, Spec, fresh, window_scores
from unheard.detectors.layers.encoder import Encoder
from unheard.detectors.layers.growth import grow, remove, size, unit_axes
from unheard.detectors.layers.lora import LoraExperts
from unheard.detectors.resnet18 import ResNet18
from unheard.detectors.spec_json import spec_from_json, spec_to_json
from unheard.detectors.ssl_aasist import SslAasist
from unheard.detectors.weights import save
from unheard.errors import RecipeError
from unheard.metrics import Calibration, OperatingPoints

pytestmark = pytest.mark.usefixtures("encoders")

RESIZABLE = [detector for method, detector in PAIRS if method == "plasticity"]
every_resizable = pytest.mark.parametrize("name", RESIZABLE)

# Added zeros change the order of sums; scores are of order one and in float32.
TOLERANCE = 1e-5


PUBLISHED = replace(TINY_ENCODER, source="tiny")
LORA = LoraExperts(rank=2)
LAST = "encoder.layers.1"
PART = "encoder.model.encoder.layers.1.feed_forward"
CHANGED = {f"{PART}.intermediate_dense.{own}" for own in ("weight", "bias")} | {
    f"{PART}.output_dense.weight"
}


def waves(n_clips: int = 3) -> np.ndarray:
    rng = np.random.default_rng(0)
    return 0.1 * rng.standard_normal((n_clips, 8_000)).astype(np.float32)


def scores(detector: Detector) -> np.ndarray:
    return window_scores(detector.eval(), waves())


def grown(spec: Spec, n: int = 3, **named: Any) -> tuple[Detector, Mapping[str, int]]:
    """Return a fresh detector with more units in every width, and how many there are now."""
    torch.manual_seed(0)
    detector = fresh(spec)
    for width in detector.widths().values():
        grow(detector, width, n, **named)
    return detector, {name: size(detector, width) for name, width in detector.widths().items()}


@every_resizable
def test_every_width_grows_without_a_change_of_scores(name: str) -> None:
    torch.manual_seed(0)
    before = scores(fresh(SMALL[name]))
    detector, _ = grown(SMALL[name])
    np.testing.assert_allclose(scores(detector), before, rtol=0, atol=TOLERANCE)


@every_resizable
def test_the_spec_builds_what_has_grown(name: str) -> None:
    spec = SMALL[name]
    assert isinstance(spec, Resizable)
    detector, widths = grown(spec)
    grown_spec = spec.with_widths(widths)
    assert spec_from_json(spec_to_json(grown_spec)) == grown_spec
    built = grown_spec.build()
    built.load_state_dict(detector.state_dict())
    assert np.array_equal(scores(built), scores(detector))
    wanting = [
        {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        for model in (built, detector)
    ]
    assert wanting[0] == wanting[1]
    assert [size(built, width) for width in built.widths().values()] == list(widths.values())


@every_resizable
def test_one_width_is_set_and_the_others_stay(name: str) -> None:
    spec = SMALL[name]
    assert isinstance(spec, Resizable)
    before = {each: size(spec.build(), width) for each, width in spec.build().widths().items()}
    (chosen,) = list(before)[-1:]
    built = spec.with_widths({chosen: 9}).build()
    after = {each: size(built, width) for each, width in built.widths().items()}
    assert after == before | {chosen: 9}


@pytest.mark.parametrize("name", RESIZABLE)
def test_an_unknown_width_is_refused(name: str) -> None:
    spec = SMALL[name]
    assert isinstance(spec, Resizable)
    with pytest.raises(RecipeError, match=r"has no width 'stem'.*(known|name a layer)"):
        spec.with_widths({"stem": 3})


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("adapters", [None, LoraExperts(projections=("q", "ff_in", "ff_out"))])
def test_feed_forward_layers_of_every_family_grow(
    family: Any, adapters: LoraExperts | None
) -> None:
    config = FAMILIES[family][2]
    settings = tuple((k, tuple(v) if isinstance(v, tuple) else v) for k, v in config.items())
    spec = SslAasist(encoder=Encoder(family=family, settings=settings), adapters=adapters)
    torch.manual_seed(0)
    before = scores(fresh(spec))
    detector, widths = grown(spec)
    np.testing.assert_allclose(scores(detector), before, rtol=0, atol=TOLERANCE)
    assert list(widths.values()) == [51, 51]
    built = spec.with_widths(widths).build()
    built.load_state_dict(detector.state_dict())
    assert np.array_equal(scores(built), scores(detector))


def test_the_third_layer_grows_by_default_or_the_last_of_fewer() -> None:
    for n_layers, chosen in ((2, "1"), (3, "2"), (5, "2")):
        settings = dict(TINY_ENCODER.settings) | {"num_hidden_layers": n_layers}
        encoder = replace(TINY_ENCODER, settings=tuple(sorted(settings.items())))
        with torch.device("meta"):
            widths = SslAasist(encoder=encoder).build().widths()
        assert len(widths) == n_layers
        usual = [name for name, width in widths.items() if width.by_default]
        assert usual == [f"encoder.layers.{chosen}"]


def test_resnets_blocks_are_its_widths() -> None:
    spec = ResNet18(width=2, embedding=4)
    assert spec.with_widths({}).inner_widths == (2, 2, 4, 4, 8, 8, 16, 16)
    assert spec.with_widths({"blocks.7": 5}).inner_widths == (2, 2, 4, 4, 8, 8, 16, 5)
    detector: Any = spec.with_widths({"blocks.7": 5}).build()
    assert detector.blocks[7].conv_in.out_channels == 5


@pytest.mark.parametrize("spec", [SslAasist(frozen=True), SslAasist(adapters=LORA)])
def test_of_a_frozen_encoder_only_what_grew_is_trained_and_saved(spec: SslAasist) -> None:
    torch.manual_seed(0)
    detector = fresh(replace(spec, encoder=PUBLISHED))
    before = {name for name, p in detector.named_parameters() if p.requires_grad}
    frozen_names = detector.frozen_names()
    grow(detector, detector.widths()[LAST], 2)
    remove(detector, detector.widths()[LAST], [0, 1])  # as wide as the published one again
    assert detector.frozen_names() == frozen_names - CHANGED
    assert {name for name, p in detector.named_parameters() if p.requires_grad} == before | CHANGED
    detector(torch.from_numpy(waves())).sum().backward()
    assert detector.get_parameter(min(CHANGED)).grad is not None


@pytest.mark.parametrize("net_growth", [2, 0])
def test_a_bundle_holds_what_grew_and_refers_to_the_rest(net_growth: int, tmp_path: Path) -> None:
    spec = SslAasist(encoder=PUBLISHED, adapters=LORA)
    torch.manual_seed(0)
    detector = fresh(spec)
    width = detector.widths()[LAST]
    grow(detector, width, 2)
    if not net_growth:
        remove(detector, width, [3, 8])
    grown_spec = spec.with_widths({LAST: size(detector, width)})
    assert grown_spec.feed_forward == (0, 24 + net_growth)
    card = Card(
        name="tiny",
        version="0",
        window_s=0.5,
        hop_s=0.5,
        pooling="mean",
        calibration=Calibration(1.0, 0.0),
        operating_points=OperatingPoints(0.0, -1.0, 1.0, -1.0, 1.0),
    )
    bundle_folder = save(tmp_path / "bundle", detector, grown_spec, card, seen=[])
    names = load_file(bundle_folder / "weights.safetensors").keys()
    assert {name for name in names if name.startswith(PART)} == CHANGED
    assert np.array_equal(load(bundle_folder).scores(waves()), scores(detector))


@pytest.mark.parametrize("n_units", [30, 24, 10])
def test_a_layer_of_another_width_starts_from_the_published_units(
    n_units: int, encoders: Path
) -> None:
    published = load_file(encoders / "tiny/model.safetensors")
    state = fresh(SslAasist(encoder=PUBLISHED, feed_forward=(0, n_units))).state_dict()
    n_shared = min(n_units, 24)
    for name, value in published.items():
        weight = state[f"encoder.model.{name}"]
        if f"encoder.model.{name}" not in CHANGED:
            assert torch.equal(weight, value), name
        elif "intermediate" in name:
            assert weight.shape[0] == n_units
            assert torch.equal(weight[:n_shared], value[:n_shared])
        else:
            assert weight.shape[1] == n_units
            assert torch.equal(weight[:, :n_shared], value[:, :n_shared])


def test_published_weights_of_another_shape_are_still_refused() -> None:
    other = replace(PUBLISHED, settings=(*PUBLISHED.settings[:-2], ("intermediate_size", 32)))
    with pytest.raises(RecipeError, match="give the source of a model of the same shape"):
        fresh(SslAasist(encoder=other, feed_forward=(0, 40)))


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("lacking", ["names", "layers"])
def test_published_weights_that_lack_some_are_refused_also_if_they_are_trained_on(
    encoders: Path, lacking: str, frozen: bool
) -> None:
    file = encoders / "tiny/model.safetensors"
    tensors = load_file(file)
    if lacking == "names":
        tensors = {f"backbone.{name}": value for name, value in tensors.items()}
    else:
        tensors = {name: value for name, value in tensors.items() if "layers.1." not in name}
    save_file(tensors, file)
    with pytest.raises(RecipeError, match=r"is not there, .* wanted"):
        fresh(SslAasist(encoder=PUBLISHED, frozen=frozen))


def test_feed_forward_widths_that_do_not_fit_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"layer 2, and the encoder has 2; give one width for"):
        SslAasist(encoder=TINY_ENCODER, feed_forward=(0, 0, 5)).build()
    with pytest.raises(RecipeError, match=r"feed_forward=\(-1,\); give 1 or more units"):
        SslAasist(feed_forward=(-1,))


def test_adapters_of_a_grown_projection_grow_too() -> None:
    adapters = LoraExperts(rank=2, n_experts=3, n_active=2, projections=("ff_in", "ff_out"))
    detector = fresh(SslAasist(encoder=TINY_ENCODER, adapters=adapters))
    names = {
        place.name.rpartition(".")[2] for place in unit_axes(detector, detector.widths()[LAST])
    }
    assert names == {"weight", "bias", "lora_up", "lora_down", "router"}
