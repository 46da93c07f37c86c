"""Scores of several systems made one: the fit, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

from unheard.errors import EvaluationError, MetricError, RecipeError
from unheard.evaluation.fusion import fused
from unheard.evaluation.intake import classes
from unheard.evaluation.report import report
from unheard.evaluation.scores import COLUMNS, Facts, read_facts, read_scores, write_scores
from unheard.metrics import cllr, eer, fit_fusion

FACTS = Facts(bundle="a 1", weights_sha256="aa", protocol="open", operating_points={"balanced": 0})


def draws(n: int, m: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two good systems of other units and one that knows nothing, [n, 3] and [m, 3]."""
    rng = np.random.default_rng(seed)
    human, machine = rng.normal(0, 1, (n, 3)), rng.normal(0, 1, (m, 3))
    human[:, :2] += 1.5
    return human * [1, 10, 1], machine * [1, 10, 1]


def test_the_fit_is_the_least_of_its_loss() -> None:
    human, machine = draws(40, 90)
    fit = fit_fusion(human, machine)
    scores = np.concatenate([human, machine])
    spread = scores.std(axis=0)
    weight = np.repeat([130 / 2 / 40, 130 / 2 / 90], [40, 90])
    sign = np.repeat([1, -1], [40, 90])

    def loss(line: np.ndarray) -> float:
        margins = sign * (scores / spread @ line[:3] + line[3])
        return float(weight @ np.logaddexp(0, -margins) + line[:3] @ line[:3] / 2)

    best = minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 1e-8}).x
    np.testing.assert_allclose(fit.weights, best[:3] / spread, rtol=1e-3, atol=1e-4)
    assert fit.offset == pytest.approx(best[3], abs=1e-3)
    np.testing.assert_allclose(fit(human), human @ np.array(fit.weights) + fit.offset)


def test_fused_scores_separate_better_and_are_calibrated_whatever_the_mixture() -> None:
    fit = fit_fusion(*draws(300, 3000, seed=1))
    human, machine = draws(4000, 4000, seed=2)
    best = min(eer(human[:, column], machine[:, column]) for column in range(3))
    assert eer(fit(human), fit(machine)) < best - 0.03
    assert abs(fit.weights[2]) < 0.2 * fit.weights[0]
    assert fit.weights[0] == pytest.approx(10 * fit.weights[1], rel=0.25)
    shifted = [cllr(fit(human) + by, fit(machine) + by) for by in (-0.2, 0, 0.2)]
    assert shifted[1] == min(shifted)


def test_separable_scores_stay_finite_and_twins_share_their_weight() -> None:
    fit = fit_fusion([[2.0, 2.0], [3.0, 3.0]], [[0.0, 0.0], [1.0, 1.0]])
    assert fit.weights[0] == pytest.approx(fit.weights[1])
    assert 0 < fit.weights[0] < 2
    constant = fit_fusion([[2.0, 7.0], [3.0, 7.0]], [[0.0, 7.0], [1.0, 7.0]])
    assert constant.weights[1] == 0
    strong = fit_fusion([[2.0], [3.0]], [[0.0], [1.0]], strength=100)
    assert strong.weights[0] < fit_fusion([[2.0], [3.0]], [[0.0], [1.0]]).weights[0] / 5


@pytest.mark.parametrize(
    ("human", "machine"),
    [([1.0, 2.0], [0.0]), ([[1.0, 2.0]], [[1.0]]), (np.zeros((0, 2)), np.zeros((3, 2)))],
)
def test_scores_of_other_shapes_are_refused(human: Any, machine: Any) -> None:
    with pytest.raises(MetricError, match="one row per clip and one column per system"):
        fit_fusion(human, machine)


def test_scores_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(MetricError, match="leave these clips out"):
        fit_fusion([[np.nan]], [[1.0]])


def columns(seed: int, *, prefix: str = "t", n: int = 30, **changed: Any) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    bonafide = [index < n for index in range(2 * n)]
    filled: dict[str, Any] = {name: [value] * 2 * n for name, value in COLUMNS.items()}
    return filled | {
        "id": [f"{prefix}{index}" for index in range(2 * n)],
        "score": [rng.normal(2 if human else 0) for human in bonafide],
        "bonafide": bonafide,
        "attack": ["-" if human else "a" for human in bonafide],
        "decision": ["spoof"] * 2 * n,
        **changed,
    }


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Test and dev scores of two systems; the second file of each is in another order."""
    other = replace(FACTS, bundle="b 2", weights_sha256="bb", notes=("b has a note",))
    written = {}
    for index, (name, facts) in enumerate([("a", FACTS), ("b", other)]):
        for prefix in ("t", "d"):
            values = columns(index, prefix=prefix)
            turned = {key: value[::-1] if index else value for key, value in values.items()}
            path = tmp_path / f"{name}{prefix}.parquet"
            written[name + prefix] = write_scores(path, turned, facts)
    return written


def by_id(path: Path) -> dict[str, float]:
    table = read_scores(path)
    ids, scores = (table.column(name).to_pylist() for name in ("id", "score"))
    return dict(zip(ids, scores, strict=True))


def test_the_mean_is_the_mean_of_the_same_trial(files: dict[str, Path], tmp_path: Path) -> None:
    facts = fused([files["at"], files["bt"]], tmp_path / "f.parquet")
    paths = (files["at"], files["bt"], tmp_path / "f.parquet")
    first, second, both = (by_id(path) for path in paths)
    assert list(both) == list(first)
    assert both == {name: pytest.approx((first[name] + second[name]) / 2) for name in first}
    assert facts.notes == ("b has a note", "scores are the plain mean of a 1, b 2")
    assert (facts.fusion, facts.name, facts.protocol) == ({}, "f", "open")
    assert facts.source == "f (mean of a 1, b 2)"
    assert not facts.calibrated
    assert set(read_scores(tmp_path / "f.parquet").column("decision").to_pylist()) == {""}


def test_a_logistic_fusion_is_fitted_to_dev_and_decides_as_a_detector(
    files: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "f.parquet"
    facts = fused([files["at"], files["bt"]], out, how="logistic", dev=[files["ad"], files["bd"]])
    dev = [by_id(files[name]) for name in ("ad", "bd")]
    pairs = np.array([[scores[name] for scores in dev] for name in dev[0]])
    fit = fit_fusion(pairs[:30], pairs[30:])
    assert facts.fusion == {"a 1": fit.weights[0], "b 2": fit.weights[1], "offset": fit.offset}
    assert read_facts(out).fusion == facts.fusion
    first, second, both = (by_id(path) for path in (files["at"], files["bt"], out))
    assert both == {name: pytest.approx(float(fit([first[name], second[name]]))) for name in first}
    assert "fitted to dev (30 bona fide and 30 spoofed clips)" in facts.notes[-1]
    low, high = facts.thresholds
    for score, decision in zip(*(read_scores(out).column(name).to_pylist()
                                 for name in ("score", "decision")), strict=True):  # fmt: skip
        assert decision == ("spoof" if score < low else "bonafide" if score >= high else
                            "undecided")  # fmt: skip


def test_a_bundle_gives_the_scores_of_its_dev_clips(files: dict[str, Path], tmp_path: Path) -> None:
    bundles = []
    for name in "ab":
        (folder := tmp_path / f"bundle-{name}").mkdir()
        (folder / "dev_scores.parquet").write_bytes(files[f"{name}d"].read_bytes())
        card = {"files": {"weights.safetensors": name * 2}}
        (folder / "bundle.json").write_text(json.dumps(card))
        bundles.append(folder)
    given = [files["at"], files["bt"]]
    out = tmp_path / "f.parquet"
    from_bundles = fused(given, out, how="logistic", dev=bundles)
    assert from_bundles == fused(given, out, how="logistic", dev=[files["ad"], files["bd"]])
    with pytest.raises(EvaluationError, match="give dev in the order of the score files"):
        fused(given, out, how="logistic", dev=bundles[::-1])
    (bundles[0] / "dev_scores.parquet").unlink()
    with pytest.raises(EvaluationError, match="a bundle that holds the scores of its dev clips"):
        fused(given, out, how="logistic", dev=bundles)


def test_dev_scores_of_another_detector_are_refused(files: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="other weights"):
        fused([files["at"], files["bt"]], tmp_path / "f.parquet", how="logistic",
              dev=[files["bd"], files["ad"]])  # fmt: skip


def test_a_fit_to_the_clips_under_test_is_refused(files: dict[str, Path], tmp_path: Path) -> None:
    given = [files["at"], files["bt"]]
    with pytest.raises(EvaluationError, match="60 dev clips are also under test, such as 't0'"):
        fused(given, tmp_path / "f.parquet", how="logistic", dev=given)


def test_other_trials_or_other_truths_are_refused(files: dict[str, Path], tmp_path: Path) -> None:
    fewer = write_scores(tmp_path / "fewer.parquet", columns(3, n=29), FACTS)
    with pytest.raises(EvaluationError, match=r"2 trials are in only one .*t58, t59.*the same man"):
        fused([files["at"], fewer], tmp_path / "f.parquet")
    turned = columns(3)
    turned["bonafide"] = turned["bonafide"][::-1]
    other = write_scores(tmp_path / "other.parquet", turned, FACTS)
    with pytest.raises(EvaluationError, match="'t0' is bona fide; give both the same keys"):
        fused([files["at"], other], tmp_path / "f.parquet")


@pytest.mark.parametrize(
    ("names", "how", "dev", "match"),
    [
        (["at"], "mean", [], "two or more"),
        (["at", "bt"], "logistic", ["ad"], "one for each in the same order"),
        (["at", "bt"], "mean", ["ad", "bd"], "the mean none"),
    ],
)
def test_too_few_files_are_refused(
    files: dict[str, Path], tmp_path: Path, names: list[str], how: Any, dev: list[str], match: str
) -> None:
    with pytest.raises(RecipeError, match=match):
        fused([files[name] for name in names], tmp_path / "f.parquet", how=how,
              dev=[files[name] for name in dev])  # fmt: skip


def test_dev_of_one_class_is_refused(files: dict[str, Path], tmp_path: Path) -> None:
    human = columns(5, prefix="d", bonafide=[True] * 60)
    path = write_scores(tmp_path / "human.parquet", human, Facts())
    with pytest.raises(EvaluationError, match=r"60 bona fide and 0 spoofed .*whole dev part"):
        fused([files["at"], files["bt"]], tmp_path / "f.parquet", how="logistic", dev=[path, path])


@pytest.mark.parametrize("how", ["mean", "logistic"])
def test_a_trial_without_a_score_in_one_has_none(
    how: Any, files: dict[str, Path], tmp_path: Path
) -> None:
    values = columns(1)
    values["score"][7], values["status"][7] = np.nan, "no verdict"
    lacking = write_scores(tmp_path / "lacking.parquet", values, FACTS)
    dev = columns(2, prefix="d")
    dev["score"][3], dev["status"][3] = np.nan, "unreadable"
    gap = write_scores(tmp_path / "gap.parquet", dev, FACTS)
    given = [gap, files["bd"]] if how == "logistic" else []
    out = tmp_path / "f.parquet"
    facts = fused([lacking, files["bt"]], out, how=how, dev=given)
    table = read_scores(out)
    assert np.flatnonzero(np.isnan(table.column("score").to_numpy())).tolist() == [7]
    assert table.column("status").to_pylist()[7] == "no verdict"
    if how == "logistic":
        assert "(29 bona fide and 30 spoofed clips)" in facts.notes[-1]
    swapped = fused([files["bt"], lacking], out, how=how, dev=given[::-1])
    row = next(row for row in read_scores(out).to_pylist() if row["id"] == "t7")
    assert (row["status"], row["reason"]) == ("no verdict", "no score of a 1")
    assert swapped.source == f"f ({how} of b 2, a 1)"


def test_systems_of_one_name_go_by_their_files(files: dict[str, Path], tmp_path: Path) -> None:
    seed = write_scores(tmp_path / "seed2.parquet", columns(9), FACTS)
    facts = fused([files["at"], seed], tmp_path / "f.parquet")
    assert facts.source == f"f (mean of {files['at']}, {seed})"


def test_the_mean_of_uncalibrated_scores_is_called_so(tmp_path: Path) -> None:
    plain = [write_scores(tmp_path / f"{i}.parquet", columns(i), Facts()) for i in range(2)]
    (note,) = fused(plain, tmp_path / "f.parquet").notes
    assert "those of 0.parquet, 1.parquet are calibrated" in note


def test_a_fused_file_is_reported_as_any_other(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("calibration", "det", "histogram"):
        monkeypatch.setattr(f"unheard.evaluation.pictures.{name}", lambda *_: b"picture")
    out = tmp_path / "f.parquet"
    fused([files["at"], files["bt"]], out, how="logistic", dev=[files["ad"], files["bd"]])
    result = report(out, tmp_path / "report", n_draws=20)
    assert result.pooled("eval").metrics["eer"].value == eer(*classes(read_scores(out)))
    assert [rate.point for rate in result.rates][:2] == ["default", "balanced"]
    assert "by a logistic fusion" in (tmp_path / "report" / "report.md").read_text()
