"""What a case report is made of: plain blocks, which are written as HTML and as PDF."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "Block",
    "Bullets",
    "Commands",
    "Facts",
    "Picture",
    "Section",
    "Table",
    "Text",
]


@dataclass(frozen=True)
class Text:
    """A paragraph; `kind` is "", "heading", "small" or "segments"."""

    words: str
    kind: str = ""


@dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Facts:
    """Names, each with what is known."""

    rows: dict[str, str]


@dataclass(frozen=True)
class Commands:
    """Lines for a command line."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Picture:
    """Where the drawing of the verdict stands."""

    caption: str


@dataclass(frozen=True)
class Table:
    """Rows of text.

    Attributes:
        head: Names of the columns.
        rows: Cells.
        n_words: The first columns that are words; the others are numbers.
        summary: Words under which it is folded, where something can be; "" if it is not.
        times_s: Start and end of the stretch that each row is about, if it is about one.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    n_words: int = 1
    summary: str = ""
    times_s: tuple[tuple[float, float], ...] = ()


Block = Text | Bullets | Facts | Commands | Picture | Table


@dataclass(frozen=True)
class Section:
    """A part of a report under a title."""

    name: str
    title: str
    blocks: tuple[Block, ...]
