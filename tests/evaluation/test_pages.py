"""Clips that name their page are also counted by page and by unseen system."""

import math
from pathlib import Path
from typing import Any

import pytest

from unheard.evaluation.numbers import summarise
from unheard.evaluation.pages import PageRate, page_rates
from unheard.evaluation.scores import COLUMNS, Facts, read_facts, read_scores, write_scores

THRESHOLDS = (-1.0, 1.0)


def scores(path: Path, rows: list[dict[str, Any]], *, trained: tuple[str, ...] = ()) -> Path:
    """A score file; a row says what differs from an unseen system's clip on page p."""
    usual = {
        **COLUMNS,
        "score": 0.0,
        "attack": "-",
        "page": "p",
        "unseen": "",
        "source_corpus": "",
        "source_seen": "",
    }
    filled = [usual | {"id": f"{number}"} | row for number, row in enumerate(rows)]
    columns = {name: [row[name] for row in filled] for name in usual}
    facts = Facts(thresholds=THRESHOLDS, operating_points={"Bayes": 0.0}, trained_systems=trained)
    return write_scores(path, columns, facts)


def people(page: str, *values: float, **more: Any) -> list[dict[str, Any]]:
    return [{"bonafide": True, "score": value, "page": page} | more for value in values]


def system(name: str, page: str, *values: float, unseen: str = "yes") -> list[dict[str, Any]]:
    return [{"score": value, "page": page, "attack": name, "unseen": unseen} for value in values]


def rates_of(path: Path) -> dict[str, PageRate]:
    rates = page_rates(read_scores(path), ["eval"], read_facts(path), n_draws=50)
    return {rate.name: rate for rate in rates}


def test_seen_systems_count_within_their_page_only(tmp_path: Path) -> None:
    rows = [
        *people("p", 2.0, 3.0, 4.0, 5.0),
        *people("q", 2.0, 3.0, 4.0, 5.0),
        *system("new", "p", -5.0, -4.0, -3.0, -2.0),
        *system("old", "q", 9.0, 9.1, 9.2, 9.3, unseen="no"),
    ]
    rates = rates_of(scores(tmp_path / "s.parquet", rows))
    assert rates["pooled EER"].value == 0.0
    assert rates["pooled EER"].n_spoof == 4
    assert rates["mean over systems"].n_groups == rates["mean over pages"].n_groups == 1
    assert rates["within a page"].value == 0.5
    assert (rates["within a page"].worst_group, rates["within a page"].worst) == ("q", 1.0)


def test_unseen_is_what_the_detector_was_not_trained_on_if_its_card_says(tmp_path: Path) -> None:
    rows = [
        *people("p", 2.0, 3.0, 4.0, 5.0),
        *system("kokoro", "p", -5.0, -4.0, -3.0, -2.0, unseen="yes"),
        *system("new", "p", 9.0, 9.1, 9.2, 9.3, unseen="no"),
    ]
    path = scores(tmp_path / "s.parquet", rows, trained=("kokoro", "world"))
    rates = rates_of(path)
    assert (rates["pooled EER"].value, rates["pooled EER"].n_spoof) == (1.0, 4)
    everything = scores(tmp_path / "t.parquet", rows, trained=("kokoro", "new"))
    assert set(rates_of(everything)) == {"within a page", "people called spoof, by page",
                                      "people called spoof, by source corpus"}  # fmt: skip
    report = summarise(read_scores(path), read_facts(path), n_draws=5)
    assert report.pages[0].n_spoof == 4


def test_where_notes_say_that_all_systems_are_seen_none_is_unseen(tmp_path: Path) -> None:
    rows = [*people("p", 2.0, 3.0), *system("old", "p", 9.0, 9.1, unseen="no")]
    assert "pooled EER" not in rates_of(scores(tmp_path / "s.parquet", rows))


def test_decisions_are_counted_and_no_verdict_is_undecided(tmp_path: Path) -> None:
    rows = [
        *people("p", *[-2.0] * 3, *[2.0] * 9),
        *people("q", *[2.0] * 12, source_corpus="vctk", source_seen="no"),
        *system("new", "p", -2.0, 2.0, 0.0),
        *[{**row, "status": "no verdict"} for row in system("new", "p", math.nan)],
    ]
    rates = rates_of(scores(tmp_path / "s.parquet", rows))
    by_page = rates["people called spoof, by page"]
    assert (by_page.value, by_page.worst, by_page.worst_group) == (0.125, 0.25, "p")
    corpus = rates["people called spoof, by source corpus"]
    assert corpus.n_groups == 2  # vctk, and page p for the clips that name none
    assert rates["people of source corpora not in train called spoof"].value == 0.0
    assert rates["synthetic called bona fide"].value == 0.25
    assert rates["synthetic undecided"].value == 0.5
    assert rates["synthetic undecided"].low is None  # one system: nothing to draw


def test_languages_are_counted_with_people_enough(tmp_path: Path) -> None:
    rows = [
        *people("p", *[-2.0] * 10, language="ja"),
        *people("p", *[-2.0] * 9, language="de"),
        *system("new", "p", 0.0),
    ]
    rates = rates_of(scores(tmp_path / "s.parquet", rows))
    assert rates["people called spoof, language ja"].value == 1.0
    assert "people called spoof, language de" not in rates


def test_systems_with_too_few_clips_leave_the_number_out(tmp_path: Path) -> None:
    rows = [*people("p", 2.0, 3.0), *system("new", "p", 0.0, 0.0)]
    rates = rates_of(scores(tmp_path / "s.parquet", rows))
    assert "pooled EER" in rates
    assert not {"mean over systems", "mean over pages", "within a page"} & set(rates)


def test_without_notes_of_pages_there_are_no_such_numbers(tmp_path: Path) -> None:
    columns = {name: [value] * 2 for name, value in COLUMNS.items()}
    columns |= {"id": ["a", "b"], "bonafide": [True, False], "score": [1.0, 0.0]}
    path = write_scores(tmp_path / "s.parquet", columns, Facts())
    assert page_rates(read_scores(path), ["eval"], Facts()) == []
    assert summarise(read_scores(path), read_facts(path), n_draws=5).pages == ()


def test_the_report_shows_them_in_words_and_numbers(tmp_path: Path) -> None:
    from unheard.evaluation import markup, text

    rows = [*people("p", 2.0, 3.0, 4.0, 5.0), *system("new", "p", -5.0, -4.0, -3.0, -2.0)]
    path = scores(tmp_path / "s.parquet", rows)
    report = summarise(read_scores(path), read_facts(path), n_draws=5)
    page = markup.markdown(text.document(report))
    assert "## Over pages and unseen systems" in page
    assert "| eval | within a page | 0.0% | 4 | 4 | 1 | 0.0% | p |" in page
    assert report.to_dict()["pages"][0]["name"] == "pooled EER"


@pytest.mark.parametrize("thresholds", [(), (0.0,)])
def test_without_a_decision_there_are_only_error_rates(
    tmp_path: Path, thresholds: tuple[float, ...]
) -> None:
    path = scores(tmp_path / "s.parquet", [*people("p", 2.0), *system("new", "p", 0.0)])
    rates = page_rates(read_scores(path), ["eval"], Facts(thresholds=thresholds), n_draws=5)
    names = {rate.name for rate in rates}
    assert names == {"pooled EER"}
