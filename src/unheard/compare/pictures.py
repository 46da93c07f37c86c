"""Pictures of a comparison as PNG bytes: spread over seeds, families by methods, ranks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unheard.compare.results import KNOWN_PART, ComparisonResult, Line, Ranking
from unheard.evaluation.pictures import COLOURS, figure_of, png_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["drawn"]

GREY = "#555555"


def drawn(result: ComparisonResult) -> dict[str, bytes]:
    """Draw what a comparison has the numbers for, by file name."""
    pictures = {}
    if any(_spread(line) for line in result.lines):
        pictures["seeds.png"] = seeds(result)
    if any(line.families for line in result.lines):
        pictures["families.png"] = families(result)
    if result.ranking is not None:
        pictures["ranks.png"] = ranks(result.ranking)
    return pictures


def seeds(result: ComparisonResult) -> bytes:
    """Draw the mean over unknown families of every seed and method, best on top."""
    lines = [line for line in result.lines if _spread(line)]
    figure = figure_of(8.0, 1.1 + 0.36 * len(lines))
    axes = figure.subplots()
    for row, line in enumerate(lines):
        estimate = line.numbers["out_mean"]
        colour = COLOURS[1] if line.method == result.baseline else COLOURS[0]
        axes.plot([100 * estimate.low, 100 * estimate.high], [row, row], color=colour, lw=6,
                  alpha=0.25, solid_capstyle="butt")  # fmt: skip
        axes.plot([100 * estimate.value] * 2, [row - 0.28, row + 0.28], color=colour, lw=2)
        dots = [100 * value for value in estimate.seeds]
        axes.plot(dots, [row] * len(dots), "o", ms=5, color=colour, mfc="white", mew=1.4)
    axes.set_yticks(range(len(lines)), [line.method for line in lines])
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.set_xlabel("EER, mean of unknown families, %")
    axes.grid(axis="x", color="#e5e5e5", lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return png_of(figure)


def families(result: ComparisonResult) -> bytes:
    """Draw the EER of each family and method, known families first, methods best on top."""
    lines = [line for line in result.lines if line.families]
    present = {key for line in lines for key in line.families}
    keys = sorted(present, key=lambda key: (key[0] != KNOWN_PART, *key))
    rates = np.array(
        [[line.families[key].value if key in line.families else np.nan for key in keys]
         for line in lines]
    )  # fmt: skip
    figure = figure_of(2.6 + 0.85 * len(keys), 1.6 + 0.36 * len(lines))
    axes = figure.subplots()
    image = axes.imshow(100 * rates, cmap="viridis_r", vmin=0, vmax=max(50.0, 100 * rates.max(
        initial=0.0, where=np.isfinite(rates))), aspect="auto")  # fmt: skip
    middle = sum(image.get_clim()) / 2
    for row, column in np.argwhere(np.isfinite(rates)).tolist():
        rate = 100 * rates[row, column]
        ink = "white" if rate > middle else "black"
        axes.text(column, row, f"{rate:.0f}", ha="center", va="center", fontsize=9, color=ink)
    axes.set_xticks(range(len(keys)), [family for _, family in keys], rotation=30, ha="right")
    axes.set_yticks(range(len(lines)), [line.method for line in lines])
    _name_parts(axes, [part for part, _ in keys])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    figure.colorbar(image, ax=axes, label="EER, %")
    return png_of(figure)


def ranks(ranking: Ranking) -> bytes:
    """Draw mean ranks on a line, with bars over methods that cannot be distinguished."""
    ordered = sorted(ranking.means.items(), key=lambda item: item[1])
    n_left = (len(ordered) + 1) // 2
    top = 0.55 + 0.16 * len(ranking.alike)
    height = top + 0.32 * n_left
    figure = figure_of(9.0, 0.9 + 0.75 * height)
    axes = figure.subplots()
    low, high = 1, len(ordered)
    axes.plot([low, high], [0, 0], color="black", lw=1.2)
    for tick in range(low, high + 1):
        axes.plot([tick, tick], [0, -0.08], color="black", lw=1.2)
        axes.text(tick, -0.14, str(tick), ha="center", va="bottom", fontsize=9)
    for place, (name, mean) in enumerate(ordered):
        on_left = place < n_left
        row = place if on_left else len(ordered) - 1 - place
        y = top + 0.32 * row
        edge = low - 0.15 if on_left else high + 0.15
        axes.plot([mean, mean, edge], [0, y, y], color=GREY, lw=0.9)
        side = "right" if on_left else "left"
        word = f"{name}  {mean:.2f} " if on_left else f" {mean:.2f}  {name}"
        axes.text(edge, y, word, ha=side, va="center", fontsize=10)
    for row, alike in enumerate(ranking.alike):
        means = [ranking.means[name] for name in alike]
        y = 0.22 + 0.16 * row
        axes.plot([min(means) - 0.04, max(means) + 0.04], [y, y], color=COLOURS[0], lw=4)
    _critical_difference(axes, ranking.critical_difference, low)
    axes.set_ylim(height, -0.95)
    axes.set_xlim(low - 0.2, high + 0.2)
    axes.axis("off")
    return png_of(figure)


def _critical_difference(axes: Axes, difference: float, low: float) -> None:
    axes.plot([low, low + difference], [-0.6, -0.6], color="black", lw=1.6)
    for x in (low, low + difference):
        axes.plot([x, x], [-0.66, -0.54], color="black", lw=1.6)
    label = f"critical difference {difference:.2f}"
    axes.text(low + difference / 2, -0.68, label, ha="center", va="bottom", fontsize=9)


def _name_parts(axes: Axes, parts: list[str]) -> None:
    """Write above the columns which families are known, and draw a line where they end."""
    words = {KNOWN_PART: "known families", "eval_out": "unknown families"}
    for part in dict.fromkeys(parts):
        columns = [column for column, column_part in enumerate(parts) if column_part == part]
        middle = (columns[0] + columns[-1]) / 2
        axes.text(middle, -0.62, words.get(part, part), ha="center", va="bottom", fontsize=9)
        if columns[0]:
            axes.axvline(columns[0] - 0.5, color="white", lw=4)


def _spread(line: Line) -> bool:
    return "out_mean" in line.numbers
