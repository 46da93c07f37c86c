"""Scoring many recordings, in one process or several.

A row is `Verdict.to_dict()`, or `{"source", "error"}` for a file that could not be scored. One bad
file costs one row. A process that dies (a decoder can crash) costs the file that it scores.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from unheard import __version__, audio, memory
from unheard.data import shards, storage
from unheard.detectors.bundle_files import WEIGHTS
from unheard.errors import AudioError, BundleError, RecipeError, UnheardError
from unheard.files import OutputError
from unheard.scoring.scorer import Scorer
from unheard.scoring.verdict import MINIMUM_SPEECH_S, Verdict
from unheard.types import FloatArray
from unheard.workers import Died, Worker, in_processes, n_cores

__all__ = ["Draw", "Row", "ScorerProcess", "Settings", "Task", "score_many"]

Row = dict[str, Any]

Draw = Callable[[Verdict, Path, Path], object]
"""What draws a picture of a verdict: (verdict, its audio, picture file)."""


@dataclass(frozen=True)
class Settings:
    """How to score; the attributes are those of `Scorer`, with the bundle as a path."""

    detector: Path
    operating_point: str = "sure"
    threshold: float | None = None
    spoof_prior: float = 0.5
    minimum_speech_s: float = MINIMUM_SPEECH_S
    hop_s: float | None = None
    channel: str = "mix"
    track: str = "default"

    def scorer(self) -> Scorer:
        """Load the detector.

        Raises:
            BundleError: If it cannot be loaded.
            RecipeError: If a number does not fit.
        """
        from unheard.detectors import bundle

        return Scorer(
            bundle.load(self.detector),
            operating_point=self.operating_point,
            threshold=self.threshold,
            spoof_prior=self.spoof_prior,
            minimum_speech_s=self.minimum_speech_s,
            hop_s=self.hop_s,
            channel=self.channel,
            track=self.track,
        )

    def experts(self) -> tuple[str, ...]:
        """Return the names of the detectors that the detector is a mixture of; none for most.

        Raises:
            BundleError: If there is no bundle.
        """
        from unheard.detectors import bundle

        return bundle.experts_of(self.detector)

    def key(self) -> str:
        """Return a hash that changes whenever scores or decisions may.

        Raises:
            BundleError: If there is no bundle.
        """
        card = self.detector / "bundle.json"
        try:
            text = card.read_bytes()
        except OSError as error:
            raise BundleError(
                f"{self.detector}: holds no bundle.json that can be read; "
                "give the folder of a detector, as `unheard train` writes it"
            ) from error
        with contextlib.suppress(ValueError, AttributeError):
            stated = json.loads(text)
            stated.pop("results", None)  # a later evaluation changes no score
            text = json.dumps(stated, sort_keys=True).encode()
        numbers = repr((__version__, *astuple(self)[1:]))
        return hashlib.sha256(text + numbers.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Task:
    """One recording to score.

    Attributes:
        source: Path as the user wrote it, or "-" for standard input.
        audio: File that holds it; or a name in a shard, as a manifest has it.
        picture: File to draw the timeline to, if any.
        change: What is done to the samples [T] before they are scored, if anything; a module's
            function, or a `functools.partial` of one, so that it reaches other processes.
        url: Where it is fetched from first, if it lies in a store.
    """

    source: str
    audio: Path
    picture: Path | None = None
    change: Callable[[FloatArray], FloatArray] | None = None
    url: str = ""

    @property
    def place(self) -> str:
        """Path or URL of the file that holds it."""
        return self.url or str(self.audio)


def score_many(
    tasks: Sequence[Task], settings: Settings, *, n_jobs: int = 1, draw: Draw | None = None
) -> Iterator[Row]:
    """Score recordings, and give a row for each as it is done.

    With one job the files are scored in this process, in order. With more, in as many processes,
    and a crash of one costs one file. One file alone is scored in this process; jobs that are more
    than files score parts of them side by side, if the detector was exported.

    Args:
        tasks: What to score.
        settings: How.
        n_jobs: Number of processes.
        draw: Draws the pictures that tasks ask for; must be a module's function.

    Raises:
        BundleError: If the detector cannot be loaded.
        RecipeError: If a number of the settings does not fit.
    """
    n_processes = max(1, min(n_jobs, len(tasks)))
    n_threads = n_jobs // n_processes
    if n_processes > 1:
        work = partial(_score_apart, settings, n_processes, n_threads, draw)
        for task, result in in_processes(work, tasks, n_processes, longest_s=0):
            yield _row(task, result)
        return
    if not tasks:
        return
    memory.keep_freed()
    scorer = _with_threads(settings.scorer(), n_threads)
    for task in tasks:
        yield _score(scorer, task, draw)


def _score(scorer: Scorer, task: Task, draw: Draw | None) -> Row:
    try:
        with contextlib.ExitStack() as opened:
            if task.url:
                folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="unheard-"))
                task = replace(task, audio=storage.fetch(task.url, Path(folder)), url="")
            return _verdict(scorer, task, draw).to_dict()
    except (UnheardError, OutputError) as error:
        return {"source": task.source, "error": str(error)}
    except OSError as error:
        text = f"{error.filename or task.source}: {error.strerror or error}"
        advice = "check that it is there, its permissions, and the space on the disk"
        return {"source": task.source, "error": f"{task.source}: {text}; {advice}"}
    except Exception as error:  # a fault of ours or of a library must not end a batch
        text = f"{task.source}: {type(error).__name__}: {error}; please report this file"
        return {"source": task.source, "error": text}


def _verdict(scorer: Scorer, task: Task, draw: Draw | None) -> Verdict:
    source: Path | bytes = task.audio
    stamp = storage.stamp(str(task.audio)) if task.picture else storage.GONE
    if shards.MARK in str(task.audio) and not task.audio.exists():
        source = shards.source(Path(), str(task.audio))
    if task.change is None:
        verdict = scorer.file(source, name=task.source)
    else:
        recording = audio.read(source, minimum_s=0.0, name=task.source)
        verdict = scorer.samples(task.change(recording.samples), name=task.source)
    if draw is not None and task.picture is not None:
        if storage.stamp(str(task.audio)) != stamp:
            raise AudioError(f"{task.source}: changed while it was scored; score it again")
        draw(verdict, task.audio, task.picture)
    return verdict


class ScorerProcess:
    """A Scorer in a process of its own, started when it is first needed and after a crash.

    A context manager; threads may each have one.
    """

    def __init__(self, settings: Settings, n_processes: int = 1) -> None:
        """Note how to score; the settings are looked at when the first recording is scored.

        Args:
            settings: How.
            n_processes: Processes that share the machine, this one included.
        """
        self._settings = settings
        self._n_processes = n_processes
        self._worker: Worker[Task, Row | UnheardError] | None = None

    def __enter__(self) -> ScorerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def score(self, task: Task) -> Row:
        """Score one recording; a crash is a row with its error.

        Raises:
            BundleError: If the detector cannot be loaded.
            RecipeError: If a number of the settings does not fit.
        """
        if self._worker is None or not self._worker.is_alive():
            self.close()
            self._worker = Worker(partial(_score_apart, self._settings, self._n_processes, 1, None))
        self._worker.give(task)
        return _row(*self._worker.take())

    def kill(self) -> None:
        """End the process with what it scores, whose row says that it died; for signal handlers."""
        if self._worker is not None:
            self._worker.kill()

    def close(self) -> None:
        """End the process, if there is one."""
        if self._worker is not None:
            self._worker.stop()
            self._worker = None


def _score_apart(
    settings: Settings, n_processes: int, n_threads: int, draw: Draw | None, task: Task
) -> Row | UnheardError:
    """Score a task in a process that is one of several; what keeps it from any is returned."""
    try:
        scorer = _with_threads(_loaded(settings, n_processes), n_threads)
    except UnheardError as error:
        return error if isinstance(error, RecipeError) else BundleError(str(error))
    return _score(scorer, task, draw)


@lru_cache(maxsize=1)
def _loaded(settings: Settings, n_processes: int) -> Scorer:
    memory.keep_freed()
    if (settings.detector / WEIGHTS).exists():  # torch reads it; a graph computes in one thread
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, n_cores() // n_processes)))
    return settings.scorer()


def _with_threads(scorer: Scorer, n_threads: int) -> Scorer:
    """Let threads score windows where torch does not use them already."""
    if n_threads == 1 or scorer.bundle.card.export is None:
        return scorer
    return replace(scorer, n_threads=n_threads)


def _row(task: Task, result: Row | UnheardError | Died) -> Row:
    """Return what another process made of a task.

    Raises:
        BundleError: If the detector cannot be loaded.
        RecipeError: If a number of the settings does not fit.
    """
    if isinstance(result, UnheardError):
        raise result
    if isinstance(result, Died):
        return {
            "source": task.source,
            "error": f"{task.source}: the process that scored it died "
            f"(exit code {result.exit_code}); the file may be hostile or memory ran out: "
            "convert it to WAV, or use fewer --jobs",
        }
    return result
