import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from small_detectors import SMALL
from synthetic_corpus import corpus
from unheard.audio import augment
from unheard.audio.augment import Augment, Step
from unheard.data.batches import Balanced, Terms
from unheard.data.clip import Clip, Manifest
from unheard.detectors import bundle
from unheard.detectors.detector import Outputs
from unheard.errors import RecipeError, TrainingError
from unheard.metrics import cllr, eer
from unheard.training import checkpoint, dev_clips
from unheard.training import loop as training
from unheard.training.dev_clips import Checked, spread, systems
from unheard.training.loop import train
from unheard.training.objectives import WeightedCrossEntropy
from unheard.training.provenance import card_of
from unheard.training.recipe import Adam, Budget, Constant, Recipe

TINY = Recipe(
    name="tiny",
    detector=SMALL["toy"],
    sampler=Balanced(batch_clips=4),
    augment=Augment((Step("polarity", 0.5), Step("noise", 0.2))),
    schedule=Constant(rate=0.01),
    budget=Budget(n_steps=12, eval_every=4, log_every=2),
    window_s=0.5,
    hop_s=0.25,
    seed=5,
)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return corpus(tmp_path_factory.mktemp("corpus"), duration_s=0.6)


@pytest.fixture(scope="module")
def finished(manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "finished"
    train(TINY, manifest, run)
    return run


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "bundle" / "weights.safetensors")


def assert_identical(run: Path, other: Path) -> None:
    first, second = weights(run), weights(other)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert (run / "log.jsonl").read_text() == (other / "log.jsonl").read_text()


def test_one_seed_gives_one_result_and_another_gives_another(
    manifest: Manifest, finished: Path, tmp_path: Path
) -> None:
    torch.manual_seed(123)  # the caller's generator has no say
    train(TINY, manifest, tmp_path / "again", workers=2)
    assert_identical(finished, tmp_path / "again")
    train(replace(TINY, seed=6), manifest, tmp_path / "other")
    first, second = weights(finished), weights(tmp_path / "other")
    assert any(not torch.equal(first[name], second[name]) for name in first)


def test_the_callers_generator_is_left_alone(manifest: Manifest, tmp_path: Path) -> None:
    torch.manual_seed(9)
    before = torch.get_rng_state()
    train(TINY, manifest, tmp_path / "run")
    assert torch.equal(before, torch.get_rng_state())


LONG = replace(TINY, budget=Budget(n_steps=40, eval_every=5, log_every=1))
KILLED = """
import sys
from pathlib import Path
from test_loop import LONG
from unheard.data.clip import Manifest
from unheard.training.dev_clips import Checked, spread, systems
from unheard.training.loop import train
data, out = map(Path, sys.argv[1:])
train(LONG, Manifest.read(data), out, say=lambda line: print(line, flush=True))
"""


def test_killed_run_resumes_to_the_bit(manifest: Manifest, tmp_path: Path) -> None:
    folders = [str(Path(training.__file__).parents[2]), str(Path(__file__).parent)]
    folders.append(str(Path(__file__).parents[1]))
    run = subprocess.Popen(
        [sys.executable, "-c", KILLED, manifest.root / "manifest.parquet", tmp_path / "killed"],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(folders)},
    )
    assert run.stdout is not None
    with run.stdout as lines:
        for _ in range(2):
            assert b"dev EER" in lines.readline()
        run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    assert not (tmp_path / "killed" / "bundle").exists()

    messages: list[str] = []
    train(LONG, manifest, tmp_path / "killed", say=messages.append)
    assert messages[0].startswith("resuming after step")
    train(LONG, manifest, tmp_path / "whole")
    assert_identical(tmp_path / "killed", tmp_path / "whole")


def test_a_foreign_file_among_checkpoints_is_left_alone(manifest: Manifest, tmp_path: Path) -> None:
    foreign = tmp_path / "checkpoints" / ".DS_Store"
    foreign.parent.mkdir()
    foreign.write_bytes(b"of a file manager")
    train(TINY, manifest, tmp_path)
    assert foreign.read_bytes() == b"of a file manager"
    assert len(list(foreign.parent.glob("step-*"))) == 1


class Killed(BaseException):
    """Stands for a kill between two operations on files."""


@pytest.mark.parametrize("n_before", range(8))
def test_a_kill_between_any_two_writes_leaves_a_valid_checkpoint(
    n_before: int, manifest: Manifest, finished: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    left = [n_before]

    def counted(operation: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            if stores == 2:  # within the second checkpoint
                if left[0] == 0:
                    raise Killed
                left[0] -= 1
            return operation(*arguments, **named)

        return run

    stores = 0
    store = checkpoint.store

    def counting(*arguments: Any) -> None:
        nonlocal stores
        stores += 1
        store(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "store", counting)
        for module, name in ((os, "fsync"), (os, "rename"), (shutil, "rmtree")):
            patched.setattr(module, name, counted(getattr(module, name)))
        if n_before < 7:
            with pytest.raises(Killed):
                train(TINY, manifest, tmp_path / "run")
        else:
            train(TINY, manifest, tmp_path / "run")  # there are no more than seven operations
    train(TINY, manifest, tmp_path / "run")
    assert_identical(finished, tmp_path / "run")


def test_dev_is_never_transformed(
    manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checking = False
    calls: list[bool] = []
    inner = dev_clips.dev_scores

    def dev_scores(*arguments: Any) -> Any:
        nonlocal checking
        checking = True
        scores = inner(*arguments)
        checking = False
        return scores

    def spy(wave: Any, rng: Any) -> Any:
        calls.append(checking)
        return wave

    monkeypatch.setattr(training, "dev_scores", dev_scores)
    monkeypatch.setattr(dev_clips, "dev_scores", dev_scores)
    monkeypatch.setitem(augment.AUGMENTS, "polarity", spy)
    train(replace(TINY, augment=Augment((Step("polarity", 1.0),))), manifest, tmp_path / "run")
    assert len(calls) == 12 * 4
    assert not any(calls)


def test_the_best_step_on_dev_is_what_is_saved(
    manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = iter([(0.3, 0.9), (0.1, 0.5), (0.1, 0.4), (0.1, 0.4), (0.2, 0.1)])
    kept: list[dict[str, torch.Tensor]] = []

    def check(model: nn.Module, *rest: Any) -> Checked:
        kept.append(checkpoint.weights_of(model))
        return Checked(*next(checks))

    monkeypatch.setattr(training, "check", check)
    budget = Budget(n_steps=10, eval_every=2)
    bundle_folder = train(replace(TINY, budget=budget), manifest, tmp_path / "run")
    assert bundle.load(bundle_folder).card.provenance.notes["best_step"] == 6
    saved = weights(tmp_path / "run")
    assert all(torch.equal(saved[name], value) for name, value in kept[2].items())
    assert not all(torch.equal(saved[name], value) for name, value in kept[1].items())


def test_calibration_and_thresholds_come_from_dev_alone(manifest: Manifest, finished: Path) -> None:
    import pyarrow.parquet as pq

    table = pq.read_table(finished / "bundle" / "dev_scores.parquet")
    assert table["id"].to_pylist() == manifest.part("dev").column("id").tolist()
    bonafide = table["bonafide"].to_numpy()
    raw, score = table["raw"].to_numpy(), table["score"].to_numpy()
    card = bundle.load(finished / "bundle").card
    np.testing.assert_array_equal(score, card.calibration(raw))
    assert card.provenance.notes["dev_eer"] == eer(raw[bonafide], raw[~bonafide])
    cllr_of_scores = cllr(score[bonafide], score[~bonafide])
    assert card.provenance.notes["dev_cllr"] == pytest.approx(cllr_of_scores, rel=1e-12)
    assert cllr_of_scores < cllr(raw[bonafide], raw[~bonafide])
    assert (score[bonafide] < card.operating_points.false_alarm_1pct).sum() == 0


def test_bundle_says_what_it_was_trained_on(manifest: Manifest, finished: Path) -> None:
    trained_bundle = bundle.load(finished / "bundle")
    provenance = trained_bundle.card.provenance
    assert provenance.recipe == "tiny"
    assert provenance.settings["schedule"] == {"kind": "Constant", "rate": 0.01}
    assert provenance.seed == 5
    assert provenance.manifests["train"] == manifest.part("train").sha256()
    assert provenance.families == {"diphone": 6, "formant": 6}
    assert provenance.systems == sorted(set(manifest.column("attack")) - {"-"})
    (clips, dev) = provenance.material
    assert (clips.part, clips.corpus, clips.licence) == ("train", "hum", "CC0")
    assert (clips.n_bonafide, clips.n_spoof) == (6, 12)
    assert (dev.part, dev.n_bonafide, dev.n_spoof) == ("dev", 4, 8)
    assert clips.hours == pytest.approx(3 * (5 * 0.6 + 0.36) / 3600, abs=1e-4)
    assert "diphone, formant" in trained_bundle.card.limits[0]
    assert trained_bundle.has_seen([clip.sha256 for clip in manifest]).all()
    assert not trained_bundle.has_seen(["another clip"]).any()


def test_systems_of_an_earlier_detector_are_its_own_and_unknown_ones_are_not_guessed(
    manifest: Manifest, finished: Path
) -> None:
    card = bundle.load(finished / "bundle").card
    clips, dev = manifest.part("train"), manifest.part("dev")

    def systems(earlier: list[str]) -> list[str]:
        provenance = card.provenance.model_copy(update={"systems": earlier})
        before = {"encoder": card.model_copy(update={"provenance": provenance})}
        scores = np.where(dev.bonafide(), 1.0, -1.0) + np.arange(len(dev)) / 10
        best = checkpoint.Best(step=1, eer=0.0, cllr=0.0, spec=SMALL["toy"], weights={})
        new = card_of(TINY, clips, dev, scores, best, seconds=1.0, before=before)
        return new.provenance.systems

    assert systems(["vocos"]) == sorted({*card.provenance.systems, "vocos"})
    assert systems([]) == []


def test_log_has_each_step_once(finished: Path) -> None:
    lines = [json.loads(line) for line in (finished / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 6, 8, 10, 12]
    assert all(line["loss"] == line["cross_entropy"] for line in lines)
    assert ["dev_eer" in line for line in lines] == [False, True] * 3


def test_finished_run_is_left_as_it_is(manifest: Manifest, finished: Path) -> None:
    before = (finished / "bundle" / "bundle.json").read_bytes()
    lines: list[str] = []
    assert train(TINY, manifest, finished, say=lines.append) == finished / "bundle"
    assert (finished / "bundle" / "bundle.json").read_bytes() == before
    assert lines[0].endswith("this run is finished")


def test_another_recipe_or_other_data_cannot_resume(
    manifest: Manifest, finished: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    train(TINY, manifest, run)
    with pytest.raises(TrainingError, match=r"recipe.seed was 5, is 6.*give another --out"):
        train(replace(TINY, seed=6), manifest, run)
    fewer = manifest.where(manifest.column("id") != "train-saw-3")
    with pytest.raises(TrainingError, match=r"manifests.train.*start over with --start-over"):
        train(TINY, fewer, run)
    train(replace(TINY, seed=6), manifest, run, resume=False)
    train(TINY, manifest, run, resume=False)
    assert_identical(run, finished)


@pytest.mark.parametrize("column", ["sha256", "source_clip", "speaker"])
def test_parts_that_share_material_are_refused(
    column: str, manifest: Manifest, tmp_path: Path
) -> None:
    shared = {"train-human-1", "dev-human-1"}
    change: dict[str, Any] = {column: "same"}
    clips = [replace(c, **change) if c.id in shared else c for c in manifest]
    with pytest.raises(TrainingError, match=f"share 1 values of '{column}'.*split the manifest"):
        train(TINY, Manifest.of(clips, manifest.root), tmp_path / "run")


def test_a_copy_of_a_dev_recording_is_refused_in_training(
    manifest: Manifest, tmp_path: Path
) -> None:
    clips = [
        replace(c, source_clip="dev-human-1") if c.id == "train-saw-1" else c for c in manifest
    ]
    with pytest.raises(TrainingError, match=r"'dev-human-1'.*split the manifest again"):
        train(TINY, Manifest.of(clips, manifest.root), tmp_path / "run")


def test_a_corpus_whose_own_split_shares_speakers_can_be_named(
    manifest: Manifest, tmp_path: Path
) -> None:
    shared = {"train-human-1", "dev-human-1"}
    clips = [replace(c, speaker="same") if c.id in shared else c for c in manifest]
    train(
        replace(TINY, may_share=("speaker",)), Manifest.of(clips, manifest.root), tmp_path / "run"
    )
    with pytest.raises(RecipeError, match=r"may_share names 'sha256'; known: source_clip, speaker"):
        replace(TINY, may_share=("sha256",))


@pytest.mark.parametrize("field", ["train_parts", "dev_parts"])
@pytest.mark.parametrize("part", ["eval_in", "test", "for-norm/testing", "development-eval"])
def test_evaluation_parts_are_never_trained_or_tuned_on(
    field: str, part: str, manifest: Manifest, tmp_path: Path
) -> None:
    change: dict[str, Any] = {field: (part,)}
    with pytest.raises(TrainingError, match="is for evaluation; set train_parts and dev_parts"):
        train(replace(TINY, **change), manifest, tmp_path / "run")


def test_a_part_of_one_class_is_refused(manifest: Manifest, tmp_path: Path) -> None:
    humans = manifest.where(
        manifest.column("bonafide").astype(bool) | (manifest.column("part") == "train")
    )
    with pytest.raises(TrainingError, match=r"4 bona fide and 0 spoofed.*build or import"):
        train(TINY, humans, tmp_path / "run")


@dataclass(frozen=True)
class Breaking:
    """Cross-entropy that is not a number once the score is large."""

    def __call__(self, outputs: Outputs, batch: Any) -> Terms:
        loss = WeightedCrossEntropy()(outputs, batch)["cross_entropy"]
        return {"cross_entropy": loss * float("nan")}


def test_loss_that_is_not_finite_ends_the_run_with_advice(
    manifest: Manifest, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=r"step 1 is not finite.*lower schedule.rate"):
        train(replace(TINY, objective=Breaking()), manifest, tmp_path / "run")
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_check_on_few_dev_clips_takes_both_classes_and_all_attacks(manifest: Manifest) -> None:
    dev = manifest.part("dev")
    few = spread(dev, 4)
    assert sorted(few.column("attack")) == ["-", "-", "buzz", "saw"]
    assert len(spread(dev, 0)) == len(spread(dev, 100)) == len(dev)


def test_a_clip_without_a_hash_is_known_by_its_id(manifest: Manifest) -> None:
    from unheard.training.provenance import seen_keys

    clips = [Clip(id="a", path="a", bonafide=True, part="train", sha256="ff")]
    clips.append(Clip(id="b", path="b", bonafide=True, part="train"))
    assert seen_keys(Manifest.of(clips, manifest.root)) == ["ff", "b"]


def test_best_step_can_be_that_of_the_lowest_mean_over_systems(
    manifest: Manifest, tmp_path: Path
) -> None:
    recipe = replace(TINY, budget=replace(TINY.budget, choose_by="systems"))
    train(recipe, manifest, tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    checks = [line for line in lines if "dev_systems" in line]
    assert len(checks) == 3
    best = min(checks, key=lambda line: (line["dev_systems"], line["dev_cllr"]))
    card = bundle.read_card(tmp_path / "run" / "bundle")
    assert card.provenance.notes["best_step"] == best["step"]
    assert card.provenance.notes["checked_eer"] == best["dev_systems"]


def test_systems_that_are_trained_on_count_only_where_there_are_no_others() -> None:
    def clips(part: str, attacks: list[str]) -> Manifest:
        return Manifest.of(
            [
                Clip(id=f"{part}{i}", path="x", bonafide=attack == "-", part=part, attack=attack)
                for i, attack in enumerate(attacks)
            ],
            Path(),
        )

    trained = clips("train", ["-", "kokoro-af_heart"])
    dev = clips("dev", ["-"] * 4 + ["kokoro"] * 4 + ["new"] * 4 + ["rare"] * 3)
    groups = systems(dev, trained)
    assert list(groups) == ["new"]
    assert int(groups["new"].sum()) == 4
    assert list(systems(dev.where(dev.column("attack") != "new"), trained)) == ["kokoro"]
    with pytest.raises(TrainingError, match="no attack of dev has 4 clips"):
        systems(clips("dev", ["-", "rare"]), trained)


def test_encoder_waits_for_the_back_end(manifest: Manifest, tmp_path: Path) -> None:
    recipe = replace(
        TINY,
        detector=SMALL["ssl_pooled"],
        optimiser=Adam(encoder_waits=0.5),
        budget=Budget(n_steps=2, eval_every=1),
    )
    changed = []
    for n_steps in (1, 2):  # the second half of the first is none
        run = tmp_path / str(n_steps)
        train(replace(recipe, budget=Budget(n_steps=n_steps, eval_every=1)), manifest, run)
        torch.manual_seed(recipe.seed)
        before = SMALL["ssl_pooled"].build().state_dict()
        after = load_file(sorted(run.glob("checkpoints/step-*"))[-1] / "model.safetensors")
        changed.append(
            {
                part
                for name, value in after.items()
                if not torch.equal(value, before[name])
                for part in ["encoder" if name.startswith("encoder.") else "back-end"]
            }
        )
    assert changed == [{"back-end"}, {"encoder", "back-end"}]
