"""Many recordings at once: does each get its row, its view and its files, whatever others do?"""

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import FilePayload, Page, expect

from audio_files import encoded
from fake_service import speech
from voice import silence

pytestmark = pytest.mark.browser

Open = Callable[..., Page]


def file(name: str, data: bytes) -> FilePayload:
    return {"name": name, "mimeType": "audio/wav", "buffer": data}


FILES = [
    file("b first.wav", speech(2.0)),
    file("=a formula.wav", speech(3.2, seed=1)),
    file("silent.wav", encoded(silence(2)[None], ".wav")),
    file("diary.wav", b"dear diary, no audio today\n" * 40),
]


def given(page: Page, files: list[FilePayload]) -> None:
    page.set_input_files("#file", files)
    expect(page.locator("#work")).to_be_visible()
    expect(page.locator("#work")).to_be_hidden()


def names(page: Page) -> list[str]:
    return page.locator("#rows th").all_inner_texts()


def saved(page: Page, button: str) -> tuple[str, str]:
    with page.expect_download() as waiting:
        page.get_by_role("button", name=button).click()
    return waiting.value.suggested_filename, Path(waiting.value.path()).read_text("utf-8-sig")


def test_each_file_gets_a_row_and_a_bad_one_stops_no_other(opened: Open) -> None:
    page = opened()
    given(page, FILES)
    expect(page.locator("#status")).to_have_text("3 of 4 recordings scored, 1 not")
    assert names(page) == [each["name"] for each in FILES]
    bad = page.get_by_role("row", name=re.compile("diary.wav"))
    expect(bad).to_contain_text("Not scored")
    expect(bad).to_contain_text("text, not audio")
    expect(bad.get_by_role("button", name="Try diary.wav again")).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("silent.wav"))).to_contain_text("No verdict")
    page.get_by_role("link", name="b first.wav").click()
    expect(page.locator("#name")).to_have_text("b first.wav")
    page.get_by_role("link", name="All recordings").click()
    expect(page.get_by_role("link", name="b first.wav")).to_be_focused()


def test_rows_are_sorted_and_filtered_and_written_as_shown(opened: Open) -> None:
    page = opened()
    given(page, FILES)
    page.get_by_role("button", name="Length").click()
    by_length = names(page)
    assert by_length[-1] == "=a formula.wav"
    page.get_by_role("button", name="Length").click()
    assert names(page)[0] == "=a formula.wav"
    expect(page.locator("[aria-sort=descending]")).to_have_text("Length")
    page.get_by_label("Verdict", exact=True).select_option("failed")
    assert names(page) == ["diary.wav"]
    expect(page.locator("#count")).to_have_text("1 of 4 recordings shown")
    page.get_by_label("Verdict", exact=True).select_option("")
    page.get_by_label("Name has").fill("FORM")
    assert names(page) == ["=a formula.wav"]
    _, text = saved(page, "Table (CSV)")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["name"] for row in rows] == ["'=a formula.wav"]
    page.get_by_label("Name has").fill("")
    _, text = saved(page, "Table (CSV)")
    rows = list(csv.DictReader(io.StringIO(text)))
    _, data = saved(page, "Data (JSON)")
    cases = json.loads(data)
    assert [row["name"].lstrip("'") for row in rows] == names(page)
    for row, case in zip(rows, cases, strict=True):
        if "verdict" not in case:
            assert "text, not audio" in row["error"]
            assert row["error"] == case["error"]
            continue
        assert row["sha256"] == case["audio"]["sha256"]
        score = case["verdict"]["score"]
        assert row["score"] == "" if score is None else float(row["score"]) == score


def test_the_table_and_the_reports_are_printed(opened: Open) -> None:
    page = opened(script="window.print = () => { window.printed = (window.printed ?? 0) + 1; };")
    given(page, FILES[:2])
    page.get_by_role("button", name="Table (PDF)").click()
    page.emulate_media(media="print")
    expect(page.locator("#table")).to_be_visible()
    expect(page.locator("#give")).to_be_hidden()
    page.emulate_media(media="screen")
    page.get_by_role("button", name="Reports (PDF)").click()
    page.emulate_media(media="print")
    expect(page.locator("#paper h1")).to_have_text([each["name"] for each in FILES[:2]])
    expect(page.locator("#paper #again").first).to_be_visible()
    expect(page.locator("#home")).to_be_hidden()
    assert page.evaluate("window.printed") == 2
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    expect(page.locator("#home")).to_be_visible()


def test_results_stay_have_an_address_and_can_be_deleted(opened: Open) -> None:
    page = opened()
    given(page, FILES[:2])
    page.get_by_role("link", name="b first.wav").click()
    expect(page.locator("#verdict h2")).to_be_visible()
    headline = page.locator("#verdict h2").inner_text()
    address = page.url
    page.reload()
    expect(page.locator("#name")).to_have_text("b first.wav")
    expect(page.locator("#verdict h2")).to_have_text(headline)
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_enabled()
    page.get_by_role("button", name="Play", exact=True).click()
    page.locator("#forget").click()
    expect(page.locator("#rows tr")).to_have_count(1)
    page.goto(address)
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("not kept in this browser")
    expect(page.locator("#rows tr")).to_have_count(1)
    page.get_by_role("button", name="Delete all", exact=True).click()
    page.get_by_role("button", name="Keep them").click()
    expect(page.locator("#rows tr")).to_have_count(1)
    page.get_by_role("button", name="Delete all", exact=True).click()
    page.get_by_role("button", name="Delete all of them").click()
    expect(page.locator("#recordings")).to_be_hidden()
    page.reload()
    expect(page.locator("#takes")).to_contain_text("any number")
    expect(page.locator("#recordings")).to_be_hidden()


def test_nothing_is_kept_where_that_is_not_wanted(opened: Open) -> None:
    page = opened()
    given(page, FILES[:2])
    page.get_by_label("Keep results and recordings").uncheck()
    expect(page.locator("#rows tr")).to_have_count(2)
    page.reload()
    expect(page.locator("#takes")).to_contain_text("any number")
    expect(page.locator("#recordings")).to_be_hidden()
    given(page, FILES[:1])
    expect(page.locator("#name")).to_have_text("b first.wav")
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("not kept in this browser")


def test_the_answer_is_on_the_first_screen_of_a_phone(opened: Open) -> None:
    page = opened(viewport={"width": 375, "height": 667})
    given(page, FILES[:1])
    expect(page.locator("#name")).to_be_focused()
    for part in ("#verdict h2", "#verdict .segments", "#chart svg.timeline", "#play"):
        box = page.locator(part).bounding_box()
        assert box
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= 667, part
    assert page.locator("#folded details[open]").count() == 0


SERIOUS = ("serious", "critical")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_an_audit_finds_nothing_serious(opened: Open, scheme: str, width: int) -> None:
    page = opened(viewport={"width": width, "height": 800}, color_scheme=scheme)

    def audit(state: str) -> None:
        found = Axe().run(page).response["violations"]
        told = [
            (each["id"], [node["html"][:120] for node in each["nodes"][:3]])
            for each in found
            if each["impact"] in SERIOUS
        ]
        assert told == [], state

    audit("before")
    page.get_by_text("How to decide").click()
    given(page, FILES)
    audit("table")
    page.get_by_role("link", name="b first.wav").click()
    expect(page.locator("#name")).to_be_focused()
    for fold in page.locator("#result details").all():
        fold.evaluate("fold => fold.open = true")
    page.get_by_role("button", name="Zoom in").click()
    audit("result")
