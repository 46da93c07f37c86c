"""Every row of METHODS keeps its promises with every detector it can train."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from interruption import Interrupted, interrupt_before
from small_detectors import PAIRS, SMALL
from synthetic_corpus import corpus
from unheard import audio
from unheard.data.batches import Balanced, Batch, BatchSource, Terms
from unheard.data.clip import Manifest
from unheard.detectors import bundle as bundles
from unheard.detectors.detector import Detector, Spec
from unheard.detectors.toy import Toy
from unheard.scoring.scorer import Scorer
from unheard.training.loop import train
from unheard.training.method import Method
from unheard.training.methods import METHODS
from unheard.training.objectives import WeightedCrossEntropy
from unheard.training.recipe import Budget, Recipe
from unheard.training.supervised import Supervised

every_method = pytest.mark.parametrize("method", METHODS)


@pytest.fixture(scope="module", params=PAIRS, ids="-".join)
def pair(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Method and detector; the tests of a pair run one after the other, on one whole run."""
    names: tuple[str, str] = request.param
    return names


@pytest.fixture(scope="module")
def method(pair: tuple[str, str]) -> Method:
    return METHODS[pair[0]]()


@pytest.fixture(scope="module")
def spec(pair: tuple[str, str]) -> Spec:
    return SMALL[pair[1]]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return corpus(tmp_path_factory.mktemp("corpus"), duration_s=0.5)


@pytest.fixture(scope="module")
def batch(manifest: Manifest) -> Batch:
    return BatchSource(
        manifest.part("train"), Balanced(batch_clips=8), window_s=0.4, seed=0, augment=None
    )[0]


def recipe(method: Method, spec: Spec) -> Recipe:
    return Recipe(
        name="small",
        detector=spec,
        method=method,
        sampler=Balanced(batch_clips=4),
        budget=Budget(n_steps=6, eval_every=2, log_every=1, dev_clips=4),
        window_s=0.4,
        hop_s=0.4,
    )


@pytest.fixture(scope="module")
def whole(
    method: Method, spec: Spec, manifest: Manifest, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A run that nothing interrupted."""
    run = tmp_path_factory.mktemp("whole")
    train(recipe(method, spec), manifest, run)
    return run


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "bundle" / "weights.safetensors")


def assert_identical(state: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert state.keys() == other.keys()
    for name, value in state.items():
        assert torch.equal(value, other[name]), name


@every_method
def test_row_is_a_frozen_method_that_needs_no_numbers(method: str) -> None:
    value = METHODS[method]()
    assert isinstance(value, Method)
    assert value == METHODS[method]()
    assert hash(value) == hash(METHODS[method]())


def test_prepared_model_scores_as_the_finished_one(
    method: Method, spec: Spec, batch: Batch
) -> None:
    torch.manual_seed(0)
    model = method.prepare(spec.build())
    method.gradients(model.train(), batch, WeightedCrossEntropy())
    with torch.inference_mode():
        before = model.eval()(batch.waveform)
        finished = method.finish(model).eval()
        assert torch.equal(before, finished(batch.waveform))


def test_finish_leaves_no_trace_of_training(method: Method, spec: Spec) -> None:
    model = method.prepare(spec.build())
    plain = method.finish(model)
    built = method.spec(model, spec).build()
    assert isinstance(plain, Detector)
    assert type(plain) is type(built)
    assert plain.state_dict().keys() == built.state_dict().keys()
    built.load_state_dict(plain.state_dict())


def test_gradients_fill_grad_and_leave_parameters_alone(
    method: Method, spec: Spec, batch: Batch
) -> None:
    torch.manual_seed(0)
    model = method.prepare(spec.build()).train()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    method.gradients(model, batch, WeightedCrossEntropy())
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name]), name
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name


def test_bundle_scores_as_training_did(manifest: Manifest, whole: Path) -> None:
    scorer = Scorer(bundles.load(whole / "bundle"))
    table = pq.read_table(whole / "bundle" / "dev_scores.parquet").to_pylist()
    dev = manifest.part("dev")
    for clip, row in zip(dev, table, strict=True):
        assert clip.id == row["id"]
        assert scorer.raw(audio.read(manifest.file(clip)).samples) == row["raw"]


def test_interrupted_anywhere_and_resumed_is_the_uninterrupted_run(
    method: Method,
    spec: Spec,
    manifest: Manifest,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small = recipe(method, spec)
    stops = [0, 1, 2, 3, 5]  # before the first checkpoint, right after one, a step after one
    interrupt_before(stops, monkeypatch)
    while stops:
        with pytest.raises(Interrupted):
            train(small, manifest, tmp_path)
    train(small, manifest, tmp_path)
    assert_identical(weights(tmp_path), weights(whole))
    assert (tmp_path / "log.jsonl").read_text() == (whole / "log.jsonl").read_text()


@dataclass(frozen=True)
class Growing(Supervised):
    """A method that changes the model while it trains: one more input to the last layer."""

    def after_step(self, model: Any, progress: Any) -> bool:
        """Widen the toy's bands after the third step, and keep what the optimiser knew."""
        if progress.step != 3:
            return False
        grown: Any = Toy(n_bands=5).build()
        old, new = model.score, grown.score
        with torch.no_grad():
            new.weight.zero_()
            new.weight[:, :10] = old.weight
            new.bias.copy_(old.bias)
        model.n_bands, model.score = 5, new
        moments = progress.moments["score.weight"]
        for kind in ("exp_avg", "exp_avg_sq"):
            moments[kind] = nn.functional.pad(moments[kind], (0, 2))
        return True

    def spec(self, model: Any, started: Any) -> Any:
        return type(started)(n_bands=model.n_bands)

    def gradients(self, model: nn.Module, batch: Batch, objective: Any) -> Terms:
        return super().gradients(model, batch, objective)


def test_a_model_that_grew_resumes_and_is_saved_as_it_grew(
    manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = recipe(Growing(), SMALL["toy"])
    bundle_folder = train(small, manifest, tmp_path / "whole")
    interrupt_before([5], monkeypatch)
    with pytest.raises(Interrupted):
        train(small, manifest, tmp_path / "stopped")
    train(small, manifest, tmp_path / "stopped")
    assert_identical(weights(tmp_path / "stopped"), weights(tmp_path / "whole"))
    kept = bundles.load(bundle_folder).card.provenance.notes["best_step"]
    assert isinstance(kept, int)
    n_bands = bundles.load(bundle_folder).card.detector.fields["n_bands"]
    assert n_bands == (5 if kept > 3 else 4)
