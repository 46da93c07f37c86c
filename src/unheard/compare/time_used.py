"""What the steps of a job have cost so far, in a file that outlives whoever does the job."""

from __future__ import annotations

import json
import os
import resource
from dataclasses import asdict, dataclass
from pathlib import Path

from unheard.files import in_one_step

__all__ = ["Spent", "core_s_of", "core_s_of_children", "note", "spent"]

FILE = "spent.json"


@dataclass(frozen=True)
class Spent:
    """Time that a step took, over all attempts.

    Attributes:
        seconds: By the clock.
        core_s: Of processors, those of several cores added up.
    """

    seconds: float = 0.0
    core_s: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.seconds + other.seconds, self.core_s + other.core_s)


def spent(folder: Path) -> dict[str, Spent]:
    """Return what the steps of a job have cost, by step; those that are noted."""
    try:
        told = json.loads((folder / FILE).read_text())
        return {step: Spent(**one) for step, one in told.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def note(folder: Path, step: str, cost: Spent) -> None:
    """Write down what a step has cost, in place of what was noted of it before."""
    told = {name: asdict(one) for name, one in (spent(folder) | {step: cost}).items()}
    with in_one_step(folder / FILE) as unfinished:
        unfinished.write_text(json.dumps(told) + "\n")


def core_s_of_children() -> float:
    """Return the processor seconds of all processes that this one started and saw end."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def core_s_of(pid: int) -> float:
    """Return the processor seconds of a process that runs; 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
