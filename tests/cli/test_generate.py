"""The commands of generators: list, fetch, apply, copies, check; what they refuse and how."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import synthetic_corpus
from cli_run import Run
from unheard import audio
from unheard.data.clip import Manifest

Command = Callable[..., Run]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    synthetic_corpus.corpus(tmp_path / "data", duration_s=0.4)
    return tmp_path / "data" / "manifest.parquet"


def test_list_says_of_each_generator_what_it_is_and_what_is_missing(
    unheard: Command, tmp_path: Path
) -> None:
    run = unheard("generate", "list", "--engines", tmp_path, "--json")
    rows = {row["name"]: row for row in map(json.loads, run.out.splitlines())}
    assert run.code == 0
    assert rows["griffin-lim-mel"]["missing"] == ""
    assert rows["encodec"]["free"] is False
    assert "train one with" in rows["diffusion"]["missing"]
    text = unheard("generate", "list", "--engines", tmp_path).out
    assert len(text.splitlines()) == len(rows)
    lacks = [bool(row["missing"]) for row in rows.values()]
    assert lacks == sorted(lacks)
    assert "not here; a hub is asked" in rows["mimi"]["missing"]


def test_fetch_says_what_can_be_used_and_what_cannot_be_had(
    unheard: Command, tmp_path: Path
) -> None:
    command = ("generate", "fetch", "--engines", tmp_path / "cache", "--mirrors", tmp_path)
    run = unheard(*command, "world", "lyra-3200")
    assert run.code == 1
    assert "no git directory of it in" in run.err
    states = dict(line.split(maxsplit=1) for line in run.out.splitlines())
    assert states["world"] == "can be used"
    assert "fetch it with: unheard generate fetch lyra-3200" in states["lyra-3200"]
    assert unheard(*command, "lyra").code == 2


def test_copies_are_written_and_resumed_and_check_judges_them(
    unheard: Command, data: Path, tmp_path: Path
) -> None:
    command: tuple[object, ...]
    command = ("generate", "copies", "--with", "griffin-lim-linear", "--set", "n_rounds=1")
    command = (*command, "--data", data)
    first = unheard(*command, "--out", tmp_path / "out", "--parts", "train, dev")
    assert first.code == 0, first.err
    manifest = tmp_path / "out" / "manifest.parquet"
    assert first.out.split() == [str(manifest)]
    assert len(Manifest.read(manifest)) == 60
    again = unheard(*command, "--out", tmp_path / "out")
    assert "0 copies made, 30 were there, 0 failed" in again.err
    checked = unheard("generate", "check", manifest)
    assert checked.code == 0
    assert "griffin-lim-linear" in checked.out
    assert "the cue that differs most is" in checked.out
    (states,) = json.loads(unheard("generate", "check", manifest, "--json").out)
    assert states["n_twins"] == 30
    assert states["verdict"].startswith("No probe was trained")


def test_a_twin_that_cannot_be_made_is_named_and_the_code_says_so(
    unheard: Command, data: Path, tmp_path: Path
) -> None:
    broken = data.parent / "audio" / "train-human-1.flac"
    broken.write_bytes(b"no audio")
    out = tmp_path / "out"
    name = "griffin-lim-linear"
    run = unheard("generate", "copies", "--with", name, "--data", data, "--out", out)
    assert run.code == 1
    assert "error: train-human-1: " in run.err
    assert "29 copies made, 0 were there, 1 failed" in run.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("griffin-lim-mle",), 2, "did you mean 'griffin-lim-mel'"),
        (("griffin-lim-mel", "--set", "rounds=3"), 2, "no field 'rounds'; did you mean 'n_rounds'"),
        (("griffin-lim-mel", "--parts", "train,eval_out"), 1, "no twins are made of part"),
        (("flite-slt",), 1, "speaks texts and copies no recording"),
        (("dac", "--set", "source=nowhere"), 1, "no folder 'nowhere' with weights; give one"),
        (("neural TTS",), 1, "no generator of 'neural TTS' can be used"),
        (("world,mlsa", "--set", "n_window=256"), 2, "give it as NAME.FIELD=VALUE"),
    ],
)
def test_what_cannot_be_reconstructed_is_refused(
    unheard: Command,
    data: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    command = ("generate", "copies", "--with", *arguments)
    run = unheard(*command, "--data", data, "--out", tmp_path / "out")
    assert run.code == code
    assert message in run.err


def test_all_takes_what_can_be_used_and_says_what_it_leaves_out(
    unheard: Command, data: Path, tmp_path: Path
) -> None:
    settings = ("griffin-lim-linear.n_rounds=1", "griffin-lim-mel.n_rounds=1")
    command: tuple[object, ...]
    command = ("generate", "copies", "--with", "all", "--data", data, "--out", tmp_path / "out")
    for setting in settings:
        command = (*command, "--set", setting)
    run = unheard(*command, "--engines", tmp_path / "none", "--of", "people", "--each", "2")
    assert run.code == 0, run.err
    whole = Manifest.read(tmp_path / "out" / "manifest.parquet")
    twins = [clip for clip in whole if clip.source_clip]
    assert len(twins) == 2 * sum(clip.bonafide and clip.part in ("train", "dev") for clip in whole)
    assert {"griffin-lim-linear", "griffin-lim-mel"} <= {clip.attack for clip in twins}
    assert "left out dac: " in run.err
    assert "left out lyra-3200: " in run.err


def test_apply_copies_each_recording_and_says_which_it_could_not(
    unheard: Command, data: Path, tmp_path: Path
) -> None:
    folder = data.parent / "audio"
    files = [folder / "dev-buzz-1.flac", folder / "dev-saw-1.flac", tmp_path / "none.wav"]
    run = unheard("generate", "apply", "griffin-lim-linear", *files, "--out", tmp_path / "copies")
    assert run.code == 1
    assert "none.wav: no such file or folder" in run.err
    copies = [Path(line) for line in run.out.splitlines()]
    assert [path.name for path in copies] == ["0000-dev-buzz-1.flac", "0001-dev-saw-1.flac"]
    for copy, file in zip(copies, files, strict=False):
        copied, source = (audio.read(path, minimum_s=0.0).samples for path in (copy, file))
        assert copied.shape == source.shape
        assert not np.allclose(copied, source, atol=1e-3)


def test_apply_refuses_a_generator_of_texts(unheard: Command, data: Path, tmp_path: Path) -> None:
    run = unheard("generate", "apply", "flite-slt", data, "--out", tmp_path)
    assert run.code == 1
    assert "copies no recording; choose one that" in run.err
