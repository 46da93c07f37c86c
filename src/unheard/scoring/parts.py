"""Channels and tracks of a recording that are scored each for itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from unheard.audio.channels import EACH, is_channel
from unheard.errors import RecipeError
from unheard.scoring.verdict import Verdict

__all__ = ["ALL", "DEFAULT", "Part", "check_part", "parts_of", "together", "track_number"]

DEFAULT, ALL = "default", "all"
"""Tracks: the one that the file marks, or its first; and all of them, each for itself."""

Part = tuple[str, str]
"""Channel and track, as a `Scorer` has them."""


def check_part(channel: str, track: str) -> None:
    """Raise a RecipeError for a channel or a track that no recording can have."""
    if channel != EACH and not is_channel(channel):
        raise RecipeError(
            f"channel {channel!r} is asked for; give mix, left, right, each, or a number from 1"
        )
    if track not in {DEFAULT, ALL} and not (track.isdecimal() and int(track)):
        raise RecipeError(f"track {track!r} is asked for; give {DEFAULT}, {ALL} or a number from 1")


def track_number(track: str) -> int | None:
    """Return a track as `unheard.audio` counts it; None for the default, and for all before."""
    return int(track) if track.isdecimal() else None


def parts_of(
    channel: str, track: str, layout: Callable[[int | None], tuple[int, int]]
) -> list[Part]:
    """Return the channels and tracks to score.

    Args:
        channel: As a `Scorer` has it.
        track: As a `Scorer` has it.
        layout: Gives how many tracks a recording has, and how many channels a track of it.
    """
    if channel != EACH and track != ALL:
        return [(channel, track)]
    tracks = [track]
    if track == ALL:
        tracks = [str(number) for number in range(1, layout(None)[0] + 1)]
    parts: list[Part] = []
    for number in tracks:
        n_channels = layout(track_number(number))[1] if channel == EACH else 0
        channels = [str(number) for number in range(1, n_channels + 1)] or [channel]
        parts += [(one_of, number) for one_of in channels]
    return parts


def together(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the verdict on a file: that of its part with the lowest score, with all of them.

    A spoofed channel is not outvoted by one that is bona fide; one that is spoofed in part goes
    before others of a lower score that are not. A part without a verdict does not
    count while another has one.
    """
    scored = [verdict for verdict in verdicts if verdict.score is not None]
    lowest = min(
        scored,
        key=lambda verdict: (verdict.decision != "spoof", verdict.score or 0.0),
        default=verdicts[0],
    )
    lines = ", ".join(
        f"{_name(verdict)} {'no verdict' if verdict.score is None else f'{verdict.score:+.2f}'}"
        for verdict in verdicts
    )
    line = f"each part was scored: {lines}; the verdict is that of {_name(lowest)}"
    return replace(lowest, warnings=(line, *lowest.warnings), parts=tuple(verdicts))


def _name(verdict: Verdict) -> str:
    track = "" if verdict.track == DEFAULT else f"track {verdict.track} "
    return f"{track}channel {verdict.channel}" if verdict.channel != "mix" else track.strip()
