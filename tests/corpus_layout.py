"""What a synthetic copy of a corpus's layout is described with; see the layouts_*.py next to it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unheard import audio

TONE_S = 0.5
TONE = (0.3 * np.sin(np.arange(8000) / 10)).astype(np.float32)


@dataclass(frozen=True)
class Expected:
    """What was laid out.

    Attributes:
        counts: Bona fide and spoofed clips by part.
        extra: Audio files that were laid out and that the corpus does not list.
    """

    counts: dict[str, tuple[int, int]]
    extra: tuple[str, ...] = ()


def tones(root: Path, *names: str) -> None:
    """Write half a second of sound to each of some .wav or .flac files under a root."""
    for name in names:
        audio.write(root / name, TONE)


def text(path: Path, *lines: str) -> None:
    """Write a text file of lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
