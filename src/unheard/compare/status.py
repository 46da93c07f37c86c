"""How far a comparison is: the state of every job, the time and disk that the rest will take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from unheard.compare.runner import failed, is_running
from unheard.compare.time_used import read_time_used

if TYPE_CHECKING:
    from unheard.compare.jobs import Job

__all__ = ["Overview", "State", "overview"]


@dataclass(frozen=True)
class State:
    """How far a job is.

    Attributes:
        job: The job.
        state: "done", "to do", "begun", "running", "waits" or "failed".
        why: What it waits for, or why it failed.
        left_s: Seconds that it will take, from finished jobs of its entry; None if none is.
    """

    job: Job
    state: str
    why: str = ""
    left_s: float | None = None


@dataclass(frozen=True)
class Overview:
    """What a comparison has done and has still to do.

    Attributes:
        states: Of every job.
        disk_bytes: What the jobs hold on the disk now.
        disk_left_bytes: What those will that are to be done, as far as a finished job of the same
            entry says.
    """

    states: tuple[State, ...]
    disk_bytes: int
    disk_left_bytes: int

    @property
    def n_unknown(self) -> int:
        """Jobs to be done of which no duration is known."""
        return sum(state.state != "done" and state.left_s is None for state in self.states)

    @property
    def left_s(self) -> float:
        """Seconds of the jobs to be done, one after the other, as far as known."""
        return sum(state.left_s or 0.0 for state in self.states if state.state != "done")


def overview(wanted: Sequence[Job]) -> Overview:
    """Return how far jobs are, and what is left to be done."""
    done = {job.folder: job for job in wanted if not job.steps_left()}
    seconds: dict[str, list[float]] = {}
    sizes: dict[str, list[int]] = {}
    on_disk = {job.folder: _size(job.folder) for job in wanted}
    for folder, job in done.items():
        sizes.setdefault(job.name, []).append(on_disk[folder])
        took_s = sum(step.seconds for step in read_time_used(folder).values())
        if took_s:
            seconds.setdefault(job.name, []).append(took_s)
    states = []
    left_bytes = 0.0
    for job in wanted:
        known = seconds.get(job.name)
        left = sum(known) / len(known) if known else None
        states.append(_state(job, done=job.folder in done, left_s=left))
        if job.folder not in done and job.name in sizes:
            left_bytes += max(0.0, max(sizes[job.name]) - on_disk[job.folder])
    return Overview(tuple(states), sum(on_disk.values()), round(left_bytes))


def _state(job: Job, *, done: bool, left_s: float | None) -> State:
    if done:
        return State(job, "done")
    if is_running(job.folder):
        return State(job, "running", "", left_s)
    waits = [need.name for need in job.needs if need.card() is None]
    if waits:
        return State(job, "waits", ", ".join(waits), left_s)
    if reason := failed(job.folder):
        return State(job, "failed", reason, left_s)
    begun = job.folder.is_dir() and any(job.folder.iterdir())
    return State(job, "begun" if begun else "to do", "", left_s)


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
