"""Several seeds of several systems on the same trials: means, spread, and tests against one system.

S seeds, N bona fide clips, M spoofed clips.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unheard.errors import EvaluationError, suggestion
from unheard.evaluation.conditions import parts_with_condition
from unheard.evaluation.scores import SCORED, read_scores
from unheard.metrics import TiesWarning, corrected, eer
from unheard.types import FloatArray, IntArray

__all__ = ["SeededRate", "compare_seeds"]


@dataclass(frozen=True, kw_only=True)
class SeededRate:
    """The equal error rate of one system on one part, over seeds.

    Attributes:
        system: Name of the system.
        part: Part of the trials.
        rates: Equal error rate of each seed, in [0, 1].
        low: Lower end of the 95 % interval of their mean, over trials; the seeds stay as they are.
        high: Upper end.
        difference: Mean less that of the baseline; below 0, this system errs less. None for the
            baseline itself.
        difference_low: Lower end of its 95 % interval.
        difference_high: Upper end.
        p: Two-sided p value of no difference.
        p_corrected: The same after Holm's correction over all systems and parts.
    """

    system: str
    part: str
    rates: tuple[float, ...]
    low: float
    high: float
    difference: float | None = None
    difference_low: float = 0.0
    difference_high: float = 0.0
    p: float = 1.0
    p_corrected: float = 1.0

    @property
    def mean(self) -> float:
        """Mean over seeds."""
        return float(np.mean(self.rates))


def compare_seeds(
    systems: Mapping[str, Sequence[Path]],
    *,
    baseline: str,
    n_draws: int = 1000,
    seed: int = 0,
) -> list[SeededRate]:
    """Compare systems of several seeds each, on trials that all of them scored.

    The statistic of a system is the mean over its seeds of the equal error rate. Each bootstrap
    draw takes the same clips for every seed and every system, so the tests are paired.

    Args:
        systems: Score files of each system, one per seed; numbers of seeds may differ.
        baseline: The system that the others are tested against.
        n_draws: Bootstrap draws.
        seed: Of the draws.

    Returns:
        A row per part and system, in the order given. A part that was also scored under conditions
        counts once for each, as in "eval_out under telephone".

    Raises:
        EvaluationError: If the baseline is not among the systems, a file cannot be read, or the
            files are not of the same clips.
    """
    if baseline not in systems:
        raise EvaluationError(f"no system is called {baseline!r}{suggestion(baseline, systems)}")
    files = [path for paths in systems.values() for path in paths]
    tables = {path: _columns(path) for path in files}
    ids, part, truth = _trials(tables, files)
    rows: list[SeededRate] = []
    for name in sorted(set(part.tolist())):
        human, machine = (
            np.flatnonzero((part == name) & (truth == is_human)) for is_human in (1, 0)
        )
        if human.size and machine.size:
            scores = {
                system: [tables[path][2][ids[path]] for path in paths]
                for system, paths in systems.items()
            }
            rows += _of_part(name, scores, (human, machine), baseline, n_draws, seed)
    tested = [row for row in rows if row.difference is not None]
    adjusted = iter(corrected([row.p for row in tested])) if tested else iter(())
    return [
        row
        if row.difference is None
        else SeededRate(**vars(row) | {"p_corrected": float(next(adjusted))})
        for row in rows
    ]


def _of_part(
    part: str,
    scores: Mapping[str, Sequence[FloatArray]],
    classes: tuple[IntArray, IntArray],
    baseline: str,
    n_draws: int,
    seed: int,
) -> Iterator[SeededRate]:
    rng = np.random.default_rng(seed)
    draws = {system: np.empty(n_draws) for system in scores}
    for draw in range(n_draws):
        chosen = tuple(rows[rng.integers(rows.size, size=rows.size)] for rows in classes)
        for system, seeds in scores.items():
            draws[system][draw] = np.mean(_rates(seeds, chosen))
    known = {system: _rates(seeds, classes) for system, seeds in scores.items()}
    for system, rates in known.items():
        low, high = np.quantile(draws[system], [0.025, 0.975])
        row = SeededRate(
            system=system, part=part, rates=tuple(rates), low=float(low), high=float(high)
        )
        if system == baseline:
            yield row
            continue
        difference = draws[system] - draws[baseline]
        ends = np.quantile(difference, [0.025, 0.975])
        side = min(int((difference <= 0).sum()), int((difference >= 0).sum()))
        yield SeededRate(
            **vars(row)
            | {
                "difference": float(np.mean(rates) - np.mean(known[baseline])),
                "difference_low": float(ends[0]),
                "difference_high": float(ends[1]),
                "p": min(1.0, 2 * (side + 1) / (n_draws + 1)),
            }
        )


def _rates(seeds: Sequence[FloatArray], rows: Sequence[IntArray]) -> list[float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TiesWarning)  # resampled clips tie with themselves
        return [eer(score[rows[0]], score[rows[1]]) for score in seeds]


def _columns(path: Path) -> tuple[list[str], list[str], FloatArray, list[bool]]:
    table = read_scores(path)
    keep = [status == SCORED for status in table.column("status").to_pylist()]
    table = table.filter(keep)
    return (
        table.column("id").to_pylist(),
        parts_with_condition(table),
        table.column("score").to_numpy(zero_copy_only=False),
        table.column("bonafide").to_pylist(),
    )


def _trials(
    tables: Mapping[Path, tuple[list[str], list[str], FloatArray, list[bool]]],
    files: Sequence[Path],
) -> tuple[dict[Path, IntArray], np.ndarray, np.ndarray]:
    """Return the rows of each file in one order of clips, and the part and truth of each clip."""
    first = files[0]
    wanted = set(tables[first][0])
    for path in files[1:]:
        other = wanted.symmetric_difference(tables[path][0])
        if other:
            raise EvaluationError(
                f"{path}: {len(other)} clips are scored in this file or in {first} but not in "
                f"both, such as {min(other)!r}; evaluate every system on the same clips"
            )
    order = sorted(wanted)
    rows = {}
    for path in files:
        place = {name: row for row, name in enumerate(tables[path][0])}
        rows[path] = np.array([place[name] for name in order])
    part = np.array(tables[first][1])[rows[first]]
    truth = np.array(tables[first][3])[rows[first]].astype(int)
    return rows, part, truth
