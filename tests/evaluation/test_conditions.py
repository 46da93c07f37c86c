"""What a report says of scores under conditions, from the score file alone."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from unheard.evaluation.conditions import condition_rows, conditions_to_compare, raw_alone
from unheard.evaluation.markup import Bullets, Table
from unheard.evaluation.numbers import summarise
from unheard.evaluation.pairs import System, compare_scores
from unheard.evaluation.pictures import conditions as draw
from unheard.evaluation.results import Extras
from unheard.evaluation.scores import COLUMNS, Facts, completed
from unheard.evaluation.text import document
from unheard.metrics import bootstrap, corrected, eer, paired_bootstrap

FACTS = Facts(
    bundle="lcnn 2",
    thresholds=(-1.0, 1.0),
    operating_points={"balanced": 0.0},
    conditions=("raw", "telephone", "noise_10"),
)
WORSE = {"raw": 0.0, "telephone": 2.0, "noise_10": 0.1}


def scores(seed: int = 0, *, worse: Mapping[str, float] = WORSE, n: int = 60) -> pa.Table:
    """Two parts, two classes; a condition brings bona fide scores down by so much."""
    rng = np.random.default_rng(seed)
    clips: list[dict[str, Any]] = [
        {"id": f"{part}{index}", "part": part, "bonafide": index < n, "attack": "-" if index < n
         else "a", "base": rng.normal(1.0 if index < n else -1.0, 1.0)}
        for part in ("in", "out") for index in range(2 * n)
    ]  # fmt: skip
    rows: list[dict[str, Any]] = []
    for name, shift in worse.items():
        for clip in clips:
            score = clip["base"] - shift * clip["bonafide"] + rng.normal(0, 0.2)
            trial = clip["id"] if name == "raw" else f"{clip['id']}@{name}"
            rows.append({**clip, "id": trial, "condition": name, "score": score})
    for row in rows:
        del row["base"]
    return completed(pa.Table.from_pylist(rows), "rows")  # type: ignore[arg-type]


def without(table: pa.Table, *trials: str) -> pa.Table:
    """Take the scores of some trials away."""
    rows = table.to_pylist()
    for row in rows:
        if row["id"] in trials:
            row |= {"score": np.nan, "status": "no verdict", "reason": "too short"}
    return pa.Table.from_pylist(rows, schema=table.schema)


def classes(table: pa.Table, part: str, condition: str) -> tuple[np.ndarray, np.ndarray]:
    rows = [r for r in table.to_pylist() if (r["part"], r["condition"]) == (part, condition)]
    human, machine = (
        [row["score"] for row in rows if row["bonafide"] is side] for side in (True, False)
    )
    return np.array(human), np.array(machine)


def test_rates_and_differences_are_those_of_the_metrics() -> None:
    table = scores()
    results = condition_rows(table, FACTS, ["in", "out"], n_draws=200)
    assert [(row.part, row.condition) for row in results] == [
        (part, name) for part in ("in", "out") for name in FACTS.conditions
    ]
    for row in results:
        changed, raw = (classes(table, row.part, name) for name in (row.condition, "raw"))
        interval = bootstrap(eer, *changed, n_draws=200)
        assert (row.eer, row.eer_low, row.eer_high) == (eer(*changed), interval.low, interval.high)
        if row.condition == "raw":
            assert row.difference is None
            continue
        paired = paired_bootstrap(eer, changed, raw, n_draws=4 * 80)  # four tests: more draws
        assert (row.difference, row.low, row.high, row.p) == tuple(vars(paired).values())
    tested = [row for row in results if row.p is not None]
    np.testing.assert_allclose(
        np.array([row.p_holm for row in tested], float),
        corrected([row.p for row in tested if row.p is not None]),
    )
    assert [row.sure for row in tested] == [True, False, True, False]


def test_decisions_weigh_both_classes_alike() -> None:
    table = scores(n=40)
    kept = table.filter(pa.array([not r["bonafide"] or int(r["id"].partition("@")[0].strip("inout"))
                                  < 10 for r in table.to_pylist()]))  # fmt: skip
    row = condition_rows(kept, FACTS, ["in"], n_draws=20)[1]
    human, machine = classes(kept, "in", "telephone")
    assert (human.size, machine.size) == (10, 40)
    missed, accepted = float(np.mean(human < -1)), float(np.mean(machine >= 1))
    undecided = [np.mean((scored >= -1) & (scored < 1)) for scored in (human, machine)]
    assert row.undecided == pytest.approx(np.mean(undecided))
    assert row.wrong == pytest.approx((missed + accepted) / (2 - sum(undecided)))
    assert (row.bonafide_as_spoof, row.spoof_as_bonafide) == (missed, accepted)
    assert condition_rows(kept, replace(FACTS, thresholds=()), ["in"])[1].undecided is None
    nothing = condition_rows(kept, replace(FACTS, thresholds=(-99.0, 99.0)), ["in"])[1]
    assert (nothing.undecided, nothing.wrong) == (1.0, None)


def test_only_clips_with_both_scores_are_compared() -> None:
    table = without(scores(), "in0@telephone", "in1", "in70")
    raw, telephone, _ = condition_rows(table, FACTS, ["in"], n_draws=20)
    assert (raw.n_bonafide, raw.n_spoof, raw.n_unscored) == (59, 59, 2)
    assert (telephone.n_bonafide, telephone.n_unscored, telephone.n_shared) == (59, 1, 117)
    pairs = [classes(scores(), "in", name) for name in ("telephone", "raw")]
    kept = [np.delete(np.arange(60), [0, 1]), np.delete(np.arange(60), [10])]
    a, b = ([scored[rows] for scored, rows in zip(pair, kept, strict=True)] for pair in pairs)
    assert telephone.difference == eer(*a) - eer(*b)


def test_a_condition_that_silences_a_class_has_no_rate_but_is_counted() -> None:
    table = without(scores(), *(f"in{index}@noise_10" for index in range(60)))
    row = condition_rows(table, FACTS, ["in"], n_draws=20)[2]
    assert (row.eer, row.difference, row.p_holm, row.undecided) == (None,) * 4
    assert (row.n_unscored, row.n_bonafide, row.n_spoof) == (60, 0, 60)
    text = document(summarise(table, FACTS, n_draws=20))
    (shown,) = (b for b in text if isinstance(b, Table) and b.rows[-1][0] == "noise_10 *"
                and b.rows[-1][1] == "60")  # fmt: skip
    assert shown.rows[-1][3:] == ("-",) * 7


def test_all_else_is_over_the_clips_as_they_are_but_tables_by_condition() -> None:
    table = without(scores(), "in0@telephone")
    extras = Extras(by=(("condition",), ("attack",)))
    result = summarise(table, FACTS, n_draws=20, extras=extras)
    alone = summarise(raw_alone(table, FACTS), FACTS, n_draws=20, extras=Extras(by=(("attack",),)))
    assert alone.conditions == ()
    assert (result.rows, result.counts, result.rates, result.unscored) == (
        alone.rows,
        alone.counts,
        alone.rates,
        alone.unscored,
    )
    by_condition = {grid.part: grid for grid in result.grids if grid.by == ("condition",)}
    assert by_condition["in"].rows == ("noise_10", "raw", "telephone", "pooled")
    for name, (cell,) in zip(
        by_condition["out"].rows[:-1], by_condition["out"].cells, strict=False
    ):
        assert cell.eer == eer(*classes(table, "out", name))
    assert [grid for grid in result.grids if grid.by == ("attack",)] == list(alone.grids)


def test_a_column_of_that_name_is_not_taken_for_ours() -> None:
    table = scores()
    assert conditions_to_compare(table, FACTS) == FACTS.conditions
    assert conditions_to_compare(table, replace(FACTS, conditions=())) == ()
    telephone = table.filter(pa.array([r["condition"] == "telephone" for r in table.to_pylist()]))
    assert conditions_to_compare(telephone, FACTS) == ()
    assert summarise(telephone, FACTS, n_draws=20).pooled("in").n_spoof == 60
    assert conditions_to_compare(table.select(list(COLUMNS)), FACTS) == ()


def test_the_summary_names_conditions_that_surely_harm() -> None:
    text = document(summarise(scores(), FACTS, n_draws=20))
    bullets = [item for block in text if isinstance(block, Bullets) for item in block.items]
    (sentence,) = (item for item in bullets if item.startswith("out: worst"))
    assert "worst under telephone" in sentence
    by_condition = {row.condition: row for row in summarise(scores(), FACTS, n_draws=20).conditions}
    harmed, raw = (by_condition[name].bonafide_as_spoof for name in ("telephone", "raw"))
    assert "surely worse under telephone; " in sentence
    assert (
        f"most bona fide clips called spoof under telephone, {harmed:.1%} (as it is {raw:.1%})"
    ) in sentence
    without_thresholds = replace(FACTS, thresholds=())
    plain = document(summarise(scores(), without_thresholds, n_draws=20))
    items = [item for block in plain if isinstance(block, Bullets) for item in block.items]
    assert any(item.endswith("surely worse under telephone.") for item in items)
    assert "telephone: the band of a telephone line, 300 to 3,400 Hz" in bullets
    better = scores(worse={"raw": 2.0, "telephone": 0.0})
    words = document(summarise(better, FACTS, n_draws=20))
    bullets = [item for block in words if isinstance(block, Bullets) for item in block.items]
    assert any("surely better under telephone" in item for item in bullets)


def test_the_picture_is_drawn_with_any_number_missing() -> None:
    table = without(scores(), *(f"in{index}@noise_10" for index in range(60)))
    facts = replace(FACTS, conditions=(*FACTS.conditions, "of_another_version"))
    assert draw(summarise(table, facts, n_draws=20)).startswith(b"\x89PNG")


def test_systems_are_set_against_each_other_under_each_condition() -> None:
    first, second = scores(0), scores(1)
    systems = [System("one", first, FACTS), System("other", second, FACTS)]
    result = compare_scores(systems, n_draws=50)
    parts = [pair.part for pair in result.pairs if pair.metric == "eer"]
    assert parts == sorted(
        f"{part}{words}" for part in ("in", "out")
        for words in ("", " under telephone", " under noise_10")
    )  # fmt: skip
    pair = next(pair for pair in result.pairs if pair.part == "out under telephone")
    assert pair.first_value == eer(*classes(first, "out", "telephone"))
    assert pair.second_value == eer(*classes(second, "out", "telephone"))
    (note,) = result.notes
    assert note == (
        "with 50 draws no p value of 12 can be below 0.47 after correction; make more draws, at "
        "least 480"
    )
    assert not compare_scores(systems, n_draws=480).notes
