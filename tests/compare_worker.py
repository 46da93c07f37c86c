"""Jobs without training, for tests of who does them; as a program, a process that does them.

Run as `compare_worker.py OUT N_JOBS HOW`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unheard.compare import runner
from unheard.compare.runner import Failure, Worker

PROGRAM = (sys.executable, "-S", "-E", str(Path(__file__).with_name("compare_program.py")))
STEPS = ("train", "evaluate", "cost")


@dataclass(frozen=True, eq=False)
class Job:
    """A job whose steps leave files, as the real one's do."""

    folder: Path
    how: str = "well"
    needs: tuple[Job, ...] = ()
    steps: tuple[str, ...] = STEPS

    @property
    def name(self) -> str:
        return self.folder.name

    label = name

    def steps_left(self) -> tuple[str, ...]:
        return tuple(step for step in self.steps if not (self.folder / f"{step}.done").exists())

    def card(self) -> str | None:
        return "card" if (self.folder / "train.done").exists() else None

    def command(self, step: str) -> list[str]:
        return [step, str(self.folder), self.how]

    def attempts(self) -> list[str]:
        """Return which steps were started, in order."""
        file = self.folder / "attempts"
        return [line.split()[0] for line in file.read_text().splitlines()] if file.exists() else []


def worker(jobs: Sequence[Job], **options: Any) -> Worker:
    """Return what does jobs by the program of the tests."""
    return Worker(jobs, program=PROGRAM, **options)  # type: ignore[arg-type]


def failed(failures: Sequence[Failure]) -> dict[str, str]:
    """Return why jobs failed, by name."""
    return {failure.job: failure.reason for failure in failures}


def many(out: Path, n: int, how: str) -> list[Job]:
    """Return jobs, every second of which stands on the one before it."""
    jobs: list[Job] = []
    for index in range(n):
        needs = (jobs[-1],) if index % 2 else ()
        jobs.append(Job(out / f"job{index}", how, needs))
    return jobs


if __name__ == "__main__":
    if os.environ.get("LEAVE_COMMANDS"):  # as on a system that does not end them with us
        runner._dying_with = lambda parent: None
    out = Path(sys.argv[1])
    failures = worker(many(out, int(sys.argv[2]), sys.argv[3]), n_jobs=2).work()
    sys.exit(len(failures))
