"""`unheard score`: a verdict for each recording."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from unheard.cli.archive import into_shards, show, show_changes, tell_found, wants_shards
from unheard.cli.drawn import Drawn, pictures_of, what_to_draw
from unheard.cli.interrupt import ending_soon
from unheard.cli.shared import (
    SHIPPED,
    Channel,
    Detector,
    Hop,
    MinSpeech,
    OperatingPoint,
    SpoofPrior,
    Threshold,
    Track,
    detector_folder,
    say,
    settings_of,
    shown,
)

if TYPE_CHECKING:
    from unheard.data.recordings import Search
    from unheard.data.rows import RowFile
    from unheard.scoring.many import Row, Settings, Task

__all__ = ["score"]

NOT_WITH_SHARDS = "a folder of shards has no --json, --timeline, --explain or --report"
NOT_WITH_COMPARE = (
    "--compare names both detectors and writes one table: leave out --detector, --timeline, "
    "--explain, --report, --engine, and a folder as --out"
)


def score(  # noqa: PLR0913  a command has the options that it has
    paths: Annotated[
        list[str],
        typer.Argument(
            help="Files, folders, globs and URLs; lists of them (.txt) and tables with a column "
            "path or filename (.csv, .tsv, .jsonl, .parquet); - for standard input."
        ),
    ],
    detector: Detector = SHIPPED,
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="OLD NEW",
            help="Score with two detectors instead, named as --detector names one: what changes in "
            "scores and decisions, the largest moves first. --out writes all of it as a table.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write one JSON object per file and line.")
    ] = False,
    out: Annotated[
        str | None,
        typer.Option(
            help="Write rows to a .parquet, .csv or .jsonl file, or to Parquet files in a folder "
            "(FOLDER/, or its URL). The same command again goes on where it stopped and leaves out "
            "files that have not changed."
        ),
    ] = None,
    every_file: Annotated[
        bool,
        typer.Option(
            "--all",
            help="Search folders for whatever begins like audio: hidden files and files of any "
            "name too.",
        ),
    ] = False,
    follow_symlinks: Annotated[
        bool, typer.Option("--follow-symlinks", help="Search linked folders too, each once.")
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processes, which share one long file too; one for each processor if left out. "
            "From 2 on, a crash costs one file.",
        ),
    ] = None,
    engine: Annotated[
        Literal["local", "ray"],
        typer.Option(help="What scores into a folder: this machine, or a Ray cluster."),
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option(help="Ray cluster, such as auto or host:6379; one here if left out."),
    ] = None,
    timeline: Annotated[
        str | None,
        typer.Option(
            help="Draw each verdict along time: into a .png, .pdf or .svg for one file, a folder/ "
            "for many."
        ),
    ] = None,
    explain: Annotated[
        str | None,
        typer.Option(
            help="Draw what each expert of a mixture says along time and how much it counts, and "
            "print a line for each: into a .png for one file, a folder/ for many."
        ),
    ] = None,
    report: Annotated[
        str | None,
        typer.Option(
            help="Write a report for a case file, as HTML, PDF and JSON beside each other: into a "
            ".html for one file, a folder/ for many."
        ),
    ] = None,
    operating_point: OperatingPoint = "sure",
    threshold: Threshold = None,
    spoof_prior: SpoofPrior = 0.5,
    min_speech: MinSpeech = 0.5,
    hop: Hop = None,
    channel: Channel = "mix",
    track: Track = "default",
) -> None:
    """Score recordings: a verdict for each, with the scores of its parts."""
    settings = replace(
        settings_of(detector, operating_point, threshold, spoof_prior, min_speech, hop),
        channel=channel,
        track=track,
    )
    from unheard.data.recordings import Search
    from unheard.workers import n_cores

    search = Search(every_file, follow_symlinks)
    drawn = what_to_draw(settings, timeline, explain, report)
    if compare:
        if drawn or wants_shards(out, engine) or detector != detector_folder(SHIPPED):
            raise typer.BadParameter(NOT_WITH_COMPARE)
        pair = tuple(replace(settings, detector=detector_folder(name)) for name in compare)
        _compare(paths, pair, search, out, jobs or n_cores(), as_json)
        return
    if wants_shards(out, engine):
        from unheard.scoring.cluster import Engine

        if as_json or drawn:
            raise typer.BadParameter(NOT_WITH_SHARDS)
        into_shards(paths, settings, str(out), Engine(engine, jobs, address), search)
        return
    with ending_soon(_how_to_resume(out)), contextlib.ExitStack() as opened:
        tasks = _tasks(paths, drawn, search, out is not None, opened)
        row_file = _row_file(out, settings.key(), opened)
        tell_found(search, as_json=as_json)
        n_new = n_verdicts = 0
        for row in _scored(tasks, settings, row_file, jobs or n_cores(), drawn):
            n_new += 1
            n_verdicts += row.get("score") is not None
            show(row, as_json=as_json, quiet=row_file is not None, explain=bool(explain))
        if row_file is not None:
            row_file.finish()
            n_verdicts = sum(row_file.has_verdict(task.source) for task in tasks)
    n_asked = len(tasks) + len(search.errors)
    detectors = {} if as_json else {"detector": settings.detector}
    _sum_up(n_verdicts, n_asked, len(tasks) - n_new, out, detectors)


def _compare(
    paths: list[str],
    pair: tuple[Settings, ...],
    search: Search,
    out: str | None,
    n_jobs: int,
    as_json: bool,
) -> None:
    """Score with the old and the new detector and show what changes; leave by the code."""
    from unheard.scoring.changes import brief, changes, write

    with ending_soon(_how_to_resume(out)), contextlib.ExitStack() as opened:
        tasks = _tasks(paths, None, search, out is not None, opened)
        _check_name(out)
        tell_found(search, as_json=as_json)
        found: list[list[Row]] = []
        for word, settings in zip(("old", "new"), pair, strict=True):
            kept = None if out is None else f"{out}.{word}.jsonl"
            row_file = _row_file(kept, settings.key(), opened)
            rows = [brief(row) for row in _scored(tasks, settings, row_file, n_jobs)]
            found.append(rows if row_file is None else list(map(brief, row_file.rows())))
        changed = changes([task.source for task in tasks], *found)
        if out is not None:
            write(changed, Path(out))
    show_changes(changed, as_json=as_json)
    n_both = sum(row["change"] is not None for row in changed)
    detectors = {} if as_json else {"old": pair[0].detector, "new": pair[1].detector}
    _sum_up(n_both, len(tasks) + len(search.errors), 0, out, detectors)


def _scored(
    tasks: list[Task],
    settings: Settings,
    row_file: RowFile | None,
    n_jobs: int,
    drawn: Drawn | None = None,
) -> Iterator[Row]:
    """Score what a row file does not have yet, or all without one; its new rows, in order."""
    from unheard.data import storage
    from unheard.scoring.many import score_many

    stamps: dict[str, storage.Stamp] = {}
    if row_file is not None:
        stamps = {task.source: storage.stamp(task.place) for task in tasks}
        tasks = [task for task in tasks if not row_file.is_done(task.source, stamps[task.source])]
    with _progress(len(tasks), quiet=row_file is not None) as advance:
        done: dict[str, Row] = {}
        waiting = deque(task.source for task in tasks)
        for row in score_many(tasks, settings, n_jobs=n_jobs, draw=drawn and drawn.draw):
            if row_file is not None:
                row_file.add(row, stamps[row["source"]])
            done[row["source"]] = row
            advance()
            while waiting and waiting[0] in done:
                yield done.pop(waiting.popleft())


def _tasks(
    paths: list[str],
    drawn: Drawn | None,
    search: Search,
    kept: bool,
    opened: contextlib.ExitStack,
) -> list[Task]:
    """Files to score with the pictures to draw; what is kept names them from the root."""
    from unheard.data.recordings import absolute, find
    from unheard.data.storage import is_remote
    from unheard.scoring.many import Task

    files = find([path for path in paths if path != "-"], search)
    recordings = {absolute(file) if kept else file: file for file in files}
    if "-" in paths:
        recordings["-"] = str(_standard_input(opened))
    pictures = pictures_of(list(recordings), drawn) if drawn else {}
    return [
        Task(source, Path(file), pictures.get(source), url=file if is_remote(file) else "")
        for source, file in recordings.items()
    ]


def _how_to_resume(out: str | None) -> str:
    if out is None:
        return "interrupted; with --out rows.parquet the same command goes on where it stopped"
    return f"interrupted; rows until now are kept, the same command goes on: {out}"


def _standard_input(opened: contextlib.ExitStack) -> Path:
    """Keep standard input in a file until the end: it is read once, and a picture reads again."""
    import tempfile

    if sys.stdin.isatty():
        raise typer.BadParameter("- reads standard input, which is a terminal; pipe a file into it")
    folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="unheard-"))
    file = Path(folder) / "stdin"
    with file.open("wb") as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy)
    return file


def _row_file(out: str | None, settings: str, opened: contextlib.ExitStack) -> RowFile | None:
    from unheard.data.rows import RowFile

    if out is None:
        return None
    _check_name(out)
    return opened.enter_context(RowFile(Path(out), settings))


def _check_name(out: str | None) -> None:
    """Refuse an output whose name does not say what it is."""
    from unheard.data.rows import SUFFIXES

    if out is not None and not out.endswith(SUFFIXES):
        raise typer.BadParameter(
            f"--out {out}: end its name in one of {', '.join(SUFFIXES)}, or in / for a folder"
        )


@contextlib.contextmanager
def _progress(n_files: int, *, quiet: bool) -> Iterator[Callable[[], None]]:
    """A bar on a terminal, where no verdicts are printed in between; what moves it by a file."""
    if not sys.stderr.isatty() or n_files < 2 or (not quiet and sys.stdout.isatty()):
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("", total=n_files)
        yield lambda: progress.advance(bar)


def _sum_up(
    n_verdicts: int, n_asked: int, n_before: int, out: str | None, detectors: dict[str, Path]
) -> None:
    """Say what was done if there is more than a line to read, and who spoke; leave by the code."""
    if out is not None or n_asked > 1:
        before = f" ({n_before} of them before)" if n_before else ""
        where = f": {out}" if out else ""
        say(f"{n_verdicts} of {n_asked} files have a verdict{before}{where}")
    for word, detector in detectors.items():
        from unheard.detectors.bundle import read_card

        card = read_card(detector)
        say(f"{word}: {shown(card.name)} {shown(card.version)}")
    if n_verdicts < n_asked:
        raise typer.Exit(1)
