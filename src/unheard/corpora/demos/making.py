"""From a recording to a clip on disk: read, check its hash, decode, cut, write. One process each.

What became of each is appended to a file of JSON lines, `cut.jsonl`, so that a build that was
killed resumes with what is missing.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from unheard import audio
from unheard.corpora.demos.choosing import Recording
from unheard.corpora.demos.cutting import WINDOW_S, cut, decode
from unheard.corpora.git_files import blob_content
from unheard.data.rows import Lines
from unheard.errors import AudioError, CorpusError
from unheard.types import FloatArray
from unheard.workers import Died, in_processes

__all__ = ["CutOutcome", "CutRows", "Task", "make_all"]

RULE = "cut 1"
"""Changes with the cut rule: clips of another rule are cut again."""


@dataclass(frozen=True)
class Task:
    """A clip to make.

    Attributes:
        id: Of the clip.
        name: What messages call it.
        origin: Git directory, or the clip in a pack.
        blob: Git's hash of the file; "" in a pack.
        sha256: Of the clip in a pack; "" in a git directory.
        target: File to write.
        window_s: Longest clip, seconds.
    """

    id: str
    name: str
    origin: Path
    blob: str
    sha256: str
    target: Path
    window_s: float

    @classmethod
    def of(cls, recording: Recording, origin: Path, folder: Path, *, pack: bool) -> Task:
        """Return the task of a recording.

        Args:
            recording: What to make a clip of.
            origin: Git directory of its page, or folder of the pack.
            folder: The corpus.
            pack: Whether origin is a pack.
        """
        listed = recording.listed
        return cls(
            id=recording.id,
            name=f"{recording.page.repo}/{recording.path}",
            origin=origin / recording.file if pack else origin,
            blob="" if pack else recording.blob,
            sha256=listed.sha256 if pack and listed is not None else "",
            target=folder / recording.file,
            window_s=WINDOW_S[recording.page.part],
        )


@dataclass(frozen=True)
class CutOutcome:
    """What became of a task.

    Attributes:
        id: Of the clip.
        error: Why there is none; "" if there is one.
        final: Whether trying again would end the same.
        duration_s: Length of the clip.
        sha256: Of its file.
        pcm_sha256: Of its samples, 16 bit little-endian.
        original_s: Length of the recording; 0 from a pack.
        original_rate_hz: Its rate; 0 from a pack.
    """

    id: str
    error: str = ""
    final: bool = True
    duration_s: float = 0.0
    sha256: str = ""
    pcm_sha256: str = ""
    original_s: float = 0.0
    original_rate_hz: int = 0


class CutRows:
    """The lines of `cut.jsonl`: what became of each recording; a context manager."""

    def __init__(self, path: Path) -> None:
        """Read the file, if there is one.

        Raises:
            CorpusError: If the file is something else, or another build is writing it.
        """
        self.of: dict[str, CutOutcome] = {}
        wrong = CorpusError(f"{path}: not as a build writes it; delete it, or choose another --out")
        with contextlib.ExitStack() as opened:
            self._lines = opened.enter_context(Lines(path, b'{"rule": ', wrong))
            rows = [row for _, row in self._lines]
            if rows and "rule" not in rows[0]:
                raise wrong
            if rows and rows[0] == {"rule": RULE}:
                try:
                    self.of = {row["id"]: CutOutcome(**row) for row in rows[1:]}
                except (TypeError, KeyError) as error:
                    raise wrong from error
            if not self.of:
                self._lines.clear()
                self._lines.add({"rule": RULE})
            self._opened = opened.pop_all()

    def __enter__(self) -> CutRows:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def add(self, outcome: CutOutcome) -> None:
        """Keep what became of a task, on its way to the disk when this returns."""
        self.of[outcome.id] = outcome
        if outcome.final:
            self._lines.add(asdict(outcome))

    def knows(self, task: Task) -> bool:
        """Return whether a task need not be done again; a clip that was altered must."""
        outcome = self.of.get(task.id)
        if outcome is None or not outcome.final:
            return False
        return bool(outcome.error) or _sha256(task.target) == outcome.sha256


def make_all(tasks: Iterable[Task], rows: CutRows, jobs: int) -> Iterator[CutOutcome]:
    """Cut what has no row yet, and yield what became of it.

    Args:
        tasks: Taken one at a time, so that those of a page are asked for when it is fetched.
        rows: Of what was done; those of what is done are added.
        jobs: Processes.
    """
    waiting = (task for task in tasks if not rows.knows(task))
    for task, result in in_processes(_outcome, waiting, jobs):
        outcome = result
        if isinstance(outcome, Died):
            outcome = CutOutcome(task.id, f"{task.name}: {outcome.why}", final=False)
        rows.add(outcome)
        yield outcome


def _outcome(task: Task) -> CutOutcome:
    try:
        return _cut(task)
    except AudioError as error:
        return CutOutcome(task.id, str(error))
    except (CorpusError, OSError) as error:
        return CutOutcome(task.id, f"{task.name}: {error}", final=False)
    except Exception as error:  # of a decoder: one file of strangers must not end a build
        return CutOutcome(task.id, f"{task.name}: {type(error).__name__}: {error}")


def _cut(task: Task) -> CutOutcome:
    facts: dict[str, float] = {}
    if task.blob:
        recording = decode(blob_content(task.origin, task.blob), task.name)
        length_s = recording.samples.size / audio.SAMPLE_RATE_HZ
        facts = {"original_s": round(length_s, 3), "original_rate_hz": recording.rate_hz}
        samples = cut(recording.samples, task.window_s)
    else:
        samples = _of_pack(task)
    audio.write(task.target, samples)
    levels = np.clip(np.rint(samples * 32768.0), -32768, 32767).astype("<i2")
    return CutOutcome(
        task.id,
        duration_s=samples.size / audio.SAMPLE_RATE_HZ,
        sha256=_sha256(task.target),
        pcm_sha256=hashlib.sha256(levels.tobytes()).hexdigest(),
        **facts,  # type: ignore[arg-type]
    )


def _sha256(path: Path) -> str:
    """Hash of a file, "" if there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _of_pack(task: Task) -> FloatArray:
    """The samples of a clip in a pack; written again by us, so that all sources give one file."""
    try:
        content = task.origin.read_bytes()
    except FileNotFoundError as error:
        raise CorpusError(f"no {task.origin}; give a whole pack") from error
    if hashlib.sha256(content).hexdigest() != task.sha256:
        raise CorpusError(f"{task.origin} is not the clip of the catalogue; fetch the pack again")
    return audio.read(io.BytesIO(content), minimum_s=0.0, name=task.name).samples
