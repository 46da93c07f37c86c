"""Groups weigh the same, count only with clips enough, and are resampled whole."""

import numpy as np
import pytest

from unheard.errors import MetricError
from unheard.metrics import (
    GroupMean,
    Interval,
    Macro,
    bootstrap,
    eer,
    mean_over_groups,
    mean_within_groups,
    share_by_group,
)


def groups(mean: GroupMean) -> Macro:
    assert mean.groups is not None
    return mean.groups


def interval(mean: GroupMean) -> Interval:
    assert mean.interval is not None
    return mean.interval


BONAFIDE = np.array([1.0, 2.0, 3.0, 4.0])
PAGES = ["p", "p", "q", "q"]


def test_each_system_weighs_the_same_however_many_clips_it_has() -> None:
    # Caught: all four below every person. Missed: eight above all of them.
    spoof = np.r_[np.full(4, 0.0), np.full(8, 9.0)]
    systems = ["caught"] * 4 + ["missed"] * 8
    mean = mean_over_groups(eer, BONAFIDE, spoof, (PAGES, systems))
    assert mean.value == 0.5
    assert groups(mean).values == {"caught": 0.0, "missed": 1.0}
    assert (groups(mean).worst_group, groups(mean).worst) == ("missed", 1.0)
    assert eer(BONAFIDE, spoof) == pytest.approx(2 / 3)


def test_a_system_with_too_few_clips_does_not_count() -> None:
    spoof, systems = np.r_[np.zeros(4), 9.0, 9.0, 9.0], ["a"] * 4 + ["b"] * 3
    assert mean_over_groups(eer, BONAFIDE, spoof, (PAGES, systems)).value == 0.0
    with pytest.raises(MetricError, match="no group has 9 clips, the largest 4"):
        mean_over_groups(eer, BONAFIDE, spoof, (PAGES, systems), fewest=9)


def test_systems_are_drawn_whole() -> None:
    spoof = np.r_[np.full(4, 0.0), np.full(8, 9.0)]
    systems = ["caught"] * 4 + ["missed"] * 8
    mean = mean_over_groups(eer, BONAFIDE, spoof, (PAGES, systems), n_draws=400)
    assert (interval(mean).low, interval(mean).high) == (
        0.0,
        1.0,
    )  # one system drawn twice gives 0 or 1
    by_clip = bootstrap(eer, BONAFIDE, spoof, n_draws=400)
    assert by_clip.high - by_clip.low < 1.0


def test_pages_of_people_are_drawn_whole() -> None:
    human = np.r_[np.full(20, 1.0), np.full(20, -1.0)]
    spoof = np.linspace(-0.5, 0.5, 8)
    pages = np.repeat(["good", "bad"], 20)
    mean = mean_over_groups(eer, human, spoof, (pages, np.repeat("s", 8)), n_draws=400)
    assert mean.value == pytest.approx(0.5)
    assert (interval(mean).low, interval(mean).high) == (0.0, 1.0)
    alone = mean_over_groups(eer, human, spoof, (np.arange(40), np.repeat("s", 8)), n_draws=400)
    assert interval(alone).high - interval(alone).low < 0.5


def test_one_draw_of_every_group_is_the_value_itself() -> None:
    rng = np.random.default_rng(0)
    human, spoof = rng.normal(1, 1, 50), rng.normal(0, 1, 40)
    systems, pages = np.repeat(list("abcd"), 10), np.repeat("p", 50)
    mean = mean_over_groups(eer, human, spoof, (pages, systems), n_draws=200)
    rates = [eer(human, spoof[systems == name]) for name in "abcd"]
    assert mean.value == pytest.approx(np.mean(rates))
    assert min(rates) <= interval(mean).low <= mean.value <= interval(mean).high <= max(rates)


def test_within_a_page_what_differs_between_pages_does_not_matter() -> None:
    human = np.r_[np.arange(10.0, 14.0), np.arange(0.0, 4.0), 99.0]
    spoof = np.r_[np.arange(6.0, 10.0), np.arange(-4.0, 0.0)]
    pages = ["loud"] * 4 + ["soft"] * 4 + ["people alone"]
    mean = mean_within_groups(eer, human, spoof, (pages, ["loud"] * 4 + ["soft"] * 4))
    assert mean.value == 0.0
    assert set(groups(mean).values) == {"loud", "soft"}
    assert eer(human, spoof) > 0.3


def test_no_page_with_both_classes_is_an_error() -> None:
    with pytest.raises(MetricError, match="no group has 4 clips of each class"):
        mean_within_groups(eer, BONAFIDE, BONAFIDE, (["p"] * 4, ["q"] * 4))


def test_a_share_is_of_all_clips_and_of_the_worst_group_with_enough() -> None:
    called = np.r_[np.ones(3), np.zeros(17), np.ones(4), np.zeros(16), np.ones(5)].astype(bool)
    names = ["a"] * 20 + ["b"] * 20 + ["few"] * 5
    share = share_by_group(called, names)
    assert share.value == pytest.approx(12 / 45)
    assert (groups(share).worst_group, groups(share).worst) == ("b", 0.2)
    assert interval(share).low <= share.value <= interval(share).high
    assert share_by_group(called[:5], ["a", "a", "b", "b", "c"]).groups is None


def test_a_single_group_has_no_interval() -> None:
    assert share_by_group([True, False] * 10, ["a"] * 20).interval is None
    spoof = np.zeros(4)
    assert mean_over_groups(eer, BONAFIDE, spoof, (["p"] * 4, ["s"] * 4)).interval is None
    assert mean_within_groups(eer, BONAFIDE, spoof, (["p"] * 4, ["p"] * 4)).interval is None


def test_the_same_seed_gives_the_same_interval() -> None:
    spoof, systems = np.arange(8.0), np.repeat(["a", "b"], 4)
    first, again, other = (
        mean_over_groups(eer, BONAFIDE, spoof, (PAGES, systems), n_draws=50, seed=seed)
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first.interval != other.interval or first.value == other.value


def test_labels_that_do_not_fit_are_refused() -> None:
    with pytest.raises(MetricError, match="one cluster per clip"):
        mean_over_groups(eer, BONAFIDE, BONAFIDE, (["p"], ["s"] * 4))
    with pytest.raises(MetricError, match="no scores of these clips"):
        share_by_group([], [])
