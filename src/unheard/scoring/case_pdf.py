"""A case report as PDF: the sections of `unheard.scoring.case_content` on pages of A4."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

from unheard import __version__
from unheard.scoring.case_blocks import Block, Bullets, Commands, Facts, Picture, Table, Text
from unheard.scoring.case_content import answer, caution, sections, subtitle
from unheard.scoring.picture import fonts, png, standalone
from unheard.scoring.plain_words import headline
from unheard.scoring.spectrogram import SmallSpectrogram

if TYPE_CHECKING:
    from fpdf import FPDF

__all__ = ["render"]

_INK, _SOFT, _LINE = (28, 33, 38), (86, 94, 103), (213, 218, 224)
_COLOURS = {"bonafide": (27, 127, 92), "spoof": (179, 38, 30), "undecided": (138, 109, 0)}
_SANS, _MONO = "sans", "mono"
_SIZE, _SMALL, _TITLE, _HEAD = 9.5, 8.0, 16.0, 12.0
_STEP = 4.6
_NAMES = 0.3
_MARGIN = 18.0


def render(case: Mapping[str, Any], picture: SmallSpectrogram | None = None) -> bytes:
    """Return a case as a PDF file that holds its fonts and asks for nothing.

    Args:
        case: As `unheard.scoring.case_report.case` gives it.
        picture: Spectrogram of the recording; without one only the scores are drawn.
    """
    verdict, name = case["verdict"], _written(case["audio"]["name"])
    page = _new(f"{headline(verdict)}: {name}", case["scored_at"])
    _words(page, "Report on a recording", size=_SMALL, colour=_SOFT)
    _words(page, name, size=_TITLE, bold=True)
    _words(page, subtitle(case), size=_SMALL, colour=_SOFT)
    page.ln(3)
    colour = _COLOURS.get(verdict["decision"], _SOFT)
    top = page.get_y()
    _words(page, headline(verdict), size=_TITLE, bold=True, colour=colour)
    for line in answer(case):
        _block(page, line, b"")
    page.set_fill_color(*colour)
    page.rect(_MARGIN - 4, top, 1.2, page.get_y() - top, style="F")
    page.set_fill_color(255, 255, 255)
    page.ln(2)
    for line in caution(case):
        _words(page, line.words, colour=_SOFT)
    drawing = png(standalone(verdict, picture, title=False), width=1500)
    with_sound = picture is not None and bool(picture.envelope()[0].size)
    for section in sections(case, with_sound=with_sound):
        page.ln(3)
        if page.will_page_break(30):
            page.add_page()
        page.start_section(section.title)
        _words(page, section.title, size=_HEAD, bold=True)
        for block in section.blocks:
            _block(page, block, drawing)
    return bytes(page.output())


def _new(title: str, moment: str) -> FPDF:
    """Return a document with fonts, numbers of pages and a first page."""
    from fpdf import FPDF

    class Document(FPDF):
        def footer(self) -> None:
            self.set_y(-12)
            self.set_font(_SANS, size=7)
            self.set_text_color(*_SOFT)
            self.cell(0, 4, f"{title[:90]}    page {self.page_no()} of {{nb}}", align="C")

    page = Document(format="A4")
    plain, bold, mono = fonts()
    for family, style, file in ((_SANS, "", plain), (_SANS, "B", bold), (_MONO, "", mono)):
        page.add_font(family, style, file)
    page.set_margins(_MARGIN, 16, _MARGIN)
    page.set_auto_page_break(True, 18)
    page.set_title(title)
    page.set_lang("en")
    page.set_creator(f"Unheard {__version__}")
    page.set_creation_date(datetime.fromisoformat(moment))
    page.add_page()
    return page


def _words(
    page: FPDF,
    text: str,
    *,
    size: float = _SIZE,
    bold: bool = False,
    colour: tuple[int, int, int] = _INK,
) -> None:
    page.set_font(_SANS, "B" if bold else "", size)
    page.set_text_color(*colour)
    step = max(_STEP, 0.48 * size)
    page.multi_cell(0, step, _written(text), new_x="LMARGIN", new_y="NEXT", align="L")
    page.ln(1)


def _block(page: FPDF, block: Block, drawing: bytes) -> None:
    match block:
        case Text(words, "heading"):
            _words(page, words, bold=True)
        case Text(words, kind):
            _words(page, words, colour=_SOFT if kind == "small" else _INK)
        case Bullets(lines):
            for line in lines:
                _words(page, f"\u2022 {line}")
        case Facts(rows):
            _rows(page, list(rows.items()), (_NAMES, 1 - _NAMES))
        case Commands(lines):
            page.set_font(_MONO, size=_SMALL)
            page.set_text_color(*_INK)
            text = _written("\n".join(lines))
            page.multi_cell(
                0, 4.2, text, border=1, padding=2, new_x="LMARGIN", new_y="NEXT", align="L"
            )
        case Picture(caption):
            page.image(BytesIO(drawing), w=page.epw, alt_text=caption)
            _words(page, caption, size=_SMALL, colour=_SOFT)
        case Table():
            _rows(page, list(block.rows), tuple(_widths(block)), block)


def _rows(
    page: FPDF, rows: list[tuple[str, ...]], widths: tuple[float, ...], table: Table | None = None
) -> None:
    """Write rows of cells; those of a table have a head, which each page repeats."""
    from fpdf.enums import TableBordersLayout
    from fpdf.fonts import FontFace

    page.set_font(_SANS, size=_SMALL)
    page.set_text_color(*_INK)
    page.set_draw_color(*_LINE)
    n_words = table.n_words if table else len(widths)
    align = tuple("LEFT" if place < n_words else "RIGHT" for place in range(len(widths)))
    with page.table(
        col_widths=widths,
        text_align=align,
        line_height=4.2,
        padding=0.6,
        borders_layout=TableBordersLayout.HORIZONTAL_LINES,
        first_row_as_headings=table is not None,
        headings_style=FontFace(emphasis="BOLD", color=_SOFT),
        wrapmode="WORD",
    ) as written:
        for row in [*([table.head] if table else []), *rows]:
            cells = written.row()
            for cell in row:
                cells.cell(_written(cell))
    page.ln(2)


def _widths(table: Table) -> Iterator[float]:
    """Yield shares of the width, by the longest cell of each column; none is very wide."""
    for column in zip(table.head, *table.rows, strict=True):
        yield float(min(max(len(cell) for cell in column) + 2, 40))


def _written(text: str) -> str:
    """Return a text in letters that the fonts have; others are spelt by their number."""
    return "".join(letter if _has(letter) else f"\\u{ord(letter):04x}" for letter in text)


def _has(letter: str) -> bool:
    return letter == "\n" or ord(letter) in _letters()


@cache
def _letters() -> frozenset[int]:
    from fontTools.ttLib import TTFont

    return frozenset(TTFont(fonts()[0]).getBestCmap())
