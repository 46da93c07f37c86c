import pytest
import torch
from torch.nn import functional

from unheard.data.batches import Batch, total
from unheard.detectors.detector import Outputs
from unheard.errors import RecipeError
from unheard.training.objectives import WeightedCrossEntropy


def batch(bonafide: list[bool]) -> Batch:
    n = len(bonafide)
    none = torch.full((n,), -1)
    return Batch(torch.zeros(n, 4), none, torch.tensor(bonafide), none, none, ("clip",) * n)


@pytest.mark.parametrize("weights", [(1.0, 1.0), (0.9, 0.1), (10.0, 1.0)])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_one_logit_is_the_cross_entropy_of_two(
    weights: tuple[float, float], smoothing: float
) -> None:
    score = torch.randn(7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    score *= 4
    score.requires_grad_()
    truth = [True, False, False, True, False, False, False]
    two_logits = torch.stack([torch.zeros_like(score), score], dim=1)
    expected = functional.cross_entropy(
        two_logits,
        torch.tensor(truth).long(),
        weight=torch.tensor([weights[1], weights[0]], dtype=torch.float64),
        label_smoothing=smoothing,
    )
    objective = WeightedCrossEntropy(*weights, label_smoothing=smoothing)
    loss = objective(Outputs(score, score[:, None]), batch(truth))["cross_entropy"]

    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)
    (gradient,) = torch.autograd.grad(loss, score, retain_graph=True)
    (expected_gradient,) = torch.autograd.grad(expected, score)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-12, atol=1e-15)


def test_confident_errors_stay_finite() -> None:
    score = torch.tensor([-1e4, 1e4])
    terms = WeightedCrossEntropy()(Outputs(score, score[:, None]), batch([True, False]))
    assert terms["cross_entropy"].item() == pytest.approx(1e4)


def test_terms_with_an_underscore_are_not_minimised() -> None:
    terms = {"a": torch.tensor(2.0), "_seen": torch.tensor(100.0), "b": torch.tensor(0.5)}
    assert total(terms).item() == 2.5


@pytest.mark.parametrize(
    ("fields", "remedy"),
    [
        ({"bonafide_weight": 0.0}, "give two positive numbers"),
        ({"spoof_weight": -1.0}, "give two positive numbers"),
        ({"label_smoothing": 1.0}, r"give a number in \[0, 1\)"),
    ],
)
def test_impossible_weights_are_refused(fields: dict[str, float], remedy: str) -> None:
    with pytest.raises(RecipeError, match=remedy):
        WeightedCrossEntropy(**fields)
