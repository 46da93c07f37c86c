"""Exported bundles: a graph that ONNX Runtime runs, with no torch.

N windows, T samples at 16 kHz, E experts.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unheard.errors import BundleError, MissingExtra
from unheard.types import FloatArray

__all__ = ["Exported", "read"]

BATCH_WINDOWS = 16
"""Windows scored at a time, as in torch; bounds the memory that a long recording takes."""

INPUT = "waveform"
OUTPUTS = ("score", "expert_scores", "expert_weights")

LARGEST_GRAPH_BYTES = 2**31
"""What protobuf, the format of the file, can hold."""


@dataclass(frozen=True, eq=False)
class Exported:
    """A session of ONNX Runtime as what a bundle scores with.

    Attributes:
        session: The session; threads may run it at once.
        experts: Names of the detectors that the graph is a mixture of; none for most.
    """

    session: Any
    experts: tuple[str, ...]

    def scores(self, windows: FloatArray) -> FloatArray:
        """Return one raw score per window, [N, T] -> [N]."""
        return self._run(windows, OUTPUTS[:1])[:, 0]

    def opinions(self, windows: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return `scores`, and each expert's raw score and weight, [N, E] and [N, E]."""
        n_experts = len(self.experts)
        found = self._run(windows, OUTPUTS if n_experts else OUTPUTS[:1])
        return found[:, 0], found[:, 1 : 1 + n_experts], found[:, 1 + n_experts :]

    def _run(self, windows: FloatArray, outputs: tuple[str, ...]) -> FloatArray:
        """Return what the graph says, [N, T] -> [N, 1 or 1 + 2 E], as float64."""
        assert windows.ndim == 2, f"windows of shape {windows.shape}"
        n_numbers = 1 if len(outputs) == 1 else 1 + 2 * len(self.experts)
        numbers = np.empty((len(windows), n_numbers), np.float64)
        for start in range(0, len(windows), BATCH_WINDOWS):
            batch = np.ascontiguousarray(windows[start : start + BATCH_WINDOWS], np.float32)
            found = self.session.run(list(outputs), {INPUT: batch})
            numbers[start : start + len(batch)] = np.column_stack(found)
        return numbers


def read(graph: Path, experts: tuple[str, ...]) -> Exported:
    """Open a graph whose hash was checked.

    Args:
        graph: The file.
        experts: Names of the detectors that it is a mixture of, by the card.

    Raises:
        BundleError: If it is no graph that an export of ours would be.
        MissingExtra: If ONNX Runtime is not installed.
    """
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise MissingExtra("serve", "onnxruntime") from error
    if graph.stat().st_size > LARGEST_GRAPH_BYTES:
        raise BundleError(f"{graph}: over 2 GiB; an exported graph is one file below that")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS") or 1)
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        # From bytes: what a graph says of files beside it leads nowhere.
        session = onnxruntime.InferenceSession(
            graph.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # whatever a damaged or hostile graph provokes
        raise BundleError(
            f"{graph}: ONNX Runtime cannot run it ({error}); export the bundle again"
        ) from error
    _check_ends(session, graph, experts)
    return Exported(session, experts)


def _check_ends(session: Any, graph: Path, experts: tuple[str, ...]) -> None:
    """Raise if what goes in or comes out is not what `Exported` gives and takes."""
    wanted = OUTPUTS if experts else OUTPUTS[:1]
    found = [one.name for one in session.get_inputs()], [one.name for one in session.get_outputs()]
    if found != ([INPUT], list(wanted)):
        raise BundleError(
            f"{graph}: takes {found[0]} and gives {found[1]}, {[INPUT]} and {list(wanted)} needed; "
            "export the bundle again with this version"
        )
