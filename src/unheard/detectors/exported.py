"""Exported bundles: a graph that ONNX Runtime runs, with no torch.

N windows, T samples at 16 kHz, E experts.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unheard.errors import BundleError
from unheard.graphs import onnx_runtime
from unheard.types import FloatArray

__all__ = ["Exported", "read"]

BATCH_WINDOWS = 16
"""Windows scored at a time, as in torch; bounds the memory that a long recording takes."""

INPUT = "waveform"
OUTPUTS = ("score", "expert_scores", "expert_weights")

LARGEST_GRAPH_BYTES = 2**31 - 1
"""What protobuf, the format of the file, can hold."""

_CPU_INFO = Path("/proc/cpuinfo")

ELSEWHERE = b"location"
"""The key under which a graph names another file; exports of ours hold the word nowhere."""


@dataclass(frozen=True, eq=False)
class Exported:
    """A session of ONNX Runtime as what a bundle scores with.

    Attributes:
        session: The session; threads may run it at once.
        experts: Names of the detectors that the graph is a mixture of; none for most.
    """

    session: Any
    experts: tuple[str, ...]
    detector: None = None

    def scores(self, windows: FloatArray) -> FloatArray:
        """Return one raw score per window, [N, T] -> [N]."""
        return self._run(windows, OUTPUTS[:1])[:, 0]

    def expert_scores(self, windows: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return `scores`, and each expert's raw score and weight, [N, E] and [N, E]."""
        n_experts = len(self.experts)
        numbers = self._run(windows, OUTPUTS if n_experts else OUTPUTS[:1])
        return numbers[:, 0], numbers[:, 1 : 1 + n_experts], numbers[:, 1 + n_experts :]

    def _run(self, windows: FloatArray, outputs: tuple[str, ...]) -> FloatArray:
        """Return the outputs of the graph, [N, T] -> [N, 1 or 1 + 2 E], as float64."""
        assert windows.ndim == 2, f"windows of shape {windows.shape}"
        n_numbers = 1 if len(outputs) == 1 else 1 + 2 * len(self.experts)
        numbers = np.empty((len(windows), n_numbers), np.float64)
        for start in range(0, len(windows), BATCH_WINDOWS):
            batch = np.ascontiguousarray(windows[start : start + BATCH_WINDOWS], np.float32)
            arrays = self._run_batch(list(outputs), batch)
            wanted = [(len(batch),), *[(len(batch), len(self.experts))] * (len(outputs) - 1)]
            if [array.shape for array in arrays] != wanted:
                raise BundleError(
                    f"the graph gave arrays of shape {[array.shape for array in arrays]}, {wanted} "
                    "wanted; export the bundle again"
                )
            numbers[start : start + len(batch)] = np.column_stack(arrays)
        return numbers

    def _run_batch(self, outputs: list[str], batch: FloatArray) -> list[FloatArray]:
        try:
            arrays: list[FloatArray] = self.session.run(outputs, {INPUT: batch})
        except Exception as error:  # a graph that cannot take these windows
            raise BundleError(
                f"ONNX Runtime cannot run the graph on windows of {batch.shape[1]} samples "
                f"({error}); give windows of the card's length, or export the bundle again"
            ) from error
        return arrays


def read(graph: Path, experts: tuple[str, ...]) -> Exported:
    """Open a graph whose hash was checked.

    Args:
        graph: The file.
        experts: Names of the detectors that it is a mixture of, by the card.

    Raises:
        BundleError: If it is no graph that an export of ours would be.
    """
    if graph.stat().st_size > LARGEST_GRAPH_BYTES:
        raise BundleError(f"{graph}: over 2 GiB; an exported graph is one file below that")
    return opened(graph.read_bytes(), str(graph), experts)


def opened(content: bytes, where: str, experts: tuple[str, ...]) -> Exported:
    """Open a graph.

    One thread computes, or as many as OMP_NUM_THREADS says.

    Args:
        content: The file's bytes.
        where: What messages call it.
        experts: Names of the detectors that it is a mixture of.

    Raises:
        BundleError: If it is no graph that an export of ours would be.
    """
    onnxruntime = onnx_runtime()

    if ELSEWHERE in content:
        raise BundleError(
            f"{where}: keeps numbers in other files, which are not opened; an export of ours is "
            "one file: do not use this one"
        )
    options = onnxruntime.SessionOptions()
    threads = os.environ.get("OMP_NUM_THREADS", "")
    options.intra_op_num_threads = int(threads) if threads.isdecimal() and int(threads) else 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what it has to say, it raises
    # Threads that wait in a loop take the processor from decoders and from torch.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not _has_vnni():  # 8-bit sums would overflow: other scores there
        options.add_session_config_entry("session.x64quantprecision", "1")
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # whatever a damaged or hostile graph provokes
        raise BundleError(
            f"{where}: ONNX Runtime cannot run it ({error}); export the bundle again"
        ) from error
    _check_ends(session, where, experts)
    return Exported(session, experts)


def _has_vnni() -> bool:
    """Return whether the processor sums 8-bit products in 32 bits, which is exact and faster.

    Where it cannot be told, not: sums are exact then too, by a slower way.
    """
    try:
        words = _CPU_INFO.read_text().split()
    except OSError:
        return False
    return "avx512_vnni" in words or "avx_vnni" in words


def _check_ends(session: Any, where: str, experts: tuple[str, ...]) -> None:
    """Raise if what goes in or comes out is not what `Exported` gives and takes."""
    wanted = [INPUT], list(OUTPUTS if experts else OUTPUTS[:1])
    names = (
        [tensor.name for tensor in session.get_inputs()],
        [tensor.name for tensor in session.get_outputs()],
    )
    kinds = {tensor.type for tensor in (*session.get_inputs(), *session.get_outputs())}
    if names != wanted or kinds != {"tensor(float)"}:
        raise BundleError(
            f"{where}: takes {names[0]} and gives {names[1]} as {', '.join(sorted(kinds))}; "
            f"{wanted[0]} and {wanted[1]} are wanted as tensor(float): export the bundle again"
        )
