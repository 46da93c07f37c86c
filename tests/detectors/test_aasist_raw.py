"""AASIST over the raw waveform: sizes as published, filters and scores as a literal reference."""

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn

import aasist_reference as reference
from unheard.detectors.aasist import RawAasist
from unheard.detectors.layers.sinc import SincFilters
from unheard.errors import RecipeError

SMALL = RawAasist(n_filters=12, n_taps=31, widths=(3, 4), graph_widths=(6, 4), kept=(0.7, 0.5, 0.7))


@pytest.mark.parametrize(
    ("spec", "n_parameters", "n_embedding"),
    [(RawAasist(), 297_866, 160), (RawAasist.light(), 85_306, 160)],
)
def test_has_as_many_parameters_as_published(
    spec: RawAasist, n_parameters: int, n_embedding: int
) -> None:
    with torch.device("meta"):
        detector: Any = spec.build()
    assert sum(p.numel() for p in detector.parameters()) == n_parameters
    assert detector.graphs.n_embedding == n_embedding
    assert detector.graphs.position.shape[1] == 23


@pytest.mark.parametrize("training", [False, True])
def test_scores_and_gradients_are_those_of_the_reference(training: bool) -> None:
    torch.manual_seed(0)
    detector: Any = SMALL.build().double().train(training)
    detector.filters.taps = torch.tensor(taps(SMALL), dtype=torch.float64).unsqueeze(1)
    for part in detector.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    waveform = torch.randn(3, 9_000, dtype=torch.float64)
    weights = {name: p for name, p in detector.named_parameters() if p.requires_grad}
    expected = reference.raw_score(
        reference.tensors(detector), waveform, 12, 31, SMALL.kept, training
    )
    slopes = torch.autograd.grad(expected.sum(), list(weights.values()))
    scores = detector(waveform)
    torch.testing.assert_close(scores, expected, rtol=0, atol=1e-10)
    actual_slopes = torch.autograd.grad(scores.sum(), list(weights.values()))
    for name, slope, other in zip(weights, actual_slopes, slopes, strict=True):
        torch.testing.assert_close(slope, other, rtol=1e-9, atol=1e-10, msg=name)


def taps(spec: RawAasist) -> list[list[float]]:
    edges = reference.mel_edges_hz(spec.n_filters)
    return [reference.band_pass(low, high, spec.n_taps) for low, high in pairwise(edges)]


def test_filters_are_the_written_out_ones() -> None:
    expected = torch.tensor(taps(RawAasist()))
    torch.testing.assert_close(SincFilters(70, 129).taps.squeeze(1), expected, rtol=0, atol=1e-7)


def test_filters_side_by_side_let_everything_through() -> None:
    wave = torch.randn(2, 500)
    bands = SincFilters(70, 129)(wave)
    assert bands.shape == (2, 70, 500 - 128)
    torch.testing.assert_close(bands.sum(dim=1), wave[:, 64:-64], rtol=0, atol=1e-5)


def test_a_tone_comes_out_of_the_band_it_lies_in() -> None:
    edges_hz = reference.mel_edges_hz(70)
    tone_hz = (edges_hz[40] + edges_hz[41]) / 2
    tone = torch.sin(2 * torch.pi * tone_hz * torch.arange(2000) / 16_000)
    assert int(SincFilters(70, 129)(tone[None])[0].square().mean(dim=1).argmax()) == 40


def test_filters_are_not_learned_nor_saved() -> None:
    detector: Any = SMALL.build()
    assert not [name for name in detector.state_dict() if name.startswith("filters")]
    assert not list(detector.filters.parameters())


@pytest.mark.parametrize("training", [False, True])
def test_takes_the_shortest_documented_clip(training: bool) -> None:
    with pytest.raises(RuntimeError, match="too small"):
        RawAasist().build().eval()(torch.randn(1, 2_314))
    n_samples = 4_502 if training else 2_315
    detector = RawAasist().build().train(training)
    assert torch.isfinite(detector(torch.randn(1, n_samples))).all()


@pytest.mark.parametrize(
    ("fields", "remedy"),
    [
        ({"n_filters": 2}, "n_filters=2; choose 3 or more"),
        ({"n_taps": 128}, "n_taps=128; choose an odd number"),
        ({"widths": (0, 4)}, r"widths=\(0, 4\).*choose 1 or more"),
        ({"graph_widths": (4, 0)}, "choose 1 or more"),
        ({"kept": (0.5, 0.0, 0.5)}, "choose shares above 0, up to 1"),
        ({"kept": (0.5, 0.5, 1.5)}, "choose shares above 0, up to 1"),
    ],
)
def test_a_wrong_field_says_what_to_choose(fields: dict[str, Any], remedy: str) -> None:
    with pytest.raises(RecipeError, match=remedy):
        RawAasist(**fields)
