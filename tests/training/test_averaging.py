"""The mean of the best check and those right before it: which, of what, and to the bit."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from interruption import Interrupted, interrupt_before
from small_detectors import SMALL
from synthetic_corpus import corpus
from unheard.data.batches import Balanced
from unheard.data.clip import Manifest
from unheard.detectors import bundle
from unheard.detectors.toy import Toy
from unheard.errors import RecipeError
from unheard.training import checkpoint
from unheard.training import loop as training
from unheard.training.checkpoint import mean_of
from unheard.training.dev_clips import Checked
from unheard.training.loop import train
from unheard.training.method import Progress
from unheard.training.recipe import Budget, Constant, Recipe
from unheard.training.supervised import Supervised

SMALL_RUN = Recipe(
    name="tiny",
    detector=SMALL["toy"],
    sampler=Balanced(batch_clips=4),
    schedule=Constant(rate=0.01),
    budget=Budget(n_steps=12, eval_every=2, log_every=2, average=3),
    window_s=0.5,
    hop_s=0.5,
)
EER = {2: 0.5, 4: 0.4, 6: 0.3, 8: 0.2, 10: 0.3, 12: 0.2}
"""What the checks find; the best is the one after step 8."""


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return corpus(tmp_path_factory.mktemp("corpus"), duration_s=0.6)


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, torch.Tensor]]:
    """Weights at each check of a run that finds what EER says."""
    checks: list[dict[str, torch.Tensor]] = []

    def check(model: nn.Module, *rest: Any) -> Checked:
        checks.append(checkpoint.weights_of(model))
        return Checked(EER[2 * len(checks)], 0.5)

    monkeypatch.setattr(training, "check", check)
    return checks


def saved(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "bundle" / "weights.safetensors")


def assert_mean(mean: dict[str, torch.Tensor], checks: list[dict[str, torch.Tensor]]) -> None:
    for name, value in mean.items():
        expected = torch.stack([check[name].double() for check in checks]).mean(dim=0)
        torch.testing.assert_close(value.double(), expected, rtol=1e-6, atol=1e-8)


def test_the_detector_is_the_mean_of_the_best_check_and_those_right_before_it(
    manifest: Manifest, tmp_path: Path, kept: list[dict[str, torch.Tensor]]
) -> None:
    bundle_folder = train(SMALL_RUN, manifest, tmp_path / "run")
    assert bundle.load(bundle_folder).card.provenance.notes["best_step"] == 8
    assert_mean(saved(tmp_path / "run"), kept[1:4])
    assert any(
        not torch.equal(value, kept[3][name]) for name, value in saved(bundle_folder.parent).items()
    )


def test_before_the_first_check_there_is_nothing_to_average(
    manifest: Manifest, tmp_path: Path, kept: list[dict[str, torch.Tensor]]
) -> None:
    many = replace(SMALL_RUN, budget=replace(SMALL_RUN.budget, average=9))
    train(many, manifest, tmp_path / "run")
    assert_mean(saved(tmp_path / "run"), kept[:4])


def test_an_averaged_run_resumes_to_the_bit(
    manifest: Manifest,
    tmp_path: Path,
    kept: list[dict[str, torch.Tensor]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train(SMALL_RUN, manifest, tmp_path / "whole")
    kept.clear()
    interrupt_before([3, 7, 9], monkeypatch)
    for _ in range(3):
        with pytest.raises(Interrupted):
            train(SMALL_RUN, manifest, tmp_path / "stopped")
    train(SMALL_RUN, manifest, tmp_path / "stopped")
    whole, stopped = saved(tmp_path / "whole"), saved(tmp_path / "stopped")
    assert all(torch.equal(whole[name], stopped[name]) for name in whole)
    logs = [(tmp_path / run / "log.jsonl").read_text() for run in ("whole", "stopped")]
    assert logs[0] == logs[1]


def test_a_checkpoint_keeps_earlier_weights_only_if_they_are_averaged(
    manifest: Manifest, tmp_path: Path
) -> None:
    train(SMALL_RUN, manifest, tmp_path / "three")
    budget = replace(SMALL_RUN.budget, average=1)
    train(replace(SMALL_RUN, budget=budget), manifest, tmp_path / "one")
    kept = {
        run: sorted(path.name for path in (tmp_path / run).glob("checkpoints/*/earlier-*"))
        for run in ("three", "one")
    }
    assert kept == {"three": ["earlier-0.safetensors", "earlier-1.safetensors"], "one": []}


def test_statistics_of_normalisation_are_averaged_and_counts_are_the_last() -> None:
    norm = nn.BatchNorm1d(2)
    checks = []
    for shift in (0.0, 1.0, 5.0):
        norm(torch.full((4, 2), shift) + torch.arange(4)[:, None])
        checks.append(checkpoint.weights_of(norm))
    mean = mean_of(checks)
    assert_mean({name: mean[name] for name in ("running_mean", "running_var")}, checks)
    assert mean["num_batches_tracked"].item() == 3
    assert mean["num_batches_tracked"].dtype == torch.int64
    assert mean["running_mean"].dtype == torch.float32


def test_checks_from_before_a_change_of_shape_are_left_out() -> None:
    narrow = [{"w": torch.tensor([float(n)])} for n in range(2)]
    wide = [{"w": torch.tensor([float(n), 8.0])} for n in range(2, 4)]
    assert mean_of([*narrow, *wide])["w"].tolist() == [2.5, 8.0]
    assert mean_of([*wide, *narrow, wide[0]])["w"].tolist() == [2.0, 8.0]


@dataclass(frozen=True)
class Growing(Supervised):
    """One more band after step 5."""

    def after_step(self, model: Any, progress: Any) -> bool:
        if progress.step != 5:
            return False
        grown = Toy(n_bands=5).build()
        model.n_bands, model.score = 5, grown.score
        for name in [name for name in progress.moments if name.startswith("score.")]:
            del progress.moments[name]
        return True

    def spec(self, model: Any, started: Any) -> Any:
        return Toy(n_bands=model.n_bands)


def test_a_detector_that_grew_is_averaged_over_its_last_shape(
    manifest: Manifest, tmp_path: Path, kept: list[dict[str, torch.Tensor]]
) -> None:
    run = replace(SMALL_RUN, method=Growing(), budget=replace(SMALL_RUN.budget, average=4))
    bundle_folder = train(run, manifest, tmp_path / "run")
    assert bundle.load(bundle_folder).card.detector.fields["n_bands"] == 5
    assert_mean(saved(tmp_path / "run"), kept[2:4])


@dataclass(frozen=True)
class Exchanging(Supervised):
    """Puts other units in the place of old ones after step 5; all shapes stay."""

    def after_step(self, model: nn.Module, progress: Progress) -> bool:
        return progress.step == 5


def test_checks_from_before_a_change_that_kept_all_shapes_are_left_out(
    manifest: Manifest, tmp_path: Path, kept: list[dict[str, torch.Tensor]]
) -> None:
    train(replace(SMALL_RUN, method=Exchanging()), manifest, tmp_path / "run")
    weights = saved(tmp_path / "run")
    wanted = mean_of(kept[2:4])  # steps 6 and 8; step 4 was before the change
    assert all(torch.equal(weights[name], wanted[name]) for name in weights)


def test_card_tells_how_well_the_averaged_detector_did(manifest: Manifest, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    from unheard.metrics import eer

    bundle_folder = train(SMALL_RUN, manifest, tmp_path / "run")
    table = pq.read_table(bundle_folder / "dev_scores.parquet")
    bonafide, raw = table["bonafide"].to_numpy(), table["raw"].to_numpy()
    notes = bundle.load(bundle_folder).card.provenance.notes
    assert notes["dev_eer"] == eer(raw[bonafide], raw[~bonafide])
    settings = json.loads((tmp_path / "run" / "recipe.json").read_text())
    assert settings["recipe"]["budget"]["average"] == 3


def test_no_check_to_average_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"budget.average is 0; give 1 or more"):
        Budget(average=0)
