"""A fusion scores as the weighted mean of its parts, knows what they have seen, and is a bundle."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from small_detectors import SMALL
from synthetic_corpus import corpus
from unheard.data.batches import Balanced
from unheard.data.clip import Manifest
from unheard.detectors import bundle
from unheard.errors import TrainingError
from unheard.metrics import fit_fusion
from unheard.training.fusing import fuse
from unheard.training.loop import train
from unheard.training.provenance import seen_keys
from unheard.training.recipe import Budget, Constant, Recipe

FIRST = Recipe(
    name="first",
    detector=SMALL["toy"],
    sampler=Balanced(batch_clips=4),
    schedule=Constant(rate=0.02),
    budget=Budget(n_steps=6, eval_every=6),
    window_s=0.4,
    hop_s=0.4,
)
SECOND = replace(FIRST, name="second", detector=SMALL["lcnn"], seed=1)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return corpus(tmp_path_factory.mktemp("corpus"), duration_s=0.4)


@pytest.fixture(scope="module")
def runs(manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("runs")
    for recipe in (FIRST, SECOND):
        train(recipe, manifest, folder / recipe.name)
    return [folder / "first", folder / "second"]


def raw_dev_scores(run: Path) -> np.ndarray:
    folder = bundle.in_run(run)
    table = pq.read_table(folder / bundle.DEV_SCORES).sort_by("id")
    return np.asarray(table.column("raw").to_numpy())


def windows() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, (5, 6_400)).astype(np.float32)


def test_scores_are_the_mean_of_calibrated_scores_up_to_a_line(
    runs: list[Path], tmp_path: Path
) -> None:
    fused = bundle.load(fuse(runs, tmp_path / "fused"))
    parts = [bundle.load(run / "bundle") for run in runs]
    llrs = sum(part.card.calibration(part.model.scores(windows())) for part in parts)
    raw = fused.model.scores(windows())
    slope, offset = np.polyfit(raw, llrs, 1)
    assert slope > 0
    np.testing.assert_allclose(slope * raw + offset, llrs, atol=1e-4)


def test_logistic_weights_are_those_of_a_regression_on_dev(
    manifest: Manifest, runs: list[Path], tmp_path: Path
) -> None:
    raw = np.stack([raw_dev_scores(run) for run in runs], axis=1)
    bonafide = manifest.part("dev").bonafide()
    wanted = np.array(fit_fusion(raw[bonafide], raw[~bonafide]).weights)
    if (wanted <= 0).any():
        with pytest.raises(TrainingError, match="leave it out"):
            fuse(runs, tmp_path / "fused", how="logistic")
        return
    fused = fuse(runs, tmp_path / "fused", how="logistic")
    np.testing.assert_allclose(
        raw_dev_scores(fused), raw @ (wanted / wanted.sum()), rtol=1e-6, atol=1e-9
    )


def test_dev_scores_of_the_fusion_are_what_it_gives(
    manifest: Manifest, runs: list[Path], tmp_path: Path
) -> None:
    from unheard.training.dev_clips import dev_scores

    folder = fuse(runs, tmp_path / "fused")
    given = dev_scores(bundle.load(folder).detector, manifest.part("dev"), FIRST)
    np.testing.assert_allclose(raw_dev_scores(folder), given, atol=1e-5)


def test_card_knows_what_the_parts_know(
    manifest: Manifest, runs: list[Path], tmp_path: Path
) -> None:
    dev_keys = seen_keys(manifest.part("dev"))
    fused = bundle.load(fuse(runs, tmp_path / "fused", name="both"))
    parts = [bundle.load(run / "bundle") for run in runs]
    assert fused.card.name == "both"
    assert fused.card.provenance.systems == parts[0].card.provenance.systems
    assert fused.card.provenance.material == parts[0].card.provenance.material
    assert [*fused.card.provenance.settings] == ["first", "second"]
    assert fused.has_seen(["other", *dev_keys]).tolist() == [False] + [True] * len(dev_keys)
    assert fused.model.experts == ("toy", "lcnn")


def test_windows_of_the_parts_must_be_the_same(
    manifest: Manifest, runs: list[Path], tmp_path: Path
) -> None:
    other = replace(SECOND, hop_s=0.2, budget=Budget(n_steps=1, eval_every=1))
    train(other, manifest, tmp_path / "second")
    with pytest.raises(TrainingError, match=r"has hop_s 0.2, and .* has 0.4"):
        fuse([runs[0], tmp_path / "second"], tmp_path / "fused")


def test_one_detector_is_no_fusion(runs: list[Path], tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="two or more"):
        fuse(runs[:1], tmp_path / "fused")


def test_parts_of_other_dev_clips_are_refused(
    manifest: Manifest, runs: list[Path], tmp_path: Path
) -> None:
    fewer = manifest.where(manifest.column("id") != manifest.part("dev").column("id")[0])
    train(replace(SECOND, budget=Budget(n_steps=1, eval_every=1)), fewer, tmp_path / "second")
    with pytest.raises(TrainingError, match="different dev clips"):
        fuse([runs[0], tmp_path / "second"], tmp_path / "fused")
