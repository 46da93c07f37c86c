"""A verdict along time as SVG: waveform, spectrogram, the scores of the parts, the segments.

The one drawing of a verdict: the page and the report hold it as it is, pictures of the command line
and the PDF are made of it. It is drawn from the JSON of a verdict and a small spectrogram, with no
plotting library. Colours are left to the style sheet of the page that it stands in.

All along time stands in inner drawings of the class "along", which are 1,000 wide whatever they
show: the page zooms by their viewBox. Words and thresholds stand outside, so they are never
stretched.

N windows, P parts that do not overlap, C columns of the spectrogram.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from itertools import groupby, pairwise
from typing import Any, NamedTuple

import numpy as np

from unheard.scoring.plain_words import where_sentence
from unheard.scoring.spectrogram import SmallSpectrogram
from unheard.scoring.verdict import clock
from unheard.types import FloatArray

__all__ = ["HEIGHT", "PLAIN_HEIGHT", "parts", "side", "svg"]

HEIGHT, PLAIN_HEIGHT = 400, 230
"""Height of the drawing with the sound and without."""

_ALONG = 1000.0
_FOOT = 30
_LEAST_SCORE = 4.0
_STEPS_S = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400)
_MOST_TICKS = 6
_BAR = 1.6


class _Band(NamedTuple):
    """Where a panel lies in the drawing, in percent of its height from above."""

    top: float
    height: float


def svg(
    verdict: Mapping[str, Any],
    spectrogram: SmallSpectrogram | None = None,
    *,
    width: str = "100%",
) -> str:
    """Return a picture of a verdict as an SVG element.

    Args:
        verdict: As `Verdict.to_dict()` gives it.
        spectrogram: Of its recording; without one only the scores are drawn.
        width: Of the drawing; what is not stretched keeps its size.
    """
    drawn = spectrogram if spectrogram is not None and spectrogram.envelope()[0].size else None
    height = HEIGHT if drawn else PLAIN_HEIGHT
    foot = 100 * (1 - _FOOT / height)
    segments = verdict.get("segments") or []
    strip = _Band(foot - 4, 4) if segments else _Band(foot, 0)
    top = 54.0 if drawn else 1.0
    scores = _Band(top, strip.top - top - (1.5 if segments else 0))
    inside = [
        *(_sound(drawn, _Band(0, 19), _Band(21, 31)) if drawn else ()),
        *_scores(verdict, scores),
        *(_strip(segments, verdict, strip) if segments else ()),
        *_times(verdict, foot),
    ]
    kind = "timeline" if drawn else "timeline plain"
    return (
        f'<svg class="{kind}" width="{width}" height="{height}" role="img" aria-labelledby="drawn" '
        f'xmlns="http://www.w3.org/2000/svg">'
        f'<title id="drawn">{escape(_described(verdict))}</title>{"".join(inside)}</svg>'
    )


def parts(verdict: Mapping[str, Any]) -> tuple[FloatArray, FloatArray]:
    """Return the edges [P + 1] of parts that do not overlap, and the score of each [P].

    Windows overlap: a part has the mean over the windows over it, NaN if none of them is scored.
    """
    windows = verdict["windows"]
    edges_s = np.unique([0.0, verdict["duration_s"], *_ends(windows)])
    scored = [window for window in windows if window["score"] is not None]
    total, count = np.zeros(edges_s.size), np.zeros(edges_s.size)
    scores = np.array([window["score"] for window in scored], np.float64)
    for end, sign in (("start_s", 1), ("end_s", -1)):
        place = np.searchsorted(edges_s, [window[end] for window in scored])
        np.add.at(total, place, sign * scores)
        np.add.at(count, place, sign)
    over = np.cumsum(count)[:-1]
    mean = np.cumsum(total)[:-1] / np.maximum(over, 1)
    return edges_s, np.where(over > 0, mean, np.nan)


def side(score: float, low: float, high: float) -> str:
    """Return which side of the thresholds a score lies on; "silent" if it is NaN."""
    if math.isnan(score):
        return "silent"
    return "spoof" if score < low else "bonafide" if score >= high else "undecided"


def _ends(windows: list[dict[str, Any]]) -> Iterator[float]:
    for window in windows:
        yield from (window["start_s"], window["end_s"])


def _described(verdict: Mapping[str, Any]) -> str:
    scored = [window for window in verdict["windows"] if window["score"] is not None]
    if not scored:
        return "No part of the recording was scored."
    lowest = min(scored, key=lambda window: float(window["score"]))
    highest = max(scored, key=lambda window: float(window["score"]))
    extremes = ", ".join(
        f"{word} {window['score']:+.1f} at {clock(window['start_s'])} to {clock(window['end_s'])}"
        for word, window in (("lowest", lowest), ("highest", highest))
    )
    stretches = where_sentence(verdict)
    called = f"{stretches} " if stretches else ""
    return (
        f"{called}Scores of {len(scored)} parts along {clock(verdict['duration_s'])}, {extremes}. "
        "Higher is more like human speech; the table of parts has all of them."
    )


def _across(seconds: float, verdict: Mapping[str, Any]) -> float:
    return round(_ALONG * seconds / max(float(verdict["duration_s"]), 1e-3), 2)


def _along(band: _Band, inside: str, *, box: str = "0 0 1000 100") -> str:
    return (
        f'<svg class="along" x="0" y="{band.top:.2f}%" width="100%" height="{band.height:.2f}%" '
        f'viewBox="{box}" preserveAspectRatio="none">{inside}</svg>'
    )


def _sound(spectrogram: SmallSpectrogram, wave: _Band, spectrum: _Band) -> Iterator[str]:
    low, high = spectrogram.envelope()
    width = _ALONG * spectrogram.column_s / spectrogram.duration_s
    peak = max(0.05, float(np.abs([low, high]).max()))
    across = np.minimum(width * (np.arange(low.size) + 0.5), _ALONG)
    # A line thinner than half a step cannot be seen: silence is drawn as one.
    upper = [
        f"{x:.1f} {min(50 - 50 * y / peak, 49.5):.1f}" for x, y in zip(across, high, strict=True)
    ]
    lower = [
        f"{x:.1f} {max(50 - 50 * y / peak, 50.5):.1f}" for x, y in zip(across, low, strict=True)
    ]
    yield _along(wave, f'<path class="wave" d="M{"L".join(upper + lower[::-1])}Z"/>')
    image = base64.b64encode(spectrogram.png()).decode()
    yield _along(
        spectrum,
        f'<image class="spectrum" width="{min(width * low.size, _ALONG):.1f}" height="100" '
        f'preserveAspectRatio="none" href="data:image/png;base64,{image}"/>',
    )
    yield (
        f'<rect class="frame" x="0" y="{spectrum.top}%" width="100%" height="{spectrum.height}%"/>'
    )
    for khz, shift in ((8, 14), (4, 5), (0, -4)):
        down = spectrum.top + spectrum.height * (1 - khz / 8)
        yield _label("value", "100%", down, f"{khz} kHz" if khz else "0", shift=shift)


def _scores(verdict: Mapping[str, Any], band: _Band) -> Iterator[str]:
    edges_s, scores = parts(verdict)
    score: list[float] = scores.tolist()
    low, high = verdict["thresholds"]
    known = [abs(value) for value in score if not math.isnan(value)]
    limit: float = 1.15 * max(_LEAST_SCORE, abs(low), abs(high), *known)

    def down(value: float) -> float:
        return round(50 * (limit - value) / limit, 2)

    inside = [*_zones(low, high, limit, down), *_bars(verdict, edges_s, score, down)]
    yield _along(band, "".join(inside))

    def percent(value: float) -> float:
        return band.top + band.height * down(value) / 100

    for value, kind in ((low, "threshold"), (high, "threshold"), (0, "zero")):
        y = f"{percent(value):.2f}%"
        yield f'<line class="{kind}" x1="0" x2="100%" y1="{y}" y2="{y}"/>'
    step = next(step for step in (2, 5, 10, 20, 50, 100, 1000, 1e9) if limit / step < 4)
    for count in range(-int(limit / step), int(limit / step) + 1):
        words = f"{count * step:+g}".replace("-", "\u2212") if count else "0"
        yield _label("value", "100%", percent(count * step), words, shift=5)
    yield _label("words", "0", percent(limit), "more like human speech", shift=16)
    yield _label("words", "0", percent(-limit), "more like synthetic speech", shift=-7)


def _zones(low: float, high: float, limit: float, down: Callable[[float], float]) -> Iterator[str]:
    zones = {"bonafide": (limit, high), "undecided": (high, low), "spoof": (low, -limit)}
    for kind, (ceiling, floor) in zones.items():
        if ceiling > floor:
            yield _box(f"zone {kind}", (0, _ALONG), (down(ceiling), down(floor)))


def _bars(
    verdict: Mapping[str, Any],
    edges_s: FloatArray,
    score: Sequence[float],
    down: Callable[[float], float],
) -> Iterator[str]:
    """Areas from zero to the scores, then a bar at each score."""
    low, high = verdict["thresholds"]
    places = [_across(edge_s, verdict) for edge_s in edges_s]
    sides = [side(value, low, high) for value in score]
    for kind, run in groupby(range(len(score)), sides.__getitem__):
        span = list(run)
        if kind == "silent":
            yield _box("silent", (places[span[0]], places[span[-1] + 1]), (0, 100))
            continue
        tops = "".join(f"V{down(score[part])}H{places[part + 1]}" for part in span)
        line = f"M{places[span[0]]} {down(0)}{tops}V{down(0)}Z"
        yield f'<path class="area {kind}" d="{line}"/>'
    for kind, value, ends in zip(sides, score, pairwise(places), strict=True):
        if kind != "silent":
            middle = down(value)
            yield _box(f"bar {kind}", ends, (middle - _BAR / 2, middle + _BAR / 2))


def _strip(
    segments: list[Mapping[str, Any]], verdict: Mapping[str, Any], band: _Band
) -> Iterator[str]:
    boxes = [
        _box(
            f"segment {segment['decision'] or 'silent'}",
            (_across(segment["start_s"], verdict), _across(segment["end_s"], verdict)),
            (0, 100),
        )
        for segment in segments
    ]
    yield _along(band, "".join(boxes))


def _times(verdict: Mapping[str, Any], foot: float) -> Iterator[str]:
    duration_s = verdict["duration_s"]
    step_s = next((s for s in _STEPS_S if duration_s / s <= _MOST_TICKS), duration_s)
    yield '<g class="times">'
    for count in range(int(duration_s / step_s) + 1 if duration_s else 1):
        share = _across(count * step_s, verdict) / _ALONG
        kind = "time first" if not count else "time last" if share > 0.95 else "time"
        x = f"{100 * share:.2f}%"
        yield f'<line class="tick" x1="{x}" x2="{x}" y1="{foot:.2f}%" y2="{foot + 1:.2f}%"/>'
        yield f'<text class="{kind}" x="{x}" y="100%" dy="-4">{clock(count * step_s)}</text>'
    yield "</g>"


def _box(kind: str, across: tuple[float, float], down: tuple[float, float]) -> str:
    width, height = round(across[1] - across[0], 2), round(down[1] - down[0], 2)
    return (
        f'<rect class="{kind}" x="{across[0]:g}" y="{down[0]:g}" width="{width:g}" '
        f'height="{height:g}"/>'
    )


def _label(kind: str, across: str, down: float, text: str, *, shift: int) -> str:
    inwards = -4 if across != "0" else 6
    place = f'x="{across}" y="{down:.2f}%" dx="{inwards}" dy="{shift}"'
    return f'<text class="{kind}" {place}>{text}</text>'
