"""Isotonic calibration."""

import dataclasses
import json

import numpy as np
import pytest

from unheard.errors import MetricError
from unheard.metrics import IsotonicCalibration, cllr, fit_calibration, fit_isotonic, min_cllr


def test_recovers_a_curved_log_likelihood_ratio_better_than_a_line() -> None:
    rng = np.random.default_rng(0)
    bonafide, spoof = rng.normal(1, 1, 20_000), rng.normal(-1, 1, 2_000)  # ratio 2 x

    def curved(scores: np.ndarray) -> np.ndarray:
        return np.sign(scores) * np.abs(scores) ** 3

    rising = fit_isotonic(curved(bonafide), curved(spoof))
    line = fit_calibration(curved(bonafide), curved(spoof))
    fresh = curved(rng.normal(1, 1, 5_000)), curved(rng.normal(-1, 1, 5_000))
    cost = cllr(rising(fresh[0]), rising(fresh[1]))
    assert cost < cllr(line(fresh[0]), line(fresh[1])) - 0.02
    assert cost == pytest.approx(min_cllr(*fresh), abs=0.02)
    at = np.array([-1.5, -0.5, 0.0, 0.5, 1.5])
    np.testing.assert_allclose(rising(curved(at)), 2 * at, atol=0.4)


def test_pools_by_hand() -> None:
    # In order: spoof, human, spoof, human, and one clip of each class beyond either end.
    rising = fit_isotonic([1.0, 3.0], [0.0, 2.0])
    assert rising.scores == (0.0, 1.0, 2.0, 3.0)
    np.testing.assert_allclose(rising.llr, [-np.log(2), 0, 0, np.log(2)], atol=1e-15)
    np.testing.assert_allclose(
        rising([-9.0, 0.5, 1.7, 9.0]), np.log(2) * np.array([-1, -0.5, 0, 1])
    )


def test_separable_scores_stay_near_what_so_few_clips_can_tell() -> None:
    rising = fit_isotonic(np.linspace(1, 2, 50), np.linspace(-2, -1, 50))
    np.testing.assert_allclose(rising([1e9, -1e9]), [np.log(51), -np.log(51)])


def test_the_share_of_classes_in_dev_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    bonafide, spoof = rng.normal(1, 1, 3_000), rng.normal(-1, 1, 3_000)
    even, uneven = fit_isotonic(bonafide, spoof), fit_isotonic(bonafide, np.tile(spoof, 10))
    at = np.linspace(-2, 2, 21)
    np.testing.assert_allclose(even(at), uneven(at), atol=0.05)


def test_wrong_way_and_constant_scores_are_no_evidence_and_finite() -> None:
    wrong = fit_isotonic(np.linspace(0, 1, 50), np.linspace(2, 3, 50))
    np.testing.assert_allclose(wrong([0.0, 1.5, 3.0]), 0, atol=1e-12)
    np.testing.assert_allclose(fit_isotonic(np.zeros(9), np.zeros(9))([0.0]), 0, atol=1e-12)
    np.testing.assert_allclose(fit_isotonic(np.zeros(9), np.zeros(4))([0.0]), 0, atol=0.1)


def test_it_never_falls_and_costs_nearly_the_least_on_its_own_clips() -> None:
    rng = np.random.default_rng(2)
    bonafide, spoof = rng.standard_t(2, 500) + 1, rng.standard_t(2, 800) - 1
    rising = fit_isotonic(bonafide, spoof)
    assert np.all(np.diff(rising.llr) >= 0)
    assert np.all(np.diff(rising.scores) > 0)
    assert np.all(np.isfinite(rising.llr))
    cost = cllr(rising(bonafide), rising(spoof))
    assert min_cllr(bonafide, spoof) <= cost < min_cllr(bonafide, spoof) + 0.01


def test_a_fit_survives_json_and_compares_by_value() -> None:
    rising = fit_isotonic([1.0, 3.0], [0.0, 2.0])
    fields = json.loads(json.dumps(dataclasses.asdict(rising)))
    again = IsotonicCalibration(tuple(fields["scores"]), tuple(fields["llr"]))
    assert again == rising
    assert all(type(knot) is float for knot in rising.scores + rising.llr)
    assert rising(np.zeros((2, 3), np.float32)).shape == (2, 3)


def test_unusable_dev_scores_are_refused() -> None:
    with pytest.raises(MetricError, match="leave them out"):
        fit_isotonic([np.nan], [0.0])
