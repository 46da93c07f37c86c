"""Threads that score what waits in the store of jobs."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from unheard.errors import UnheardError
from unheard.service.engine import Engine, Upload, Work
from unheard.service.jobs import Job, Store
from unheard.service.telemetry import Telemetry, error_fields
from unheard.types import FloatArray

__all__ = ["Runner"]

_IDLE_S = 60.0
_KEEP_S = 1.0
"""How often the scores of windows are written."""


@dataclass(frozen=True)
class _Ended:
    """What came of a job, until the store has it."""

    job: Job
    progress_s: float
    outcome: dict[str, Any]


class _Kept:
    """Scores of a job's windows: those of earlier runs, and new ones, written every second."""

    def __init__(self, runner: Runner, job: Job, work: Work, found: dict[bytes, bytes]) -> None:
        self._runner, self._job, self._work = runner, job, work
        self._found = found
        self._new: dict[bytes, bytes] = {}
        self._written_s = time.monotonic()

    def find(self, window: bytes) -> FloatArray | None:
        outputs = self._found.get(window)
        return None if outputs is None else np.frombuffer(outputs, np.float64)

    def keep(self, window: bytes, outputs: FloatArray) -> None:
        self._new[window] = outputs.astype(np.float64).tobytes()
        if time.monotonic() - self._written_s >= _KEEP_S:
            self.write()

    def write(self) -> None:
        self._runner.keep_windows(self._job, self._work, self._new)
        self._new = {}
        self._written_s = time.monotonic()


class Runner:
    """Takes jobs out of a store, one for each of its threads, until it is stopped."""

    def __init__(self, store: Store, engine: Engine, telemetry: Telemetry) -> None:
        self._store = store
        self._engine = engine
        self._telemetry = telemetry
        self._running: dict[str, Work] = {}
        self._ended: deque[_Ended] = deque()
        self._suspects: set[str] = set()
        self._n_beside = 0
        self._marked_alone = False
        self._changed = threading.Condition()
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._run, name=f"job-{number}", daemon=True)
            for number in range(engine.limits.n_jobs)
        ]

    def start(self) -> None:
        """Begin with what waits."""
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Wake a thread, since a job was added."""
        with self._changed:
            self._changed.notify()

    def progress_s(self, job: Job) -> float:
        """Return the seconds of a job's audio that are scored."""
        work = self._running.get(job.id)
        return job.progress_s if work is None else max(job.progress_s, work.progress_s)

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Say that something else is scored beside the jobs: if the service dies, it may be that.

        That is written before it begins; that it has ended, with the next windows of a job.
        """
        with self._changed:
            self._n_beside += 1
            if self._marked_alone:
                self._mark_alone()
        try:
            yield
        finally:
            with self._changed:
                self._n_beside -= 1

    def forget(self, job: str) -> None:
        """Stop a job, if it is running, and delete it."""
        with self._changed:  # so that none is taken and not yet known as running
            if work := self._running.get(job):
                work.stopped.set()
            self._store.delete(job)

    def stop(self) -> None:
        """Queue again what is running, and end the threads."""
        with self._changed:
            self._stopping = True
            for work in self._running.values():
                work.stopped.set()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        try:
            self._keep()
        except Exception as error:  # they are scored again after the next start
            self._telemetry.fault(error, "")

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._work()
            except Exception as error:  # such as a full disk: other jobs may still be done
                self._telemetry.fault(error, "")
                with self._changed:
                    if not self._stopping:
                        self._changed.wait(_IDLE_S)

    def _work(self) -> None:
        while taken := self._next():
            job, work = taken
            try:
                self._score(job, work)
            finally:
                with self._changed:
                    del self._running[job.id]
                    self._suspects.discard(job.id)
                    self._changed.notify_all()  # those that wait to run alone

    def _next(self) -> tuple[Job, Work] | None:
        """Return a job and its work; None at the end."""
        with self._changed:
            while not self._stopping:
                self._keep()
                self._store.expire()
                if job := self._take():
                    work = Work(job.request_id, self._engine.limits.longest_job_s, owner=job.owner)
                    work.kept = _Kept(self, job, work, self._store.windows(job.id))
                    self._running[job.id] = work
                    self._mark_alone()
                    return job, work
                self._changed.wait(_IDLE_S)
            return None

    def _take(self) -> Job | None:
        """Return a job that may be scored beside those that run; a suspect runs alone."""
        if self._suspects:
            return None
        job = self._store.take(self._engine.shares.of, suspects=not self._running)
        if job is not None and job.is_suspect:
            self._suspects.add(job.id)
        return job

    def keep_windows(self, job: Job, work: Work, windows: dict[bytes, bytes]) -> None:
        """Write the scores of a job's windows; what cannot be written is scored again."""
        with self._changed:
            if job.id not in self._running or not windows:
                return
            self._marked_alone = not self._n_beside and len(self._running) == 1
            try:
                self._store.keep_windows(
                    job.id, windows, work.progress_s, is_alone=self._marked_alone
                )
            except sqlite3.Error as error:
                self._telemetry.fault(error, job.request_id)

    def _mark_alone(self) -> None:
        """Write whether the jobs that run have the service for themselves."""
        self._marked_alone = not self._n_beside and len(self._running) == 1
        try:
            self._store.mark_alone(self._marked_alone)
        except sqlite3.Error as error:  # such as a full disk: scoring goes on
            self._telemetry.fault(error, "")

    def _score(self, job: Job, work: Work) -> None:
        try:
            with self._store.open(job.id) as file:
                upload = Upload(file, job.name, job.n_bytes, job.sha256)
                result = self._engine.score(upload, job.options, work)
        except Exception as error:
            if work.stopped.is_set():
                cast(_Kept, work.kept).write()
                self._store.requeue(job.id)
                self._telemetry.note("job", job=job.id, status="stopped", code=None)
                return
            if not isinstance(error, UnheardError):
                self._telemetry.fault(error, job.request_id)
            self._end(job, work, error=error_fields(error, job.request_id))
            return
        self._telemetry.scored(result["verdict"])
        self._end(job, work, result=result)

    def _end(self, job: Job, work: Work, **outcome: Any) -> None:
        self._ended.append(_Ended(job, work.progress_s, outcome))
        self._keep()

    def _keep(self) -> None:
        """Write what came of jobs; what cannot be written is kept until the next time."""
        with self._changed:
            while self._ended:
                ended = self._ended[0]
                try:
                    self._store.end(ended.job.id, progress_s=ended.progress_s, **ended.outcome)
                except (OSError, sqlite3.Error):
                    raise
                except Exception as error:  # it never can be
                    outcome = {"error": error_fields(error, ended.job.request_id)}
                    self._ended[0] = replace(ended, outcome=outcome)
                    raise
                self._ended.popleft()
                self._note(ended)

    def _note(self, ended: _Ended) -> None:
        status = "failed" if "error" in ended.outcome else "done"
        self._telemetry.jobs.labels(status).inc()
        self._telemetry.note(
            "job",
            job=ended.job.id,
            request_id=ended.job.request_id,
            status=status,
            audio_s=round(ended.progress_s, 1),
            code=ended.outcome.get("error", {}).get("code"),
        )
