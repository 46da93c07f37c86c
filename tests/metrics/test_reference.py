"""Our metrics against values recorded by make_reference.py from independent implementations."""

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

from unheard.metrics import (
    A_DCF_COSTS,
    METRICS,
    TiesWarning,
    a_dcf,
    asv_rates,
    cllr,
    eer_official,
    eer_threshold_official,
    fit_calibration,
    fit_isotonic,
    min_tdcf,
    min_tdcf_legacy,
    t_eer,
)

RECORDED: dict[str, Any] = json.loads(Path(__file__).with_name("reference.json").read_text())
CASES: dict[str, dict[str, Any]] = RECORDED["cases"]
VERIFIERS: dict[str, dict[str, Any]] = RECORDED["verifiers"]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", CASES)
def test_metrics_agree_with_an_independent_implementation(name: str, metric: str) -> None:
    case = CASES[name]
    assert metric in case, f"record {metric} in tests/metrics/make_reference.py: make reference"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TiesWarning)
        value = METRICS[metric](case["bonafide"], case["spoof"])
    assert value == pytest.approx(case[metric], rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "calibration" in case])
def test_calibration_agrees_with_another_minimiser(name: str) -> None:
    case = CASES[name]
    line = fit_calibration(case["bonafide"], case["spoof"])
    # Nelder-Mead sees the loss only, whose floor is flat to about 1e-8.
    assert [line.scale, line.offset] == pytest.approx(case["calibration"], rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_official_eer_agrees_with_clips_one_by_one(name: str) -> None:
    case = CASES[name]
    rate = eer_official(case["bonafide"], case["spoof"])
    assert rate == pytest.approx(case["eer_official"], rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("verifier", VERIFIERS)
@pytest.mark.parametrize("name", CASES)
def test_tandem_costs_agree_with_exact_fractions(name: str, verifier: str) -> None:
    case, want = CASES[name], CASES[name]["tandem"][verifier]
    trials = VERIFIERS[verifier]["scores"]
    asv = asv_rates(trials["target"], trials["nontarget"], trials["spoof"])
    for key, metric in (("min_tdcf_legacy", min_tdcf_legacy), ("min_tdcf", min_tdcf)):
        value = metric(case["bonafide"], case["spoof"], asv)
        assert value == pytest.approx(want[key], rel=1e-12, abs=1e-12)
    if "t_eer" in want:
        value = t_eer(case["bonafide"], case["spoof"], **_by_argument(trials))
        assert value == pytest.approx(want["t_eer"], rel=1e-12, abs=1e-12)


def _by_argument(trials: dict[str, list[float]]) -> dict[str, list[float]]:
    return {**{key: trials[key] for key in ("target", "nontarget")}, "spoof_trial": trials["spoof"]}


@pytest.mark.parametrize("verifier", VERIFIERS)
def test_agnostic_cost_agrees_with_exact_fractions(verifier: str) -> None:
    case, trials = VERIFIERS[verifier], VERIFIERS[verifier]["scores"]
    cost = a_dcf(trials["target"], trials["nontarget"], trials["spoof"])
    assert cost == pytest.approx(case["a_dcf"], rel=1e-12)
    cost = a_dcf(trials["target"], trials["nontarget"], trials["spoof"], costs=A_DCF_COSTS)
    assert cost == pytest.approx(case["a_dcf_package"], rel=1e-12)
    threshold = eer_threshold_official(trials["target"], trials["nontarget"])
    assert threshold == case["eer_threshold_official"]


@pytest.mark.parametrize("name", CASES)
def test_isotonic_calibration_agrees_with_scikit_learn(name: str) -> None:
    case = CASES[name]
    rising = fit_isotonic(case["bonafide"], case["spoof"])
    want = case["isotonic"]
    assert rising(want["scores"]) == pytest.approx(want["llr"], rel=1e-12, abs=1e-12)


def test_natural_logarithms_are_wanted_not_log10() -> None:
    case = CASES["normal"]
    tenths = [[score / 2.302585092994046 for score in case[key]] for key in ("bonafide", "spoof")]
    assert abs(cllr(*tenths) - case["cllr"]) > 0.01


def test_the_record_says_where_it_comes_from() -> None:
    assert RECORDED["made"]["date"]
    assert set(RECORDED["made"]["tools"]) == {"lir", "numpy", "scikit-learn", "scipy"}
