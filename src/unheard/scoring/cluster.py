"""Scoring an archive: shards of recordings, worked through on this machine or on a Ray cluster.

Both engines do the same with a shard (`unheard.data.row_shards.fill`), each worker with a Scorer in
a process of its own, so that a recording that crashes a decoder costs its row alone. The
machines of a cluster need Unheard, the detector and the recordings under the same paths or URLs.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any, Literal

from unheard.data import storage
from unheard.data.recordings import absolute
from unheard.data.row_shards import Filled, RowShards, Shard, fill
from unheard.errors import AudioError, BundleError, MissingExtra, RecipeError, UnheardError
from unheard.scoring.many import Row, ScorerProcess, Settings, Task
from unheard.workers import n_cores

__all__ = ["Engine", "score_archive"]

_N_AHEAD = 4
"""Recordings of an object store that are fetched while another is scored."""

_ROUND_S = 1.0
"""How long planning goes on before a cluster starts with what there is; workers start anew for
the rest, which the search finds meanwhile."""


@dataclass(frozen=True)
class Engine:
    """Where shards are worked through.

    Attributes:
        kind: "local" for processes of this machine, "ray" for a cluster.
        n_jobs: Workers; None for one on each processor of this machine, or of the cluster.
        address: Of a Ray cluster, such as "auto" on one of its machines, or "host:6379"; None
            starts one on this machine.
    """

    kind: Literal["local", "ray"] = "local"
    n_jobs: int | None = None
    address: str | None = None


def score_archive(
    recordings: Iterable[str], settings: Settings, row_shards: RowShards, engine: Engine
) -> Iterator[Filled]:
    """Give every recording a row in a folder of shards, and yield each shard once it is complete.

    All that was ever added to the folder is completed: what was killed resumes, failed recordings
    are tried again, changed ones are scored again.

    Args:
        recordings: Their paths or URLs; rows have them from the root, on any engine.
        settings: How to score.
        row_shards: Where rows go; entered.
        engine: Where to do it.

    Raises:
        BundleError: If the detector cannot be loaded, or a machine has another one.
        RecipeError: If a number of the settings does not fit.
        MissingExtra: If Ray is wanted and not installed.
    """
    key = settings.key()
    recordings = map(absolute, recordings)
    if engine.kind == "ray":
        settings = replace(settings, detector=settings.detector.absolute())
        yield from _on_ray(recordings, row_shards, settings, key, engine)
    else:
        n_jobs = engine.n_jobs or n_cores()
        yield from _on_this_machine(recordings, row_shards, settings, key, n_jobs)


class _Planning:
    """Files of a plan, made in a thread while those that are there are worked through.

    A context manager; at its end the rest is left unplanned.
    """

    def __init__(self, recordings: Iterable[str], row_shards: RowShards, n_workers: int) -> None:
        self._stopped = False
        self._files: Queue[str | BaseException | None] = Queue()
        self._thread = Thread(target=self._plan, args=(recordings, row_shards, n_workers))

    def __enter__(self) -> _Planning:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        self._thread.join()

    def files(self) -> Iterator[str]:
        """Yield each file of the plan once it is there.

        Raises:
            Exception: Whatever ends the planning.
        """
        while (file := self._files.get()) is not None:
            if isinstance(file, BaseException):
                raise file
            yield file

    def rounds(self) -> Iterator[list[str]]:
        """Yield the files of the plan in lists: those of a second, then those since, and so on."""
        files = self.files()
        for first in files:
            wait_until_s = time.monotonic() + _ROUND_S
            together = [first]
            while self._thread.is_alive() and time.monotonic() < wait_until_s:
                self._thread.join(timeout=0.01)
            together += itertools.islice(files, self._files.qsize())
            yield together

    def _plan(self, recordings: Iterable[str], row_shards: RowShards, n_workers: int) -> None:
        try:
            for file in row_shards.plan(self._until_stopped(recordings), n_workers):
                self._files.put(file)
            self._files.put(None)
        except BaseException as error:
            self._files.put(error)

    def _until_stopped(self, recordings: Iterable[str]) -> Iterator[str]:
        for recording in recordings:
            if self._stopped:
                return
            yield recording


def _on_this_machine(
    recordings: Iterable[str], row_shards: RowShards, settings: Settings, key: str, n_jobs: int
) -> Iterator[Filled]:
    """Work through shards in threads, each with its own scoring process."""
    workers = [_ShardWorker(row_shards, settings, key, n_jobs) for _ in range(n_jobs)]
    idle = list(workers)
    working: dict[Future[Filled], _ShardWorker] = {}
    with ExitStack() as opened:
        planning = opened.enter_context(_Planning(recordings, row_shards, n_jobs))
        shards = (shard for file in planning.files() for shard in row_shards.planned(file))
        for worker in workers:
            opened.callback(worker.close)
        pool = opened.enter_context(ThreadPoolExecutor(n_jobs))
        for worker in workers:  # called first, before the pool is waited for, at Ctrl-C too
            opened.callback(worker.stop)
        while True:
            while idle and (shard := next(shards, None)) is not None:
                worker = idle.pop()
                working[pool.submit(worker.fill, shard)] = worker
            if not working:
                return
            for done in wait(working, return_when=FIRST_COMPLETED).done:
                idle.append(working.pop(done))
                yield done.result()


class _ShardWorker:
    """What works through shards: a process with a Scorer, and what fetches recordings for it."""

    def __init__(
        self, row_shards: RowShards, settings: Settings, key: str, n_processes: int = 1
    ) -> None:
        self._row_shards = row_shards
        self._key = key
        self._process = ScorerProcess(settings, n_processes)
        self._stopped = False

    def fill(self, shard: Shard) -> Filled:
        return fill(self._row_shards, shard, self._key, self._scored)

    def _scored(self, wanted: Iterable[str]) -> Iterator[Row]:
        with tempfile.TemporaryDirectory(prefix="unheard-") as folder:
            for source, file in _as_files(wanted, Path(folder)):
                if self._stopped:
                    raise InterruptedError("the scoring was stopped")
                if isinstance(file, AudioError):
                    yield {"source": source, "error": str(file)}
                    continue
                yield self._process.score(Task(source, file))
                if storage.is_remote(source):
                    file.unlink(missing_ok=True)

    def stop(self) -> None:
        """Let it end after the recording that it scores; rows until then are saved."""
        self._stopped = True

    def close(self) -> None:
        self._process.close()


def _as_files(wanted: Iterable[str], folder: Path) -> Iterator[tuple[str, Path | AudioError]]:
    """Give each recording as a file, those of stores fetched ahead."""
    ahead: deque[tuple[str, Future[Path | AudioError]]] = deque()
    with ThreadPoolExecutor(_N_AHEAD) as pool:
        for source in wanted:
            ahead.append((source, pool.submit(_fetched, source, folder)))
            if len(ahead) > _N_AHEAD:
                first, file = ahead.popleft()
                yield first, file.result()
        for last, file in ahead:
            yield last, file.result()


def _fetched(source: str, folder: Path) -> Path | AudioError:
    if not storage.is_remote(source):
        return Path(source)
    try:
        return storage.fetch(source, folder)
    except AudioError as error:
        return error


def _import_ray() -> Any:
    """Return Ray, set to send no statistics of use and to say nothing but errors.

    It warns of how its own actors are made, of its start and of its token; we report progress.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        import ray.data
    except ImportError as error:
        raise MissingExtra("ray", "ray") from error
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    return ray


def _on_ray(
    recordings: Iterable[str], row_shards: RowShards, settings: Settings, key: str, engine: Engine
) -> Iterator[Filled]:
    """Work through shards in the actors of a Ray Data pipeline.

    A shard is the unit that Ray moves: if a machine is lost, others take over its shards.
    """
    ray = _import_ray()
    started = not ray.is_initialized()
    if started:
        local = {} if engine.address else {"include_dashboard": False}
        ray.init(
            address=engine.address or "local",
            log_to_driver=False,
            logging_level=logging.ERROR,
            **local,
        )
    try:
        n_workers = engine.n_jobs or max(1, int(ray.cluster_resources().get("CPU", 1)))
        with _Planning(recordings, row_shards, n_workers) as planning:
            for files in planning.rounds():
                yield from _in_actors(files, row_shards, settings, key, n_workers)
    finally:
        if started:
            ray.shutdown()


def _in_actors(
    files: list[str], row_shards: RowShards, settings: Settings, key: str, n_workers: int
) -> Iterator[Filled]:
    """Work through the shards of files of the plan, all workers from the start."""
    ray = _import_ray()
    out = row_shards.out if storage.is_remote(row_shards.out) else os.path.abspath(row_shards.out)
    # A block for each shard, by its place in the plan: no task has to cut blocks, which would
    # wait for a processor that the actors hold.
    planned = [
        {"file": file.rpartition("/")[2], "at": at}
        for file in files
        for at in range(row_shards.n_planned(file))
    ]
    n_most = min(n_workers, len(planned))
    shards = ray.data.from_items(planned, override_num_blocks=len(planned))
    filled = shards.map_batches(
        _Actor,
        fn_constructor_args=(out, settings, key),
        batch_size=1,
        num_cpus=1,
        compute=ray.data.ActorPoolStrategy(
            min_size=1, max_size=n_most, initial_size=n_most, max_tasks_in_flight_per_actor=1
        ),
    )
    for row in filled.iter_rows():
        yield _filled(row)


class _Actor:
    """What a worker of a cluster does with shards; their outcome comes back as text."""

    def __init__(self, out: str, settings: Settings, key: str) -> None:
        self._row_shards = RowShards(out)
        self._worker = _ShardWorker(self._row_shards, settings, key)
        self._settings = settings
        self._key = key

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        ((file, at),) = zip(batch["file"], batch["at"], strict=True)
        try:
            self._check()
            planned = self._row_shards.planned(f"{self._row_shards.out}/plan/{file}")
            shard = next(itertools.islice(planned, int(at), None))
            filled = asdict(self._worker.fill(shard))
        except UnheardError as error:
            filled = {"error": str(error), "kind": type(error).__name__}
        return {"filled": [json.dumps(filled)]}

    def _check(self) -> None:
        if self._settings.key() != self._key:
            raise BundleError(
                f"{os.uname().nodename}: {self._settings.detector} is another detector than on the "
                "machine that asks; copy the same bundle to all of them"
            )


def _filled(row: dict[str, str]) -> Filled:
    """Return the shard that a worker filled.

    Raises:
        UnheardError: If it could not work at all.
    """
    result = json.loads(row["filled"])
    if "error" in result:
        raise (RecipeError if result["kind"] == "RecipeError" else BundleError)(result["error"])
    return Filled(**result | {"errors": tuple(result["errors"])})
