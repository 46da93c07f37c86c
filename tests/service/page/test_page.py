"""Does the page do in a browser what it promises, and with a keyboard, and on a phone?"""

import hashlib
import json
import re
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import FilePayload, Page, expect

from audio_files import encoded
from fake_service import Level, speech
from live_page import serving
from unheard.service.keys import Keys, make_key
from unheard.types import FloatArray
from voice import silence, voice

pytestmark = pytest.mark.browser

Open = Callable[..., Page]


def give(page: Page, data: bytes, name: str = "call.wav", kind: str = "audio/wav") -> None:
    page.set_input_files("#file", {"name": name, "mimeType": kind, "buffer": data})


def downloaded(page: Page, button: str) -> tuple[str, str]:
    with page.expect_download() as waiting:
        page.get_by_role("button", name=button).click()
    return waiting.value.suggested_filename, Path(waiting.value.path()).read_text()


def until(page: Page, condition: str) -> None:
    """Wait; the page's policy forbids what Playwright would wait with."""
    for _ in range(600):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never true: {condition}")


def test_an_upload_shows_the_verdict_and_gives_the_case_file(opened: Open) -> None:
    page, data = opened(), speech(3.2)
    expect(page.locator("#limits-list")).to_have_text("It measures nothing but loudness")
    give(page, data)
    expect(page.locator("#name")).to_be_focused()
    name, text = downloaded(page, "Data (JSON)")
    case = json.loads(text)
    assert name == "call.wav.report.json"
    assert case["audio"]["sha256"] == hashlib.sha256(data).hexdigest()
    headline = case["words"]["headline"]
    expect(page.locator("#verdict h2")).to_have_text(headline)
    expect(page.locator("#status")).to_have_text(f"{headline}. call.wav")
    expect(page).to_have_title(f"{headline}: call.wav")
    for line in [*case["words"]["meaning"], case["audio"]["sha256"], "It measures nothing but"]:
        expect(page.locator("#result")).to_contain_text(line)
    assert page.locator("#chart image.spectrum").count() == 1
    expect(page.locator("#chart")).to_have_attribute("aria-valuetext", re.compile("0:00 of 0:03.2"))
    name, report = downloaded(page, "Report (HTML)")
    assert name == "call.wav.report.html"
    assert headline in report
    assert case["audio"]["sha256"] in report


def played_s(page: Page) -> float:
    return float(page.evaluate("document.getElementById('player').currentTime"))


def test_a_part_can_be_listened_to(opened: Open) -> None:
    page = opened()
    give(page, speech(3.2))
    page.get_by_text("Part by part").click()
    page.get_by_role("button", name="0:01.5 to 0:02.5").click()
    expect(page.locator("#place")).to_have_text("0:01.5 to 0:02.5 chosen")
    until(page, "document.getElementById('player').currentTime > 1.5")
    until(page, "document.getElementById('player').paused")
    assert 2.4 < played_s(page) < 3.0
    place = page.locator("#chart").bounding_box()
    assert place
    page.locator("#chart").click(position={"x": place["width"] - 10, "y": 30})
    until(page, "document.getElementById('player').currentTime > 3")


def test_a_stretch_is_chosen_by_dragging_then_looped_and_zoomed_to(opened: Open) -> None:
    page = opened()
    give(page, speech(4.0))
    expect(page.locator("#name")).to_be_focused()
    place = page.locator("#chart").bounding_box()
    assert place
    across = [place["x"] + share * place["width"] for share in (0.25, 0.5)]
    page.mouse.move(across[0], place["y"] + 40)
    page.mouse.down()
    page.mouse.move(across[1], place["y"] + 50, steps=4)
    page.mouse.up()
    expect(page.locator("#place")).to_have_text(re.compile("^0:01(.1)? to 0:02(.1)? chosen$"))
    page.get_by_role("button", name="Loop").click()
    expect(page.get_by_role("button", name="Loop")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Zoom in").click()
    view = str(page.locator("#chart svg.along").first.get_attribute("viewBox")).split()
    assert 230 < float(view[0]) < 250
    assert 260 < float(view[2]) < 290
    page.get_by_role("button", name="Play", exact=True).click()
    page.wait_for_timeout(2500)
    assert not page.evaluate("document.getElementById('player').paused")
    assert 0.9 < played_s(page) < 2.3
    page.get_by_role("button", name="Pause").click()


def test_keys_move_choose_zoom_and_play(opened: Open) -> None:
    page = opened()
    give(page, speech(4.0))
    expect(page.locator("#name")).to_be_focused()
    chart = page.locator("#chart")
    chart.focus()

    def now() -> float:
        return float(str(chart.get_attribute("aria-valuenow")))

    until(page, "document.getElementById('player').readyState > 0")
    page.keyboard.press("End")
    assert now() == pytest.approx(4.0)
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert now() == pytest.approx(0.2)
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator("#place")).to_have_text("0:00.2 to 0:00.6 chosen")
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    expect(page.locator("#place")).to_contain_text("chosen")
    page.keyboard.press("l")
    expect(page.get_by_role("button", name="Loop")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("+")
    expect(page.get_by_role("button", name="Show later")).to_be_visible()
    page.keyboard.press("0")
    expect(page.get_by_role("button", name="Show later")).to_be_hidden()
    page.keyboard.press(" ")
    until(page, "!document.getElementById('player').paused")
    page.keyboard.press(" ")
    until(page, "document.getElementById('player').paused")


def test_a_recording_from_the_microphone_is_heard_before_it_is_sent(opened: Open) -> None:
    page = opened(permissions=["microphone"])
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.method))
    page.locator("#record").click()
    until(page, "document.getElementById('level').value > 0.05")
    expect(page.locator("#recorded-time")).to_have_text("Recording: 0:03")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#preview")).to_be_visible()
    assert "POST" not in requests
    page.get_by_role("button", name="Check this recording").click()
    expect(page.locator("#name")).to_contain_text("recording-")
    case = json.loads(downloaded(page, "Data (JSON)")[1])
    assert case["verdict"]["score"] is not None
    assert 2 < case["verdict"]["duration_s"] < 30
    assert case["verdict"]["speech_s"] > 1
    page.get_by_role("button", name="Another recording").click()
    page.locator("#record").click()
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Discard it").click()
    expect(page.locator("#record")).to_be_focused()
    assert requests.count("POST") == 1


def test_without_a_microphone_it_says_so(opened: Open) -> None:
    refuse = """navigator.mediaDevices.getUserMedia = () =>
        Promise.reject(new DOMException('no', 'NotAllowedError'));"""
    page = opened(script=refuse)
    page.locator("#record").click()
    expect(page.get_by_role("alert")).to_contain_text("not allowed to use the microphone")


def test_recording_is_off_where_browsers_forbid_it(opened: Open) -> None:
    page = opened(script="Object.defineProperty(window, 'isSecureContext', { value: false });")
    expect(page.locator("#record")).to_be_disabled()
    expect(page.locator("#record-note")).to_contain_text("needs https")


def test_what_is_no_audio_is_refused_in_the_words_of_the_service(opened: Open) -> None:
    page = opened()
    give(page, b"dear diary, no audio today\n" * 40, "diary.wav")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("diary.wav")
    expect(alert).to_contain_text("Request ")
    expect(page.locator("#result")).to_be_hidden()
    give(page, speech())
    expect(page.locator("#verdict h2")).to_be_visible()
    expect(alert).to_be_hidden()


def test_silence_gets_no_verdict_but_a_reason(opened: Open) -> None:
    page = opened()
    give(page, encoded(silence(2)[None], ".wav"))
    expect(page.locator("#verdict h2")).to_have_text("No verdict")
    expect(page.locator("#verdict")).to_contain_text("record it again")


def test_a_file_the_browser_cannot_decode_is_drawn_all_the_same(opened: Open) -> None:
    page = opened()
    give(page, encoded(voice(3)[None], ".wma"), "call.wma", "audio/x-ms-wma")
    expect(page.locator("#not-played")).to_contain_text("cannot play")
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_disabled()
    assert page.locator("#chart image.spectrum").count() == 1


def test_a_name_is_never_markup(opened: Open) -> None:
    page = opened()
    name = "<img src=x onerror=document.title='owned'>.wav"
    give(page, speech(), name)
    expect(page.locator("#name")).to_have_text(name)
    assert "Likely" in page.title() or "ecided" in page.title()
    assert page.locator("#result img").count() == 0


class Gated(Level):
    """A model that scores a few windows and then waits for its gate."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.n_windows = 0

    def expert_scores(self, windows: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        self.n_windows += len(windows)
        if self.n_windows > 40:
            self.gate.wait(60)
        return super().expert_scores(windows)


@pytest.fixture(scope="module")
def long_call() -> bytes:
    return encoded(np.tile(voice(2), 45)[None], ".flac")


def test_a_long_recording_is_a_job_with_progress(
    opened: Open, tmp_path: Path, long_call: bytes
) -> None:
    model = Gated()
    with serving(tmp_path, model=model) as address:
        page = opened(address)
        requests: list[str] = []
        page.on("request", lambda request: requests.append(f"{request.method} {request.url}"))
        give(page, long_call, "call.flac", "audio/flac")
        expect(page.locator("#step")).to_contain_text("of 1:30")
        assert 0 < page.locator("#progress").evaluate("bar => bar.value") < 0.9
        expect(page.locator("#status")).to_have_text("Listening:")
        with page.expect_request(lambda request: request.method == "DELETE"):
            model.gate.set()
        expect(page.locator("#verdict h2")).to_be_visible()
        assert f"POST {address}/v1/jobs" in requests
        page.context.close()


def test_a_job_can_be_cancelled(opened: Open, tmp_path: Path, long_call: bytes) -> None:
    model = Gated()
    with serving(tmp_path, model=model) as address:
        page = opened(address)
        give(page, long_call, "call.flac", "audio/flac")
        expect(page.locator("#step")).to_contain_text("of 1:30")
        with page.expect_request(lambda request: request.method == "DELETE"):
            page.get_by_role("button", name="Cancel").click()
        expect(page.locator("#status")).to_have_text("Cancelled")
        expect(page.get_by_role("button", name="Choose files")).to_be_focused()
        model.gate.set()
        page.context.close()


def test_a_service_with_keys_asks_for_one(opened: Open, tmp_path: Path) -> None:
    key = make_key(tmp_path / "keys", "newsroom")
    with serving(tmp_path, keys=Keys.read(tmp_path / "keys")) as address:
        page = opened(address)
        expect(page.get_by_role("alert")).to_contain_text("wants a key")
        page.get_by_label("This service wants a key").fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_be_visible()
        page.get_by_label("This service wants a key").fill(key)
        page.get_by_role("button", name="Use this key").click()
        expect(page.get_by_role("alert")).to_be_hidden()
        give(page, speech())
        expect(page.locator("#verdict h2")).to_be_visible()
        page.context.close()


FILE: FilePayload = {"name": "a.wav", "mimeType": "audio/wav", "buffer": speech(1.2)}


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.id || document.activeElement.textContent"))


def test_a_keyboard_reaches_everything_in_order(opened: Open) -> None:
    page = opened()
    # Asked for late, Playwright would watch for the dialogue only after the key is pressed.
    page.on("filechooser", lambda chooser: chooser.set_files(FILE))
    order = []
    for _ in range(5):
        page.keyboard.press("Tab")
        order.append(focused(page).strip())
    assert order == ["Skip to the recordings", "Unheard", "choose", "record", "How to decide"]
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert focused(page) == "operating-point"
    page.locator("#choose").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#name")).to_be_focused()
    order = []
    for _ in range(11):
        page.keyboard.press("Tab")
        order.append(focused(page))
    assert order == [
        *("chart", "play", "loop", "closer"),
        *("save-html", "save-pdf", "save-json", "save-csv", "forget", "again"),
        "What was asked",
    ]
    page.locator("#again").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="a.wav")).to_be_focused()


def test_the_chosen_rule_decides(opened: Open) -> None:
    page = opened()
    page.get_by_text("How to decide").click()
    page.get_by_label("Rule").select_option("miss_1pct")
    page.get_by_label("Probability of synthetic speech").fill("1")
    give(page, speech())
    expect(page.locator("#name")).to_be_focused()
    verdict = json.loads(downloaded(page, "Data (JSON)")[1])["verdict"]
    assert (verdict["operating_point"], verdict["spoof_prior"]) == ("miss_1pct", 0.01)


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_sticks_out_sideways(opened: Open, width: int) -> None:
    page = opened(viewport={"width": width, "height": 800})
    wide = "document.documentElement.scrollWidth"
    assert page.evaluate(wide) <= width
    give(page, speech(), "a-very-long-name-without-any-space-in-it-" * 3 + ".wav")
    expect(page.locator("#verdict h2")).to_be_visible()
    for fold in page.locator("details").all():
        fold.evaluate("fold => fold.open = true")
    assert page.evaluate(wide) <= width
    inside = "article => [...article.querySelectorAll('td, tbody th, dd, pre')].filter("
    inside += "cell => cell.getBoundingClientRect().right > innerWidth).map(cell => cell.outerHTML)"
    assert page.locator("#result").evaluate(inside) == []
    page.get_by_role("link", name="All recordings").click()
    assert page.evaluate(wide) <= width


def test_a_drop_anywhere_is_taken(opened: Open) -> None:
    page = opened()
    page.evaluate(
        """bytes => {
          const dataTransfer = new DataTransfer();
          const file = new File([new Uint8Array(bytes)], 'dropped.wav', { type: 'audio/wav' });
          dataTransfer.items.add(file);
          const init = { dataTransfer, bubbles: true, cancelable: true };
          document.body.dispatchEvent(new DragEvent('drop', init));
        }""",
        list(speech(1.2)),
    )
    expect(page.locator("#name")).to_have_text("dropped.wav")
