"""Published detectors: only pinned files are run, apart and without a network."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import published_program as program
from unheard import audio
from unheard.data.clip import Manifest
from unheard.data.protocols import protocol
from unheard.detectors.layers.weight_files import tensors_of
from unheard.errors import BundleError, EvaluationError
from unheard.evaluation import authors, published
from unheard.evaluation.evaluate import Options
from unheard.evaluation.published import Authors, evaluate_published
from unheard.evaluation.scores import read_facts, read_scores
from unheard.scoring.many import Task
from unheard.workers import in_processes

QUICK = Options(date="2026-11-30", n_draws=20)


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authors:
    monkeypatch.setattr(published, "_score_apart", program.score)
    monkeypatch.setattr(published, "_noise_scores", program.noise_scores)
    return Authors("pretender", program.write(tmp_path / "theirs"))


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    rng = np.random.default_rng(0)
    clips = []
    for index in range(4):
        for bonafide in (True, False):
            name = f"{'human' if bonafide else 'machine'}-{index}"
            wave = 0.1 * np.clip(rng.standard_normal(16_000), -3, 3)
            smooth = np.convolve(wave, np.ones(20) / 20, "same")
            audio.write(tmp_path / f"{name}.wav", (wave if bonafide else smooth).astype("f"))
            clips.append(program.clip(name, bonafide=bonafide))
    return Manifest.of(clips, tmp_path)


def test_scores_are_the_authors_and_go_the_road_of_any_score_file(
    theirs: Authors, manifest: Manifest, tmp_path: Path
) -> None:
    out = tmp_path / "report"
    result = evaluate_published(theirs, [manifest], protocol("eval"), out, options=QUICK)
    assert result.pooled("eval").metrics["eer"].value == 0
    table, facts = read_scores(out / "scores.parquet"), read_facts(out / "scores.parquet")
    scores = dict(
        zip(table.column("id").to_pylist(), table.column("score").to_pylist(), strict=True)
    )
    wave = audio.read(tmp_path / "human-0.wav").samples
    repeated = np.tile(wave, 5)[:64_600]
    assert scores["human-0"] == pytest.approx(2 * np.abs(np.diff(repeated)).mean(), rel=1e-5)
    assert not facts.calibrated
    assert facts.name == "Pretender"
    assert "someone/pretender@0123456" in facts.notes[0]
    assert not list((theirs.folder / "net").glob("__pycache__"))
    said: list[str] = []
    evaluate_published(theirs, [manifest], protocol("eval"), out, say=said.append, options=QUICK)
    assert "is complete" in said[0]


def test_a_file_that_is_not_the_pinned_one_is_not_run(
    theirs: Authors, manifest: Manifest, tmp_path: Path
) -> None:
    code = theirs.folder / "net/model.py"
    code.write_text("raise AssertionError('this was run')\n")
    with pytest.raises(EvaluationError, match=r"sha256 .{12}, .{12} wanted, so it is not run"):
        evaluate_published(theirs, [manifest], protocol("eval"), tmp_path / "r", options=QUICK)
    code.unlink()
    with pytest.raises(EvaluationError, match=r"git clone .*someone/pretender FOLDER && git -C"):
        evaluate_published(theirs, [manifest], protocol("eval"), tmp_path / "r", options=QUICK)


def test_a_crash_and_a_wish_for_the_network_cost_one_clip_each(
    theirs: Authors, tmp_path: Path
) -> None:
    (theirs.folder / "net/torch.py").write_text("raise AssertionError('this was imported')\n")
    tasks = []
    for name, peak in {"loud": 0.95, "silent": 0.001, "plain": 0.5}.items():
        audio.write(tmp_path / f"{name}.wav", np.linspace(-peak, peak, 16_000, dtype="f"))
        tasks.append(Task(name, tmp_path / f"{name}.wav"))
    rows = {row["source"]: row for row in published._score_all(theirs, 1, tasks)}
    assert "the process that worked on it died" in rows["loud"]["error"]
    assert "has no network" in rows["silent"]["error"]
    assert rows["plain"]["score"] > 0


def test_clips_that_it_was_trained_on_are_refused(theirs: Authors, tmp_path: Path) -> None:
    clips = [
        program.clip(name, bonafide=name == "a", part="dev", corpus="asvspoof2019_la")
        for name in "ab"
    ]
    seen = Manifest.of(clips, tmp_path)
    with pytest.raises(EvaluationError, match="trained or chosen on 2 of these clips"):
        evaluate_published(theirs, [seen], protocol("part:dev"), tmp_path / "r", options=QUICK)


def test_code_that_does_not_run_here_is_an_error_that_says_so(
    theirs: Authors, tmp_path: Path
) -> None:
    wrong = tmp_path / "other.pth"
    torch.save({"loss": torch.zeros(1)}, wrong)
    ((_, error),) = in_processes(partial(program.noise_scores, theirs), [wrong], 1)
    assert isinstance(error, EvaluationError)
    assert "does not run with these weights" in str(error)


def test_every_row_has_its_weights_among_its_files_and_says_how_to_get_them() -> None:
    for name, row in authors.PUBLISHED.items():
        assert row.weights in row.files, name
        assert all(len(sha256) == 64 for sha256 in row.files.values())
        assert row.how_to_get.startswith("git clone")
    with pytest.raises(EvaluationError, match="did you mean 'aasist_l'"):
        authors.published("aasist-l")


def test_a_whole_module_is_not_opened(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "whole.pt")
    with pytest.raises(
        BundleError, match=r"perhaps a whole module.*torch\.save\(model\.state_dict"
    ):
        tensors_of(tmp_path / "whole.pt")
    torch.save({"epoch": 3, "state_dict": {"module.a": torch.ones(1)}}, tmp_path / "inside.pt")
    assert list(tensors_of(tmp_path / "inside.pt")) == ["a"]
    torch.save({"epoch": 3}, tmp_path / "none.pt")
    with pytest.raises(BundleError, match="no tensors by name"):
        tensors_of(tmp_path / "none.pt")
    with pytest.raises(BundleError, match="check the path"):
        tensors_of(tmp_path / "absent.pt")
