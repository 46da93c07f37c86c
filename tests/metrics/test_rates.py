"""Error rates, costs, Cllr: hand-worked cases, ties, refusals."""

import warnings
from collections.abc import Callable

import numpy as np
import pytest

from unheard.errors import MetricError
from unheard.metrics import (
    METRICS,
    TiesWarning,
    act_dcf,
    bayes_threshold,
    cllr,
    det_curve,
    eer,
    eer_threshold,
    min_cllr,
    min_dcf,
)


def hard_decisions() -> tuple[np.ndarray, np.ndarray]:
    """0/1 decisions: 30.10 % of bona fide rejected, 10.60 % of spoofed accepted."""
    return np.repeat([0.0, 1.0], [301, 699]), np.repeat([0.0, 1.0], [894, 106])


def test_perfect_and_inverted_scores() -> None:
    assert eer([2.0, 3.0], [0.0, 1.0]) == 0.0
    assert eer([0.0, 1.0], [2.0, 3.0]) == 1.0
    assert min_dcf([2.0, 3.0], [0.0, 1.0]) == 0.0
    assert min_cllr([2.0, 3.0], [0.0, 1.0]) == 0.0


def test_three_against_two_is_a_half() -> None:
    assert eer([1.0, 3.0, 5.0], [2.0, 4.0]) == 0.5


def test_crossing_between_two_points_is_interpolated() -> None:
    # At score 1, one of two bona fide and two of three spoofed are tied: the line runs from
    # (miss 0, false alarm 1) to (1/2, 1/3) and meets miss = false alarm at 3/7.
    with pytest.warns(TiesWarning):
        assert eer([1.0, 2.0], [1.0, 1.0, 2.0]) == pytest.approx(3 / 7, abs=1e-15)


def test_hard_decisions_follow_the_line_and_say_what_order_would_give() -> None:
    with pytest.warns(TiesWarning, match=r"25\.19% by interpolation, 10\.60% to 30\.10%"):
        rate = eer(*hard_decisions())
    # Corners of the curve: (0.301, 0.106); the line from (0, 1) to it meets the diagonal here.
    assert rate == pytest.approx(0.301 / (1 + 0.301 - 0.106), abs=1e-15)


def test_constant_scorer_is_chance_and_warns() -> None:
    with pytest.warns(TiesWarning, match="give scores of finer resolution"):
        assert eer(np.zeros(7), np.zeros(3)) == 0.5


def test_ties_that_decide_nothing_do_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert eer([0.0, 5.0, 5.0, 6.0], [0.0, 1.0, 1.0, 6.0]) == 0.25  # mixed, off the crossing
        assert eer([3.0, 3.0, 3.0], [1.0, 5.0]) == 0.5  # at the crossing, of one class


def test_threshold_lies_in_the_middle_of_the_gap() -> None:
    assert eer_threshold([2.0, 3.0], [0.0, 1.0]) == 1.5


def test_rates_at_the_threshold_bracket_the_rate() -> None:
    rng = np.random.default_rng(3)
    bonafide, spoof = rng.normal(1, 1, 301), rng.normal(0, 1, 207)
    threshold, rate = eer_threshold(bonafide, spoof), eer(bonafide, spoof)
    assert np.mean(bonafide < threshold) <= rate + 1e-12
    assert np.mean(bonafide <= threshold) >= rate - 1e-12
    assert np.mean(spoof > threshold) <= rate + 1e-12
    assert np.mean(spoof >= threshold) >= rate - 1e-12


def test_det_curve_runs_from_accepting_all_to_rejecting_all() -> None:
    miss, false_alarm, threshold = det_curve([1.0, 2.0, 2.0], [0.0, 1.0])
    np.testing.assert_array_equal(threshold, [0.0, 1.0, 2.0, np.inf])
    np.testing.assert_allclose(miss, [0, 0, 1 / 3, 1])
    np.testing.assert_allclose(false_alarm, [1, 0.5, 0, 0])


def test_min_dcf_is_normalised_by_the_cheaper_blind_decision() -> None:
    # Weights 0.95 and 0.5, divided by 0.5. Rejecting the bona fide 1 costs 1.9 / 2, accepting
    # the spoofed 2 costs 1 / 4.
    assert min_dcf([1.0, 3.0, 4.0, 5.0], [0.0, 0.0, 0.0, 0.5]) == 0.0
    assert min_dcf([3.0, 4.0], [0.0, 0.0, 0.0, 5.0]) == pytest.approx(0.25)
    assert min_dcf([0.0, 0.0], [1.0, 1.0]) == 1.0
    assert min_dcf([0.0, 4.0], [1.0], spoof_prior=0.5, false_alarm_cost=1.0) == 0.5


def test_act_dcf_decides_at_the_bayes_threshold() -> None:
    assert bayes_threshold() == pytest.approx(-np.log(1.9))
    at = bayes_threshold()
    assert act_dcf([at, 1.0], [at - 1e-9]) == 0.0
    assert act_dcf([at - 1e-9, 1.0], [-5.0]) == pytest.approx(1.9 / 2)
    assert act_dcf([9.0], [at]) == pytest.approx(1.0)


def test_cllr_of_knowing_nothing_is_one_bit_and_never_overflows() -> None:
    assert cllr([0.0, 0.0], [0.0]) == pytest.approx(1.0, abs=1e-15)
    assert cllr([1e4], [-1e4]) == 0.0
    assert cllr([-1e4], [1e4]) == pytest.approx(1e4 / np.log(2))


def test_min_cllr_pools_violators() -> None:
    # Order s, b, s, b: the middle pair is pooled at even odds, half a bit for each class.
    assert min_cllr([1.0, 3.0], [0.0, 2.0]) == pytest.approx(0.5)
    assert min_cllr([0.0, 0.0], [0.0]) == pytest.approx(1.0)


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
@pytest.mark.parametrize(
    ("bonafide", "spoof", "remedy"),
    [
        ([], [1.0], "no scores of bona fide clips.*widen the selection"),
        ([1.0], [], "no scores of spoofed clips.*widen the selection"),
        ([1.0, np.nan, np.nan], [1.0], "2 NaN and 0 infinite among 3 .*leave them out"),
        ([1.0], [np.inf, np.nan], "1 NaN and 1 infinite among 2 scores of spoofed"),
        ([[1.0]], [1.0], r"shape \[1, 1\].*pass a one-dimensional array"),
        (["high"], [1.0], "scores of bona fide clips are not numbers"),
    ],
)
def test_unusable_scores_are_refused(
    metric: Callable[..., float], bonafide: list[float], spoof: list[float], remedy: str
) -> None:
    with pytest.raises(MetricError, match=remedy):
        metric(bonafide, spoof)


@pytest.mark.parametrize(
    "options", [{"spoof_prior": 0.0}, {"spoof_prior": 1.0}, {"miss_cost": 0.0}]
)
@pytest.mark.parametrize("metric", [min_dcf, act_dcf])
def test_costs_out_of_range_are_refused(
    metric: Callable[..., float], options: dict[str, float]
) -> None:
    with pytest.raises(MetricError, match="give a prior inside"):
        metric([1.0], [0.0], **options)


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_half_precision_and_integers_are_computed_in_double(
    metric: Callable[..., float],
) -> None:
    rng = np.random.default_rng(5)
    bonafide = rng.integers(0, 2000, 400).astype(np.float16)
    spoof = rng.integers(-2000, 100, 300).astype(np.float16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TiesWarning)
        want = metric(bonafide.astype(np.float64), spoof.astype(np.float64))
        assert metric(bonafide, spoof) == want
        assert metric(bonafide.astype(int), spoof.astype(int)) == want
