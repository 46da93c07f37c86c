"""A report from a score file alone: numbers, pictures, Markdown and HTML."""

from __future__ import annotations

import json
from pathlib import Path

from unheard.evaluation.conditions import raw_alone
from unheard.evaluation.numbers import summarise
from unheard.evaluation.results import PLAIN, Extras, Report
from unheard.evaluation.scores import read_facts, read_scores
from unheard.files import in_one_step

__all__ = ["report"]


def report(
    scores: Path,
    out: Path,
    *,
    n_draws: int = 1000,
    seed: int = 0,
    extras: Extras = PLAIN,
) -> Report:
    """Make a report from a score file: metrics.json, report.md, report.html, three pictures.

    Scores under conditions add a fourth.

    The same score file gives the same files, to the byte for the texts.

    Args:
        scores: As `read_scores` takes it: ours, or Parquet or CSV of the user's own.
        out: Folder to write to.
        n_draws: Bootstrap draws behind each interval.
        seed: Seed of the bootstrap.
        extras: What it holds in addition.

    Raises:
        EvaluationError: If the score file cannot be used, or no part has clips of both classes.
        RecipeError: If a table by a column that does not exist is wanted.
    """
    from unheard.evaluation import markup, pictures, text

    table, facts = read_scores(scores), read_facts(scores)
    result = summarise(table, facts, n_draws=n_draws, seed=seed, extras=extras)
    table = raw_alone(table, facts)
    out.mkdir(parents=True, exist_ok=True)
    drawn = {
        "det.png": pictures.det(table, result),
        "scores.png": pictures.histogram(table, result),
        "calibration.png": pictures.calibration(table, result),
    }
    if result.conditions:
        drawn["conditions.png"] = pictures.conditions(result)
    document = text.document(result)
    written = {
        **drawn,
        "metrics.json": (json.dumps(result.to_dict(), indent=2, allow_nan=False) + "\n").encode(),
        "report.md": markup.markdown(document).encode(),
        "report.html": markup.html(document, drawn).encode(),
    }
    for name, content in written.items():
        with in_one_step(out / name) as unfinished:
            unfinished.write_bytes(content)
    return result
