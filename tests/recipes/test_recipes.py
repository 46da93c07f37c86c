"""Every shipped recipe trains: on a few synthetic clips, with its numbers made small."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from small_detectors import SMALL, TINY_ENCODER
from synthetic_corpus import corpus, with_twins
from unheard import audio, recipes
from unheard.data.batches import Batch, BatchSource
from unheard.data.clip import Manifest
from unheard.data.samplers import ByDomain, WithTwins
from unheard.detectors import bundle
from unheard.detectors.table import DETECTORS, Mixture, ResNet18, Spec, SslAasist
from unheard.scoring.scorer import Scorer
from unheard.training.loop import train
from unheard.training.methods import Mldg
from unheard.training.recipe import Budget, Constant, Recipe, recipe_to_json

every_recipe = pytest.mark.parametrize("name", recipes.names())


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return corpus(tmp_path_factory.mktemp("corpus"), duration_s=0.8)


def small_detector(detector: Spec) -> Spec:
    """Return a detector of the same kind and structure, with its numbers made small."""
    if isinstance(detector, SslAasist):
        few = detector.adapters and replace(detector.adapters, rank=2)
        widths = detector.feed_forward[-2:]  # of its two layers
        return replace(detector, encoder=TINY_ENCODER, adapters=few, feed_forward=widths)
    if isinstance(detector, Mixture):  # nothing can be learnt by weighing experts that know nothing
        few = tuple(small_detector(expert) for expert in detector.experts)
        return replace(detector, experts=few, frozen=False)
    kind = next(kind for kind, row in DETECTORS.items() if type(detector) is row)
    if isinstance(detector, ResNet18):
        return replace(SMALL[kind], feature=detector.feature)
    return SMALL[kind]


def small(recipe: Recipe) -> Recipe:
    """Return a recipe as it is, but for a small detector, two domains and 20 steps."""
    sampler, method = recipe.sampler, recipe.method
    if isinstance(sampler, ByDomain):
        sampler = replace(sampler, clips_per_domain=8)
    elif isinstance(sampler, WithTwins):
        generator = "none" if sampler.generator == "none" else "all"  # has twins of its own
        sampler = replace(sampler, batch_clips=8, bonafide_clips=0, generator=generator)
    else:
        sampler = replace(sampler, batch_clips=8)
    if isinstance(method, Mldg):  # the synthetic corpus has two families of one attack each
        method = replace(method, n_meta_test=1)
    return replace(
        recipe,
        detector=small_detector(recipe.detector),
        sampler=sampler,
        method=method,
        schedule=Constant(rate=3e-3),
        budget=Budget(n_steps=20, eval_every=10, log_every=1, average=recipe.budget.average),
        window_s=0.4,
        hop_s=0.4,
        train_parts=recipe.train_parts[:1],  # the synthetic corpus has the default parts only
        dev_parts=recipe.dev_parts[:1],
        init_from=(),  # stages are tested in test_stages
    )


@every_recipe
def test_recipe_is_named_after_its_file_and_says_what_to_expect(name: str) -> None:
    recipe = recipes.load(name)
    assert recipe.name == name
    assert json.dumps(recipe_to_json(recipe))
    told = Path(recipes.__file__).with_name(f"{name}.py").read_text().split('"""')[1]
    assert all(word in told for word in ("Expects:", "Cost:", f"Run:     unheard train {name} "))
    assert not any(part.startswith("eval") for part in recipe.train_parts + recipe.dev_parts)


@every_recipe
def test_recipe_learns_resumes_to_the_bit_and_scores(
    name: str, manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = small(recipes.load(name))
    if isinstance(recipe.sampler, WithTwins):
        manifest = with_twins(manifest)
    made = train(recipe, manifest, tmp_path / "whole")

    log = [
        json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().split("\n")[:-1]
    ]
    losses = [line["loss"] for line in log]
    assert len(losses) == 20
    # Dropout drowns 20 steps of these: see test_ssl_aasist and test_detectors_mixture.
    if not isinstance(recipe.detector, SslAasist | Mixture):
        assert np.mean(losses[-5:]) < np.mean(losses[:5])

    class Interrupted(BaseException):
        pass

    load, stops = BatchSource.__getitem__, [11]

    def get(source: BatchSource, step: int) -> Batch:
        if stops and step == stops[0]:
            stops.pop()
            raise Interrupted
        return load(source, step)

    monkeypatch.setattr(BatchSource, "__getitem__", get)
    with pytest.raises(Interrupted):
        train(recipe, manifest, tmp_path / "stopped")
    train(recipe, manifest, tmp_path / "stopped")
    one, other = (
        load_file(tmp_path / run / "bundle" / "weights.safetensors") for run in ("whole", "stopped")
    )
    assert all(torch.equal(one[key], other[key]) for key in one)

    clip = manifest.part("dev")[0]
    verdict = Scorer(bundle.load(made)).raw(audio.read(manifest.file(clip)).samples)
    assert np.isfinite(verdict)
