"""Does a run that is killed at any moment lose, repeat or change anything?

    python bench/kills.py [--kills 100] [--parts score train watch jobs] [--seed 0]

Commands are ended by SIGKILL at a random moment and started again, until each has met its share of
the kills; then it may finish, and what it made is compared with that of a run that was left alone:

    score   30 clips into a .jsonl, .parquet or .csv file, or into shards: one row each, equal
    train   a toy detector, 60 steps: weights equal to the bit
    watch   a folder into which clips come while it is watched: one row each, equal
    jobs    two uploads of a service: verdicts equal

Commands are forked from this process, so that a start costs no imports, but for the service, whose
decoders import the program that it was started with. Fails on any difference.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import httpx
import numpy as np
import pyarrow.parquet as pq
from safetensors.numpy import load_file

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from bench.archive import babble
from bench.mutants import toy

from unheard import audio
from unheard.cli.app import main as unheard
from unheard.data.clip import Clip, Manifest
from unheard.data.rows import RowFile  # noqa: F401  imported before the first fork, as those below
from unheard.detectors.toy import Toy
from unheard.scoring.scorer import Scorer  # noqa: F401
from unheard.training.loop import train
from unheard.training.recipe import Budget, Constant, Recipe

N_CLIPS = 30
LONGEST_S = 600.0
RECIPE = Recipe(
    name="kills",
    detector=Toy(n_bands=4),
    schedule=Constant(rate=0.01),
    budget=Budget(n_steps=60, eval_every=5, log_every=5),
    window_s=0.5,
    hop_s=0.25,
)

Work = Callable[[], object]


class Kills:
    """Who kills, and how often it has."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.detector = toy(folder / "toy")
        self.rng = np.random.default_rng(seed)
        self.n_killed = self.n_ended = 0

    def start(self, work: Work) -> int:
        """Start work in a process of its own; what it says goes to a file."""
        process = os.fork()
        if process:
            return process
        code = 1
        try:
            os.setpgid(0, 0)
            log = os.open(self.folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(log, 1)
            os.dup2(log, 2)
            work()
            code = 0
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 1
        finally:
            os._exit(code)

    def killed(self, process: int, after_s: float) -> bool:
        """Kill a process and its children after a time, unless it has ended; whether it had."""
        end_s = time.monotonic() + after_s
        while time.monotonic() < end_s:
            if os.waitpid(process, os.WNOHANG)[0]:
                self.n_ended += 1
                return False
            time.sleep(0.002)
        os.killpg(process, signal.SIGKILL)
        os.waitpid(process, 0)
        self.n_killed += 1
        return True

    def finished(self, work: Work) -> float:
        """Let work end by itself; seconds that it took."""
        begun_s = time.monotonic()
        code = os.waitstatus_to_exitcode(os.waitpid(self.start(work), 0)[1])
        if code:
            log = (self.folder / "log").read_text()
            raise SystemExit(f"a run that was left alone ended with {code}:\n{log[-3000:]}")
        return time.monotonic() - begun_s

    def until_done(self, work: Work, n_kills: int, whole_s: float) -> None:
        """Kill work so often at random moments of the time it takes, then let it end."""
        for _ in range(n_kills):
            self.killed(self.start(work), self.rng.uniform(0, whole_s))
        self.finished(work)


def rows_of(out: Path) -> list[tuple[str, float]]:
    """Return name and score of each row, in order of names."""
    if out.suffix == ".jsonl":
        rows = [json.loads(line) for line in out.read_text().splitlines()]
    elif out.suffix == ".csv":
        import csv

        rows = [*csv.DictReader(out.read_text().splitlines())]
    else:
        rows = pq.read_table(out if out.suffix else out / "rows").to_pylist()
    return sorted((Path(row["source"]).name, round(float(row["score"]), 4)) for row in rows)


def same(what: str, found: object, wanted: object) -> None:
    """Fail if what a killed run made is not what one that was left alone made."""
    if found != wanted:
        raise SystemExit(f"{what}: found {found!r:.2000}\nwanted {wanted!r:.2000}")


def score(kills: Kills, n_kills: int) -> None:
    """Kill bulk scoring into each kind of output, twice each."""
    outs = ["rows.jsonl", "rows.parquet", "rows.csv", "rows/"]
    wanted, whole_s = left_alone(kills)
    for number in range(math.ceil(n_kills / 2)):
        out = f"{number}-{outs[number % len(outs)]}"
        kills.until_done(_scoring(kills, out), 2, whole_s)
        same(f"score into {out}", rows_of(kills.folder / out), wanted)


def left_alone(kills: Kills) -> tuple[list[tuple[str, float]], float]:
    """Return the rows of a run over the clips that is left alone, and the seconds that it takes."""
    clips = kills.folder / "clips"
    for index in range(N_CLIPS):
        audio.write(clips / f"{index:02d}.flac", babble(8.0, index))
    whole_s = kills.finished(_scoring(kills, "whole.jsonl"))
    wanted = rows_of(kills.folder / "whole.jsonl")
    assert len(wanted) == N_CLIPS
    (kills.folder / "whole.jsonl").unlink()
    return wanted, whole_s


def _scoring(kills: Kills, out: str) -> Work:
    words = ["score", str(kills.folder / "clips"), "--out", f"{kills.folder}/{out}"]
    return lambda: unheard([*words, "--detector", str(kills.detector)])


def training(kills: Kills, n_kills: int) -> None:
    """Kill training."""
    clips = []
    for index in range(20):
        name, bonafide = f"{index}.flac", index % 2 == 0
        wave = babble(1.0, index)
        wave += (0.05 if bonafide else 0.0) * kills.rng.standard_normal(wave.size)
        audio.write(kills.folder / "corpus" / name, wave.astype(np.float32))
        part = "train" if index < 12 else "dev"
        attack, family = ("-", "-") if bonafide else ("a", "f")
        clips.append(
            Clip(id=name, path=name, bonafide=bonafide, part=part, attack=attack, family=family)
        )
    file = Manifest.of(clips, kills.folder / "corpus").write(kills.folder / "corpus" / "m.parquet")

    def run(out: str) -> Work:
        return lambda: train(RECIPE, Manifest.read(file), kills.folder / out)

    def made(out: str) -> dict[str, bytes]:
        weights = load_file(kills.folder / out / "bundle" / "weights.safetensors")
        return {name: values.tobytes() for name, values in weights.items()}

    whole_s = kills.finished(run("whole"))
    for number in range(math.ceil(n_kills / 5)):
        kills.until_done(run(f"train-{number}"), 5, whole_s)
        same(f"train {number}", made(f"train-{number}"), made("whole"))


def watch(kills: Kills, n_kills: int) -> None:
    """Kill what watches a folder while clips come into it."""
    source, inbox, out = kills.folder / "clips", kills.folder / "inbox", kills.folder / "w.jsonl"
    inbox.mkdir()
    wanted, _ = left_alone(kills)
    words = ["watch", str(inbox), "--out", str(out), "--detector", str(kills.detector)]
    words += ["--settle", "0.1", "--every", "0.1"]
    names = sorted(os.listdir(source))
    for number in range(n_kills):
        process = kills.start(lambda: unheard(words))
        for name in names[number * N_CLIPS // n_kills : (number + 1) * N_CLIPS // n_kills]:
            (inbox / f".{name}").write_bytes((source / name).read_bytes())
            os.rename(inbox / f".{name}", inbox / name)
        kills.killed(process, kills.rng.uniform(0, 8))
    process = kills.start(lambda: unheard(words))
    end_s = time.monotonic() + LONGEST_S
    while time.monotonic() < end_s and (
        not out.exists() or len({*map(_source, out.read_bytes().split(b"\n"))}) <= N_CLIPS
    ):
        time.sleep(0.2)
    os.kill(process, signal.SIGTERM)
    os.waitpid(process, 0)
    same("watch", rows_of(out), wanted)


def _source(line: bytes) -> str:
    """Name the recording of a line; "" for what is none, such as the first or a cut one."""
    try:
        return str(json.loads(line).get("source", ""))
    except (ValueError, AttributeError):
        return ""


@contextmanager
def served(kills: Kills, folder: Path) -> Iterator[tuple[int, httpx.Client]]:
    """Start a service, and give its process once it answers."""
    (kills.folder / "log").unlink(missing_ok=True)
    words = [sys.executable, "-m", "unheard", "serve", str(kills.detector)]
    words += ["--port", "0", "--jobs", str(folder)]
    # Not forked alone: each of its decoders would import this file, for longer than it may take.
    process = kills.start(lambda: os.execv(sys.executable, words))
    end_s = time.monotonic() + LONGEST_S
    while True:
        log = kills.folder / "log"
        url = log.read_text().partition("\n")[0] if log.exists() else ""
        if url.startswith("http"):
            break
        if time.monotonic() > end_s:
            raise SystemExit("the service did not start")
        time.sleep(0.05)
    try:
        with httpx.Client(base_url=url, timeout=LONGEST_S) as asking:
            yield process, asking
    except BaseException:
        os.killpg(process, signal.SIGKILL)
        raise


def jobs(kills: Kills, n_kills: int) -> None:
    """Kill a service that has jobs, twice: over whose job it dies three times is given up."""
    for number in range(math.ceil(n_kills / 2)):
        folder = kills.folder / f"jobs-{number}"
        urls: list[str] = []
        for _ in range(2):
            with served(kills, folder) as (process, asking):
                if not urls:
                    for seed in (1, 2):
                        file = kills.folder / f"job-{seed}.flac"
                        audio.write(file, babble(120.0, seed))
                        sent = {"file": ("a.flac", file.read_bytes())}
                        answer = asking.post("/v1/jobs", files=sent)
                        urls.append(answer.raise_for_status().json()["url"])
                kills.killed(process, kills.rng.uniform(0, 6))
        with served(kills, folder) as (process, asking):
            for seed, url in zip((1, 2), urls, strict=True):
                job = _done(asking, url)
                file = kills.folder / f"job-{seed}.flac"
                direct = asking.post("/v1/score", files={"file": ("a.flac", file.read_bytes())})
                if direct.is_error:
                    raise SystemExit(f"a recording was refused: {direct.text}")
                wanted = direct.json()["verdict"]["score"]
                same(f"job {seed} of service {number}", _score(job), wanted)
            os.kill(process, signal.SIGTERM)
            os.waitpid(process, 0)


def _done(asking: httpx.Client, url: str) -> dict[str, Any]:
    end_s = time.monotonic() + LONGEST_S
    while time.monotonic() < end_s:
        job: dict[str, Any] = asking.get(url).raise_for_status().json()
        if job["status"] in {"done", "failed"}:
            return job
        time.sleep(0.2)
    raise SystemExit(f"a job did not end: {job}")


def _score(job: dict[str, Any]) -> object:
    return job["result"]["verdict"]["score"] if job.get("result") else job


PARTS = {"score": score, "train": training, "watch": watch, "jobs": jobs}


def main() -> None:
    """Kill, compare, print how often."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parts", nargs="+", default=[*PARTS], choices=[*PARTS])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kills = Kills(Path(folder), asked.seed)
        for name in asked.parts:
            before = kills.n_killed, kills.n_ended
            PARTS[name](kills, asked.kills // len(asked.parts))
            killed, ended = kills.n_killed - before[0], kills.n_ended - before[1]
            print(f"{name}: {killed} kills, {ended} had ended before; nothing lost", flush=True)


if __name__ == "__main__":
    main()
