"""Exported bundles: the same scores with no torch, and graphs that are not ours are refused."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

import unheard.detectors.onnx as module
from unheard.detectors import bundle as bundles
from unheard.detectors import exported, weights
from unheard.detectors import onnx as exporting
from unheard.detectors.bundle import load
from unheard.detectors.bundle_files import Bundle
from unheard.detectors.card import Card, Shift
from unheard.detectors.card_text import model_card
from unheard.detectors.grnn import Grnn
from unheard.detectors.layers.exporting import largest_in_parts
from unheard.detectors.layers.features import Framing, Spectrogram
from unheard.detectors.layers.gates import EnhancedGate
from unheard.detectors.layers.graph import GraphPool, JointGraphAttention
from unheard.detectors.mixture import Mixture
from unheard.detectors.toy import Toy
from unheard.errors import BundleError
from unheard.metrics import Calibration, OperatingPoints

ROOT = Path(__file__).parents[2]
WIDE = 1024
SPEC = Mixture(
    experts=(Toy(n_bands=4), Grnn(n_filters=6, channels=4, hidden=(64, 3), embedding=WIDE)),
    gate=EnhancedGate(width=8, hidden=4),
)
WINDOW_S = 0.5


_CPU = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""


def card(**changes: Any) -> Card:
    values: dict[str, Any] = {
        "name": "example",
        "version": "1",
        "window_s": WINDOW_S,
        "hop_s": 0.25,
        "calibration": Calibration(2.0, -0.5),
        "operating_points": OperatingPoints(0.0, -1.5, 1.5, -1.0, 1.0),
    }
    return Card(**values | changes)


def noise(n_windows: int, n_samples: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    level = rng.uniform(0.01, 0.3, (n_windows, 1))
    return (level * rng.standard_normal((n_windows, n_samples))).astype(np.float32)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    torch.manual_seed(0)
    detector = SPEC.build()
    for parameter in detector.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    folder = tmp_path_factory.mktemp("export") / "trained"
    return load(weights.save(folder, detector, SPEC, card(), seen=["known"]))


@pytest.fixture(scope="module")
def content(trained: Bundle) -> bytes:
    return exporting.graph(trained.detector, WINDOW_S)


@pytest.fixture(scope="module")
def export_bundle(trained: Bundle, content: bytes) -> Bundle:
    parity_report = exporting.parity(trained.detector, content, WINDOW_S)
    return load(
        exporting.write(trained, trained.folder.with_name("made"), content, parity_report, None)
    )


def graph_of(change: Callable[[onnx.ModelProto], object], content: bytes) -> bytes:
    model = onnx.load_from_string(content)
    change(model)
    changed: bytes = model.SerializeToString()
    return changed


# The same scores.


@pytest.mark.parametrize(("n_windows", "n_samples"), [(1, 8000), (20, 3200), (3, 20_011)])
def test_any_number_of_windows_of_any_length_scores_as_in_torch(
    trained: Bundle, export_bundle: Bundle, n_windows: int, n_samples: int
) -> None:
    windows = noise(n_windows, n_samples)
    for ours, theirs in zip(
        export_bundle.expert_scores(windows), trained.expert_scores(windows), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=exporting.PARITY)
    np.testing.assert_array_equal(
        export_bundle.scores(windows), export_bundle.expert_scores(windows)[0]
    )


def test_no_windows_have_no_scores(export_bundle: Bundle) -> None:
    scores, expert_scores, counted = export_bundle.expert_scores(noise(0, 8000))
    assert scores.shape == (0,)
    assert expert_scores.shape == counted.shape == (0, 2)


def test_an_export_knows_what_its_detector_has_seen_and_who_its_experts_are(
    trained: Bundle, export_bundle: Bundle
) -> None:
    assert export_bundle.has_seen(["known", "other"]).tolist() == [True, False]
    assert export_bundle.experts == trained.experts == bundles.experts_of(export_bundle.folder)
    assert export_bundle.experts == ("toy", "grnn_lfcc")


def test_the_card_says_what_was_exported_and_how_near_it_is(
    trained: Bundle, export_bundle: Bundle
) -> None:
    export = export_bundle.card.export
    assert export is not None
    assert (export.source, export.precision, export.shift) == (trained.sha256, "float32", None)
    assert 0 < export.parity <= exporting.PARITY
    assert export.n_parameters == sum(p.numel() for p in trained.detector.parameters())
    assert export_bundle.card.model_copy(update={"export": None, "files": trained.card.files}) == (
        trained.card
    )
    assert "differ from PyTorch's by at most" in model_card(export_bundle.card)


def test_a_graph_holds_no_traces_of_the_machine_that_made_it(content: bytes) -> None:
    assert b".py" not in content
    assert str(ROOT).encode() not in content
    assert exported.ELSEWHERE not in content


def test_a_graph_that_scores_otherwise_is_refused(
    trained: Bundle, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PARITY", 1e-12)
    with pytest.raises(BundleError, match="do not use it, and report the detector's spec"):
        exporting.parity(trained.detector, content, WINDOW_S)


def test_another_detectors_graph_is_refused(trained: Bundle, content: bytes) -> None:
    other = weights.save(trained.folder.with_name("other"), SPEC.build(), SPEC, card(), seen=[])
    with pytest.raises(BundleError, match="differ from torch's by"):
        exporting.parity(load(other).detector, content, WINDOW_S)


def test_what_was_exported_gives_no_module(export_bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="give the bundle that it was exported from"):
        _ = export_bundle.detector


def test_an_export_scores_on_the_processor_alone(export_bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="leave the device out"):
        load(export_bundle.folder, device="cuda")


def test_threads_are_one_unless_the_environment_says_more(
    content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for setting, wanted in (("", 1), ("3", 3), ("0", 1), ("4,2", 1)):
        monkeypatch.setenv("OMP_NUM_THREADS", setting)
        options = exported.opened(content, "x", ("toy", "grnn_lfcc")).session.get_session_options()
        assert options.intra_op_num_threads == wanted


# Without torch.


def without_torch(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "tests/without_torch.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


def test_an_export_is_scored_and_described_without_torch(export_bundle: Bundle) -> None:
    clip = ROOT / "examples/human-english.flac"
    run = without_torch("score", clip, "--detector", export_bundle.folder, "--json")
    assert run.returncode == 0, run.stderr
    verdict = json.loads(run.stdout)
    from unheard.scoring.scorer import Scorer

    assert verdict == Scorer(export_bundle).file(clip, name=str(clip)).to_dict()


def test_what_needs_torch_says_how_to_get_it(trained: Bundle) -> None:
    for command in (
        ("score", ROOT / "examples/human-english.flac", "--detector", trained.folder),
        ("train", "toy", "--data", "x", "--out", "y"),
    ):
        run = without_torch(*command)
        assert run.returncode == 1
        assert "pip install 'unheard[train]'" in run.stderr
        assert "Traceback" not in run.stderr


# Graphs that are not ours.


def test_numbers_in_other_files_are_never_read(export_bundle: Bundle, content: bytes) -> None:
    def move_out(model: onnx.ModelProto) -> None:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="../../etc/passwd")

    with pytest.raises(BundleError, match="not opened; an export of ours is one file"):
        exported.opened(graph_of(move_out, content), "x", export_bundle.experts)


def test_operators_of_others_are_refused(export_bundle: Bundle, content: bytes) -> None:
    def add(model: onnx.ModelProto) -> None:
        model.opset_import.add(domain="evil", version=1)
        model.graph.node.add(op_type="Run", domain="evil", input=["waveform"], output=["x"])

    with pytest.raises(BundleError, match=r"cannot run it .* export the bundle again"):
        exported.opened(graph_of(add, content), "x", export_bundle.experts)


@pytest.mark.parametrize("damaged", [b"", b"\x80\x04cos\nsystem\n.", b"\x00" * 1000])
def test_what_is_no_graph_is_refused(damaged: bytes) -> None:
    with pytest.raises(BundleError, match="export the bundle again"):
        exported.opened(damaged, "x", ())


def test_other_ends_are_refused(content: bytes) -> None:
    with pytest.raises(BundleError, match=r"\['score'\] are wanted .* export the bundle again"):
        exported.opened(content, "x", ())


def test_answers_of_another_shape_are_refused() -> None:
    nodes = [helper.make_node("Identity", ["waveform"], ["score"])]
    opened = exported.opened(by_hand(nodes, [], ["b", "t"]), "x", ())
    with pytest.raises(BundleError, match=r"wanted; export the bundle again"):
        opened.scores(noise(2, 3200))


def by_hand(nodes: list[Any], numbers: list[Any], score: list[str]) -> bytes:
    """A graph from a waveform to a score of some shape."""
    waveform = helper.make_tensor_value_info("waveform", TensorProto.FLOAT, ["b", "t"])
    ends = [waveform], [helper.make_tensor_value_info("score", TensorProto.FLOAT, score)]
    graph = helper.make_graph(nodes, "g", *ends, initializer=numbers)
    opset = [helper.make_opsetid("", 20)]
    graph_bytes: bytes = helper.make_model(
        graph, opset_imports=opset, ir_version=10
    ).SerializeToString()
    return graph_bytes


def test_windows_that_a_graph_cannot_take_are_refused() -> None:
    late = numpy_helper.from_array(np.array(5000), "late")
    nodes = [helper.make_node("Gather", ["waveform", "late"], ["score"], axis=1)]
    opened = exported.opened(by_hand(nodes, [late], ["b"]), "x", ())
    with pytest.raises(BundleError, match=r"on windows of 3200 samples .* card's length"):
        opened.scores(noise(1, 3200))
    assert opened.scores(noise(2, 8000)).shape == (2,)


def test_an_altered_graph_is_refused(export_bundle: Bundle, tmp_path: Path) -> None:
    folder = copied(export_bundle.folder, tmp_path)
    damaged = bytearray((folder / "model.onnx").read_bytes())
    damaged[-1] ^= 1
    (folder / "model.onnx").write_bytes(damaged)
    with pytest.raises(BundleError, match="altered or damaged: get the bundle again"):
        load(folder)


@pytest.mark.parametrize("name", ["weights.safetensors", "model.onnx.data"])
def test_an_export_holds_a_graph_and_no_weights(
    export_bundle: Bundle, tmp_path: Path, name: str
) -> None:
    folder = copied(export_bundle.folder, tmp_path)
    written = json.loads((folder / "bundle.json").read_text())
    written["files"][name] = "0" * 64
    (folder / "bundle.json").write_text(json.dumps(written))
    with pytest.raises(BundleError, match=r"holds model.onnx, .* do not use this one"):
        load(folder)


def copied(folder: Path, where: Path) -> Path:
    import shutil

    return Path(shutil.copytree(folder, where / "copy"))


# Rounding.


def test_rounding_shrinks_large_linear_layers_that_learnt_and_nothing_else(
    trained: Bundle, content: bytes
) -> None:
    rounded = exporting.rounded(content, trained.detector)
    small = [
        tuple(initializer.dims)
        for initializer in onnx.load_from_string(rounded).graph.initializer
        if initializer.data_type == TensorProto.INT8 and len(initializer.dims) == 2
    ]
    # The embedding and the gate's projection of it; not the filters, and nothing recurrent.
    assert sorted(small) == [(12, WIDE), (WIDE, 8)]
    assert len(rounded) < len(content) - 3 * 20 * WIDE + 10_000
    windows = noise(4, 8000)
    moved = exported.opened(rounded, "x", trained.experts).scores(windows) - (
        exported.opened(content, "x", trained.experts).scores(windows)
    )
    assert 0 < np.abs(moved).max() < 0.05


def test_the_card_records_what_rounding_did(trained: Bundle, content: bytes) -> None:
    shift = Shift(
        protocol="open", n_bonafide=3, n_spoof=4, drift=0.01, largest=0.02, spread=2.0,
        eer_before=0.1, eer_after=0.125,
    )  # fmt: skip
    folder = trained.folder.with_name("rounded")
    rounded_bundle = load(exporting.write(trained, folder, content, (1e-6, "noise"), shift))
    text = model_card(rounded_bundle.card)
    assert rounded_bundle.card.export is not None
    assert rounded_bundle.card.export.precision == "int8"
    assert "EER of 10.00% before and 12.50% after" in text


# The roads that only a graph takes say the same.


@pytest.fixture
def as_in_a_graph(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    return lambda: monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)


@pytest.mark.parametrize("pre_emphasis", [0.0, 0.97])
def test_a_product_with_its_matrix_is_the_transform(
    as_in_a_graph: Callable[[], None], pre_emphasis: float
) -> None:
    spectrogram = Spectrogram(
        Framing(n_window=320, n_hop=150, n_fft=401, window="hamming", pre_emphasis=pre_emphasis)
    )
    windows = torch.from_numpy(noise(3, 5003))
    expected = spectrogram(windows)
    as_in_a_graph()
    torch.testing.assert_close(spectrogram(windows), expected, rtol=1e-4, atol=1e-5)


def test_all_pairs_of_nodes_attend_as_half_of_them_do(as_in_a_graph: Callable[[], None]) -> None:
    torch.manual_seed(0)
    attend = JointGraphAttention(6, 4, 2.0).eval()
    temporal, spectral, master = torch.randn(2, 5, 6), torch.randn(2, 3, 6), torch.randn(1, 1, 6)
    with torch.no_grad():
        expected = attend(temporal, spectral, master)
        as_in_a_graph()
        attended = attend(temporal, spectral, master)
    for actual, other in zip(attended, expected, strict=True):
        torch.testing.assert_close(actual, other)


@pytest.mark.parametrize(("n_frames", "n_features"), [(50, 10), (8, 16), (5, 1), (33, 47)])
def test_parts_of_a_map_of_any_size_keep_their_maxima(
    as_in_a_graph: Callable[[], None], n_frames: int, n_features: int
) -> None:
    maps = torch.randn(2, 3, n_frames, n_features)
    expected = torch.nn.functional.adaptive_max_pool2d(maps, (8, 16))
    as_in_a_graph()
    assert torch.equal(largest_in_parts(maps, (8, 16)), expected)


@pytest.mark.parametrize(("n_nodes", "share", "kept"), [(10, 0.7, 7), (1, 0.4, 1), (29, 0.5, 14)])
def test_pooling_keeps_a_share_and_at_least_one(n_nodes: int, share: float, kept: int) -> None:
    assert GraphPool(3, share).eval()(torch.randn(2, n_nodes, 3)).shape == (2, kept, 3)


def test_sums_of_8_bits_are_exact_with_vnni_and_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = tmp_path / "cpuinfo"
    monkeypatch.setattr(exported, "_CPU_INFO", flags)
    graph = (bundles.default() / "model.onnx").read_bytes()
    windows, scores = noise(2, 16_000), []
    assert not exported._has_vnni()
    for text, has_vnni in (("flags : avx2 avx512_vnni", True), ("flags : avx2", False)):
        flags.write_text(text)
        assert exported._has_vnni() is has_vnni
        if not has_vnni or "vnni" in _CPU:
            scores.append(exported.opened(graph, "x", ()).scores(windows))
    for other in scores[1:]:
        np.testing.assert_array_equal(other, scores[0])
