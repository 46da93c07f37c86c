"""Compare recipes over protocols and seeds: do the jobs of a plan, then report from what they left.

The same command again resumes where it was. It is for one machine, on which it may run several
times at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from unheard.compare.plan import Comparison
from unheard.compare.runner import PROGRAM, Failure, Worker
from unheard.compare.status import Overview, State, overview
from unheard.errors import RecipeError
from unheard.types import Say

if TYPE_CHECKING:
    from unheard.compare.jobs import Job

__all__ = ["Failure", "Options", "Overview", "State", "compare", "lay_out", "overview"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a comparison is done.

    Attributes:
        n_jobs: Jobs at a time.
        only: Entries to do; empty for all.
        program: The program of the command line.
    """

    n_jobs: int = 1
    only: tuple[str, ...] = ()
    program: tuple[str, ...] = PROGRAM


PLAIN = Options()


def lay_out(
    plan: Comparison, data: Mapping[str, Path], out: Path, *, only: Sequence[str] = ()
) -> list[Job]:
    """Return all jobs of a plan, those that others need before these.

    Args:
        plan: What to compare.
        data: Manifest files, or folders of built corpora, by the name that entries call them by;
            "" is that of most. Empty to look at what is there.
        out: Folder of the comparison.
        only: Entries to do; empty for all.

    Raises:
        RecipeError: If a name in the plan does not exist.
        ManifestError: If a manifest cannot be used.
    """
    from unheard.compare.jobs import jobs_of, stages_of

    files = {
        name: file / "equalised.parquet" if file.is_dir() else file for name, file in data.items()
    }
    return jobs_of(plan, stages_of(plan, files, out), out, only=only)


def compare(
    plan: Comparison,
    data: Mapping[str, Path],
    out: Path,
    *,
    say: Say = lambda _: None,
    options: Options = PLAIN,
) -> list[Failure]:
    """Train and evaluate all of a plan that is not done yet; return the jobs that failed.

    Args:
        plan: What to compare.
        data: As `lay_out` takes it; all manifests that the entries want.
        out: Folder of the comparison.
        say: Receives progress, a line at a time.
        options: How.

    Raises:
        RecipeError: If a name in the plan does not exist, or a manifest is not given.
        ManifestError: If a manifest cannot be used.
    """
    for entry in plan.entries:
        if entry.data not in data and entry.name in (options.only or (entry.name,)):
            raise RecipeError(
                f"the entry {entry.name!r} is trained on the manifest {entry.data!r}, which is not "
                f"given; add --data {entry.data}=FILE, or leave the entry out with --only"
            )
    wanted = lay_out(plan, data, out, only=options.only)
    worker = Worker(wanted, n_jobs=options.n_jobs, program=options.program, say=say)
    return worker.work()
