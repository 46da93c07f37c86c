"""Blocks of text, tables and pictures, as Markdown and as one HTML page with all inside."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Block", "Bullets", "Heading", "Picture", "Table", "Words", "html", "markdown"]


@dataclass(frozen=True)
class Heading:
    """A heading; level 1 is the title."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Words:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Bullets:
    """A list."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table; the first column is text, the others are numbers."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Picture:
    """A picture by file name."""

    file: str
    caption: str


Block = Heading | Words | Bullets | Table | Picture


def markdown(blocks: Sequence[Block]) -> str:
    """Return blocks as GitHub-flavoured Markdown."""
    return "\n\n".join(_markdown(block) for block in blocks) + "\n"


def _markdown(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {_cleaned(text)}"
        case Words(text):
            return _cleaned(text)
        case Bullets(items):
            return "\n".join(f"- {_cleaned(item)}" for item in items)
        case Picture(file, caption):
            return f"![{caption}]({file})"
        case Table(head, rows):
            rule = "|".join(["---", *["---:"] * (len(head) - 1)])
            lines = [head, *rows]
            cells = [" | ".join(_cleaned(cell) for cell in line) for line in lines]
            return "\n".join(
                [f"| {cells[0]} |", f"|{rule}|", *(f"| {line} |" for line in cells[1:])]
            )


def _cleaned(text: str) -> str:
    """Keep a name from a manifest from becoming markup."""
    for mark in "\\`<|[":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())


def html(blocks: Sequence[Block], pictures: Mapping[str, bytes]) -> str:
    """Return blocks as one HTML page with its pictures inside.

    Args:
        blocks: The document; its first heading is the page's title.
        pictures: PNG bytes by file name.
    """
    title = next((block.text for block in blocks if isinstance(block, Heading)), "Report")
    body = "\n".join(_html(block, pictures) for block in blocks)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style></head>\n"
        f"<body><main>\n{body}\n</main></body></html>\n"
    )


def _html(block: Block, pictures: Mapping[str, bytes]) -> str:
    match block:
        case Heading(text, level):
            return f"<h{level}>{escape(text)}</h{level}>"
        case Words(text):
            return f"<p>{escape(text)}</p>"
        case Bullets(items):
            return f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>"
        case Picture(file, caption):
            data = base64.b64encode(pictures[file]).decode()
            return (
                f'<figure><img alt="{escape(caption)}" src="data:image/png;base64,{data}">'
                f"<figcaption>{escape(caption)}</figcaption></figure>"
            )
        case Table(head, rows):
            top = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
            lines = "\n".join(
                f'<tr><th scope="row">{escape(line[0])}</th>'
                + "".join(f"<td>{escape(cell)}</td>" for cell in line[1:])
                + "</tr>"
                for line in rows
            )
            return f'<div class="wide"><table><tr>{top}</tr>\n{lines}</table></div>'


_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; margin: 0 }
main { max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums }
th, td { padding: 0.3rem 0.7rem; border-bottom: 1px solid #ddd; text-align: right }
th:first-child { text-align: left; font-weight: normal }
tr:first-child th { font-weight: 600; vertical-align: bottom; border-bottom: 2px solid #888 }
figure { margin: 1.5rem 0 }
figure img { max-width: 100% }
figcaption { font-size: 0.9rem; color: #555 }
li { overflow-wrap: anywhere }
"""
