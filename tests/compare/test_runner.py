"""Jobs are done once, in order, by any process; a kill or a failure costs nothing else."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from compare_worker import STEPS, Job, failed, many, worker
from unheard.compare import runner
from unheard.compare.runner import LOG, PROGRAM, is_running
from unheard.compare.status import overview
from unheard.compare.time_used import read_time_used

Start = Callable[[Path, int, str], subprocess.Popen[bytes]]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "POLL_S", 0.01)
    monkeypatch.setattr(runner, "SCAN_S", 0.05)
    for name in runner.THREADS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def process() -> Iterator[Start]:
    """What starts another process that does jobs of the same folder."""
    script, started = Path(__file__).parents[1] / "compare_worker.py", []

    def start(out: Path, n_jobs: int, how: str) -> subprocess.Popen[bytes]:
        words = [sys.executable, str(script), str(out), str(n_jobs), how]
        started.append(subprocess.Popen(words, env={**os.environ, "OMP_NUM_THREADS": "1"}))
        return started[-1]

    yield start
    for child in started:
        child.kill()
        child.wait()


def wait_for(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_steps_are_done_in_order_and_leave_a_log_and_their_cost(tmp_path: Path) -> None:
    job, lines = Job(tmp_path / "job"), list[str]()
    assert worker([job], n_jobs=1, say=lines.append).work() == []
    assert job.attempts() == list(STEPS)
    assert lines[:3] == ["job: train", "job: evaluate", "job: cost"]
    log = (job.folder / LOG).read_text()
    assert f" train {job.folder} well\ntrain of job with {os.cpu_count()} threads\n$ " in log
    assert all(read_time_used(job.folder)[step].core_s > 0 for step in STEPS)
    assert worker([job]).work() == []
    assert job.attempts() == list(STEPS)
    assert not is_running(job.folder)


def test_the_number_of_threads_is_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    job = Job(tmp_path / "job", steps=("train",))
    worker([job]).work()
    assert "with 7 threads" in (job.folder / LOG).read_text()


def test_only_what_is_left_is_done(tmp_path: Path) -> None:
    job = Job(tmp_path / "job")
    job.folder.mkdir()
    (job.folder / "train.done").touch()
    worker([job]).work()
    assert job.attempts() == ["evaluate", "cost"]


def test_what_several_jobs_need_is_done_once_and_first(tmp_path: Path) -> None:
    first = Job(tmp_path / "first", steps=("train",))
    others = [Job(tmp_path / f"job{n}", needs=(first,)) for n in range(3)]
    assert worker([first, *others], n_jobs=3).work() == []
    assert first.attempts() == ["train"]
    began = (first.folder / "train.done").stat().st_mtime_ns
    for job in others:
        assert job.attempts() == list(STEPS)
        assert (job.folder / "train.done").stat().st_mtime_ns > began


def test_a_failure_is_reported_and_the_others_continue(tmp_path: Path) -> None:
    broken = Job(tmp_path / "broken", "fails")
    above = Job(tmp_path / "above", needs=(broken,))
    highest = Job(tmp_path / "highest", needs=(above,))
    killed, lies = (
        Job(tmp_path / "killed", "killed"),
        Job(tmp_path / "lies", "lies", steps=STEPS[:1]),
    )
    good = Job(tmp_path / "good")
    jobs = [broken, above, highest, killed, lies, good]
    failures = worker(jobs, n_jobs=2).work()
    assert failed(failures) == {
        "broken": "train: error: it broke; fix it",
        "above": "needs broken, which failed",
        "highest": "needs above, which failed",
        "killed": "train: ended by SIGKILL; train of killed with 1 threads",
        "lies": "train left nothing behind",
    }
    assert failures[0].log == broken.folder / LOG
    assert good.attempts() == list(STEPS)
    assert above.attempts() == []
    assert not any(is_running(job.folder) for job in jobs)


def test_a_job_that_failed_is_known_by_its_log_and_tried_again(tmp_path: Path) -> None:
    broken = Job(tmp_path / "job", "fails")
    worker([broken]).work()
    (state,) = overview([broken]).states  # type: ignore[list-item]
    assert (state.state, state.why) == ("failed", "train: error: it broke; fix it")
    repaired = Job(tmp_path / "job")
    assert worker([repaired]).work() == []
    assert repaired.attempts() == ["train", *STEPS]
    assert overview([repaired]).states[0].state == "done"  # type: ignore[list-item]


def test_several_processes_at_once_never_do_a_job_twice(tmp_path: Path, process: Start) -> None:
    others = [process(tmp_path, 8, "well") for _ in range(2)]
    jobs = many(tmp_path, 8, "well")
    assert worker(jobs, n_jobs=2).work() == []
    assert [other.wait(60) for other in others] == [0, 0]
    for job in jobs:
        assert job.attempts() == list(STEPS)


def test_a_killed_process_ends_its_commands_and_another_resumes(
    tmp_path: Path, process: Start
) -> None:
    job = Job(tmp_path / "job0", "slow")
    other = process(tmp_path, 1, "slow")
    wait_for(lambda: job.attempts())
    assert overview([job]).states[0].state == "running"  # type: ignore[list-item]
    child = int((job.folder / "attempts").read_text().split()[1])
    other.send_signal(signal.SIGKILL)
    other.wait()
    wait_for(lambda: not Path(f"/proc/{child}").exists())
    assert overview([job]).states[0].state == "begun"  # type: ignore[list-item]
    assert worker([job]).work() == []
    assert job.attempts() == ["train", *STEPS]
    assert not is_running(job.folder)


def test_an_interruption_ends_the_commands_and_frees_their_jobs(tmp_path: Path) -> None:
    job = Job(tmp_path / "job", "slow")

    def interrupt(line: str) -> None:
        raise KeyboardInterrupt

    doing = worker([job, Job(tmp_path / "next")], n_jobs=2)
    doing._say = lambda line: interrupt(line) if line.startswith("next") else None
    with pytest.raises(KeyboardInterrupt):
        doing.work()
    (running,) = doing._running
    assert running.process.returncode == -signal.SIGTERM
    assert not is_running(job.folder)


def test_a_job_that_another_process_does_is_waited_for(tmp_path: Path) -> None:
    job, lines = Job(tmp_path / "job"), list[str]()
    job.folder.mkdir()
    log = (job.folder / LOG).open("ab")
    fcntl.flock(log, fcntl.LOCK_EX)

    def say(line: str) -> None:
        lines.append(line)
        if "waits for" in line:
            log.close()

    assert worker([job], say=say).work() == []
    assert lines[0] == "1 job waits for another process that works in this folder"
    assert job.attempts() == list(STEPS)


def test_a_command_that_outlives_who_started_it_holds_its_job(
    tmp_path: Path, process: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEAVE_COMMANDS", "yes")
    job = Job(tmp_path / "job0", "slow")
    other = process(tmp_path, 1, "slow")
    wait_for(lambda: job.attempts())
    child = int((job.folder / "attempts").read_text().split()[1])
    other.kill()
    other.wait()
    assert is_running(job.folder)
    os.kill(child, signal.SIGKILL)
    wait_for(lambda: not is_running(job.folder))


def test_the_program_is_this_one() -> None:
    run = subprocess.run([*PROGRAM, "--version"], capture_output=True, text=True, check=True)
    assert run.stdout.strip()
