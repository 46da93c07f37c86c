"""Does `unheard score` score what it is given, whatever else it is given?"""

import contextlib
import csv
import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest

from audio_files import encoded, video, wav
from cli_run import Run
from unheard import audio
from unheard.cli.score import score as score_command
from unheard.detectors import bundle
from unheard.scoring.scorer import OPERATING_POINTS, Scorer
from voice import silence, voice

Unheard = Callable[..., Run]

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 99\n"
PLAYLIST = b"#EXTM3U\n#EXTINF:2,\ngood.wav\n#EXT-X-ENDLIST\n"


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.wav"
    path.write_bytes(wav(voice(1.5)[None]))
    return path


def rows(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.out.splitlines()]


def corrupt() -> bytes:
    data = bytearray(encoded(voice(2)[None], ".flac"))
    data[200:] = bytes((7 * index) % 251 for index in range(len(data) - 200))
    return bytes(data)


BAD: dict[str, tuple[bytes, str]] = {
    "empty.wav": (b"", "empty"),
    "text.wav": (b"dear diary, no audio today\n" * 40, "not"),
    "truncated.wav": (wav(voice(2)[None])[:20_000], "copy the file again"),
    "corrupt.flac": (corrupt(), ""),
    "nan.wav": (wav(np.full((1, 16_000), np.nan), subtype="FLOAT"), "NaN"),
    "list.m3u8": (PLAYLIST, ""),
    "list.mp3": (PLAYLIST, ""),
    "pointer.wav": (LFS, "git lfs pull"),
    "silent.wav": (wav(silence(2)[None]), "record it again"),
    "one.wav": (wav(voice(1)[None, :1]), "give a longer recording"),
    "tone.wav": (wav(np.sin(np.arange(32_000) / 3)[None] / 2), "in which someone speaks"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_say_why_and_the_others_are_scored(
    unheard: Unheard, toy: Path, good: Path, name: str
) -> None:
    content, words = BAD[name]
    (good.parent / name).write_bytes(content)
    run = unheard("score", good.parent / name, good, "--detector", toy, "--json")
    bad, fine = rows(run)
    assert run.code == 1
    assert (bad["source"], fine["source"]) == (str(good.parent / name), str(good))
    reason = bad.get("error") or bad["reason"]
    assert words in reason
    assert len(reason.split("; ")) > 1, f"no remedy in: {reason}"
    assert fine["decision"] is not None
    assert bad.get("score") is None
    if "error" in bad:
        assert f"error: {bad['error']}\n" in run.err


GOOD: dict[str, Callable[[], bytes]] = {
    "192k.wav": lambda: wav(audio.resample(voice(2), 16_000, 192_000)[None], 192_000),
    "8_channels.wav": lambda: wav(np.tile(voice(2), (8, 1))),
    "phone.wav": lambda: wav(audio.resample(voice(2), 16_000, 8_000)[None], 8_000, "ULAW"),
    "music_player.m4a": lambda: encoded(voice(2)[None], ".m4a"),
    "browser.webm": lambda: encoded(
        audio.resample(voice(2), 16_000, 48_000)[None], ".webm", 48_000
    ),
    "video.mp4": lambda: video(2, sound=audio.resample(voice(2), 16_000, 48_000)[None]),
}


@pytest.mark.parametrize("name", GOOD)
def test_whatever_holds_audio_is_scored(
    unheard: Unheard, toy: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_bytes(GOOD[name]())
    run = unheard("score", tmp_path / name, "--detector", toy, "--json")
    assert run.code == 0, run.err
    (row,) = rows(run)
    assert row["duration_s"] == pytest.approx(2.0, abs=0.1)
    assert any("8000 Hz" in warning for warning in row["warnings"]) == (name == "phone.wav")


def test_a_terminal_shows_verdicts_or_a_bar_and_never_both(
    toy: Path, good: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.wav"
    other.write_bytes(good.read_bytes())
    words = [sys.executable, "-m", "unheard", "score", str(good), str(other)]
    words += ["--detector", str(toy)]
    cases: list[tuple[list[str], bool]]
    cases = [([], False), (["--out", str(tmp_path / "rows.csv")], True)]
    for more, is_a_bar in cases:
        ours, theirs = pty.openpty()
        process = subprocess.Popen([*words, *more], stdout=theirs, stderr=theirs)
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # how Linux says that nobody writes any more
            while piece := os.read(ours, 4096):
                shown += piece
        os.close(ours)
        assert process.wait() == 0, shown
        assert ("2/2" in shown.decode()) == is_a_bar
        assert ("spoof probability" in shown.decode()) != is_a_bar


def test_missing_and_forbidden_files_stop_nothing(
    unheard: Unheard, toy: Path, good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = good.with_name("locked.wav")
    locked.write_bytes(good.read_bytes())
    really_open = os.open

    def guarded(path: str, *arguments: Any, **options: Any) -> Any:
        if Path(path) == locked:
            raise PermissionError(13, "Permission denied")
        return really_open(path, *arguments, **options)

    monkeypatch.setattr(os, "open", guarded)
    run = unheard("score", "gone", locked, good, "--detector", toy)
    assert run.code == 1
    assert "gone: no such file or folder; check the path" in run.err
    assert "locked.wav: not permitted to read it; change its permissions" in run.err
    assert "1 of 3 files have a verdict\ndetector: toy 1\n" in run.err
    assert run.out.count("spoof probability") == 1


def test_json_is_the_verdict_of_the_library(unheard: Unheard, toy: Path, good: Path) -> None:
    run = unheard("score", good, "--detector", toy, "--json")
    assert run.code == 0
    assert rows(run) == [Scorer(bundle.load(toy)).file(good).to_dict()]
    assert run.err == ""


def test_people_read_a_line_and_its_warnings(unheard: Unheard, toy: Path, tmp_path: Path) -> None:
    (tmp_path / "short.wav").write_bytes(wav(voice(0.9)[None]))
    (tmp_path / "silent.wav").write_bytes(wav(silence(1)[None]))
    run = unheard("score", tmp_path, "--detector", toy)
    lines = run.out.splitlines()
    assert lines[0].split()[-1] == str(tmp_path / "short.wav")
    assert "spoof probability" in lines[0]
    assert all(line.startswith("            warning: ") for line in lines[1:-1])
    assert lines[-1].startswith("no verdict  every sample is zero")
    assert run.code == 1


def test_a_part_is_named_by_what_was_asked_for(unheard: Unheard, toy: Path, good: Path) -> None:
    run = unheard("score", good, "--detector", toy, "--channel", "each")
    assert f"{good}, channel 1" in run.out
    run = unheard("score", good, "--detector", toy, "--track", "all")
    assert f"{good}, track 1" in run.out


def test_operating_points_are_those_of_the_library() -> None:
    assert get_args(get_type_hints(score_command)["operating_point"]) == OPERATING_POINTS


def test_options_reach_the_verdict(unheard: Unheard, toy: Path, good: Path) -> None:
    def verdict(*options: object) -> dict[str, Any]:
        return rows(unheard("score", good, "--detector", toy, "--json", *options))[0]

    plain = verdict()
    assert verdict("--operating-point", "miss_1pct")["thresholds"] == [1.0, 1.0]
    assert verdict("--threshold", plain["score"] + 1)["decision"] == "spoof"
    assert verdict("--threshold", plain["score"] - 1)["decision"] == "bonafide"
    assert verdict("--spoof-prior", "0.9")["spoof_probability"] > plain["spoof_probability"]
    assert "at least 9 s needed" in verdict("--min-speech", "9")["reason"]
    assert len(verdict("--hop", "0.1")["windows"]) == 6


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        (["--operating-point", "strict"], "'sure', 'balanced', 'false_alarm_1pct', 'miss_1pct'"),
        (["--threshold", "0", "--operating-point", "miss_1pct"], "not both"),
        (["--spoof-prior", "1"], "--spoof-prior"),
        (["--hop", "3"], "at most the window"),
        (["--out", "scores.xlsx"], ".parquet, .csv, .jsonl"),
        (["--jobs", "0"], "--jobs"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_misuse_scores_nothing(
    unheard: Unheard, toy: Path, good: Path, options: list[str], remedy: str
) -> None:
    run = unheard("score", good, "--detector", toy, *options)
    assert run.code == 2
    assert remedy in run.text
    assert run.out == ""


def test_standard_input_is_scored(
    unheard: Unheard, toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encoded(voice(2)[None], ".m4a")  # its index is at the end: a pipe must be kept
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    run = unheard("score", "-", "--detector", toy, "--json", "--timeline", tmp_path / "pictures")
    assert [row["source"] for row in rows(run)] == ["-"]
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["stdin.png"]


def test_pictures_of_one_name_do_not_hide_each_other(
    unheard: Unheard, toy: Path, tmp_path: Path
) -> None:
    for folder in ("a", "b"):
        audio.write(tmp_path / folder / "x.wav", voice(1.2))
    pictures = tmp_path / "pictures"
    assert unheard("score", tmp_path, "--detector", toy, "--timeline", pictures).code == 0
    assert sorted(path.name for path in pictures.iterdir()) == ["x-2.png", "x.png"]
    run = unheard("score", tmp_path, "--detector", toy, "--timeline", tmp_path / "one.png")
    assert run.code == 2
    assert "a folder" in run.text


def test_a_picture_that_cannot_be_drawn_costs_no_other_and_says_why(
    unheard: Unheard, toy: Path, good: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    run = unheard("score", good, "--detector", toy, "--timeline", tmp_path / "file" / "x.png")
    assert run.code == 1
    assert f"error: {tmp_path / 'file' / 'x.png'}: cannot be written: " in run.err
    assert "report this file" not in run.err
    run = unheard("score", good, "--detector", toy, "--out", tmp_path / "file" / "x.jsonl")
    assert run.code == 1
    assert f"error: {tmp_path / 'file' / 'x.jsonl'}: cannot be written: " in run.err


def test_names_cannot_forge_lines_nor_steer_the_terminal(
    unheard: Unheard, toy: Path, tmp_path: Path
) -> None:
    forged = "x.wav\nbona fide   score  +9.99  other.wav"
    audio.write(tmp_path / "one.wav", voice(1.2))
    for name in (f"{forged}.wav", "caf\udce9.wav", "\x1b[2Jclear.wav"):
        (tmp_path / name).write_bytes((tmp_path / "one.wav").read_bytes())
    run = unheard("score", tmp_path, "--detector", toy)
    assert run.code == 0
    lines = [line for line in run.out.splitlines() if "warning" not in line]
    assert len(lines) == 4
    assert not any(line.endswith("  other.wav") for line in lines)
    assert all(line.isprintable() for line in lines)
    assert r"caf\udce9.wav" in run.out


def test_a_report_of_a_name_that_is_not_utf8_is_written(
    unheard: Unheard, toy: Path, tmp_path: Path
) -> None:
    audio.write(tmp_path / "one.wav", voice(1.2))
    odd = (tmp_path / "one.wav").rename(tmp_path / "caf\udce9.wav")
    run = unheard("score", odd, "--detector", toy, "--report", tmp_path / "report.html")
    assert run.code == 0, run.err
    assert r"caf\udce9.wav" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    "names", [("a/x.wav", "b/x.wav", "c/x-2.wav"), ("c/x-2.wav", "a/x.wav", "b/X.wav")]
)
def test_numbered_pictures_do_not_hide_one_that_is_called_so(
    unheard: Unheard, toy: Path, tmp_path: Path, names: tuple[str, ...]
) -> None:
    for name in names:
        audio.write(tmp_path / name, voice(1.2))
    pictures = tmp_path / "pictures"
    files = [tmp_path / name for name in names]
    assert unheard("score", *files, "--detector", toy, "--timeline", pictures).code == 0
    assert len({path.name.casefold() for path in pictures.iterdir()}) == 3


def test_out_is_not_scored_again_unless_it_changed(
    unheard: Unheard, toy: Path, good: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out" / "scores.csv"
    (good.parent / "bad.wav").write_bytes(b"no audio")
    command = ("score", good.parent, "--detector", toy, "--out", out)
    first = unheard(*command)
    assert first.code == 1
    assert f"1 of 2 files have a verdict: {out}" in first.err
    assert first.out == ""
    again = unheard(*command)
    assert "1 of 2 files have a verdict (1 of them before)" in again.err
    assert again.code == 1
    good.write_bytes(wav(voice(2)[None]))
    assert "before" not in unheard(*command).err
    rows = {row["source"]: row for row in csv.DictReader(out.read_text().splitlines())}
    assert float(rows[str(good)]["duration_s"]) == 2.0
    assert "bad.wav" in rows[str(good.parent / "bad.wav")]["error"]
    assert len(rows) == 2


def test_more_processes_give_the_same_rows_in_the_same_order(
    unheard: Unheard, toy: Path, tmp_path: Path
) -> None:
    for index in range(6):  # the first takes longest
        (tmp_path / f"{index}.wav").write_bytes(wav(voice(20.0 if not index else 1.5)[None]))
    (tmp_path / "bad.wav").write_bytes(b"no audio")
    command = ("score", tmp_path, "--detector", toy, "--json", "--jobs")
    alone, shared = unheard(*command, 1), unheard(*command, 3)
    assert len(alone.out.splitlines()) == 7
    assert shared.out == alone.out


def test_a_killed_run_keeps_what_it_scored_and_goes_on(
    unheard: Unheard, toy: Path, tmp_path: Path
) -> None:
    voice_of_8_s = voice(8)[None]
    (tmp_path / "in").mkdir()
    for index in range(60):
        (tmp_path / "in" / f"{index:02d}.wav").write_bytes(wav(voice_of_8_s))
    out = tmp_path / "out.jsonl"
    command = ["score", str(tmp_path / "in"), "--detector", str(toy), "--out", str(out)]
    command += ["--jobs", "1"]
    with subprocess.Popen([sys.executable, "-c", MAIN, *command], env=_environment()) as process:
        end = time.monotonic() + 60
        while time.monotonic() < end and not (out.exists() and out.read_bytes().count(b"\n") > 2):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    before = [json.loads(line) for line in out.read_bytes().split(b"\n")[:-1]]
    assert 2 < len(before) < 60
    run = unheard(*command)
    assert run.code == 0, run.err
    assert f"60 of 60 files have a verdict ({len(before)} of them before)" in run.err
    after = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["source"] for row in after] == sorted(row["source"] for row in after)
    assert len(after) == 60
    assert [row for row in before if row not in after] == []


MAIN = "from unheard.cli.app import main; main()"


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(audio.__file__).parents[2])}
