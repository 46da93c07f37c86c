"""The numbers of a comparison against a literal computation; what is missing does not stop it."""

import csv
import io
import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unheard.compare.joined_scores import Group, _strata, join_scores
from unheard.compare.numbers import compare_runs
from unheard.compare.pictures import drawn
from unheard.compare.results import ComparisonResult, Run
from unheard.compare.text import PICTURES, About, document, spreadsheet
from unheard.errors import EvaluationError
from unheard.evaluation import markup
from unheard.metrics import TiesWarning, cllr, corrected, eer
from unheard.metrics.resampling import Measured

CLASSES = {
    "eval_in": {"-": 40, "formant": 20, "diphone": 30},
    "eval_out": {"-": 50, "neural": 35, "codec": 15, "units": 25},
}
ROWS = [
    (part, family, f"{part}-{family}-{n}")
    for part, families in CLASSES.items()
    for family, count in families.items()
    for n in range(count)
]
HARD = np.random.default_rng(5).normal(size=len(ROWS))
ABOUT = About(
    name="test", methods={"base": "recipe base"}, missing=["open seed 3 base: to do"], command="run"
)


def written(path: Path, apart: float, seed: int, only: str = "", n_rows: int = 10**9) -> Path:
    """A score file in which classes lie a distance apart, in some order."""
    rng = np.random.default_rng(seed)
    rows = [row for row in rng.permutation(len(ROWS)).tolist() if row < n_rows]
    rows = [row for row in rows if not only or ROWS[row][1] in ("-", only)]
    human = np.array([ROWS[row][1] == "-" for row in rows])
    score = np.where(human, apart, 0.0) + HARD[rows] + 0.4 * rng.normal(size=len(rows)) - 1
    columns = {
        "id": [ROWS[row][2] for row in rows],
        "part": [ROWS[row][0] for row in rows],
        "family": [ROWS[row][1] for row in rows],
        "bonafide": human,
        "score": score,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    folder = tmp_path_factory.mktemp("runs")
    finished = []
    for place, (method, apart) in enumerate({"base": 1.0, "same": 1.05, "good": 2.2}.items()):
        for seed in (1, 2):
            file = written(folder / f"{method}-{seed}.parquet", apart, 10 * place + seed)
            finished.append(
                Run(
                    method=method,
                    seed=seed,
                    scores=file,
                    training_core_s=60.0 * (place + 1) * seed,
                    parameters=1000 * (place + 1),
                    trained=10,
                    core_s=0.01 * (place + 1),
                )
            )
        for family in ("neural", "codec") if method != "same" else ():
            for seed in (1, 2):
                file = folder / f"{method}-{family}-{seed}.parquet"
                written(file, apart - 0.5, 100 + 10 * place + seed, only=family)
                finished.append(Run(method=method, seed=seed, scores=file, held_out=family))
    return finished


@pytest.fixture(scope="module")
def result(runs: list[Run]) -> ComparisonResult:
    return compare_runs(runs, baseline="base", n_draws=60, seed=3)


def of(result: ComparisonResult, method: str) -> dict[str, float]:
    (line,) = [row for row in result.lines if row.method == method]
    return {name: row.value for name, row in line.numbers.items()}


def rates(file: Path, draws: dict[str, int] | None = None) -> dict[str, float]:
    """Every number of one score file, clips repeated as they were drawn."""
    table = pq.read_table(file)
    ids, part, family, human, score = (
        table.column(name).to_numpy(zero_copy_only=False)
        for name in ("id", "part", "family", "bonafide", "score")
    )
    times = np.array([1 if draws is None else draws[name] for name in ids])

    def rate(metric: Callable[..., Any], place: str, spoofed: str = "") -> float:
        inside = part == place
        machine = inside & (family == spoofed if spoofed else ~human)
        pair = [np.repeat(score[rows], times[rows]) for rows in (inside & human, machine)]
        return float(metric(*pair))

    apart = [rate(eer, "eval_out", spoofed) for spoofed in ("neural", "codec", "units")]
    return {
        "in_eer": rate(eer, "eval_in"),
        "in_cllr": rate(cllr, "eval_in"),
        "out_eer": rate(eer, "eval_out"),
        "out_cllr": rate(cllr, "eval_out"),
        "out_mean": float(np.mean(apart)),
        "out_worst": max(apart),
    }


def test_every_number_is_that_of_a_literal_computation(
    runs: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[np.ndarray] = []

    def resampled(
        measured: Sequence[Measured], stratum: np.ndarray, n_draws: int, rng: np.random.Generator
    ) -> np.ndarray:
        counts = np.zeros((n_draws, stratum.size), int)
        for draw in range(n_draws):
            for number in set(stratum.tolist()):
                rows = np.flatnonzero(stratum == number)
                np.add.at(counts[draw], rng.choice(rows, rows.size), 1)
        drawn.append(counts)
        return np.stack([one.metric(*(counts[:, rows] for rows in one.rows)) for one in measured])

    monkeypatch.setattr("unheard.compare.joined_scores.resampled", resampled)
    result = compare_runs(runs, baseline="base", n_draws=60, seed=3)
    main = [run for run in runs if not run.held_out]
    ids = join_scores([run.scores for run in main]).ids
    draws = [dict(zip(ids, counts.tolist(), strict=True)) for counts in drawn[0]]
    expected: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TiesWarning)
        for run in main:
            of_draws = [rates(run.scores, None), *(rates(run.scores, counts) for counts in draws)]
            expected.setdefault(run.method, []).append(
                {name: np.array([values[name] for values in of_draws]) for name in of_draws[0]}
            )
    p_values, tested = [], []
    for line in result.lines:
        for name, estimate in line.numbers.items():
            mean = np.mean([seed[name] for seed in expected[line.method]], axis=0)
            base = np.mean([seed[name] for seed in expected["base"]], axis=0)
            assert estimate.value == pytest.approx(mean[0], abs=1e-12)
            seeds = [seed[name][0] for seed in expected[line.method]]
            assert estimate.seeds == pytest.approx(seeds)
            ends = np.quantile(mean[1:], [0.025, 0.975])
            assert (estimate.low, estimate.high) == pytest.approx(ends)
            if line.method == "base" or not name.startswith("out_") or name == "out_cllr":
                assert estimate.difference is None
                continue
            difference = mean - base
            ends = np.quantile(difference[1:], [0.025, 0.975])
            assert estimate.difference == pytest.approx(difference[0])
            assert (estimate.difference_low, estimate.difference_high) == pytest.approx(ends)
            side = min(np.sum(difference[1:] <= 0), np.sum(difference[1:] >= 0))
            p_values.append(min(1.0, 2 * (side + 1) / 61))
            tested.append(estimate)
    assert [estimate.p for estimate in tested] == pytest.approx(p_values)
    assert [estimate.p_holm for estimate in tested] == pytest.approx(corrected(p_values).tolist())
    assert len(tested) == 6


def test_trials_of_the_same_groups_are_drawn_among_themselves() -> None:
    rows = np.arange(30)
    groups = [Group(rows[:10], rows[10:30]), Group(rows[:10], rows[10:15])]
    stratum = _strata(groups, 30)
    assert [len(set(stratum[part])) for part in (rows[:10], rows[10:15], rows[15:])] == [1, 1, 1]
    assert len(set(stratum)) == 3


def test_families_held_out_of_training_have_a_table_of_their_own(
    result: ComparisonResult, runs: list[Run]
) -> None:
    lines = {line.method: line for line in result.lines}
    assert lines["same"].held_out == {}
    apart = {}
    for family in ("neural", "codec"):
        expected = []
        for run in runs:
            if (run.method, run.held_out) == ("good", family):
                table = pq.read_table(run.scores)
                out = table.filter(pa.compute.equal(table.column("part"), "eval_out"))
                score, human = (out.column(c).to_numpy(False) for c in ("score", "bonafide"))
                expected.append(eer(score[human], score[~human]))
        apart[family] = expected
        assert lines["good"].held_out[family].seeds == tuple(expected)
        assert lines["good"].held_out[family].difference is None
    mean = lines["good"].held_out["mean"]
    assert mean.seeds == pytest.approx(np.mean(list(apart.values()), axis=0))
    worst = lines["good"].held_out["worst"]
    assert worst.seeds == pytest.approx(np.max(list(apart.values()), axis=0))
    assert mean.difference == pytest.approx(mean.value - lines["base"].held_out["mean"].value)
    assert mean.p_holm >= mean.p


def test_the_best_comes_first_and_ranks_are_over_families_and_seeds(
    result: ComparisonResult,
) -> None:
    assert result.lines[0].method == "good"
    assert result.ranking is not None
    assert result.ranking.n_tasks == 6
    assert result.ranking.means["good"] < result.ranking.means["base"]
    assert result.ranking.alike[0][0] in ("good", "same", "base")


def test_runs_that_are_missing_do_not_stop_a_comparison(runs: list[Run]) -> None:
    few = [run for run in runs if run.method != "base" and not run.held_out][:3]
    result = compare_runs(few, baseline="base", n_draws=5)
    assert "The baseline base has no run yet, so nothing is tested against it." in result.notes
    assert {line.method: line.seeds for line in result.lines} == {"same": (1, 2), "good": (1,)}
    assert result.ranking is None
    text = markup.markdown(document(result, ABOUT, list(drawn(result))))
    assert "Nothing can be tested: it needs base and another method." in text
    assert "1 run of the plan is missing" in text
    left = [run for run in runs if run.held_out == "codec"]
    alone = compare_runs(left, baseline="base", n_draws=5)
    text = markup.markdown(document(alone, ABOUT, list(drawn(alone))))
    assert "No method has been evaluated under the main protocol yet." in text
    # Without the other family's runs there is no honest mean over both.
    assert {"codec", "mean", "worst"} == set(alone.lines[0].held_out)
    one_lacks = [
        run for run in runs if run.held_out and (run.method, run.held_out) != ("good", "codec")
    ]
    lines = {
        line.method: line for line in compare_runs(one_lacks, baseline="base", n_draws=5).lines
    }
    assert set(lines["good"].held_out) == {"neural"}
    assert set(lines["base"].held_out) == {"neural", "codec", "mean", "worst"}


def test_clips_that_not_all_runs_scored_are_left_out_and_noted(
    runs: list[Run], tmp_path: Path
) -> None:
    short = written(tmp_path / "short.parquet", 1.0, 77, n_rows=len(ROWS) - 4)
    result = compare_runs(
        [runs[0], Run(method="short", seed=1, scores=short)], baseline="base", n_draws=5
    )
    assert any("4 clips are scored by some runs only" in note for note in result.notes)
    table = pq.read_table(short)
    renamed = pa.array([f"x{name}" for name in table.column("id").to_pylist()])
    pq.write_table(table.set_column(0, "id", renamed), tmp_path / "other.parquet")
    other = Run(method="other", seed=1, scores=tmp_path / "other.parquet")
    with pytest.raises(EvaluationError, match="evaluate every system on the same clips"):
        compare_runs([runs[0], other], baseline="base")


def test_same_seed_same_numbers(runs: list[Run]) -> None:
    first, again = (compare_runs(runs, baseline="base", n_draws=5, seed=9) for _ in range(2))
    assert first.to_dict() == again.to_dict()


def test_the_page_shows_all_of_it(result: ComparisonResult) -> None:
    pictures = drawn(result)
    assert set(pictures) == set(PICTURES)
    assert all(content.startswith(b"\x89PNG") for content in pictures.values())
    blocks = document(result, ABOUT, list(pictures))
    text = markup.markdown(blocks)
    good = result.lines[0].numbers["out_mean"]
    cell = f"{100 * good.value:.1f} \\[{100 * good.low:.1f}, {100 * good.high:.1f}]"
    assert cell in text
    assert "corrected by Holm for all 6 tests of this table" in text
    assert "6 rankings of 3 methods" in text
    cost = [line for line in text.splitlines() if line.startswith("| good | 3,000 | 10 |")]
    assert cost == ["| good | 3,000 | 10 | 4.5 | 3.00 | 0.0300 | 3.00 |"]
    assert "open seed 3 base: to do" in text
    page = markup.html(blocks, pictures)
    assert page.count("data:image/png;base64,") == 3
    assert cell.replace("\\", "").replace(" ", "\N{NO-BREAK SPACE}") in page  # on one line
    json.dumps(result.to_dict(), allow_nan=False)


def test_the_spreadsheet_holds_every_number(result: ComparisonResult) -> None:
    rows = list(csv.DictReader(io.StringIO(spreadsheet(result))))
    by_key = {(row["method"], row["number"]): row for row in rows}
    assert float(by_key["good", "out_mean"]["value"]) == of(result, "good")["out_mean"]
    assert by_key["base", "out_mean"]["p_holm"] == ""
    assert float(by_key["good", "without/mean"]["difference"]) < 0
    assert len(by_key["good", "eval_out/codec"]["seeds"].split()) == 2
    assert by_key["same", "parameters"]["value"] == "2000"
    assert len(by_key) == len(rows)


def test_many_methods_fit_the_pictures(result: ComparisonResult) -> None:
    line = result.lines[0]
    lines = tuple(replace(line, method=f"a_method_with_a_name_{n}") for n in range(20))
    assert result.ranking is not None
    means = {row.method: 1.0 + place for place, row in enumerate(lines)}
    names = tuple(means)
    ranking = replace(result.ranking, means=means, alike=tuple(names[n : n + 9] for n in range(12)))
    assert set(drawn(replace(result, lines=lines, ranking=ranking))) == set(PICTURES)
