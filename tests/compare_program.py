"""Stands in for the command line in tests of jobs: a step is a file, and may fail or take long.

Run as `compare_program.py STEP FOLDER HOW`; or, from the tests, as a process that does jobs.
"""

import os
import sys
import time
from pathlib import Path

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
STEPS = ("train", "evaluate", "cost")


def main(step: str, folder: Path, how: str) -> None:
    """Do a step in a way: "well", "fails", "killed", "lies", or "slow", the first step, once."""
    attempts = folder / "attempts"
    with attempts.open("a") as file:
        file.write(f"{step} {os.getpid()}\n")
    n_threads = "/".join(sorted({os.environ[name] for name in THREADS}))
    sys.stdout.write(f"{step} of {folder.name} with {n_threads} threads\n")
    sys.stdout.flush()
    if how == "fails":
        sys.exit("error: it broke; fix it\n\n")
    if how == "killed":
        os.kill(os.getpid(), 9)
    if how == "slow" and len(attempts.read_text().splitlines()) == 1:
        time.sleep(120)
    if how != "lies":
        (folder / f"{step}.done").touch()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
