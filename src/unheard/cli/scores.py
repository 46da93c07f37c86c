"""`unheard scores ...`: score files converted and fused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from unheard.cli.evaluate import (
    AllowMissing,
    BonafideLabel,
    DevKeys,
    Format,
    FormatIn,
    HigherIs,
    Keys,
    intake_of,
    with_columns,
)
from unheard.cli.shared import IdColumn, LabelColumn, ScoreColumn, say

__all__ = ["scores"]

scores = typer.Typer(help="Convert and fuse score files.", no_args_is_help=True)


@scores.command("convert")
def scores_convert(  # noqa: PLR0913  a command has the options that it has
    source: Annotated[Path, typer.Argument(help="Score file of any format.")],
    out: Annotated[Path, typer.Argument(help="File to write.")],
    to: Annotated[Format, typer.Option(help="Format to write.")],
    keys: Keys = None,
    format: FormatIn = None,
    higher_is: HigherIs = "bonafide",
    bonafide_label: BonafideLabel = "",
    score_column: ScoreColumn = "",
    label_column: LabelColumn = "",
    id_column: IdColumn = "",
    allow_missing: AllowMissing = False,
) -> None:
    """Write a score file in another format; numbers keep every digit."""
    from unheard.evaluation.intake import convert

    how = intake_of(keys, format, bonafide_label, higher_is, allow_missing, None)
    how = with_columns(how, score_column, label_column, id_column)
    for note in convert(source, out, to, how):
        say(f"note: {note}")
    typer.echo(out)


@scores.command("fuse")
def scores_fuse(  # noqa: PLR0913  a command has the options that it has
    files: Annotated[
        list[Path], typer.Argument(help="Score files of the same trials, two or more.")
    ],
    out: Annotated[
        Path, typer.Option(help="Score file to write, Parquet; its name is the fusion's name.")
    ],
    how: Annotated[
        Literal["mean", "logistic"],
        typer.Option(help="Plain mean, or a logistic regression fitted to --dev."),
    ] = "mean",
    dev: Annotated[
        list[Path] | None,
        typer.Option(
            help="Dev scores of each system, in the order of the score files: a score file, or a "
            "bundle, which holds those of its dev clips."
        ),
    ] = None,
    keys: Keys = None,
    dev_keys: DevKeys = None,
    format: FormatIn = None,
    higher_is: HigherIs = "bonafide",
    bonafide_label: BonafideLabel = "",
    score_column: ScoreColumn = "",
    label_column: LabelColumn = "",
    id_column: IdColumn = "",
) -> None:
    """Make one score file of those of several systems; a trial without a score in one has none.

    How files are read holds for all score files, those of dev too; a bundle's are known.
    """
    from unheard.evaluation.fusion import fused

    intake = intake_of(keys, format, bonafide_label, higher_is, False, None)
    intake = with_columns(intake, score_column, label_column, id_column)
    facts = fused(
        files,
        out,
        how=how,
        dev=dev or (),
        intake=intake,
        dev_intake=replace(intake, keys=dev_keys),
    )
    for name, weight in facts.fusion.items():
        typer.echo(f"{weight:+9.4f}  {name}")
    for note in facts.notes:
        say(f"note: {note}")
    say(f"scores: {out}")
