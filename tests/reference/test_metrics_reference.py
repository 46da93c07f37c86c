"""Our metrics against values recorded by make_metrics.py from independent implementations."""

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

from unheard.metrics import METRICS, TiesWarning, cllr, fit_calibration

RECORDED: dict[str, Any] = json.loads(Path(__file__).with_name("metrics.json").read_text())
CASES: dict[str, dict[str, Any]] = RECORDED["cases"]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", CASES)
def test_agrees_with_an_independent_implementation(name: str, metric: str) -> None:
    case = CASES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TiesWarning)
        found = METRICS[metric](case["bonafide"], case["spoof"])
    assert found == pytest.approx(case[metric], rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "calibration" in case])
def test_calibration_agrees_with_another_minimiser(name: str) -> None:
    case = CASES[name]
    line = fit_calibration(case["bonafide"], case["spoof"])
    # Nelder-Mead sees the loss only, whose floor is flat to about 1e-8.
    assert [line.scale, line.offset] == pytest.approx(case["calibration"], rel=1e-5, abs=1e-6)


def test_natural_logarithms_are_wanted_not_log10() -> None:
    case = CASES["normal"]
    tenths = [[score / 2.302585092994046 for score in case[key]] for key in ("bonafide", "spoof")]
    assert abs(cllr(*tenths) - case["cllr"]) > 0.01


def test_the_record_says_where_it_comes_from() -> None:
    assert RECORDED["made"]["date"]
    assert set(RECORDED["made"]["tools"]) == {"lir", "numpy", "scikit-learn", "scipy"}
