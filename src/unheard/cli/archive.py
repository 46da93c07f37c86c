"""What `unheard score` shows of many rows, and archives that become shards."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import typer

from unheard.cli.interrupt import ending_soon
from unheard.cli.shared import say, shown

if TYPE_CHECKING:
    from unheard.data.recordings import Search
    from unheard.scoring.cluster import Engine
    from unheard.scoring.many import Settings

__all__ = ["into_shards", "show", "show_changes", "tell_found", "wants_shards"]

COLOURS = {"bonafide": "green", "spoof": "red", "undecided": "yellow"}
WORDS = {"bonafide": "bona fide", "spoof": "spoof", "undecided": "undecided"}

_TELL_S = 10.0
_LARGEST = 20
"""Recordings that are shown of those whose score moved; a screen holds them."""


def show(row: dict[str, Any], *, as_json: bool, quiet: bool, explain: bool = False) -> None:
    """Write one row: as JSON, as a line with its experts and warnings, or only its error."""
    if "error" in row:
        say(f"error: {shown(row['error'])}")
    if as_json:
        typer.echo(json.dumps(row, allow_nan=False))
    elif not quiet and "error" not in row:
        from unheard.scoring.plain_words import in_part, where
        from unheard.scoring.verdict import percent

        if row["score"] is None:
            head = f"{'no verdict':10}  {row['reason']}"
        else:
            word = typer.style(f"{WORDS[row['decision']]:10}", fg=COLOURS[row["decision"]])
            probability = percent(row["spoof_probability"])
            head = f"score {row['score']:+6.2f}  spoof probability {probability:>7}"
            head = f"{word}  {where(row)}; whole: {head}" if in_part(row) else f"{word}  {head}"
        typer.echo(f"{head}  {shown(row['source'])}")
        for part in row["parts"]:
            show({**part, "source": _part(part)}, as_json=False, quiet=False)
        for expert in row["experts"] if explain else []:
            words = f"score {expert['score']:+6.2f}  weight {100 * expert['weight']:5.1f} %"
            typer.echo(f"{'':10}  {words}  expert {shown(expert['name'])}")
        for warning in row["warnings"]:
            typer.echo(f"{'':10}  warning: {shown(warning)}")


def _part(row: dict[str, Any]) -> str:
    channel = "" if row["channel"] == "mix" else f", channel {row['channel']}"
    track = "" if row["track"] == "default" else f", track {row['track']}"
    return f"{row['source']}{channel}{track}"


def show_changes(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    """Write rows of `unheard.scoring.changes`: as JSON; or the largest moves and what they add to.

    Errors and missing verdicts are written too, to standard error.
    """
    from unheard.scoring.changes import NO_VERDICT, decisions_changed, largest_first

    for row in rows:
        if as_json:
            typer.echo(json.dumps(row, allow_nan=False))
        if row["change"] is None:
            say(f"no score by both: {shown(row['source'])}: {shown(row['reason'])}")
    if as_json:
        return
    moved, words = largest_first(rows), {**WORDS, NO_VERDICT: NO_VERDICT}
    typer.echo(f"{'old':>7} {'new':>7} {'change':>7}  {'old':10}  {'new':10}  file")
    for row in moved[:_LARGEST]:
        numbers = " ".join(f"{row[name]:+7.2f}" for name in ("old_score", "new_score", "change"))
        decisions = "  ".join(f"{words[row[name]]:10}" for name in ("old_decision", "new_decision"))
        typer.echo(f"{numbers}  {decisions}  {shown(row['source'])}")
    if len(moved) > _LARGEST:
        typer.echo(f"and {len(moved) - _LARGEST} that moved less; --out or --json lists them")
    if moved:
        mean = sum(row["change"] for row in moved) / len(moved)
        typer.echo(f"mean change {mean:+.2f}; up is bona fide")
    changed = decisions_changed(rows)
    typer.echo(f"{changed.total()} of {len(rows)} decisions changed")
    for (old, new), n in changed.most_common():
        typer.echo(f"  {n:6} from {words[old]} to {words[new]}")


def tell_found(search: Search, *, as_json: bool = False) -> None:
    """Say what a search did not find, and what it passed over and why."""
    for row in search.errors:
        show(row, as_json=as_json, quiet=True)
    for note in search.notes():
        say(shown(note))


def wants_shards(out: str | None, engine: str) -> bool:
    """Return whether rows go to a folder of Parquet shards: for Ray, a URL, and a folder's name.

    Raises:
        typer.BadParameter: If Ray is to score and no folder is named.
    """
    import os

    from unheard.data.rows import SUFFIXES

    if engine == "ray" and (out is None or out.endswith(SUFFIXES)):
        given = f"--out {out}" if out else "no --out"
        raise typer.BadParameter(
            f"{given}: a cluster writes a folder of Parquet shards; give one, as in --out rows/"
        )
    if out is None:
        return False
    return engine == "ray" or "://" in out or out.endswith("/") or os.path.isdir(out)


def into_shards(
    paths: list[str], settings: Settings, out: str, engine: Engine, search: Search
) -> None:
    """Score what paths stand for, into the shards of a folder; leave with the code.

    Raises:
        typer.BadParameter: If standard input is to be read.
        typer.Exit: If a recording has no verdict.
    """
    from unheard.data.recordings import recordings
    from unheard.data.row_shards import RowShards
    from unheard.scoring.cluster import score_archive

    if "-" in paths:
        raise typer.BadParameter("- is one recording; a folder of shards is for many: give --json")
    n_shards = n_rows = n_before = n_verdicts = 0
    last_line_s = time.monotonic()
    resume = f"interrupted; what was scored is kept, the same command goes on: {out}"
    with ending_soon(resume), RowShards(out) as row_shards:
        found = recordings(paths, search)
        for filled in score_archive(found, settings, row_shards, engine):
            n_shards += 1
            n_rows += filled.n_rows
            n_before += filled.n_before
            n_verdicts += filled.n_verdicts
            for error in filled.errors:
                say(f"error: {shown(error)}")
            if time.monotonic() - last_line_s > _TELL_S:
                last_line_s = time.monotonic()
                say(f"{n_shards} of {row_shards.n_shards()} shards, {n_rows - n_before} rows new")
    tell_found(search)
    before = f" ({n_before} rows were there before)" if n_before else ""
    say(f"{n_verdicts} of {n_rows} recordings have a verdict{before}: {row_shards.out}/rows")
    if n_verdicts < n_rows or search.errors:
        raise typer.Exit(1)
