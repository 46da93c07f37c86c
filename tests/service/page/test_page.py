"""Does the page do in a browser what it promises, and with a keyboard, and on a phone?"""

import hashlib
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import FilePayload, Page, expect

from audio_files import encoded
from fake_service import Level, speech
from live_page import serving
from unheard.scoring.timeline_svg import parts
from unheard.service.keys import Keys, make_key
from unheard.types import FloatArray
from voice import silence, voice

pytestmark = pytest.mark.browser

Open = Callable[..., Page]

SOUND_DRAWN = "!document.getElementById('chart').classList.contains('plain')"


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


def ink(page: Page) -> float:
    """Share of the canvas that is drawn on."""
    share = page.evaluate(
        """() => {
          const canvas = document.getElementById('canvas');
          const { width, height } = canvas;
          const pixels = canvas.getContext('2d').getImageData(0, 0, width, height).data;
          let drawn = 0;
          for (let i = 3; i < pixels.length; i += 4) drawn += pixels[i] > 0;
          return drawn / (width * height);
        }"""
    )
    return float(share)


def test_an_upload_shows_the_verdict_and_gives_the_case_file(opened: Open) -> None:
    page, data = opened(), speech(3.2)
    expect(page.locator("#limits-list")).to_have_text("It measures nothing but loudness")
    give(page, data)
    expect(page.locator("#name")).to_be_focused()
    name, text = downloaded(page, "Download data (JSON)")
    case = json.loads(text)
    assert name == "call.wav.report.json"
    assert case["audio"]["sha256"] == hashlib.sha256(data).hexdigest()
    headline = case["words"]["headline"]
    expect(page.locator("#verdict h2")).to_have_text(headline)
    expect(page.get_by_role("status")).to_have_text(f"{headline}. call.wav")
    expect(page).to_have_title(f"{headline}: call.wav")
    for line in [*case["words"]["meaning"], case["audio"]["sha256"], "It measures nothing but"]:
        expect(page.locator("#result")).to_contain_text(line)
    until(page, SOUND_DRAWN)
    assert ink(page) > 0.5
    assert "lowest" in str(page.locator("#canvas").get_attribute("aria-label"))
    name, report = downloaded(page, "Download report")
    assert name == "call.wav.report.html"
    assert headline in report
    assert case["audio"]["sha256"] in report


def test_a_part_can_be_listened_to(opened: Open) -> None:
    page = opened()
    give(page, speech(3.2))
    page.get_by_role("button", name="0:01.5 to 0:02.5").click()
    until(page, "document.getElementById('player').currentTime > 1.5")
    until(page, "document.getElementById('player').paused")
    played_s = page.evaluate("document.getElementById('player').currentTime")
    assert 2.4 < played_s < 3.2
    place = page.locator("#canvas").bounding_box()
    assert place
    page.locator("#canvas").click(position={"x": place["width"] - 10, "y": 30})
    until(page, "document.getElementById('player').currentTime > 3")


def test_a_recording_from_the_microphone_is_scored(opened: Open) -> None:
    page = opened(permissions=["microphone"])
    page.get_by_role("button", name="Record").click()
    page.get_by_role("button", name="Stop and check (0:03)").click()
    expect(page.locator("#name")).to_contain_text("recording-")
    case = json.loads(downloaded(page, "Download data (JSON)")[1])
    assert case["verdict"]["score"] is not None
    assert 2 < case["verdict"]["duration_s"] < 30
    assert case["verdict"]["speech_s"] > 1
    until(page, SOUND_DRAWN)
    page.get_by_role("button", name="Another recording").click()
    expect(page.get_by_role("button", name="Record")).to_be_enabled()


def test_without_a_microphone_it_says_so(opened: Open) -> None:
    refuse = """navigator.mediaDevices.getUserMedia = () =>
        Promise.reject(new DOMException('no', 'NotAllowedError'));"""
    page = opened(script=refuse)
    page.get_by_role("button", name="Record").click()
    expect(page.get_by_role("alert")).to_contain_text("not allowed to use the microphone")


def test_recording_is_off_where_browsers_forbid_it(opened: Open) -> None:
    page = opened(script="Object.defineProperty(window, 'isSecureContext', { value: false });")
    expect(page.get_by_role("button", name="Record")).to_be_disabled()
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


def test_a_file_the_browser_cannot_decode_is_drawn_without_its_sound(opened: Open) -> None:
    page = opened()
    give(page, encoded(voice(3)[None], ".wma"), "call.wma", "audio/x-ms-wma")
    expect(page.locator("#not-drawn")).to_contain_text("cannot decode")
    expect(page.locator("#player")).to_be_hidden()
    assert ink(page) > 0.5


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
        expect(page.get_by_role("status")).to_have_text("Listening:")
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
        expect(page.get_by_role("status")).to_have_text("Cancelled")
        expect(page.get_by_role("button", name="Choose a file")).to_be_focused()
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
    for _ in range(4):
        page.keyboard.press("Tab")
        order.append(focused(page).strip())
    assert order == ["Skip to the recording", "choose", "record", "How to decide"]
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert focused(page) == "operating-point"
    page.locator("#choose").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#name")).to_be_focused()
    order = []
    for _ in range(3):
        page.keyboard.press("Tab")
        order.append(focused(page))
    assert order == ["save-html", "save-json", "again"]
    page.keyboard.press("Enter")
    assert focused(page) == "choose"


def test_the_chosen_rule_decides(opened: Open) -> None:
    page = opened()
    page.get_by_text("How to decide").click()
    page.get_by_label("Rule").select_option("miss_1pct")
    page.get_by_label("Probability of synthetic speech").fill("1")
    give(page, speech())
    verdict = json.loads(downloaded(page, "Download data (JSON)")[1])["verdict"]
    assert (verdict["operating_point"], verdict["spoof_prior"]) == ("miss_1pct", 0.01)


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_sticks_out_sideways(opened: Open, width: int) -> None:
    page = opened(viewport={"width": width, "height": 800})
    wide = "document.documentElement.scrollWidth"
    assert page.evaluate(wide) <= width
    give(page, speech(), "a-very-long-name-without-any-space-in-it-" * 3 + ".wav")
    expect(page.locator("#verdict h2")).to_be_visible()
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


def test_the_transform_is_that_of_numpy(opened: Open) -> None:
    page = opened()
    real = np.random.default_rng(0).standard_normal(512)
    transformed = page.evaluate(
        """async samples => {
          const { transform } = await import('/static/fft.js');
          const re = Float64Array.from(samples), im = new Float64Array(samples.length);
          transform(re, im);
          return [[...re], [...im]];
        }""",
        real.tolist(),
    )
    expected = np.fft.fft(real)
    np.testing.assert_allclose(
        np.array(transformed[0]) + 1j * np.array(transformed[1]), expected, atol=1e-9
    )


def test_the_page_draws_the_parts_of_the_report(opened: Open) -> None:
    page = opened()
    rng = np.random.default_rng(1)
    windows: list[dict[str, Any]] = [
        {"start_s": start / 2, "end_s": start / 2 + 1, "score": score}
        for start, score in enumerate([*rng.standard_normal(6).tolist(), None, None, None, 2.0])
    ]
    verdict = {"windows": windows, "duration_s": 5.5}
    drawn_parts = page.evaluate(
        "async verdict => (await import('/static/chart.js')).partsOf(verdict)", verdict
    )
    edges_s, scores = parts(verdict)
    assert [part["start_s"] for part in drawn_parts] == edges_s[:-1].tolist()
    drawn = np.array([part["score"] for part in drawn_parts], np.float64)
    np.testing.assert_allclose(drawn, scores, atol=1e-12)
