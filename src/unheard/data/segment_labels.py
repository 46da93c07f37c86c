"""Which stretches of a clip were put into it: the note "segments", as text.

"12.000-14.500 spoof flite-slt; 20.000-21.000 bonafide other" names two; what lies between is the
recording that they were put into, speech of a person. "-" says that there is none. A clip without
the note is of one piece as far as its corpus says.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from unheard.errors import ManifestError

__all__ = ["NOTE", "Stretch", "read_stretches", "written"]

NOTE = "segments"
_NONE = "-"


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
