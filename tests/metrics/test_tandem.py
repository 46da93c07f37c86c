"""Detector and speaker verifier together: t-DCF, a-DCF, t-EER."""

from functools import partial

import numpy as np
import pytest

from unheard.errors import MetricError
from unheard.metrics import (
    A_DCF_COSTS,
    ASVSPOOF5_ASV,
    ASVSPOOF_COSTS,
    AsvRates,
    TandemCosts,
    a_dcf,
    asv_rates,
    bootstrap,
    eer,
    min_dcf,
    min_tdcf,
    min_tdcf_legacy,
    t_eer,
)

PERFECT = ([2.0, 3.0], [0.0, 1.0])
BLIND = (np.zeros(5), np.zeros(4))
POOR_ASV = AsvRates(miss=0.99, false_alarm=0.9, spoof_false_alarm=0.5)


def test_costs_are_those_of_the_evaluation_plans() -> None:
    assert ASVSPOOF_COSTS.target_prior == pytest.approx(0.9405, abs=1e-15)
    assert ASVSPOOF_COSTS.nontarget_prior == pytest.approx(0.0095, abs=1e-15)
    assert (
        TandemCosts(
            target_prior=0.9,
            nontarget_prior=0.05,
            spoof_prior=0.05,
            miss_cost=1,
            false_alarm_cost=10,
            spoof_false_alarm_cost=20,
        )
        == A_DCF_COSTS
    )
    assert ASVSPOOF5_ASV.spoof_false_alarm == 0.4607082907604729


def test_legacy_cost_by_hand() -> None:
    # C1 = 0.9405 (1 - 0.1) - 0.0095 10 0.2 = 0.82745, C2 = 10 0.05 0.5 = 0.25.
    asv = AsvRates(miss=0.1, false_alarm=0.2, spoof_false_alarm=0.5)
    scores = ([1.0, 3.0], [0.0, 0.0, 0.0, 2.0])
    assert min_tdcf_legacy(*scores, asv) == pytest.approx(1 / 4, abs=1e-15)
    assert min_tdcf_legacy(*PERFECT, asv) == 0
    assert min_tdcf_legacy(*BLIND, asv) == 1
    dear = TandemCosts(spoof_false_alarm_cost=100.0)  # C2 = 2.5: rejecting one human is cheaper
    assert min_tdcf_legacy(*scores, asv, costs=dear) == pytest.approx(0.5, abs=1e-15)


def test_revised_cost_by_hand_counts_the_verifier_too() -> None:
    # C0 = 0.9405 0.1 + 0.0095 10 0.2 = 0.11305, C1 = 0.82745, C2 = 0.25.
    asv = AsvRates(miss=0.1, false_alarm=0.2, spoof_false_alarm=0.5)
    scores = ([1.0, 3.0], [0.0, 0.0, 0.0, 2.0])
    blind = 0.11305 + 0.25
    assert min_tdcf(*scores, asv) == pytest.approx((0.11305 + 0.25 / 4) / blind, abs=1e-15)
    assert min_tdcf(*PERFECT, asv) == pytest.approx(0.11305 / blind, abs=1e-15)
    assert min_tdcf(*BLIND, asv) == 1


def test_with_a_perfect_verifier_fooled_by_every_spoof_both_are_a_dcf() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(1, 1, 200), rng.normal(-1, 1, 300)
    asv = AsvRates(miss=0.0, false_alarm=0.0, spoof_false_alarm=1.0)
    costs = TandemCosts(target_prior=0.95, nontarget_prior=0.0)
    assert min_tdcf(*scores, asv, costs=costs) == pytest.approx(min_dcf(*scores), abs=1e-14)
    assert min_tdcf_legacy(*scores, asv, costs=costs) == pytest.approx(min_dcf(*scores), abs=1e-14)


def test_rates_are_read_at_the_equal_error_threshold_of_the_verifier() -> None:
    # Threshold 1, the last rejected score: the nontarget there is accepted, as in the package.
    rates = asv_rates([2.0, 3.0], [0.0, 1.0], [0.5, 1.5, 1.0, 9.0])
    assert rates == AsvRates(miss=0.0, false_alarm=0.5, spoof_false_alarm=0.75)


@pytest.mark.parametrize("metric", [min_tdcf, min_tdcf_legacy])
def test_a_verifier_that_would_earn_from_errors_is_refused(metric: object) -> None:
    assert callable(metric)
    costly = TandemCosts(false_alarm_cost=1000.0)
    with pytest.raises(MetricError, match="check that the verification scores are higher for"):
        metric(*PERFECT, POOR_ASV, costs=costly)


def test_a_verifier_that_no_spoof_fools_has_no_legacy_cost() -> None:
    asv = AsvRates(miss=0.1, false_alarm=0.1, spoof_false_alarm=0.0)
    with pytest.raises(MetricError, match=r"false alarms 0;.*accepts some spoofed trial"):
        min_tdcf_legacy(*PERFECT, asv)
    assert 0 < min_tdcf(*PERFECT, asv) <= 1


def test_values_out_of_range_are_refused() -> None:
    with pytest.raises(MetricError, match=r"false_alarm .* is 1.88, .*divide percentages by 100"):
        AsvRates(miss=0.0188, false_alarm=1.88, spoof_false_alarm=0.4)
    with pytest.raises(MetricError, match="give shares of at least 0 that sum to 1"):
        TandemCosts(spoof_prior=0.1)
    with pytest.raises(MetricError, match="give shares of at least 0"):
        TandemCosts(target_prior=float("nan"))
    with pytest.raises(MetricError, match="give positive costs"):
        TandemCosts(miss_cost=0.0)
    with pytest.raises(MetricError, match="no scores of nontarget clips"):
        asv_rates([1.0], [], [1.0])
    with pytest.raises(MetricError, match="infinite among 1 scores of target"):
        a_dcf([np.inf], [1.0], [1.0])
    everyone = TandemCosts(target_prior=1.0, nontarget_prior=0.0, spoof_prior=0.0)
    with pytest.raises(MetricError, match="deciding blindly costs nothing"):
        a_dcf([1.0], [0.0], [0.0], costs=everyone)


def test_agnostic_cost_by_hand() -> None:
    # Weights 0.9405, 0.095, 0.5; blind 0.595. At threshold 2: one nontarget of two accepted.
    assert a_dcf([2.0, 3.0], [2.5, 0.0], [1.0, 1.0]) == pytest.approx(0.0475 / 0.595, abs=1e-15)
    package = a_dcf([2.0, 3.0], [2.5, 0.0], [1.0, 1.0], costs=A_DCF_COSTS)
    assert package == pytest.approx(0.25 / 0.9, abs=1e-15)
    assert a_dcf([2.0], [1.0], [0.0]) == 0
    assert a_dcf(np.zeros(3), np.zeros(2), np.zeros(5)) == 1


def test_a_metric_with_its_verifier_set_has_intervals_like_any_other() -> None:
    rng = np.random.default_rng(1)
    scores = rng.normal(1, 1, 500), rng.normal(-1, 1, 900)
    metric = partial(min_tdcf, asv=ASVSPOOF5_ASV)
    interval = bootstrap(metric, *scores)
    assert interval.low < metric(*scores) < interval.high
    assert 0 < interval.low < interval.high < 1


def searched(detector: list[np.ndarray], verifier: list[np.ndarray], n_grid: int) -> float:
    """Least common rate of all pairs of points on finely divided curves."""

    def fine(scores: list[np.ndarray]) -> list[np.ndarray]:
        thresholds = np.append(np.unique(np.concatenate(scores)), np.inf)
        below = [
            np.array([np.mean(class_scores < at) for at in thresholds]) for class_scores in scores
        ]
        at = np.linspace(0, thresholds.size - 1, n_grid)
        return [np.interp(at, np.arange(thresholds.size), curve) for curve in below]

    p_miss, p_rejected = (curve[:, None] for curve in fine(detector))
    a_miss, a_others, a_spoof = (curve[None] for curve in fine(verifier))
    rates = np.stack(
        [
            1 - (1 - p_miss) * (1 - a_miss),
            (1 - p_miss) * (1 - a_others),
            (1 - p_rejected) * (1 - a_spoof),
        ]
    )
    spread = rates.max(0) - rates.min(0)
    return float(rates.mean(0)[np.unravel_index(spread.argmin(), spread.shape)])


@pytest.mark.parametrize("decimals", [9, 0], ids=["untied", "tied"])
@pytest.mark.parametrize("seed", range(5))
def test_tandem_rate_is_what_searching_all_thresholds_finds(seed: int, decimals: int) -> None:
    rng = np.random.default_rng(seed)
    detector = [rng.normal(1.5, 1, 40).round(decimals), rng.normal(-1, 1.5, 50).round(decimals)]
    verifier = [rng.normal(centre, 1, 30).round(decimals) for centre in (2, -2, 1)]
    rate = t_eer(*detector, *verifier)
    assert rate == pytest.approx(searched(detector, verifier, 1500), abs=4e-3)


def test_tandem_rate_of_normal_scores_is_that_of_the_formula() -> None:
    from scipy.optimize import fsolve
    from scipy.stats import norm

    def gaps(at: np.ndarray) -> list[float]:
        passed = norm.sf(at[0], 2)
        miss = 1 - passed * norm.sf(at[1], 3)
        return [miss - passed * norm.sf(at[1], -1), miss - norm.sf(at[0], -1) * norm.sf(at[1], 2)]

    u, v = fsolve(gaps, [0.0, 1.0])
    grid = norm.ppf((np.arange(4000) + 0.5) / 4000)
    rate = t_eer(grid + 2, grid - 1, grid + 3, grid - 1, grid + 2)
    assert rate == pytest.approx(norm.sf(u, -1) * norm.sf(v, 2), abs=5e-4)


def test_against_a_verifier_fooled_by_every_spoof_the_detector_is_alone() -> None:
    rng = np.random.default_rng(3)
    bonafide, spoof = rng.normal(1, 1, 200), rng.normal(-1, 1, 300)
    rate = t_eer(bonafide, spoof, np.full(9, 5.0), np.full(9, -5.0), np.full(9, 5.0))
    assert rate == pytest.approx(eer(bonafide, spoof), abs=1e-12)


def test_tandem_rate_by_hand_where_ties_move_two_rates_at_once() -> None:
    # One step takes P_miss from 0 to 1/2 and P_fa from 1/2 to 0; the verifier accepts all but a
    # share 1 - n of nontargets: P_miss = n / (1 + n) = the common rate = P_fa = 1/2 - P_miss.
    rate = t_eer([0.0, 10.0], [-1.0, 0.0], [10.0], [0.0], [20.0])
    assert rate == pytest.approx(1 / 4, abs=1e-12)


def test_of_several_common_rates_the_least_counts() -> None:
    # A detector that accepts spoof only, and a verifier that never errs: alone it has 0.
    assert t_eer([3.0], [11.0], [6.0], [2.0], [0.0]) == 0


def test_rates_that_are_equal_nowhere_are_refused() -> None:
    own, others = [2.0, 3.0, 1.0], [0.0, 1.5, -1.0]
    with pytest.raises(MetricError, match=r"stay above .* needs no detector.*use a_dcf"):
        t_eer(*PERFECT, own, others, [-9.0, -8.0])
    with pytest.raises(MetricError, match=r"stay below .*scores turned round"):
        t_eer([0.0, 1.0], [2.0, 3.0], own, others, [2.0, 3.0])
    with pytest.raises(MetricError, match=r"NaN .* of spoofed"):
        t_eer(*PERFECT, own, others, [np.nan])
