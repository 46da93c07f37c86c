"""Table of score files of one protocol whose clips name their page: the same clips for every row.

Run:  python bench/published.py SCORES [SCORES ...]

The first is what the others are compared with. A system counts as unseen if none of the detectors
was trained on its base system, as far as their score files tell. Pages of people and systems are
drawn whole, the same for both of a pair; p values are corrected by Holm. Prints Markdown.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from unheard.evaluation.pages import page_rates
from unheard.evaluation.scores import SCORED, Facts, read_facts, read_scores
from unheard.metrics import bootstrap, corrected, eer, paired_bootstrap

N_DRAWS = 4000
NUMBERS = ("pooled EER", "mean over systems", "mean over pages", "within a page")


def classes(table: Any, ids: list[str]) -> tuple[list[Any], list[Any]]:
    """Return scores, and page or system, of people and of spoofed clips, in the order of ids."""
    rows = {row["id"]: row for row in table.to_pylist()}
    people, spoof = (
        [rows[name] for name in ids if rows[name]["bonafide"] is truth] for truth in (True, False)
    )
    scores = [np.array([row["score"] for row in of]) for of in (people, spoof)]
    return scores, [[row["page"] for row in people], [row["attack"] for row in spoof]]


def percent(value: float, low: float | None, high: float | None) -> str:
    ends = "" if low is None or high is None else f" [{100 * low:.1f}, {100 * high:.1f}]"
    return f"{100 * value:.1f}{ends}"


def main() -> None:
    """Print a row for each score file."""
    files = [Path(name) for name in sys.argv[1:]]
    if not files:
        sys.exit(__doc__)
    tables = [read_scores(file) for file in files]
    facts = [read_facts(file) for file in files]
    heard = tuple(sorted({system for of in facts for system in of.trained_systems}))
    scored = [
        {row["id"] for row in table.to_pylist() if row["status"] == SCORED} for table in tables
    ]
    ids = sorted(set.intersection(*scored))
    first, clusters = classes(tables[0], ids)
    differences = []
    for table in tables[1:]:
        scores, _ = classes(table, ids)
        differences.append(paired_bootstrap(eer, scores, first, n_draws=N_DRAWS, clusters=clusters))
    holm = ["", *(f"{p:.2g}" for p in corrected([found.p for found in differences]))]
    pairs = ["", *(percent(found.value, found.low, found.high) for found in differences)]
    people, spoof = (len(of) for of in first)
    print(f"{people} clips of people, {spoof} synthetic ones, scored by all.\n")
    print(f"| detector | all systems | difference | p | {' | '.join(NUMBERS)} |")
    print(f"|{'---|' * (4 + len(NUMBERS))}")
    for table, fact, pair, p in zip(tables, facts, pairs, holm, strict=True):
        scores, _ = classes(table, ids)
        ends = bootstrap(eer, *scores, n_draws=N_DRAWS, clusters=clusters)
        cells = [fact.name, percent(eer(*scores), ends.low, ends.high), pair, p]
        print(f"| {' | '.join([*cells, *by_page(table, ids, fact, heard)])} |")


def by_page(table: Any, ids: list[str], facts: Facts, heard: tuple[str, ...]) -> list[str]:
    """Return the numbers over pages and systems, for the systems that none of them has heard."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = table.filter(pc.is_in(table.column("id"), value_set=pa.array(ids)))
    parts = sorted(set(table.column("part").to_pylist()))
    same = replace(facts, trained_systems=heard, thresholds=())
    rates = {rate.name: rate for rate in page_rates(table, parts, same, n_draws=N_DRAWS)}
    return [
        percent(rates[name].value, rates[name].low, rates[name].high) if name in rates else "-"
        for name in NUMBERS
    ]


if __name__ == "__main__":
    main()
