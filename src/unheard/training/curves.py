"""A picture of training: loss, errors on dev, and what else runs logged, over steps.

What is drawn comes out of log.jsonl alone, so a run that is not finished, or was stopped, can be
drawn too. The first panels are the loss, EER and Cllr on dev; then one for each further number that
a run logged, such as a method's; and the widths of a network that grew.

P points.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unheard.errors import TrainingError
from unheard.files import in_one_step
from unheard.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PICTURES", "Run", "draw", "read"]

PICTURES = (".png", ".pdf", ".svg")
LOG = "log.jsonl"
WIDTH = "_width "
"""What the name of a number of units starts with."""

INK = "#23272b"
# Okabe and Ito's palette, distinguishable under every common colour blindness.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#888888")
DASHES = ("-", "--", ":", "-.")
MARKS = {"grew": "^", "shrank": "v"}
LABELS = {"loss": "loss", "dev_eer": "dev EER, %", "dev_cllr": "dev Cllr, bits"}
_CHOSEN_BY = "dev_systems"
"""In the log of a run whose best step has the lowest mean over systems."""
NOT_DRAWN = {"step", "rate", "gradient_norm"}
MANY_POINTS = 40


@dataclass(frozen=True, eq=False)
class Run:
    """What a training run logged.

    Attributes:
        name: Of its folder.
        lines: Of its log, oldest first: names and numbers, "step" among them.
    """

    name: str
    lines: tuple[dict[str, float], ...]

    @property
    def names(self) -> list[str]:
        """What it logged, in the order of its first appearance."""
        return list(dict.fromkeys(name for line in self.lines for name in line))

    def series(self, name: str) -> tuple[FloatArray, FloatArray]:
        """Return steps [P] and values [P] of the lines that have a name; none if there is none."""
        points = [(line["step"], line[name]) for line in self.lines if name in line]
        steps, values = np.array(points, np.float64).reshape(-1, 2).T
        return steps, values

    def changes(self, name: str) -> tuple[FloatArray, FloatArray]:
        """Return the steps at which a value was first seen changed, and by how much."""
        steps, values = self.series(name)
        by = np.diff(values)
        return steps[1:][by != 0], by[by != 0]


def read(folder: Path) -> Run:
    """Read the log of a run.

    A last line that is not finished yet is left out.

    Args:
        folder: What `unheard train` was given as --out.

    Raises:
        TrainingError: If it is not the folder of a run, or its log is empty or damaged.
    """
    log = folder / LOG
    if not log.is_file():
        problem = "no such folder" if not folder.is_dir() else f"holds no {LOG}"
        raise TrainingError(
            f"{folder}: {problem}; give the folder of a run, as `unheard train --out` had it"
        )
    *whole, _ = log.read_text().split("\n")
    if not whole:
        raise TrainingError(
            f"{log}: empty; wait until the run has logged a step (budget.log_every says which)"
        )
    try:
        lines = [json.loads(line) for line in whole]
        numbers = [{str(k): float(v) for k, v in line.items()} for line in lines]
        assert all("step" in line for line in numbers)
    except (ValueError, TypeError, AttributeError, AssertionError):
        raise TrainingError(
            f"{log}: not the log of a run, whose lines are JSON objects of numbers with a step; "
            "give the folder of a run, or resume the run, which fixes its log"
        ) from None
    return Run(folder.resolve().name, tuple(numbers))


def draw(runs: Sequence[Run], picture: Path) -> Path:
    """Draw runs over each other, a panel for each thing that at least one of them logged.

    Args:
        runs: One or more; each has a colour.
        picture: Image file, written in one step; its suffix is one of PICTURES.

    Returns:
        The image file.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = _panels(runs)
    widths = _alike(runs)
    n_rows = len(panels) + bool(widths)
    height = 0.6 + 0.22 * len(runs) + 1.75 * n_rows
    figure = Figure(figsize=(9, height), dpi=120, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(n_rows, 1, sharex=True, squeeze=False)[:, 0]
    for axes, name in zip(rows, panels, strict=False):
        _draw_numbers(axes, runs, name)
    if widths:
        _draw_widths(rows[-1], runs, widths)
    for axes in rows:
        _mark_changes(axes, runs)
        axes.tick_params(labelsize=8.5, colors=INK, length=3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#e5e5e5", linewidth=0.6)
        axes.set_xlim(left=0)
    figure.align_ylabels(rows)
    rows[-1].set_xlabel("step", fontsize=9, color=INK)
    handles = [_line(place, _legend_label(run)) for place, run in enumerate(runs)]
    figure.legend(handles=handles, loc="outside upper left", fontsize=8.5, frameon=False)
    with in_one_step(picture) as unfinished:
        figure.savefig(unfinished)
    return picture


def _panels(runs: Sequence[Run]) -> list[str]:
    """Return what has a panel: the known first, then what methods and objectives logged."""
    names = dict.fromkeys(name for run in runs for name in run.names)
    first = [name for name in LABELS if name in names]
    rest = [name for name in names if name not in {*LABELS, *NOT_DRAWN}]
    # A single term of an objective is the loss itself.
    terms = [name for name in rest if not name.startswith("_")]
    single = all(len([n for n in run.names if n in terms]) <= 1 for run in runs)
    hidden = {*terms} if single else set()
    return first + [name for name in rest if name not in hidden and not name.startswith(WIDTH)]


def _widths(runs: Sequence[Run]) -> list[str]:
    names = dict.fromkeys(name for run in runs for name in run.names)
    return [name for name in names if name.startswith(WIDTH)]


def _alike(runs: Sequence[Run]) -> list[list[str]]:
    """Return the names of widths, those together that are the same at every step of every run."""
    groups: dict[tuple[bytes, ...], list[str]] = {}
    for name in _widths(runs):
        key = tuple(values.tobytes() for run in runs for values in run.series(name))
        groups.setdefault(key, []).append(name)
    return list(groups.values())


def _draw_numbers(axes: Axes, runs: Sequence[Run], name: str) -> None:
    """Draw one logged number of each run; dev checks with a mark each, the best one larger."""
    checked = name.startswith("dev_")
    for place, run in enumerate(runs):
        steps, values = run.series(name)
        values = 100 * values if name == "dev_eer" else values
        style: dict[str, Any] = {"color": _colour(place), "linestyle": _dash(place)}
        if checked:
            axes.plot(steps, values, marker="o", markersize=3, linewidth=1.4, **style)
            best = steps == _best_step(run)
            axes.plot(steps[best], values[best], marker="o", markersize=7, **style)
            continue
        many = steps.size > MANY_POINTS
        axes.plot(steps, values, linewidth=0.8 if many else 1.4, alpha=0.3 if many else 1, **style)
        if many:
            axes.plot(steps, _running_mean(values, steps.size // 20), linewidth=1.6, **style)
    if any(run.series(name)[1].min(initial=0.0) < 0 for run in runs):
        axes.axhline(0, color=INK, linewidth=0.6)
    label = LABELS.get(name, name.removeprefix("_").replace("_", " "))
    axes.set_ylabel(label, fontsize=9, color=INK)


def _draw_widths(axes: Axes, runs: Sequence[Run], widths: Sequence[Sequence[str]]) -> None:
    """Draw numbers of units as steps, and a mark where units came or went.

    Colours tell runs apart and dashes widths; the widths of a single run have colours too.
    """
    handles = []
    for number, names in enumerate(widths):
        dash = DASHES[number % len(DASHES)]
        for place, run in enumerate(runs):
            colour = _colour(place if len(runs) > 1 else number)
            steps, values = run.series(names[0])
            axes.step(steps, values, where="post", color=colour, linestyle=dash, linewidth=1.6)
            at, by = run.changes(names[0])
            after = values[np.isin(steps, at)]
            for side, mark in ((by > 0, MARKS["grew"]), (by < 0, MARKS["shrank"])):
                axes.plot(at[side], after[side], mark, color=colour, markersize=6)
        label = "\n".join(name.removeprefix(WIDTH) for name in names)
        handles.append(_line(number, label, dash, plain=len(runs) > 1))
    axes.set_ylabel("units", fontsize=9, color=INK)
    axes.margins(y=0.15)
    axes.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8, frameon=False
    )


def _mark_changes(axes: Axes, runs: Sequence[Run]) -> None:
    """Draw a thin line through a panel wherever a network grew or shrank."""
    for place, run in enumerate(runs):
        for step in sorted({step for name in _widths([run]) for step in run.changes(name)[0]}):
            axes.axvline(step, color=_colour(place), linewidth=0.8, alpha=0.25, zorder=0)


def _line(place: int, label: str, dash: Any = None, *, plain: bool = False) -> Any:
    """Return an entry of a legend."""
    from matplotlib.lines import Line2D

    colour = INK if plain else _colour(place)
    return Line2D([], [], color=colour, linestyle=dash or _dash(place), linewidth=1.8, label=label)


def _legend_label(run: Run) -> str:
    best = _best_step(run)
    if best is None:
        return run.name
    (line,) = [line for line in run.lines if line["step"] == best and "dev_eer" in line]
    return f"{run.name}   best dev EER {line['dev_eer']:.1%} at step {best:g}"


def _best_step(run: Run) -> float | None:
    """Return the step whose weights training keeps: lowest EER, then lowest Cllr, then first."""
    checks = [line for line in run.lines if "dev_eer" in line]
    if not checks:
        return None
    best = min(
        checks,
        key=lambda line: (line.get(_CHOSEN_BY, line["dev_eer"]), line.get("dev_cllr", 0.0)),
    )
    return best["step"]


def _running_mean(values: FloatArray, n: int) -> FloatArray:
    """Return the mean over 2 n + 1 points around each, fewer at the edges, [P] -> [P]."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    first = np.maximum(np.arange(values.size) - n, 0)
    last = np.minimum(np.arange(values.size) + n + 1, values.size)
    mean: FloatArray = (total[last] - total[first]) / (last - first)
    return mean


def _colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]


def _dash(place: int) -> Any:
    return DASHES[place // len(COLOURS) % len(DASHES)]
