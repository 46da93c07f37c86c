"""Reports from score files: numbers, words, pictures; also files of the user's own."""

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unheard.errors import EvaluationError
from unheard.evaluation.markup import Block, Bullets, Heading, Table, Words, html, markdown
from unheard.evaluation.numbers import summarise
from unheard.evaluation.report import report
from unheard.evaluation.scores import COLUMNS, Facts, read_facts, read_scores, write_scores
from unheard.metrics import METRICS, bootstrap, eer

FACTS = Facts(
    bundle="lcnn 2",
    protocol="open",
    date="2026-11-22",
    operating_points={"balanced": 0.0},
    thresholds=(-1.0, 1.0),
    trained_families=("formant",),
)
FAMILIES = {"eval_in": {"formant": -2.0}, "eval_out": {"neural TTS": -0.5, "conversion": 0.5}}


def table(changes: Iterable[dict[str, Any]] = ()) -> dict[str, list[Any]]:
    """40 bona fide clips a part; 32 spoofed of each family but conversion, which has 8."""
    rng = np.random.default_rng(4)
    rows = []
    for part, families in FAMILIES.items():
        for index in range(40):
            human = {"bonafide": True, "attack": "-", "family": "-", "score": rng.normal(2, 1)}
            rows.append({**human, "part": part, "speaker": f"{part}{index % 8}"})
        for family, mean in families.items():
            for index in range(8 if family == "conversion" else 32):
                score = rng.normal(mean, 1)
                attack = f"{family}-{index % 4}"
                rows.append({"score": score, "part": part, "attack": attack, "family": family})
    rows += changes
    for index, row in enumerate(rows):
        row.setdefault("id", f"clip{index:03d}")
        row.setdefault("language", "en" if index % 2 else "de")
    return {name: [row.get(name, COLUMNS[name]) for row in rows] for name in COLUMNS}


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("calibration", "det", "histogram"):
        monkeypatch.setattr(f"unheard.evaluation.pictures.{name}", lambda *_: b"picture")


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    return write_scores(tmp_path / "scores.parquet", table(), FACTS)


def chosen(path: Path, **wanted: str) -> tuple[np.ndarray, np.ndarray]:
    rows = read_scores(path).to_pylist()
    part = [row for row in rows if row["part"] == wanted["part"]]
    family = wanted.get("family")
    spoof = [row for row in part if not row["bonafide"] and family in (None, row["family"])]
    human = [row["score"] for row in part if row["bonafide"]]
    return np.array(human), np.array([row["score"] for row in spoof])


def test_a_family_is_set_against_all_bona_fide_clips_of_its_part(scores: Path) -> None:
    result = summarise(read_scores(scores), FACTS, n_draws=200)
    rows = {row.group: row for row in result.rows if row.by == "family"}
    assert rows.keys() == {"formant", "neural TTS", "conversion"}
    for part, families in FAMILIES.items():
        for family in families:
            classes = chosen(scores, part=part, family=family)
            rate = rows[family].metrics["eer"]
            assert rate.value == eer(*classes)
            interval = bootstrap(eer, *classes, n_draws=200)
            assert (rate.low, rate.high) == (interval.low, interval.high)
    assert rows["formant"].trained
    assert not rows["conversion"].trained
    assert [name for name, row in rows.items() if row.few] == ["conversion"]


def test_parts_are_reported_side_by_side_alone_and_pooled(scores: Path) -> None:
    result = summarise(read_scores(scores), FACTS, n_draws=20)
    pooled = [row for row in result.rows if row.by == "all"]
    assert [row.part for row in pooled] == ["eval_in", "eval_out", "all parts"]
    assert [(row.n_bonafide, row.n_spoof) for row in pooled] == [(40, 32), (40, 40), (80, 72)]
    assert result.pooled("eval_out").metrics["eer"].value == eer(*chosen(scores, part="eval_out"))
    assert {*METRICS, "eer_by_speaker"} == set(pooled[0].metrics)
    assert {(row.part, row.group) for row in result.rows if row.by == "language"} == {
        (part, language) for part in FAMILIES for language in ("de", "en")
    }


def test_rates_count_what_the_thresholds_decide(scores: Path) -> None:
    result = summarise(read_scores(scores), FACTS, n_draws=20)
    human, machine = chosen(scores, part="eval_out")
    default, balanced = (rate for rate in result.rates if rate.part == "eval_out")
    assert (default.point, balanced.point) == ("default", "balanced")
    assert default.bonafide_as_spoof == np.mean(human < -1)
    assert default.bonafide_undecided == np.mean((human >= -1) & (human < 1))
    assert default.spoof_as_bonafide == np.mean(machine >= 1)
    assert default.spoof_undecided == np.mean((machine >= -1) & (machine < 1))
    assert balanced.bonafide_undecided == balanced.spoof_undecided == 0


def test_clips_without_score_are_counted_and_do_not_move_a_number(tmp_path: Path) -> None:
    silent = {
        "id": "silent",
        "part": "eval_in",
        "bonafide": True,
        "score": float("nan"),
        "status": "no verdict",
        "reason": "0.00 s of speech",
    }
    damaged = {**silent, "id": "damaged", "bonafide": False, "status": "unreadable"}
    plain = write_scores(tmp_path / "plain.parquet", table(), FACTS)
    more = write_scores(tmp_path / "more.parquet", table([silent, damaged]), FACTS)
    first, second = (summarise(read_scores(path), FACTS, n_draws=20) for path in (plain, more))
    assert first.rows == second.rows
    assert [name for name, _, _ in second.unscored] == ["silent", "damaged"]
    human = next(count for count in second.counts if count.part == "eval_in" and count.bonafide)
    assert (human.n_clips, human.n_scored, human.n_no_verdict, human.n_unreadable) == (41, 40, 1, 0)


@pytest.mark.usefixtures("no_pictures")
def test_the_report_starts_with_plain_words(scores: Path, tmp_path: Path) -> None:
    result = report(scores, tmp_path / "out", n_draws=20)
    head = (tmp_path / "out" / "report.md").read_text().split("## Overall")[0]
    rate = next(rate for rate in result.rates if rate.part == "eval_out")
    assert f"human clips {100 * rate.bonafide_as_spoof:g} % were called spoof" in head
    assert "eval_in (known families): of " in head
    assert "eval_out (unknown families): of " in head
    assert "fewer than 30 clips of a class" in head


@pytest.mark.usefixtures("no_pictures")
def test_a_part_says_how_many_of_its_families_were_seen_in_training(tmp_path: Path) -> None:
    facts = replace(FACTS, trained_families=("formant", "neural TTS"))
    report(write_scores(tmp_path / "s.parquet", table(), facts), tmp_path, n_draws=20)
    assert "eval_out (1 of 2 families known): of " in (tmp_path / "report.md").read_text()


@pytest.mark.usefixtures("no_pictures")
def test_few_clips_ties_and_faultless_rows_are_pointed_out(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "score": 0.0, "bonafide": True, "part": "tied"},
        {"id": "b", "score": 0.0, "part": "tied", "attack": "x"},
        {"id": "c", "score": 1.0, "bonafide": True, "part": "clean"},
        {"id": "d", "score": -1.0, "part": "clean", "attack": "x"},
    ]
    columns = {name: [row.get(name, COLUMNS[name]) for row in rows] for name in COLUMNS}
    report(write_scores(tmp_path / "s.parquet", columns, Facts()), tmp_path, n_draws=20)
    head = (tmp_path / "report.md").read_text().split("## Overall")[0]
    assert "tied has 1 bona fide and 1 spoofed clips; with fewer than 30" in head
    assert "share the score 0, where the error rates cross" in head
    assert "up to 3 / n is still plausible" in head


def test_the_same_score_file_gives_the_same_report(scores: Path, tmp_path: Path) -> None:
    report(scores, tmp_path / "one", n_draws=20)
    report(scores, tmp_path / "two", n_draws=20)
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == [
        "calibration.png",
        "det.png",
        "metrics.json",
        "report.html",
        "report.md",
        "scores.png",
    ]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.usefixtures("no_pictures")
def test_metrics_json_is_strict_json_with_every_number(scores: Path, tmp_path: Path) -> None:
    result = report(scores, tmp_path, n_draws=20)
    numbers = json.loads(
        (tmp_path / "metrics.json").read_text(),
        parse_constant=lambda name: pytest.fail(f"{name} in JSON"),
    )
    assert numbers["facts"]["bundle"] == "lcnn 2"
    assert numbers["n_draws"] == 20
    assert len(numbers["rows"]) == len(result.rows)
    assert numbers["rows"][0]["metrics"]["eer"]["value"] == result.rows[0].metrics["eer"].value


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]


def test_the_page_needs_no_other_file(scores: Path, tmp_path: Path) -> None:
    report(scores, tmp_path, n_draws=20)
    page = Page()
    page.feed((tmp_path / "report.html").read_text())
    assert len(page.sources) == 3
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert not {"script", "link"} & set(page.tags)
    assert page.tags.count("table") >= 5


def test_pictures_are_png_and_show_something(scores: Path, tmp_path: Path) -> None:
    from matplotlib.image import imread

    report(scores, tmp_path, n_draws=20)
    for name in ("calibration.png", "det.png", "scores.png"):
        pixels = imread(tmp_path / name)[..., :3]
        assert pixels.shape[0] > 100
        for colour in ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)):  # both curves, both classes
            near = np.abs(pixels * 255 - np.array(colour)).max(axis=2) < 40
            assert near.sum() > 20, name


def test_names_from_a_manifest_cannot_become_markup() -> None:
    nasty = "<script>alert(1)</script>|`x`[y](z)\n# title"
    blocks: list[Block] = [
        Heading(nasty),
        Words(nasty),
        Bullets((nasty,)),
        Table((nasty, "n"), ((nasty, "1"),)),
    ]
    page = html(blocks, {})
    assert "<script>" not in page
    text = markdown(blocks)
    assert re.findall(r"(?<!\\)[<`\[]", text) == []
    assert "\n# title" not in text
    row = text.splitlines()[-1]
    assert len(re.findall(r"(?<!\\)\|", row)) == 3


@pytest.mark.usefixtures("no_pictures")
def test_a_score_file_of_ones_own_may_be_csv(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("id,score,bonafide\n001,1.5,true\n002,,true\n003,-0.5,false\n")
    scored = read_scores(path).to_pylist()
    assert [row["id"] for row in scored] == ["001", "002", "003"]
    assert [row["status"] for row in scored] == ["scored", "no verdict", "scored"]
    assert read_facts(path) == Facts()
    result = report(path, tmp_path / "out", n_draws=20)
    assert result.pooled("eval").metrics["eer"].value == 0.0
    assert result.rates == ()


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("id,skore,bonafide\na,1,true\n", "no column 'score'; did you mean 'skore'"),
        (
            "id,score,bonafide\na,high,true\n",
            r"mine.csv:2: the score 'high' is not a number; correct",
        ),
        ("id,score,bonafide\na,1,perhaps\n", r"mine.csv:2: bonafide is 'perhaps'.*correct"),
        ("id,score,bonafide\na,1,true\na,2,false\n", "'a' occurs twice; give each clip one row"),
        (
            "id,score,bonafide\na,inf,true\n",
            "1 of 1 scores are infinite, the first that of clip 'a'; give",
        ),
        ("id,score,bonafide\na,1,true\n", "no part has scored clips of both classes"),
        ("id,score,bonafide\na,nan,true\n", "scores are NaN, the first that of clip 'a'; score"),
        ("id,score\na,1\n", "does not say which clips are bona fide.*--keys"),
        ("", "empty, not a readable table; give a score file.*CSV with a header"),
    ],
)
def test_unusable_score_files_are_refused(text: str, remedy: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(text)
    with pytest.raises(EvaluationError, match=remedy):
        report(path, tmp_path / "out", n_draws=20)


def test_missing_and_foreign_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="unheard evaluate"):
        read_scores(tmp_path / "none.parquet")
    path = tmp_path / "text.parquet"
    path.write_text("not parquet")
    for reader in (read_scores, read_facts):
        with pytest.raises(EvaluationError, match="give Parquet, or CSV"):
            reader(path)


def test_facts_and_rows_survive_the_file(tmp_path: Path) -> None:
    columns = table()
    path = write_scores(tmp_path / "deep" / "scores.parquet", columns, FACTS)
    assert read_facts(path) == FACTS
    assert read_scores(path).to_pydict() == columns


def test_an_interrupted_write_leaves_the_old_file(
    scores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: object, **__: object) -> None:
        raise OSError("no space left")

    before = scores.read_bytes()
    monkeypatch.setattr("pyarrow.parquet.write_table", full_disk)
    with pytest.raises(OSError, match="no space"):
        write_scores(scores, table(), FACTS)
    assert scores.read_bytes() == before
