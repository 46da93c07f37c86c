"""Many methods of several seeds each: from score files to the numbers of a comparison.

A method's number is the mean over its seeds. Intervals and tests are about clips: each bootstrap
draw takes the same clips for every method and seed. How far seeds lie apart is stated next to it.
S seeds, D draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from unheard.compare.joined_scores import Group, join_scores, measured
from unheard.compare.results import KNOWN_PART, ComparisonResult, Estimate, Line, Ranking, Run
from unheard.metrics import Metric, cllr, corrected, eer, mean_ranks
from unheard.metrics.resampling import percentiles, two_sided_p
from unheard.types import FloatArray

__all__ = ["compare_runs"]

TESTED = ("out_eer", "out_mean", "out_worst")
TESTED_HELD_OUT = ("mean", "worst")

Key = tuple[Any, ...]
Draws = dict[Key, FloatArray]
"""What was measured -> number of each seed, as it is and in each draw, shape [S, 1 + D]."""


def compare_runs(
    runs: Sequence[Run],
    *,
    baseline: str,
    n_draws: int = 5000,
    seed: int = 0,
) -> ComparisonResult:
    """Compare methods on clips that all of them scored.

    Args:
        runs: At least one; methods may have other numbers of seeds.
        baseline: The method that the others are tested against; without it nothing is tested.
        n_draws: Bootstrap draws.
        seed: Of the draws.

    Raises:
        EvaluationError: If a score file cannot be read, or files have no clip in common.
        MetricError: If a part has no clips of one class.
    """
    notes: list[str] = []
    main = [run for run in runs if not run.held_out]
    left = [run for run in runs if run.held_out]
    of_main = _of_main(main, notes, n_draws, seed) if main else {}
    of_left = _of_held_out(left, notes, n_draws, seed) if left else {}
    tests = {
        name: _estimates(draws, baseline, tested)
        for name, draws, tested in (
            ("main", of_main, {("number", number) for number in TESTED}),
            ("held_out", of_left, {("held_out", number) for number in TESTED_HELD_OUT}),
        )
    }
    methods = dict.fromkeys(run.method for run in runs)
    estimates = tests["main"] | tests["held_out"]
    lines = [_line(method, runs, estimates) for method in methods]
    if baseline not in methods:
        notes.append(f"The baseline {baseline} has no run yet, so nothing is tested against it.")
    return ComparisonResult(
        baseline=baseline,
        lines=tuple(sorted(lines, key=_order)),
        ranking=_ranking(lines),
        notes=tuple(notes),
        n_draws=n_draws,
        seed=seed,
    )


def _of_main(runs: Sequence[Run], notes: list[str], n_draws: int, seed: int) -> Draws:
    """Measure every method on known families, and on unknown ones together and one by one."""
    trials = join_scores([run.scores for run in runs])
    if trials.n_left_out:
        notes.append(_left_out(trials.n_left_out, ""))
    part, known = trials.columns["part"], trials.columns["part"] == KNOWN_PART
    wanted: dict[Key, tuple[Metric, Group]] = {}
    for name, inside in (("in", known), ("out", ~known)):
        if inside.any():
            group = trials.group(inside)
            wanted |= {("number", f"{name}_eer"): (eer, group)}
            wanted |= {("number", f"{name}_cllr"): (cllr, group)}
    bonafide, family = trials.columns["bonafide"].astype(bool), trials.columns["family"]
    for place in sorted(set(part.tolist())):
        for spoofed in sorted(set(family[~bonafide & (part == place)].tolist()) - {"", "-"}):
            group = trials.group((part == place) & (bonafide | (family == spoofed)))
            wanted["family", place, spoofed] = (eer, group)
    draws_of = _measured(runs, trials.scores, wanted, len(trials.ids), (n_draws, seed))
    return _joined(draws_of, "number", "out_", [key for key in wanted if _is_unknown(key)])


def _is_unknown(key: Key) -> bool:
    return bool(key[0] == "family" and key[1] != KNOWN_PART)


def _of_held_out(runs: Sequence[Run], notes: list[str], n_draws: int, seed: int) -> Draws:
    """Measure every method on each family that was held out of its training."""
    families = sorted({run.held_out for run in runs})
    of_family = {family: [run for run in runs if run.held_out == family] for family in families}
    trials = {
        family: join_scores([run.scores for run in joined]) for family, joined in of_family.items()
    }
    for family, joined in trials.items():
        if joined.n_left_out:
            notes.append(_left_out(joined.n_left_out, f" of those without {family}"))
    # Clips of several tests, such as bona fide ones, are drawn once for all of them.
    ids = sorted(set().union(*(joined.ids for joined in trials.values())))
    place = {name: row for row, name in enumerate(ids)}
    draws_of: Draws = {}
    ordered: list[Run] = []
    scores: list[FloatArray] = []
    wanted: dict[Key, tuple[Metric, Group]] = {}
    for family, joined in trials.items():
        rows = np.array([place[name] for name in joined.ids])
        inside = joined.group(joined.columns["part"] != KNOWN_PART)
        wanted["held_out", family] = (eer, Group(rows[inside.human], rows[inside.machine]))
        for run, score in zip(of_family[family], joined.scores, strict=True):
            everywhere = np.full(len(ids), np.nan)
            everywhere[rows] = score
            ordered.append(run)
            scores.append(everywhere)
    draws_of = _measured(ordered, scores, wanted, len(ids), (n_draws, seed))
    return _joined(draws_of, "held_out", "", list(wanted))


def _measured(
    runs: Sequence[Run],
    scores: Sequence[FloatArray],
    wanted: Mapping[Key, tuple[Metric, Group]],
    n_trials: int,
    draws: tuple[int, int],
) -> Draws:
    """Return each wanted number of each method, shape [S, 1 + D], seeds in ascending order."""
    asked: list[tuple[str, int, Key]] = []
    tasks = []
    for run, score in zip(runs, scores, strict=True):
        for key, (metric, group) in wanted.items():
            if key[0] != "held_out" or key[1] == run.held_out:
                asked.append((run.method, run.seed, key))
                tasks.append((metric, group, score))
    values = measured(tasks, n_trials=n_trials, n_draws=draws[0], seed=draws[1])
    rows: dict[Key, list[tuple[int, int]]] = {}
    for row, (method, seed, key) in enumerate(asked):
        rows.setdefault((method, *key), []).append((seed, row))
    return {key: values[[row for _, row in sorted(seed_rows)]] for key, seed_rows in rows.items()}


def _joined(draws_of: Draws, kind: str, prefix: str, families: Sequence[Key]) -> Draws:
    """Add mean and worst over families, for methods that have all of them with the same seeds."""
    added: Draws = {}
    for method in dict.fromkeys(key[0] for key in draws_of):
        per_family = [draws_of[method, *key] for key in families if (method, *key) in draws_of]
        if (
            families
            and len(per_family) == len(families)
            and len({len(values) for values in per_family}) == 1
        ):
            stacked = np.stack(per_family)
            added[method, kind, f"{prefix}mean"] = stacked.mean(axis=0)
            added[method, kind, f"{prefix}worst"] = stacked.max(axis=0)
    return draws_of | added


def _estimates(draws_of: Draws, baseline: str, tested: set[Key]) -> dict[Key, Estimate]:
    """Return what was measured as means over seeds, with intervals and corrected tests."""
    estimates: dict[Key, Estimate] = {}
    means = {key: draws.mean(axis=0) for key, draws in draws_of.items()}
    for key, mean in means.items():
        low, high = percentiles(mean[1:])
        estimate = Estimate(
            value=float(mean[0]),
            low=low,
            high=high,
            seeds=tuple(draws_of[key][:, 0].tolist()),
        )
        base = means.get((baseline, *key[1:]))
        if base is not None and key[0] != baseline and key[1:] in tested:
            estimate = _tested(estimate, mean - base)
        estimates[key] = estimate
    keys = [key for key, estimate in estimates.items() if estimate.difference is not None]
    holm = corrected([estimates[key].p for key in keys]) if keys else ()
    return estimates | {
        key: replace(estimates[key], p_holm=float(p)) for key, p in zip(keys, holm, strict=True)
    }


def _tested(estimate: Estimate, difference: FloatArray) -> Estimate:
    """Add a two-sided test of no difference; the data as they are count as one draw."""
    low, high = percentiles(difference[1:])
    return replace(
        estimate,
        difference=float(difference[0]),
        difference_low=low,
        difference_high=high,
        p=two_sided_p(difference[1:]),
    )


def _line(method: str, runs: Sequence[Run], estimates: Mapping[Key, Estimate]) -> Line:
    own = [run for run in runs if run.method == method]
    main = [run for run in own if not run.held_out] or own
    mine = {key[1:]: estimate for key, estimate in estimates.items() if key[0] == method}
    return Line(
        method=method,
        seeds=tuple(sorted({run.seed for run in main})),
        numbers={key[1]: estimate for key, estimate in mine.items() if key[0] == "number"},
        families={
            (key[1], key[2]): estimate for key, estimate in mine.items() if key[0] == "family"
        },
        held_out={key[1]: estimate for key, estimate in mine.items() if key[0] == "held_out"},
        training_core_s=_mean([run.training_core_s for run in main]),
        parameters=max(run.parameters for run in main),
        trained=max(run.trained for run in main),
        core_s=_mean([run.core_s for run in main]),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _order(line: Line) -> tuple[float, str]:
    """Best first: by the mean over unknown families, else by what there is."""
    for name in ("out_mean", "out_eer", "in_eer"):
        if name in line.numbers:
            return line.numbers[name].value, line.method
    return float("inf"), line.method


def _ranking(lines: Sequence[Line]) -> Ranking | None:
    """Rank methods that have the most seeds, on each unknown family with each seed."""
    seeds = max((line.seeds for line in lines), key=len)
    whole = [line for line in lines if line.seeds == seeds]
    tasks = [key for key in whole[0].families if key[0] != KNOWN_PART]
    if len(whole) < 3 or len(tasks) * len(seeds) < 2:
        return None
    errors = [
        [line.families[task].seeds[n] for line in whole]
        for task in tasks
        for n in range(len(seeds))
    ]
    mean_rank = mean_ranks(errors)
    names = [whole[n].method for n in np.argsort(mean_rank.means, kind="stable")]
    return Ranking(
        means={line.method: float(mean) for line, mean in zip(whole, mean_rank.means, strict=True)},
        p=mean_rank.p,
        critical_difference=mean_rank.critical_difference,
        n_tasks=mean_rank.n_tasks,
        alike=tuple(tuple(names[first : last + 1]) for first, last in mean_rank.alike()),
    )


def _left_out(n_clips: int, where: str) -> str:
    return (
        f"{n_clips:,} clips{where} are scored by some runs only and left out: either a detector "
        "gave them no verdict, or the runs are not of the same clips."
    )
