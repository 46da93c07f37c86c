"""The report of a comparison, made from the score files, cards and costs that are there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from unheard.compare.by_page import compare_by_page
from unheard.compare.cost import read_cost
from unheard.compare.jobs import Job
from unheard.compare.numbers import compare_runs
from unheard.compare.page_text import page_blocks
from unheard.compare.pictures import drawn
from unheard.compare.plan import Comparison
from unheard.compare.results import ComparisonResult, Run
from unheard.compare.status import overview
from unheard.compare.text import PICTURES, About, document, spreadsheet
from unheard.errors import EvaluationError
from unheard.evaluation import markup
from unheard.evaluation.markup import Heading
from unheard.files import in_one_step

__all__ = ["FILES", "write_report"]

FILES = ("report.md", "report.html", "table.csv", "comparison.json")


def write_report(
    plan: Comparison, jobs: Sequence[Job], out: Path, *, command: str = "", n_draws: int = 5000
) -> ComparisonResult:
    """Write report.md, report.html, table.csv, comparison.json and pictures into a folder.

    What is not there yet is listed in the report.

    Args:
        plan: What is compared.
        jobs: Its jobs.
        out: Folder.
        command: Command line that does it again, to be stated.
        n_draws: Bootstrap draws.

    Raises:
        EvaluationError: If no job of the plan is done yet, or the score files do not fit together.
    """
    tested = [job for job in jobs if job.protocol]
    runs = [_run(job) for job in tested if not job.steps_left()]
    if not runs:
        raise EvaluationError(
            f"{out}: none of the {len(tested)} runs of plan {plan.name!r} is done, so there is "
            "nothing to report; run `unheard compare` without --report first"
        )
    result = compare_runs(runs, baseline=plan.baseline, n_draws=n_draws)
    whole = [run for run in runs if not run.held_out]
    by_page = compare_by_page(whole, plan.pairs(), n_draws=n_draws) if whole else None
    pictures = drawn(result)
    about = About(
        name=plan.name,
        methods=_methods(plan),
        facts=_facts(plan, [job for job in tested if not job.steps_left()]),
        missing=[
            f"{state.job.label}: {state.state}{f' ({state.why})' if state.why else ''}"
            for state in overview(jobs).states
            if state.state != "done" and state.job.protocol
        ],
        command=command,
    )
    blocks = document(result, about, [name for name in PICTURES if name in pictures])
    summary = {**result.to_dict(), "plan": plan.name, "missing": list(about.missing)}
    if by_page is not None:
        blocks += [Heading("By page and system"), *page_blocks(by_page)]
        summary["by_page"] = asdict(by_page)
    contents = {
        **pictures,
        "report.md": markup.markdown(blocks).encode(),
        "report.html": markup.html(blocks, pictures).encode(),
        "table.csv": spreadsheet(result).encode(),
        "comparison.json": (json.dumps(summary, indent=1, allow_nan=False) + "\n").encode(),
    }
    for name, content in contents.items():
        with in_one_step(out / name) as unfinished:
            unfinished.write_bytes(content)
    return result


def _run(job: Job) -> Run:
    cost = read_cost(job.folder / "cost.json")
    return Run(
        method=job.name,
        seed=job.seed,
        scores=job.folder / "eval" / "scores.parquet",
        dev_scores=job.folder / "bundle" / "dev_scores.parquet",
        held_out=job.stage.held_out,
        training_core_s=job.training_core_s(),
        parameters=cost.parameters,
        trained=cost.trained,
        core_s=cost.core_s,
    )


def _methods(plan: Comparison) -> dict[str, str]:
    """Return how each method is trained."""
    methods = {}
    for entry in plan.entries:
        recipe = f"recipe {Path(entry.recipe).name}"
        settings = [f"with {', '.join(entry.settings)}"] if entry.settings else []
        methods[entry.name] = " ".join([recipe, *settings])
    return methods


def _facts(plan: Comparison, done: Sequence[Job]) -> list[str]:
    """Return what was run, as sentences."""
    cards = [card for job in done if (card := job.card())]
    revisions = sorted({card.provenance.revision for card in cards} - {""})
    days = sorted(card.created[:10] for card in cards)
    seeds = ", ".join(map(str, plan.seeds))
    sentences = [f"Protocol {plan.protocol}, seeds {seeds}; {len(done)} runs are in this report."]
    if plan.settings:
        sentences.append(f"Common to all recipes: {', '.join(plan.settings)}.")
    if days:
        sentences.append(f"Trained from {days[0]} to {days[-1]}.")
    if revisions:
        sentences.append(f"Revision of the source code: {', '.join(revisions)}.")
    return sentences
