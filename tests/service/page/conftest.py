"""A real service on loopback, and a headless Chromium that may reach nothing else."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright, Request, expect, sync_playwright

from fake_service import speech
from live_page import serving

Open = Callable[..., Page]

PATIENCE_MS = 30_000
"""Decoders are processes of their own: on a busy machine they take seconds to start."""


@pytest.fixture(scope="session")
def service_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("service")) as address:
        yield address


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def browser(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A Chromium whose microphone plays four seconds of syllables, again and again."""
    executable = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    assert executable, "no Chromium here; install Debian's package: apt-get install chromium"
    microphone = tmp_path_factory.mktemp("microphone") / "voice.wav"
    microphone.write_bytes(speech(4.0))
    started = playwright.chromium.launch(
        executable_path=executable,
        args=[
            "--no-sandbox",
            "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-audio-capture={microphone}",
        ],
    )
    yield started
    started.close()


@pytest.fixture
def opened(browser: Browser, service_address: str) -> Iterator[Open]:
    """Opens the page; a test fails if a page asked outside, or complained of anything new."""
    with contextlib.ExitStack() as kept:
        complaints: list[str] = []

        def start(address: str = service_address, *, script: str = "", **options: Any) -> Page:
            context = browser.new_context(accept_downloads=True, **options)
            kept.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(PATIENCE_MS)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("console", lambda message: complaints.append(message.text))
            page.on("request", note)
            page.add_init_script(script)
            page.goto(address)
            return page

        def note(request: Request) -> None:
            if not request.url.startswith(("http://127.0.0.1:", "blob:http://127.0.0.1:", "data:")):
                complaints.append(request.url)

        yield start
        answered = "Failed to load resource: the server responded with a status of"
        assert [complaint for complaint in complaints if not complaint.startswith(answered)] == []
