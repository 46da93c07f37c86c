"""Pictures of a report as PNG bytes: DET curves, score histograms, calibration, conditions."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from unheard.audio.conditions import CONDITIONS, RAW
from unheard.evaluation.results import Report
from unheard.evaluation.scores import SCORED
from unheard.metrics import det_curve, reliability, tippett
from unheard.types import BoolArray, FloatArray

if TYPE_CHECKING:
    import pyarrow as pa
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["calibration", "conditions", "det", "figure_of", "histogram", "png_of"]

# Okabe and Ito's palette, distinguishable under every common colour blindness.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#888888")
BONAFIDE, SPOOF = COLOURS[0], COLOURS[1]
DASHES = ("-", "--", "-.", ":")
TICKS = (0.001, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99)
MOST_FAMILIES = 12
MOST_POINTS = 2000
MOST_LLR = 30.0
DPI = 110


def det(table: pa.Table, report: Report) -> bytes:
    """Draw the error rates over all thresholds, by part and by family or attack, on normal axes."""
    scored = _Scored(table)
    figure = figure_of(10.5, 7.4)
    by_part, by_family = figure.subplots(1, 2)
    for index, part in enumerate(report.parts):
        human, machine = scored.classes(scored.part == part)
        rate = report.pooled(part).metrics["eer"].value
        _curve(by_part, human, machine, f"{part}, EER {rate:.1%}", index, index)
    by = "family" if any(row.by == "family" for row in report.rows) else "attack"
    rows = [row for row in report.rows if row.by == by]
    worst = sorted(rows, key=lambda row: -row.metrics["eer"].value)[:MOST_FAMILIES]
    for index, row in enumerate(worst):
        inside = (scored.part == row.part) & (scored.bonafide | (scored.named[by] == row.group))
        label = f"{row.group} ({row.part}), {row.metrics['eer'].value:.1%}"
        _curve(by_family, *scored.classes(inside), label, index, report.parts.index(row.part))
    by_part.set_title("By part", loc="left")
    hidden = f", the {MOST_FAMILIES} worst" if len(rows) > MOST_FAMILIES else ""
    title = "By attack family" if by == "family" else "By attack"
    by_family.set_title(f"{title}, with EER{hidden}", loc="left")
    for axes in (by_part, by_family):
        _normal_axes(axes)
    if not worst:
        by_family.text(
            0.5,
            0.5,
            "neither families nor attacks named",
            transform=by_family.transAxes,
            ha="center",
        )
    return png_of(figure)


def histogram(table: pa.Table, report: Report) -> bytes:
    """Draw the scores of both classes for each part, with the published thresholds."""
    scored = _Scored(table)
    figure = figure_of(10.5, 0.6 + 2.7 * len(report.parts))
    rows = figure.subplots(len(report.parts), 1, sharex=True, squeeze=False)[:, 0]
    low, high = np.quantile(scored.score, [0.002, 0.998])
    thresholds = report.facts.thresholds
    low, high = min(low, -1.0, *thresholds), max(high, 1.0, *thresholds)
    edges = np.linspace(low, high, 61)
    for axes, part in zip(rows, report.parts, strict=True):
        human, machine = scored.classes(scored.part == part)
        for scores, colour, name in ((human, BONAFIDE, "bona fide"), (machine, SPOOF, "spoof")):
            shares = np.histogram(np.clip(scores, low, high), edges)[0] / scores.size
            axes.stairs(100 * shares, edges, color=colour, fill=True, alpha=0.35)
            axes.stairs(100 * shares, edges, color=colour, lw=1.4, label=f"{name}, {scores.size:,}")
        axes.set_title(part, loc="left")
        axes.set_ylabel("clips of the class, %")
        axes.set_ylim(top=1.15 * axes.get_ylim()[1])  # space for the words
        _mark_thresholds(axes, thresholds)
        axes.legend(frameon=False, fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
    unit = ": natural-log likelihood ratio" if report.facts.calibrated else " as in the file"
    rows[-1].set_xlabel(f"score{unit}, up is bona fide; outliers are in the outermost bars")
    return png_of(figure)


def calibration(table: pa.Table, report: Report) -> bytes:
    """Draw whether scores keep what they promise as log-likelihood ratios, for each part.

    Left how often clips are spoof against the probability that the score claims, both classes
    weighing the same; right (Tippett) the share of each class with at least a score.
    """
    scored = _Scored(table)
    figure = figure_of(10.5, 5.2)
    claimed, evidence = figure.subplots(1, 2)
    low, high = np.quantile(scored.score, [0.002, 0.998])
    low, high = max(min(low, -1.0), -MOST_LLR), min(max(high, 1.0), MOST_LLR)
    llr = np.linspace(low, high, MOST_POINTS)
    claimed.plot([0, 1], [0, 1], color="#bbbbbb", lw=0.8, zorder=0)
    for index, part in enumerate(report.parts):
        human, machine = scored.classes(scored.part == part)
        bins = reliability(human, machine)
        style: Any = {"ls": DASHES[index % len(DASHES)], "lw": 1.6}
        label, colour = f"{part}, mean error {bins.error:.1%}", COLOURS[index % len(COLOURS)]
        claimed.plot(
            bins.predicted, bins.observed, marker="o", ms=4, color=colour, label=label, **style
        )
        curve = tippett(human, machine)
        for shares, name, side in (
            (curve.bonafide, "bona fide", BONAFIDE),
            (curve.spoof, "spoof", SPOOF),
        ):
            above = np.append(100 * shares, 0.0)[np.searchsorted(curve.llr, llr)]
            evidence.plot(llr, above, color=side, label=f"{part}, {name}", **style)
    claimed.set_title("Reliability", loc="left")
    claimed.set_xlabel("spoof probability that the score claims, even prior")
    claimed.set_ylabel("share that is spoof, both classes weighing the same")
    evidence.axvline(0, color="#555555", lw=1, ls="--")
    evidence.set_title("Evidence (Tippett)", loc="left")
    evidence.set_xlim(low, high)
    evidence.set_xlabel("score s, taken for a natural-log likelihood ratio")
    evidence.set_ylabel("clips of the class with at least s, %")
    for axes in (claimed, evidence):
        axes.grid(color="#e5e5e5", lw=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        _legend_below(axes)
    return png_of(figure)


def conditions(report: Report) -> bytes:
    """Draw the EER of each part under each condition with its interval, conditions by group."""
    names = list(dict.fromkeys(row.condition for row in report.conditions))
    groups = [CONDITIONS[name].group if name in CONDITIONS else name for name in names]
    new_group = [a != b for a, b in zip(groups, [groups[0], *groups], strict=False)]
    height = np.arange(len(names)) + 0.6 * np.cumsum(new_group)
    figure = figure_of(10.5, 1.6 + 0.3 * height[-1])
    axes = figure.subplots()
    for index, part in enumerate(report.parts):
        colour = COLOURS[index % len(COLOURS)]
        shift = 0.22 * (index - (len(report.parts) - 1) / 2)
        for row in report.conditions:
            if row.part != part or row.eer is None or row.eer_low is None or row.eer_high is None:
                continue
            if row.condition == RAW:
                axes.axvline(100 * row.eer, color=colour, lw=1, ls="--", zorder=0)
            at = float(height[names.index(row.condition)]) + shift
            axes.plot([100 * row.eer_low, 100 * row.eer_high], [at, at], color=colour, lw=1.6)
            mark = colour if row.sure else "white"
            axes.plot(100 * row.eer, at, "o", ms=5, color=colour, mfc=mark)
        axes.plot([], [], "o-", color=colour, label=part)
    for mark, words in (("#888888", "more than luck"), ("white", "may be luck")):
        axes.plot([], [], "o", ms=5, color="#888888", mfc=mark, label=f"difference to raw {words}")
    axes.set_yticks(height, names)
    axes.set_ylim(height[-1] + 0.7, height[0] - 0.7)
    axes.set_xlim(left=0)
    axes.set_xlabel("EER, %")
    axes.xaxis.grid(color="#e5e5e5", lw=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=8)
    return png_of(figure)


class _Scored:
    """The scored clips as arrays, each shape [N]."""

    def __init__(self, table: pa.Table) -> None:
        import pyarrow.compute as pc

        rows = table.filter(pc.equal(table.column("status"), SCORED))
        self.score: FloatArray = rows.column("score").to_numpy()
        self.bonafide: BoolArray = rows.column("bonafide").to_numpy(zero_copy_only=False)
        self.part: Any = rows.column("part").to_numpy(zero_copy_only=False)
        self.named: dict[str, Any] = {
            name: rows.column(name).to_numpy(zero_copy_only=False) for name in ("family", "attack")
        }

    def classes(self, inside: BoolArray) -> tuple[FloatArray, FloatArray]:
        return self.score[inside & self.bonafide], self.score[inside & ~self.bonafide]


def figure_of(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches, drawn without a screen."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def png_of(figure: Figure) -> bytes:
    """Return a figure as PNG; the same figure gives the same bytes."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=DPI, bbox_inches="tight", metadata={"Software": None})
    return content.getvalue()


def _curve(
    axes: Axes, human: FloatArray, machine: FloatArray, label: str, colour: int, dash: int
) -> None:
    from scipy.special import ndtri

    miss, false_alarm, _ = det_curve(human, machine)
    # Rates of 0 and 1 lie at infinity: draw them half a clip away.
    x = ndtri(np.clip(miss, 0.5 / human.size, 1 - 0.5 / human.size))
    y = ndtri(np.clip(false_alarm, 0.5 / machine.size, 1 - 0.5 / machine.size))
    if x.size > MOST_POINTS:
        along = np.concatenate([[0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
        wanted = np.linspace(0, along[-1], MOST_POINTS)
        kept = np.unique(np.searchsorted(along, wanted).clip(max=x.size - 1))
        x, y = x[kept], y[kept]
    style = DASHES[dash % len(DASHES)]
    axes.plot(x, y, style, color=COLOURS[colour % len(COLOURS)], lw=1.6, label=label)


def _normal_axes(axes: Axes) -> None:
    from scipy.special import ndtri

    places, names = ndtri(TICKS), [f"{100 * tick:g}" for tick in TICKS]
    axes.axline((0, 0), slope=1, color="#bbbbbb", lw=0.8, zorder=0)
    axes.set_xticks(places, names)
    axes.set_yticks(places, names)
    axes.set_xlim(ndtri(0.0005), ndtri(0.99))
    axes.set_ylim(ndtri(0.0005), ndtri(0.99))
    axes.grid(color="#e5e5e5", lw=0.6)
    axes.set_aspect("equal")
    axes.set_xlabel("bona fide clips called spoof, %")
    axes.set_ylabel("spoofed clips called bona fide, %")
    if axes.get_legend_handles_labels()[0]:
        _legend_below(axes)


def _legend_below(axes: Axes) -> None:
    """Below the axes: inside it would hide the curves of a weak detector."""
    axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2, frameon=False)


def _mark_thresholds(axes: Axes, thresholds: tuple[float, ...]) -> None:
    for threshold in sorted(set(thresholds)):
        axes.axvline(threshold, color="#555555", lw=1, ls="--")
    if not thresholds:
        return
    low, high = thresholds[0], thresholds[-1]
    top = axes.get_xaxis_transform()

    def say(x: float, words: str, side: str) -> None:
        axes.text(x, 0.94, words, transform=top, fontsize=8, color="#555555", ha=side)

    say(low, "spoof ", "right")
    say(high, " bona fide", "left")
    if high > low:
        say((low + high) / 2, "undecided", "center")
