"""`unheard evaluate` on anyone's scores, `unheard scores`, `unheard corpus hold-out`."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cli_run import Run
from unheard.data.clip import Clip, Manifest
from unheard.evaluation.scores import read_facts, read_scores
from unheard.metrics import eer

Unheard = Callable[..., Run]


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Scores, keys and dev scores as ASVspoof 2021 and 2019 write them, in the working folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("calibration", "det", "histogram"):
        monkeypatch.setattr(f"unheard.evaluation.pictures.{name}", lambda *_: b"picture")
    rng = np.random.default_rng(3)
    files: dict[str, list[str]] = {"eval.txt": [], "keys.txt": [], "dev.txt": [], "other.txt": []}
    for index in range(120):
        human = index % 3 == 0
        codec, attack = ("none", "alaw")[index % 2], f"A{7 + index % 4:02d}"
        key = "bonafide" if human else "spoof"
        score, dev = rng.normal(3 if human else 0, 1.5, 2)
        files["eval.txt"].append(f"E_{index} {score}")
        files["other.txt"].append(f"E_{index} {-score + rng.normal(0, 1)}")
        files["keys.txt"].append(
            f"S{index % 5} E_{index} {codec} - {'bonafide' if human else attack} {key} notrim eval"
        )
        files["dev.txt"].append(f"D_{index} {'-' if human else attack} {key} {dev}")
    for name, lines in files.items():
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    (tmp_path / "asv.txt").write_text("x target 2\nx target 3\nx nontarget 0\nA07 spoof 2.5\n")
    return tmp_path


def test_published_scores_are_evaluated_with_everything(unheard: Unheard, published: Path) -> None:
    run = unheard(
        *("evaluate", "--scores", "eval.txt", "--keys", "keys.txt", "--out", "report"),
        *("--official", "--asv-scores", "asv.txt", "--by", "attack,codec", "--by", "codec"),
        *("--calibrate-on", "dev.txt", "--where", "part=eval", "--draws", "20"),
    )
    assert run.code == 0, run.err
    assert run.out.split()[:3] == ["eval", "all", "EER"]
    assert "note: scores are log-likelihood ratios by a logistic calibration" in run.err
    numbers = json.loads((published / "report" / "metrics.json").read_text())
    assert {"eer_official", "min_tdcf", "min_tdcf_legacy"} <= set(numbers["rows"][0]["metrics"])
    assert [grid["by"] for grid in numbers["grids"]] == [["attack", "codec"], ["codec"]]
    table = read_scores(published / "report" / "scores.parquet")
    human = table.column("bonafide").to_numpy(zero_copy_only=False)
    scores = table.column("score").to_numpy()
    assert numbers["rows"][0]["metrics"]["eer"]["value"] == eer(scores[human], scores[~human])
    facts = read_facts(published / "report" / "scores.parquet")
    assert facts.source.startswith("eval.txt (asvspoof2021), sha256 ")


def test_two_systems_are_set_against_each_other(unheard: Unheard, published: Path) -> None:
    given = ("--keys", "keys.txt", "--draws", "20")
    assert unheard("evaluate", "--scores", "other.txt", *given, "--higher-is", "spoof",
                   "--out", "turned").code == 0  # fmt: skip
    run = unheard("evaluate", "--scores", "eval.txt", *given, "--out", "report", "--against",
                  "turned/scores.parquet")  # fmt: skip
    assert run.code == 0, run.err
    assert "against other.txt" in run.out
    assert "p 0." in run.out or "p 1" in run.out
    pairs = json.loads((published / "report" / "comparison.json").read_text())["pairs"]
    assert [(pair["first"], pair["metric"]) for pair in pairs] == [
        ("eval.txt", "eer"),
        ("eval.txt", "min_dcf"),
    ]


def test_scores_that_point_the_other_way_are_called_so(unheard: Unheard, published: Path) -> None:
    run = unheard("evaluate", "--scores", "other.txt", "--keys", "keys.txt", "--out", "report",
                  "--draws", "50")  # fmt: skip
    assert run.code == 0
    assert "caution: eval has an EER of" in run.err
    assert "evaluate again with --higher-is spoof" in run.err


def test_scores_are_converted(unheard: Unheard, published: Path) -> None:
    run = unheard("scores", "convert", "eval.txt", "out.tsv", "--to", "asvspoof5")
    assert (run.code, run.out) == (0, "out.tsv\n")
    lines = (published / "out.tsv").read_text().splitlines()
    assert lines[0] == "filename\tcm-score"
    assert len(lines) == 121
    back = unheard("scores", "convert", "out.tsv", "b.txt", "--to", "asvspoof2019", "--keys",
                   "keys.txt")  # fmt: skip
    assert back.code == 0, back.err
    assert (published / "b.txt").read_text().split()[1:3] == ["-", "bonafide"]


@pytest.mark.parametrize(
    ("arguments", "code", "remedy"),
    [
        (["--scores", "eval.txt"], 1, "give the keys of its trials with --keys"),
        (["--scores", "eval.txt", "--keys", "none"], 1, "no such key file"),
        (["--scores", "eval.txt", "--keys", "dev.txt"], 1, "give a key file"),
        (["--scores", "none.txt"], 1, "no such score file"),
        (["--scores", "eval.txt", "--data", "x"], 2, "go with a detector"),
        (["--scores", "eval.txt", "bundle"], 2, "give one of these: a DETECTOR with"),
        (["bundle", "--data", "x", "--keys", "keys.txt"], 2, "go with --scores"),
        (["--scores", "dev.txt", "--where", "part"], 2, "write it as COLUMN=VALUE"),
        (["--scores", "dev.txt", "--by", "codex"], 2, "did you mean 'codec'?"),
        (["--scores", "dev.txt", "--asv-rates", "x"], 2, "known: asvspoof5"),
        (
            ["--scores", "dev.txt", "--asv-rates", "asvspoof5", "--asv-scores", "asv.txt"],
            2,
            "not both",
        ),
        (["--scores", "dev.txt", "--calibrate-on", "dev.txt"], 1, "also under test"),
        (["--scores", "dev.txt", "--protocol", "raclette"], 2, "did you mean 'racl'?"),
        (["--scores", "dev.txt", "--against", "eval.txt"], 1, "--keys"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
@pytest.mark.usefixtures("published")
def test_mistakes_are_told_with_their_remedy(
    unheard: Unheard, arguments: list[str], code: int, remedy: str
) -> None:
    run = unheard("evaluate", *arguments, "--out", "y", "--draws", "5")
    assert run.code == code, run.err
    assert remedy in run.text
    assert "Traceback" not in run.err


def test_missing_corpora_of_a_paper_are_told_with_how_to_import_them(
    unheard: Unheard, toy: Path, tmp_path: Path
) -> None:
    clip = Clip(id="in_the_wild/1", path="1.wav", bonafide=True, part="all", corpus="in_the_wild")
    data = Manifest.of([clip], tmp_path).write(tmp_path / "m.parquet")
    run = unheard("evaluate", toy, "--data", data, "--protocol", "mldg_lora", "--out", "y")
    assert run.code == 1
    assert "lacks asvspoof2019_la part eval" in run.text
    assert "unheard corpus import fakeavceleb FOLDER --out fakeavceleb.parquet" in run.text
    assert "in_the_wild FOLDER" not in run.text
    assert "--allow-missing-sets" in run.text


def test_each_family_is_held_out_in_turn(unheard: Unheard, tmp_path: Path) -> None:
    clips = []
    for part in ("train", "dev", "eval"):
        for index, attack in enumerate(("-", "-", "A1", "B1")):
            clips.append(
                Clip(
                    id=f"{part}{index}",
                    path=f"audio/{part}{index}.wav",
                    bonafide=attack == "-",
                    part=part,
                    attack=attack,
                    family={"-": "-", "A1": "neural TTS", "B1": "formant"}[attack],
                    speaker=f"{part}{index}",
                )
            )
    data = Manifest.of(clips, tmp_path).write(tmp_path / "m.parquet")
    run = unheard("corpus", "hold-out", data, "--out", tmp_path / "held")
    assert run.code == 0, run.err
    assert [Path(line.split()[0]).name for line in run.out.splitlines()] == [
        "formant.parquet",
        "neural-TTS.parquet",
    ]
    left = Manifest.read(tmp_path / "held" / "neural-TTS.parquet")
    assert {clip.family for clip in left if clip.part == "train"} == {"-", "formant"}
    assert left.file(left[0]).resolve() == (tmp_path / left[0].path[3:]).resolve()
    run = unheard("corpus", "join", data, tmp_path / "held", "--out", tmp_path / "joined.parquet")
    assert run.code == 1  # a folder of manifests is none
    run = unheard("corpus", "join", data, data, "--out", tmp_path / "joined.parquet")
    assert run.code == 0, run.err
    assert Manifest.read(tmp_path / "joined.parquet").sha256() == Manifest.read(data).sha256()
    scores = tmp_path / "one.parquet"
    run = unheard("corpus", "hold-out", data, "--value", "formant", "--out", scores)
    assert run.code == 0, run.err
    assert {clip.family for clip in Manifest.read(scores) if clip.part == "eval_out"} == {
        "-",
        "formant",
    }


def test_evaluating_scores_loads_no_torch(published: Path) -> None:
    code = (
        "import sys\nfrom unheard.cli.app import main\n"
        "from unheard.evaluation import pictures\n"
        "pictures.det = pictures.histogram = pictures.calibration = lambda *_: b''\n"
        "try:\n    main(['evaluate', '--scores', 'dev.txt', '--out', 'r', '--draws', '5'])\n"
        "except SystemExit as left:\n    assert not left.code\n"
        "assert 'torch' not in sys.modules\nassert 'av' not in sys.modules\n"
    )
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, check=False, capture_output=True, text=True, cwd=published)
    assert run.returncode == 0, run.stderr


def test_scores_in_columns_of_any_name_are_fused(unheard: Unheard, published: Path) -> None:
    rng = np.random.default_rng(4)
    for name in ("a", "b"):
        for part in ("eval", "dev"):
            lines = ["clip;llr;kind"]
            for index in range(60):
                human = index % 2 == 0
                score = f"{rng.normal(0 if human else 3):.3f}".replace(".", ",")
                lines.append(f"{part}_{index};{score};{'person' if human else 'machine'}")
            (published / f"{name}_{part}.csv").write_text("\n".join(lines) + "\n")
    named = ["--id-column", "clip", "--score-column", "llr", "--label-column", "kind"]
    named += ["--bonafide-label", "person", "--higher-is", "spoof"]
    dev = ("--how", "logistic", "--dev", "a_dev.csv", "--dev", "b_dev.csv")
    run = unheard("scores", "fuse", "a_eval.csv", "b_eval.csv", "--out", "f.parquet", *named, *dev)
    assert run.code == 0, run.err
    table = read_scores(published / "f.parquet")
    human = table.column("bonafide").to_numpy(zero_copy_only=False)
    scores = table.column("score").to_numpy()
    assert human.sum() == 30
    assert eer(scores[human], scores[~human]) < 0.2
    run = unheard("scores", "fuse", "a_eval.csv", "b_eval.csv", "--out", "g.parquet")
    assert run.code == 1
    assert "a_eval.csv: does not say which clips are bona fide" in run.err
