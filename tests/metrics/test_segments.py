"""Do the metrics of stretches agree with plainer ways to count, and with what is known by hand?"""

import math

import numpy as np
import pytest

from unheard.errors import MetricError
from unheard.metrics import eer
from unheard.metrics.segments import by_recording, cells, match, per_hour, range_eer, time_f1


@pytest.mark.parametrize("seed", range(10))
def test_with_equal_pieces_the_range_based_rate_is_the_usual_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    human, machine = rng.normal(1, 1, 80), rng.normal(-1, 1, 50)
    scores, bonafide = np.concatenate([human, machine]), np.arange(130) < 80
    assert range_eer(scores, bonafide, np.full(130, 0.25)) == pytest.approx(eer(human, machine))


@pytest.mark.parametrize("seed", range(5))
def test_a_long_piece_counts_as_many_short_ones(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bonafide = rng.random(60) < 0.6
    scores = np.where(bonafide, 1.0, -1.0) + 1.5 * rng.standard_normal(60)
    lengths = rng.integers(1, 9, 60)
    many = [np.repeat(column, lengths) for column in (scores, bonafide)]
    one_by_one = range_eer(many[0], many[1], np.ones(lengths.sum()))
    assert range_eer(scores, bonafide, lengths) == pytest.approx(one_by_one)
    assert range_eer(scores, bonafide, lengths) != pytest.approx(
        range_eer(scores, bonafide, np.ones(60)), abs=1e-4
    )


def test_a_rate_needs_time_of_both_classes() -> None:
    with pytest.raises(MetricError, match="0 s of spoofed pieces"):
        range_eer([1.0, 2.0], [True, True], [1.0, 1.0])
    assert range_eer([3.0, -3.0], [True, False], [5.0, 0.1]) == 0.0
    assert range_eer([-3.0, 3.0], [True, False], [5.0, 0.1]) == 1.0


def test_f1_is_of_time() -> None:
    # 3 s are both, 1 s is called alone, 2 s are spoofed alone.
    called, bonafide = [True, True, False, False], [False, True, False, True]
    assert time_f1(called, bonafide, [3.0, 1.0, 2.0, 50.0]) == pytest.approx(2 * 3 / (4 + 5))
    assert time_f1([False], [False], [2.0]) == 0.0
    assert math.isnan(time_f1([False], [True], [2.0]))


def test_cells_are_those_that_a_stretch_reaches_into() -> None:
    assert cells(np.array([[0.95, 1.5]]), 2.2, 0.5).tolist() == [False, True, True, False, False]
    assert cells(np.array([[1.0, 1.0001]]), 2.0, 0.5).tolist() == [False, False, True, False]
    assert cells(np.zeros((0, 2)), 0.3, 0.5).tolist() == [False]
    assert cells(np.array([[0.0, 0.6]]), 0.6, 0.1).tolist() == [True] * 6


def test_called_stretches_are_matched_with_true_ones() -> None:
    true = np.array([[10.0, 20.0], [40.0, 41.0]])
    called = np.array([[9.0, 12.0], [13.0, 22.0], [30.0, 31.0], [20.5, 21.0]])
    matched = match(true, called)
    assert matched.found.tolist() == [True, False]
    assert matched.error_s[0] == pytest.approx((1.0 + 2.0) / 2)
    assert math.isnan(matched.error_s[1])
    assert matched.n_false == 2
    nothing = match(np.zeros((0, 2)), called[:1])
    assert (nothing.found.size, nothing.n_false) == (0, 1)


def test_none_in_an_hour_may_still_be_up_to_3_7() -> None:
    rate, interval = per_hour([0, 0], [0.5, 0.5], ["a", "b"])
    assert rate == 0.0
    assert interval.low == 0.0
    assert interval.high == pytest.approx(-math.log(0.025))
    _, twice = per_hour([0, 0], [0.5, 0.5], ["a", "a"])
    assert twice.high == pytest.approx(-math.log(0.025) / 0.5), "one recording, coded again"


def test_false_stretches_of_one_recording_come_together() -> None:
    counts, hours, names = [6] + [0] * 19, [0.1] * 20, [str(n) for n in range(20)]
    rate, whole = per_hour(counts, hours, names)
    assert rate == pytest.approx(3.0)
    assert whole.low == 0.0, "the recording may not be drawn"
    assert whole.high > 8.0, "or be drawn three times"
    _, apart = per_hour([1] * 6 + [0] * 14, hours, names)
    assert apart.low > 0.0


def test_draws_take_recordings_whole() -> None:
    rng = np.random.default_rng(0)
    value = rng.normal(2, 1, 200)
    interval = by_recording(lambda weight: float(weight @ value / weight.sum()), 200, seed=1)
    half = 1.96 * value.std() / math.sqrt(200)
    assert interval.low == pytest.approx(value.mean() - half, abs=0.02)
    assert interval.high == pytest.approx(value.mean() + half, abs=0.02)
    none = by_recording(lambda weight: math.nan, 3)
    assert math.isnan(none.low)
