"""Calibration and operating points."""

import numpy as np
import pytest

from unheard.errors import MetricError
from unheard.metrics import (
    DECIDED_ERROR,
    Calibration,
    cllr,
    fit_calibration,
    fit_operating_points,
    min_cllr,
)


def test_recovers_the_true_log_likelihood_ratio() -> None:
    # Normal classes at +1 and -1 with variance 1 have the ratio 2 x; 3 x + 7 distorts it.
    rng = np.random.default_rng(0)
    bonafide, spoof = rng.normal(1, 1, 40_000), rng.normal(-1, 1, 4_000)
    calibration = fit_calibration(3 * bonafide + 7, 3 * spoof + 7)
    assert calibration.scale * 3 == pytest.approx(2, rel=0.03)
    assert calibration.offset + 7 * calibration.scale == pytest.approx(0, abs=0.05)
    calibrated = cllr(calibration(3 * bonafide + 7), calibration(3 * spoof + 7))
    assert calibrated == pytest.approx(min_cllr(bonafide, spoof), abs=0.01)
    assert calibrated < cllr(3 * bonafide + 7, 3 * spoof + 7)


def test_no_other_line_has_a_lower_cllr() -> None:
    rng = np.random.default_rng(1)
    bonafide, spoof = rng.normal(3, 2, 5_000), rng.normal(0, 1, 9_000)
    best = fit_calibration(bonafide, spoof)
    lowest = cllr(best(bonafide), best(spoof))
    for scale, offset in ((1.1, 0.0), (0.9, 0.0), (1.0, 0.1), (1.0, -0.1)):
        other = Calibration(best.scale * scale, best.offset + offset)
        assert cllr(other(bonafide), other(spoof)) > lowest


def test_separable_scores_stay_near_what_so_few_clips_can_tell() -> None:
    calibration = fit_calibration(np.full(50, 1.0), np.full(50, -1.0))
    np.testing.assert_allclose(calibration([1.0, -1.0]), [np.log(51), -np.log(51)], rtol=1e-4)


def test_a_constant_score_is_no_evidence() -> None:
    assert fit_calibration([4.0, 4.0, 4.0], [4.0])([4.0]) == pytest.approx(0, abs=0.3)


def test_scores_that_point_the_wrong_way_are_not_turned_round() -> None:
    calibration = fit_calibration(np.linspace(0, 1, 50), np.linspace(2, 3, 50))
    assert calibration.scale > 0
    assert np.abs(calibration([0.0, 3.0])).max() < 0.01


@pytest.mark.parametrize("unit", [1e9, 1e-9])
def test_the_unit_of_the_scores_does_not_matter(unit: float) -> None:
    bonafide, spoof = np.array([1.0, 2.0, 0.5]), np.array([0.0, 1.0, 0.6])
    line, rescaled = (
        fit_calibration(bonafide, spoof),
        fit_calibration(unit * bonafide, unit * spoof),
    )
    assert rescaled.scale * unit == pytest.approx(line.scale, rel=1e-6)
    assert rescaled.offset == pytest.approx(line.offset, abs=1e-6)


def test_operating_points_hold_one_percent() -> None:
    rng = np.random.default_rng(2)
    bonafide, spoof = rng.normal(2, 2, 1_999), rng.normal(-2, 2, 2_050)
    points = fit_operating_points(bonafide, spoof)
    assert np.sum(bonafide < points.false_alarm_1pct) == 19
    assert np.sum(spoof >= points.miss_1pct) == 20
    assert np.mean(bonafide < points.balanced) == pytest.approx(
        np.mean(spoof >= points.balanced), abs=1e-3
    )
    assert points.false_alarm_1pct < points.balanced < points.miss_1pct


def test_of_what_is_decided_at_most_one_in_twenty_is_wrong() -> None:
    rng = np.random.default_rng(2)
    bonafide, spoof = rng.normal(1, 2, 1_999), rng.normal(-1, 2, 2_050)
    points = fit_operating_points(bonafide, spoof)

    def wrong_below(threshold: float) -> float:
        missed, rejected = np.mean(bonafide < threshold), np.mean(spoof < threshold)
        return float(missed / (missed + rejected))

    def wrong_above(threshold: float) -> float:
        accepted, kept = np.mean(spoof >= threshold), np.mean(bonafide >= threshold)
        return float(accepted / (accepted + kept))

    assert points.surely_spoof < points.balanced < points.surely_bonafide
    assert 0.045 < wrong_below(points.surely_spoof) <= DECIDED_ERROR
    assert 0.045 < wrong_above(points.surely_bonafide) <= DECIDED_ERROR
    assert wrong_below(points.surely_spoof + 0.1) > DECIDED_ERROR
    assert wrong_above(points.surely_bonafide - 0.1) > DECIDED_ERROR


def test_without_overlap_on_dev_nothing_is_undecided() -> None:
    points = fit_operating_points([1.0, 2.0], [-1.0, 0.0])
    assert points.surely_spoof == points.surely_bonafide == points.balanced == 0.5


def test_a_useless_detector_decides_nothing() -> None:
    scores = np.linspace(-1, 1, 101)
    points = fit_operating_points(scores, scores)
    assert points.surely_spoof == -1.0
    assert points.surely_bonafide > 1.0


def test_with_few_clips_one_percent_means_none() -> None:
    points = fit_operating_points([1.0, 2.0], [0.0, 1.5])
    assert points.false_alarm_1pct == 1.0
    assert points.miss_1pct == np.nextafter(1.5, 2.0)


def test_unusable_dev_scores_are_refused() -> None:
    with pytest.raises(MetricError, match="leave them out"):
        fit_calibration([np.nan], [0.0])
    with pytest.raises(MetricError, match="widen the selection"):
        fit_operating_points([1.0], [])
