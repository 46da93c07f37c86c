"""Which expert handles which attack: counted right, drawn, and refused where there are none."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cli_run import runner
from small_detectors import TINY_ENCODER, TINY_EXPERTS
from synthetic_corpus import corpus
from unheard.data.clip import Manifest
from unheard.detectors.bundle import load
from unheard.detectors.bundle_files import Bundle
from unheard.detectors.card import Card
from unheard.detectors.layers.aggregation import Adaptive
from unheard.detectors.ssl_aasist import SslAasist
from unheard.detectors.toy import Toy
from unheard.detectors.weights import save
from unheard.errors import EvaluationError
from unheard.evaluation.routing import BONAFIDE, draw, measure, measure_layers, spread_bits
from unheard.metrics import Calibration, OperatingPoints


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return corpus(tmp_path_factory.mktemp("corpus"), duration_s=0.6)


def bundle(spec: SslAasist | Toy, folder: Path) -> Bundle:
    torch.manual_seed(0)
    card = Card(
        name="mixture",
        version="1",
        window_s=0.5,
        hop_s=0.5,
        calibration=Calibration(1.0, 0.0),
        operating_points=OperatingPoints(0.0, -1.0, 1.0, -1.0, 1.0),
    )
    return load(save(folder, spec.build(), spec, card, seen=[]))


MIXTURE = SslAasist(encoder=TINY_ENCODER, adapters=TINY_EXPERTS)


def test_usage_is_a_share_per_expert_for_every_group_and_projection(
    manifest: Manifest, tmp_path: Path
) -> None:
    usage = measure(bundle(MIXTURE, tmp_path / "b"), manifest, by="attack", most_clips=5)
    attacks = set(manifest.column("attack")) - {"-"}
    assert usage.groups[0] == BONAFIDE
    assert set(usage.groups[1:]) == attacks
    assert max(usage.n_clips) <= 5
    assert usage.gates.shape == (len(attacks) + 1, 8, 3)  # 2 layers of q, k, v, out; 3 experts
    np.testing.assert_allclose(usage.gates.sum(axis=2), 1, atol=1e-5)


def test_a_router_that_sends_everything_to_one_expert_shows_it(
    manifest: Manifest, tmp_path: Path
) -> None:
    spec = replace(MIXTURE, adapters=replace(TINY_EXPERTS, n_active=1))
    trained = bundle(spec, tmp_path / "b")
    for name, parameter in trained.detector.named_parameters():
        if name.endswith("router"):
            parameter.data.zero_()  # equal logits: the first expert is chosen
    usage = measure(trained, manifest)
    assert (usage.gates.max(axis=2) == 1).all()
    np.testing.assert_allclose(spread_bits(usage.gates), 0, atol=1e-9)


def test_spread_is_the_divergence_of_the_groups_in_bits() -> None:
    apart = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    alike = np.array([[[0.3, 0.7]], [[0.3, 0.7]]])
    assert spread_bits(apart) == pytest.approx([1.0])
    assert spread_bits(alike) == pytest.approx([0.0], abs=1e-12)


def test_picture_and_numbers_are_written(manifest: Manifest, tmp_path: Path) -> None:
    usage = measure(bundle(MIXTURE, tmp_path / "b"), manifest, most_clips=2)
    picture = draw(usage, tmp_path / "out")
    assert picture.read_bytes().startswith(b"\x89PNG")
    written = json.loads((tmp_path / "out/routing.json").read_text())
    np.testing.assert_allclose(written["gates"], usage.gates, atol=1e-5)
    assert written["groups"][0] == BONAFIDE


def test_a_detector_without_a_mixture_is_refused(manifest: Manifest, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="give a bundle whose detector has adapters"):
        measure(bundle(Toy(), tmp_path / "b"), manifest)


@pytest.mark.parametrize("activation", ["softmax", "none"])
def test_layers_that_a_sum_reads_are_shown_for_every_group(
    activation: Any, manifest: Manifest, tmp_path: Path
) -> None:
    how = Adaptive(activation=activation)
    spec = SslAasist(encoder=TINY_ENCODER, frozen=True, reading="adaptive", adaptive=how)
    trained = bundle(spec, tmp_path / "b")
    for parameter in trained.detector.parameters():
        if parameter.ndim == 1:  # norms as they are built give every state a mean of 0
            parameter.data += 0.3 * torch.randn_like(parameter)
    usage = measure_layers(trained, manifest, by="attack", most_clips=3)
    assert usage.groups[0] == BONAFIDE
    assert usage.gates.shape == (len(set(manifest.column("attack"))), 1, 3)  # input and 2 layers
    assert (usage.gates[0] != usage.gates[1]).any()  # a mean for each group, not one for all
    picture = draw(usage, tmp_path / "out")
    assert picture.name == "layers.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    written = json.loads((tmp_path / "out/layers.json").read_text())
    np.testing.assert_allclose(written["gates"], usage.gates, atol=1e-5)
    assert ("spread_bits" in written) == (activation == "softmax")


def test_weights_of_layers_are_means_over_the_clips_of_a_group(
    manifest: Manifest, tmp_path: Path
) -> None:
    spec = SslAasist(encoder=TINY_ENCODER, frozen=True, reading="weighted")
    trained = bundle(spec, tmp_path / "b")
    logits = torch.tensor([0.0, 1.0, 2.0])
    trained.detector.get_submodule("reading").get_parameter("logits").data.copy_(logits)
    usage = measure_layers(trained, manifest, most_clips=2)
    for weights in usage.gates[:, 0]:
        np.testing.assert_allclose(weights, logits.softmax(0), atol=1e-6)


def test_a_detector_that_reads_one_layer_has_no_weights_to_show(
    manifest: Manifest, tmp_path: Path
) -> None:
    with pytest.raises(EvaluationError, match="reading 'weighted' or 'adaptive'"):
        measure_layers(bundle(MIXTURE, tmp_path / "b"), manifest)


def test_the_command_names_the_layer_that_counts_most_for_each_group(
    manifest: Manifest, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    spec = SslAasist(encoder=TINY_ENCODER, frozen=True, reading="weighted")
    bundle(spec, tmp_path / "b")
    options = [
        "--data",
        manifest.root / "manifest.parquet",
        "--part",
        "dev",
        "--clips",
        2,
        "--out",
        tmp_path / "out",
    ]
    run = runner(capfd)("inspect", "layers", tmp_path / "b", *options)
    assert run.code == 0
    assert run.out.count("most of layer") == 3  # bona fide and two families
    assert run.out.endswith("layers.png\n")
