"""Work in other processes, of which any may die: a decoder can crash on a hostile file.

A process that dies costs the task it works on; the others continue. Results come as they are ready.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Generic, TypeVar

__all__ = ["Died", "Worker", "in_processes", "n_cores", "with_progress"]

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")

_TELL_EVERY_S = 5.0
_CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")


@dataclass(frozen=True)
class Died:
    """Stands for the result of a task whose process died.

    Attributes:
        why: What is known of it, for a message.
        exit_code: Of the process; below 0 the signal that ended it.
    """

    why: str
    exit_code: int | None = None


def n_cores() -> int:
    """Return how many processors this process may use: of the machine, its mask, its container."""
    n = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):  # no such file, or "max": no limit
        quota_us, period_us = map(int, _CPU_LIMIT.read_text().split())
        n = min(n, max(1, round(quota_us / period_us)))
    return n


def with_progress(
    results: Iterable[ResultT],
    n_all: int | None,
    say: Callable[[str], None],
    what: str,
    size: Callable[[ResultT], int] = lambda _: 1,
) -> Iterator[ResultT]:
    """Pass results of long work on; say every five seconds how far it is and what is left.

    Args:
        results: As they come.
        n_all: How many there will be; None if that is not known.
        say: Receives lines such as "clips scored: 20 of 80, about 3 min left".
        what: What a result is.
        size: How many of them a result stands for.
    """
    started_s = said_s = time.monotonic()
    n_done = 0
    for result in results:
        yield result
        n_done += size(result)
        now_s = time.monotonic()
        if now_s - said_s < _TELL_EVERY_S or not n_done:
            continue
        said_s = now_s
        if n_all is None:
            say(f"{what}: {n_done:,}")
            continue
        left_s = (now_s - started_s) / n_done * (n_all - n_done)
        left = f"{left_s:.0f} s" if left_s < 100 else f"{left_s / 60:.0f} min"
        say(f"{what}: {n_done:,} of {n_all:,}, about {left} left")


def in_processes(
    work: Callable[[TaskT], ResultT], tasks: Iterable[TaskT], jobs: int, *, longest_s: int = 120
) -> Iterator[tuple[TaskT, ResultT | Died]]:
    """Yield each task with its result, as they are done, in any order.

    Args:
        work: A module's function, or a `functools.partial` of one. What it raises ends its process
            as a crash does: it should return what is wrong with a task as a result.
        tasks: Taken one at a time, when a process is free; they and the results are pickled.
        jobs: Processes, at least one: no task runs in this one.
        longest_s: Seconds after which a process that works on one task is ended; 0 for never.
    """
    waiting = iter(tasks)
    workers: list[Worker[TaskT, ResultT]] = []
    try:
        for task in waiting:
            workers.append(Worker(work, longest_s))
            workers[-1].give(task)
            if len(workers) >= jobs:
                break
        while workers:
            ready = wait([worker.pipe for worker in workers])
            for worker in [worker for worker in workers if worker.pipe in ready]:
                task, result = worker.take()
                following = next(waiting, _NONE)
                if isinstance(result, Died) or isinstance(following, _Nothing):
                    worker.stop()
                    workers.remove(worker)
                if not isinstance(following, _Nothing):
                    if isinstance(result, Died):
                        worker = Worker(work, longest_s)
                        workers.append(worker)
                    worker.give(following)
                yield task, result
    finally:
        for worker in workers:  # of work that ends early: none is waited for
            worker.kill()
        for worker in workers:
            worker.stop()


class _Nothing:
    """What stands for the task after the last."""


_NONE = _Nothing()


class Worker(Generic[TaskT, ResultT]):
    """A process and the task it works on, one after the other.

    Attributes:
        pipe: Has something to read when the task is done or the process is gone.
    """

    def __init__(self, work: Callable[[TaskT], ResultT], longest_s: int = 0) -> None:
        """Start the process; the arguments are those of `in_processes`."""
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._longest_s = longest_s
        self._process: BaseProcess = context.Process(
            target=_serve, args=(theirs, work, longest_s), daemon=True
        )
        self._process.start()
        theirs.close()

    def is_alive(self) -> bool:
        """Return whether the process can be given a task."""
        return self._process.is_alive()

    def give(self, task: TaskT) -> None:
        """Let it work on a task."""
        self._task = task
        with contextlib.suppress(ConnectionError):  # the process is gone: take() will say so
            self.pipe.send(task)

    def take(self) -> tuple[TaskT, ResultT | Died]:
        """Wait for the task; return it with its result."""
        try:
            result: ResultT = self.pipe.recv()
        except (EOFError, ConnectionError):
            self._process.join()
            exit_code = self._process.exitcode
            return self._task, Died(_cause(exit_code, self._longest_s), exit_code)
        return self._task, result

    def kill(self) -> None:
        """End the process at once, with its task, which has died then; for signal handlers too."""
        self._process.kill()

    def stop(self) -> None:
        """End the process."""
        self.pipe.close()
        self._process.join(timeout=1)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _cause(exit_code: int | None, longest_s: int) -> str:
    if exit_code == -signal.SIGALRM:
        return f"it took more than {longest_s} s and was stopped"
    return f"the process that worked on it died (exit code {exit_code}); is memory short?"


def _serve(pipe: Connection, work: Callable[[TaskT], ResultT], longest_s: int) -> None:
    """Work on what comes through a pipe until the other end is gone; Ctrl-C is the parent's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            task = pipe.recv()
            # Its default is to end the process, even where a library never returns to Python.
            signal.alarm(longest_s)
            result = work(task)
            signal.alarm(0)
            pipe.send(result)
