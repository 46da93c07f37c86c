"""Reliability and Tippett curves."""

import numpy as np
import pytest

from unheard.errors import MetricError
from unheard.metrics import reliability, tippett


def test_true_ratios_come_true_on_an_unbalanced_set() -> None:
    # Normal classes at +1 and -1 with variance 1 have the ratio 2 x.
    rng = np.random.default_rng(0)
    human, machine = 2 * rng.normal(1, 1, 40_000), 2 * rng.normal(-1, 1, 4_000)
    honest = reliability(human, machine, 10)
    np.testing.assert_allclose(honest.predicted, honest.observed, atol=0.05)
    assert honest.error < 0.01
    assert reliability(3 * human, 3 * machine, 10).error > 0.05


def test_bins_count_and_weigh_by_hand() -> None:
    # Probabilities of spoof: bona fide 1/4 and 3/4, spoofed 3/4 three times.
    third = np.log(3)
    curve = reliability([third, -third], [-third] * 3, 2)
    np.testing.assert_allclose(curve.predicted, [0.25, 0.75], rtol=1e-14)
    np.testing.assert_allclose(curve.observed, [0, 0.5 / 0.75], rtol=1e-14)
    np.testing.assert_array_equal(curve.n_bonafide, [1, 1])
    np.testing.assert_array_equal(curve.n_spoof, [0, 3])
    assert curve.error == pytest.approx(0.25 * 0.25 + 0.75 * (0.75 - 2 / 3))


def test_the_prior_moves_the_promise_and_what_came_true() -> None:
    curve = reliability([0.0], [0.0], 4, spoof_prior=0.2)
    assert curve.predicted == pytest.approx([0.2])
    assert curve.observed == pytest.approx([0.2])


def test_extreme_ratios_fall_into_the_outermost_bins() -> None:
    curve = reliability([1e6], [-1e6], 5)
    np.testing.assert_array_equal(curve.predicted, [0, 1])
    assert curve.error == 0


def test_tippett_curves_fall_from_one_and_count_misleading_evidence() -> None:
    curve = tippett([-1.0, 2.0, 2.0, 3.0], [-2.0, 0.0, 2.0])
    np.testing.assert_array_equal(curve.llr, [-2, -1, 0, 2, 3])
    np.testing.assert_allclose(curve.bonafide, [1, 1, 0.75, 0.75, 0.25])
    np.testing.assert_allclose(curve.spoof, [1, 2 / 3, 2 / 3, 1 / 3, 0], atol=1e-15)
    assert curve.misleading_bonafide == 0.25
    assert curve.misleading_spoof == pytest.approx(1 / 3)
    neither = tippett([0.0, 0.25], [0.0, -0.25])
    assert neither.misleading_bonafide == neither.misleading_spoof == 0


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(MetricError, match="give at least one bin and a prior inside"):
        reliability([1.0], [0.0], 0)
    with pytest.raises(MetricError, match="give at least one bin and a prior inside"):
        reliability([1.0], [0.0], spoof_prior=1.0)
    with pytest.raises(MetricError, match="leave them out"):
        reliability([np.nan], [0.0])
    with pytest.raises(MetricError, match="leave them out"):
        tippett([1.0], [np.inf])
