"""Do jobs: a few at a time, each a command of its own process; continue when one fails.

Several processes, on one machine or on several that share the folder, may work at once.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from unheard.compare.lock import Lock, acquire, clock_s, holder
from unheard.compare.time_used import (
    TimeUsed,
    core_s_of,
    core_s_of_children,
    read_time_used,
    write_time_used,
)

if TYPE_CHECKING:
    from unheard.compare.jobs import Job

__all__ = ["FAILED", "LOG", "PROGRAM", "Failure", "Worker", "failure_of"]

PROGRAM = (sys.executable, "-m", "unheard")
FAILED, LOG = "failed.json", "log.txt"
POLL_S, SCAN_S, BEAT_S, PATIENCE_S = 0.1, 2.0, 20.0, 10.0
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Failure:
    """A job that could not be done.

    Attributes:
        job: What people call it.
        reason: Last line of its log, or what it waits for in vain.
        log: Where to read more.
    """

    job: str
    reason: str
    log: Path


@dataclass(frozen=True, eq=False)
class _Running:
    """A job at work on the first of its steps."""

    job: Job
    lock: Lock
    steps: list[str]
    process: subprocess.Popen[bytes]
    started: float
    before: TimeUsed

    def note(self, core_s: float) -> None:
        """Write down what the step has cost, attempts before this one included."""
        now = TimeUsed(time.monotonic() - self.started, core_s)
        write_time_used(self.job.folder, self.steps[0], self.before + now)


class Worker:
    """Does jobs until all are done, have failed, or need one that failed."""

    def __init__(
        self,
        jobs: Sequence[Job],
        out: Path,
        *,
        n_jobs: int = 1,
        program: Sequence[str] = PROGRAM,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Look at what is to be done.

        Args:
            jobs: Those that others need come before these.
            out: Folder of the comparison.
            n_jobs: How many at a time.
            program: The command line's program.
            say: Receives progress.
        """
        out.mkdir(parents=True, exist_ok=True)
        self._waiting = list(jobs)
        self._running: list[_Running] = []
        self._failures: dict[Path, Failure] = {}
        self._n_jobs, self._program, self._say = n_jobs, tuple(program), say
        self._began = clock_s(out)
        self._beaten = time.monotonic()
        self._reported_waiting = False

    def work(self) -> list[Failure]:
        """Do them; return those that failed, in order."""
        jobs = list(self._waiting)
        scan = 0.0
        try:
            while self._waiting or self._running:
                ended = self._collect()
                self._beat()
                if ended or time.monotonic() >= scan:
                    self._fill()
                    scan = time.monotonic() + SCAN_S
                if self._waiting or self._running:
                    time.sleep(POLL_S)
        finally:
            self._stop()
        return [self._failures[job.folder] for job in jobs if job.folder in self._failures]

    def _fill(self) -> None:
        """Start what can be started; forget what is done or cannot be."""
        for job in list(self._waiting):
            if len(self._running) >= self._n_jobs:
                return
            if self._is_settled(job):
                self._waiting.remove(job)
                continue
            if any(need.card() is None for need in job.needs):
                continue
            lock = acquire(job.folder)
            if lock is None:
                continue
            steps = [] if self._is_settled(job) else list(job.steps_left())
            self._waiting.remove(job)
            if steps:
                (job.folder / FAILED).unlink(missing_ok=True)
                self._running.append(self._start(job, lock, steps))
            else:
                lock.release()  # done by another process just now
        if self._waiting and not self._running and not self._reported_waiting:
            self._reported_waiting = True
            by = sorted({holder(job.folder) for job in self._waiting} - {""})
            n = len(self._waiting)
            jobs = "1 job waits" if n == 1 else f"{n} jobs wait"
            self._say(f"{jobs} for {', '.join(by) or 'other processes'}")

    def _is_settled(self, job: Job) -> bool:
        """Return whether a job is done, or has failed since this process began."""
        if not job.steps_left():
            return True
        for need in job.needs:
            if need.folder in self._failures:
                reason = f"needs {need.label}, which failed"
                self._failures[job.folder] = Failure(job.label, reason, need.folder / LOG)
                return True
        with contextlib.suppress(FileNotFoundError):
            if (job.folder / FAILED).stat().st_mtime >= self._began:
                self._failures[job.folder] = failure_of(job)
                return True
        return False

    def _start(self, job: Job, lock: Lock, steps: list[str]) -> _Running:
        """Start the first of the steps."""
        words = [*self._program, *job.command(steps[0])]
        self._say(f"{job.label}: {steps[0]}")
        with (job.folder / LOG).open("ab") as log:
            log.write(f"$ {shlex.join(words)}\n".encode())
            log.flush()
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(),
                start_new_session=True,  # Ctrl-C reaches us alone, and we end it in order
                preexec_fn=_dying_with(os.getpid()),
            )
        before = read_time_used(job.folder).get(steps[0], TimeUsed())
        return _Running(job, lock, steps, process, time.monotonic(), before)

    def _environment(self) -> dict[str, str]:
        fair = str(max(1, (os.cpu_count() or 1) // self._n_jobs))
        n_threads = os.environ.get(THREADS[0], fair)  # torch heeds any of them, so all say one
        return {**dict.fromkeys(THREADS, n_threads), **os.environ}

    def _collect(self) -> bool:
        """Take note of processes that ended; return whether others can start."""
        ended = []
        for run in self._running:
            before = core_s_of_children()
            if run.process.poll() is not None:  # only now is what it used added to ours
                run.note(core_s_of_children() - before)
                ended.append(run)
        for run in ended:
            self._running.remove(run)
            if not run.lock.beat():
                self._yield(run)
            elif run.process.returncode != 0:
                self._fail(run)
            elif run.steps[1:]:
                self._running.append(self._start(run.job, run.lock, run.steps[1:]))
            else:
                self._finish(run)
        return bool(ended)

    def _finish(self, run: _Running) -> None:
        left = run.job.steps_left()
        run.lock.release()
        if left:  # the program ended well and did not do it
            self._failures[run.job.folder] = Failure(
                run.job.label, f"{left[0]} left nothing behind", run.job.folder / LOG
            )
        else:
            seconds = sum(step.seconds for step in read_time_used(run.job.folder).values())
            self._say(f"{run.job.label}: done, {seconds / 60:.1f} min")

    def _fail(self, run: _Running) -> None:
        code = run.process.returncode
        signal_text = f"ended by {signal.Signals(-code).name}; " if code < 0 else ""
        reason = f"{run.steps[0]}: {signal_text}{_last_line(run.job.folder / LOG)}"
        (run.job.folder / FAILED).write_text(json.dumps({"reason": reason}) + "\n")
        failure = failure_of(run.job)
        self._failures[run.job.folder] = failure
        run.lock.release()
        self._say(f"{failure.job}: failed: {failure.reason}")

    def _beat(self) -> None:
        """Say that this process lives; leave a job that another one has taken over."""
        if time.monotonic() < self._beaten + BEAT_S:
            return
        self._beaten = time.monotonic()
        for run in list(self._running):
            run.note(core_s_of(run.process.pid))
            if not run.lock.beat():
                self._running.remove(run)
                _end([run.process])
                self._yield(run)

    def _yield(self, run: _Running) -> None:
        self._say(f"{run.job.label}: taken over by {holder(run.job.folder) or 'another process'}")
        self._waiting.append(run.job)

    def _stop(self) -> None:
        """End what still runs, as after Ctrl-C; its job resumes from there another time."""
        for run in self._running:
            run.note(core_s_of(run.process.pid))
        _end([run.process for run in self._running])
        for run in self._running:
            run.lock.release()


def failure_of(job: Job) -> Failure:
    """Return why a job failed."""
    try:
        reason = str(json.loads((job.folder / FAILED).read_text())["reason"])
    except (OSError, ValueError, KeyError):
        reason = "not known"
    return Failure(job.label, reason, job.folder / LOG)


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    non_empty = [line for line in lines if line]
    return non_empty[-1] if non_empty else "it said nothing"


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _dying_with(parent: int) -> Callable[[], None] | None:
    """Return what makes the kernel end a new process with this one: no job is then done twice."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)  # loaded here: little is allowed between fork and exec

    def bind() -> None:
        library.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return bind


_PR_SET_PDEATHSIG = 1
