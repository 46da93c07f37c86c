"""`unheard evaluate --conditions`, `--sample`, and `unheard scores fuse`, as a user types them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cli_run import Run
from unheard import audio
from unheard.data.clip import Clip, Manifest
from unheard.evaluation.scores import read_facts, read_scores
from voice import voice

Unheard = Callable[..., Run]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("calibration", "conditions", "det", "histogram"):
        monkeypatch.setattr(f"unheard.evaluation.pictures.{name}", lambda *_: b"picture")
    clips = []
    for index in range(8):
        human = index % 2 == 0
        attack: dict[str, Any] = {} if human else {"attack": "a", "family": "formant"}
        clips.append(
            Clip(id=f"{index}", path=f"{index}.flac", bonafide=human, part="eval", **attack)
        )
        wave = voice(1.2, seed=index)
        audio.write(tmp_path / clips[-1].path, wave if human else np.tanh(5 * wave) / 3)
    return Manifest.of(clips, tmp_path).write(tmp_path / "m.parquet")


def test_a_detector_is_tested_under_conditions_and_set_against_another(
    unheard: Unheard, toy: Path, data: Path
) -> None:
    given = ("--data", data, "--protocol", "eval", "--draws", "20")
    first = unheard("evaluate", toy, *given, "--conditions", "mp3_16,speed", "--out", "one")
    assert first.code == 0, first.err
    assert first.out.count(" to raw, p ") == 3
    assert "eval                     under mp3_16" in first.out
    second = unheard(
        *("evaluate", toy, *given, "--conditions", "speed,mp3_16", "--out", "two"),
        *("--against", "one/scores.parquet"),
    )
    assert second.code == 0, second.err
    assert "eval under speed_1.1     against toy 1" in second.out
    pairs = json.loads(Path("two/comparison.json").read_text())["pairs"]
    assert len(pairs) == 2 * 4
    assert {pair["difference"] for pair in pairs} == {0.0}
    again = unheard("evaluate", "--scores", "one/scores.parquet", "--by", "condition", "--draws",
                    "20", "--out", "three")  # fmt: skip
    assert again.code == 0, again.err
    result = json.loads(Path("three/metrics.json").read_text())
    assert result["grids"][0]["rows"] == ["mp3_16", "raw", "speed_0.9", "speed_1.1", "pooled"]
    assert result["conditions"] == json.loads(Path("one/metrics.json").read_text())["conditions"]
    alone = unheard("evaluate", "--scores", "one/scores.parquet", "--where", "condition=mp3_16",
                    "--draws", "20", "--out", "four")  # fmt: skip
    assert alone.code == 0, alone.err
    result = json.loads(Path("four/metrics.json").read_text())
    assert (result["conditions"], result["rows"][0]["n_spoof"]) == ([], 4)


def test_a_sample_is_taken_and_told(unheard: Unheard, toy: Path, data: Path) -> None:
    run = unheard("evaluate", toy, "--data", data, "--protocol", "eval", "--draws", "20",
                  "--sample", "4", "--out", "some")  # fmt: skip
    assert run.code == 0, run.err
    assert "note: a sample of 4 of the 8 clips" in run.err
    assert read_scores(Path("some/scores.parquet")).num_rows == 4


def test_scores_are_fused_and_reported(unheard: Unheard, toy: Path, data: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("a", "b", "a_dev", "b_dev"):
        rows = [
            f"{name[1:]}{index},{rng.normal(2 * human)},{('spoof', 'bonafide')[human]}"
            for index, human in enumerate([0, 1] * 30)
        ]
        Path(f"{name}.csv").write_text("\n".join(["id,score,label", *rows]) + "\n")
    run = unheard("scores", "fuse", "a.csv", "b.csv", "--how", "logistic", "--dev", "a_dev.csv",
                  "--dev", "b_dev.csv", "--out", "f.parquet")  # fmt: skip
    assert run.code == 0, run.err
    weights = dict(line.split(maxsplit=1)[::-1] for line in run.out.splitlines())
    assert weights.keys() == {"a.csv", "b.csv", "offset"}
    stored = read_facts(Path("f.parquet")).fusion
    assert {name: f"{weight:+.4f}" for name, weight in stored.items()} == weights
    assert "note: scores are log-likelihood ratios by a logistic fusion" in run.err
    result = unheard("evaluate", "--scores", "f.parquet", "--out", "fused", "--draws", "20")
    assert result.code == 0, result.err
    mean = unheard("scores", "fuse", "a.csv", "b.csv", "--out", "mean.parquet")
    assert (mean.code, mean.out) == (0, "")
    assert "note: scores are the plain mean of a.csv, b.csv" in mean.err


@pytest.mark.parametrize(
    ("arguments", "code", "remedy"),
    [
        (["evaluate", "--scores", "x", "--conditions", "safe"], 2, "go with a detector"),
        (["evaluate", "--scores", "x", "--sample", "9"], 2, "go with a detector"),
        (["evaluate", "TOY", "--data", "m.parquet", "--sample", "9", "--into-card"], 2,
         "leave --sample out"),
        (["evaluate", "TOY", "--data", "m.parquet", "--conditions", "save"], 2,
         "did you mean 'safe'?"),
        (["scores", "fuse", "x.csv"], 2, "two or more"),
        (["scores", "fuse", "x.csv", "y.csv", "--how", "logistic"], 2, "one for each"),
        (["scores", "fuse", "x.csv", "y.csv"], 1, "no such score file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)  # fmt: skip
@pytest.mark.usefixtures("data")
def test_mistakes_are_told_with_their_remedy(
    unheard: Unheard, toy: Path, arguments: list[str], code: int, remedy: str
) -> None:
    given = [str(toy) if word == "TOY" else word for word in arguments]
    run = unheard(*given, "--out", "y")
    assert run.code == code, run.err
    assert remedy in run.text
    assert "Traceback" not in run.err
