"""RACL: against a literal double loop, and where its gradients must be zero."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from unheard import recipes
from unheard.compare import plans
from unheard.data.batches import Batch, Terms, total
from unheard.detectors.detector import Outputs
from unheard.errors import RecipeError, TrainingError
from unheard.training.objectives import OBJECTIVES, Racl, WeightedCrossEntropy, WithTerms
from unheard.training.recipe import with_settings

KINDS = ["bonafide"] * 3 + ["remade"] * 3 + ["spoof"] * 2 + ["remade spoof"] * 2
TWIN = [3, 4, 5, 0, 1, 2, 8, 9, 6, 7]
PAPER = Racl()


def batch(kinds: list[str], twin: list[int]) -> Batch:
    n = len(kinds)
    none = torch.full((n,), -1)
    truth = torch.tensor([kind == "bonafide" for kind in kinds])
    return Batch(torch.zeros(n, 4), none, truth, none, torch.tensor(twin), ("clip",) * n)


FOUR = batch(KINDS, TWIN)


def outputs(n: int = 10, spread: float = 0.3, seed: int = 0) -> Outputs:
    generator = torch.Generator().manual_seed(seed)
    embedding = spread * torch.randn(n, 6, generator=generator, dtype=torch.float64)
    embedding.requires_grad_()
    return Outputs(embedding.sum(dim=1), embedding)


def literal(objective: Racl, outs: Outputs, kinds: list[str]) -> dict[str, float]:
    """The terms without weights, by two loops over plain numbers."""
    points = outs.embedding.tolist()
    contrasted = points
    if objective.normalised:
        contrasted = [[x / math.hypot(*p) for x in p] for p in points]
    truth = [kind == "bonafide" for kind in kinds]
    pairs: list[float] = []
    hard: list[float] = []
    apart: list[float] = []
    remade: list[float] = []
    for i in range(len(points)):
        for j in range(i):
            d, far = math.dist(contrasted[i], contrasted[j]), math.dist(points[i], points[j])
            if truth[i] == truth[j]:
                cost = d**2 if objective.form == "squared" else d
            else:
                gap = max(0.0, objective.margin - d)
                cost = gap**2 if objective.form == "squared" else gap
                apart.append(far)
            pairs.append(cost)
            if {kinds[i], kinds[j]} <= {"bonafide", "remade"}:
                hard.append(cost)
            if {kinds[i], kinds[j]} == {"bonafide", "remade"}:
                remade.append(far)
    variance = 0.0
    for wanted in (True, False):
        members = [p for p, is_human in zip(points, truth, strict=True) if is_human == wanted]
        for feature in zip(*members, strict=True):
            mean = sum(feature) / len(feature)
            variance += sum((x - mean) ** 2 for x in feature) / len(feature)
    losses, weights = [], []
    for score, is_human in zip(outs.score.tolist(), truth, strict=True):
        weights.append(objective.cross_entropy.bonafide_weight if is_human else 1.0)
        losses.append(math.log1p(math.exp(-score if is_human else score)))
    return {
        "cross_entropy": sum(w * x for w, x in zip(weights, losses, strict=True)) / sum(weights),
        "standard": sum(pairs) / len(pairs),
        "enhanced": sum(hard) / len(hard),
        "variance": variance / len(points[0]),
        "distance_classes": sum(apart) / len(apart),
        "distance_reconstructed": sum(remade) / len(remade),
    }


@pytest.mark.parametrize("form", ["squared", "linear"])
@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("margin", [0.8, 1.0])
def test_every_term_is_what_a_double_loop_says(form: Any, normalised: bool, margin: float) -> None:
    objective = Racl(form=form, normalised=normalised, margin=margin)
    outs = outputs()
    terms = objective(outs, FOUR)
    expected = literal(objective, outs, KINDS)
    assert expected["distance_reconstructed"] != pytest.approx(expected["distance_classes"])
    for name, value in expected.items():
        assert terms[f"_{name}"].item() == pytest.approx(value, rel=1e-12), name
    weights = {"cross_entropy": 0.3, "standard": 0.6, "enhanced": 0.1, "variance": 0.3}
    for name, weight in weights.items():
        assert terms[name].item() == pytest.approx(weight * expected[name], rel=1e-12), name
    whole = sum(weight * expected[name] for name, weight in weights.items())
    assert total(terms).item() == pytest.approx(whole, rel=1e-12)


def test_gradients_are_those_of_finite_differences() -> None:
    outs = outputs(seed=3)

    def loss(embedding: Tensor) -> Tensor:
        return total(PAPER(Outputs(embedding.sum(dim=1), embedding), FOUR))

    assert torch.autograd.gradcheck(loss, outs.embedding)


def test_the_factor_of_the_cross_entropy_is_the_rest_or_one() -> None:
    outs = outputs()
    raw = PAPER(outs, FOUR)["_cross_entropy"].item()
    assert PAPER(outs, FOUR)["cross_entropy"].item() == pytest.approx(0.3 * raw)
    factor_one = replace(PAPER, factor="one")
    assert factor_one(outs, FOUR)["cross_entropy"].item() == pytest.approx(raw)


def slopes(objective: Racl, outs: Outputs, clips: Batch, name: str) -> Tensor:
    (slope,) = torch.autograd.grad(objective(outs, clips)[name], outs.embedding)
    return slope


@pytest.mark.parametrize("form", ["squared", "linear"])
def test_only_bona_fide_clips_and_their_reconstructions_feel_the_enhanced_term(form: Any) -> None:
    slope = slopes(Racl(form=form), outputs(), FOUR, "enhanced")
    felt = slope.abs().sum(dim=1)
    assert (felt[:6] > 0).all()
    assert (felt[6:] == 0).all()


def test_a_reconstruction_is_recognised_by_its_twin_wherever_it_lies() -> None:
    order = torch.randperm(10, generator=torch.Generator().manual_seed(5))
    place = torch.argsort(order)
    outs = outputs()
    moved = batch([KINDS[i] for i in order], [int(place[TWIN[i]]) for i in order])
    turned = Outputs(outs.score[order], outs.embedding[order])
    for name, value in PAPER(turned, moved).items():
        assert value.item() == pytest.approx(PAPER(outs, FOUR)[name].item(), rel=1e-12), name


def test_the_variance_of_classes_that_are_points_is_exactly_zero() -> None:
    human, other = torch.rand(2, 7, generator=torch.Generator().manual_seed(1))
    embedding = torch.stack([human] * 3 + [other] * 7).requires_grad_()
    outs = Outputs(embedding.sum(dim=1), embedding)
    assert PAPER(outs, FOUR)["variance"].item() == 0
    assert (slopes(PAPER, outs, FOUR, "variance") == 0).all()
    with torch.no_grad():
        embedding[9, 2] += 1e-3
    assert PAPER(outs, FOUR)["variance"].item() > 0


def test_one_clip_of_a_class_is_enough() -> None:
    clips = batch(["bonafide", "remade", "spoof"], [1, 0, -1])
    outs = outputs(3)
    terms = PAPER(outs, clips)
    assert all(math.isfinite(value.item()) for value in terms.values())
    (slope,) = torch.autograd.grad(total(terms), outs.embedding)
    assert slope.isfinite().all()
    alone = replace(PAPER, enhanced=0.0)(outputs(1), batch(["bonafide"], [-1]))
    assert alone["variance"].item() == alone["standard"].item() == 0


@pytest.mark.parametrize("form", ["squared", "linear"])
@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("place", [0.0, 2.0])
def test_clips_at_one_point_give_finite_gradients(form: Any, normalised: bool, place: Any) -> None:
    embedding = torch.full((10, 6), place, requires_grad=True)
    outs = Outputs(embedding.sum(dim=1), embedding)
    terms = Racl(form=form, normalised=normalised)(outs, FOUR)
    (slope,) = torch.autograd.grad(total(terms), embedding)
    assert slope.isfinite().all()
    assert terms["_enhanced"].item() == pytest.approx(9 / 15)  # 9 of 15 pairs are of two classes


def test_classes_farther_apart_than_the_margin_are_left_alone() -> None:
    embedding = torch.zeros(10, 6)
    embedding[3:, 0] = 1.5
    embedding.requires_grad_()
    outs = Outputs(embedding.sum(dim=1), embedding)
    plain = replace(PAPER, normalised=False)
    assert plain(outs, FOUR)["standard"].item() == 0
    assert replace(plain, margin=2.0)(outs, FOUR)["standard"].item() > 0


def test_normalised_contrasts_know_directions_alone_and_the_variance_knows_lengths() -> None:
    outs, lengths = outputs(), torch.linspace(0.5, 4, 10, dtype=torch.float64)[:, None]
    terms, longer = (
        PAPER(outs, FOUR),
        PAPER(replace(outs, embedding=lengths * outs.embedding), FOUR),
    )
    for name in ("_standard", "_enhanced"):
        assert longer[name].item() == pytest.approx(terms[name].item(), rel=1e-12)
    for name in ("_variance", "_distance_classes", "_distance_reconstructed"):
        assert longer[name].item() > 1.2 * terms[name].item()


def test_half_precision_is_raised_before_it_is_squared() -> None:
    embedding = (300 * torch.eye(10)).to(torch.float16)  # 300^2 is no half
    outs = Outputs(torch.zeros(10), embedding)
    assert PAPER(outs, FOUR)["_distance_classes"].item() == pytest.approx(300 * math.sqrt(2))


def test_terms_without_a_weight_are_logged_and_not_minimised() -> None:
    ablated = Racl(standard=0.0, enhanced=0.0, variance=0.0)
    terms = ablated(outputs(), FOUR)
    assert {name for name in terms if not name.startswith("_")} == {"cross_entropy"}
    assert terms["cross_entropy"].item() == terms["_cross_entropy"].item()
    assert terms.keys() >= {"_standard", "_enhanced", "_variance", "_distance_reconstructed"}
    assert not any(value.requires_grad for name, value in terms.items() if name.startswith("_"))


def test_a_batch_without_reconstructions_is_refused_unless_allowed() -> None:
    plain = batch(["bonafide", "bonafide", "spoof", "spoof"], [-1] * 4)
    with pytest.raises(TrainingError, match=r"use the sampler WithTwins, or set objective\.enh"):
        PAPER(outputs(4), plain)
    terms = replace(PAPER, enhanced=0.0)(outputs(4), plain)
    assert terms["_distance_reconstructed"].item() == 0
    assert terms["cross_entropy"].item() == pytest.approx(0.4 * terms["_cross_entropy"].item())


def test_it_composes_with_terms_that_a_detector_offers() -> None:
    outs = outputs()
    offered = replace(outs, terms={"expert_balance": torch.tensor(2.0)})
    terms: Terms = WithTerms(PAPER, weights=(("expert_balance", 0.01),))(offered, FOUR)
    assert terms["expert_balance"].item() == pytest.approx(0.02)
    assert total(terms).item() == pytest.approx(total(PAPER(outs, FOUR)).item() + 0.02)


def test_its_row_has_the_numbers_of_the_paper() -> None:
    assert OBJECTIVES["racl"] is Racl
    assert (PAPER.standard, PAPER.enhanced, PAPER.variance) == (0.6, 0.1, 0.3)
    assert PAPER.cross_entropy == WeightedCrossEntropy(bonafide_weight=10.0, spoof_weight=1.0)


@pytest.mark.parametrize(
    ("wrong", "remedy"),
    [
        ({"standard": -0.1}, r"objective\.standard is -0\.1; give 0 or more"),
        ({"variance": math.nan}, "give 0 or more"),
        ({"standard": 0.9}, r"give a sum under 1, or objective\.factor=one"),
        ({"margin": 0.0}, "give a number above 0"),
        ({"form": "square"}, "did you mean 'squared'"),
        ({"factor": "two"}, "cannot be 'two'"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(wrong: dict[str, Any], remedy: str) -> None:
    with pytest.raises(RecipeError, match=remedy):
        Racl(**wrong)


def test_the_rows_of_the_ablation_differ_as_they_are_called() -> None:
    plan = plans.load("racl")
    ablation: dict[str, Any] = {
        entry.name: with_settings(recipes.load(entry.recipe), [*plan.settings, *entry.settings])
        for entry in plan.entries
    }
    weights = {
        name: tuple(getattr(row.objective, term) for term in ("standard", "enhanced", "variance"))
        for name, row in ablation.items()
    }
    assert weights["none"] == weights["world"] == weights["aggregated"] == (0, 0, 0)
    assert weights["standard"] == (0.6, 0, 0)
    assert weights["enhanced"] == (0.6, 0.1, 0)
    assert weights["racl_small"] == (0.6, 0.1, 0.3)
    sampled = {
        name: (row.sampler.generator, row.detector.reading) for name, row in ablation.items()
    }
    assert sampled["none"] == ("none", "last")
    assert sampled["world"] == ("world", "last")
    assert sampled["aggregated"] == sampled["racl_small"] == ("diffusion", "adaptive")
    assert {row.sampler.batch_clips for row in ablation.values()} == {16}
