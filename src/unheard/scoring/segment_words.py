"""Which stretches of a recording were called synthetic, in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unheard.scoring.verdict import clock

__all__ = ["segment_words"]

_MOST_NAMED = 4


def segment_words(verdict: Mapping[str, Any]) -> str:
    """Return where a recording is like synthetic speech, as a sentence.

    Args:
        verdict: As `Verdict.to_dict()` gives it; without segments its windows are told of.
    """
    segments = verdict.get("segments")
    if not segments:
        scored = [window for window in verdict["windows"] if window["score"] is not None]
        if len(scored) < 2:
            return "It was scored as one piece."
        lowest = min(scored, key=lambda window: float(window["score"]))
        return f"The part most like synthetic speech: {_span(lowest)}."
    spoof = [segment for segment in segments if segment["decision"] == "spoof"]
    if len(segments) == 1:
        return "It is alike from beginning to end: no part of it stands out."
    named = _spans(spoof[:_MOST_NAMED])
    more = f" and {len(spoof) - _MOST_NAMED} more" if len(spoof) > _MOST_NAMED else ""
    if not spoof:
        return "No part of it is called synthetic by itself."
    rest = {segment["decision"] for segment in segments} - {"spoof"}
    words = {
        frozenset({"bonafide"}): "the rest is more like human speech",
        frozenset({"undecided"}): "the rest is undecided",
    }
    other = words.get(frozenset(rest), "the rest is human speech or undecided")
    return f"Called synthetic: {named}{more}" + (f"; {other}." if rest else ".")


def _spans(segments: list[Mapping[str, Any]]) -> str:
    *first, last = [_span(segment) for segment in segments] or [""]
    return f"{', '.join(first)} and {last}" if first else last


def _span(stretch: Mapping[str, Any]) -> str:
    return f"{clock(stretch['start_s'])} to {clock(stretch['end_s'])}"
