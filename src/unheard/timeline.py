"""A picture of a verdict: what was heard, and what the detector said of each part of it.

The recording is read again chunk by chunk, so a picture of hours costs no more memory than one of
seconds.

K frequency bins, C columns of the picture.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from unheard import audio
from unheard.types import FloatArray
from unheard.verdict import Verdict, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw"]

BONAFIDE = "#1b7f5c"
SPOOF = "#b3261e"
UNDECIDED = "#8a6d00"
NO_SPEECH = "#9aa0a6"
INK = "#23272b"

_COLOURS: dict[str | None, str] = {
    "bonafide": BONAFIDE,
    "spoof": SPOOF,
    "undecided": UNDECIDED,
    None: NO_SPEECH,
}
_WORDS: dict[str | None, str] = {
    "bonafide": "bona fide",
    "spoof": "spoof",
    "undecided": "undecided",
    None: "no verdict",
}
_N_COLUMNS = 1200
_N_FFT = 512
_RANGE_DB = 70.0
_LEAST_SCORE = 4.0
_TICKS_S = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600)
_MOST_TICKS = 12
_MANY_PARTS = 300


def draw(verdict: Verdict, source: audio.Source, picture: Path) -> Path:
    """Draw waveform, spectrogram and window scores of a recording over time.

    Args:
        verdict: What was said of the recording.
        source: The recording.
        picture: Image file, written in one step; its suffix says the format, such as ".png".

    Returns:
        The image file.

    Raises:
        AudioError: If the recording cannot be read.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MultipleLocator

    heard = _hear(source, verdict.duration_s, verdict.source)
    figure = Figure(figsize=(11, 6.2), dpi=120, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    wave, spectrum, scores = figure.subplots(
        3, 1, sharex=True, gridspec_kw={"height_ratios": [1, 1.7, 1.8]}
    )
    _draw_waveform(wave, heard)
    _draw_spectrogram(spectrum, heard)
    _draw_scores(scores, verdict)
    for axes in (wave, spectrum, scores):
        axes.tick_params(labelsize=8.5, colors=INK, length=3)
        axes.spines[["top", "right"]].set_visible(False)
    scores.set_xlim(0, heard.duration_s)
    scores.xaxis.set_major_formatter(_clock)
    if heard.duration_s > _TICKS_S[0] * _MOST_TICKS:
        step_s = next((s for s in _TICKS_S if heard.duration_s / s <= _MOST_TICKS), _TICKS_S[-1])
        scores.xaxis.set_major_locator(MultipleLocator(step_s))
    scores.set_xlabel("time", fontsize=9, color=INK)
    _title(figure, verdict)
    picture.parent.mkdir(parents=True, exist_ok=True)
    unfinished = picture.with_name(f".{picture.stem}.unfinished{picture.suffix}")
    figure.savefig(unfinished)
    os.replace(unfinished, picture)
    return picture


@dataclass(frozen=True, eq=False)
class _Heard:
    """Lowest and highest sample [C] and mean power [K, C] of each column of the picture."""

    low: FloatArray
    high: FloatArray
    power: FloatArray
    duration_s: float


def _hear(source: audio.Source, duration_s: float, name: str) -> _Heard:
    duration_s = max(duration_s, 1e-3)
    n_samples = round(duration_s * audio.SAMPLE_RATE_HZ)
    n_columns = max(1, min(_N_COLUMNS, n_samples // 64))
    hop = max(64, min(_N_FFT, n_samples // (2 * n_columns)))
    low, high = np.zeros(n_columns), np.zeros(n_columns)
    power, count = np.zeros((n_columns, _N_FFT // 2 + 1)), np.zeros(n_columns)
    taper = np.hanning(_N_FFT)
    waiting, start = np.zeros(0, np.float32), 0
    with audio.open_stream(source, name=name) as stream:
        for chunk in stream:
            waiting = np.concatenate([waiting, chunk])
            n_frames = (waiting.size - _N_FFT) // hop + 1
            if n_frames < 1:
                continue
            frames = np.lib.stride_tricks.sliding_window_view(waiting, _N_FFT)[::hop][:n_frames]
            centres = start + np.arange(n_frames) * hop + _N_FFT // 2
            column = np.minimum(centres * n_columns // n_samples, n_columns - 1)
            np.add.at(power, column, np.abs(np.fft.rfft(frames * taper, axis=1)) ** 2)
            np.add.at(count, column, 1)
            np.minimum.at(low, column, frames[:, :hop].min(axis=1))
            np.maximum.at(high, column, frames[:, :hop].max(axis=1))
            waiting, start = waiting[n_frames * hop :], start + n_frames * hop
    mean = power / np.maximum(count, 1)[:, None]
    heard = np.flatnonzero(count)
    if heard.size:  # columns between two frames of a short clip take the nearest frame
        nearest = heard[np.abs(heard[:, None] - np.arange(n_columns)).argmin(axis=0)]
        low, high, mean = low[nearest], high[nearest], mean[nearest]
    return _Heard(low, high, mean.T, duration_s)


def _draw_waveform(axes: Axes, heard: _Heard) -> None:
    times = (np.arange(heard.low.size) + 0.5) * heard.duration_s / heard.low.size
    axes.fill_between(times, heard.low, heard.high, color="#4a6a8a", linewidth=0.3)
    peak = max(0.05, float(np.abs([heard.low, heard.high]).max()))
    axes.set_ylim(-1.05 * peak, 1.05 * peak)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_ylabel("waveform", fontsize=9, color=INK)


def _draw_spectrogram(axes: Axes, heard: _Heard) -> None:
    level_db = 10 * np.log10(heard.power + 1e-12)
    top_db = max(float(level_db.max()), -60.0)
    axes.imshow(
        level_db,
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=top_db - _RANGE_DB,
        vmax=top_db,
        extent=(0, heard.duration_s, 0, audio.SAMPLE_RATE_HZ / 2000),
        interpolation="bilinear",
    )
    axes.set_yticks([0, 2, 4, 6, 8])
    axes.set_ylabel("kHz", fontsize=9, color=INK)


def _draw_scores(axes: Axes, verdict: Verdict) -> None:
    low, high = verdict.thresholds
    edges_s, score = _parts(verdict)
    known = score[np.isfinite(score)]
    top = 1.15 * max([_LEAST_SCORE, abs(low), abs(high), *np.abs(known)])
    sides = {
        "bonafide": (score >= high, high, top),
        "spoof": (score < low, -top, low),
        "undecided": ((score >= low) & (score < high), low, high),
    }
    times_s, twice = np.repeat(edges_s, 2)[1:-1], np.repeat(score, 2)
    width = 2.2 if score.size < _MANY_PARTS else 0.9
    for side, (here, bottom, ceiling) in sides.items():
        colour = _COLOURS[side]
        axes.axhspan(bottom, ceiling, color=colour, alpha=0.09, linewidth=0)
        over = np.repeat(here, 2)
        axes.fill_between(times_s, 0, twice, where=over, color=colour, alpha=0.35, linewidth=0)
        axes.plot(times_s, np.where(over, twice, np.nan), color=colour, linewidth=width)
    silent = np.repeat(np.isnan(score), 2)
    axes.fill_between(times_s, -top, top, where=silent, color=NO_SPEECH, alpha=0.2, linewidth=0)
    for threshold in {low, high}:
        axes.axhline(threshold, color=INK, linewidth=0.7, linestyle=(0, (4, 3)), alpha=0.6)
    axes.axhline(0, color=INK, linewidth=0.6)
    axes.set_ylim(-top, top)
    axes.set_ylabel("score (log-likelihood ratio)", fontsize=9, color=INK)
    for side, height in (("bonafide", 0.75), ("spoof", 0.25)):
        axes.text(
            1.006,
            height,
            _WORDS[side],
            transform=axes.transAxes,
            rotation=270,
            verticalalignment="center",
            fontsize=9,
            color=_COLOURS[side],
        )


def _parts(verdict: Verdict) -> tuple[FloatArray, FloatArray]:
    """Return the edges [P + 1] of parts that do not overlap, and the score [P] of each.

    Windows overlap: a part has the mean score of the windows over it, NaN if none was scored.
    """
    starts_s = np.array([window.start_s for window in verdict.windows])
    ends_s = np.array([window.end_s for window in verdict.windows])
    scores = np.array([window.score for window in verdict.windows], np.float64)  # None is NaN
    edges_s = np.unique(np.concatenate([starts_s, ends_s, [0.0, verdict.duration_s]]))
    counted = np.isfinite(scores)
    total, count = np.zeros(edges_s.size), np.zeros(edges_s.size)
    for times_s, sign in ((starts_s, 1), (ends_s, -1)):
        place = np.searchsorted(edges_s, times_s[counted])
        np.add.at(total, place, sign * scores[counted])
        np.add.at(count, place, sign)
    over = np.cumsum(count)[:-1]
    mean = np.cumsum(total)[:-1] / np.maximum(over, 1)
    return edges_s, np.where(over > 0, mean, np.nan)


def _title(figure: Figure, verdict: Verdict) -> None:
    words = _WORDS[verdict.decision]
    if verdict.score is not None and verdict.spoof_probability is not None:
        probability = percent(verdict.spoof_probability)
        words += f"   score {verdict.score:+.2f}   spoof probability {probability}"
    figure.suptitle(words, fontsize=15, color=_COLOURS[verdict.decision], fontweight="bold")
    detector = f"{verdict.detector.name} {verdict.detector.version}"
    lines = [f"{Path(verdict.source).name}   heard by {detector}"]
    lines += [verdict.reason] if verdict.reason else []
    lines += verdict.warnings
    figure.axes[0].set_title("\n".join(fill(line, 150) for line in lines), fontsize=9, color=INK)


def _clock(seconds: float, _: object) -> str:
    minutes, rest = divmod(round(max(0.0, seconds), 2), 60)
    hours, minutes = divmod(int(minutes), 60)
    if not hours and not minutes:
        return f"{rest:g} s"
    second = f"{rest:05.2f}".rstrip("0").rstrip(".") if rest % 1 else f"{int(rest):02d}"
    return f"{hours}:{minutes:02d}:{second}" if hours else f"{minutes}:{second}"
