"""Threads that score what waits in the store of jobs."""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from dataclasses import dataclass, replace
from typing import Any

from unheard.errors import UnheardError
from unheard.service.engine import Engine, Upload, Work
from unheard.service.jobs import Job, Store
from unheard.service.telemetry import Telemetry, error_fields

__all__ = ["Runner"]

_IDLE_S = 60.0


@dataclass(frozen=True)
class _Ended:
    """What came of a job, until the store has it."""

    job: Job
    progress_s: float
    outcome: dict[str, Any]


class Runner:
    """Takes jobs out of a store, one for each of its threads, until it is stopped."""

    def __init__(self, store: Store, engine: Engine, telemetry: Telemetry) -> None:
        self._store = store
        self._engine = engine
        self._telemetry = telemetry
        self._running: dict[str, Work] = {}
        self._ended: deque[_Ended] = deque()
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
        return job.progress_s if work is None else work.progress_s

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
                del self._running[job.id]

    def _next(self) -> tuple[Job, Work] | None:
        """Return a job and its work; None at the end."""
        with self._changed:
            while not self._stopping:
                self._keep()
                self._store.expire()
                if job := self._store.take():
                    work = Work(job.request_id, self._engine.limits.longest_job_s)
                    self._running[job.id] = work
                    return job, work
                self._changed.wait(_IDLE_S)
            return None

    def _score(self, job: Job, work: Work) -> None:
        try:
            with self._store.open(job.id) as file:
                upload = Upload(file, job.name, job.n_bytes, job.sha256)
                result = self._engine.score(upload, job.options, work)
        except Exception as error:
            if work.stopped.is_set():
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
