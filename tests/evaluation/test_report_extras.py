"""What a report holds on request, scores of others taken in, and systems set against each other."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal
from unicodedata import normalize

import numpy as np
import pytest

from unheard.errors import EvaluationError, MetricError, RecipeError
from unheard.evaluation.groups import grids
from unheard.evaluation.intake import Intake, calibrated, read_asv, read_with_keys, stated_asv
from unheard.evaluation.numbers import summarise
from unheard.evaluation.pairs import System, compare_scores, write_comparison
from unheard.evaluation.report import report
from unheard.evaluation.results import Extras
from unheard.evaluation.scores import (
    COLUMNS,
    Facts,
    completed,
    read_facts,
    read_scores,
    write_scores,
)
from unheard.evaluation.text import cautions
from unheard.metrics import (
    ASVSPOOF5_ASV,
    AsvRates,
    asv_rates,
    cllr,
    eer,
    eer_official,
    mcnemar,
    min_tdcf,
    paired_bootstrap,
)

RNG = np.random.default_rng


def rows(seed: int = 0, *, n: int = 60, shift: float = 0.0, part: str = "eval") -> dict[str, Any]:
    """Clips of two attacks and two codecs; the second codec is noisier."""
    rng = RNG(seed)
    filled: list[dict[str, Any]] = []
    for index in range(3 * n):
        bonafide, codec = index < n, ("none", "alaw")[index % 2]
        attack = "-" if bonafide else f"A{1 + index % 3}"
        mean = 2.0 if bonafide else -1.0
        score = shift + rng.normal(mean, 1.0 + index % 2)
        filled.append(
            {
                "id": f"{part}{index}",
                "score": score,
                "bonafide": bonafide,
                "attack": attack,
                "codec": codec,
                "part": part,
                "speaker": f"s{index % 7}",
            }
        )
    return {name: [row.get(name, default) for row in filled] for name, default in COLUMNS.items()}


def table(columns: dict[str, Any], tmp_path: Path) -> Any:
    return read_scores(write_scores(tmp_path / "t.parquet", columns, Facts()))


def picked(scores: Any, **wanted: str) -> tuple[np.ndarray, np.ndarray]:
    kept = [row for row in scores.to_pylist() if row["codec"] == wanted.get("codec", row["codec"])]
    attack = wanted.get("attack")
    return (
        np.array([row["score"] for row in kept if row["bonafide"]]),
        np.array([r["score"] for r in kept if not r["bonafide"] and attack in (None, r["attack"])]),
    )


def test_a_grid_splits_bona_fide_clips_by_codec_and_not_by_attack(tmp_path: Path) -> None:
    scores = table(rows(), tmp_path)
    (grid,) = grids(scores, ["eval"], [("attack", "codec")])
    assert grid.rows == ("A1", "A2", "A3", "pooled")
    assert grid.columns == ("alaw", "none", "pooled")
    for row, cells in zip(grid.rows, grid.cells, strict=True):
        for column, cell in zip(grid.columns, cells, strict=True):
            wanted = {"attack": row} if row != "pooled" else {}
            wanted |= {"codec": column} if column != "pooled" else {}
            human, machine = picked(scores, **wanted)
            assert (cell.n_bonafide, cell.n_spoof) == (human.size, machine.size)
            assert cell.eer == eer(human, machine)
    (alone,) = grids(scores, ["eval"], [("codec",)])
    assert [line[0] for line in alone.cells] == list(grid.cells[-1])


def test_a_grid_of_a_column_that_is_not_there_is_refused(tmp_path: Path) -> None:
    scores = table(rows(), tmp_path)
    with pytest.raises(RecipeError, match="did you mean 'codec'"):
        list(grids(scores, ["eval"], [("codecs",)]))
    with pytest.raises(RecipeError, match="name one or two columns"):
        list(grids(scores, ["eval"], [("codec", "attack", "part")]))


def test_a_value_without_bona_fide_clips_has_no_rate(tmp_path: Path) -> None:
    columns = rows()
    columns["codec"] = ["none" if human else "alaw" for human in columns["bonafide"]]
    (grid,) = grids(table(columns, tmp_path), ["eval"], [("codec",)])
    assert (grid.rows, grid.cells[0][0].eer, grid.cells[0][0].n_bonafide) == (
        ("alaw", "pooled"),
        None,
        0,
    )


def test_official_and_tandem_numbers_are_those_of_their_functions(tmp_path: Path) -> None:
    scores = table(rows(), tmp_path)
    result = summarise(scores, Facts(), n_draws=20, extras=Extras(official=True, asv=ASVSPOOF5_ASV))
    human, machine = picked(scores)
    metrics = result.pooled("eval").metrics
    assert metrics["eer_official"].value == eer_official(human, machine)
    assert metrics["eer_official"].low is None
    assert metrics["min_tdcf"].value == min_tdcf(human, machine, ASVSPOOF5_ASV)
    low, high = metrics["min_tdcf"].low, metrics["min_tdcf"].high
    assert low is not None
    assert high is not None
    assert low <= metrics["min_tdcf"].value <= high
    attack = next(row for row in result.rows if row.group == "A1")
    assert "eer_official" in attack.metrics
    assert "min_tdcf" not in attack.metrics  # the verifier's rates are pooled over attacks


def test_means_over_attacks_and_test_sets_weigh_groups_the_same(tmp_path: Path) -> None:
    columns = rows(part="one")
    for number, part in enumerate(("two a", "two b"), start=1):
        more = rows(number, part=part, shift=0.0)
        more["score"] = [
            s if human else s + number
            for s, human in zip(more["score"], more["bonafide"], strict=True)
        ]
        columns = {name: columns[name] + more[name] for name in columns}
    sets = {"one": ("one",), "two": ("two a", "two b"), "three": ("three",)}
    result = summarise(table(columns, tmp_path), Facts(), n_draws=20, extras=Extras(sets=sets))
    rates = {part: result.pooled(part).metrics["eer"].value for part in result.parts}
    mean = next(average for average in result.averages if average.over == "set")
    assert mean.groups == ("one", "two")
    assert mean.mean == (rates["one"] + (rates["two a"] + rates["two b"]) / 2) / 2
    assert mean.worst_group == "two"
    attacks = [row for row in result.rows if (row.by, row.part) == ("attack", "one")]
    over = next(mean for mean in result.averages if (mean.over, mean.part) == ("attack", "one"))
    assert over.mean == pytest.approx(np.mean([row.metrics["eer"].value for row in attacks]))
    assert over.worst == max(row.metrics["eer"].value for row in attacks)


def test_a_verifier_is_given_by_name_rates_or_scores(tmp_path: Path) -> None:
    assert stated_asv("asvspoof5") == ASVSPOOF5_ASV
    assert stated_asv("0.1,0.2,0.3") == AsvRates(miss=0.1, false_alarm=0.2, spoof_false_alarm=0.3)
    with pytest.raises(RecipeError, match="known: asvspoof5; or give three shares"):
        stated_asv("0.1,0.2")
    with pytest.raises(MetricError, match="divide percentages by 100"):
        stated_asv("10,2,3")
    path = tmp_path / "asv.txt"
    path.write_text("bonafide target 2\nbonafide nontarget 0\nA07 spoof 3\nA07 spoof -1\n")
    assert read_asv(path) == asv_rates([2.0], [0.0], [3.0, -1.0])
    path.write_text("bonafide target 2\nA07 spoof 3\n")
    with pytest.raises(EvaluationError, match="no trial is nontarget; give scores of a speaker"):
        read_asv(path)
    path.write_text("bonafide human 2\n")
    with pytest.raises(EvaluationError, match=r"asv.txt:1: 'bonafide human 2'; give scores"):
        read_asv(path)


def published(tmp_path: Path, columns: dict[str, Any], sign: float = 1.0) -> tuple[Path, Path]:
    """The same scores as text of two columns, and keys of eight."""
    scores, keys = tmp_path / "published.txt", tmp_path / "trial_metadata.txt"
    names = zip(columns["id"], columns["score"], strict=True)
    scores.write_text("".join(f"{name} {sign * score!r}\n" for name, score in names))
    trials = zip(*(columns[n] for n in ("id", "codec", "attack", "bonafide", "part")), strict=True)
    keys.write_text(
        "".join(
            f"S {name} {codec} - {attack} {'bonafide' if human else 'spoof'} notrim {part}\n"
            for name, codec, attack, human, part in trials
        )
    )
    return scores, keys


def test_reversed_scores_are_reported_and_negated_only_on_request(tmp_path: Path) -> None:
    scores, keys = published(tmp_path, rows(), sign=-1.0)
    read, facts = read_with_keys(scores, Intake(keys=keys))
    result = summarise(read, facts, n_draws=50)
    assert result.pooled("eval").metrics["eer"].value > 0.6
    (caution,) = cautions(result)
    assert "very likely point the other way" in caution
    assert "Nothing was turned round" in caution
    assert "--higher-is spoof" in caution
    turned, facts = read_with_keys(scores, Intake(keys=keys, higher_is="spoof"))
    assert turned.column("score").to_pylist() == rows()["score"]
    assert "scores were turned round: in the file, higher is more spoof" in facts.notes
    assert cautions(summarise(turned, facts, n_draws=50)) == []


def test_missing_trials_and_unknown_scores_are_counted_named_and_refused(tmp_path: Path) -> None:
    scores, keys = published(tmp_path, rows())
    lines = scores.read_text().splitlines()
    scores.write_text("\n".join([*lines[2:], "stranger 1.0"]))
    with pytest.raises(
        EvaluationError, match=r"2 trials have no score, such as eval0, eval1; .*--allow-missing"
    ):
        read_with_keys(scores, Intake(keys=keys))
    scores.write_text("\n".join([*lines, "stranger 1.0"]))
    with pytest.raises(
        EvaluationError, match=r"1 score has no trial .*stranger; .*--allow-missing"
    ):
        read_with_keys(scores, Intake(keys=keys))
    scores.write_text("\n".join([*lines[2:], "stranger 1.0"]))
    read, facts = read_with_keys(scores, Intake(keys=keys, allow_missing=True))
    assert len(facts.notes) == 2
    result = summarise(read, facts, n_draws=20)
    assert [(name, reason) for name, _, reason in result.unscored] == [
        ("eval0", "no score in the score file"),
        ("eval1", "no score in the score file"),
    ]


def test_only_wanted_trials_are_asked_for(tmp_path: Path) -> None:
    scores, keys = published(tmp_path, rows())
    lines = scores.read_text().splitlines()
    scores.write_text("\n".join(lines[::2]))  # every second clip went through alaw
    clean = Intake(keys=keys, where={"codec": ("none",)})
    read, facts = read_with_keys(scores, clean)
    assert set(read.column("codec").to_pylist()) == {"none"}
    assert facts.notes == ()
    with pytest.raises(EvaluationError, match=r"no trial has codec g722 \(found alaw, none\)"):
        read_with_keys(scores, replace(clean, where={"codec": ("g722",)}))
    with pytest.raises(RecipeError, match="no column 'codecs'; did you mean 'codec'"):
        read_with_keys(scores, replace(clean, where={"codecs": ("none",)}))


@pytest.mark.parametrize("method", ["logistic", "isotonic"])
def test_calibration_is_fitted_to_dev_and_makes_ratios(method: str, tmp_path: Path) -> None:
    test, dev = (table(rows(seed, part=part), tmp_path) for seed, part in ((0, "eval"), (1, "dev")))
    raw = test.set_column(1, "score", [[10 * s + 40 for s in test.column("score").to_pylist()]])
    wide = dev.set_column(1, "score", [[10 * s + 40 for s in dev.column("score").to_pylist()]])
    fitted, facts = calibrated(raw, Facts(), wide, method=method)
    assert cllr(*picked(fitted)) < 0.7 < cllr(*picked(raw))
    assert "fitted to dev (60 bona fide and 120 spoofed clips)" in facts.notes[0]
    assert facts.calibrated
    assert facts.operating_points == {"Bayes": 0.0}
    if method == "logistic":
        assert eer(*picked(fitted)) == eer(*picked(raw))


def test_calibration_on_the_scores_under_test_is_refused(tmp_path: Path) -> None:
    test = table(rows(), tmp_path)
    with pytest.raises(EvaluationError, match=r"180 clips of dev are also under test.*dev clips"):
        calibrated(test, Facts(), test)
    one_class = completed(table(rows(part="dev"), tmp_path).slice(0, 60), tmp_path)
    with pytest.raises(EvaluationError, match=r"60 bona fide and 0 spoofed clips.*whole dev part"):
        calibrated(test, Facts(), one_class)
    with pytest.raises(RecipeError, match="did you mean 'isotonic'"):
        calibrated(test, Facts(), one_class.slice(0, 0), method="isotonik")


def systems(tmp_path: Path, *, points: bool = True) -> list[System]:
    facts = Facts(operating_points={"balanced": 0.5} if points else {})
    columns = rows()
    worse = {
        **columns,
        "score": [s + n for s, n in zip(columns["score"], RNG(5).normal(0, 3, 180), strict=True)],
    }
    close = {
        **columns,
        "score": [
            s + n for s, n in zip(columns["score"], RNG(6).normal(0, 0.01, 180), strict=True)
        ],
    }
    return [
        System(name, table(values, tmp_path), facts)
        for name, values in (("ours", columns), ("worse", worse), ("close", close))
    ]


def test_systems_are_compared_trial_by_trial_and_corrected(tmp_path: Path) -> None:
    ours, worse, close = systems(tmp_path)
    result = compare_scores([ours, worse, close], n_draws=200)
    pairs = {(pair.second, pair.metric): pair for pair in result.pairs}
    assert set(pairs) == {(name, m) for name in ("worse", "close") for m in ("eer", "min_dcf")}
    pair = pairs["worse", "eer"]
    a, b = picked(ours.table), picked(worse.table)
    wanted = paired_bootstrap(eer, a, b, n_draws=200)
    assert (pair.difference, pair.low, pair.high, pair.p) == (
        wanted.value,
        wanted.low,
        wanted.high,
        wanted.p,
    )
    assert pair.difference == pair.first_value - pair.second_value
    assert pair.p < pair.p_holm <= 4 * pair.p
    right = [np.concatenate([human >= 0.5, machine < 0.5]) for human, machine in (a, b)]
    assert pair.mcnemar == mcnemar(*right)
    assert pair.mcnemar_holm is not None
    assert pair.mcnemar < pair.mcnemar_holm <= 2 * pair.mcnemar
    assert pairs["close", "eer"].p_holm > 0.05
    files = write_comparison(result, tmp_path / "out")
    assert json.loads(files[0].read_text())["pairs"][0]["second"] == "worse"
    lines = files[1].read_text().splitlines()
    line = next(text for text in lines if "| worse | eval | EER |" in text)
    assert line.endswith(f"| {pair.p_holm:.3g} | {pair.mcnemar_holm:.3g} |")


def test_decisions_are_not_compared_without_thresholds_from_other_clips(tmp_path: Path) -> None:
    result = compare_scores(systems(tmp_path, points=False)[:2], n_draws=20)
    assert all(pair.mcnemar is None and pair.mcnemar_holm is None for pair in result.pairs)
    text = write_comparison(result, tmp_path)[1].read_text()
    assert "need a threshold fitted on other clips" in text


def test_trials_of_two_systems_may_be_named_in_two_unicode_forms(tmp_path: Path) -> None:
    ours, worse, _ = systems(tmp_path)

    def named(system: System, form: Literal["NFC", "NFD"]) -> System:
        ids = [normalize(form, f"é{name}") for name in system.table.column("id").to_pylist()]
        index = system.table.column_names.index("id")
        return replace(system, table=system.table.set_column(index, "id", [ids]))

    result = compare_scores([named(ours, "NFC"), named(worse, "NFD")], n_draws=20)
    assert result.pairs[0].n_trials == 180
    assert result.pairs == compare_scores([ours, worse], n_draws=20).pairs


def test_systems_must_have_scored_the_same_trials(tmp_path: Path) -> None:
    ours, worse, _ = systems(tmp_path)
    fewer = replace(worse, table=worse.table.slice(3))
    with pytest.raises(EvaluationError, match="3 trials are scored by only one of ours and worse"):
        compare_scores([ours, fewer], n_draws=20)
    result = compare_scores([ours, fewer], n_draws=20, allow_missing=True)
    assert result.pairs[0].n_trials == 177
    assert "left out" in result.notes[0]
    swapped = [not human for human in worse.table.column("bonafide").to_pylist()]
    index = worse.table.column_names.index("bonafide")
    liar = replace(worse, table=worse.table.set_column(index, "bonafide", [swapped]))
    with pytest.raises(EvaluationError, match=r"disagree on whether 'eval0' is bona fide.*--keys"):
        compare_scores([ours, liar], n_draws=20)
    with pytest.raises(EvaluationError, match="give another score file"):
        compare_scores([ours])


def test_everything_that_was_asked_for_is_in_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("calibration", "det", "histogram"):
        monkeypatch.setattr(f"unheard.evaluation.pictures.{name}", lambda *_: b"picture")
    path = write_scores(tmp_path / "s.parquet", rows(), Facts(notes=("something was done",)))
    extras = Extras(
        official=True,
        asv=ASVSPOOF5_ASV,
        by=(("attack", "codec"), ("codec",)),
        sets={"eval": ("eval",)},
    )
    report(path, tmp_path / "out", n_draws=20, extras=extras)
    text = (tmp_path / "out" / "report.md").read_text()
    for phrase in (
        "EER, official",
        "min t-DCF, revised",
        "## Averages",
        "| test sets | 1 | EER |",
        "## EER by attack and codec, eval",
        "| codec | bona fide | spoof | EER | minDCF |",
        "Note: something was done.",
        "nothing says that these scores are log-likelihood ratios",
    ):
        assert phrase in text, phrase
    numbers = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert [grid["by"] for grid in numbers["grids"]] == [["attack", "codec"], ["codec"]]
    assert read_facts(path).notes == ("something was done",)
