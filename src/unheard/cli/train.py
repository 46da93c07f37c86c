"""`unheard train`, `unheard recipes`, `unheard fuse`, `unheard calibrate`, `unheard segments`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Literal

import typer

from unheard.cli.shared import Data, Jobs, detector_argument, folder_option, manifest_of, say

__all__ = ["calibrate", "fuse", "recipes", "segments", "train"]


def train(  # noqa: PLR0913  a command has the options that it has
    recipe: Annotated[
        str,
        typer.Argument(help="Name of a recipe, see `unheard recipes`, or path of your own (.py)."),
    ],
    data: Data,
    out: Annotated[Path, folder_option("Folder of the run; the bundle goes to out/bundle.")],
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
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Log to OUT/tensorboard as well.")
    ] = False,
) -> None:
    """Train a detector; an interrupted run goes on where it stopped.

    At the end OUT/run.md says what came of it, with OUT/curves.png.

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
    with ExitStack() as opened:
        tell = say
        if tensorboard and distributed.is_first():
            from unheard.training.tensorboard import Mirror

            tell = opened.enter_context(Mirror(out, say)).say
        bundle = run(
            chosen, manifest, out, workers=workers, resume=resume, sharded=sharded, say=tell
        )
    if distributed.is_first():
        typer.echo(bundle)


def recipes() -> None:
    """List the recipes: what each needs, about how long it takes, when to choose it."""
    from unheard.recipes import GROUPS, RECIPES

    for group, heading in GROUPS.items():
        names = [name for name, row in RECIPES.items() if row.group == group]
        typer.echo(f"{heading}\n")
        for name in names:
            row = RECIPES[name]
            typer.echo(f"  {name:31} {row.takes:8} {row.choose}")
            typer.echo(f"  {'':31} {'':8} needs: {row.needs}")
        typer.echo("")
    typer.echo("To try one:  unheard train toy --data tests/tiny --out runs/toy")
    typer.echo("`small` is sized for training on a CPU. What each reaches, and the papers' titles:")
    typer.echo("the docstrings of src/unheard/recipes.")


def fuse(
    detectors: Annotated[
        list[Path],
        typer.Argument(help="Folders of runs or bundles, two or more."),
    ],
    out: Annotated[Path, folder_option("Folder of the new bundle.")],
    name: Annotated[str, typer.Option(help="What the new detector is called.")] = "fusion",
    how: Annotated[
        Literal["mean", "logistic"],
        typer.Option(help="Mean of calibrated scores, or a logistic regression on dev."),
    ] = "mean",
) -> None:
    """Make one detector of several: it gives the weighted mean of their scores.

    All must have been calibrated on the same dev clips; the weights come from their scores there.
    """
    from unheard.training import fusing

    typer.echo(fusing.fuse(detectors, out, name=name, how=how))


def calibrate(
    recipe: Annotated[
        str, typer.Argument(help="Name of the recipe that was trained, or path of your own (.py).")
    ],
    data: Data,
    out: Annotated[Path, folder_option("Folder of the run; trained first if it is not there.")],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Values of the recipe that were changed in training."),
    ] = None,
    families: Annotated[
        str | None,
        typer.Option(help="Families to leave out, apart by commas; all of dev if left out."),
    ] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes that load clips.")] = 0,
) -> None:
    """Calibrate a detector for families that it was not trained on, by leaving out each in turn.

    The recipe is trained once more without each attack family of dev; what these detectors say of
    the family that they lack is what the new calibration and thresholds are fitted on. The new
    bundle goes to OUT/calibrated. An interrupted run goes on where it was.
    """
    from unheard import memory, recipes
    from unheard.training import calibrate
    from unheard.training.recipe import with_settings

    memory.keep_freed()
    chosen = with_settings(recipes.load(recipe), settings or [])
    names = tuple(families.split(",")) if families else ()
    manifest = manifest_of(data)
    typer.echo(calibrate.calibrate(chosen, manifest, out, families=names, workers=workers, say=say))


def segments(
    detector: Annotated[Path, detector_argument()],
    data: Annotated[
        Path, typer.Option(help="Manifest of recordings, as `unheard generate splices` writes it.")
    ],
    parts: Annotated[str, typer.Option(help="Parts to choose on, comma-separated.")] = "dev",
    jobs: Jobs = 1,
) -> None:
    """Choose which stretches a detector calls synthetic, on dev; write that into its card.

    At most one false segment in an hour of people's speech; under that, those that overlap what was
    put in most. The detector is changed in its place: scores stay, its hash does not.
    """
    from unheard import memory
    from unheard.training.segments import fit_segments

    memory.keep_freed()
    names = [part.strip() for part in parts.split(",") if part.strip()]
    fit_segments(detector, manifest_of(data), parts=names, jobs=jobs, say=say)
    typer.echo(detector)
