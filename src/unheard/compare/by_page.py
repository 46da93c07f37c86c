"""Methods on clips that name their page: unseen systems, pages and systems drawn whole.

Every draw takes the same pages and systems for all methods, so differences are paired. M methods, N
clips of people, S spoofed clips of unseen systems, G systems or pages, D draws.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from unheard.compare.joined_scores import JoinedScores, join_scores
from unheard.compare.results import Run
from unheard.data.kinds import GROUPS, group_of
from unheard.evaluation.pages import unseen_systems
from unheard.evaluation.scores import read_facts
from unheard.metrics import TiesWarning, corrected, eer
from unheard.metrics.by_group import FEWEST_SPOOF, draws_over_groups
from unheard.metrics.counted import counted
from unheard.metrics.resampling import (
    Measured,
    memberships,
    percentiles,
    resampled,
    stacked,
    two_sided_p,
)
from unheard.types import BoolArray, FloatArray, IntArray

__all__ = ["NUMBERS", "ByPage", "PageNumber", "PageTest", "compare_by_page"]

NUMBERS = {"pooled": "pooled", "systems": "mean over systems", "within": "within a page"}
"""Equal error rates: all people against all clips of unseen systems, the mean over these systems,
and the mean over pages of the clips of one page."""

_COLUMNS = ("bonafide", "page", "attack", "family", "unseen")
_POWER = 0.8416  # quantile of the normal distribution: a difference is found four times out of five
_SIDED = 1.96


@dataclass(frozen=True, kw_only=True)
class PageNumber:
    """An equal error rate of one method, mean over its seeds.

    Attributes:
        value: In [0, 1].
        low: Lower end of the 95 % interval; pages and systems drawn whole.
        high: Upper end.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class PageTest:
    """One number of one method against that of another.

    Attributes:
        method: The one.
        against: The other.
        number: Key of `NUMBERS`.
        difference: Of the first less the other; below 0 the first errs less.
        low: Lower end of its 95 % interval.
        high: Upper end.
        p: Two-sided p value of no difference.
        p_holm: The same, corrected for all tests of the comparison.
        detectable: The smallest difference that such a test, uncorrected, finds four times out of
            five: 2.8 standard deviations of the draws.
    """

    method: str
    against: str
    number: str
    difference: float
    low: float
    high: float
    p: float
    p_holm: float
    detectable: float


@dataclass(frozen=True, kw_only=True)
class ByPage:
    """A comparison by pages and systems.

    Attributes:
        numbers: By method, then key of `NUMBERS`; methods in the order of their runs.
        groups: By method, then group of generators: equal error rate of all people against the
            group's clips, known systems too.
        dev: By method, mean over systems of dev with clips enough; methods without dev scores lack.
        tests: All of them.
        agreement: Spearman's correlation over methods of `dev` with the mean over systems here, and
            the number of methods; None with fewer than four.
        n_people: Clips of people.
        n_unseen: Clips of unseen systems.
        n_systems: Unseen systems with clips enough for a rate of their own.
        n_pages: Pages with clips enough of both classes.
        n_draws: Bootstrap draws.
    """

    numbers: Mapping[str, Mapping[str, PageNumber]]
    groups: Mapping[str, Mapping[str, float]]
    dev: Mapping[str, float]
    tests: tuple[PageTest, ...]
    agreement: tuple[float, int] | None
    n_people: int
    n_unseen: int
    n_systems: int
    n_pages: int
    n_draws: int


def compare_by_page(
    runs: Sequence[Run],
    pairs: Sequence[tuple[str, str]],
    *,
    n_draws: int = 2000,
    seed: int = 0,
) -> ByPage | None:
    """Compare methods on clips that all of them scored; None if the clips name no page.

    Args:
        runs: At least one, of one test; methods may have several seeds.
        pairs: Methods that are tested, and against which; those without a run are left out.
        n_draws: Bootstrap draws.
        seed: Of the draws.

    Raises:
        EvaluationError: If a score file cannot be read, or files have no clip in common.
        MetricError: If there are no clips of people, or no system or page has clips enough.
    """
    trials = join_scores([run.scores for run in runs], _COLUMNS)
    if not (trials.columns["page"] != "").any():
        return None
    trained = {name for run in runs for name in read_facts(run.scores).trained_systems}
    clips = _Clips.of(trials, sorted(trained))
    drawn = {
        "pooled": clips.pooled(n_draws, seed),
        "systems": clips.over_systems(n_draws, seed),
        "within": clips.within_pages(n_draws, seed),
    }
    methods = list(dict.fromkeys(run.method for run in runs))
    rows = {
        method: [place for place, run in enumerate(runs) if run.method == method]
        for method in methods
    }
    means = {
        (method, number): values[rows[method]].mean(axis=0)
        for method in methods
        for number, values in drawn.items()
    }
    numbers = {
        method: {number: _number(means[method, number]) for number in NUMBERS} for method in methods
    }
    dev = _dev(runs)
    return ByPage(
        numbers=numbers,
        groups={method: clips.groups(rows[method]) for method in methods},
        dev=dev,
        tests=_tests(means, [pair for pair in pairs if {*pair} <= {*methods}]),
        agreement=_agreement(dev, {name: numbers[name]["systems"].value for name in methods}),
        n_people=clips.people.size,
        n_unseen=clips.unseen.size,
        n_systems=len(clips.systems),
        n_pages=len(clips.pages),
        n_draws=n_draws,
    )


@dataclass(frozen=True, eq=False)
class _Clips:
    """What is measured on: rows of people [N] and of unseen systems [S], scores of M runs."""

    trials: JoinedScores
    people: IntArray
    unseen: IntArray
    systems: Mapping[str, IntArray]
    pages: Mapping[str, tuple[IntArray, IntArray]]

    @classmethod
    def of(cls, trials: JoinedScores, trained: Sequence[str]) -> _Clips:
        bonafide = trials.columns["bonafide"].astype(bool)
        attack, page = trials.columns["attack"], trials.columns["page"]
        new = ~bonafide & unseen_systems(attack, trials.columns["unseen"], trained)
        systems = _large(attack, new)
        people, spoof = _large(page, bonafide), _large(page, ~bonafide)
        return cls(
            trials,
            np.flatnonzero(bonafide),
            np.flatnonzero(new),
            systems,
            {name: (people[name], spoof[name]) for name in people if name in spoof},
        )

    def pooled(self, n_draws: int, seed: int) -> FloatArray:
        """Return rates as they are and drawn, [M, 1 + D]; pages of people and systems are drawn."""
        people, unseen = self.people, self.unseen
        classes = [self.trials.scores[0][rows] for rows in (people, unseen)]
        rows, stratum = stacked(classes)
        measured = [
            Measured(counted(eer, score[people], score[unseen]), rows)
            for score in self.trials.scores
        ]
        labels = self.trials.columns["page"][people], self.trials.columns["attack"][unseen]
        units = memberships(classes, [label.astype(str) for label in labels])
        rng = np.random.default_rng(seed)
        draws = resampled(measured, stratum, n_draws, rng, units=np.concatenate(units))
        return np.column_stack([self._rates(people, unseen), draws])

    def over_systems(self, n_draws: int, seed: int) -> FloatArray:
        """Return the same of the mean over systems; clips of a system stay as they are."""
        people = self.people
        runs = [
            (score[people], {name: score[rows] for name, rows in self.systems.items()})
            for score in self.trials.scores
        ]
        page = self.trials.columns["page"][people].astype(str)
        (unit,) = memberships([runs[0][0]], [page])
        draws = draws_over_groups(eer, runs, unit, n_draws, seed)
        means = [self._rates(people, rows) for rows in self.systems.values()]
        return np.column_stack([np.mean(means, axis=0), draws])

    def within_pages(self, n_draws: int, seed: int) -> FloatArray:
        """Return the same of the mean within pages; pages are drawn."""
        rates = np.stack([self._rates(*rows) for rows in self.pages.values()], axis=1)
        n = rates.shape[1]
        picks = np.random.default_rng(seed).integers(n, size=(n_draws, n))
        return np.column_stack([rates.mean(axis=1), rates[:, picks].mean(axis=2)])

    def groups(self, methods: Sequence[int]) -> dict[str, float]:
        """Return the mean over some runs of the rate of each group with clips enough."""
        columns = self.trials.columns
        group = np.array([group_of(family) for family in columns["family"].tolist()], object)
        rows = _large(group, ~columns["bonafide"].astype(bool))
        return {
            name: float(self._rates(self.people, rows[name])[list(methods)].mean())
            for name in GROUPS
            if name in rows
        }

    def _rates(self, people: IntArray, spoof: IntArray) -> FloatArray:
        """Return the rate of each run, [M]."""
        return np.array([_eer(score[people], score[spoof]) for score in self.trials.scores])


def _large(labels: Any, inside: BoolArray) -> dict[str, IntArray]:
    """Return the rows of each label inside a mask, of labels with clips enough, sorted."""
    names = labels.astype(str)
    found = {name: np.flatnonzero(inside & (names == name)) for name in sorted({*names[inside]})}
    return {name: rows for name, rows in found.items() if name and rows.size >= FEWEST_SPOOF}


def _eer(human: FloatArray, machine: FloatArray) -> float:
    with warnings.catch_warnings(action="ignore", category=TiesWarning):
        return eer(human, machine)


def _number(draws: FloatArray) -> PageNumber:
    low, high = percentiles(draws[1:])
    return PageNumber(value=float(draws[0]), low=low, high=high)


def _tests(
    means: Mapping[tuple[str, str], FloatArray], pairs: Sequence[tuple[str, str]]
) -> tuple[PageTest, ...]:
    tests = []
    for method, against in pairs:
        for number in NUMBERS:
            difference = means[method, number] - means[against, number]
            low, high = percentiles(difference[1:])
            tests.append(
                PageTest(
                    method=method,
                    against=against,
                    number=number,
                    difference=float(difference[0]),
                    low=low,
                    high=high,
                    p=two_sided_p(difference[1:]),
                    p_holm=1.0,
                    detectable=(_SIDED + _POWER) * float(difference[1:].std()),
                )
            )
    holm = corrected([test.p for test in tests]) if tests else ()
    return tuple(replace(test, p_holm=float(p)) for test, p in zip(tests, holm, strict=True))


def _dev(runs: Sequence[Run]) -> dict[str, float]:
    """Return each method's mean over systems of dev, mean over its seeds."""
    from pyarrow.parquet import read_table

    rates: dict[str, list[float]] = {}
    for run in runs:
        if run.dev_scores is None or not run.dev_scores.is_file():
            continue
        table = read_table(run.dev_scores, columns=["bonafide", "attack", "score"])
        bonafide = table.column("bonafide").to_numpy(zero_copy_only=False).astype(bool)
        score = table.column("score").to_numpy()
        systems = _large(table.column("attack").to_numpy(zero_copy_only=False), ~bonafide)
        own = [_eer(score[bonafide], score[rows]) for rows in systems.values()]
        rates.setdefault(run.method, []).append(float(np.mean(own)))
    return {method: float(np.mean(values)) for method, values in rates.items()}


def _agreement(dev: Mapping[str, float], here: Mapping[str, float]) -> tuple[float, int] | None:
    from scipy.stats import spearmanr

    shared = [method for method in here if method in dev]
    if len(shared) < 4:  # three rank alike by chance
        return None
    both = [[values[method] for method in shared] for values in (dev, here)]
    return float(spearmanr(*both).statistic), len(shared)
