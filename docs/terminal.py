"""Draws what commands print in a terminal, for the README.

Run:  python docs/terminal.py docs/pictures/terminal.png
"""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import MONOKAI
from rich.text import Text

COMMANDS = (
    "unheard score examples",
    "unheard stream < examples/human-spanish.mp3",
    "unheard info | head -9",
)
ROOT = Path(__file__).parents[1]
COLUMNS, MARGIN, SIZE = 100, 24, 26
PAPER, INK, PROMPT = "#101418", "#d8dee9", "#7fb4ff"


def printed(command: str) -> str:
    """Return what a command prints when a terminal listens."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
    process = subprocess.Popen(
        command, shell=True, cwd=ROOT, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    output = b""
    try:
        while piece := os.read(ours, 4096):
            output += piece
    except OSError:
        pass  # how Linux says that nobody writes any more
    process.wait()
    return output.decode().replace("\r\n", "\n")


def drawn(lines: list[Text]) -> Image.Image:
    """Return lines of styled text as a picture."""
    folder = Path(matplotlib.get_data_path()) / "fonts/ttf"
    fonts = [
        ImageFont.truetype(folder / f"DejaVuSansMono{kind}.ttf", SIZE) for kind in ("", "-Bold")
    ]
    step, height = round(fonts[0].getlength("m")), round(1.35 * SIZE)
    size = (2 * MARGIN + COLUMNS * step, 2 * MARGIN + len(lines) * height)
    picture = Image.new("RGB", size, PAPER)
    pen, console = ImageDraw.Draw(picture), Console()
    for row, line in enumerate(lines):
        column = 0
        for segment in line.render(console):
            style = segment.style or Style()
            colour = style.color.get_truecolor(MONOKAI).hex if style.color else INK
            place = (MARGIN + column * step, MARGIN + row * height)
            pen.text(place, segment.text.rstrip("\n"), colour, fonts[bool(style.bold)])
            column += len(segment.text)
    return picture


def main(path: str) -> None:
    """Run the commands and write the picture."""
    lines: list[Text] = []
    for command in COMMANDS:
        output = Text.from_ansi(printed(command).rstrip())
        lines += [Text.styled(f"$ {command}", Style(color=PROMPT, bold=True))]
        lines += [*output.wrap(Console(), COLUMNS), Text("")]
    drawn(lines[:-1]).save(path, optimize=True)


if __name__ == "__main__":
    main(sys.argv[1])
