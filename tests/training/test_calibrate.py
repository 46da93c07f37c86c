"""Calibration by held-out families: what a fold may see, what is fitted, what is recorded."""

import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from small_detectors import SMALL
from unheard import audio, metrics
from unheard.data.batches import Balanced
from unheard.data.clip import Clip, Manifest
from unheard.data.hold_out import leave_one_out
from unheard.detectors import bundle
from unheard.detectors.card_text import model_card
from unheard.errors import TrainingError
from unheard.metrics import Calibration
from unheard.scoring.scorer import Scorer
from unheard.training.calibrate import Fold, calibrate, evaluate_folds, fit, without
from unheard.training.recipe import Budget, Constant, Recipe

RECIPE = Recipe(
    name="small",
    detector=SMALL["toy"],
    sampler=Balanced(batch_clips=4),
    schedule=Constant(rate=0.01),
    budget=Budget(n_steps=2, eval_every=2, log_every=2),
    window_s=0.5,
    hop_s=0.5,
)
FAMILIES = {"low": 150.0, "mid": 900.0, "high": 4000.0}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Noise is bona fide, tones of three heights are families; ten dev clips of each."""
    root = tmp_path_factory.mktemp("families")
    clips: list[Clip] = []
    for part, n_clips in (("train", 4), ("dev", 10)):
        for family in ("", *FAMILIES):
            for number in range(n_clips):
                clips.append(sound(root, part, family, number))
    return Manifest.of(clips, root)


def sound(root: Path, part: str, family: str, number: int) -> Clip:
    name = f"{part}-{family or 'human'}-{number}"
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    wave = 0.1 * rng.normal(size=8_000)
    if family:
        wave += 0.3 * np.sin(2 * np.pi * FAMILIES[family] * np.arange(8_000) / 16_000)
    audio.write(root / f"{name}.wav", wave)
    return Clip(
        id=name,
        path=f"{name}.wav",
        bonafide=not family,
        family=family or "-",
        attack=family or "-",
        part=part,
        speaker=f"{part}-{number}",
        duration_s=0.5,
    )


@pytest.fixture(scope="module")
def calibrated(manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return calibrate(RECIPE, manifest, tmp_path_factory.mktemp("run"))


def test_each_fold_is_trained_without_its_family(manifest: Manifest, calibrated: Path) -> None:
    for family in FAMILIES:
        trained = calibrated.parent / "held_out" / family / "small"
        card = bundle.read_card(trained / "bundle")
        assert set(card.provenance.families) == set(FAMILIES) - {family}
        dev = without(manifest, family).part("dev")
        assert card.provenance.manifests["dev"] == dev.sha256()
        assert family not in dev.column("family").tolist()


def test_only_the_line_and_the_thresholds_differ(manifest: Manifest, calibrated: Path) -> None:
    before, after = bundle.load(calibrated.parent / "bundle"), bundle.load(calibrated)
    wave = audio.read(manifest.audio(manifest[0])).samples
    assert Scorer(before).raw(wave) == Scorer(after).raw(wave)
    weights, seen = "weights.safetensors", "seen.safetensors"
    for name in (weights, seen):
        assert after.card.files[name] == before.card.files[name]
    dev = pq.read_table(calibrated / "dev_scores.parquet")
    raw, score = (dev.column(name).to_numpy() for name in ("raw", "score"))
    np.testing.assert_array_equal(score, after.card.calibration(raw))
    assert after.card.calibration != before.card.calibration
    assert after.card.operating_points != before.card.operating_points


def test_the_card_states_the_error_on_unseen_families(calibrated: Path) -> None:
    card = bundle.read_card(calibrated)
    by_group = {line.group: line for line in card.results if line.protocol == "left out in turn"}
    assert set(by_group) == set(FAMILIES)
    for line in by_group.values():
        assert (line.n_bonafide, line.n_spoof) == (10, 10)
        assert line.eer_low <= line.eer <= line.eer_high
        assert set(line.metrics) >= {"cllr", "undecided"}
    assert card.limits[0].startswith("Families left out of training one by one: EER ")
    text = model_card(card)
    assert "fitted on dev clips of families left out of training in turn;" in text
    assert "| left out in turn | low | no |" in text


def test_a_second_call_trains_nothing_again(manifest: Manifest, calibrated: Path) -> None:
    lines: list[str] = []
    before = json.loads((calibrated / "bundle.json").read_text())
    again = calibrate(RECIPE, manifest, calibrated.parent, say=lines.append)
    assert sum("this run is finished" in line for line in lines) == 1 + len(FAMILIES)
    assert json.loads((again / "bundle.json").read_text()) == before


def fold(family: str, shift: float, *, n_spoof: int = 400, seed: int = 0) -> Fold:
    rng = np.random.default_rng(seed)
    return Fold(family, rng.normal(2, 2, 500), rng.normal(-2 + shift, 2, n_spoof))


def test_the_fit_is_calibrated_for_unseen_families() -> None:
    folds = [fold(name, 0.5, seed=seed) for seed, name in enumerate("abcd")]
    line, points = fit(folds)
    new = fold("e", 0.5, n_spoof=4000, seed=9)
    honest = metrics.cllr(line(new.bonafide), line(new.spoof))
    assert honest < metrics.cllr(3 * new.bonafide, 3 * new.spoof)
    assert honest - metrics.min_cllr(new.bonafide, new.spoof) < 0.03
    human, machine = line(new.bonafide), line(new.spoof)
    wrong = np.mean(machine >= points.surely_bonafide)
    right = np.mean(human >= points.surely_bonafide)
    assert wrong / (wrong + right) == pytest.approx(metrics.DECIDED_ERROR, abs=0.02)


def test_every_family_weighs_the_same() -> None:
    easy, hard = fold("easy", -6.0, n_spoof=50), fold("hard", 3.0, n_spoof=50, seed=1)
    many = replace(easy, spoof=np.tile(easy.spoof, 40))
    assert fit([many, hard])[0].scale == pytest.approx(fit([easy, hard])[0].scale, rel=0.05)


def test_a_family_is_evaluated_by_the_fit_of_the_others() -> None:
    folds = [fold("a", 0.0), fold("b", 0.0, seed=1), fold("far", 8.0, seed=2)]
    by_family = {family.family: family for family in evaluate_folds(folds)}
    line, points = fit(folds[:2])
    machine = line(folds[2].spoof)
    assert by_family["far"].cllr == metrics.cllr(line(folds[2].bonafide), machine)
    assert by_family["far"].wrong > 0.3 > by_family["a"].wrong
    decided = (machine < points.surely_spoof) | (machine >= points.surely_bonafide)
    human = line(folds[2].bonafide)
    sure = (human < points.surely_spoof) | (human >= points.surely_bonafide)
    assert by_family["far"].undecided == pytest.approx(1 - (decided.mean() + sure.mean()) / 2)
    assert by_family["a"].cllr_before == metrics.cllr(folds[0].bonafide, folds[0].spoof)


def test_twins_go_with_their_source_and_with_their_generator(manifest: Manifest) -> None:
    clips = list(manifest.part("train"))
    human, low = clips[0], next(clip for clip in clips if clip.family == "low")
    twin: dict[str, Any] = {"attack": "x", "family": "reconstruction", "bonafide": False}
    makers: list[Callable[[], Clip]] = [
        lambda: replace(human, id="kept", source_clip=human.id, **twin),
        lambda: replace(human, id="by", notes={"generator_family": "low"}, **twin),
        lambda: replace(low, id="of", source_clip=low.id, **twin),
    ]
    rest = [clip for clip in manifest if clip.part != "train"]
    whole = Manifest.of([*clips, *rest, *(make() for make in makers)], manifest.root)
    for left in (without(whole, "low"), leave_one_out(whole, by="family", value="low")):
        ids = set(left.column("id").tolist())
        assert "kept" in ids
        assert not {"by", "of", low.id} & ids


def test_too_few_families_are_refused(manifest: Manifest, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"at least 3 needed.* give a corpus with more"):
        calibrate(RECIPE, manifest, tmp_path, families=("low", "high"))
    with pytest.raises(TrainingError, match=r"did you mean 'high'.* hold others out"):
        calibrate(RECIPE, manifest, tmp_path, families=("low", "mid", "hihg"))
    assert not any(tmp_path.iterdir())


def test_the_line_goes_behind_the_detectors_own(calibrated: Path) -> None:
    own = bundle.read_card(calibrated.parent / "bundle").calibration
    new = bundle.read_card(calibrated).calibration
    ratio = new.scale / own.scale
    assert ratio > 0
    line = Calibration(ratio, new.offset - ratio * own.offset)
    assert line(own(1.25)) == pytest.approx(new(1.25))
