"""Do the commands that score many recordings say what they did, and refuse what cannot be?"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from audio_files import wav
from cli_run import Run
from unheard.data.rows import schema
from voice import voice

Unheard = Callable[..., Run]

SPEECH = wav(voice(1.5)[None])


def test_a_folder_of_shards_is_written_and_gone_on_with(
    unheard: Unheard, toy: Path, tmp_path: Path
) -> None:
    recordings, out = tmp_path / "in", tmp_path / "out"
    recordings.mkdir()
    (recordings / "a.wav").write_bytes(SPEECH)
    (recordings / "bad.wav").write_bytes(b"no audio")
    run = unheard("score", recordings, "--detector", toy, "--out", f"{out}/")
    assert run.code == 1
    assert run.out == ""
    assert "error: " in run.err
    assert f"1 of 2 recordings have a verdict: {out}/rows" in run.err
    rows = pq.read_table(out / "rows")
    assert rows.schema.names == schema().names
    assert rows["source"].to_pylist() == [str(recordings / "a.wav"), str(recordings / "bad.wav")]
    (recordings / "bad.wav").write_bytes(SPEECH)
    again = unheard("score", recordings, "--detector", toy, "--out", out)
    assert again.code == 0
    assert "2 of 2 recordings have a verdict (1 rows were there before)" in again.err
    scores = pq.read_table(out / "rows")["score"].to_pylist()
    alone = unheard("score", recordings / "a.wav", "--detector", toy, "--json")
    assert scores == [json.loads(alone.out)["score"]] * 2


def test_a_path_that_is_not_there_is_told_and_fails(
    unheard: Unheard, toy: Path, tmp_path: Path
) -> None:
    run = unheard("score", tmp_path / "gone", "--detector", toy, "--out", f"{tmp_path}/out/")
    assert run.code == 1
    assert "gone: no such file or folder; check the path" in run.err


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        (["--engine", "ray"], "give one, as in --out rows/"),
        (["--engine", "ray", "--out", "rows.parquet"], "give one, as in --out rows/"),
        (["--out", "rows/", "--json"], "has no --json, --timeline, --explain"),
        (["--out", "rows.txt"], "or in / for a folder"),
        (["-", "--out", "rows/"], "give --json"),
    ],
)
def test_what_does_not_go_together_is_refused(
    unheard: Unheard, toy: Path, tmp_path: Path, options: list[str], remedy: str
) -> None:
    (tmp_path / "a.wav").write_bytes(SPEECH)
    run = unheard("score", tmp_path / "a.wav", *options, "--detector", toy)
    assert run.code == 2
    assert remedy in run.text


def test_ray_that_is_not_installed_is_named_with_its_extra(
    unheard: Unheard, toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "ray.data", None)
    run = unheard(
        *("score", tmp_path, "--detector", toy, "--engine", "ray", "--out", tmp_path / "o")
    )
    assert run.code == 1
    assert "pip install 'unheard[ray]'" in run.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "term"])
def test_a_watched_folder_is_scored_until_a_signal_and_the_table_is_written(
    toy: Path, tmp_path: Path, number: signal.Signals
) -> None:
    folder, out = tmp_path / "in", tmp_path / "rows.parquet"
    folder.mkdir()
    (folder / "a.wav").write_bytes(SPEECH)
    command = [sys.executable, "-m", "unheard", "watch", folder, "--out", out, "--detector", toy]
    watching = subprocess.Popen(
        [*map(str, command), "--settle", "0", "--every", "0.1", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    deadline = threading.Timer(100, watching.kill)
    deadline.start()
    try:
        assert watching.stdout is not None
        first = json.loads(watching.stdout.readline())
        (folder / "b.wav").write_bytes(SPEECH)
        second = json.loads(watching.stdout.readline())
        watching.send_signal(number)
        _, text = watching.communicate()
    finally:
        deadline.cancel()
        watching.kill()
    assert watching.returncode == 0, text
    assert [first["source"], second["source"]] == [str(folder / "a.wav"), str(folder / "b.wav")]
    assert f"rows: {out}" in text
    assert pq.read_table(out)["score"].to_pylist() == [first["score"], second["score"]]


def test_a_folder_that_is_not_there_is_not_watched(
    unheard: Unheard, toy: Path, tmp_path: Path
) -> None:
    run = unheard("watch", tmp_path / "gone", "--out", tmp_path / "o.jsonl", "--detector", toy)
    assert run.code == 2
    assert "make it, or check the path" in run.err
