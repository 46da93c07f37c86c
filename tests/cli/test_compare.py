"""`unheard compare` and `unheard inspect cost`: real detectors, commands as a user types them."""

import csv
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from cli_run import Run
from unheard import audio
from unheard.cli.app import main
from unheard.compare import lay_out, plans
from unheard.data.clip import Clip, Manifest
from unheard.evaluation.scores import read_scores
from unheard.metrics import eer
from voice import voice

Unheard = Callable[..., Run]

OWN = """
from unheard.compare.plan import Comparison, Entry

plan = Comparison(
    name="own",
    entries=(
        Entry("toy", "toy"),
        Entry("further", "toy_further"),
        Entry("broken", "toy", ("schedule.rate=1e30",)),
    ),
    baseline="toy",
    seeds=(1,),
    settings=("budget.n_steps=4", "budget.eval_every=2"),
)
"""


def clips(root: Path) -> Iterator[Clip]:
    """Voices in noise, machines in less of it; those of eval_out are of families of their own."""
    noise = {"-": 0.02, "saw": 0.005, "buzz": 0.003, "whir": 0.008, "drone": 0.012}
    parts = {
        "train": ("-", "saw", "buzz"),
        "dev": ("-", "saw", "buzz"),
        "eval_in": ("-", "saw", "buzz"),
        "eval_out": ("-", "whir", "drone"),
    }
    for part, families in parts.items():
        for family in families:
            for n in range(5):
                rng = np.random.default_rng((len(part), len(family), n))
                level = noise[family] * np.exp(0.5 * rng.normal())
                name = f"{part}-{family.strip('-') or 'human'}-{n}"
                wave = voice(1.2, seed=n, peak=0.4)
                hiss = level * rng.standard_normal(wave.size)
                audio.write(root / f"{name}.flac", (wave + hiss).astype(np.float32))
                yield Clip(
                    id=name,
                    path=f"{name}.flac",
                    bonafide=family == "-",
                    part=part,
                    attack=family,
                    family=family,
                    speaker=f"{part}{n}",
                    duration_s=1.2,
                    sha256=f"hash of {name}",
                )


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a corpus, a plan, and the runs of two of its three methods in out/."""
    folder = tmp_path_factory.mktemp("compared")
    Manifest.of(clips(folder / "corpus"), folder / "corpus").write(folder / "corpus/all.parquet")
    (folder / "own.py").write_text(OWN)
    plan = plans.load(str(folder / "own.py"))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("calibration", "det", "histogram"):
            patch.setattr(f"unheard.evaluation.pictures.{name}", lambda *_: b"picture")
        data = {"": folder / "corpus" / "all.parquet"}
        for job in lay_out(plan, data, folder / "out", only=("toy", "further")):
            for step in ("train", "evaluate", "cost"):
                assert step in job.steps_left()
                with pytest.raises(SystemExit) as left:
                    main(job.command(step))
                assert not left.value.code
            assert job.steps_left() == ()
    return folder


@pytest.fixture
def folder(compared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, as the working folder."""
    shutil.copytree(compared, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)  # runs know their manifest by its clips, not by its place
    return tmp_path


def test_a_failed_job_is_reported_and_the_rest_is_compared(unheard: Unheard, folder: Path) -> None:
    run = unheard(
        "compare", "own.py", "--data", "corpus/all.parquet", "--out", "out", "--draws", 20
    )
    assert run.code == 1
    assert "open seed 1 broken: train\n" in run.err
    assert re.search(r"failed: open seed 1 broken: train: error: .* is not finite", run.err)
    assert "see out/open/seed1/broken/log.txt" in run.err
    assert "toy: train" not in run.err
    assert sorted(line.split()[0] for line in run.out.splitlines()) == ["further", "toy"]
    report = (folder / "out/reports/own" / "report.md").read_text()
    assert "open seed 1 broken: failed (train: error: " in report
    assert "Made by: unheard" in report
    page = (folder / "out/reports/own" / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 2


def test_the_report_is_that_of_the_score_files(unheard: Unheard, folder: Path) -> None:
    shutil.rmtree(folder / "corpus")  # neither clips nor detectors are needed
    for weights in folder.rglob("weights.safetensors"):
        weights.unlink()
    run = unheard("compare", "own.py", "--out", "out", "--report", "--draws", 20)
    assert run.code == 0, run.err
    document = json.loads((folder / "out/reports/own" / "comparison.json").read_text())
    assert document["missing"] == ["open seed 1 broken: to do"]
    with (folder / "out/reports/own" / "table.csv").open() as file:
        cells = {(row["method"], row["number"]): row["value"] for row in csv.DictReader(file)}
    for line in document["lines"]:
        table = read_scores(folder / "out/open/seed1" / line["method"] / "eval/scores.parquet")
        part, family, human, score = (
            table.column(name).to_numpy(zero_copy_only=False)
            for name in ("part", "family", "bonafide", "score")
        )
        out = part == "eval_out"
        apart = [
            eer(score[out & human], score[out & (family == family_name)])
            for family_name in ("drone", "whir")
        ]
        wanted = {
            "in_eer": eer(score[~out & human], score[~out & ~human]),
            "out_eer": eer(score[out & human], score[out & ~human]),
            "out_mean": float(np.mean(apart)),
            "out_worst": max(apart),
        }
        for name, value in wanted.items():
            assert line["numbers"][name]["value"] == pytest.approx(value)
            assert float(cells[line["method"], name]) == line["numbers"][name]["value"]
        assert line["parameters"] == 19
    texts = {
        name: (folder / "out/reports/own" / name).read_bytes()
        for name in ("report.md", "table.csv")
    }
    unheard("compare", "own.py", "--out", "out", "--report", "--draws", 20)
    assert {name: (folder / "out/reports/own" / name).read_bytes() for name in texts} == texts


def test_a_dry_run_says_what_there_is_to_do(unheard: Unheard, folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    run = unheard("compare", "own.py", "--data", "corpus/all.parquet", "--out", "out", "--dry-run")
    assert run.out.splitlines()[:3] == [
        "done     open seed 1 toy",
        "done     open seed 1 further",
        "to do    open seed 1 broken",
    ]
    assert "1 of 3 jobs to do; 1 of unknown time, as no job of their entry is done yet" in run.out
    assert sorted(folder.rglob("*")) == before
    shutil.rmtree(folder / "out" / "open" / "seed1" / "toy" / "bundle")
    run = unheard("compare", "own.py", "--out", "out", "--dry-run", "--only", "further")
    assert run.out.splitlines()[0] == "begun    open seed 1 toy"


def test_what_is_missing_or_wrong_is_said(unheard: Unheard, folder: Path) -> None:
    run = unheard("compare", "own.py", "--out", "out")
    assert run.code == 2
    assert "give the manifest to train and test on with --data" in run.text
    run = unheard("compare", "own.py", "--data", "a", "--data", "b", "--out", "out")
    assert "there are two of that name; give one" in run.text
    run = unheard("compare", "own.py", "--out", "nothing", "--report")
    assert run.code == 1
    assert "run `unheard compare` without --report first" in run.err
    assert unheard("compare", "papirs", "--out", "out", "--report").code == 2
    run = unheard(
        "compare", "own.py", "--data", "corpus/all.parquet", "--out", "o", "--only", "toi"
    )
    assert "did you mean 'toy'" in run.err


def test_cost_of_a_detector(unheard: Unheard, folder: Path) -> None:
    bundle = folder / "out" / "open" / "seed1" / "toy" / "bundle"
    run = unheard("inspect", "cost", bundle)
    assert run.out.startswith("parameters        19, of which 19 trained\nbundle            0.0")
    run = unheard("inspect", "cost", bundle, "--json", "--out", "cost.json")
    assert json.loads(run.out) == json.loads((folder / "cost.json").read_text())
