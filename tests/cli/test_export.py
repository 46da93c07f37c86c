"""The commands export and pull."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli_run import Run
from unheard.detectors import onnx
from unheard.detectors.bundle import load
from unheard.detectors.detector import Detector
from unheard.detectors.exported import Exported

DATA = Path(__file__).parents[1] / "tiny"
CLIPS = DATA / "equalised.parquet"


@pytest.fixture(scope="module", autouse=True)
def one_graph() -> Iterator[None]:
    """Trace one graph for all tests of this file: it takes seconds."""
    exported: dict[float, bytes] = {}
    trace = onnx.graph

    def once(detector: Detector, window_s: float) -> bytes:
        if window_s not in exported:
            exported[window_s] = trace(detector, window_s)
        return exported[window_s]

    onnx.graph = once
    yield
    onnx.graph = trace


def test_a_bundle_becomes_one_that_needs_no_torch(
    unheard: Callable[..., Run], toy: Path, tmp_path: Path
) -> None:
    run = unheard("export", toy, "--out", tmp_path / "out")
    assert run.code == 0
    assert run.out.strip() == str(tmp_path / "out")
    assert "raw scores differ from torch's by" in run.text
    assert isinstance(load(tmp_path / "out").model, Exported)
    clip = Path(__file__).parents[2] / "examples/human-english.flac"
    ours = unheard("score", clip, "--detector", tmp_path / "out")
    theirs = unheard("score", clip, "--detector", toy)
    assert ours.out == theirs.out


def test_rounding_is_told_with_what_it_costs(
    unheard: Callable[..., Run], toy: Path, tmp_path: Path
) -> None:
    run = unheard(
        "export", toy, "--out", tmp_path / "out", "--int8", "--data", CLIPS, "--sample", 6
    )
    assert run.code == 0
    assert "rounding moved raw scores by 0 on average" in run.text
    export = load(tmp_path / "out").card.export
    assert export is not None
    assert export.shift is not None
    assert export.shift.protocol == "open, 6 clips of it"
    assert (export.shift.n_bonafide, export.shift.n_spoof) == (2, 4)
    assert export.shift.eer_before == export.shift.eer_after


def test_a_bundle_goes_to_a_hubs_folder_and_back(
    unheard: Callable[..., Run], toy: Path, tmp_path: Path
) -> None:
    out = unheard("export", toy, "--to", "hub", "--out", tmp_path / "hub", "--licence", "mit")
    assert out.code == 0
    assert "license: mit" in (tmp_path / "hub/README.md").read_text()
    back = unheard("pull", tmp_path / "hub", "--out", tmp_path / "back")
    assert back.code == 0
    assert load(tmp_path / "back").sha256 == load(toy).sha256


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        (("--int8",), "give clips to measure with --data"),
        (("--data", "x"), "go with --int8"),
        (("--push", "a/b"), "go with --to hub"),
        (("--to", "hub", "--int8"), "goes with --to onnx"),
        (("--to", "hub", "--public"), "--public goes with --push"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    unheard: Callable[..., Run], toy: Path, tmp_path: Path, options: tuple[str, ...], remedy: str
) -> None:
    run = unheard("export", toy, "--out", tmp_path / "out", *options)
    assert run.code == 2
    assert remedy in run.text
    assert not (tmp_path / "out").exists()


def test_an_export_is_not_exported_again(
    unheard: Callable[..., Run], toy: Path, tmp_path: Path
) -> None:
    unheard("export", toy, "--out", tmp_path / "out")
    run = unheard("export", tmp_path / "out", "--out", tmp_path / "again")
    assert run.code == 1
    assert "give the bundle that it was exported from" in run.text


def test_an_export_does_not_replace_what_it_is_made_of(
    unheard: Callable[..., Run], toy: Path
) -> None:
    run = unheard("export", toy, "--out", toy)
    assert run.code == 1
    assert "give --out another folder" in run.text
    assert load(toy).detector
