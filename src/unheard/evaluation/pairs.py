"""Two or more systems on the same trials: how much they differ, and how sure that is."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unheard.errors import EvaluationError
from unheard.evaluation.conditions import SURE, conditions_to_compare, parts_with_condition
from unheard.evaluation.keys import in_one_form
from unheard.evaluation.markup import Block, Bullets, Heading, Table, Words, markdown
from unheard.evaluation.scores import SCORED, Facts
from unheard.metrics import (
    METRICS,
    TiesWarning,
    correct_at,
    corrected,
    mcnemar,
    paired_bootstrap,
)
from unheard.types import BoolArray, FloatArray

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Pair", "PairedReport", "System", "compare_scores", "write_comparison"]

_COMPARED = ("eer", "min_dcf")
_THRESHOLDS = ("balanced", "Bayes")


@dataclass(frozen=True, eq=False)
class System:
    """One detector's scores.

    Attributes:
        name: What to call it.
        table: As `read_scores` gives it.
        facts: Of the score file; its balanced operating point serves McNemar's test.
    """

    name: str
    table: pa.Table
    facts: Facts

    @property
    def threshold(self) -> float | None:
        """Threshold that was fitted on other clips; None if none is known."""
        points = self.facts.operating_points
        return next((points[name] for name in _THRESHOLDS if name in points), None)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A metric of two systems on the same trials of one part.

    Attributes:
        part: Part of the trials; "<part> under <condition>" where they came under one.
        metric: Name in `METRICS`.
        first: Name of the first system.
        second: Name of the other.
        n_trials: Trials that both scored.
        first_value: Metric of the first.
        second_value: Metric of the other.
        difference: First minus second; below 0 the first errs less.
        low: Lower end of its 95 % interval, trials resampled for both at once.
        high: Upper end.
        p: Two-sided p value of no difference.
        p_holm: The same, corrected for all pairs of the comparison.
        mcnemar: p value of both deciding rightly equally often, at their own thresholds; None
            where one has no threshold that was fitted on other clips.
        mcnemar_holm: The same, corrected.
    """

    part: str
    metric: str
    first: str
    second: str
    n_trials: int
    first_value: float
    second_value: float
    difference: float
    low: float
    high: float
    p: float
    p_holm: float = 1.0
    mcnemar: float | None = None
    mcnemar_holm: float | None = None


@dataclass(frozen=True, kw_only=True)
class PairedReport:
    """All pairs, and what is to be known of them.

    Attributes:
        pairs: The first system against each other, by part and metric.
        notes: Trials left out, as sentences.
        n_draws: Bootstrap draws.
        seed: Seed of the bootstrap.
    """

    pairs: tuple[Pair, ...]
    notes: tuple[str, ...]
    n_draws: int
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON has it."""
        return {"format": 1, **asdict(self)}


def compare_scores(
    systems: Sequence[System],
    *,
    n_draws: int = 1000,
    seed: int = 0,
    allow_missing: bool = False,
) -> PairedReport:
    """Set the first system against each of the others on the trials that they share.

    Args:
        systems: At least two.
        n_draws: Bootstrap draws.
        seed: Seed of the bootstrap.
        allow_missing: Whether trials that one of two lacks are left out.

    Raises:
        EvaluationError: If there are fewer than two systems, they did not score the same trials,
            or no part has clips of both classes.
    """
    if len(systems) < 2:
        raise EvaluationError("a comparison needs two systems; give another score file")
    first, notes, pairs = systems[0], list[str](), list[Pair]()
    for second in systems[1:]:
        shared = _shared(first, second, allow_missing, notes)
        pairs += _pairs(first, second, shared, n_draws, seed)
    if not pairs:
        raise EvaluationError(
            "no part has scored clips of both classes in both score files; give keys that name "
            "bona fide and spoofed trials"
        )
    holm = corrected([pair.p for pair in pairs])
    pairs = [replace(pair, p_holm=float(p)) for pair, p in zip(pairs, holm, strict=True)]
    least = 2 * len(pairs) / (n_draws + 1)
    if least > SURE:
        notes.append(
            f"with {n_draws:,} draws no p value of {len(pairs)} can be below {least:.2g} after "
            f"correction; make more draws, at least {len(pairs) * 40:,}"
        )
    decided = {  # one test per part and pair of systems, whichever the metrics
        (pair.part, pair.second): pair.mcnemar for pair in pairs if pair.mcnemar is not None
    }
    adjusted = dict(zip(decided, map(float, corrected(list(decided.values()))), strict=True))
    pairs = [replace(pair, mcnemar_holm=adjusted.get((pair.part, pair.second))) for pair in pairs]
    return PairedReport(pairs=tuple(pairs), notes=tuple(notes), n_draws=n_draws, seed=seed)


def write_comparison(report: PairedReport, out: Path) -> list[Path]:
    """Write comparison.json and comparison.md into a folder, and return them."""
    out.mkdir(parents=True, exist_ok=True)
    files = [out / "comparison.json", out / "comparison.md"]
    files[0].write_text(json.dumps(report.to_dict(), indent=2, allow_nan=False) + "\n")
    files[1].write_text(markdown(list(_document(report))))
    return files


def _rows(system: System) -> dict[str, int]:
    """Return the row of each scored trial."""
    status = system.table.column("status").to_pylist()
    ids = in_one_form(system.table.column("id").to_pylist())
    return {name: row for row, (name, state) in enumerate(zip(ids, status, strict=True))
            if state == SCORED}  # fmt: skip


def _shared(
    first: System, second: System, allow_missing: bool, notes: list[str]
) -> list[tuple[int, int]]:
    """Return the rows of the trials that both scored."""
    first_rows, second_rows = _rows(first), _rows(second)
    names = [name for name in first_rows if name in second_rows]
    unshared = sorted(set(first_rows) ^ set(second_rows))
    if unshared:
        finding = (
            f"{len(unshared):,} trials are scored by only one of {first.name} and {second.name}, "
            f"such as {unshared[0]}"
        )
        if not names or not allow_missing:
            raise EvaluationError(
                f"{finding}; compare on the same trials, or leave the others out with "
                "--allow-missing"
            )
        notes.append(f"{finding}; left out")
    return [(first_rows[name], second_rows[name]) for name in names]


def _pairs(
    first: System, second: System, shared: list[tuple[int, int]], n_draws: int, seed: int
) -> Iterator[Pair]:
    rows = np.array(shared, np.int64).reshape(-1, 2).T
    scores = [
        system.table.column("score").to_numpy()[chosen]
        for system, chosen in zip((first, second), rows, strict=True)
    ]
    bonafide = first.table.column("bonafide").to_numpy(zero_copy_only=False).astype(bool)[rows[0]]
    theirs = second.table.column("bonafide").to_numpy(zero_copy_only=False).astype(bool)[rows[1]]
    if (bonafide != theirs).any():
        name = first.table.column("id")[int(rows[0][np.argmax(bonafide != theirs)])].as_py()
        raise EvaluationError(
            f"{first.name} and {second.name} disagree on whether {name!r} is bona fide; evaluate "
            "both with the same --keys"
        )
    parts = _parts(first)[rows[0]]
    for part in sorted(set(parts)):
        inside = parts == part
        a, b = ((score[inside & bonafide], score[inside & ~bonafide]) for score in scores)
        if min(len(a[0]), len(a[1])) == 0:
            continue
        decided = _mcnemar(first, second, a, b)
        for metric in _COMPARED:
            yield _pair(part, metric, (first.name, second.name), (a, b), n_draws, seed, decided)


def _parts(system: System) -> Any:
    """Return the part of each row; of scores under conditions, the condition behind it."""
    if conditions_to_compare(system.table, system.facts):
        return np.array(parts_with_condition(system.table), object)
    return system.table.column("part").to_numpy(zero_copy_only=False)


def _pair(
    part: str,
    metric: str,
    names: tuple[str, str],
    scores: tuple[tuple[FloatArray, FloatArray], tuple[FloatArray, FloatArray]],
    n_draws: int,
    seed: int,
    decided: float | None,
) -> Pair:
    with warnings.catch_warnings(action="ignore", category=TiesWarning):
        test = paired_bootstrap(METRICS[metric], *scores, n_draws=n_draws, seed=seed)
        values = [METRICS[metric](*classes) for classes in scores]
    return Pair(
        part=part,
        metric=metric,
        first=names[0],
        second=names[1],
        n_trials=sum(map(len, scores[0])),
        first_value=values[0],
        second_value=values[1],
        difference=test.value,
        low=test.low,
        high=test.high,
        p=test.p,
        mcnemar=decided,
    )


def _mcnemar(
    first: System,
    second: System,
    a: tuple[FloatArray, FloatArray],
    b: tuple[FloatArray, FloatArray],
) -> float | None:
    if first.threshold is None or second.threshold is None:
        return None
    right: list[BoolArray] = [
        correct_at(*scores, system.threshold)
        for system, scores in ((first, a), (second, b))
        if system.threshold is not None
    ]
    return mcnemar(*right)


def _document(report: PairedReport) -> Iterator[Block]:
    first = report.pairs[0].first
    yield Heading(f"{first} against others", 1)
    yield Words(
        f"Differences are those of {first} minus the other on the same trials; below 0 {first} "
        f"errs less. Intervals are 95 %, trials resampled for both at once ({report.n_draws:,} "
        f"draws, seed {report.seed}); p values are corrected by Holm for all rows."
    )
    yield Table(
        ("against", "part", "metric", "trials", first, "other", "difference", "p", "McNemar p"),
        tuple(
            (
                pair.second,
                pair.part,
                "EER" if pair.metric == "eer" else "minDCF",
                f"{pair.n_trials:,}",
                _number(pair.metric, pair.first_value),
                _number(pair.metric, pair.second_value),
                f"{_number(pair.metric, pair.difference)} ({_number(pair.metric, pair.low)} to "
                f"{_number(pair.metric, pair.high)})",
                f"{pair.p_holm:.3g}",
                "-" if pair.mcnemar_holm is None else f"{pair.mcnemar_holm:.3g}",
            )
            for pair in report.pairs
        ),
    )
    notes = list(report.notes)
    if any(pair.mcnemar is None for pair in report.pairs):
        notes.append(
            "McNemar's test compares decisions, and decisions need a threshold fitted on other "
            "clips: calibrate each score file on dev to have it."
        )
    if notes:
        yield Bullets(tuple(notes))


def _number(metric: str, value: float) -> str:
    return f"{value:.2%}" if metric == "eer" else f"{value:.3f}"
