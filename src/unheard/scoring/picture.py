"""The drawing of a verdict as a file of its own: SVG, PNG or PDF."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from html import escape
from pathlib import Path
from textwrap import wrap
from typing import Any

from unheard import audio
from unheard.files import in_one_step
from unheard.scoring.parts import track_number
from unheard.scoring.plain_words import headline
from unheard.scoring.spectrogram import SmallSpectrogram, read_spectrogram
from unheard.scoring.timeline_svg import svg
from unheard.scoring.verdict import Verdict, percent

__all__ = ["FONTS", "STYLE", "draw", "fonts", "png", "standalone"]

STYLE = Path(__file__).with_name("case_report.css")
"""Style sheet of drawing and report, which the page of the service shares."""

FONTS = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSansMono.ttf")
"""Plain, bold and monospace, as matplotlib brings them: no machine need have any."""

_WIDTH, _MARGIN = 1000, 20
_LETTERS = 140
_LINE = 18


def draw(verdict: Verdict, source: audio.Source, picture: Path) -> Path:
    """Draw waveform, spectrogram and scores of a recording over time.

    Args:
        verdict: Of the recording.
        source: The recording.
        picture: Image file, written in one step; its suffix says the format: .svg, .png or .pdf.

    Returns:
        The image file.

    Raises:
        AudioError: If the recording cannot be read.
    """
    track = track_number(verdict.track)
    text = standalone(verdict.to_dict(), read_spectrogram(source, verdict.channel, track))
    kind = picture.suffix.lower()
    content = text.encode() if kind == ".svg" else png(text)
    with in_one_step(picture) as unfinished:
        unfinished.write_bytes(_page(content) if kind == ".pdf" else content)
    return picture


def standalone(
    verdict: Mapping[str, Any], spectrogram: SmallSpectrogram | None = None, *, title: bool = True
) -> str:
    """Return the drawing as an SVG file that needs no style sheet; on white.

    Args:
        verdict: As `Verdict.to_dict()` gives it.
        spectrogram: Of its recording; without one only the scores are drawn.
        title: Whether the verdict, the recording and the reasons to doubt stand above it.
    """
    width = _WIDTH - 2 * _MARGIN if title else _WIDTH
    inside = svg(verdict, spectrogram, width=str(width))
    drawn = re.search(r'height="(\d+)"', inside)
    assert drawn
    lines = list(_lines(verdict)) if title else []
    margin = _MARGIN if title else 0
    top = margin + (_LINE * len(lines) + 26 if lines else 0)
    words = [
        f'<text class="title" x="{margin}" y="{margin + 16}">{escape(_title(verdict))}</text>'
    ] * title
    words += [
        f'<text class="line" x="{margin}" y="{margin + 38 + _LINE * row}">{escape(line)}</text>'
        for row, line in enumerate(lines)
    ]
    height = top + int(drawn.group(1)) + margin
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}"><style>{_style(verdict)}</style>'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{"".join(words)}'
        f'<svg x="{margin}" y="{top}" width="{width}" height="{drawn.group(1)}">{inside}</svg>'
        "</svg>\n"
    )


def png(text: str, *, width: int = 2 * _WIDTH) -> bytes:
    """Return an SVG file as a PNG image, so many pixels wide."""
    import resvg_py

    return bytes(
        resvg_py.svg_to_bytes(
            svg_string=text,
            width=width,
            skip_system_fonts=True,
            font_files=[str(font) for font in fonts()],
            sans_serif_family="DejaVu Sans",
            font_family="DejaVu Sans",
        )
    )


@cache
def fonts() -> tuple[Path, ...]:
    """Return the files of FONTS."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return tuple(folder / name for name in FONTS)


def _page(image: bytes) -> bytes:
    """Return an image as a PDF of one page of its size."""
    from io import BytesIO

    from fpdf import FPDF
    from PIL import Image

    width, height = Image.open(BytesIO(image)).size
    page = FPDF(unit="pt", format=(width / 2, height / 2))
    page.add_page()
    page.image(BytesIO(image), x=0, y=0, w=width / 2)
    return bytes(page.output())


def _title(verdict: Mapping[str, Any]) -> str:
    words = headline(verdict)
    if verdict["score"] is None:
        return words
    probability = percent(verdict["spoof_probability"])
    return f"{words}: score {verdict['score']:+.2f}, spoof probability {probability}"


def _lines(verdict: Mapping[str, Any]) -> Iterator[str]:
    detector = verdict["detector"]
    name = Path(verdict["source"]).name
    yield from wrap(f"{name}, scored by {detector['name']} {detector['version']}", _LETTERS)
    for line in [*([verdict["reason"]] if verdict["reason"] else []), *verdict["warnings"]]:
        yield from wrap(line, _LETTERS)


@cache
def _rules() -> tuple[dict[str, str], str]:
    """Return the light colours of the style sheet, and its rules for the drawing."""
    text = STYLE.read_text()
    colours = dict(re.findall(r"--([\w-]+): (#\w+)", text[: text.index("@media")]))
    rules = re.findall(r"^(\.timeline [^{]*\{[^}]*\})", text, re.MULTILINE)
    return colours, "\n".join(rules)


def _style(verdict: Mapping[str, Any]) -> str:
    colours, rules = _rules()
    decided = {"bonafide": "human", "spoof": "synthetic", "undecided": "open"}
    title = colours[decided.get(verdict["decision"], "silent")]
    text = re.sub(r"var\(--([\w-]+)\)", lambda name: colours[name.group(1)], rules)
    return (
        f"{text.replace('system-ui, ', '')}\n"
        f".title {{ font: bold 18px sans-serif; fill: {title} }}\n"
        f".line {{ font: 13px sans-serif; fill: {colours['ink']} }}"
    )
