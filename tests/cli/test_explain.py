"""Does `unheard score --explain` say what a mixture's experts said, and only of a mixture?"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from audio_files import wav
from cli_run import Run
from unheard.detectors import bundle, weights
from unheard.detectors.mixture import Mixture
from unheard.detectors.resnet18 import ResNet18
from unheard.detectors.toy import Toy
from unheard.scoring.scorer import Scorer
from voice import silence, voice

Unheard = Callable[..., Run]

EXPERTS = (Toy(), ResNet18(n_hop=400, n_mels=16, width=2, embedding=4))


@pytest.fixture(scope="module")
def mixtures(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A mixture for each blend."""
    folder, card = tmp_path_factory.mktemp("mixtures"), bundle.read_card(toy)
    detectors = {}
    for blend in ("logits", "probabilities"):
        torch.manual_seed(0)
        spec = Mixture(experts=EXPERTS, blend=blend)
        detectors[blend] = weights.save(folder / blend, spec.build(), spec, card, seen=[])
    return detectors


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.wav"
    path.write_bytes(wav(voice(2.2)[None]))
    return path


def test_people_read_a_line_for_each_expert(
    unheard: Unheard, mixtures: dict[str, Path], good: Path, tmp_path: Path
) -> None:
    picture = tmp_path / "good.png"
    run = unheard("score", good, "--detector", mixtures["logits"], "--explain", picture)
    assert run.code == 0, run.err
    head, toy, resnet, *_ = run.out.splitlines()
    verdict = Scorer(bundle.load(mixtures["logits"])).file(good)
    assert f"score {verdict.score:+6.2f}" in head
    for line, expert in zip((toy, resnet), verdict.experts, strict=True):
        assert line.split()[:3] == ["score", f"{expert.score:+.2f}", "weight"]
        assert line.endswith(f"{100 * expert.weight:5.1f} %  expert {expert.name}")
    assert [expert.name for expert in verdict.experts] == ["toy", "resnet18_mel"]
    assert picture.is_file()


def test_without_explain_no_expert_is_printed(
    unheard: Unheard, mixtures: dict[str, Path], good: Path
) -> None:
    run = unheard("score", good, "--detector", mixtures["logits"])
    assert "weight" not in run.out


def test_only_blended_logits_add_up_to_the_score(
    unheard: Unheard, mixtures: dict[str, Path], good: Path
) -> None:
    gaps = {}
    for blend, folder in mixtures.items():
        row = json.loads(unheard("score", good, "--detector", folder, "--json").out)
        for part in (row, *row["windows"]):
            assert sum(expert["weight"] for expert in part["experts"]) == pytest.approx(1, abs=1e-6)
        total = sum(expert["weight"] * expert["score"] for expert in row["experts"])
        gaps[blend] = abs(total - row["score"])
    assert gaps["logits"] < 1e-5
    assert gaps["probabilities"] > 0.01


def test_many_files_are_drawn_into_a_folder(
    unheard: Unheard, mixtures: dict[str, Path], good: Path, tmp_path: Path
) -> None:
    (tmp_path / "silent.wav").write_bytes(wav(silence(1)[None]))
    pictures = tmp_path / "pictures"
    run = unheard("score", tmp_path, "--detector", mixtures["logits"], "--explain", pictures)
    assert sorted(path.name for path in pictures.iterdir()) == ["good.png", "silent.png"]
    assert run.out.count("expert ") == 2
    assert run.code == 1


def test_one_detector_alone_cannot_be_explained(
    unheard: Unheard, toy: Path, good: Path, tmp_path: Path
) -> None:
    run = unheard("score", good, "--detector", toy, "--explain", tmp_path / "a.png")
    assert run.code == 2
    assert f"{toy}: one detector, not a mixture" in run.text
    assert "draw its verdict with --timeline" in run.text
    assert "train a mixture, as by the recipe attention_mixture_small" in run.text
    assert run.out == ""


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        (["--timeline", "b.png", "--explain", "a.png"], "give one of --timeline"),
        (["--explain", "a.png"], "folder"),
    ],
    ids=["two pictures", "two files"],
)
def test_a_picture_that_cannot_be_is_refused(
    unheard: Unheard, mixtures: dict[str, Path], good: Path, options: list[str], remedy: str
) -> None:
    other = good.with_name("other.wav")
    other.write_bytes(good.read_bytes())
    run = unheard("score", good, other, "--detector", mixtures["logits"], *options)
    assert run.code == 2
    assert remedy in run.text
    assert run.out == ""
