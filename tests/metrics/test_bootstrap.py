"""Bootstrap intervals: the fast draws against the plain loop."""

import functools
import itertools
import warnings
from collections.abc import Callable

import numpy as np
import pytest

from unheard.errors import MetricError
from unheard.metrics import (
    A_DCF_COSTS,
    ASVSPOOF5_ASV,
    METRICS,
    Interval,
    TiesWarning,
    a_dcf,
    bootstrap,
    cllr,
    eer,
    eer_official,
    min_cllr,
    min_dcf,
    min_tdcf,
    min_tdcf_legacy,
    t_eer,
)
from unheard.metrics.counted import counted
from unheard.metrics.resampling import Measured, resampled, stacked


def plain(metric: Callable[..., float], *classes: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TiesWarning)
        return np.array(
            [metric(*(rng.choice(scores, scores.size) for scores in classes)) for _ in range(2_000)]
        )


def fast(
    metric: Callable[..., float], *classes: np.ndarray, seed: int = 3, n_draws: int = 2_000
) -> np.ndarray:
    rows, stratum = stacked(classes)
    measured = Measured(counted(metric, *classes, near=True), rows)
    return resampled([measured], stratum, n_draws, np.random.default_rng(seed))[0]


def same_distribution(draws: np.ndarray, expected: np.ndarray) -> None:
    """Means within 4 standard errors, spreads within 10 %, quantiles close."""
    spread = expected.std()
    assert abs(draws.mean() - expected.mean()) < 4 * spread * np.sqrt(2 / draws.size)
    assert draws.std() == pytest.approx(spread, rel=0.1)
    levels = [0.025, 0.25, 0.5, 0.75, 0.975]
    np.testing.assert_allclose(
        np.quantile(draws, levels), np.quantile(expected, levels), atol=0.3 * spread
    )


ALL: dict[str, Callable[..., float]] = {
    **METRICS,
    "eer_official": eer_official,
    "min_tdcf": functools.partial(min_tdcf, asv=ASVSPOOF5_ASV),
    "min_tdcf_legacy": functools.partial(min_tdcf_legacy, asv=ASVSPOOF5_ASV),
}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("decimals", [12, 1, 0], ids=["untied", "tied", "heavily tied"])
def test_fast_draws_have_the_distribution_of_the_plain_loop(name: str, decimals: int) -> None:
    rng = np.random.default_rng(11)
    bonafide = rng.normal(1, 1, 240).round(decimals)
    spoof = rng.normal(-1, 1.5, 410).round(decimals)
    same_distribution(fast(ALL[name], bonafide, spoof), plain(ALL[name], bonafide, spoof))


@pytest.mark.parametrize("decimals", [12, 1, 0], ids=["untied", "tied", "heavily tied"])
def test_fast_draws_of_three_classes_have_the_distribution_of_the_plain_loop(decimals: int) -> None:
    rng = np.random.default_rng(22)
    trials = [rng.normal(at, 1, n).round(decimals) for at, n in ((2, 150), (-2, 200), (0, 250))]
    same_distribution(fast(a_dcf, *trials), plain(a_dcf, *trials))


VERIFIED: dict[str, Callable[..., float]] = {
    "a_dcf": a_dcf,
    "a_dcf, other costs": functools.partial(a_dcf, costs=A_DCF_COSTS),
    "t_eer": t_eer,
}


def classes_for(name: str, n: int, decimals: int) -> list[np.ndarray]:
    """Scores of a detector, of a verifier, or of both."""
    rng = np.random.default_rng(19)
    detector = [rng.normal(1, 1, n), rng.normal(-1, 1.5, 2 * n)]
    verifier = [rng.normal(at, 1, n) for at in (2, -2, 0.5)]
    wanted = {"t_eer": detector + verifier}.get(name, verifier if name in VERIFIED else detector)
    return [scores.round(decimals) for scores in wanted]


@pytest.mark.parametrize("name", [*ALL, *VERIFIED])
@pytest.mark.parametrize("decimals", [12, 1, 0], ids=["untied", "tied", "heavily tied"])
@pytest.mark.filterwarnings("ignore::unheard.metrics.TiesWarning")
def test_a_metric_of_counts_is_the_metric_of_the_drawn_clips(name: str, decimals: int) -> None:
    metric, scores = (ALL | VERIFIED)[name], classes_for(name, 70, decimals)
    rng = np.random.default_rng(20)
    counts = [rng.integers(0, 4, (30, array.size)) for array in scores]
    values = counted(metric, *scores)(*counts)
    for draw, value in enumerate(values):
        want = metric(*map(np.repeat, scores, (drawn[draw] for drawn in counts)))
        assert value == pytest.approx(want, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("name", [*ALL, *VERIFIED])
@pytest.mark.parametrize("decimals", [12, 2], ids=["untied", "tied"])
def test_what_no_draw_can_tell_apart_may_be_joined(name: str, decimals: int) -> None:
    metric, scores = (ALL | VERIFIED)[name], classes_for(name, 40_000, decimals)
    rng = np.random.default_rng(21)
    counts = [
        np.stack([np.bincount(rng.integers(n, size=n), minlength=n) for _ in range(5)])
        for n in map(len, scores)
    ]
    near, whole = (counted(metric, *scores, near=near) for near in (True, False))
    close = 1e-5 if name == "cllr" else 1e-12
    np.testing.assert_allclose(near(*counts), whole(*counts), rtol=close)
    if decimals == 12 and name != "min_cllr":
        assert sum(near.sizes) < sum(map(len, scores))


def test_metrics_of_one_draw_see_the_same_clips() -> None:
    rng = np.random.default_rng(22)
    scores = [rng.normal(1, 1, 300), rng.normal(-1, 1.5, 500)]
    turned = [-scores[1], -scores[0]]  # misses become false alarms: the rate is the same
    rows, stratum = stacked(scores)
    both = [
        Measured(counted(eer, *scores, near=True), rows),
        Measured(counted(eer, *turned, near=True), rows[::-1]),
    ]
    of_both = resampled(both, stratum, 50, rng)
    np.testing.assert_allclose(of_both[0], of_both[1], rtol=1e-12)
    assert of_both[0].std() > 0


def test_trials_of_no_stratum_come_once_in_every_draw() -> None:
    scores = [np.arange(8.0), np.arange(-5.0, 3.0)]
    rows, _ = stacked(scores)
    stratum = np.repeat([-1, 0], 8)
    shares = [
        Measured(counted(np.mean, array), [own]) for array, own in zip(scores, rows, strict=True)
    ]
    fixed, drawn = resampled(shares, stratum, 30, np.random.default_rng(0))
    assert set(fixed) == {3.5}
    assert drawn.std() > 0


def test_tandem_rates_have_intervals() -> None:
    scores = classes_for("t_eer", 2_000, 12)
    interval = bootstrap(t_eer, *scores, n_draws=200)
    assert interval.low < t_eer(*scores) < interval.high
    same_distribution(
        fast(t_eer, *(array[:200] for array in scores)),
        plain(t_eer, *(array[:200] for array in scores)),
    )


def test_more_than_two_classes_are_resampled_and_clustered() -> None:
    rng = np.random.default_rng(20)
    trials = [rng.normal(centre, 1, 200) for centre in (2, -2, 0)]
    value, by_clip = a_dcf(*trials), bootstrap(a_dcf, *trials, n_draws=100)
    assert by_clip.low < value < by_clip.high
    speakers = [np.repeat(np.arange(10), 20)] * 3
    alike = [np.sort(scores) for scores in trials]
    by_speaker = bootstrap(a_dcf, *alike, n_draws=100, clusters=speakers)
    assert by_speaker.high - by_speaker.low > 1.5 * (by_clip.high - by_clip.low)
    with pytest.raises(MetricError, match=r"scores of argument 3 clips.*leave them out"):
        bootstrap(a_dcf, [1.0], [0.0], [np.nan])


@pytest.mark.parametrize("name", ["eer", "eer_official", "min_dcf", "cllr", "min_cllr"])
def test_draws_have_the_mean_of_all_resamples(name: str) -> None:
    """Every resample of three and of two clips, 27 times 4 of them, counted out."""
    bonafide, spoof = np.array([-1.0, 0.5, 2.0]), np.array([-1.0, 1.0])
    metric = ALL[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TiesWarning)
        every = [
            metric(bonafide[list(human)], spoof[list(machine)])
            for human in itertools.product(range(3), repeat=3)
            for machine in itertools.product(range(2), repeat=2)
        ]
    draws = fast(metric, bonafide, spoof, seed=5, n_draws=40_000)
    assert draws.mean() == pytest.approx(np.mean(every), abs=4 * float(np.std(every)) / 200)
    if name != "cllr":  # a sum in another order is another number in the last place
        assert set(draws.round(9)) == set(np.round(every, 9))


def test_options_reach_the_draws() -> None:
    rng = np.random.default_rng(13)
    bonafide, spoof = rng.normal(1, 1, 3000), rng.normal(-1, 1, 3000)
    even = functools.partial(min_dcf, spoof_prior=0.5, false_alarm_cost=1.0)
    interval = bootstrap(even, bonafide, spoof)
    assert interval.low < even(bonafide, spoof) < interval.high
    assert interval.high < bootstrap(min_dcf, bonafide, spoof).low
    with pytest.raises(MetricError, match="give a prior inside"):
        bootstrap(functools.partial(min_dcf, spoof_prior=2.0), bonafide, spoof)


def test_same_seed_same_interval() -> None:
    rng = np.random.default_rng(14)
    bonafide, spoof = rng.normal(1, 1, 100), rng.normal(-1, 1, 100)
    assert bootstrap(cllr, bonafide, spoof) == bootstrap(cllr, bonafide, spoof)
    assert bootstrap(cllr, bonafide, spoof) != bootstrap(cllr, bonafide, spoof, seed=1)


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(15)
    truth = 0.15865525393145707  # share of a normal beyond one standard deviation
    intervals = [
        bootstrap(eer, rng.normal(1, 1, 400), rng.normal(-1, 1, 400), n_draws=300)
        for _ in range(200)
    ]
    covered = np.mean([interval.low <= truth <= interval.high for interval in intervals])
    assert 0.89 <= covered <= 0.99


def test_any_function_of_two_arrays_takes_the_plain_loop() -> None:
    rng = np.random.default_rng(16)
    bonafide, spoof = rng.normal(1, 1, 400), rng.normal(0, 1, 100)

    def gap(bonafide: np.ndarray, spoof: np.ndarray) -> float:
        return float(bonafide.mean() - spoof.mean())

    interval = bootstrap(gap, bonafide, spoof, n_draws=2_000)
    width = 2 * 1.96 * np.sqrt(bonafide.var() / 400 + spoof.var() / 100)
    assert interval.high - interval.low == pytest.approx(width, rel=0.1)


def test_clusters_widen_the_interval_as_repetition_should() -> None:
    rng = np.random.default_rng(17)
    bonafide, spoof = rng.normal(1, 1, 60), rng.normal(-1, 1, 60)
    voices = np.repeat(np.arange(60), 9)
    alike = (np.repeat(bonafide, 9) + rng.normal(0, 1e-6, 540), np.repeat(spoof, 9))
    by_voice = bootstrap(eer, *alike, clusters=(voices, voices), n_draws=500)
    by_clip = bootstrap(eer, *alike)
    few = bootstrap(eer, bonafide, spoof)
    assert by_voice.high - by_voice.low == pytest.approx(few.high - few.low, rel=0.25)
    assert by_voice.high - by_voice.low > 2 * (by_clip.high - by_clip.low)


def test_one_cluster_per_clip_is_the_plain_bootstrap() -> None:
    rng = np.random.default_rng(18)
    scores = [rng.normal(1, 1, 80), rng.normal(-1, 1, 50)]
    names = [np.array([f"clip {i}" for i in range(array.size)]) for array in scores]
    by_name = bootstrap(eer, *scores, clusters=names, n_draws=2_000)
    by_clip = bootstrap(eer, *scores, n_draws=2_000)
    assert (by_name.low, by_name.high) == pytest.approx((by_clip.low, by_clip.high), abs=0.015)


def test_perfect_separation_gives_a_point() -> None:
    assert bootstrap(eer, [2.0, 3.0], [0.0, 1.0]) == Interval(0.0, 0.0)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(MetricError, match="at least one draw"):
        bootstrap(eer, [1.0], [0.0], n_draws=0)
    with pytest.raises(MetricError, match="level inside"):
        bootstrap(eer, [1.0], [0.0], level=95)
    with pytest.raises(MetricError, match="give one cluster per clip"):
        bootstrap(eer, [1.0, 2.0], [0.0], clusters=([1], [1]))
    with pytest.raises(MetricError, match="leave them out"):
        bootstrap(min_cllr, [np.nan], [0.0])
