"""Means over groups of clips, with intervals that resample whole groups.

Clips of one demonstration page, source corpus or system resemble each other: they share rate,
codec, room and author. Where each group weighs the same, a large one does not decide; where groups
are drawn whole, the interval says what another set of pages would have given. N bona fide clips, M
spoofed clips, G groups.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from unheard.errors import MetricError
from unheard.metrics.counted import counted
from unheard.metrics.rates import TiesWarning, checked, checked_class
from unheard.metrics.resampling import Interval, Measured, memberships, percentiles, resampled
from unheard.types import FloatArray, IntArray

__all__ = [
    "GroupMean",
    "Macro",
    "draws_over_groups",
    "macro",
    "mean_over_groups",
    "mean_within_groups",
    "share_by_group",
]

FEWEST_SPOOF = 4
"""Spoofed clips below which a system or page has no error rate of its own."""

FEWEST_PEOPLE = 10
"""Clips of people below which the share of a page or source corpus is no finding."""


@dataclass(frozen=True)
class Macro:
    """A metric over groups that all weigh the same, however many clips they have.

    Attributes:
        mean: Plain mean over the groups.
        worst: Highest value of all groups (of an error or a cost, high is bad).
        worst_group: Which group that is; the first by name if several.
        values: Value of each group, by name.
    """

    mean: float
    worst: float
    worst_group: str
    values: Mapping[str, float]


@dataclass(frozen=True)
class GroupMean:
    """A number over groups, and how far it may be trusted.

    Attributes:
        value: Mean over groups, or over clips for a share.
        interval: Of the value; groups are drawn whole. None with fewer than two groups to draw.
        groups: Value of each group with clips enough, with the mean, the worst and its name;
            None if no group has.
    """

    value: float
    interval: Interval | None
    groups: Macro | None


def macro(
    metric: Callable[..., float], bonafide: ArrayLike, spoof: Mapping[str, ArrayLike]
) -> Macro:
    """Return the mean and the worst of a metric over groups of spoofed clips.

    Every group meets all bona fide clips. A pooled metric uses one threshold for all groups, so
    it is not the mean of theirs and may even lie above the worst.

    Args:
        metric: A metric of this package: an error or a cost, of two arrays.
        bonafide: Scores of bona fide clips, shape [N].
        spoof: Scores of the spoofed clips of each group (attack, codec, corpus), shapes [M_g].

    Raises:
        MetricError: As the metric, naming the group; or if there is no group.
    """
    if not spoof:
        raise MetricError("no group of spoofed clips; give at least one, as {name: scores}")
    values = {}
    for name in sorted(spoof):
        try:
            values[name] = metric(bonafide, spoof[name])
        except MetricError as error:
            raise MetricError(f"group {name!r}: {error}") from error
    return _macro(values)


def mean_over_groups(
    metric: Callable[..., float],
    bonafide: ArrayLike,
    spoof: ArrayLike,
    groups: tuple[ArrayLike, ArrayLike],
    *,
    fewest: int = FEWEST_SPOOF,
    n_draws: int = 1000,
    seed: int = 0,
) -> GroupMean:
    """Return the mean of a metric over groups of spoofed clips, each against all bona fide ones.

    Args:
        metric: A metric of this package: an error or a cost, of two arrays.
        bonafide: Scores of bona fide clips, shape [N].
        spoof: Scores of spoofed clips, shape [M].
        groups: Page or source corpus of each bona fide clip, shape [N], drawn whole; and system or
            page of each spoofed clip, shape [M], averaged over and drawn whole.
        fewest: Spoofed clips that a group must have to count.
        n_draws: Resamples.
        seed: Same seed, same interval.

    Raises:
        MetricError: As the metric; or if labels do not fit, or no group has clips enough.
    """
    human, machine = checked(bonafide, spoof)
    people, _ = memberships([human, machine], list(groups))
    of_group = _split(machine, groups[1], fewest)
    with warnings.catch_warnings(action="ignore", category=TiesWarning):
        over_groups = macro(metric, human, of_group)
    (draws,) = draws_over_groups(metric, [(human, of_group)], people, n_draws, seed)
    interval = _interval(draws, len(of_group), int(people.max()) + 1)
    return GroupMean(over_groups.mean, interval, over_groups)


def draws_over_groups(
    metric: Callable[..., float],
    runs: Sequence[tuple[FloatArray, Mapping[str, FloatArray]]],
    people: IntArray,
    n_draws: int,
    seed: int,
) -> FloatArray:
    """Return drawn means over groups of each of R runs, shape [R, D], the same draws for all.

    Args:
        metric: As `mean_over_groups` has it.
        runs: Scores of the same bona fide clips, shape [N], and of each group's spoofed clips.
        people: Number of the page of each bona fide clip, from 0 up, shape [N].
        n_draws: Resamples D: pages and groups are drawn whole, clips of a group stay as they are.
        seed: Of the draws.
    """
    ends = np.cumsum([scores.size for scores in runs[0][1].values()])
    n, n_groups = people.size, ends.size
    spoofed = np.split(n + np.arange(ends[-1]), ends[:-1])
    measured = [
        Measured(counted(metric, human, scores), (np.arange(n), rows))
        for human, of_group in runs
        for scores, rows in zip(of_group.values(), spoofed, strict=True)
    ]
    once = np.zeros(ends[-1], np.int64)
    stratum = np.concatenate([np.zeros(n, np.int64), once - 1])
    rng = np.random.default_rng(seed)
    rates = resampled(measured, stratum, n_draws, rng, units=np.concatenate([people, once]))
    drawn = rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), n_draws).T
    draws: FloatArray = (rates.reshape(-1, n_groups, n_draws) * drawn).sum(axis=1) / n_groups
    return draws


def mean_within_groups(
    metric: Callable[..., float],
    bonafide: ArrayLike,
    spoof: ArrayLike,
    groups: tuple[ArrayLike, ArrayLike],
    *,
    fewest: int = FEWEST_SPOOF,
    n_draws: int = 1000,
    seed: int = 0,
) -> GroupMean:
    """Return the mean over pages of a metric of the clips of one page, class against class.

    Clips of a page share rate, codec and room, so what tells its classes apart is no cue of these.

    Args:
        metric: A metric of this package, of two arrays.
        bonafide: Scores of bona fide clips, shape [N].
        spoof: Scores of spoofed clips, shape [M].
        groups: Page of each bona fide clip, shape [N], and of each spoofed clip, shape [M].
        fewest: Clips of each class that a page must have to count.
        n_draws: Resamples of pages.
        seed: Same seed, same interval.

    Raises:
        MetricError: As the metric; or if labels do not fit, or no page has clips enough.
    """
    human, machine = checked(bonafide, spoof)
    memberships([human, machine], list(groups))
    people, spoofed = (
        _split(scores, labels, fewest)
        for scores, labels in zip((human, machine), groups, strict=True)
    )
    with warnings.catch_warnings(action="ignore", category=TiesWarning):
        values = {
            name: metric(people[name], spoofed[name]) for name in sorted(people) if name in spoofed
        }
    if not values:
        raise MetricError(
            f"no group has {fewest} clips of each class; give a corpus whose pages hold both"
        )
    over_pages = _macro(values)
    rates = np.array(list(values.values()))
    picks = np.random.default_rng(seed).integers(rates.size, size=(n_draws, rates.size))
    return GroupMean(over_pages.mean, _interval(rates[picks].mean(axis=1), rates.size), over_pages)


def share_by_group(
    called: ArrayLike,
    groups: ArrayLike,
    *,
    fewest: int = FEWEST_PEOPLE,
    n_draws: int = 1000,
    seed: int = 0,
) -> GroupMean:
    """Return the share of clips that something is said of: of all, and of the worst group.

    Args:
        called: Whether it is said of each clip, shape [N].
        groups: Page, source corpus or system of each, shape [N]; drawn whole.
        fewest: Clips that a group must have to be looked at alone.
        n_draws: Resamples of groups.
        seed: Same seed, same interval.

    Raises:
        MetricError: If there are no clips, or labels do not fit.
    """
    calls = checked_class("these", np.asarray(called, np.float64))
    (member,) = memberships([calls], [groups])
    share = Measured(counted(np.mean, calls), (np.arange(calls.size),))
    rng = np.random.default_rng(seed)
    (draws,) = resampled([share], np.zeros_like(member), n_draws, rng, units=member)
    of_group = _split(calls, groups, fewest, needed=False)
    values = {name: float(clips.mean()) for name, clips in sorted(of_group.items())}
    interval = _interval(draws, int(member.max()) + 1)
    return GroupMean(float(calls.mean()), interval, _macro(values) if values else None)


def _split(
    scores: FloatArray, labels: ArrayLike, fewest: int, *, needed: bool = True
) -> dict[str, FloatArray]:
    """Scores by group, of the groups with clips enough."""
    names, member = np.unique(np.asarray(labels).astype(str), return_inverse=True)
    sizes = np.bincount(member, minlength=names.size)
    large_enough = {str(names[g]): scores[member == g] for g in np.flatnonzero(sizes >= fewest)}
    if needed and not large_enough:
        raise MetricError(
            f"no group has {fewest} clips, the largest {sizes.max()}; average over other groups"
        )
    return large_enough


def _macro(values: Mapping[str, float]) -> Macro:
    worst = max(values, key=values.__getitem__)
    return Macro(sum(values.values()) / len(values), values[worst], worst, values)


def _interval(draws: FloatArray, *n_groups: int) -> Interval | None:
    if max(n_groups) < 2:
        return None
    return Interval(*percentiles(draws))
