"""Is what changes between two detectors reported for each recording?"""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from audio_files import wav
from cli_run import Run
from unheard.detectors import weights
from unheard.detectors.bundle import load
from unheard.detectors.toy import Toy
from unheard.metrics import Calibration
from unheard.scoring.changes import NO_VERDICT, brief, changes, decisions_changed, largest_first
from voice import silence, voice

Unheard = Callable[..., Run]


def row(source: str, score: float | None, decision: str | None, **more: str) -> dict[str, object]:
    return brief({"source": source, "score": score, "decision": decision, **more})


def test_a_change_is_new_minus_old_and_a_lost_verdict_is_a_change() -> None:
    old = [row("a", -1.0, "spoof"), row("b", 1.0, "bonafide"), row("c", 0.5, "undecided")]
    new = [row("c", None, None, reason="silence"), row("b", 1.5, "bonafide"), row("a", 2.0, "x")]
    rows = changes(["a", "b", "c"], old, new)
    assert [each["change"] for each in rows] == [3.0, 0.5, None]
    assert [each["reason"] for each in rows] == [None, None, "silence"]
    assert decisions_changed(rows) == {("spoof", "x"): 1, ("undecided", NO_VERDICT): 1}
    assert [each["source"] for each in largest_first(rows)] == ["a", "b"]


@pytest.fixture
def moved(tmp_path: Path, toy: Path) -> Path:
    """The toy detector, whose scores are all lower by two."""
    card = load(toy).card
    lower = Calibration(card.calibration.scale, card.calibration.offset - 2.0)
    card = card.model_copy(update={"name": "moved", "calibration": lower})
    return weights.save(tmp_path / "moved", Toy().build(), Toy(), card, seen=[])


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "a.wav", tmp_path / "b.wav"]
    for seed, path in enumerate(paths):
        path.write_bytes(wav(voice(1.5, seed=seed)[None]))
    return paths


def test_two_detectors_are_compared_on_files(
    unheard: Unheard, toy: Path, moved: Path, files: list[Path]
) -> None:
    run = unheard("score", "--compare", toy, moved, *files)
    assert run.code == 0
    head, first, second, mean, *_ = run.out.splitlines()
    assert head.split() == ["old", "new", "change", "old", "new", "file"]
    assert float(first.split()[2]) == float(second.split()[2]) == -2.0
    assert mean.startswith("mean change -2.00")
    assert "old: toy 1" in run.err
    assert "new: moved 1" in run.err


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".jsonl"])
def test_the_table_has_each_recording_and_is_resumed(
    unheard: Unheard, toy: Path, moved: Path, files: list[Path], tmp_path: Path, ending: str
) -> None:
    out = tmp_path / f"changes{ending}"
    command = ("score", "--compare", toy, moved, *files, "--out", out)
    assert unheard(*command).code == 0
    kept = (tmp_path / f"changes{ending}.old.jsonl").stat()
    unheard(*command, "--json")
    assert (tmp_path / f"changes{ending}.old.jsonl").stat().st_size == kept.st_size
    if ending == ".parquet":
        rows = pq.read_table(out).to_pylist()
    elif ending == ".csv":
        rows = list(csv.DictReader(out.read_text().splitlines()))
    else:
        rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [Path(each["source"]).name for each in rows] == ["a.wav", "b.wav"]
    assert [float(each["change"]) for each in rows] == pytest.approx([-2.0, -2.0])


def test_a_recording_without_a_verdict_is_named(
    unheard: Unheard, toy: Path, moved: Path, files: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "silent.wav").write_bytes(wav(silence(2)[None]))
    run = unheard("score", "--compare", toy, moved, *files, tmp_path / "silent.wav", "--json")
    assert run.code == 1
    assert "silent.wav: every sample is zero" in run.text
    assert json.loads(run.out.splitlines()[-1])["new_decision"] == NO_VERDICT


@pytest.mark.parametrize(
    "more", [("--report", "r/"), ("--out", "rows/"), ("--detector", "TOY"), ("--out", "x.txt")]
)
def test_what_does_not_go_together_is_refused(
    unheard: Unheard, toy: Path, files: list[Path], more: tuple[str, str]
) -> None:
    option, value = more
    value = str(toy) if value == "TOY" else value
    run = unheard("score", "--compare", toy, toy, *files, option, value)
    assert run.code == 2
    assert option in run.text
