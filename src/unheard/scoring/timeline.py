"""Picture of a mixture's verdict: what each of its experts says along time, and how much it counts.

The recording is read again chunk by chunk, so a picture of hours costs no more memory than one of
seconds.

K frequency bins, C columns of the picture, N windows, P parts that do not overlap, E experts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from unheard import audio
from unheard.files import in_one_step
from unheard.scoring.parts import track_number
from unheard.scoring.plain_words import where
from unheard.scoring.verdict import ExpertScore, Verdict, percent
from unheard.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["explain"]

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
_EXPERT_COLOURS = ("#648fff", "#ffb000", "#332288", "#88ccee", "#dc267f", "#000000")
"""Distinct for all kinds of colour vision; the first are far from the colours of a verdict."""

_EXPERT_STYLES = (("-", ""), ("--", "///"), (":", "..."))
"""Lines and hatches; the second and third serve more experts than there are colours."""

_NO_WEIGHT = 1e-9
"""Means over windows are rounded: a smaller weight is none."""

_N_COLUMNS = 1200
_N_FFT = 512
_RANGE_DB = 70.0
_LEAST_SCORE = 4.0
_TICKS_S = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600)
_MOST_TICKS = 12
_MANY_PARTS = 300


def explain(verdict: Verdict, source: audio.Source, picture: Path) -> Path:
    """Draw the scores and weights of the experts of a mixture over time, and the score they make.

    Args:
        verdict: Of a mixture, on the recording.
        source: The recording.
        picture: Image file, written in one step; its suffix says the format, such as ".png".

    Returns:
        The image file.

    Raises:
        AudioError: If the recording cannot be read.
    """
    sound = _spectrogram(source, verdict)
    figure, (spectrum, weights, scores) = _panels(sound.duration_s, (2.4, 1, 1.6), height=7.4)
    _draw_spectrogram(spectrum, sound)
    _draw_experts(spectrum, weights, verdict)
    _draw_scores(scores, verdict)
    _title(figure, verdict)
    return _save(figure, picture)


def _panels(
    duration_s: float, heights: tuple[float, ...], *, height: float
) -> tuple[Figure, Sequence[Axes]]:
    """Return a figure with panels one below the other over one axis of time."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MultipleLocator

    figure = Figure(figsize=(11, height), dpi=120, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(heights), 1, sharex=True, gridspec_kw={"height_ratios": heights})
    for axes in panels:
        axes.tick_params(labelsize=8.5, colors=INK, length=3)
        axes.spines[["top", "right"]].set_visible(False)
    last: Axes = panels[-1]
    last.set_xlim(0, duration_s)
    last.xaxis.set_major_formatter(_clock)
    if duration_s > _TICKS_S[0] * _MOST_TICKS:
        step_s = next((s for s in _TICKS_S if duration_s / s <= _MOST_TICKS), _TICKS_S[-1])
        last.xaxis.set_major_locator(MultipleLocator(step_s))
    last.set_xlabel("time", fontsize=9, color=INK)
    return figure, panels


def _save(figure: Figure, picture: Path) -> Path:
    with in_one_step(picture) as unfinished:
        figure.savefig(unfinished)
    return picture


@dataclass(frozen=True, eq=False)
class _Sound:
    """Mean power [K, C] of each column of the picture."""

    power: FloatArray
    duration_s: float


def _spectrogram(source: audio.Source, verdict: Verdict) -> _Sound:
    duration_s = max(verdict.duration_s, 1e-3)
    n_samples = round(duration_s * audio.SAMPLE_RATE_HZ)
    n_columns = max(1, min(_N_COLUMNS, n_samples // 64))
    hop = max(64, min(_N_FFT, n_samples // (2 * n_columns)))
    power, count = np.zeros((n_columns, _N_FFT // 2 + 1)), np.zeros(n_columns)
    taper = np.hanning(_N_FFT)
    waiting, start = np.zeros(0, np.float32), 0
    channel, track = verdict.channel, track_number(verdict.track)
    with audio.open_stream(source, name=verdict.source, channel=channel, track=track) as stream:
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
            waiting, start = waiting[n_frames * hop :], start + n_frames * hop
    mean = power / np.maximum(count, 1)[:, None]
    filled = np.flatnonzero(count)
    if filled.size:  # columns between two frames of a short clip take the nearest frame
        nearest = filled[np.abs(filled[:, None] - np.arange(n_columns)).argmin(axis=0)]
        mean = mean[nearest]
    return _Sound(mean.T, duration_s)


def _draw_spectrogram(axes: Axes, sound: _Sound) -> None:
    level_db = 10 * np.log10(sound.power + 1e-12)
    top_db = max(float(level_db.max()), -60.0)
    axes.imshow(
        level_db,
        origin="lower",
        aspect="auto",
        cmap="Greys",
        alpha=0.7,
        vmin=top_db - _RANGE_DB,
        vmax=top_db,
        extent=(0, sound.duration_s, 0, audio.SAMPLE_RATE_HZ / 2000),
        interpolation="bilinear",
    )
    axes.set_yticks([0, 2, 4, 6, 8])
    axes.set_ylabel("kHz", fontsize=9, color=INK)


def _draw_scores(axes: Axes, verdict: Verdict) -> None:
    low, high = verdict.thresholds
    window_scores = [window.score for window in verdict.windows]
    edges_s, (score,) = _parts(verdict, np.array([window_scores], np.float64))  # None is NaN
    known = score[np.isfinite(score)]
    top = 1.15 * max([_LEAST_SCORE, abs(low), abs(high), *np.abs(known)])
    sides = {
        "bonafide": (score >= high, high, top),
        "spoof": (score < low, -top, low),
        "undecided": ((score >= low) & (score < high), low, high),
    }
    times_s, twice = np.repeat(edges_s, 2)[1:-1], np.repeat(score, 2)
    width = 2.2 if score.size < _MANY_PARTS else 0.9
    for side, (inside, bottom, ceiling) in sides.items():
        colour = _COLOURS[side]
        axes.axhspan(bottom, ceiling, color=colour, alpha=0.09, linewidth=0)
        over = np.repeat(inside, 2)
        axes.fill_between(times_s, 0, twice, where=over, color=colour, alpha=0.35, linewidth=0)
        axes.plot(times_s, np.where(over, twice, np.nan), color=colour, linewidth=width)
    silent = np.repeat(np.isnan(score), 2)
    axes.fill_between(times_s, -top, top, where=silent, color=NO_SPEECH, alpha=0.2, linewidth=0)
    for threshold in {low, high}:
        axes.axhline(threshold, color=INK, linewidth=0.7, linestyle=(0, (4, 3)), alpha=0.6)
    axes.axhline(0, color=INK, linewidth=0.6)
    for segment in verdict.segments or ():
        if segment.decision == "spoof":
            ends = (segment.start_s, segment.end_s)
            axes.axvspan(*ends, ymin=0.965, color=SPOOF, linewidth=0)
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


def _draw_experts(spectrum: Axes, weights: Axes, verdict: Verdict) -> None:
    """Draw the experts' scores over a spectrogram, and their weights as bands on each other."""
    from matplotlib.patheffects import Normal, Stroke

    edges_s, names, scores, share = _experts(verdict)
    times_s = np.repeat(edges_s, 2)[1:-1]
    scores, share = np.repeat(scores, 2, axis=1), np.repeat(share, 2, axis=1)
    tops = np.cumsum(share, axis=0)
    width = 2.4 if edges_s.size < _MANY_PARTS else 1.4
    outlined = [Stroke(linewidth=1.9 * width, foreground="white"), Normal()]
    over, bands = spectrum.twinx(), []
    for place in range(len(names)):
        again, which = divmod(place, len(_EXPERT_COLOURS))
        colour, (dashes, hatch) = _EXPERT_COLOURS[which], _EXPERT_STYLES[again % 3]
        over.plot(times_s, scores[place], dashes, c=colour, lw=width, path_effects=outlined)
        floor, top = tops[place] - share[place], tops[place]
        bands += [weights.fill_between(times_s, floor, top, fc=colour, ec="white", hatch=hatch)]
        bands[-1].set_linewidth(width / 3)
    silent = np.isnan(share).all(axis=0)
    weights.fill_between(times_s, 0, 1, where=silent, color=NO_SPEECH, alpha=0.2, linewidth=0)
    limit = 1.15 * max([_LEAST_SCORE, *np.abs(scores[np.isfinite(scores)])])
    over.axhline(0, color=INK, linewidth=0.8, zorder=1)
    over.set_ylim(-limit, limit)
    over.set_ylabel("experts' scores (up: bona fide)", fontsize=9, color=INK)
    over.tick_params(labelsize=8.5, colors=INK, length=3)
    over.spines["top"].set_visible(False)
    weights.set_ylim(0, 1)
    weights.set_yticks([0, 0.5, 1], ["0", "50 %", "100 %"])
    weights.set_ylabel("experts' weights", fontsize=9, color=INK)
    if bands:
        _name_bands(weights, bands, names, verdict)


def _name_bands(
    weights: Axes, bands: Sequence[Artist], names: Sequence[str], verdict: Verdict
) -> None:
    """Name the bands above them, with the score and weight of each expert over the recording."""
    words = {
        expert.name: f": score {expert.score:+.2f}, weight {100 * expert.weight:.0f} %"
        for expert in verdict.experts
    }
    weights.legend(
        bands,
        [name + words.get(name, "") for name in names],
        loc="lower center",
        bbox_to_anchor=(0.5, 1),
        ncols=3,
        frameon=False,
        fontsize=9,
    )


def _experts(verdict: Verdict) -> tuple[FloatArray, list[str], FloatArray, FloatArray]:
    """Return the edges [P + 1] of parts, the experts' names, scores [E, P] and weights [E, P].

    Means over the windows over a part as `mean_of_experts` takes them, so that the weighted sum of
    the scores is the mean score of the windows.
    """
    windows = verdict.windows
    names = next(
        ([expert.name for expert in window.experts] for window in windows if window.experts), []
    )
    none = [ExpertScore(name, np.nan, np.nan) for name in names]
    pairs = [
        (expert.score, expert.weight) for window in windows for expert in window.experts or none
    ]
    scores, share = np.array(pairs).reshape(len(windows), len(names), 2).T
    edges_s, means = _parts(verdict, np.concatenate([scores * share, share, scores]))
    product, share, scores = np.split(means, 3)
    counts = share > _NO_WEIGHT
    return edges_s, names, np.where(counts, product / np.where(counts, share, 1), scores), share


def _parts(verdict: Verdict, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the edges [P + 1] of parts that do not overlap, and means [V, P] of values [V, N].

    Windows overlap: a part has the mean over the windows over it, NaN if none of them has a value.
    """
    starts_s = np.array([window.start_s for window in verdict.windows])
    ends_s = np.array([window.end_s for window in verdict.windows])
    edges_s = np.unique(np.concatenate([starts_s, ends_s, [0.0, verdict.duration_s]]))
    known = np.array([window.score is not None for window in verdict.windows], bool)
    total, count = np.zeros((edges_s.size, len(values))), np.zeros(edges_s.size)
    for times_s, sign in ((starts_s, 1), (ends_s, -1)):
        place = np.searchsorted(edges_s, times_s[known])
        np.add.at(total, place, sign * values[:, known].T)
        np.add.at(count, place, sign)
    over = np.cumsum(count)[:-1]
    mean = np.cumsum(total, axis=0)[:-1].T / np.maximum(over, 1)
    return edges_s, np.where(over > 0, mean, np.nan)


def _title(figure: Figure, verdict: Verdict) -> None:
    words = _WORDS[verdict.decision]
    if verdict.score is not None and verdict.spoof_probability is not None:
        probability = percent(verdict.spoof_probability)
        words += f"   score {verdict.score:+.2f}   spoof probability {probability}"
    figure.suptitle(words, fontsize=15, color=_COLOURS[verdict.decision], fontweight="bold")
    detector = f"{verdict.detector.name} {verdict.detector.version}"
    lines = [f"{Path(verdict.source).name}   scored by {detector}"]
    lines += [words for words in (where(verdict.to_dict()), verdict.reason) if words]
    lines += verdict.warnings
    figure.axes[0].set_title("\n".join(fill(line, 150) for line in lines), fontsize=9, color=INK)


def _clock(seconds: float, _: object) -> str:
    minutes, rest = divmod(round(max(0.0, seconds), 2), 60)
    hours, minutes = divmod(int(minutes), 60)
    if not hours and not minutes:
        return f"{rest:g} s"
    second = f"{rest:05.2f}".rstrip("0").rstrip(".") if rest % 1 else f"{int(rest):02d}"
    return f"{hours}:{minutes:02d}:{second}" if hours else f"{minutes}:{second}"
