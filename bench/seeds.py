"""Table of several seeds of several systems, tested against one of them.

Run:  python bench/seeds.py BASELINE NAME=RUN,RUN,RUN NAME=RUN,...

RUN is a folder with bundle/ and eval/scores.parquet, as train and evaluate leave them, or a score
file. Scores under conditions have a table for each condition. Prints Markdown.
"""

from __future__ import annotations

import sys
from pathlib import Path

from unheard.compare.seeds import SeededRate, compare_seeds
from unheard.detectors.bundle import read_card
from unheard.detectors.spec_json import spec_from_json

N_DRAWS = 8000
"""Bootstrap draws: p can still be small after the correction for dozens of tests."""


def trained_parameters(run: Path) -> int | None:
    """None for a score file, which may be of any system."""
    import torch

    if run.is_file():
        return None
    card = read_card(run / "bundle")
    with torch.device("meta"):
        detector = spec_from_json(card.detector.model_dump()).build()
    return sum(p.numel() for p in detector.parameters() if p.requires_grad)


def cells(row: SeededRate) -> str:
    spread = f"{min(row.rates):.1%} to {max(row.rates):.1%}"
    text = f"{row.mean:.1%} [{row.low:.1%}, {row.high:.1%}] | {spread}"
    if row.difference is None:
        return f"{text} | - | -"
    ends = f"[{row.difference_low:+.1%}, {row.difference_high:+.1%}]"
    return f"{text} | {row.difference:+.1%} {ends} | {row.p_corrected:.3f}"


def main() -> None:
    baseline, *groups = sys.argv[1:]
    runs = {
        name: [Path(p) for p in paths.split(",")] for name, paths in (g.split("=") for g in groups)
    }
    files = {
        name: [run if run.is_file() else run / "eval/scores.parquet" for run in folders]
        for name, folders in runs.items()
    }
    rows = compare_seeds(files, baseline=baseline, n_draws=N_DRAWS)
    for part in dict.fromkeys(row.part for row in rows):
        print(f"\n{part}, against {baseline}\n")
        print("| system | trained parameters | EER, mean of seeds | seeds | difference | p, Holm |")
        print("|---|---:|---:|---:|---:|---:|")
        for row in rows:
            if row.part == part:
                n = trained_parameters(runs[row.system][0])
                print(f"| {row.system} | {'-' if n is None else f'{n:,}'} | {cells(row)} |")


if __name__ == "__main__":
    main()
