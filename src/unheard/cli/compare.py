"""`unheard compare`: many methods with many seeds, and which is better."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unheard.cli.shared import Jobs, folder_option, say

if TYPE_CHECKING:
    from unheard.compare import Failure, Overview

__all__ = ["compare"]


def compare(  # noqa: PLR0913  a command has the options that it has
    plan: Annotated[
        str,
        typer.Argument(
            help="Name of a plan (papers, papers_open, mldg, mixture, racl, growth_resnet18, "
            "growth_grnn, growth_ssl, smoke), or path of your own (.py)."
        ),
    ],
    out: Annotated[Path, folder_option("Folder for the runs, which plans share, and reports.")],
    data: Annotated[
        list[str] | None,
        typer.Option(
            help="Manifest, or the folder of a built corpus; again as NAME=MANIFEST for each that "
            "entries of the plan call by a name, such as twins. Not needed for --report."
        ),
    ] = None,
    jobs: Jobs = 1,
    only: Annotated[
        str | None, typer.Option(help="Entries of the plan to run, as in lora_small,lcnn.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and how far it is.")
    ] = False,
    report: Annotated[
        bool, typer.Option("--report", help="Make the report again from what is there.")
    ] = False,
    draws: Annotated[int, typer.Option(min=1, help="Bootstrap draws behind an interval.")] = 5000,
) -> None:
    """Train and evaluate every method of a plan with every seed, and report which is better.

    The same command resumes where it was. It may run several times at once on one machine: no job
    is done twice.
    """
    from unheard import compare as comparison
    from unheard.compare import plans
    from unheard.compare.report import write_report

    chosen = plans.load(plan)
    entries = tuple(only.split(",")) if only else ()
    files = _files(data or [])
    if not (files or report or dry_run):
        raise typer.BadParameter("give the manifest to train and test on with --data")
    if dry_run:
        _show_overview(
            comparison.overview(comparison.lay_out(chosen, files, out, only=entries)), jobs
        )
        return
    failures: list[Failure] = []
    if not report:
        options = comparison.Options(n_jobs=jobs, only=entries)
        failures = comparison.compare(chosen, files, out, say=say, options=options)
    command = shlex.join(["unheard", *sys.argv[1:]])
    everything = comparison.lay_out(chosen, files, out)
    for failure in failures:
        say(f"failed: {failure.job}: {failure.reason}; see {failure.log}")
    folder = out / "reports" / chosen.name
    result = write_report(chosen, everything, folder, command=command, n_draws=draws)
    for line in result.lines:
        rate = line.numbers.get("out_mean") or line.numbers.get("out_eer")
        if rate is not None:
            ends = f"[{rate.low:.2%}, {rate.high:.2%}]"
            typer.echo(
                f"{line.method:30} unknown families {rate.value:6.2%} {ends}, "
                f"{len(line.seeds)} seeds"
            )
    say(f"report: {folder / 'report.md'}")
    if failures:
        raise typer.Exit(1)


def _files(data: list[str]) -> dict[str, Path]:
    """Return manifests by name; a path alone is the one without a name."""
    files: dict[str, Path] = {}
    for text in data:
        name, equals, file = text.partition("=")
        if not (equals and name.isidentifier()):
            name, file = "", text
        if name in files:
            raise typer.BadParameter(f"--data {text}: there are two of that name; give one")
        files[name] = Path(file)
    return files


def _show_overview(overview: Overview, n_jobs: int) -> None:
    for state in overview.states:
        left = "" if state.left_s is None or state.state == "done" else f"  {_time(state.left_s)}"
        why = f"  {state.why}" if state.why else ""
        typer.echo(f"{state.state:8} {state.job.label}{why}{left}")
    typer.echo(_sum(overview, n_jobs))


def _sum(overview: Overview, n_jobs: int) -> str:
    """Say in one line what is left."""
    n_left = sum(state.state != "done" for state in overview.states)
    parts = [f"{n_left} of {len(overview.states)} jobs to do"]
    if n_left > overview.n_unknown:
        parts.append(f"about {_time(overview.left_s / n_jobs)} with {n_jobs} at a time")
    if overview.n_unknown:
        parts.append(f"{overview.n_unknown} of unknown time, as no job of their entry is done yet")
    parts.append(f"{overview.disk_bytes / 1e6:,.0f} MB on disk")
    if overview.disk_left_bytes:
        parts.append(f"about {overview.disk_left_bytes / 1e6:,.0f} MB more")
    return "; ".join(parts)


def _time(seconds: float) -> str:
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
