"""Costs of a spoof detector and a speaker verifier that work together.

The verifier (automatic speaker verification, ASV) compares two voices and meets three kinds of
trial: targets, nontargets (another person) and spoofed ones. `min_tdcf_legacy` and `min_tdcf` rate
the spoof detector in front of a given verifier; `a_dcf` rates any system with one score.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from unheard.errors import MetricError
from unheard.metrics.official import eer_threshold_official
from unheard.metrics.rates import checked_class, steps
from unheard.types import FloatArray, IntArray

__all__ = [
    "ASVSPOOF5_ASV",
    "ASVSPOOF_COSTS",
    "A_DCF_COSTS",
    "AsvRates",
    "TandemCosts",
    "Weights",
    "a_dcf",
    "agnostic_weights",
    "asv_rates",
    "legacy_weights",
    "min_tdcf",
    "min_tdcf_legacy",
    "rates_of",
    "tdcf_weights",
    "verifier_curve",
]


@dataclass(frozen=True, kw_only=True)
class AsvRates:
    """How a speaker verifier errs at its threshold: all that a t-DCF needs to know of it.

    Attributes:
        miss: Share of target trials it rejects, in [0, 1].
        false_alarm: Share of nontarget trials it accepts.
        spoof_false_alarm: Share of spoofed trials it accepts; 1 - this is "Pmiss_spoof_asv".
    """

    miss: float
    false_alarm: float
    spoof_false_alarm: float

    def __post_init__(self) -> None:
        for name, rate in vars(self).items():
            if not 0 <= rate <= 1:
                raise MetricError(
                    f"{name} of the speaker verifier is {rate:g}, a share in [0, 1] is wanted; "
                    "divide percentages by 100"
                )


ASVSPOOF5_ASV = AsvRates(
    miss=0.01880141010575793,
    false_alarm=0.01881016557566423,
    spoof_false_alarm=0.4607082907604729,
)
"""The organisers' verifier on the pooled evaluation trials of ASVspoof 5, track 2."""


@dataclass(frozen=True, kw_only=True)
class TandemCosts:
    """How often each kind of trial comes and what each error costs.

    The default is that of ASVspoof 2019, 2021 and 5. A missed target costs the same whether the
    spoof detector or the verifier rejected it, as in all three.

    Attributes:
        target_prior: Share of target trials in the assumed application.
        nontarget_prior: Share of trials by another person.
        spoof_prior: Share of spoofed trials. The three sum to 1.
        miss_cost: Cost of rejecting a target.
        false_alarm_cost: Cost of accepting a nontarget.
        spoof_false_alarm_cost: Cost of accepting a spoofed trial.
    """

    target_prior: float = 0.95 * 0.99
    nontarget_prior: float = 0.95 * 0.01
    spoof_prior: float = 0.05
    miss_cost: float = 1.0
    false_alarm_cost: float = 10.0
    spoof_false_alarm_cost: float = 10.0

    def __post_init__(self) -> None:
        priors = (self.target_prior, self.nontarget_prior, self.spoof_prior)
        if min(priors) < 0 or not abs(sum(priors) - 1) <= 1e-10:
            raise MetricError(
                "priors of target, nontarget and spoofed trials are "
                f"{', '.join(f'{prior:g}' for prior in priors)}; give shares of at least 0 "
                "that sum to 1"
            )
        costs = (self.miss_cost, self.false_alarm_cost, self.spoof_false_alarm_cost)
        if not (min(costs) > 0 and np.isfinite(sum(costs))):
            raise MetricError(
                "costs of a miss, a false alarm and a spoofed false alarm are "
                f"{', '.join(f'{cost:g}' for cost in costs)}; give positive costs"
            )


ASVSPOOF_COSTS = TandemCosts()
"""ASVspoof 2019, 2021 and 5: priors 0.9405, 0.0095, 0.05; costs 1, 10, 10."""

A_DCF_COSTS = TandemCosts(
    target_prior=0.9, nontarget_prior=0.05, spoof_prior=0.05, spoof_false_alarm_cost=20.0
)
"""What the `a_dcf` package takes by default: priors 0.9, 0.05, 0.05; costs 1, 10, 20."""


def asv_rates(target: ArrayLike, nontarget: ArrayLike, spoof: ArrayLike) -> AsvRates:
    """Return the error rates of a verifier at its own equal-error threshold.

    Args:
        target: Verification scores of target trials, shape [T]; higher is more the same speaker.
        nontarget: The same of nontarget trials, shape [N].
        spoof: The same of spoofed trials, shape [S].

    Raises:
        MetricError: If an array is empty, not one-dimensional, or not finite.

    Source:
        ASVspoof 2019 evaluation package: the threshold of `eer_threshold_official` of target
        against nontarget trials; a trial is accepted if its score is at least the threshold.
    """
    own = checked_class("target", target)
    others = checked_class("nontarget", nontarget)
    spoofed = checked_class("spoofed", spoof)
    threshold = eer_threshold_official(own, others)
    return AsvRates(
        miss=float(np.mean(own < threshold)),
        false_alarm=float(np.mean(others >= threshold)),
        spoof_false_alarm=float(np.mean(spoofed >= threshold)),
    )


@dataclass(frozen=True)
class Weights:
    """A cost that is linear in the error rates of a system.

    Attributes:
        constant: What it costs without any error.
        miss: What the miss rate weighs.
        false_alarms: What the false-alarm rate of each other class weighs.
    """

    constant: float
    miss: float
    false_alarms: tuple[float, ...]

    def cost(self, miss: FloatArray, *false_alarms: FloatArray) -> FloatArray:
        """Return the cost of operating points, given their rates, each of shape [..., K + 1]."""
        cost = self.miss * miss
        for weight, rate in zip(self.false_alarms, false_alarms, strict=True):
            cost = cost + weight * rate
        return self.constant + cost

    def least(self, miss: FloatArray, *false_alarms: FloatArray) -> float:
        """Return the least cost over operating points, given their rates, each shape [K + 1]."""
        return float(np.min(self.cost(miss, *false_alarms)))


def legacy_weights(asv: AsvRates, costs: TandemCosts = ASVSPOOF_COSTS) -> Weights:
    """Return what the rates of the spoof detector weigh in the normalised t-DCF of 2019.

    Raises:
        MetricError: If the verifier is so poor that a weight is not positive.
    """
    blocked = costs.target_prior * costs.miss_cost * (1 - asv.miss)
    c1 = blocked - costs.nontarget_prior * costs.false_alarm_cost * asv.false_alarm
    c2 = costs.spoof_false_alarm_cost * costs.spoof_prior * asv.spoof_false_alarm
    _refuse_unless(c1 > 0 and c2 > 0, c1, c2, asv)
    least = min(c1, c2)
    return Weights(0.0, c1 / least, (c2 / least,))


def tdcf_weights(asv: AsvRates, costs: TandemCosts = ASVSPOOF_COSTS) -> Weights:
    """Return what the rates of the spoof detector weigh in the normalised t-DCF of 2021.

    Raises:
        MetricError: If the verifier is so poor that a weight is negative.
    """
    c0 = costs.target_prior * costs.miss_cost * asv.miss
    c0 += costs.nontarget_prior * costs.false_alarm_cost * asv.false_alarm
    c1 = costs.target_prior * costs.miss_cost - c0
    c2 = costs.spoof_prior * costs.spoof_false_alarm_cost * asv.spoof_false_alarm
    blind = c0 + min(c1, c2)
    _refuse_unless(c1 >= 0 and c2 >= 0 and blind > 0, c1, c2, asv)
    return Weights(c0 / blind, c1 / blind, (c2 / blind,))


def agnostic_weights(costs: TandemCosts = ASVSPOOF_COSTS) -> Weights:
    """Return what the rates of targets, nontargets and spoofed trials weigh in the a-DCF.

    Raises:
        MetricError: If deciding blindly costs nothing.
    """
    miss = costs.miss_cost * costs.target_prior
    false_alarm = costs.false_alarm_cost * costs.nontarget_prior
    spoof_false_alarm = costs.spoof_false_alarm_cost * costs.spoof_prior
    blind = min(false_alarm + spoof_false_alarm, miss)
    if blind <= 0:
        raise MetricError(
            f"priors of target {costs.target_prior:g}, nontarget {costs.nontarget_prior:g}, spoof "
            f"{costs.spoof_prior:g}: deciding blindly costs nothing; give a prior inside (0, 1) "
            "to targets"
        )
    return Weights(0.0, miss / blind, (false_alarm / blind, spoof_false_alarm / blind))


def _refuse_unless(sane: bool, c1: float, c2: float, asv: AsvRates) -> None:
    if not sane:
        raise MetricError(
            f"with a verifier that misses {asv.miss:g} of targets and accepts "
            f"{asv.false_alarm:g} of nontargets and {asv.spoof_false_alarm:g} of spoofed trials, "
            f"the t-DCF weighs misses {c1:g} and false alarms {c2:g}; positive weights are wanted: "
            "check that the verification scores are higher for the same speaker and were not "
            "swapped, and that it accepts some spoofed trial"
        )


def min_tdcf_legacy(
    bonafide: ArrayLike,
    spoof: ArrayLike,
    asv: AsvRates,
    *,
    costs: TandemCosts = ASVSPOOF_COSTS,
) -> float:
    """Return the minimum tandem detection cost of ASVspoof 2019.

    Args:
        bonafide: Spoof detection scores of bona fide clips, shape [N]; higher is more bona fide.
        spoof: The same of spoofed clips, shape [M].
        asv: Rates of the verifier behind the detector, given or from `asv_rates`.
        costs: Priors and costs.

    Returns:
        Cost in [0, 1]; 1 is what a detector costs that accepts all or rejects all.

    Raises:
        MetricError: As `eer`; or if the verifier is so poor that a weight is not positive.

    Source:
        Kinnunen et al., "t-DCF: a detection cost function for the tandem assessment of spoofing
        countermeasures and automatic speaker verification", 2018; ASVspoof 2019 evaluation plan.
    """
    curve = steps(bonafide, spoof)
    return legacy_weights(asv, costs).least(curve.miss, curve.false_alarm)


def min_tdcf(
    bonafide: ArrayLike,
    spoof: ArrayLike,
    asv: AsvRates,
    *,
    costs: TandemCosts = ASVSPOOF_COSTS,
) -> float:
    """Return the minimum tandem detection cost as revised in 2020, used by ASVspoof 2021.

    Unlike the legacy cost it counts what the verifier alone does wrong, so a perfect detector
    does not reach 0.

    Args:
        bonafide: Spoof detection scores of bona fide clips, shape [N]; higher is more bona fide.
        spoof: The same of spoofed clips, shape [M].
        asv: Rates of the verifier behind the detector, given or from `asv_rates`.
        costs: Priors and costs.

    Returns:
        Cost in (0, 1]; 1 is what a detector costs that accepts all or rejects all.

    Raises:
        MetricError: As `eer`; or if the verifier is so poor that a weight is negative.

    Source:
        Kinnunen et al., "Tandem assessment of spoofing countermeasures and automatic speaker
        verification: fundamentals", 2020; ASVspoof 2021 evaluation plan.
    """
    curve = steps(bonafide, spoof)
    return tdcf_weights(asv, costs).least(curve.miss, curve.false_alarm)


def verifier_curve(
    target: ArrayLike, nontarget: ArrayLike, spoof: ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return every operating point of a system that meets three kinds of trial.

    Args:
        target: Scores of target trials, shape [T].
        nontarget: Scores of nontarget trials, shape [N].
        spoof: Scores of spoofed trials, shape [S].

    Returns:
        Miss rate, false-alarm rate of nontargets and of spoofed trials, each shape [K + 1] for K
        distinct scores, by ascending threshold: from accepting all to rejecting all.

    Raises:
        MetricError: As `asv_rates`.
    """
    classes = [
        checked_class(name, scores)
        for name, scores in (("target", target), ("nontarget", nontarget), ("spoofed", spoof))
    ]
    thresholds = np.append(np.unique(np.concatenate(classes)), np.inf)
    below = (np.searchsorted(np.sort(scores), thresholds) for scores in classes)
    miss, false_alarm, spoof_false_alarm = rates_of(*below)
    return miss, false_alarm, spoof_false_alarm


def rates_of(own: IntArray, *others: IntArray) -> list[FloatArray]:
    """Return miss rate and false-alarm rates from clips rejected at each step.

    Each has the shape [K + 1], or [D, K + 1] for D resamples.
    """
    others_rates = ((below[..., -1:] - below) / below[..., -1:] for below in others)
    return [own / own[..., -1:], *others_rates]


def a_dcf(
    target: ArrayLike,
    nontarget: ArrayLike,
    spoof: ArrayLike,
    *,
    costs: TandemCosts = ASVSPOOF_COSTS,
) -> float:
    """Return the architecture-agnostic detection cost of a spoofing-aware verifier.

    Args:
        target: Scores of target trials, shape [T]; higher is more the claimed, living speaker.
        nontarget: Scores of nontarget trials, shape [N].
        spoof: Scores of spoofed trials, shape [S].
        costs: `ASVSPOOF_COSTS` or `A_DCF_COSTS`, or others.

    Returns:
        Least cost over thresholds in [0, 1]; 1 is what deciding blindly costs.

    Raises:
        MetricError: As `asv_rates`, or if there is nothing that deciding blindly could cost.

    Source:
        Shim et al., "a-DCF: an architecture agnostic metric with application to spoofing-robust
        speaker verification", 2024.
    """
    return agnostic_weights(costs).least(*verifier_curve(target, nontarget, spoof))
