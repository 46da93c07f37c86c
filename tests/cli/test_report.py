"""Does `unheard score --report` write a report and its JSON for each recording?"""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from audio_files import wav
from cli_run import Run
from unheard.cli.drawn import what_to_draw
from unheard.scoring.many import Settings
from voice import voice

Unheard = Callable[..., Run]


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    folder = tmp_path / "calls"
    folder.mkdir()
    for name in ("one", "two"):
        (folder / f"{name}.wav").write_bytes(wav(voice(1.5, seed=len(name))[None]))
    return folder


def test_one_file_gets_one_report(unheard: Unheard, toy: Path, calls: Path, tmp_path: Path) -> None:
    out = tmp_path / "case.html"
    run = unheard("score", calls / "one.wav", "--detector", toy, "--report", out, "--json")
    document = json.loads(out.with_suffix(".json").read_text())
    assert run.code == 0
    assert document["verdict"] == json.loads(run.out)
    assert document["words"]["headline"] in out.read_text()
    assert document["settings"]["minimum_speech_s"] == 0.5


def test_a_folder_gets_a_folder_of_reports(
    unheard: Unheard, toy: Path, calls: Path, tmp_path: Path
) -> None:
    (calls / "broken.wav").write_bytes(b"RIFF")
    out = tmp_path / "reports"
    run = unheard("score", calls, "--detector", toy, "--report", out)
    assert run.code == 1
    assert sorted(path.name for path in out.iterdir()) == [
        *("one.html", "one.json", "one.pdf"),
        *("two.html", "two.json", "two.pdf"),
    ]


def test_a_report_takes_the_place_of_pictures(unheard: Unheard, toy: Path, calls: Path) -> None:
    both = ("--report", calls / "a.html", "--timeline", calls / "a.png")
    run = unheard("score", calls / "one.wav", "--detector", toy, *both)
    assert run.code == 2
    assert "give one of --timeline" in run.text


def test_many_files_need_a_folder(unheard: Unheard, toy: Path, calls: Path) -> None:
    run = unheard("score", calls, "--detector", toy, "--report", calls / "a.html")
    assert run.code == 2
    assert "give a folder" in run.text


def test_reports_can_be_written_in_other_processes(toy: Path) -> None:
    drawn = what_to_draw(Settings(toy), None, None, "reports")
    assert drawn is not None
    assert pickle.dumps(drawn.draw)  # raises what the pool would raise
