"""Comparing systems on the same trials, correcting for several tests, averaging over groups."""

import time
from functools import partial

import numpy as np
import pytest
from scipy.stats import binomtest, false_discovery_control

from unheard.errors import MetricError
from unheard.metrics import (
    ASVSPOOF5_ASV,
    METRICS,
    a_dcf,
    bootstrap,
    correct_at,
    corrected,
    eer,
    macro,
    mcnemar,
    min_tdcf,
    paired_bootstrap,
)

System = tuple[np.ndarray, np.ndarray]


def systems(better: float, n: int = 400, seed: int = 0) -> tuple[System, System]:
    """Two systems that stumble over the same clips; the first separates better."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(1, 1, n), rng.normal(-1, 1, n)
    a = tuple(array + rng.normal(0, 0.3, n) for array in shared)
    b = tuple(array + rng.normal(0, 0.3, n) for array in shared)
    return (a[0] + better, a[1] - better), (b[0], b[1])


def test_a_better_system_is_found_though_intervals_overlap() -> None:
    a, b = systems(0.2)
    difference = paired_bootstrap(eer, a, b)
    assert difference.value == eer(*a) - eer(*b)
    assert difference.low < difference.value < difference.high < 0
    assert difference.p < 0.01
    assert bootstrap(eer, *a).high > bootstrap(eer, *b).low


def test_swapping_the_systems_turns_the_sign() -> None:
    a, b = systems(0.1)
    difference, swapped = paired_bootstrap(eer, a, b), paired_bootstrap(eer, b, a)
    assert difference.value == -swapped.value
    width = difference.high - difference.low
    assert (difference.low, difference.high) == pytest.approx(
        (-swapped.high, -swapped.low), abs=0.12 * width
    )


def test_the_same_system_twice_is_no_difference() -> None:
    a, _ = systems(0.0)
    difference = paired_bootstrap(eer, a, a)
    assert (difference.value, difference.low, difference.high, difference.p) == (0, 0, 0, 1)


def test_without_a_difference_small_p_values_are_as_rare_as_they_say() -> None:
    p_values = [
        paired_bootstrap(METRICS["cllr"], *systems(0.0, 100, seed), n_draws=100).p
        for seed in range(200)
    ]
    assert 0.01 <= np.mean(np.array(p_values) <= 0.05) <= 0.10
    assert 0.4 <= np.mean(np.array(p_values) <= 0.5) <= 0.6


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.filterwarnings("ignore::unheard.metrics.TiesWarning")
def test_draws_are_like_those_of_repeating_the_drawn_clips(name: str) -> None:
    a, b = systems(0.1, 60)

    def hidden(bonafide: np.ndarray, spoof: np.ndarray) -> float:
        return METRICS[name](bonafide, spoof)

    fast = paired_bootstrap(METRICS[name], a, b, n_draws=2_000)
    slow = paired_bootstrap(hidden, a, b, n_draws=2_000, seed=1)
    assert fast.value == slow.value
    width = slow.high - slow.low
    assert (fast.low, fast.high) == pytest.approx((slow.low, slow.high), abs=0.12 * width)


def test_clusters_make_it_less_sure() -> None:
    a, b = systems(0.1, 40)
    repeated = [tuple(np.repeat(array, 10) for array in system) for system in (a, b)]
    voices = np.repeat(np.arange(40), 10)
    by_voice = paired_bootstrap(eer, *repeated, clusters=(voices, voices))
    by_clip = paired_bootstrap(eer, *repeated)
    assert by_voice.high - by_voice.low > 2 * (by_clip.high - by_clip.low)
    assert by_voice.p > by_clip.p


def test_metrics_of_tandems_can_be_compared() -> None:
    a, b = systems(0.3)
    assert paired_bootstrap(partial(min_tdcf, asv=ASVSPOOF5_ASV), a, b).p < 0.05
    trials = np.linspace(1, 3, 50), np.linspace(-1, 1.4, 50), np.linspace(-1, 1.2, 50)
    worse = trials[0] - 0.5, *trials[1:]
    assert paired_bootstrap(a_dcf, trials, worse, n_draws=200).value < 0


def test_a_thousand_draws_of_two_hundred_thousand_trials_take_about_a_second() -> None:
    a, b = systems(0.1, 100_000)
    started = time.process_time()
    paired_bootstrap(eer, a, b)
    assert time.process_time() - started < 8  # 0.8 s on an idle core


def test_systems_that_do_not_match_are_refused() -> None:
    a = ([1.0, 2.0], [0.0])
    with pytest.raises(MetricError, match="join the score files by clip"):
        paired_bootstrap(eer, a, ([1.0], [0.0]))
    with pytest.raises(MetricError, match="give one cluster per clip"):
        paired_bootstrap(eer, a, a, clusters=([1, 2], [1, 2]))
    with pytest.raises(MetricError, match="at least one draw"):
        paired_bootstrap(eer, a, a, n_draws=0)
    with pytest.raises(MetricError, match="leave them out"):
        paired_bootstrap(eer, a, ([1.0, np.nan], [0.0]))


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 1), (1, 1), (2, 9), (9, 2), (40, 70), (0, 0)])
def test_mcnemar_is_the_binomial_test_of_disagreements(only_a: int, only_b: int) -> None:
    both = np.ones(30, bool)
    a = np.concatenate([both, np.ones(only_a, bool), np.zeros(only_b, bool)])
    b = np.concatenate([both, np.zeros(only_a, bool), np.ones(only_b, bool)])
    n = only_a + only_b
    exact = binomtest(only_a, n).pvalue if n else 1.0
    assert mcnemar(a, b, mid_p=False) == pytest.approx(exact, rel=1e-12)
    likely = (
        [binomtest(k, n).pvalue for k in (only_a, min(only_a, only_b) - 1) if k >= 0] if n else []
    )
    if only_a != only_b:
        mid = (likely[0] + (likely[1] if len(likely) > 1 else 0)) / 2
        assert mcnemar(a, b) == pytest.approx(mid, rel=1e-12)
    else:
        assert mcnemar(a, b) == pytest.approx(1.0)


def test_mcnemar_by_hand() -> None:
    # Three disagreements, all for A: exact 2 / 8, the middle counts half.
    a, b = [True] * 3 + [False], [False] * 4
    assert mcnemar(a, b, mid_p=False) == pytest.approx(0.25)
    assert mcnemar(a, b) == pytest.approx(0.125)


def test_decisions_at_a_threshold_name_what_is_right() -> None:
    right = correct_at([0.0, 1.0], [1.0, -1.0], 1.0)
    np.testing.assert_array_equal(right, [False, True, False, True])


def test_decisions_that_do_not_match_are_refused() -> None:
    with pytest.raises(MetricError, match="make them with correct_at"):
        mcnemar([1, 0], [True, False])
    with pytest.raises(MetricError, match="join the score files by clip"):
        mcnemar([True, False], [True])
    with pytest.raises(MetricError, match="leave them out"):
        correct_at([np.nan], [0.0], 0.0)


def test_holm_by_hand() -> None:
    # 0.01 x 4; 0.02 x 3; 0.03 x 2 = 0.06; 0.5 x 1. Order of the tests is kept.
    np.testing.assert_allclose(corrected([0.5, 0.01, 0.03, 0.02]), [0.5, 0.04, 0.06, 0.06])
    np.testing.assert_allclose(corrected([0.6, 0.7]), [1, 1])


def test_benjamini_hochberg_agrees_with_scipy() -> None:
    p_values = np.random.default_rng(0).uniform(0, 0.3, 25)
    p_values[3] = p_values[7]
    np.testing.assert_allclose(
        corrected(p_values, "benjamini_hochberg"), false_discovery_control(p_values), rtol=1e-14
    )


def test_wrong_corrections_are_refused() -> None:
    with pytest.raises(MetricError, match="no correction 'hol'; did you mean 'holm'"):
        corrected([0.1], "hol")
    for wrong in ([1.1], [-0.1], [np.nan], [[0.1]]):
        with pytest.raises(MetricError, match="give one probability per test"):
            corrected(wrong)
    assert corrected([]).size == 0


def test_groups_weigh_the_same_and_the_worst_is_named() -> None:
    rates = macro(eer, [1.0, 2.0, 3.0, 4.0], {"A03": [5.0, 6.0], "A01": [0.0] * 9, "A02": [5.0]})
    assert rates.values == {"A01": 0, "A02": 1, "A03": 1}
    assert rates.mean == pytest.approx(2 / 3)
    assert (rates.worst, rates.worst_group) == (1, "A02")


def test_groups_that_cannot_be_measured_are_named() -> None:
    with pytest.raises(MetricError, match="group 'A07': no scores of spoofed"):
        macro(eer, [1.0], {"A01": [0.0], "A07": []})
    with pytest.raises(MetricError, match="give at least one"):
        macro(eer, [1.0], {})
