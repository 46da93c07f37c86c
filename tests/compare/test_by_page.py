"""Comparisons by page and system: the numbers of an evaluation's report, and paired tests."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unheard.compare.by_page import NUMBERS, ByPage, compare_by_page
from unheard.compare.page_text import page_blocks
from unheard.compare.results import Run
from unheard.evaluation import markup
from unheard.evaluation.pages import page_rates
from unheard.evaluation.scores import Facts, read_scores

PAGES, SYSTEMS, EACH = 8, 12, 6
KINDS = ("tts-ar", "vc", "codec-neural")
RNG = np.random.default_rng(3)
HARD = RNG.normal(size=PAGES * EACH + SYSTEMS * EACH)


def written(path: Path, apart: float, seed: int, *, pages: bool = True) -> Path:
    """A score file of pages with people and systems; every third system was met in training."""
    n_people = PAGES * EACH
    n = n_people + SYSTEMS * EACH
    human = np.arange(n) < n_people
    page = np.r_[np.arange(n_people) // EACH, (np.arange(n - n_people) // EACH) % PAGES]
    system = (np.arange(n - n_people)) // EACH
    noise = np.random.default_rng(seed).normal(size=n)
    columns = {
        "id": [f"clip-{row}" for row in range(n)],
        "part": ["eval"] * n,
        "bonafide": human,
        "score": np.where(human, apart, 0.0) + HARD + 0.3 * noise,
        "attack": ["-"] * n_people + [f"system-{number}" for number in system],
        "family": ["-"] * n_people + [KINDS[number % len(KINDS)] for number in system],
        "unseen": [""] * n_people + ["yes" if number % 3 else "" for number in system],
    }
    if pages:
        columns["page"] = [f"page-{number}" for number in page]
    pq.write_table(pa.table(columns), path)
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    folder = tmp_path_factory.mktemp("by_page")
    made = []
    for place, (name, apart) in enumerate({"a": 1.0, "b": 1.1, "c": 1.2, "good": 3.0}.items()):
        file = written(folder / f"{name}.parquet", apart, place)
        made.append(Run(method=name, seed=1, scores=file, dev_scores=file))
    return made


@pytest.fixture(scope="module")
def result(runs: list[Run]) -> ByPage:
    found = compare_by_page(runs, [("b", "a"), ("good", "a"), ("absent", "a")], n_draws=200)
    assert found is not None
    return found


def test_numbers_are_those_of_the_report_of_one_detector(runs: list[Run], result: ByPage) -> None:
    for run in runs:
        rates = {
            rate.name: rate.value
            for rate in page_rates(read_scores(run.scores), ["eval"], Facts(), n_draws=10)
        }
        own = result.numbers[run.method]
        assert own["pooled"].value == pytest.approx(rates["pooled EER"])
        for number in ("systems", "within"):
            assert own[number].value == pytest.approx(rates[NUMBERS[number]])
    assert result.n_systems == SYSTEMS - SYSTEMS // 3
    assert result.n_people == PAGES * EACH


def test_a_method_against_itself_is_no_difference(runs: list[Run]) -> None:
    found = compare_by_page(runs[:1] * 2, [("a", "a")], n_draws=50)
    assert found is not None
    for test in found.tests:
        assert (test.difference, test.low, test.high, test.detectable) == (0, 0, 0, 0)
        assert test.p == test.p_holm == 1


def test_what_is_tested_is_what_has_runs_and_far_apart_is_found(result: ByPage) -> None:
    assert [(test.method, test.against) for test in result.tests[::3]] == [
        ("b", "a"),
        ("good", "a"),
    ]
    assert all(test.p_holm >= test.p for test in result.tests)
    far = result.tests[3:]
    assert all(test.high < 0 and test.p_holm < 0.1 for test in far)
    assert all(test.low <= test.difference <= test.high for test in result.tests)


def test_dev_that_is_eval_ranks_methods_mostly_alike(result: ByPage) -> None:
    assert result.agreement is not None
    assert result.agreement[0] > 0
    assert result.agreement[1] == len(result.numbers)


def test_the_text_names_all_of_it_and_methods_by_other_names(result: ByPage) -> None:
    text = markup.markdown(list(page_blocks(result, {"good": "the good one"})))
    assert "the good one" in text
    assert "tts-ar" in text
    assert "Spearman" in text


def test_clips_without_pages_have_no_such_comparison(tmp_path: Path) -> None:
    run = Run(method="a", seed=1, scores=written(tmp_path / "a.parquet", 1.0, 0, pages=False))
    assert compare_by_page([run], []) is None
