"""The tandem equal error rate: one number for a spoof detector and a verifier, without costs.

A trial is accepted if both accept it. With independent scores, at thresholds u of the detector
and v of the verifier,

    miss(u, v)              = 1 - (1 - P_miss(u)) (1 - A_miss(v))          of targets
    false alarm (u, v)      = (1 - P_miss(u)) A_fa(v)                      of nontargets
    spoof false alarm(u, v) = P_fa(u) A_spoof(v)                           of spoofed trials

where P are rates of the detector and A rates of the verifier. The t-EER path of a spoof prior
joins the (u, v) at which miss equals the false alarm rate mixed at that prior; all paths meet
where the three rates are equal. That common rate, free of any prior, is the concurrent t-EER.

How it is found. Miss equals false alarm of nontargets where 1 / (1 - P_miss(u)) =
1 + A_fa(v) - A_miss(v). The right side falls from 2 to 1 as v rises to the verifier's own equal
error rate, so this is one path along which P_miss falls from 1/2 to 0. With both curves made of
straight lines between the operating points at distinct scores, the path is followed from corner
to corner, and every change of sign of false alarm - spoof false alarm is solved.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from unheard.errors import MetricError
from unheard.metrics.rates import steps
from unheard.metrics.tandem import verifier_curve
from unheard.types import FloatArray

__all__ = ["t_eer", "tandem_rate"]


def t_eer(
    bonafide: ArrayLike,
    spoof: ArrayLike,
    target: ArrayLike,
    nontarget: ArrayLike,
    spoof_trial: ArrayLike,
) -> float:
    """Return the concurrent tandem equal error rate of a spoof detector and a verifier.

    Tied scores move together in both. Where several pairs of thresholds make the three rates
    equal, the least common rate is returned.

    Args:
        bonafide: Detection scores of bona fide clips (targets and nontargets), shape [N].
        spoof: Detection scores of spoofed clips, shape [M].
        target: Verification scores of target trials, shape [T].
        nontarget: Verification scores of nontarget trials, shape [I].
        spoof_trial: Verification scores of spoofed trials, shape [S].

    Returns:
        Rate in [0, 1], not percent.

    Raises:
        MetricError: As `asv_rates`; or if the three rates are equal nowhere: the verifier rejects
            spoofed trials better than nontargets, or the detector is worse than chance.

    Source:
        Kinnunen et al., "t-EER: parameter-free tandem evaluation of countermeasures and biometric
        comparators", 2023. Differs from its code, which takes the nearest of the operating points
        on the path of prior 0 and reports their spoof false alarm: equal up to a clip.
    """
    detector = steps(bonafide, spoof)
    return tandem_rate(
        (detector.miss, detector.false_alarm), verifier_curve(target, nontarget, spoof_trial)
    )


def tandem_rate(
    detector: tuple[FloatArray, FloatArray], verifier: tuple[FloatArray, FloatArray, FloatArray]
) -> float:
    """Return the concurrent t-EER of two systems from their operating points.

    Args:
        detector: Miss and false-alarm rate at each step, from (0, 1) to (1, 0).
        verifier: Miss rate, false-alarm rate of nontargets and of spoofed trials, likewise.

    Raises:
        MetricError: As `t_eer`, if the three rates are equal nowhere.
    """
    curves = (*detector, *verifier)
    at_detector, at_verifier = _path(*curves)
    rates = _rates(at_detector, at_verifier, curves)
    gap = rates[0] - rates[1]
    exact = np.flatnonzero(gap == 0)
    turns = np.flatnonzero(gap[1:] * gap[:-1] < 0)
    if not exact.size and not turns.size:
        verdict = "above" if gap[0] > 0 else "below"
        raise MetricError(
            f"false alarms of nontargets stay {verdict} those of spoofed trials wherever they "
            "equal the misses, so there is no concurrent t-EER; a verifier that spoofing does not "
            "fool needs no detector, a detector worse than chance has its scores turned round: "
            "look at both alone, or use a_dcf"
        )
    rates_at_crossings = [float(rates[0][at]) for at in exact]
    for turn in turns:
        ends = slice(turn, turn + 2)
        rates_at_crossings.append(_solved(at_detector[ends], at_verifier[ends], curves))
    return min(rates_at_crossings)


def _path(
    p_miss: FloatArray,
    p_fa: FloatArray,
    a_miss: FloatArray,
    a_fa: FloatArray,
    a_spoof: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return the corners of the path miss = false alarm as fractional indices, each shape [L].

    The index into the detector's curve falls, that into the verifier's rises.
    """
    need = 1 + a_fa - a_miss  # what 1 / (1 - P_miss) must be; falls with the verifier's index
    last = int(np.flatnonzero(need >= 1)[-1])
    inside_verifier = np.arange(last + 1, dtype=np.float64)
    inside_detector = np.flatnonzero(p_miss <= 0.5).astype(np.float64)
    pass_rate = 1 - p_miss[: inside_detector.size]
    index = np.arange(p_miss.size, dtype=np.float64)
    u = np.concatenate([np.interp(1 - 1 / need[: last + 1], p_miss, index), inside_detector])
    rising = np.arange(need.size, dtype=np.float64)
    v = np.concatenate([inside_verifier, np.interp(-1 / pass_rate, -need, rising)])
    order = np.lexsort((-u, v))
    return u[order], v[order]


def _rates(
    u: FloatArray, v: FloatArray, curves: tuple[FloatArray, ...]
) -> tuple[FloatArray, FloatArray]:
    """Return false alarms of nontargets and of spoofed trials at fractional indices."""
    p_miss, p_fa = (_between(u, curve) for curve in curves[:2])
    a_fa, a_spoof = (_between(v, curve) for curve in curves[3:])
    return (1 - p_miss) * a_fa, p_fa * a_spoof


def _between(at: FloatArray, curve: FloatArray) -> FloatArray:
    """Return a curve at fractional indices; at whole ones exactly its values."""
    below = np.asarray(at).astype(np.int64)
    above = np.minimum(below + 1, curve.size - 1)
    return np.asarray(curve[below] + (at - below) * (curve[above] - curve[below]))


def _solved(u: FloatArray, v: FloatArray, curves: tuple[FloatArray, ...]) -> float:
    """Return the common rate inside a piece of the path on which the gap changes its sign.

    A piece lies within one step of either system, so all curves are straight on it.
    """
    miss, fa = (_between(u, curve).tolist() for curve in curves[:2])
    a_miss, a_fa, a_spoof = (_between(v, curve).tolist() for curve in curves[2:])

    def rates(share: float) -> tuple[float, float]:
        at_a_fa = a_fa[0] + share * (a_fa[1] - a_fa[0])
        at_u = share
        if miss[0] != miss[1]:  # both move: the detector follows the verifier along the path
            wanted = 1 - 1 / (1 + at_a_fa - (a_miss[0] + share * (a_miss[1] - a_miss[0])))
            at_u = (wanted - miss[0]) / (miss[1] - miss[0])
        at_miss = miss[0] + at_u * (miss[1] - miss[0])
        at_fa = fa[0] + at_u * (fa[1] - fa[0])
        return (1 - at_miss) * at_a_fa, at_fa * (a_spoof[0] + share * (a_spoof[1] - a_spoof[0]))

    low, high = 0.0, 1.0
    first = rates(low)
    for _ in range(60):
        middle = (low + high) / 2
        false_alarm, spoof_false_alarm = rates(middle)
        if (false_alarm > spoof_false_alarm) == (first[0] > first[1]):
            low = middle
        else:
            high = middle
    return rates((low + high) / 2)[0]
