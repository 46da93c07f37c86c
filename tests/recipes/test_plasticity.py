"""Recipes that grow are comparable: with the same network ungrown, of the final size, and LoRA."""

from dataclasses import replace

import pytest
import torch

from unheard import recipes
from unheard.detectors.detector import Detector
from unheard.detectors.ssl_aasist import SslAasist
from unheard.training.method import Progress
from unheard.training.plasticity import Plasticity
from unheard.training.recipe import Recipe, with_settings
from unheard.training.supervised import Supervised

GROWN = {
    "resnet18_mel_w16": "resnet18_mel_w24_control",
    "grnn_w128": "grnn_w192_control",
    "ssl_aasist_small": "ssl_aasist_small_grown_control",
}
"""What never grows, and the size that growth ends with."""
ARCHITECTURES = tuple(GROWN)
GROWING = [f"{name}_{kind}" for kind in ("dropin", "plasticity") for name in ARCHITECTURES]
every_growth = pytest.mark.parametrize("name", GROWING)
every_architecture = pytest.mark.parametrize("name", ARCHITECTURES)


def method_of(recipe: Recipe) -> Plasticity:
    assert isinstance(recipe.method, Plasticity)
    return recipe.method


def shapes(detector: Detector) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in detector.state_dict().items()}


def on_meta(recipe: Recipe) -> Detector:
    with torch.device("meta"):
        return recipe.detector.build()


def changed(recipe: Recipe) -> list[dict[str, torch.Size]]:
    """Return the shapes of the detector after each change of a run, its training left out."""
    torch.manual_seed(0)
    method, n_steps = method_of(recipe), recipe.budget.n_steps
    model = method.prepare(recipe.detector.build())
    sizes = []
    for step, _ in method.changes(n_steps):
        method.after_step(model, Progress(step, n_steps, {}))
        sizes.append(shapes(method.spec(model, recipe.detector).build()))
    assert shapes(method.finish(model)) == sizes[-1]
    return sizes


@every_architecture
def test_dropin_ends_with_the_size_that_its_baseline_starts_with(name: str) -> None:
    (grown,) = changed(recipes.load(f"{name}_dropin"))
    assert grown == shapes(on_meta(recipes.load(GROWN[name])))


@every_architecture
def test_plasticity_grows_as_large_and_ends_as_it_began(name: str) -> None:
    recipe = recipes.load(f"{name}_plasticity")
    small, large = shapes(on_meta(recipe)), shapes(on_meta(recipes.load(GROWN[name])))
    assert small != large
    assert changed(recipe) == [large, small, large, small]


@every_architecture
def test_all_else_is_the_same_in_what_is_compared(name: str) -> None:
    dropin, other = recipes.load(f"{name}_dropin"), recipes.load(f"{name}_plasticity")
    assert replace(other, name=dropin.name, method=dropin.method) == dropin
    plain = replace(dropin, method=Supervised())
    grown = recipes.load(GROWN[name])
    assert replace(grown, name=plain.name, detector=plain.detector) == plain
    if name != "ssl_aasist_small":  # which is tuned whole
        ungrown = recipes.load(name)
        assert replace(ungrown, name=plain.name) == plain


@every_growth
def test_the_baselines_are_a_setting_away(name: str) -> None:
    recipe = recipes.load(name)
    ungrown = with_settings(recipe, ["method.n_growths=0"])
    assert method_of(ungrown).changes(recipe.budget.n_steps) == []
    new_alone = method_of(with_settings(recipe, ["method.init=kaiming", "method.train=new"]))
    assert (new_alone.init, new_alone.train) == ("kaiming", "new")


@every_growth
def test_the_log_shows_every_size_dev_sees_what_grew_and_training_goes_on(name: str) -> None:
    recipe = recipes.load(name)
    budget = recipe.budget
    changes = method_of(recipe).changes(budget.n_steps)
    ends = [step for step, _ in changes[1:]] + [budget.n_steps]
    for (start, kind), end in zip(changes, ends, strict=True):
        assert start // budget.log_every < end // budget.log_every  # a line tells of batch `end`
        if kind == "grow":
            assert start // budget.eval_every < (end - 1) // budget.eval_every
    assert budget.n_steps - changes[-1][0] >= 0.3 * budget.n_steps


def test_growth_of_an_encoder_adds_as_many_parameters_as_lora_has() -> None:
    def n_parameters(name: str, *, trained: bool) -> int:
        detector = on_meta(recipes.load(name))
        encoder = detector.get_submodule("encoder")
        return sum(p.numel() for p in encoder.parameters() if p.requires_grad or not trained)

    n_added = n_parameters("ssl_aasist_small_grown_control", trained=False) - n_parameters(
        "ssl_aasist_small_dropin", trained=False
    )
    assert n_added == 196_864
    assert n_parameters("lora_small", trained=True) == 196_608


def test_the_third_layer_grows_as_the_paper_found_best() -> None:
    spec = recipes.load("ssl_aasist_small_dropin").detector
    grown = recipes.load("ssl_aasist_small_grown_control").detector
    assert isinstance(spec, SslAasist)
    assert grown == replace(spec, feed_forward=(0, 0, 1536 + 256))
