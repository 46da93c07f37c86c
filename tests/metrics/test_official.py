"""The official definitions, and where they part from ours."""

import numpy as np
import pytest

from unheard.errors import MetricError
from unheard.metrics import (
    METRICS,
    OFFICIAL,
    det_official,
    eer,
    eer_official,
    eer_threshold_official,
)
from unheard.metrics.official import nearest_rate

pytestmark = pytest.mark.filterwarnings("ignore::unheard.metrics.TiesWarning")


def test_each_clip_is_a_point_bona_fide_first_among_ties() -> None:
    miss, false_alarm, threshold = det_official([1.0, 0.0], [1.0, 2.0])
    np.testing.assert_array_equal(threshold, [-0.001, 0, 1, 1, 2])
    np.testing.assert_array_equal(miss, [0, 0.5, 1, 1, 1])
    np.testing.assert_array_equal(false_alarm, [1, 1, 1, 0.5, 0])


@pytest.mark.parametrize(
    ("bonafide", "spoof", "ours", "official"),
    [
        ([1.0, 3.0, 5.0], [2.0, 4.0], 1 / 2, 7 / 12),
        (
            np.repeat([0.0, 1.0], [301, 699]),
            np.repeat([0.0, 1.0], [894, 106]),
            0.301 / (1 + 0.301 - 0.106),
            0.301,
        ),
        (np.zeros(7), np.zeros(3), 1 / 2, 1.0),
        ([0.0, 1.0], [2.0, 3.0], 1.0, 1.0),
        ([2.0, 3.0], [0.0, 1.0], 0.0, 0.0),
    ],
    ids=["three against two", "hard decisions", "constant", "inverted", "perfect"],
)
def test_where_definitions_part_both_are_what_the_page_says(
    bonafide: list[float], spoof: list[float], ours: float, official: float
) -> None:
    assert eer(bonafide, spoof) == pytest.approx(ours, abs=1e-15)
    assert eer_official(bonafide, spoof) == pytest.approx(official, abs=1e-15)


def test_other_orders_of_ties_give_the_other_numbers_of_the_page() -> None:
    """Spoofed clips first, as a package gets that takes them first or sorts downwards."""
    human, machine = np.repeat([0.0, 1.0], [301, 699]), np.repeat([0.0, 1.0], [894, 106])
    tiny = 1e-9
    assert eer_official(human + tiny, machine) == pytest.approx(0.106)
    assert eer_official(np.zeros(7) + tiny, np.zeros(3)) == 0
    miss, false_alarm = np.mean(human < 1), np.mean(machine >= 1)
    assert (miss + false_alarm) / 2 == pytest.approx(0.2035)  # the mean of both, at the decision


def test_continuous_scores_differ_by_less_than_a_clip() -> None:
    rng = np.random.default_rng(0)
    bonafide, spoof = rng.normal(1, 1, 300), rng.normal(-1, 1, 500)
    assert abs(eer(bonafide, spoof) - eer_official(bonafide, spoof)) <= 0.5 / 300


def test_threshold_is_the_last_rejected_score() -> None:
    assert eer_threshold_official([2.0, 3.0], [0.0, 1.0]) == 1.0
    assert eer_threshold_official([0.0, 2.0, 3.0], [-1.0, 0.5, 1.0]) == 0.5


def test_rate_from_the_run_of_ties_is_that_of_all_clips() -> None:
    rng = np.random.default_rng(1)
    for n, m in rng.integers(1, 12, (200, 2)):
        human, machine = rng.integers(0, 2, n) * 2.0, rng.integers(0, 2, m) * 2.0
        # Everything else lies beyond the run at 1 that is added here.
        inside, behind = rng.integers(1, 5, 2)
        human = np.concatenate([human, np.ones(inside)])
        machine = np.concatenate([machine, np.ones(behind)])
        missed, rejected = np.sum(human < 1), np.sum(machine < 1)
        lack = human.size * machine.size - missed * machine.size - rejected * human.size
        if 0 < lack <= inside * machine.size + behind * human.size:
            errors = (np.array(missed, np.int64), np.array(rejected, np.int64))
            rate = nearest_rate(errors, inside, human.size, machine.size)
            assert rate == eer_official(human, machine)


def test_the_official_table_has_the_names_of_ours() -> None:
    assert OFFICIAL.keys() == METRICS.keys()
    assert OFFICIAL["eer"] is eer_official


def test_unusable_scores_are_refused() -> None:
    with pytest.raises(MetricError, match="leave them out"):
        eer_official([np.nan], [0.0])
    with pytest.raises(MetricError, match="widen the selection"):
        det_official([1.0], [])
