"""The state of one application: what its routes share, and its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path

from fastapi import FastAPI

from unheard import __version__
from unheard.errors import ServiceError
from unheard.scoring.case_report import about
from unheard.scoring.scorer import OPERATING_POINTS, Scorer
from unheard.service.decoding import prepare
from unheard.service.engine import Engine
from unheard.service.jobs import Store
from unheard.service.keys import Keys
from unheard.service.limits import Limits
from unheard.service.runner import Runner
from unheard.service.shares import Turns
from unheard.service.stopping import Stopping
from unheard.service.stream import Streams
from unheard.service.telemetry import Telemetry

__all__ = ["App"]


class App:
    """The state of one application.

    Attributes:
        engine: Scores.
        store: Keeps jobs.
        runner: Works on them.
        turns: Who is scored next.
        stopping: Whether the service is about to end.
        keys: Who may ask; None lets everybody.
        streams: Answers WebSockets.
        telemetry: Counts.
        threads: Where requests are scored.
        info: What `/v1/info` says.
    """

    def __init__(
        self, scorer: Scorer, limits: Limits, jobs: Path, keys: Keys | None, n_threads: int
    ) -> None:
        self.telemetry = Telemetry()
        self.store = Store(jobs, limits)
        self.engine = Engine(scorer, limits, n_threads=n_threads)
        self.runner = Runner(self.store, self.engine, self.telemetry)
        self.streams = Streams(self.engine, self.telemetry, keys, self.runner)
        self.stopping = Stopping()
        self.keys = keys
        self.turns = Turns(limits.n_active, self.engine.shares.of)
        self.threads = ThreadPoolExecutor(2 * limits.n_active, thread_name_prefix="request")
        self.info = {
            "unheard": __version__,
            "detector": {**about(scorer.bundle.card), "sha256": scorer.bundle.sha256},
            "limits": asdict(limits),
            "operating_points": list(OPERATING_POINTS),
            "key_needed": keys is not None,
        }
        batcher, watch = self.engine.batcher, self.telemetry.watch
        watch("unheard_passes", "Passes through the detector.", lambda: batcher.n_passes)
        watch("unheard_windows", "Windows in them.", lambda: batcher.n_windows)
        watch("unheard_jobs_waiting", "Jobs that wait.", lambda: self.store.n_waiting())

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        """Work on jobs while the application runs; queue them again at its end."""
        await asyncio.to_thread(prepare)
        self.runner.start()
        yield
        await asyncio.to_thread(self.close)

    async def stop(self, late_s: float) -> None:
        """Begin to end: streams get their verdict so far, jobs wait for the next start.

        Requests that are not answered after a time are refused then.

        Args:
            late_s: That time.
        """
        asyncio.get_running_loop().call_later(late_s, self.stopping.be_late)
        jobs = asyncio.to_thread(self.runner.stop)
        await asyncio.gather(self.streams.stop(late_s), jobs)

    def reload(self) -> None:
        """Read the keys again; what cannot be read leaves them as they are."""
        if self.keys is None:
            return
        try:
            self.keys.reload()
        except ServiceError as error:
            self.telemetry.note("keys", code=None, problem=str(error))
            return
        self.telemetry.note("keys", code=None, names=self.keys.names())
        self.streams.end_revoked()

    def close(self) -> None:
        """Let jobs wait for the next start, finish what is answered, let go of everything."""
        self.runner.stop()
        self.threads.shutdown()
        self.streams.close()
        self.engine.close()
        self.store.close()
