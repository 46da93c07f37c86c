"""The allocator keeps what is freed, unless the user has set it."""

import subprocess
import sys

import pytest

from unheard import memory

STEPS = """
import resource
import numpy as np
from unheard import memory
kept = memory.keep_freed() if {keep} else False
np.ones(20_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    np.ones(20_000_000)
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def run(keep: bool) -> tuple[bool, int]:
    """Return whether a new process was set to keep memory, and pages cleared for 480 MB."""
    text = subprocess.check_output([sys.executable, "-c", STEPS.format(keep=keep)], text=True)
    kept, pages = text.split()
    return kept == "True", int(pages)


def test_arrays_of_the_next_step_take_the_place_of_the_last_ones() -> None:
    kept, pages = run(keep=True)
    assert kept
    assert pages < run(keep=False)[1] / 10


@pytest.mark.parametrize("name", ["MALLOC_ARENA_MAX", "GLIBC_TUNABLES"])
def test_what_the_user_has_set_stays(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "")
    assert not memory.keep_freed()
