"""What holds for any scores."""

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unheard.metrics import (
    METRICS,
    AsvRates,
    TiesWarning,
    a_dcf,
    act_dcf,
    cllr,
    det_curve,
    eer,
    eer_official,
    fit_isotonic,
    min_cllr,
    min_dcf,
    min_tdcf_legacy,
    reliability,
    t_eer,
    tippett,
)
from unheard.metrics.tandem import legacy_weights

pytestmark = pytest.mark.filterwarnings("ignore::unheard.metrics.TiesWarning")

# A coarse grid, so that ties of every kind are common.
SCORES = st.lists(st.integers(-6, 6).map(lambda level: level / 2), min_size=1, max_size=30)
RANK_METRICS = [eer, min_dcf, min_cllr]
FEW = settings(max_examples=60, derandomize=True, deadline=None)


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
@given(bonafide=SCORES, spoof=SCORES, seed=st.integers(0, 99))
@FEW
def test_order_of_clips_does_not_matter(
    metric: Callable[..., float], bonafide: list[float], spoof: list[float], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    shuffled = metric(rng.permutation(bonafide), rng.permutation(spoof))
    assert shuffled == pytest.approx(metric(bonafide, spoof), rel=1e-13, abs=1e-15)


@pytest.mark.parametrize("metric", RANK_METRICS)
@given(bonafide=SCORES, spoof=SCORES)
@FEW
def test_increasing_maps_do_not_matter(
    metric: Callable[..., float], bonafide: list[float], spoof: list[float]
) -> None:
    mapped = metric(np.exp(bonafide) - 7, np.exp(spoof) - 7)
    assert mapped == metric(bonafide, spoof)


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
@given(bonafide=SCORES, spoof=SCORES)
@FEW
def test_every_clip_twice_is_the_same(
    metric: Callable[..., float], bonafide: list[float], spoof: list[float]
) -> None:
    assert metric(bonafide * 2, spoof * 2) == pytest.approx(metric(bonafide, spoof), abs=1e-13)


@given(bonafide=SCORES, spoof=SCORES)
@FEW
def test_swapping_and_negating_keeps_the_equal_error_rate(
    bonafide: list[float], spoof: list[float]
) -> None:
    turned = eer([-score for score in spoof], [-score for score in bonafide])
    assert turned == pytest.approx(eer(bonafide, spoof), abs=1e-13)


@given(bonafide=SCORES, spoof=SCORES)
@FEW
def test_metrics_keep_their_bounds_and_order(bonafide: list[float], spoof: list[float]) -> None:
    assert 0 <= eer(bonafide, spoof) <= 1
    assert 0 <= min_dcf(bonafide, spoof) <= 1
    assert min_dcf(bonafide, spoof) <= act_dcf(bonafide, spoof) + 1e-12
    assert -1e-12 <= min_cllr(bonafide, spoof) <= min(1.0, cllr(bonafide, spoof)) + 1e-12


@given(bonafide=SCORES, spoof=SCORES)
@FEW
def test_det_curve_is_what_counting_gives(bonafide: list[float], spoof: list[float]) -> None:
    miss, false_alarm, threshold = det_curve(bonafide, spoof)
    for k, at in enumerate(threshold):
        assert miss[k] == np.mean(np.array(bonafide) < at)
        assert false_alarm[k] == np.mean(np.array(spoof) >= at)


@given(bonafide=SCORES, spoof=SCORES)
@FEW
def test_a_warning_comes_exactly_when_the_order_of_ties_decides(
    bonafide: list[float], spoof: list[float]
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", TiesWarning)
        eer(bonafide, spoof)
    tiny = 1e-6  # less than the grid: breaks each tie one way, then the other
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TiesWarning)
        raised = eer(np.array(bonafide) + tiny, spoof)
        lowered = eer(np.array(bonafide) - tiny, spoof)
    assert bool(caught) == (lowered - raised > 1e-12)


def one_by_one(*classes: list[float]) -> list[list[float]]:
    """Share of each class rejected after each clip, ties in the order of the classes."""
    flat = [(score, kind) for kind, scores in enumerate(classes) for score in scores]
    flat.sort(key=lambda clip: clip[0])
    points = [[0.0] * len(classes)]
    for _, kind in flat:
        points.append(list(points[-1]))
        points[-1][kind] += 1 / len(classes[kind])
    return points


@given(bonafide=SCORES, spoof=SCORES)
@FEW
def test_official_least_costs_are_ours_whatever_the_ties(
    bonafide: list[float], spoof: list[float]
) -> None:
    points = one_by_one(bonafide, spoof)
    official = min(1.9 * missed + 1 - rejected for missed, rejected in points)
    assert min_dcf(bonafide, spoof) == pytest.approx(official, abs=1e-12)
    asv = AsvRates(miss=0.1, false_alarm=0.2, spoof_false_alarm=0.5)
    weights = legacy_weights(asv)
    official = min(
        weights.miss * missed + weights.false_alarms[0] * (1 - rejected)
        for missed, rejected in points
    )
    assert min_tdcf_legacy(bonafide, spoof, asv) == pytest.approx(official, abs=1e-12)


@given(target=SCORES, nontarget=SCORES, spoof=SCORES)
@FEW
def test_official_agnostic_cost_is_ours_whatever_the_ties(
    target: list[float], nontarget: list[float], spoof: list[float]
) -> None:
    official = min(
        0.9405 * missed + 0.095 * (1 - others) + 0.5 * (1 - spoofed)
        for missed, others, spoofed in one_by_one(target, nontarget, spoof)
    )
    cost = a_dcf(target, nontarget, spoof)
    assert cost == pytest.approx(official / 0.595, abs=1e-12)
    assert 0 <= cost <= 1


@given(bonafide=SCORES, spoof=SCORES)
@FEW
def test_official_rate_is_read_between_the_orders_of_ties(
    bonafide: list[float], spoof: list[float]
) -> None:
    least = 0.5 / min(len(bonafide), len(spoof))  # the mean of two rates, up to one clip apart
    tiny = 1e-6
    raised = eer(np.array(bonafide) + tiny, spoof)
    lowered = eer(np.array(bonafide) - tiny, spoof)
    assert raised - least - 1e-12 <= eer_official(bonafide, spoof) <= lowered + least + 1e-12


@given(bonafide=SCORES, spoof=SCORES)
@FEW
def test_isotonic_ratios_rise_are_finite_and_never_cost_much_more_than_nothing(
    bonafide: list[float], spoof: list[float]
) -> None:
    rising = fit_isotonic(bonafide, spoof)
    assert np.all(np.diff(rising.llr) >= 0)
    most = np.log(max(len(bonafide), len(spoof)) + 2)
    assert np.all(np.abs(rising.llr) <= 2 * most)


@given(bonafide=SCORES, spoof=SCORES, seed=st.integers(0, 99))
@FEW
def test_tippett_and_reliability_hold_all_clips(
    bonafide: list[float], spoof: list[float], seed: int
) -> None:
    curve = tippett(bonafide, spoof)
    assert curve.bonafide[0] == curve.spoof[0] == 1
    assert np.all(np.diff(curve.bonafide) <= 0)
    bins = reliability(bonafide, spoof, 1 + seed % 20)
    assert bins.n_bonafide.sum() == len(bonafide)
    assert bins.n_spoof.sum() == len(spoof)
    assert np.all(np.diff(bins.predicted) > 0)
    assert 0 <= bins.error <= 1


@pytest.mark.parametrize("seed", range(20))
def test_order_and_increasing_maps_do_not_move_the_tandem_rate(seed: int) -> None:
    rng = np.random.default_rng(seed)
    detector = rng.normal(1, 1, 30).round(1), rng.normal(-1, 1, 40).round(1)
    verifier = tuple(rng.normal(centre, 1, 25).round(1) for centre in (2, -2, 1))
    rate = t_eer(*detector, *verifier)
    moved = [np.exp(rng.permutation(scores)) - 3 for scores in (*detector, *verifier)]
    assert t_eer(*moved) == rate
    assert 0 <= rate <= 0.5
