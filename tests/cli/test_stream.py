"""Does `unheard stream` report while it listens, and what the file gets at the end?"""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from audio_files import encoded, wav
from cli_run import Run
from unheard.audio.pcm import PCM_FORMATS
from unheard.cli.stream import Format
from unheard.types import FloatArray
from voice import silence, voice

Unheard = Callable[..., Run]
Listen = Callable[..., Run]


@pytest.fixture
def listen(unheard: Unheard, toy: Path, monkeypatch: pytest.MonkeyPatch) -> Listen:
    """What runs the command on bytes."""

    def run(data: bytes, *options: object) -> Run:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        return unheard("stream", "--detector", toy, *options)

    return run


def s16le(samples: FloatArray) -> bytes:
    return np.round(samples * 32767).astype("<i2").tobytes()


def lines(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.out.splitlines()]


def test_a_stream_ends_with_the_verdict_of_the_file(
    listen: Listen, unheard: Unheard, toy: Path, tmp_path: Path
) -> None:
    data = wav(voice(3.2)[None], rate_hz=16_000)
    file = tmp_path / "voice.wav"
    file.write_bytes(data)
    (wanted,) = lines(unheard("score", file, "--detector", toy, "--json"))
    for source, options in ((data, ()), (data[44:], ("--raw", "s16le"))):
        run = listen(source, "--json", *options)
        *updates, last = lines(run)
        assert run.code == 0
        assert last["verdict"]["score"] == pytest.approx(wanted["score"], abs=1e-5)
        assert last["verdict"]["decision"] == wanted["decision"]
        assert [update["window"]["end_s"] for update in updates] == [1.0, 1.5, 2.0, 2.5, 3.0]
        assert updates[-1]["running"]["heard_s"] == pytest.approx(3.0, abs=0.4)


@pytest.mark.parametrize(("rate_hz", "n_channels"), [(8_000, 1), (48_000, 2)])
def test_headerless_samples_have_the_rate_and_channels_they_are_said_to(
    listen: Listen, rate_hz: int, n_channels: int
) -> None:
    update = np.repeat(voice(4)[:: 16_000 // rate_hz] if rate_hz < 16_000 else voice(4), n_channels)
    run = listen(
        s16le(update), "--raw", "s16le", "--rate", rate_hz, "--channels", n_channels, "--json"
    )
    verdict = lines(run)[-1]["verdict"]
    assert verdict["duration_s"] == pytest.approx(update.size / n_channels / rate_hz, abs=1e-3)
    assert any("8000 Hz" in warning for warning in verdict["warnings"]) == (rate_hz == 8_000)


def test_the_text_says_each_window_the_decision_and_the_verdict(listen: Listen) -> None:
    data = s16le(np.concatenate([silence(1.5), voice(9)]))
    settings = ("--threshold", -50, "--first-speech", 2, "--min-speech", 1)
    run = listen(data, "--raw", "s16le", *settings)
    first, *rest = run.out.splitlines()
    assert "1.4 -    2.4 s" in first  # the pause before it is no window
    assert "no verdict yet" in first
    decided = [line for line in rest if line.startswith("decided after")]
    assert len(decided) == 1
    assert "bona fide; at most 5% of such decisions" in decided[0]
    assert run.out.splitlines()[-1].startswith("bona fide")
    assert run.code == 0


def test_stop_ends_with_the_decision(listen: Listen) -> None:
    data = s16le(voice(12))
    options = ("--raw", "s16le", "--threshold", -50, "--json")
    whole, short = listen(data, *options), listen(data, *options, "--stop")
    decided = [update["running"]["final_at_s"] for update in lines(whole)[:-1]]
    heard_s = next(at_s for at_s in decided if at_s is not None)
    assert 4 < heard_s < 12
    assert lines(short)[-2]["running"]["final"] == "bonafide"
    assert lines(short)[-1]["verdict"]["duration_s"] < lines(whole)[-1]["verdict"]["duration_s"]


def test_without_speech_there_is_no_verdict(listen: Listen) -> None:
    run = listen(wav(silence(3)[None]), "--json")
    *updates, last = lines(run)
    assert run.code == 1
    assert last["verdict"]["decision"] is None
    assert all(update["running"]["reason"] for update in updates)


@pytest.mark.parametrize(
    ("data", "remedy"),
    [
        (b"", "copy or record it again"),
        (b"not audio at all, but text\n" * 300, "give a recording"),
        (encoded(voice(2)[None], ".flac")[:9_000], "copy the file again"),
    ],
)
def test_what_is_no_recording_is_told_with_a_remedy(
    listen: Listen, data: bytes, remedy: str
) -> None:
    run = listen(data, "--json")
    assert run.code == 1
    assert remedy in lines(run)[-1]["error"]
    assert remedy in run.text


@pytest.mark.parametrize(
    ("options", "code", "remedy"),
    [
        (("--rate", 8_000), 2, "give --raw too"),
        (("--raw", "s16le", "--rate", 12), 1, "give a rate of 4000"),
        (("--raw", "s16le", "--error", 0.9), 2, "such as 0.05"),
        (("--threshold", 1, "--operating-point", "balanced"), 2, "not both"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    listen: Listen, options: tuple[object, ...], code: int, remedy: str
) -> None:
    run = listen(s16le(voice(1)), *options)
    assert run.code == code
    assert remedy in run.text


def test_a_terminal_is_not_listened_to(unheard: Unheard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    run = unheard("stream")
    assert run.code == 2
    assert "pipe sound into it" in run.text


def test_every_format_that_is_read_can_be_named() -> None:
    assert get_args(Format) == tuple(PCM_FORMATS)


def test_lines_come_at_once_and_ctrl_c_ends_with_the_verdict(toy: Path) -> None:
    command = [sys.executable, "-m", "unheard", "stream", "--detector", str(toy)]
    with subprocess.Popen(
        [*command, "--raw", "s16le", "--json"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(s16le(voice(1.2)))
        process.stdin.flush()
        update = json.loads(process.stdout.readline())
        assert update["window"]["end_s"] == 1.0
        process.send_signal(signal.SIGINT)
        verdict = json.loads(process.stdout.readline())["verdict"]
        process.stdin.close()
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert verdict["duration_s"] == 1.2
    assert verdict["decision"] is not None
