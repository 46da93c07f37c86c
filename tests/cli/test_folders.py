"""Does no file, list, place or full disk make the commands hang, lie or leave something out?"""

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pyarrow.parquet as pq
import pytest

from audio_files import wav
from cli_run import Run
from full_disk import room_for
from unheard.cli.shared import FILES
from voice import voice

Unheard = Callable[..., Run]

SPEECH = wav(voice(1.2)[None])


def rows(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.out.splitlines()]


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(SPEECH)


def sources(out: Path) -> list[str]:
    """What rows call their recordings, in any kind of output."""
    if out.suffix == ".csv":
        return [row["source"] for row in csv.DictReader(out.read_text().splitlines())]
    if out.suffix == ".jsonl":
        return [json.loads(line)["source"] for line in out.read_text().splitlines()]
    table = pq.read_table(out if out.suffix else out / "rows")
    return [str(source) for source in table["source"].to_pylist()]


def test_a_pipe_is_an_error_if_it_is_named_and_is_passed_over_in_a_folder(
    unheard: Unheard, toy: Path, tmp_path: Path
) -> None:
    put(tmp_path, "a.wav", ".b.wav", "c")
    os.mkfifo(tmp_path / "p.wav")
    run = unheard("score", tmp_path / "p.wav", tmp_path / "a.wav", "--detector", toy, "--json")
    assert ["error" in row for row in rows(run)] == [True, False]
    assert "p.wav: a pipe, not a file, so it was not opened; pipe what it gives" in run.err
    run = unheard("score", tmp_path, "--detector", toy, "--json")
    assert (run.code, [row["source"] for row in rows(run)]) == (0, [str(tmp_path / "a.wav")])
    for note in ("1 hidden, --all", "1 pipes, sockets", "1 without a suffix of audio, --all"):
        assert f"skipped {note}" in run.err
    run = unheard("score", tmp_path, "--detector", toy, "--json", "--all")
    assert len(rows(run)) == 3


@pytest.mark.parametrize("out", ["", "rows.jsonl", "rows.csv", "rows.parquet", "shards/"])
@pytest.mark.parametrize("name", ["list.txt", "list.csv"])
def test_a_list_is_scored_with_any_output_and_rows_have_one_spelling(
    unheard: Unheard,
    toy: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    out: str,
    name: str,
) -> None:
    put(tmp_path, "in/a.wav", "in/b.wav")
    (tmp_path / "list.txt").write_text("in/a.wav\r\nin/b.wav\r\n", "utf-16")
    (tmp_path / "list.csv").write_text("label;File\nreal;in/a.wav\nfake;in/b.wav\n")
    monkeypatch.chdir(tmp_path)
    run = unheard(
        *("score", name, "./in/../in/a.wav", tmp_path / "in" / "b.wav", "--detector", toy),
        *(["--out", out] if out else ["--json"]),
    )
    assert run.code == 0, run.err
    if not out:
        assert [row["source"] for row in rows(run)] == ["in/a.wav", "in/b.wav"]
        return
    expected = [str(tmp_path / "in" / "a.wav"), str(tmp_path / "in" / "b.wav")]
    assert sources(tmp_path / out) == expected
    monkeypatch.chdir(tmp_path / "in")
    again = unheard("score", "b.wav", "--detector", toy, "--out", tmp_path / out)
    assert again.code == 0
    assert sources(tmp_path / out) == expected


def test_a_store_is_scored_without_an_output(unheard: Unheard, toy: Path) -> None:
    store = fsspec.filesystem("memory")
    try:
        store.pipe_file("/bucket/a.wav", SPEECH)
        run = unheard("score", "memory://bucket", "memory://bucket/gone.wav", "--detector", toy)
    finally:
        store.store.clear()
        store.pseudo_dirs[:] = [""]
    assert run.code == 1
    assert run.out.splitlines()[0].endswith("  memory:///bucket/a.wav")
    assert "memory://bucket/gone.wav" in run.err


@pytest.mark.parametrize(
    ("option", "place", "made"),
    [
        ("--report", "r.docx", ""),
        ("--report", "r.pdf", "r.pdf"),
        ("--timeline", "r.jpg", ""),
        ("--report", "r.html", "r.html"),
        ("--report", "r.html/", "r.html/a.html"),
        ("--report", "r", "r/a.html"),
        ("--report", "v1.5/", "v1.5/a.html"),
        ("--timeline", "r.svg", "r.svg"),
        ("--timeline", "r.png/", "r.png/a.png"),
    ],
)
def test_a_suffix_means_a_file_and_a_slash_a_folder(
    unheard: Unheard, toy: Path, tmp_path: Path, option: str, place: str, made: str
) -> None:
    put(tmp_path, "a.wav")
    run = unheard("score", tmp_path / "a.wav", "--detector", toy, option, f"{tmp_path}/{place}")
    assert run.code == (0 if made else 2)
    if made:
        assert (tmp_path / made).is_file()
    else:
        assert "for a folder" in run.text
        assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


WRITE_A_FOLDER = ["evaluate", "compare", "train", "fuse", "calibrate", "export", "pull"]


@pytest.mark.parametrize(
    ("command", "suffix"),
    [("evaluate", suffix) for suffix in FILES]
    + [(command, ".HTML") for command in (*WRITE_A_FOLDER, "generate train", "generate apply")],
)
def test_no_folder_is_made_that_is_called_like_a_file(
    unheard: Unheard, tmp_path: Path, command: str, suffix: str
) -> None:
    run = unheard(*command.split(), "--out", tmp_path / f"x{suffix}")
    assert run.code == 2
    assert "a folder is written" in run.text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options", [("--report", "o.html"), ("--timeline", "o.png"), ("--out", "o.jsonl")]
)
def test_a_full_disk_names_the_output_and_not_the_recording(
    unheard: Unheard, toy: Path, tmp_path: Path, options: tuple[str, str]
) -> None:
    (tmp_path / "a.wav").write_bytes(wav(voice(40)[None]))
    option, out = options[0], tmp_path / options[1]
    with room_for(5_000):
        run = unheard("score", tmp_path / "a.wav", "--detector", toy, option, out)
    assert run.code == 1
    assert f"error: {out}: cannot be written: " in run.err
    assert "a.wav" not in run.err
    assert {path.name for path in tmp_path.iterdir()} <= {"a.wav", "o.jsonl"}
    run = unheard("score", tmp_path / "a.wav", "--detector", toy, option, out)
    assert run.code == 0, run.err


STUBBORN = """
import sys, time
from unheard.cli.app import main
from unheard.scoring.scorer import Scorer
score = Scorer.file

def file(scorer, source, *, name=""):
    verdict = score(scorer, source, name=name)
    if name.endswith("stuck.wav"):
        print("stuck", flush=True)
        while True:
            try:
                time.sleep(60)
            except KeyboardInterrupt:  # as a library that calls back swallows it
                pass
    return verdict

Scorer.file = file
if __name__ == "__main__":  # processes that it starts read this file too
    main(sys.argv[1:])
"""


@pytest.mark.parametrize(("out", "jobs"), [("", 1), ("rows.jsonl", 1), ("rows.jsonl", 2)])
def test_ctrl_c_ends_a_scoring_that_is_stuck_and_says_how_to_resume(
    toy: Path, tmp_path: Path, out: str, jobs: int
) -> None:
    put(tmp_path, "a.wav", "stuck.wav")
    script = tmp_path / "stubborn.py"
    script.write_text(STUBBORN)
    command = ["score", str(tmp_path), "--detector", str(toy), "--jobs", str(jobs)]
    command += ["--out", str(tmp_path / out)] if out else []
    scoring = subprocess.Popen(
        [sys.executable, script, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = threading.Timer(200, scoring.kill)
    deadline.start()
    assert scoring.stdout is not None
    while scoring.stdout.readline() not in {"stuck\n", ""}:
        pass
    started_s = time.monotonic()
    scoring.send_signal(signal.SIGINT)
    _, text = scoring.communicate()
    deadline.cancel()
    assert time.monotonic() - started_s < 4  # 2 s, and what a busy machine adds
    assert scoring.returncode == 130, text
    assert ("the same command goes on" in text) or ("with --out rows.parquet" in text and not out)
    if out:
        done = [str(tmp_path / "a.wav")]
        assert sources(tmp_path / out) in ([done] if jobs == 1 else [done, []])


def test_a_pipe_does_not_stop_a_watch(toy: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    put(folder, "z.wav")
    os.mkfifo(folder / "a.wav")
    command = [sys.executable, "-m", "unheard", "watch", folder, "--out", tmp_path / "rows.csv"]
    watching = subprocess.Popen(
        [*map(str, command), "--detector", str(toy), "--settle", "0", "--every", "0.1", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    deadline = threading.Timer(200, watching.kill)
    deadline.start()
    assert watching.stdout is not None
    assert json.loads(watching.stdout.readline())["source"] == str(folder / "z.wav")
    watching.send_signal(signal.SIGINT)
    _, text = watching.communicate()
    deadline.cancel()
    assert watching.returncode == 0, text
    assert text.count(f"skipped 1 pipes, sockets or devices, not files: {folder / 'a.wav'}") == 1
    assert sources(tmp_path / "rows.csv") == [str(folder / "z.wav")]
