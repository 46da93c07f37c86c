"""The command line: panels of commands in the order of use, everything heavy imported inside.

Data go to standard output, progress and errors to standard error. Exit code 0: all done; 1: some
of it failed; 2: the command was not understood.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from unheard import __version__
from unheard.cli.compare import compare
from unheard.cli.corpus import corpus
from unheard.cli.encoder import encoder
from unheard.cli.evaluate import evaluate
from unheard.cli.export import export, import_checkpoint, pull
from unheard.cli.generate import generate
from unheard.cli.info import info
from unheard.cli.inspect import inspect
from unheard.cli.score import score
from unheard.cli.scores import scores
from unheard.cli.serve import serve
from unheard.cli.shared import say
from unheard.cli.stream import stream
from unheard.cli.train import calibrate, fuse, recipes, segments, train
from unheard.cli.watch import watch
from unheard.errors import MissingExtra, RecipeError, UnheardError
from unheard.files import OutputError

__all__ = ["app", "main"]

PANELS: dict[str, dict[str, Callable[..., None] | typer.Typer]] = {
    "Use": {"score": score, "watch": watch, "stream": stream, "serve": serve, "info": info},
    "Judge": {"evaluate": evaluate, "compare": compare, "scores": scores, "inspect": inspect},
    "Build": {
        "corpus": corpus,
        "recipes": recipes,
        "train": train,
        "fuse": fuse,
        "calibrate": calibrate,
        "segments": segments,
        "encoder": encoder,
        "generate": generate,
    },
    "Ship": {"export": export, "pull": pull, "import": import_checkpoint},
}
"""The commands in order of use; a group of commands is a Typer of its own."""

NOW = {
    "attack": "generate",
    "curves": "inspect training",
    "routing": "inspect experts",
    "layers": "inspect layers",
    "cost": "inspect cost",
    "version": "--version",
}
"""What commands were called before, and are called now."""

ONLY_TRAINING_NEEDS = ("torch", "sklearn")
"""Packages that an installation that scores exported detectors does without."""


class _InOrder(TyperGroup):
    """Commands in the order of PANELS; an old name is refused with the new one."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order of use."""
        return [name for panel in PANELS.values() for name in panel]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find a command by its name, or fail with what it is called now."""
        if args and args[0] in NOW:
            ctx.fail(f"`unheard {args[0]}` is now `unheard {NOW[args[0]]}`")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=_InOrder,
    help="Unheard: detect speech deepfakes. Scores are up for bona fide speech, everywhere.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for _panel, _commands in PANELS.items():
    for _name, _command in _commands.items():
        if isinstance(_command, typer.Typer):
            app.add_typer(_command, name=_name, rich_help_panel=_panel)
        else:
            app.command(_name, rich_help_panel=_panel)(_command)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and leave."
        ),
    ] = False,
) -> None:
    """Options of the program itself."""


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
    except OutputError as error:
        say(f"error: {error}")
        raise SystemExit(1) from None
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
