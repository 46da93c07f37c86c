"""A detector that stands on others takes their weights, and records what they have seen."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from small_detectors import SMALL
from synthetic_corpus import corpus, with_twins
from unheard.data.batches import Balanced
from unheard.data.clip import Manifest
from unheard.detectors import bundle
from unheard.errors import RecipeError, TrainingError
from unheard.training.loop import train
from unheard.training.recipe import Budget, Constant, Recipe
from unheard.training.stages import train_stages

FIRST = Recipe(
    name="first",
    detector=SMALL["toy"],
    sampler=Balanced(batch_clips=4),
    schedule=Constant(rate=0.01),
    budget=Budget(n_steps=4, eval_every=2, log_every=2),
    window_s=0.5,
    hop_s=0.25,
    seed=5,
)
SECOND = replace(
    FIRST, name="second", init_from=(("", FIRST),), schedule=Constant(rate=0.0), seed=7
)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return corpus(tmp_path_factory.mktemp("corpus"), duration_s=0.6)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "bundle" / "weights.safetensors")


def test_what_a_recipe_starts_from_is_trained_first_with_its_seed(
    manifest: Manifest, tmp_path: Path
) -> None:
    train_stages(SECOND, manifest, tmp_path / "second")
    settings = json.loads((tmp_path / "first" / "recipe.json").read_text())["recipe"]
    assert (settings["name"], settings["seed"]) == ("first", 7)
    first, second = weights(tmp_path / "first"), weights(tmp_path / "second")
    assert all(torch.equal(first[name], second[name]) for name in first)  # at rate 0 nothing moved


def test_a_run_that_ended_explains_itself_and_shows_its_curves(
    manifest: Manifest, tmp_path: Path
) -> None:
    out = tmp_path / "first"
    train_stages(FIRST, manifest, out)
    page = (out / "run.md").read_text()
    card = bundle.read_card(out / "bundle")
    assert page.startswith("# first, seed 5\n")
    assert f"Of 4 steps, step {card.provenance.notes['best_step']} was best on dev" in page
    assert f"unheard score --detector {out} FILES" in page
    assert "| train | hum | 6 | 12 |" in page
    assert set(re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)) == {
        path.name for path in out.iterdir()
    }
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")
    (out / "run.md").write_text("my notes")
    train_stages(FIRST, manifest, out)
    assert (out / "run.md").read_text() == "my notes"  # a finished run is left as it is
    train_stages(FIRST, manifest, out, resume=False)
    assert (out / "run.md").read_text().startswith("# first, seed 5\n")


def test_a_bundle_that_is_there_is_taken_as_it_is(manifest: Manifest, tmp_path: Path) -> None:
    train(replace(FIRST, seed=3), manifest, tmp_path / "first")
    before = weights(tmp_path / "first")
    lines: list[str] = []
    train_stages(SECOND, manifest, tmp_path / "second", say=lines.append)
    assert f"{tmp_path / 'first'}: taken as it is" in lines
    after = weights(tmp_path / "second")
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_parts_must_be_there(manifest: Manifest, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="train that recipe first, with --out"):
        train(SECOND, manifest, tmp_path / "second")


def test_a_run_does_not_resume_from_other_weights(manifest: Manifest, tmp_path: Path) -> None:
    train(FIRST, manifest, tmp_path / "first")
    train(SECOND, manifest, tmp_path / "second")
    train(replace(FIRST, seed=8), manifest, tmp_path / "first", resume=False)
    with pytest.raises(TrainingError, match="holds a run with other settings"):
        train(SECOND, manifest, tmp_path / "second")


def test_what_the_parts_have_seen_the_whole_has_seen(manifest: Manifest, tmp_path: Path) -> None:
    bonafide = manifest.column("bonafide").astype(bool)
    without_buzz = manifest.where(bonafide | (manifest.column("attack") != "buzz"))
    train(FIRST, manifest, tmp_path / "first")
    trained_bundle = bundle.load(
        train(SECOND, _with_dev_of(without_buzz, manifest), tmp_path / "second")
    )
    clips = manifest.where((manifest.column("part") == "train") & ~bonafide)
    assert trained_bundle.has_seen([clip.sha256 or clip.id for clip in clips]).all()
    families = {clip.family for clip in clips}
    assert set(trained_bundle.card.provenance.families) == families
    assert all(family in trained_bundle.card.limits[0] for family in families)
    assert trained_bundle.card.limits[-1].startswith("It was trained on 0.0 hours of speech")
    assert trained_bundle.card.provenance.notes["parts"] == {"": "first"}


def test_twins_count_as_seen_clips_of_their_generators_family(
    manifest: Manifest, tmp_path: Path
) -> None:
    notes = {"generator_family": "neural vocoder"}
    twins = [
        replace(clip, notes=notes) if clip.family == "reconstruction" else clip
        for clip in with_twins(manifest)
    ]
    trained_bundle = bundle.load(
        train(FIRST, Manifest.of(twins, manifest.root), tmp_path / "first")
    )
    n_twins = sum(clip.family == "reconstruction" for clip in twins)
    families = trained_bundle.card.provenance.families
    assert families["reconstruction"] == families["neural vocoder"] == n_twins
    assert "neural vocoder" in trained_bundle.card.limits[0]


def test_parts_that_trained_on_the_dev_clips_are_refused(
    manifest: Manifest, tmp_path: Path
) -> None:
    train(replace(FIRST, train_parts=("dev",), dev_parts=("train",)), manifest, tmp_path / "first")
    with pytest.raises(TrainingError, match="so dev would flatter the detector; train it again"):
        train(SECOND, manifest, tmp_path / "second")


def test_weights_must_fit_and_the_submodule_exist(manifest: Manifest, tmp_path: Path) -> None:
    train(FIRST, manifest, tmp_path / "first")
    with pytest.raises(RecipeError, match=r"name one such as detectors\.0"):
        train(replace(SECOND, init_from=(("detectors.9", FIRST),)), manifest, tmp_path / "second")
    with pytest.raises(RecipeError, match="build both from the same values"):
        train(replace(SECOND, init_from=(("score", FIRST),)), manifest, tmp_path / "second")


def _with_dev_of(train_clips: Manifest, whole: Manifest) -> Manifest:
    """Return train of one manifest and dev of another."""
    kept = set(train_clips.part("train").column("id")) | set(whole.part("dev").column("id"))
    return whole.where(np.array([name in kept for name in whole.column("id")]))
