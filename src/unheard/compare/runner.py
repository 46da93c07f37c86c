"""Do jobs: a few at a time, each a command of its own process; continue when one fails.

The process that does a job holds a lock on its log, and so does the command that writes there: it
goes with them, however they end. Several processes of one machine may so work in one folder.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from unheard.compare.time_used import TimeUsed, core_s_of, read_time_used, write_time_used
from unheard.types import Say

if TYPE_CHECKING:
    from unheard.compare.jobs import Job

__all__ = ["LOG", "PROGRAM", "Failure", "Worker", "failed", "is_running"]

PROGRAM = (sys.executable, "-m", "unheard")
LOG, FAILED = "log.txt", "failed: "
POLL_S, SCAN_S, NOTE_S, PATIENCE_S = 0.1, 2.0, 20.0, 10.0
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
    log: IO[bytes]
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
        *,
        n_jobs: int = 1,
        program: Sequence[str] = PROGRAM,
        say: Say = lambda _: None,
    ) -> None:
        """Look at what is to be done.

        Args:
            jobs: Those that others need come before these.
            n_jobs: How many at a time.
            program: The command line's program.
            say: Receives progress.
        """
        self._waiting = list(jobs)
        self._running: list[_Running] = []
        self._failures: dict[Path, Failure] = {}
        self._n_jobs, self._program, self._say = n_jobs, tuple(program), say
        self._noted = time.monotonic()
        self._reported_waiting = False

    def work(self) -> list[Failure]:
        """Do them; return those that failed, in order."""
        jobs = list(self._waiting)
        scan = 0.0
        try:
            while self._waiting or self._running:
                ended = self._collect()
                self._note()
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
            log = _locked(job.folder)
            if log is None:
                continue
            self._waiting.remove(job)
            if steps := list(job.steps_left()):
                self._running.append(self._start(job, log, steps))
            else:
                log.close()  # done by another process just now
        if self._waiting and not self._running and not self._reported_waiting:
            self._reported_waiting = True
            n = len(self._waiting)
            jobs = "1 job waits" if n == 1 else f"{n} jobs wait"
            self._say(f"{jobs} for another process that works in this folder")

    def _is_settled(self, job: Job) -> bool:
        """Return whether a job is done, has failed, or needs one that has."""
        if not job.steps_left():
            return True
        for need in job.needs:
            if need.folder in self._failures:
                reason = f"needs {need.label}, which failed"
                self._failures[job.folder] = Failure(job.label, reason, need.folder / LOG)
                return True
        return False

    def _start(self, job: Job, log: IO[bytes], steps: list[str]) -> _Running:
        """Start the first of the steps."""
        words = [*self._program, *job.command(steps[0])]
        try:
            self._say(f"{job.label}: {steps[0]}")
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
        except BaseException:
            log.close()
            raise
        before = read_time_used(job.folder).get(steps[0], TimeUsed())
        return _Running(job, log, steps, process, time.monotonic(), before)

    def _environment(self) -> dict[str, str]:
        fair = str(max(1, (os.cpu_count() or 1) // self._n_jobs))
        n_threads = os.environ.get(THREADS[0], fair)  # torch heeds any of them, so all say one
        return {**dict.fromkeys(THREADS, n_threads), **os.environ}

    def _collect(self) -> bool:
        """Take note of processes that ended; return whether others can start."""
        ended = []
        for run in self._running:
            pid, status, used = os.wait4(run.process.pid, os.WNOHANG)
            if pid:
                run.process.returncode = os.waitstatus_to_exitcode(status)
                run.note(used.ru_utime + used.ru_stime)
                ended.append(run)
        for run in ended:
            self._running.remove(run)
            if run.process.returncode != 0:
                self._fail(run)
            elif run.steps[1:]:
                self._running.append(self._start(run.job, run.log, run.steps[1:]))
            else:
                self._finish(run)
        return bool(ended)

    def _finish(self, run: _Running) -> None:
        left = run.job.steps_left()
        if left:  # the program ended well and did not do it
            self._failed(run, f"{left[0]} left nothing behind")
            return
        run.log.close()
        seconds = sum(step.seconds for step in read_time_used(run.job.folder).values())
        self._say(f"{run.job.label}: done, {seconds / 60:.1f} min")

    def _fail(self, run: _Running) -> None:
        code = run.process.returncode
        signal_text = f"ended by {signal.Signals(-code).name}; " if code < 0 else ""
        said = _last_line(run.job.folder / LOG) or "it said nothing"
        self._failed(run, f"{run.steps[0]}: {signal_text}{said}")

    def _failed(self, run: _Running, reason: str) -> None:
        run.log.write(f"{FAILED}{reason}\n".encode())
        run.log.close()
        self._failures[run.job.folder] = Failure(run.job.label, reason, run.job.folder / LOG)
        self._say(f"{run.job.label}: failed: {reason}")

    def _note(self) -> None:
        """Write down from time to time what steps cost so far, lest a kill forget it."""
        if time.monotonic() > self._noted + NOTE_S:
            self._noted = time.monotonic()
            for run in self._running:
                run.note(core_s_of(run.process.pid))

    def _stop(self) -> None:
        """End what still runs, as after Ctrl-C; its job resumes from there another time."""
        for run in self._running:
            run.note(core_s_of(run.process.pid))
        _end([run.process for run in self._running])
        for run in self._running:
            run.log.close()


def _locked(folder: Path) -> IO[bytes] | None:
    """Return the log of a job, open and locked; None while another process does the job."""
    folder.mkdir(parents=True, exist_ok=True)
    log = (folder / LOG).open("ab")
    try:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        log.close()
        return None
    return log


def is_running(folder: Path) -> bool:
    """Return whether a process does the job of a folder."""
    try:
        with (folder / LOG).open("rb") as log:
            fcntl.flock(log, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def failed(folder: Path) -> str:
    """Return why the last attempt at a job failed, by its log; "" if it did not."""
    last = _last_line(folder / LOG) if (folder / LOG).is_file() else ""
    return last.removeprefix(FAILED) if last.startswith(FAILED) else ""


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    non_empty = [line for line in lines if line]
    return non_empty[-1] if non_empty else ""


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
