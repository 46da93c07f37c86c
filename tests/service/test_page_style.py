"""Can the page and the report be read by people who see little contrast?"""

import re
from itertools import product
from pathlib import Path

import pytest

import unheard
from unheard.scoring import picture

PAGE = Path(unheard.__file__).parent / "service" / "page"
STYLE = picture.STYLE.read_text()
WORDS = ("ink", "soft", "human", "synthetic", "open", "silent", "accent")
BLOCKS = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
COLOURS = [dict(re.findall(r"--([\w-]+): (#\w+)", block)) for block in BLOCKS]
SCHEMES = dict(zip(("light", "dark", "print"), COLOURS, strict=True))


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(front: str, back: str) -> float:
    dark, light = sorted((luminance(front), luminance(back)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(
    ("scheme", "word", "ground"), list(product(SCHEMES, WORDS, ("paper", "ground")))
)
def test_words_stand_out_from_what_is_behind_them(scheme: str, word: str, ground: str) -> None:
    colours = SCHEMES[scheme]
    assert contrast(colours[word], colours[ground]) >= 4.5


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_buttons_and_their_edges_can_be_seen(scheme: str) -> None:
    colours = SCHEMES[scheme]
    assert contrast(colours["edge"], colours["paper"]) >= 3
    assert contrast(colours["on-accent"], colours["accent"]) >= 4.5
    assert contrast(colours["on-accent"], colours["synthetic"]) >= 4.5


def test_the_page_asks_no_other_site_for_anything() -> None:
    for file in [*PAGE.iterdir(), picture.STYLE]:
        urls = set(re.findall(r"https?://[^\s\"'`)]+", file.read_text()))
        assert urls <= {"http://www.w3.org/2000/svg"}, file


def test_the_page_runs_no_script_but_its_own() -> None:
    text = (PAGE / "index.html").read_text()
    assert not re.findall(r"\son\w+=|style=", text)
    assert "script-src 'self'; style-src 'self'" in text
    for name in re.findall(r"/static/([\w.-]+)", text):
        assert (PAGE / name).is_file() or name == picture.STYLE.name
    for file in PAGE.glob("*.js"):
        assert "innerHTML" not in file.read_text()
        for name in re.findall(r"from '/static/([\w.-]+)'", file.read_text()):
            assert (PAGE / name).is_file()
