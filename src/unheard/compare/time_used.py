"""What the steps of a job have cost so far, in a file that outlives the process."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from unheard.files import in_one_step

__all__ = ["TimeUsed", "core_s_of", "read_time_used", "write_time_used"]

FILE = "spent.json"


@dataclass(frozen=True)
class TimeUsed:
    """Time that a step took, over all attempts.

    Attributes:
        seconds: By the clock.
        core_s: Of processors, those of several cores added up.
    """

    seconds: float = 0.0
    core_s: float = 0.0

    def __add__(self, other: TimeUsed) -> TimeUsed:
        return TimeUsed(self.seconds + other.seconds, self.core_s + other.core_s)


def read_time_used(folder: Path) -> dict[str, TimeUsed]:
    """Return what the steps of a job have cost, by step; those that are noted."""
    try:
        content = json.loads((folder / FILE).read_text())
        return {step: TimeUsed(**cost) for step, cost in content.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def write_time_used(folder: Path, step: str, cost: TimeUsed) -> None:
    """Write down what a step has cost, in place of what was noted of it before."""
    content = {
        name: asdict(step_cost)
        for name, step_cost in (read_time_used(folder) | {step: cost}).items()
    }
    with in_one_step(folder / FILE) as unfinished:
        unfinished.write_text(json.dumps(content) + "\n")


def core_s_of(pid: int) -> float:
    """Return the processor seconds of a process that runs; 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
