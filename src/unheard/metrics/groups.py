"""One number for many groups: the mean over attacks, the worst attack."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from numpy.typing import ArrayLike

from unheard.errors import MetricError

__all__ = ["Macro", "macro"]


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
    worst = max(values, key=values.__getitem__)
    return Macro(sum(values.values()) / len(values), values[worst], worst, values)
