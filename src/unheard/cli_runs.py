"""The command line's page of training runs: pictures of what they logged."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["curves"]


def curves(
    runs: Annotated[
        list[Path], typer.Argument(help="Folders of runs, as `unheard train --out` had them.")
    ],
    out: Annotated[Path, typer.Option(help="Picture to write: .png, .pdf or .svg.")],
) -> None:
    """Draw how training went: loss, EER on dev and widths of networks that grew, over steps.

    Several runs are drawn over each other. A run may still be going on.
    """
    from unheard.curves import PICTURES, draw, read

    if out.suffix.lower() not in PICTURES:
        raise typer.BadParameter(f"--out {out}: end its name in one of {', '.join(PICTURES)}")
    typer.echo(draw([read(run) for run in runs], out))
