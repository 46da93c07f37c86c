"""Is what a run logged drawn where it belongs, and refused where there is nothing to draw?"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imread

import cli_run
from unheard.errors import TrainingError
from unheard.training import curves
from unheard.training.curves import Run, draw, read

Unheard = Callable[..., cli_run.Run]
unheard = pytest.fixture(cli_run.runner)


def lines(**logged: Iterable[float | None]) -> list[dict[str, float]]:
    """Return the lines of a log with a step every 10; None is not logged."""
    rows = zip(*logged.values(), strict=True)
    return [
        {"step": 10 * (place + 1), "rate": 1e-3, "gradient_norm": 1.0}
        | {name: v for name, v in zip(logged, row, strict=True) if v is not None}
        for place, row in enumerate(rows)
    ]


def write(folder: Path, rows: list[dict[str, float]], end: str = "") -> Path:
    folder.mkdir(parents=True)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "log.jsonl").write_text(text + end)
    return folder


GROWN = lines(
    loss=[0.7, 0.6, 0.5, 0.4],
    cross_entropy=[0.7, 0.6, 0.5, 0.4],
    dev_eer=[None, 0.3, None, 0.2],
    dev_cllr=[None, 0.9, None, 0.8],
    **{"_width recurrent.0": [16, 24, 24, 20], "_width recurrent.1": [16, 16, 16, 16]},
)
PLAIN = lines(
    loss=[0.8, 0.7, 0.7, 0.6], dev_eer=[None, 0.4, None, 0.4], dev_cllr=[None, 1, None, 0.9]
)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., list[Axes]]:
    """What draws runs and returns the panels."""

    def panels(*runs: Run) -> list[Axes]:
        kept: list[Figure] = []
        save = Figure.savefig

        def keep(figure: Figure, *args: Any, **options: Any) -> None:
            kept.append(figure)
            save(figure, *args, **options)

        monkeypatch.setattr(Figure, "savefig", keep)
        draw(runs, tmp_path / "drawn.png")
        return kept[0].axes

    return panels


def run(name: str, rows: list[dict[str, float]]) -> Run:
    return Run(name, tuple(rows))


def labels(panels: list[Axes]) -> list[str]:
    return [axes.get_ylabel() for axes in panels]


def test_a_run_is_read_as_it_was_logged(tmp_path: Path) -> None:
    run = read(write(tmp_path / "grown", GROWN))
    assert run.name == "grown"
    steps, values = run.series("dev_eer")
    assert (steps.tolist(), values.tolist()) == ([20, 40], [0.3, 0.2])
    at, by = run.changes("_width recurrent.0")
    assert (at.tolist(), by.tolist()) == ([20, 40], [8, -4])
    assert run.series("nothing")[0].size == 0


def test_a_line_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    folder = write(tmp_path / "going-on", PLAIN, end='{"step": 50, "lo')
    assert len(read(folder).lines) == len(PLAIN)


def test_there_is_a_panel_for_what_was_logged_and_for_nothing_else(
    drawn: Callable[..., list[Axes]],
) -> None:
    known = ["loss", "dev EER, %", "dev Cllr, bits"]
    assert labels(drawn(run("plain", PLAIN))) == known
    assert labels(drawn(run("plain", PLAIN), run("grown", GROWN))) == [*known, "units"]


def test_what_a_method_logged_has_panels_with_zero_in_sight(
    drawn: Callable[..., list[Axes]],
) -> None:
    rows = lines(loss=[0.7, 0.6], cross_entropy=[0.7, 0.6], _meta_cosine=[-0.2, 0.1])
    loss, cosine = drawn(run("meta", rows), run("plain", PLAIN[:1]))
    assert cosine.get_ylabel() == "meta cosine"
    assert [np.asarray(line.get_ydata()).tolist() for line in cosine.lines] == [
        [-0.2, 0.1],
        [],
        [0, 0],
    ]
    assert len(loss.lines) == 2


def test_terms_of_an_objective_are_drawn_only_if_they_are_not_the_loss(
    drawn: Callable[..., list[Axes]],
) -> None:
    rows = lines(loss=[0.7, 0.6], cross_entropy=[0.5, 0.5], contrast=[0.2, 0.1])
    assert labels(drawn(run("two terms", rows))) == ["loss", "cross entropy", "contrast"]


def test_widths_are_steps_with_marks_where_units_came_and_went(
    drawn: Callable[..., list[Axes]],
) -> None:
    *_, units = drawn(run("grown", GROWN))
    stairs = [line for line in units.lines if line.get_drawstyle() == "steps-post"]
    assert [np.asarray(line.get_ydata()).tolist() for line in stairs] == [
        [16, 24, 24, 20],
        [16] * 4,
    ]
    marks = {
        line.get_marker(): list(zip(*map(np.asarray, line.get_data()), strict=True))
        for line in units.lines
        if line.get_marker() in ("^", "v") and np.size(line.get_xdata())
    }
    assert marks == {"^": [(20, 24)], "v": [(40, 20)]}
    legend = units.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["recurrent.0", "recurrent.1"]


def test_growth_is_marked_in_all_panels(drawn: Callable[..., list[Axes]]) -> None:
    for axes in drawn(run("plain", PLAIN), run("grown", GROWN)):
        thin = [line for line in axes.lines if line.get_alpha() == 0.25]
        assert [line.get_xdata()[0] for line in thin] == [20, 40]  # type: ignore[index]


def test_widths_that_are_always_the_same_share_a_line(drawn: Callable[..., list[Axes]]) -> None:
    rows = lines(loss=[1, 1], **{f"_width blocks.{n}": [8 + n // 2, 9 + n // 2] for n in range(4)})
    _, units = drawn(run("four", rows))
    legend = units.get_legend()
    assert legend is not None
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == ["blocks.0\nblocks.1", "blocks.2\nblocks.3"]


def test_the_legend_names_runs_and_the_step_that_training_kept(
    drawn: Callable[..., list[Axes]],
) -> None:
    panels = drawn(run("plain", PLAIN), run("grown", GROWN), run("no check", lines(loss=[1.0])))
    figure = panels[0].figure
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "plain   best dev EER 40.0% at step 40",  # of equal EER the one of lower Cllr
        "grown   best dev EER 20.0% at step 40",
        "no check",
    ]
    assert len({handle.get_color() for handle in legend.get_lines()}) == 3


def test_a_long_log_is_drawn_with_its_running_mean(drawn: Callable[..., list[Axes]]) -> None:
    values = np.random.default_rng(2).normal(size=200)
    (panel,) = drawn(run("long", lines(loss=values.tolist())))
    raw, mean = panel.lines[:2]
    np.testing.assert_allclose(np.asarray(raw.get_ydata(), float), values)
    smooth = np.asarray(mean.get_ydata())
    assert smooth[0] == pytest.approx(values[:11].mean())
    assert smooth[100] == pytest.approx(values[90:111].mean())
    assert smooth[-1] == pytest.approx(values[-11:].mean())


@pytest.mark.parametrize("suffix", curves.PICTURES)
def test_the_command_draws_several_runs_in_any_format(
    suffix: str, tmp_path: Path, unheard: Unheard
) -> None:
    picture = tmp_path / f"new/both{suffix}"
    plain, grown = write(tmp_path / "one", PLAIN), write(tmp_path / "other", GROWN)
    result = unheard("inspect", "training", plain, grown, "--out", picture)
    assert (result.code, result.out) == (0, f"{picture}\n")
    assert [path.name for path in picture.parent.iterdir()] == [picture.name]
    if suffix == ".png":
        height, width, _ = imread(picture).shape
        assert width > height > 700


def test_what_is_no_run_is_refused_with_a_remedy(tmp_path: Path, unheard: Unheard) -> None:
    for name in ("not there", "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(TrainingError, match="give the folder of a run"):
            read(tmp_path / name)
    with pytest.raises(TrainingError, match="wait until the run has logged a step"):
        read(write(tmp_path / "just begun", []))
    for number, text in enumerate(("{", "[1]", '{"loss": 1}', '{"step": 1, "loss": [1]}')):
        folder = write(tmp_path / f"damaged-{number}", PLAIN, end=text + "\n")
        with pytest.raises(TrainingError, match="resume the run"):
            read(folder)
    result = unheard("inspect", "training", tmp_path / "empty", "--out", tmp_path / "a.png")
    assert result.code == 1
    assert "holds no log.jsonl" in result.text
    result = unheard("inspect", "training", tmp_path / "empty", "--out", tmp_path / "a.gif")
    assert result.code == 2
    assert "end its name in one of .png, .pdf, .svg" in result.text
