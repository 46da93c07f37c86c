"""Record metric values from implementations that share no code with ours.

    EER             scikit-learn's ROC curve, piecewise linear, and a root finder
    min and act DCF a literal loop over thresholds with exact fractions
    Cllr, min Cllr  lir (forensic likelihood ratios); it takes log10, ours are natural
    calibration     the softened logistic loss minimised by scipy's Nelder-Mead

Run in an environment of its own, from the root of the repository:

    pip install lir==1.3.1
    python tests/reference/make_metrics.py
"""

import json
import math
from datetime import UTC, datetime
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path

import numpy as np
from lir.metrics import LLRData, cllr, cllr_min
from scipy.optimize import brentq, minimize
from sklearn.metrics import roc_curve

OUT = Path(__file__).with_name("metrics.json")
PRIOR, MISS_COST, FALSE_ALARM_COST = Fraction(5, 100), 1, 10


def equal_error_rate(bonafide: np.ndarray, spoof: np.ndarray) -> float:
    labels = np.repeat([1, 0], [bonafide.size, spoof.size])
    false_alarm, hit, _ = roc_curve(
        labels, np.concatenate([bonafide, spoof]), drop_intermediate=False
    )
    # Along the curve (its own parameter, so that vertical pieces are no trouble).
    along = np.arange(hit.size)

    def excess(at: float) -> float:
        return float(np.interp(at, along, 1 - hit) - np.interp(at, along, false_alarm))

    at = brentq(excess, 0, hit.size - 1, xtol=1e-15, rtol=1e-15, maxiter=500)
    return float(np.interp(at, along, false_alarm))


def costs(bonafide: list[float], spoof: list[float]) -> tuple[float, float]:
    miss_weight, fa_weight = MISS_COST * (1 - PRIOR), FALSE_ALARM_COST * PRIOR

    def cost(threshold: float) -> Fraction:
        miss = Fraction(sum(score < threshold for score in bonafide), len(bonafide))
        false_alarm = Fraction(sum(score >= threshold for score in spoof), len(spoof))
        return (miss_weight * miss + fa_weight * false_alarm) / min(miss_weight, fa_weight)

    least = min(cost(threshold) for threshold in [*bonafide, *spoof, math.inf])
    beta = MISS_COST * (1 - PRIOR) / (FALSE_ALARM_COST * PRIOR)
    return float(least), float(cost(-math.log(beta)))


def ratios(bonafide: np.ndarray, spoof: np.ndarray) -> tuple[float, float]:
    labels = np.repeat([1, 0], [bonafide.size, spoof.size])
    data = LLRData(features=np.concatenate([bonafide, spoof]) / np.log(10), labels=labels)
    return cllr(data), cllr_min(data)


def calibration(bonafide: np.ndarray, spoof: np.ndarray) -> list[float]:
    n, m = bonafide.size, spoof.size

    def loss(line: np.ndarray) -> float:
        human, machine = line[0] * bonafide + line[1], line[0] * spoof + line[1]
        certain, doubtful = (n + 1) / (n + 2), 1 / (m + 2)
        of_human = certain * np.logaddexp(0, -human) + (1 - certain) * np.logaddexp(0, human)
        of_machine = doubtful * np.logaddexp(0, -machine) + (1 - doubtful) * np.logaddexp(
            0, machine
        )
        return float(of_human.mean() / 2 + of_machine.mean() / 2)

    options = {"xatol": 1e-12, "fatol": 1e-16, "maxiter": 20_000, "maxfev": 20_000}
    best = minimize(loss, [1.0, 0.0], method="Nelder-Mead", options=options)
    return [float(value) for value in best.x]


def cases() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(20261122)
    return {
        "normal": (rng.normal(1.5, 1, 200), rng.normal(-1.5, 1, 300)),
        "unbalanced": (rng.normal(1, 2, 40), rng.normal(-1, 1, 400)),
        "overconfident": (rng.normal(6, 9, 150), rng.normal(-6, 9, 150)),
        "heavy tails": (rng.standard_t(2, 150) + 1, rng.standard_t(2, 150) - 1),
        "wrong way": (rng.normal(-1, 1, 100), rng.normal(1, 1, 90)),
        "separated": (rng.normal(9, 1, 50), rng.normal(-9, 1, 50)),
        "three against two": (np.array([1.0, 3.0, 5.0]), np.array([2.0, 4.0])),
        "hard decisions": (
            np.repeat([0.0, 1.0], [301, 699]),
            np.repeat([0.0, 1.0], [894, 106]),
        ),
        "constant": (np.zeros(7), np.zeros(3)),
    }


def main() -> None:
    recorded = {}
    for name, (bonafide, spoof) in cases().items():
        least, actual = costs(bonafide.tolist(), spoof.tolist())
        ratio_cost, least_ratio_cost = ratios(bonafide, spoof)
        recorded[name] = {
            "bonafide": bonafide.tolist(),
            "spoof": spoof.tolist(),
            "eer": equal_error_rate(bonafide, spoof),
            "min_dcf": least,
            "act_dcf": actual,
            "cllr": ratio_cost,
            "min_cllr": least_ratio_cost,
        }
        if name in ("normal", "unbalanced", "heavy tails"):
            recorded[name]["calibration"] = calibration(bonafide, spoof)
    tools = {name: version(name) for name in ("lir", "numpy", "scikit-learn", "scipy")}
    made = {"script": Path(__file__).name, "date": f"{datetime.now(UTC):%Y-%m-%d}", "tools": tools}
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(case)}" for name, case in recorded.items())
    OUT.write_text(f'{{"made": {json.dumps(made)},\n"cases": {{\n{lines}}}}}\n')
    print(f"wrote {OUT.name}: {', '.join(recorded)}")


if __name__ == "__main__":
    main()
