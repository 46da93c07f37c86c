"""The command line's page of training runs: pictures of what they logged, calibration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unheard.cli.corpus import manifest_of, say

__all__ = ["calibrate", "curves"]


def calibrate(
    recipe: Annotated[
        str, typer.Argument(help="Name of the recipe that was trained, or path of your own (.py).")
    ],
    data: Annotated[Path, typer.Option(help="Manifest, or the folder of a built corpus.")],
    out: Annotated[Path, typer.Option(help="Folder of the run; trained first if it is not there.")],
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
    """Calibrate a detector for families that it has not heard, by leaving out each in turn.

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


def curves(
    runs: Annotated[
        list[Path], typer.Argument(help="Folders of runs, as `unheard train --out` had them.")
    ],
    out: Annotated[Path, typer.Option(help="Picture to write: .png, .pdf or .svg.")],
) -> None:
    """Draw how training went: loss, EER on dev and widths of networks that grew, over steps.

    Several runs are drawn over each other. A run may still be going on.
    """
    from unheard.training.curves import PICTURES, draw, read

    if out.suffix.lower() not in PICTURES:
        raise typer.BadParameter(f"--out {out}: end its name in one of {', '.join(PICTURES)}")
    typer.echo(draw([read(run) for run in runs], out))
