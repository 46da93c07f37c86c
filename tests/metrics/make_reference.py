"""Record metric values from implementations that share no code with ours.

    EER             scikit-learn's ROC curve, piecewise linear, and a root finder
    min and act DCF a literal loop over thresholds with exact fractions
    Cllr, min Cllr  lir (forensic likelihood ratios); it takes log10, ours are natural
    calibration     the softened logistic loss minimised by scipy's Nelder-Mead
    isotonic        scikit-learn's isotonic regression, with one clip of each class at either end
    official EER    a literal loop over clips in a stable order
    t-DCF, a-DCF    the published formulas with exact fractions, clips one by one in that order
    t-EER           every pair of pieces of both curves, three equations in exact fractions

Run in an environment of its own, from the root of the repository:

    pip install lir==1.3.1
    python tests/metrics/make_reference.py

Where lir is not installed, as in the environment of the tests, what it gave before is kept: enough
to record a new metric.
"""

import itertools
import json
import math
from datetime import UTC, datetime
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path

import numpy as np
from scipy.optimize import brentq, minimize
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import roc_curve

try:
    from lir.metrics import LLRData, cllr, cllr_min
except ModuleNotFoundError:
    LLRData = None

OUT = Path(__file__).with_name("reference.json")
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


def isotonic(bonafide: np.ndarray, spoof: np.ndarray) -> dict[str, list[float]]:
    far = 1e9
    scores = np.concatenate([bonafide, spoof, [-far, far, -far, far]])
    human = np.repeat([1, 0, 1, 0], [bonafide.size, spoof.size, 2, 2])
    share = IsotonicRegression(y_min=0, y_max=1).fit(scores, human)
    at = np.unique(scores[:-4])
    prior = math.log((bonafide.size + 2) / (spoof.size + 2))
    return {
        "scores": at.tolist(),
        "llr": [math.log(p) - math.log(1 - p) - prior for p in share.predict(at).tolist()],
    }


def one_by_one(*classes: list[float]) -> list[tuple[float, list[int]]]:
    """Threshold and clips rejected so far of each class, after each clip in a stable order."""
    flat = [(score, kind) for kind, scores in enumerate(classes) for score in scores]
    flat.sort(key=lambda clip: clip[0])  # Python's sort is stable
    points = [(flat[0][0] - 0.001, [0] * len(classes))]
    for score, kind in flat:
        rejected = list(points[-1][1])
        rejected[kind] += 1
        points.append((score, rejected))
    return points


def official(bonafide: list[float], spoof: list[float]) -> tuple[float, float]:
    """EER and threshold; in floats, whose rounding decides between two points equally near."""
    best = (math.inf, 0.0, 0.0)
    for threshold, (missed, rejected) in one_by_one(bonafide, spoof):
        miss, false_alarm = missed / len(bonafide), (len(spoof) - rejected) / len(spoof)
        if abs(miss - false_alarm) < best[0]:
            best = (abs(miss - false_alarm), (miss + false_alarm) / 2, threshold)
    return best[1], best[2]


def share(scores: list[float], threshold: float) -> Fraction:
    return Fraction(sum(score >= threshold for score in scores), len(scores))


PRIORS = (Fraction(95 * 99, 10_000), Fraction(95, 10_000), PRIOR)  # target, nontarget, spoofed


def tandem(
    bonafide: list[float], spoof: list[float], verifier: dict[str, list[float]]
) -> tuple[float, float]:
    _, threshold = official(verifier["target"], verifier["nontarget"])
    miss_asv = 1 - share(verifier["target"], threshold)
    fa_asv, fa_spoof = share(verifier["nontarget"], threshold), share(verifier["spoof"], threshold)
    target, nontarget, spoofed = PRIORS
    c1 = target * (1 - miss_asv) - nontarget * 10 * fa_asv
    c2 = 10 * spoofed * fa_spoof
    r0 = target * miss_asv + nontarget * 10 * fa_asv
    r1 = target - r0
    legacy, revised = [], []
    for _, (missed, rejected) in one_by_one(bonafide, spoof):
        miss = Fraction(missed, len(bonafide))
        false_alarm = 1 - Fraction(rejected, len(spoof))
        legacy.append((c1 * miss + c2 * false_alarm) / min(c1, c2))
        revised.append((r0 + r1 * miss + c2 * false_alarm) / (r0 + min(r1, c2)))
    return float(min(legacy)), float(min(revised))


def agnostic(verifier: dict[str, list[float]], weights: list[Fraction]) -> float:
    target, nontarget, spoof = verifier["target"], verifier["nontarget"], verifier["spoof"]
    costs = [
        weights[0] * Fraction(missed, len(target))
        + weights[1] * (1 - Fraction(others, len(nontarget)))
        + weights[2] * (1 - Fraction(spoofed, len(spoof)))
        for _, (missed, others, spoofed) in one_by_one(target, nontarget, spoof)
    ]
    return float(min(costs) / min(weights[0], weights[1] + weights[2]))


def pieces(*classes: list[float]) -> list[tuple[list[Fraction], list[Fraction]]]:
    """Rates at both ends of each piece: miss of the first class, false alarms of the others."""
    rates = []
    for _, rejected in one_by_one(*classes):
        shares = [Fraction(n, len(scores)) for n, scores in zip(rejected, classes, strict=True)]
        rates.append([shares[0], *(1 - passed for passed in shares[1:])])
    return list(itertools.pairwise(rates))


def tandem_eer(
    bonafide: list[float], spoof: list[float], verifier: dict[str, list[float]]
) -> float:
    """Least common rate f s = (1 - p) n = 1 - (1 - p) (1 - a) over every pair of pieces.

    p, f are miss and false alarm of the detector; a, n, s those of the verifier. Without ties
    each piece moves one rate of each, so the two equations are solved by hand.
    """
    rates = []
    asv = pieces(verifier["target"], verifier["nontarget"], verifier["spoof"])
    for (p0, f0), (p1, f1) in pieces(bonafide, spoof):
        for (a0, n0, s0), (a1, n1, s1) in asv:
            p, f, a, n, s = p0, f0, a0, n0, s0
            if p0 != p1 and 0 < f * s < 1:
                if a0 != a1:
                    a = 1 + n - n / (f * s)
                elif n0 != n1:
                    n = f * s * (1 - a) / (1 - f * s)
                elif 1 + n - a > 0:
                    s = n / (1 + n - a) / f
                p = 1 - 1 / (1 + n - a) if 1 + n - a > 0 else Fraction(-1)
            elif f0 != f1 and p < 1 and s0 == s1 and s > 0:
                if a0 != a1:
                    a = 1 + n - 1 / (1 - p)
                else:
                    n = 1 / (1 - p) - 1 + a
                f = (1 - p) * n / s
            else:
                continue
            rising = p0 <= p <= p1 and a0 <= a <= a1
            if rising and f1 <= f <= f0 and n1 <= n <= n0 and s1 <= s <= s0:
                assert f * s == (1 - p) * n == 1 - (1 - p) * (1 - a)
                rates.append(f * s)
    return float(min(rates))


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


def verifiers() -> dict[str, dict[str, np.ndarray]]:
    rng = np.random.default_rng(20261123)
    return {
        "good": {
            "target": rng.normal(3, 1, 70),
            "nontarget": rng.normal(-3, 2, 90),
            "spoof": rng.normal(1, 2, 80),
        },
        "poor": {
            "target": rng.normal(1, 1, 50),
            "nontarget": rng.normal(-1, 1, 60),
            "spoof": rng.normal(0.5, 1, 90),
        },
        "tied": {
            "target": rng.normal(2, 1, 60).round(),
            "nontarget": rng.normal(-2, 1, 50).round(),
            "spoof": rng.normal(0, 2, 70).round(),
        },
    }


def with_verifiers(
    name: str, bonafide: list[float], spoof: list[float], asv: dict[str, dict[str, list[float]]]
) -> dict[str, dict[str, float]]:
    by_verifier: dict[str, dict[str, float]] = {}
    for which, scores in asv.items():
        legacy, revised = tandem(bonafide, spoof, scores)
        by_verifier[which] = {"min_tdcf_legacy": legacy, "min_tdcf": revised}
        if name in ("normal", "unbalanced", "heavy tails") and which != "tied":
            by_verifier[which]["t_eer"] = tandem_eer(bonafide, spoof, scores)
    return by_verifier


def main() -> None:
    recorded = {}
    before = json.loads(OUT.read_text())
    asv = {
        name: {kind: scores.tolist() for kind, scores in kinds.items()}
        for name, kinds in verifiers().items()
    }
    for name, (bonafide, spoof) in cases().items():
        least, actual = costs(bonafide.tolist(), spoof.tolist())
        if LLRData is None:
            old = before["cases"][name]
            assert [old["bonafide"], old["spoof"]] == [bonafide.tolist(), spoof.tolist()], name
            ratio_cost, least_ratio_cost = old["cllr"], old["min_cllr"]
        else:
            ratio_cost, least_ratio_cost = ratios(bonafide, spoof)
        recorded[name] = {
            "bonafide": bonafide.tolist(),
            "spoof": spoof.tolist(),
            "eer": equal_error_rate(bonafide, spoof),
            "min_dcf": least,
            "act_dcf": actual,
            "cllr": ratio_cost,
            "min_cllr": least_ratio_cost,
            "eer_official": official(bonafide.tolist(), spoof.tolist())[0],
            "isotonic": isotonic(bonafide, spoof),
            "tandem": with_verifiers(name, bonafide.tolist(), spoof.tolist(), asv),
        }
        if name in ("normal", "unbalanced", "heavy tails"):
            recorded[name]["calibration"] = calibration(bonafide, spoof)
    lir = before["made"]["tools"]["lir"] if LLRData is None else version("lir")
    tools = {name: version(name) for name in ("numpy", "scikit-learn", "scipy")} | {"lir": lir}
    origin = {
        "script": Path(__file__).name,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "tools": tools,
    }
    weights = [PRIORS[0], 10 * PRIORS[1], 10 * PRIORS[2]]
    package = [Fraction(9, 10), 10 * Fraction(5, 100), 20 * Fraction(5, 100)]
    alone = {
        name: {
            "scores": scores,
            "eer_threshold_official": official(scores["target"], scores["nontarget"])[1],
            "a_dcf": agnostic(scores, weights),
            "a_dcf_package": agnostic(scores, package),
        }
        for name, scores in asv.items()
    }
    lines, others = (
        ",\n".join(f"{json.dumps(name)}: {json.dumps(case)}" for name, case in table.items())
        for table in (recorded, alone)
    )
    OUT.write_text(
        f'{{"made": {json.dumps(origin)},\n"cases": {{\n{lines}}},\n"verifiers": {{\n{others}}}}}\n'
    )
    print(f"wrote {OUT.name}: {', '.join(recorded)}")


if __name__ == "__main__":
    main()
