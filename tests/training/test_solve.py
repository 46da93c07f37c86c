"""The closed form is scikit-learn's, of every clip that passed, and until then nothing learns."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression

from interruption import Interrupted, interrupt_before
from small_detectors import SMALL
from synthetic_corpus import corpus
from unheard.data.batches import Batch, BatchSource, Shuffled
from unheard.data.clip import Manifest
from unheard.detectors import bundle
from unheard.detectors.linear_states import LinearStatesDetector
from unheard.errors import RecipeError, TrainingError
from unheard.training.loop import train
from unheard.training.method import Progress
from unheard.training.objectives import WeightedCrossEntropy
from unheard.training.recipe import Budget, Recipe
from unheard.training.run_page import write
from unheard.training.solve import Solve

OBJECTIVE = WeightedCrossEntropy()
PROBE = Recipe(
    name="probe",
    detector=SMALL["linear_states"],
    method=Solve(c=0.05),
    sampler=Shuffled(batch_clips=6),
    budget=Budget(n_steps=3, eval_every=3),  # 18 clips: each once
    window_s=0.4,
    hop_s=0.4,
    seed=3,
)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return corpus(tmp_path_factory.mktemp("corpus"), duration_s=0.4)


@pytest.fixture(scope="module")
def run(manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "probe"
    train(PROBE, manifest, out)
    return out


def batches(manifest: Manifest) -> list[Batch]:
    source = BatchSource(manifest.part("train"), PROBE.sampler, window_s=0.4, seed=3)
    return [source[step] for step in range(3)]


def prepared(method: Solve) -> LinearStatesDetector:
    torch.manual_seed(0)
    model = method.prepare(PROBE.detector.build())
    assert isinstance(model, LinearStatesDetector)
    return model.train()


def after(step: int) -> Progress:
    return Progress(step, 3, {})


def only(batch: Batch, rows: torch.Tensor) -> Batch:
    names = ("waveform", "n_samples", "bonafide", "domain", "twin")
    tensors: dict[str, Any] = {name: getattr(batch, name)[rows] for name in names}
    return Batch(**tensors, ids=tuple(batch.ids[row] for row in rows.nonzero()[:, 0].tolist()))


def test_the_sampler_passes_each_clip_once(manifest: Manifest) -> None:
    passed = [name for batch in batches(manifest) for name in batch.ids]
    assert sorted(passed) == sorted(manifest.part("train").column("id"))


def test_scores_are_those_of_scikit_learn_on_the_same_embeddings(
    run: Path, manifest: Manifest
) -> None:
    detector = bundle.load(run / "bundle").detector
    with torch.inference_mode():
        features = [detector.embed(batch.waveform).numpy() for batch in batches(manifest)]
        dev = BatchSource(manifest.part("dev"), Shuffled(batch_clips=12), window_s=0.4, seed=0)[0]
        wanted = detector.embed(dev.waveform).numpy().astype(float)
        scores = detector(dev.waveform).numpy()
    model = LogisticRegression(C=0.05, class_weight="balanced", tol=1e-8, max_iter=5000)
    truth = np.concatenate([batch.bonafide.numpy() for batch in batches(manifest)])
    rows = np.concatenate(features).astype(float)
    centre = rows.mean(axis=0)
    spread = np.maximum(rows.std(axis=0), 0.01 * np.abs(centre))
    model.fit((rows - centre) / spread, truth)
    expected = model.decision_function((wanted - centre) / spread)
    assert expected.std() > 0.3
    np.testing.assert_allclose(scores, expected, atol=2e-3)


def test_the_kept_step_is_the_last_and_separates(run: Path) -> None:
    card = bundle.load(run / "bundle").card
    assert card.provenance.notes["best_step"] == 3
    table = pq.read_table(run / "bundle/dev_scores.parquet").to_pydict()
    scores, bonafide = np.array(table["raw"]), np.array(table["bonafide"])
    assert scores[bonafide].min() > scores[~bonafide].max()


def test_nothing_of_what_was_collected_outlives_the_fit(run: Path) -> None:
    (step,) = (run / "checkpoints").iterdir()
    for path in (step / "model.safetensors", step / "best.safetensors"):
        assert load_file(path)["collected._extra_state"].shape == (0, 1)
    assert "collected._extra_state" not in load_file(run / "bundle/weights.safetensors")


def test_a_checkpoint_before_the_end_keeps_what_passed(
    manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = torch.cat([batch.bonafide for batch in batches(manifest)[:2]])
    interrupt_before([2], monkeypatch)
    with pytest.raises(Interrupted):
        train(replace(PROBE, budget=Budget(n_steps=3, eval_every=1)), manifest, tmp_path / "run")
    (step,) = (tmp_path / "run/checkpoints").iterdir()
    rows = load_file(step / "model.safetensors")["collected._extra_state"]
    assert torch.equal(rows[:, 0] > 0, truth)


def test_until_the_last_step_nothing_moves_and_all_scores_are_zero(manifest: Manifest) -> None:
    method = Solve()
    model = prepared(method)
    for step, batch in enumerate(batches(manifest)[:2], start=1):
        method.gradients(model, batch, OBJECTIVE)
        assert not method.after_step(model, after(step))
        assert all(not p.grad.any() for p in model.linear.parameters() if p.grad is not None)
        assert not model(batch.waveform).any()
    assert torch.equal(model.spread, torch.ones(model.n_embedding))


def test_a_smaller_c_gives_smaller_weights(manifest: Manifest) -> None:
    norms = []
    for c in (1e-6, 1e-3, 1.0):
        method = Solve(c=c)
        model = prepared(method)
        for batch in batches(manifest):
            method.gradients(model, batch, OBJECTIVE)
        method.after_step(model, after(3))
        norms.append(model.linear.weight.norm().item())
    assert norms[0] < 0.1 * norms[1] < 0.1 * norms[2]


def test_a_feature_that_never_moves_leaves_scores_finite(manifest: Manifest) -> None:
    method = Solve()
    model: Any = prepared(method)
    for batch in batches(manifest):
        method.gradients(model, batch, OBJECTIVE)
    for rows in model.collected.batches:
        rows[:, 2] = 7.0
    method.after_step(model, after(3))
    assert model.spread[0] == pytest.approx(0.07)
    assert torch.isfinite(model(batches(manifest)[0].waveform)).all()


HELD_OUT = replace(
    PROBE,
    method=Solve(c=0.05, hold_out=True),
    sampler=Shuffled(batch_clips=6, by="attack", bonafide_by="speaker"),
    dev_parts=(),
)


def test_a_clip_is_scored_by_a_fit_without_its_domain(manifest: Manifest, tmp_path: Path) -> None:
    trained = bundle.load(train(HELD_OUT, manifest, tmp_path / "run"))
    clips = manifest.part("train")
    with torch.inference_mode():
        source = BatchSource(clips, HELD_OUT.sampler, window_s=0.4, seed=3)
        passed = [source[step] for step in range(3)]
        rows = np.concatenate([trained.detector.embed(b.waveform).numpy() for b in passed])
    truth = np.concatenate([batch.bonafide.numpy() for batch in passed])
    domain = np.where(clips.bonafide(), clips.column("speaker"), clips.column("attack"))
    domain = domain[source.rows(3)]
    expected = np.empty(len(truth))
    for name in np.unique(domain):
        own = domain == name
        others = rows[~own].astype(float)
        centre = others.mean(axis=0)
        spread = np.maximum(others.std(axis=0), np.maximum(0.01 * np.abs(centre), 1e-4))
        model = LogisticRegression(C=0.05, class_weight="balanced", tol=1e-8, max_iter=5000)
        model.fit((others - centre) / spread, truth[~own])
        expected[own] = model.decision_function((rows[own] - centre) / spread)
    table = pq.read_table(tmp_path / "run/bundle/dev_scores.parquet").to_pydict()
    assert table["id"] == clips.column("id").tolist()
    raw = np.array(table["raw"])
    np.testing.assert_allclose(raw[source.rows(3)], expected, atol=2e-3)
    assert expected.std() > 0.3
    notes = trained.card.provenance.notes
    assert "each scored by a fit without" in str(notes["calibrated_on"])
    page = write(tmp_path / "run").read_text()
    assert "on clips of training, each scored by a fit without its domain.\n" in page
    assert "dev clips" not in page
    assert sum(line.n_bonafide + line.n_spoof for line in trained.card.provenance.material) == 18


def test_what_has_no_domain_is_in_every_fit_and_has_no_score(manifest: Manifest) -> None:
    method = Solve(c=0.05, hold_out=True)
    model: Any = prepared(method)
    for number, batch in enumerate(batches(manifest)):
        domain = torch.full((len(batch),), -1 if number == 0 else number)
        method.gradients(model, replace(batch, domain=domain), OBJECTIVE)
    before = method.held_out(model)
    assert before is not None
    assert not len(before)
    method.after_step(model, after(3))
    scores = method.held_out(model)
    assert scores is not None
    assert np.isnan(scores[:6]).all()
    assert np.isfinite(scores[6:]).all()
    assert not hasattr(method.finish(model), "scored")


def test_no_dev_and_nothing_held_out_is_refused(manifest: Manifest, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"no dev_parts, and its method holds no clip out"):
        train(replace(HELD_OUT, method=Solve()), manifest, tmp_path / "run")


def test_clips_of_one_class_are_refused(manifest: Manifest) -> None:
    method = Solve()
    model = prepared(method)
    batch = batches(manifest)[0]
    method.gradients(model, only(batch, batch.bonafide), OBJECTIVE)
    with pytest.raises(TrainingError, match=r"clips of both classes: give more steps"):
        method.after_step(model, after(3))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_fit_that_does_not_converge_is_no_result(manifest: Manifest) -> None:
    method = Solve(c=1e3, max_iterations=1)
    model = prepared(method)
    for batch in batches(manifest):
        method.gradients(model, batch, OBJECTIVE)
    with pytest.raises(TrainingError, match=r"did not converge in 1 iterations"):
        method.after_step(model, after(3))


def test_what_is_not_linear_in_its_embedding_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"give the method solve the detector linear_states"):
        Solve().prepare(SMALL["lcnn"].build())


@pytest.mark.parametrize("field", [{"c": 0.0}, {"c": float("inf")}, {"max_iterations": 0}])
def test_wrong_numbers_are_refused(field: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=r"method\.\w+ is"):
        Solve(**field)
