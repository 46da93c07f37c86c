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
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from unheard.data import storage
from unheard.data.recordings import absolute
from unheard.data.row_shards import Filled, RowShards, Shard, fill
from unheard.errors import AudioError, BundleError, MissingExtra, RecipeError, UnheardError
from unheard.scoring.many import Row, ScorerProcess, Settings, Task

__all__ = ["Engine", "score_archive"]

_N_AHEAD = 4
"""Recordings of an object store that are fetched while another is scored."""


@dataclass(frozen=True)
class Engine:
    """Where shards are worked through.

    Attributes:
        kind: "local" for processes of this machine, "ray" for a cluster.
        n_jobs: Workers; None for one on this machine, and for as many as fit on a cluster.
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
    if engine.kind == "ray":
        _import_ray()
    row_shards.add(map(absolute, recordings))
    if engine.kind == "ray":
        settings = replace(settings, detector=settings.detector.absolute())
        yield from _on_ray(row_shards, settings, key, engine)
    else:
        yield from _on_this_machine(row_shards, settings, key, engine.n_jobs or 1)


def _on_this_machine(
    row_shards: RowShards, settings: Settings, key: str, n_jobs: int
) -> Iterator[Filled]:
    """Work through shards in threads, each with its own scoring process."""
    workers = [_ShardWorker(row_shards, settings, key, n_jobs) for _ in range(n_jobs)]
    idle = list(workers)
    shards = (shard for file in row_shards.plan_files() for shard in row_shards.planned(file))
    working: dict[Future[Filled], _ShardWorker] = {}
    with ExitStack() as opened:
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
    """Return Ray, set to send no statistics of use."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray.data
    except ImportError as error:
        raise MissingExtra("ray", "ray") from error
    return ray


def _on_ray(
    row_shards: RowShards, settings: Settings, key: str, engine: Engine
) -> Iterator[Filled]:
    """Work through shards in the actors of a Ray Data pipeline.

    A shard is the unit that Ray moves: if a machine is lost, others take over its shards.
    """
    ray = _import_ray()
    started = not ray.is_initialized()
    if started:
        local = {} if engine.address else {"include_dashboard": False}
        ray.init(address=engine.address or "local", log_to_driver=False, **local)
    try:
        if not row_shards.plan_files():
            return
        logging.getLogger("ray.data").setLevel(logging.ERROR)  # we report progress
        ray.data.DataContext.get_current().enable_progress_bars = False
        out = (
            row_shards.out if storage.is_remote(row_shards.out) else os.path.abspath(row_shards.out)
        )
        # A block for each shard, by its place in the plan: no task has to cut blocks, which would
        # wait for a processor that the actors hold.
        planned = [
            {"file": file.rpartition("/")[2], "at": at}
            for file in row_shards.plan_files()
            for at in range(row_shards.n_planned(file))
        ]
        shards = ray.data.from_items(planned, override_num_blocks=len(planned))
        filled = shards.map_batches(
            _Actor,
            fn_constructor_args=(out, settings, key),
            batch_size=1,
            num_cpus=1,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=engine.n_jobs),
        )
        for row in filled.iter_rows():
            yield _filled(row)
    finally:
        if started:
            ray.shutdown()


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
