"""The equal error rate as the ASVspoof evaluation packages compute it.

Scores are sorted one by one, ties in the order they came in, bona fide clips before spoofed ones;
every single clip is an operating point. On continuous scores this equals `eer` to one clip; on
ties it depends on that order. Use it to compare with published numbers, never to judge.

Only the EER needs a second definition. With bona fide clips first, each point inside a run of
tied scores costs at least as much as one end of the run, so the official minimum costs (minDCF,
t-DCF, a-DCF) equal ours on every input; actDCF and Cllr do not sort at all.
N bona fide clips, M spoofed clips.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from unheard.metrics.rates import checked
from unheard.types import FloatArray, IntArray

__all__ = ["det_official", "eer_official", "eer_threshold_official", "nearest_rate"]


def det_official(
    bonafide: ArrayLike, spoof: ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the operating points of the ASVspoof evaluation packages, one per clip.

    Args:
        bonafide: Scores of bona fide clips, shape [N].
        spoof: Scores of spoofed clips, shape [M].

    Returns:
        Miss rate, false-alarm rate and threshold after rejecting the k lowest scores, k = 0..N+M,
        each shape [N + M + 1]. The threshold of point k is the k-th lowest score, which the rates
        count as rejected; the first one lies 0.001 below the lowest score.

    Raises:
        MetricError: As `eer`.

    Source:
        The evaluation packages of ASVspoof 2019, 2021 and 5.
    """
    human, machine = checked(bonafide, spoof)
    pooled = np.concatenate([human, machine])
    order = np.argsort(pooled, kind="stable")
    missed = np.cumsum(order < human.size)
    rejected = np.arange(1, pooled.size + 1) - missed
    return (
        np.concatenate([[0.0], missed / human.size]),
        np.concatenate([[1.0], (machine.size - rejected) / machine.size]),
        np.concatenate([[pooled[order[0]] - 0.001], pooled[order]]),
    )


def eer_official(bonafide: ArrayLike, spoof: ArrayLike) -> float:
    """Return the equal error rate of the ASVspoof evaluation packages.

    The mean of the two rates at the first operating point at which they are nearest. It jumps by
    up to a clip of either class, and a constant scorer has 1, since its bona fide clips count as
    rejected before any spoofed one.

    Args:
        bonafide: Scores of bona fide clips, shape [N], any unit; higher is more bona fide.
        spoof: Scores of spoofed clips, shape [M], same unit.

    Returns:
        Equal error rate in [0, 1], not percent.

    Raises:
        MetricError: As `eer`.

    Source:
        The evaluation packages of ASVspoof 2019, 2021 and 5.

    Example:
        >>> eer_official([0.0, 0.0], [0.0])
        1.0
    """
    miss, false_alarm, _ = det_official(bonafide, spoof)
    at = int(np.argmin(np.abs(miss - false_alarm)))
    return float((miss[at] + false_alarm[at]) / 2)


def eer_threshold_official(bonafide: ArrayLike, spoof: ArrayLike) -> float:
    """Return the score at which the official equal error rate is read.

    The rate counts the clip with this score as rejected; who then decides with
    `score >= threshold`, as the packages do for the speaker verifier, accepts it.

    Args:
        bonafide: Scores of bona fide (or target) clips, shape [N].
        spoof: Scores of spoofed (or nontarget) clips, shape [M].

    Raises:
        MetricError: As `eer`.
    """
    miss, false_alarm, threshold = det_official(bonafide, spoof)
    return float(threshold[np.argmin(np.abs(miss - false_alarm))])


def nearest_rate(
    before: tuple[IntArray, IntArray],
    inside: IntArray,
    n_bonafide: int | IntArray,
    n_spoof: int | IntArray,
) -> FloatArray:
    """Return the official equal error rate, given the run of tied scores that holds the crossing.

    Args:
        before: Bona fide and spoofed clips below the run, any shape.
        inside: Bona fide clips in the run; the spoofed ones follow them. Same shape.
        n_bonafide: Bona fide clips in all.
        n_spoof: Spoofed clips in all.

    Returns:
        As `eer_official` of all clips, same shape.
    """
    missed, rejected = before
    lack = n_bonafide * n_spoof - missed * n_spoof - rejected * n_bonafide  # above 0
    steps_human = np.minimum(inside, -(-lack // n_spoof))
    lack = lack - steps_human * n_spoof
    steps_machine = np.maximum(0, -(-lack // n_bonafide))
    by_machine = steps_machine > 0
    ends = []
    for back in (1, 0):
        miss = (missed + steps_human - back * ~by_machine) / n_bonafide
        accepted = n_spoof - rejected - steps_machine + back * by_machine
        ends.append((miss, accepted / n_spoof))
    (miss, false_alarm), (miss_after, false_alarm_after) = ends
    first = np.abs(miss - false_alarm) <= np.abs(miss_after - false_alarm_after)
    total = np.where(first, miss + false_alarm, miss_after + false_alarm_after)
    return np.asarray(total / 2)
