"""What holds for any scores."""

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unheard.metrics import METRICS, TiesWarning, act_dcf, cllr, det_curve, eer, min_cllr, min_dcf

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
