"""The command line: one function per command, everything heavy imported inside.

Data go to standard output, progress and errors to standard error. Exit code 0: all done; 1: some
of it failed; 2: the command was not understood.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from unheard import __version__
from unheard.cli.archive import into_shards, show, wants_shards
from unheard.cli.compare import compare, cost
from unheard.cli.corpus import AsJson, corpus, manifest_of, say, shown
from unheard.cli.drawn import Drawn, pictures_of, what_to_draw
from unheard.cli.encoder import encoder, layers, routing
from unheard.cli.evaluate import evaluate, scores
from unheard.cli.export import export, pull
from unheard.cli.generate import generate
from unheard.cli.runs import calibrate, curves
from unheard.cli.serve import serve
from unheard.cli.settings import DetectorFolder, MinSpeech, SpoofPrior, Threshold, settings_of
from unheard.cli.stream import stream
from unheard.cli.watch import watch
from unheard.data import storage
from unheard.errors import MissingExtra, RecipeError, UnheardError

if TYPE_CHECKING:
    from unheard.data.rows import RowFile
    from unheard.scoring.many import Task

__all__ = ["app", "main"]

ONLY_TRAINING_NEEDS = ("torch", "sklearn")
"""Packages that an installation that scores exported detectors does without."""

app = typer.Typer(
    help="Unheard: detect speech deepfakes. Scores are up for bona fide speech, everywhere.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(generate, name="generate")
app.add_typer(corpus, name="corpus")
app.add_typer(scores, name="scores")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code.

    Args:
        arguments: What follows the program's name; None takes the process's own.
    """
    try:
        app(args=None if arguments is None else list(arguments), prog_name="unheard")
    except UnheardError as error:
        say(f"error: {error}")
        raise SystemExit(2 if isinstance(error, RecipeError) else 1) from None
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        advice = "check the path, its permissions, and the room on the disk"
        say(f"error: {place}{error.strerror or error}; {advice}")
        raise SystemExit(1) from None
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in ONLY_TRAINING_NEEDS:
            raise
        say(f"error: {MissingExtra('train', package)}")
        raise SystemExit(1) from None


@app.command()
def score(  # noqa: PLR0913  a command has the options that it has
    paths: Annotated[
        list[str], typer.Argument(help="Files, folders, globs, or - for standard input.")
    ],
    detector: DetectorFolder = None,
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
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processes; 1 if left out, and with Ray as many as there is room for. From 2 on, "
            "a crash costs one file.",
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
        Path | None,
        typer.Option(help="Draw each verdict along time: a .png for one file, a folder for many."),
    ] = None,
    explain: Annotated[
        Path | None,
        typer.Option(
            help="Draw what each expert of a mixture says along time and how much it counts, and "
            "print a line for each: a .png for one file, a folder for many."
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Write a report for a case file, and beside it the same as JSON: a .html for one "
            "file, a folder for many."
        ),
    ] = None,
    operating_point: Annotated[
        Literal["sure", "balanced", "false_alarm_1pct", "miss_1pct"],
        typer.Option(
            help="How to decide, by the detector's dev data: sure leaves undecided what it would "
            "get wrong more than once in 20; balanced errs alike on both sides; false_alarm_1pct "
            "calls at most 1 % of bona fide spoof; miss_1pct at most 1 % of spoof bona fide."
        ),
    ] = "sure",
    threshold: Threshold = None,
    spoof_prior: SpoofPrior = 0.5,
    min_speech: MinSpeech = 0.5,
    hop: Annotated[
        float | None, typer.Option(min=0.02, help="Seconds between windows, for a finer timeline.")
    ] = None,
) -> None:
    """Score recordings: a verdict for each, with the scores of its parts."""
    settings = settings_of(detector, operating_point, threshold, spoof_prior, min_speech, hop)
    from unheard.scoring.many import score_many

    drawn = what_to_draw(settings, timeline, explain, report)
    if wants_shards(out, engine):
        from unheard.scoring.cluster import Engine

        if as_json or drawn:
            raise typer.BadParameter(
                "a folder of shards has no --json, --timeline, --explain or --report"
            )
        into_shards(paths, settings, str(out), Engine(engine, jobs, address))
        return
    with contextlib.ExitStack() as opened:
        tasks, errors = _tasks(paths, drawn, opened)
        journal = _journal(out, settings.key(), opened)
        new, n_verdicts = tasks, 0
        if journal is not None:
            stamps = {task.source: storage.stamp(str(task.audio)) for task in tasks}
            new = [one for one in tasks if not journal.is_done(one.source, stamps[one.source])]
            old = set(stamps) - {task.source for task in new}
            n_verdicts = sum(map(journal.has_verdict, old))
        for row in errors:
            show(row, as_json=as_json, quiet=False)
        advance = opened.enter_context(_progress(len(new), quiet=journal is not None))
        for row in score_many(new, settings, n_jobs=jobs or 1, draw=drawn and drawn.draw):
            n_verdicts += row.get("score") is not None
            if journal is not None:
                journal.add(row, stamps[row["source"]])
            show(row, as_json=as_json, quiet=journal is not None, explain=bool(explain))
            advance()
        if journal is not None:
            journal.finish()
    n_asked, n_before = len(tasks) + len(errors), len(tasks) - len(new)
    _sum_up(n_verdicts, n_asked, n_before, out, None if as_json else settings.detector)


@app.command()
def train(
    recipe: Annotated[
        str,
        typer.Argument(help="Name of a recipe, see `unheard recipes`, or path of your own (.py)."),
    ],
    data: Annotated[Path, typer.Option(help="Manifest, or the folder of a built corpus.")],
    out: Annotated[Path, typer.Option(help="Folder of the run; the bundle goes to out/bundle.")],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change one value of the recipe, as in schedule.rate=1e-4."),
    ] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes that load clips.")] = 0,
    start_over: Annotated[
        bool, typer.Option("--start-over", help="Forget an earlier run in the folder.")
    ] = False,
    sharded: Annotated[
        bool,
        typer.Option(
            "--sharded",
            help="Under torchrun, split a speech encoder over the processes, if it does not fit.",
        ),
    ] = False,
) -> None:
    """Train a detector; an interrupted run goes on where it stopped.

    What the recipe starts from, such as the experts of a mixture, is trained first, in folders
    beside OUT, unless their bundles are there.

    On several processes: `torchrun --standalone --nproc-per-node 4 -m unheard train ...`; see
    docs/processes.md.
    """
    from unheard import memory, recipes
    from unheard.training import distributed
    from unheard.training.recipe import with_settings
    from unheard.training.stages import train_stages as run

    memory.keep_freed()
    chosen = with_settings(recipes.load(recipe), settings or [])
    manifest = manifest_of(data)
    resume = not start_over
    bundle = run(chosen, manifest, out, workers=workers, resume=resume, sharded=sharded, say=say)
    if distributed.is_first():
        typer.echo(bundle)


app.command()(evaluate)
app.command()(compare)
app.command()(cost)
app.command()(encoder)
app.command()(calibrate)
app.command()(curves)
app.command()(routing)
app.command()(export)
app.command()(pull)
app.command()(layers)
app.command()(watch)
app.command()(serve)
app.command()(stream)


@app.command()
def recipes() -> None:
    """List the recipes that can be trained."""
    import ast

    from unheard import recipes as known

    for name in known.names():
        text = (Path(known.__path__[0]) / f"{name}.py").read_text()
        summary = (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
        typer.echo(f"{name:20} {summary}")


@app.command()
def info(
    bundle: Annotated[
        Path | None, typer.Argument(help="Bundle; the packaged detector if left out.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print a detector's card: what it was trained and tested on, and where it fails."""
    from unheard.detectors import bundle as bundles

    card = bundles.read_card(bundle or bundles.default())
    typer.echo(card.model_dump_json(indent=2) if as_json else bundles.model_card(card), nl=as_json)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def _tasks(
    paths: list[str], drawn: Drawn | None, opened: contextlib.ExitStack
) -> tuple[list[Task], list[dict[str, Any]]]:
    """Files to score with the pictures to draw, and rows for what was not found."""
    from unheard.audio import AUDIO_SUFFIXES
    from unheard.scoring.many import Task, find

    files, errors = find([path for path in paths if path != "-"], AUDIO_SUFFIXES)
    heard = {file: Path(file) for file in files}
    if "-" in paths:
        heard["-"] = _standard_input(opened)
    pictures = pictures_of(list(heard), drawn) if drawn else {}
    return [Task(source, file, pictures.get(source)) for source, file in heard.items()], errors


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


def _journal(out: str | None, settings: str, opened: contextlib.ExitStack) -> RowFile | None:
    from unheard.data.rows import SUFFIXES, RowFile

    if out is None:
        return None
    if not out.endswith(SUFFIXES):
        raise typer.BadParameter(
            f"--out {out}: end its name in one of {', '.join(SUFFIXES)}, or in / for a folder"
        )
    return opened.enter_context(RowFile(Path(out), settings))


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
    n_verdicts: int, n_asked: int, n_before: int, out: str | None, detector: Path | None
) -> None:
    """Say what was done if there is more than a line to read, and who spoke; leave by the code."""
    if out is not None or n_asked > 1:
        before = f" ({n_before} of them before)" if n_before else ""
        where = f": {out}" if out else ""
        say(f"{n_verdicts} of {n_asked} files have a verdict{before}{where}")
    if detector is not None:
        from unheard.detectors.bundle import read_card

        card = read_card(detector)
        say(f"detector: {shown(card.name)} {shown(card.version)}")
    if n_verdicts < n_asked:
        raise typer.Exit(1)
