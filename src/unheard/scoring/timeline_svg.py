"""A verdict along time as SVG: waveform, spectrogram, and the scores of the parts.

Drawn from the JSON of a verdict and a small spectrogram, with no plotting library. Colours are
left to the style sheet of the page that it stands in.

N windows, P parts that do not overlap, C columns of the spectrogram.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Mapping
from html import escape
from itertools import groupby
from typing import Any

import numpy as np

from unheard.scoring.plain_words import where
from unheard.scoring.spectrogram import SmallSpectrogram
from unheard.scoring.verdict import clock
from unheard.types import FloatArray

__all__ = ["parts", "svg"]

_LEFT, _RIGHT, _WIDTH = 56.0, 984.0, 1000.0
_WAVE = (8.0, 84.0)
_SPECTRUM = (94.0, 222.0)
_SCORES_HEIGHT = 208.0
_LEAST_SCORE = 4.0
_STEPS_S = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400)
_MOST_TICKS = 10
_SIDES = ("bonafide", "undecided", "spoof")


def svg(verdict: Mapping[str, Any], spectrogram: SmallSpectrogram | None = None) -> str:
    """Return a picture of a verdict as an SVG element.

    Args:
        verdict: As `Verdict.to_dict()` gives it.
        spectrogram: Of its recording; without one only the scores are drawn.
    """
    drawn = spectrogram if spectrogram is not None and spectrogram.envelope()[0].size else None
    top = _SPECTRUM[1] + 18 if drawn else 18.0
    height = top + _SCORES_HEIGHT + 34
    inside = [*(_sound(drawn) if drawn else ()), *_called(verdict, top)]
    inside += [*_scores(verdict, top), *_times(verdict, top)]
    return (
        f'<svg viewBox="0 0 {_WIDTH:g} {height:g}" role="img" aria-labelledby="drawn" '
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
    stretches = where(verdict)
    called = f"{stretches[0].upper()}{stretches[1:]}. " if stretches else ""
    return (
        f"{called}Scores of {len(scored)} parts along {clock(verdict['duration_s'])}, {extremes}. "
        "Higher is more like human speech; the table of parts has all of them."
    )


def _across(seconds: float, verdict: Mapping[str, Any]) -> float:
    share = seconds / max(float(verdict["duration_s"]), 1e-3)
    return round(_LEFT + (_RIGHT - _LEFT) * share, 1)


def _sound(spectrogram: SmallSpectrogram) -> Iterator[str]:
    low, high = spectrogram.envelope()
    width = (_RIGHT - _LEFT) * spectrogram.column_s / spectrogram.duration_s
    middle, half = (_WAVE[0] + _WAVE[1]) / 2, (_WAVE[1] - _WAVE[0]) / 2
    peak = max(0.05, float(np.abs([low, high]).max()))
    across = np.minimum(_LEFT + width * (np.arange(low.size) + 0.5), _RIGHT)
    upper = [f"{x:.1f} {middle - half * y / peak:.1f}" for x, y in zip(across, high, strict=True)]
    lower = [f"{x:.1f} {middle - half * y / peak:.1f}" for x, y in zip(across, low, strict=True)]
    yield f'<path class="wave" d="M{"L".join(upper + lower[::-1])}Z"/>'
    image = base64.b64encode(spectrogram.png()).decode()
    top, bottom = _SPECTRUM
    shown = min(width * low.size, _RIGHT - _LEFT)
    yield (
        f'<image class="spectrum" x="{_LEFT:g}" y="{top:g}" width="{shown:.1f}" '
        f'height="{bottom - top:g}" preserveAspectRatio="none" '
        f'href="data:image/png;base64,{image}"/>'
        f'<rect class="frame" x="{_LEFT:g}" y="{top:g}" width="{_RIGHT - _LEFT:g}" '
        f'height="{bottom - top:g}"/>'
    )
    for khz in (0, 4, 8):
        place = bottom - (bottom - top) * khz / 8
        yield _label(_LEFT - 8, place + (4 if khz == 0 else 10 if khz == 8 else 5), f"{khz}")
    yield _label(_LEFT - 22, (top + bottom) / 2 + 5, "kHz")


def _called(verdict: Mapping[str, Any], top: float) -> Iterator[str]:
    """Draw a bar over each stretch that is called synthetic."""
    for segment in verdict.get("segments") or []:
        if segment["decision"] == "spoof":
            ends = (_across(segment["start_s"], verdict), _across(segment["end_s"], verdict))
            yield _box("called", ends, (top - 7, top - 1))


def _scores(verdict: Mapping[str, Any], top: float) -> Iterator[str]:
    edges_s, scores = parts(verdict)
    score: list[float] = scores.tolist()
    low, high = verdict["thresholds"]
    known = [abs(value) for value in score if not math.isnan(value)]
    limit: float = 1.15 * max(_LEAST_SCORE, abs(low), abs(high), *known)

    def down(value: float) -> float:
        return round(top + _SCORES_HEIGHT * (limit - value) / (2 * limit), 1)

    for side, (ceiling, floor) in zip(
        _SIDES, ((limit, high), (high, low), (low, -limit)), strict=True
    ):
        if ceiling > floor:
            yield _box(f"zone {side}", (_LEFT, _RIGHT), (down(ceiling), down(floor)))
    places = [_across(edge_s, verdict) for edge_s in edges_s]
    for side, run in groupby(range(len(score)), lambda place: _side(score[place], low, high)):
        span = list(run)
        ends = (places[span[0]], places[span[-1] + 1])
        if side == "silent":
            yield _box("silent", ends, (down(limit), down(-limit)))
            continue
        line = "".join(f"V{down(score[part])}H{places[part + 1]}" for part in span)
        yield f'<path class="area {side}" d="M{ends[0]} {down(0)}{line}V{down(0)}Z"/>'
        yield f'<path class="line {side}" d="M{ends[0]} {line[1:]}"/>'
    for value in {low, high}:
        yield f'<path class="threshold" d="M{_LEFT:g} {down(value)}H{_RIGHT:g}"/>'
    yield f'<path class="zero" d="M{_LEFT:g} {down(0)}H{_RIGHT:g}"/>'
    step = next(step for step in (2, 5, 10, 20, 50, 100, 1000, 1e9) if limit / step < 4)
    for count in range(-int(limit / step), int(limit / step) + 1):
        yield _label(_LEFT - 8, down(count * step) + 5, f"{count * step:+g}" if count else "0")
    yield _label(_LEFT + 8, top + 18, "more like human speech", "words")
    yield _label(_LEFT + 8, top + _SCORES_HEIGHT - 8, "more like synthetic speech", "words")


def _times(verdict: Mapping[str, Any], top: float) -> Iterator[str]:
    duration_s = verdict["duration_s"]
    step_s = next((s for s in _STEPS_S if duration_s / s <= _MOST_TICKS), duration_s)
    for count in range(int(duration_s / step_s) + 1 if duration_s else 1):
        place, bottom = _across(count * step_s, verdict), top + _SCORES_HEIGHT
        yield f'<path class="tick" d="M{place} {bottom:g}v5"/>'
        yield _label(place, bottom + 22, clock(count * step_s), "time")


def _side(score: float, low: float, high: float) -> str:
    if math.isnan(score):
        return "silent"
    return "spoof" if score < low else "bonafide" if score >= high else "undecided"


def _box(kind: str, across: tuple[float, float], down: tuple[float, float]) -> str:
    width, height = round(across[1] - across[0], 1), round(down[1] - down[0], 1)
    return f'<rect class="{kind}" x="{across[0]}" y="{down[0]}" width="{width}" height="{height}"/>'


def _label(across: float, down: float, text: str, kind: str = "value") -> str:
    return f'<text class="{kind}" x="{across:g}" y="{down:g}">{text}</text>'
