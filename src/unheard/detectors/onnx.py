"""A trained detector as a graph in the ONNX format, compared with torch before it is written.

B clips, T samples at 16 kHz, E experts.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from unheard.audio import SAMPLE_RATE_HZ
from unheard.detectors import exported
from unheard.detectors.bundle_files import DEV_SCORES, GRAPH, SEEN, Bundle, replace
from unheard.detectors.card import Export, Shift
from unheard.detectors.detector import Detector, window_expert_scores
from unheard.detectors.layers.encoder import SpeechEncoder
from unheard.errors import BundleError, MissingExtra
from unheard.graphs import onnx_runtime
from unheard.types import FloatArray

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["PARITY", "difference", "graph", "parity", "rounded", "write"]

PARITY = 1e-4
"""Largest difference between a raw score of torch and of the graph that is let pass; of scores
beyond 1 the largest one's share, as float32 rounds."""

SHORTEST = 3200
"""Samples of the shortest window that a graph takes, 0.2 s, unless the bundle's are shorter."""

LONGEST = 600 * SAMPLE_RATE_HZ
"""Samples of the longest window: what a card can ask for."""

OPSET = 20

FEWEST_ROUNDED = 4096
"""Weights of the smallest matrix that is rounded: smaller ones cost accuracy and gain nothing."""


class _WithExpertScores(nn.Module):
    """A detector with all that a bundle asks for as its outputs.

    Shape:
        waveform [B, T] -> score [B]; of a mixture also expert scores and weights, [B, E] both.
    """

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, waveform: Tensor) -> tuple[Tensor, ...]:
        embedding = self.detector.embed(waveform)
        score = self.detector.classify(embedding)
        if not self.detector.experts:
            return (score,)
        return score, *self.detector.expert_scores(embedding)


def graph(detector: Detector, window_s: float) -> bytes:
    """Return a detector as an ONNX model, with batch and length left free.

    Args:
        detector: In evaluation mode, on the processor.
        window_s: Length of the windows that it will be traced with.

    Raises:
        BundleError: If the graph would be too large for one file, or cannot hold such windows.
        MissingExtra: If onnx or onnxscript is not installed.
    """
    _need_exporter()
    n_window = round(window_s * SAMPLE_RATE_HZ)
    longest = _longest(detector)
    if n_window > longest:
        raise BundleError(
            f"windows of {window_s:g} s, and a graph of this encoder takes "
            f"{longest / SAMPLE_RATE_HZ:g} s at once; train it on shorter windows"
        )
    samples = torch.export.Dim("samples", min=min(SHORTEST, n_window), max=longest)
    shapes = {"waveform": {0: torch.export.Dim.DYNAMIC, 1: samples}}
    outputs = list(exported.OUTPUTS if detector.experts else exported.OUTPUTS[:1])
    with _quietly(), torch.no_grad():
        program = torch.onnx.export(
            _WithExpertScores(detector).eval(),
            (0.1 * torch.randn(2, n_window, generator=torch.Generator().manual_seed(0)),),
            dynamo=True,
            dynamic_shapes=shapes,
            input_names=[exported.INPUT],
            output_names=outputs,
            opset_version=OPSET,
            external_data=False,
            verbose=False,
        )
    assert program is not None
    return _content(_bare(program.model_proto))


def parity(detector: Detector, content: bytes, window_s: float) -> tuple[float, str]:
    """Return how far a graph's raw scores are from torch's, and on what they were compared.

    Noise that is always the same, of two lengths and in two batch sizes; what experts of a mixture
    say counts too.

    Raises:
        BundleError: If the difference is above `PARITY`.
    """
    n_window = round(window_s * SAMPLE_RATE_HZ)
    lengths, sizes = (n_window, n_window // 2 + 4001), (1, 3)
    rng = np.random.default_rng(0)
    model = exported.opened(content, "the graph", detector.experts)
    largest, size = 0.0, 1.0
    for n_samples, n_clips in zip((*lengths, *lengths), (*sizes, *reversed(sizes)), strict=True):
        windows = (0.1 * rng.standard_normal((n_clips, n_samples))).astype(np.float32)
        expected = window_expert_scores(detector, windows)
        largest = max(largest, difference(expected, model.expert_scores(windows)))
        size = max(size, float(np.abs(expected[0]).max()))
    probe = f"noise, {sizes[0]} and {sizes[1]} windows of {lengths[0]} and {lengths[1]} samples"
    if not largest <= PARITY * size:
        raise BundleError(
            f"the graph's scores differ from torch's by {largest:.2g} on {probe}, "
            f"{PARITY * size:.2g} is let pass; do not use it, and report the detector's spec"
        )
    return largest, probe


def difference(
    scores: tuple[FloatArray, FloatArray, FloatArray],
    others: tuple[FloatArray, FloatArray, FloatArray],
) -> float:
    """Return the largest absolute difference between two answers of `Bundle.expert_scores`."""
    both = zip(scores, others, strict=True)
    return max(float(np.abs(a - b).max(initial=0.0)) for a, b in both)


def rounded(content: bytes, detector: Detector) -> bytes:
    """Return a graph whose large matrices are rounded to 8 bits, other large weights to 16.

    Only what learns is rounded, linear layers to 8 bits and all else to 16; the transform and
    filter banks stay as they are. What goes into a linear layer is rounded as it comes, by the
    range of the batch. What has 16 bits is computed with in 32.

    Args:
        content: What `graph` returned.
        detector: The detector that it is a graph of.

    Raises:
        MissingExtra: If onnx is not installed.
    """
    _need_exporter()
    import onnx

    onnx_runtime()
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = onnx.load_from_string(content)
    with tempfile.TemporaryDirectory(prefix="unheard-") as folder, _quietly():
        target = Path(folder) / GRAPH
        quantize_dynamic(
            model,
            target,
            op_types_to_quantize=["MatMul", "Gemm"],
            nodes_to_exclude=_kept(model, detector),
            weight_type=QuantType.QInt8,
            per_channel=True,
        )
        return _content(_in_16_bits(_bare(onnx.load(target)), detector))


def write(
    bundle: Bundle,
    folder: Path,
    content: bytes,
    parity_report: tuple[float, str],
    shift: Shift | None,
) -> Path:
    """Write a bundle that scores with a graph; what else it holds is that of another bundle.

    Args:
        bundle: What was exported.
        folder: Where to write it, in one step; a bundle that is there is replaced.
        content: The graph.
        parity_report: What `parity` returned of the graph before rounding.
        shift: What rounding did; None if the graph was not rounded.

    Raises:
        BundleError: If the folder holds something else than a bundle.
    """
    import onnx

    onnxruntime = onnx_runtime()

    detector = bundle.detector
    export = Export(
        source=bundle.sha256,
        precision="float32" if shift is None else "int8",
        parity=parity_report[0],
        parity_on=parity_report[1],
        experts=list(detector.experts),
        n_parameters=sum(parameter.numel() for parameter in detector.parameters()),
        tools={
            "torch": torch.__version__.partition("+")[0],
            "onnx": onnx.__version__,
            "onnxruntime": onnxruntime.__version__,
        },
        shift=shift,
    )
    kept = [name for name in (SEEN, DEV_SCORES) if name in bundle.card.files]
    contents = {GRAPH: content} | {name: (bundle.folder / name).read_bytes() for name in kept}
    return replace(folder, bundle.card.model_copy(update={"export": export}), contents)


def _need_exporter() -> None:
    for package in ("onnx", "onnxscript"):
        try:
            __import__(package)
        except ModuleNotFoundError as error:
            raise MissingExtra("export", package) from error


def _longest(detector: Detector) -> int:
    """Return the samples of the longest window that a graph of a detector can take."""
    encoders = [part for part in detector.modules() if isinstance(part, SpeechEncoder)]
    return min([LONGEST, *(encoder.longest for encoder in encoders if encoder.longest)])


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Silence what the exporter logs for its own developers; put its switches back."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "root")]
    levels = [logger.level for logger in loggers]
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # one operator that no graph has
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _bare(model: ModelProto) -> ModelProto:
    """Take out of a model what no run needs: traces of source code, shapes, unused numbers."""
    del model.graph.value_info[:]
    del model.graph.metadata_props[:]
    del model.metadata_props[:]
    for item in (*model.graph.node, *model.graph.input, *model.graph.output):
        del item.metadata_props[:]
        item.doc_string = ""
    used = {name for node in model.graph.node for name in node.input}
    used |= {output.name for output in model.graph.output}
    kept = [item for item in model.graph.initializer if item.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    return model


def _in_16_bits(model: ModelProto, detector: Detector) -> ModelProto:
    """Store large weights that are still float32 as float16, and cast them before they are used."""
    from onnx import TensorProto, helper, numpy_helper

    learnt = {f"detector.{name}" for name, _ in detector.named_parameters()}
    casts = []
    for tensor in model.graph.initializer:
        if tensor.name not in learnt or tensor.data_type != TensorProto.FLOAT:
            continue
        weight = numpy_helper.to_array(tensor)
        if weight.size < FEWEST_ROUNDED or np.abs(weight).max() > np.finfo(np.float16).max:
            continue
        small = f"{tensor.name}_in_16_bits"
        casts.append(helper.make_node("Cast", [small], [tensor.name], to=TensorProto.FLOAT))
        tensor.CopyFrom(numpy_helper.from_array(weight.astype(np.float16), small))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def _content(model: ModelProto) -> bytes:
    if model.ByteSize() >= exported.LARGEST_GRAPH_BYTES:
        raise BundleError(
            "the graph is over 2 GiB, more than a file of this format can hold; keep fewer layers "
            "of the encoder, or score with the bundle itself"
        )
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _kept(model: ModelProto, detector: Detector) -> list[str]:
    """Return the names of products that are not rounded: small ones, sums, what never learnt."""
    from onnx import numpy_helper

    fixed = [buffer.numpy() for buffer in detector.buffers() if buffer.ndim == 2]
    initializers = {
        tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer
    }

    def stays(matrix: FloatArray | None) -> bool:
        if matrix is None or matrix.size < FEWEST_ROUNDED or 1 in matrix.shape:
            return True
        return any(np.array_equal(matrix, array) for array in fixed)

    nodes = [node for node in model.graph.node if node.op_type in ("MatMul", "Gemm")]
    names = [node.name for node in nodes if stays(initializers.get(node.input[1]))]
    return [*names, *(f"{name}_MatMul" for name in names)]  # what the rounding makes of a Gemm
