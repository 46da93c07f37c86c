"""Which stretches of a clip were put into it: the note "segments", as text.

"12.000-14.500 spoof flite-slt; 20.000-21.000 bonafide other" names two; what lies between is the
recording that they were put into, speech of a person. "-" says that there is none. A clip without
the note is of one piece as far as its corpus says.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from unheard.errors import CorpusError, ManifestError

__all__ = ["NOTE", "Stretch", "read_stretches", "spoofed_pieces", "written"]

NOTE = "segments"
_NONE = "-"
_ROUNDING_S = 1e-3


@dataclass(frozen=True)
class Stretch:
    """A stretch of a clip with a label of its own.

    Attributes:
        start_s: Where it starts.
        end_s: Where it ends.
        bonafide: Whether it is speech of a person.
        source: Generator, or what else is known of where it comes from; "" if nothing.
    """

    start_s: float
    end_s: float
    bonafide: bool
    source: str = ""


def written(stretches: Iterable[Stretch]) -> str:
    """Return stretches as the text of a note."""
    lines = [
        f"{part.start_s:.3f}-{part.end_s:.3f} {'bonafide' if part.bonafide else 'spoof'} "
        f"{part.source}".strip()
        for part in stretches
    ]
    return "; ".join(lines) or _NONE


def read_stretches(text: str) -> tuple[Stretch, ...]:
    """Return the stretches of a note, in order of time.

    Raises:
        ManifestError: If the text is none.
    """
    if text == _NONE:
        return ()
    stretches: list[Stretch] = []
    for line in text.split("; "):
        times, _, rest = line.partition(" ")
        label, _, source = rest.partition(" ")
        try:
            start_s, end_s = (float(time_s) for time_s in times.split("-"))
        except ValueError:
            start_s, end_s = 0.0, -1.0
        if label not in ("bonafide", "spoof") or not 0 <= start_s < end_s:
            raise ManifestError(
                f"the note {NOTE!r} holds {line!r}; "
                "'START-END spoof SOURCE' or '... bonafide SOURCE' in seconds is wanted"
            )
        stretches.append(Stretch(start_s, end_s, label == "bonafide", source))
    return tuple(sorted(stretches, key=lambda part: part.start_s))


def spoofed_pieces(
    pieces: Iterable[str], labels: Mapping[str, bool], where: str
) -> tuple[Stretch, ...]:
    """Return the spoofed stretches of a clip that its corpus gives as pieces from end to end.

    Spoofed pieces that touch become one; a piece without length is none.

    Args:
        pieces: "START-END-LABEL", seconds.
        labels: What each label means, True for bona fide.
        where: File and line, for the message.

    Raises:
        CorpusError: If a piece is none, or begins before the one in front of it has ended.
    """
    spoofed: list[Stretch] = []
    at_s = 0.0
    for piece in pieces:
        start, _, rest = piece.partition("-")
        end, _, label = rest.partition("-")
        try:
            start_s, end_s = float(start), float(end)
        except ValueError:
            start_s, end_s = 0.0, -1.0
        if label not in labels or not at_s - _ROUNDING_S <= start_s <= end_s < math.inf:
            raise CorpusError(
                f"{where}: {piece!r} after {at_s:g} s is no next piece; START-END-LABEL in "
                f"seconds is wanted, labels {', '.join(labels)}: get the label file again"
            )
        at_s = end_s
        if labels[label] or start_s == end_s:
            continue
        if spoofed and start_s - spoofed[-1].end_s < _ROUNDING_S:
            start_s = spoofed.pop().start_s
        spoofed.append(Stretch(start_s, end_s, False))
    return tuple(spoofed)
