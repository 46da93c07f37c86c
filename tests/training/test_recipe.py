import json
import math
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import nn

from unheard import recipes
from unheard.audio.augment import Augment, Step
from unheard.detectors.linear_states import LinearStates
from unheard.detectors.ssl_aasist import SslAasist
from unheard.detectors.toy import Toy
from unheard.errors import RecipeError
from unheard.training.recipe import (
    Adam,
    Budget,
    Constant,
    Cosine,
    HalveEvery,
    Recipe,
    recipe_to_json,
    with_settings,
)
from unheard.training.solve import Solve

RECIPE = Recipe(name="example", detector=Toy(), schedule=Cosine(rate=1e-3))


def test_scalars_are_set_by_their_path_and_type() -> None:
    changed = with_settings(
        RECIPE,
        [
            "schedule.rate=1e-4",
            "detector.n_bands = 6",
            "seed=7",
            "optimiser.decoupled=false",
            "sampler.by=family",
            "budget.n_steps=50",
        ],
    )
    assert changed.schedule == replace(RECIPE.schedule, rate=1e-4)  # type: ignore[type-var]
    assert changed.detector == Toy(n_bands=6)
    assert (changed.seed, changed.optimiser) == (7, Adam(decoupled=False))
    assert recipe_to_json(changed)["sampler"]["by"] == "family"
    assert changed.budget.n_steps == 50
    assert RECIPE.seed == 0


@pytest.mark.parametrize(
    ("setting", "remedy"),
    [
        ("schedul.rate=1", "Recipe has no field 'schedul'; did you mean 'schedule'"),
        ("schedule.rat=1", "Cosine has no field 'rat'; did you mean 'rate'"),
        ("detector.bands=3", "Toy has no field 'bands'; did you mean 'n_bands'"),
        ("seed.x=1", "it is a single value"),
        ("schedule=cosine", r"set schedule.rate, schedule.warm_up"),
        ("augment.steps=3", "change it in a recipe file of your own"),
        ("init_from=lcnn", "change it in a recipe file of your own"),
        ("schedule.rate=fast", "holds a finite number; give one"),
        ("schedule.rate=nan", "holds a finite number; give one"),
        ("budget.n_steps=1.5", "holds a whole number; give one"),
        ("optimiser.decoupled=1", "holds true or false; give one"),
        ("seed", "write name=value"),
        ("seed=-1", "give 0 or more"),
        ("hop_s=9", "give a hop above 0 and at most the window"),
        ("pooling=meen", "did you mean 'mean'"),
        ("budget.eval_every=0", "give 1 or more"),
        ("sampler.batch_clips=3", "give an even number"),
        ("train_parts=", "change it in a recipe file of your own"),
    ],
)
def test_wrong_setting_fails_at_once(setting: str, remedy: str) -> None:
    with pytest.raises(RecipeError, match=remedy):
        with_settings(RECIPE, [setting])


def test_words_of_a_closed_set_are_checked() -> None:
    @dataclass(frozen=True)
    class Choosing:
        feature: Literal["mel", "linear"] = "mel"
        limit: int | None = 3

    globals()["Choosing"] = Choosing
    objective: Any = Choosing()
    choosing = replace(RECIPE, objective=objective)
    changed: Any = with_settings(choosing, ["objective.feature=linear", "objective.limit=none"])
    assert changed.objective == Choosing("linear", None)
    changed = with_settings(choosing, ["objective.limit=5"])
    assert changed.objective == Choosing("mel", 5)
    with pytest.raises(RecipeError, match="did you mean 'linear'"):
        with_settings(choosing, ["objective.feature=liner"])


def test_names_are_given_comma_separated() -> None:
    changed = with_settings(RECIPE, ["train_parts=train,train_extra", "dev_parts=dev"])
    assert changed.train_parts == ("train", "train_extra")
    assert changed.dev_parts == ("dev",)


def test_whole_numbers_are_given_comma_separated() -> None:
    changed = with_settings(recipes.load("linear_states"), ["detector.layers=1,2", "method.c=0.01"])
    assert changed.detector == LinearStates(layers=(1, 2))
    assert changed.method == Solve(c=0.01)
    with pytest.raises(RecipeError, match="not a single value"):
        with_settings(changed, ["detector.layers=1,two"])


def test_an_optional_part_can_be_left_out() -> None:
    changed = with_settings(recipes.load("lora_small"), ["detector.adapters=none"])
    assert isinstance(changed.detector, SslAasist)
    assert changed.detector.adapters is None
    with pytest.raises(RecipeError, match="not a single value"):
        with_settings(changed, ["detector.encoder=none"])


def test_a_recipe_file_of_ones_own_is_found_by_its_path(tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text("from unheard.recipes.baselines import lora_small as recipe\n")
    assert recipes.load(str(own)) == recipes.load("lora_small")
    own.write_text("recipe = 3\n")
    with pytest.raises(RecipeError, match="its `recipe` is 3; wanted a value"):
        recipes.load(str(own))
    with pytest.raises(RecipeError, match="no such file; give a Python file"):
        recipes.load(str(tmp_path / "missing.py"))


def test_every_number_of_a_recipe_is_in_its_json() -> None:
    step = Step("noise", 0.3, {"low_db": 3.0})
    written = recipe_to_json(
        replace(RECIPE, augment=Augment((step,)), init_from=(("a", replace(RECIPE, name="b")),))
    )
    assert json.loads(json.dumps(written)) == written
    assert written["detector"] == {"kind": "Toy", "n_bands": 8}
    assert written["augment"]["steps"] == [
        {"kind": "Step", "name": "noise", "probability": 0.3, "numbers": {"low_db": 3.0}}
    ]
    assert written["objective"]["kind"] == "WeightedCrossEntropy"
    assert written["init_from"] == [["a", "b"]]


def test_cosine_rises_then_falls_to_its_floor() -> None:
    schedule = Cosine(rate=2.0, warm_up=0.1, floor=0.1)
    rates = [schedule.at(step, 100) for step in range(100)]
    assert rates[:3] == pytest.approx([0.2, 0.4, 0.6])
    assert rates[9] == rates[10] == max(rates) == 2.0
    assert rates[55] == pytest.approx(2.0 * (0.1 + 0.9 * 0.5))
    assert all(rate >= other for rate, other in pairwise(rates[10:]))
    assert 0.2 < rates[-1] < 0.21


def test_other_schedules() -> None:
    assert {Constant(rate=0.5).at(step, 10) for step in range(10)} == {0.5}
    halving = HalveEvery(rate=1.0, steps=3)
    assert [halving.at(step, 9) for step in range(7)] == [1, 1, 1, 0.5, 0.5, 0.5, 0.25]
    assert math.isfinite(Cosine(warm_up=0.0).at(0, 1))


def test_optimiser_leaves_frozen_parameters_out() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    model[0].requires_grad_(False)
    (group,) = Adam(weight_decay=0.1).build(model).param_groups
    assert [id(p) for p in group["params"]] == [id(p) for p in model[1].parameters()]
    assert isinstance(Adam().build(model), torch.optim.AdamW)
    assert type(Adam(decoupled=False).build(model)) is torch.optim.Adam
    assert group["weight_decay"] == 0.1


def test_a_detector_with_nothing_to_train_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"or, to average .* `unheard scores fuse`"):
        Adam().build(nn.Linear(2, 1).requires_grad_(False))


def test_wrong_recipe_name_suggests_the_right_one() -> None:
    assert {"lcnn", "resnet18_linear_w16", "resnet18_mel_w32"} <= set(recipes.names())
    with pytest.raises(RecipeError, match="no recipe is called 'lccn'; did you mean 'lcnn'"):
        recipes.load("lccn")


def test_budget_defaults_check_dev_now_and_then() -> None:
    assert Budget().n_steps % Budget().eval_every == 0
