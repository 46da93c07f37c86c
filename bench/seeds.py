"""Table of several seeds of several systems, tested against one of them.

Run:  python bench/seeds.py BASELINE NAME=RUN,RUN,RUN NAME=RUN,...

RUN is a folder with bundle/ and eval/scores.parquet, as train and evaluate leave them, or a score
file. Scores under conditions have a table for each condition. Prints Markdown.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from unheard.compare.joined_scores import join_scores, measured
from unheard.detectors.bundle import read_card
from unheard.detectors.spec_json import spec_from_json
from unheard.evaluation.conditions import parts_with_condition
from unheard.evaluation.scores import read_scores
from unheard.metrics import corrected, eer
from unheard.metrics.resampling import percentiles, two_sided_p
from unheard.types import FloatArray

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


def drawn(files: list[Path]) -> dict[str, FloatArray]:
    """Return the EER of each file on each part, on the same draws, shape [files, 1 + N_DRAWS]."""
    joined = join_scores(files)
    if joined.n_left_out:
        sys.exit(f"error: {joined.n_left_out} clips are scored by some of the files only")
    table = read_scores(files[0])
    part_of = dict(zip(table.column("id").to_pylist(), parts_with_condition(table), strict=True))
    parts = np.array([part_of[name] for name in joined.ids])
    rates = {}
    for part in sorted(set(parts.tolist())):
        group = joined.group(parts == part)
        if group.human.size and group.machine.size:
            wanted = [(eer, group, scores) for scores in joined.scores]
            rates[part] = measured(wanted, n_trials=len(joined.ids), n_draws=N_DRAWS, seed=0)
    return rates


def ends(draws: FloatArray, how: str) -> str:
    return "[{}, {}]".format(*(format(end, how) for end in percentiles(draws[1:])))


def main() -> None:
    baseline, *groups = sys.argv[1:]
    runs = {
        name: [Path(p) for p in paths.split(",")] for name, paths in (g.split("=") for g in groups)
    }
    files: list[Path] = []
    rows: dict[str, range] = {}
    for name, folders in runs.items():
        rows[name] = range(len(files), len(files) + len(folders))
        files += [run if run.is_file() else run / "eval/scores.parquet" for run in folders]
    by_part = drawn(files)
    means = {
        (part, name): rates[own].mean(axis=0)
        for part, rates in by_part.items()
        for name, own in rows.items()
    }
    tested = [key for key in means if key[1] != baseline]
    differences = {key: means[key] - means[key[0], baseline] for key in tested}
    p_values = corrected([two_sided_p(differences[key][1:]) for key in tested])
    p_holm = dict(zip(tested, p_values, strict=True))
    for part, rates in by_part.items():
        print(f"\n{part}, against {baseline}\n")
        print("| system | trained parameters | EER, mean of seeds | seeds | difference | p, Holm |")
        print("|---|---:|---:|---:|---:|---:|")
        for name, own in rows.items():
            n, mean, seeds = trained_parameters(runs[name][0]), means[part, name], rates[own, 0]
            cells = [name, "-" if n is None else f"{n:,}", f"{mean[0]:.1%} {ends(mean, '.1%')}"]
            cells.append(f"{seeds.min():.1%} to {seeds.max():.1%}")
            if name == baseline:
                cells += ["-", "-"]
            else:
                difference = differences[part, name]
                cells.append(f"{difference[0]:+.1%} {ends(difference, '+.1%')}")
                cells.append(f"{p_holm[part, name]:.3f}")
            print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
