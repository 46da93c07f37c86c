"""What every detector is: a value that says what to build, and a module that scores windows.

B clips, T samples at 16 kHz, D embedding features.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from unheard.detectors.layers.growth import Width
from unheard.errors import RecipeError
from unheard.types import FloatArray

__all__ = [
    "Detector",
    "Outputs",
    "Resizable",
    "Spec",
    "fresh",
    "outputs",
    "restore",
    "window_expert_scores",
    "window_scores",
]

BATCH_WINDOWS = 16
"""Windows scored at a time; bounds the memory that a long recording takes."""


class Detector(nn.Module):
    """The shape of every detector; a concrete one defines `embed` and `classify`.

    Attributes:
        n_embedding: D, the features of its embedding.
        experts: Names of the detectors that it is a mixture of; none for most.

    Shape:
        waveform [B, T] float32 at 16 kHz in [-1, 1] -> score [B]; higher is more bona fide.
    """

    n_embedding: int
    experts: tuple[str, ...] = ()

    def embed(self, waveform: Tensor) -> Tensor:
        """Return one embedding per clip, [B, T] -> [B, D]."""
        raise AssertionError(f"{type(self).__name__} must define embed")

    def classify(self, embedding: Tensor) -> Tensor:
        """Return one score per embedding, [B, D] -> [B]; higher is more bona fide."""
        raise AssertionError(f"{type(self).__name__} must define classify")

    def expert_scores(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Return the score of each expert and how much it counts, [B, D] -> [B, E] and [B, E].

        Scores are logits as `classify` gives them; the weights of a clip sum to one.
        """
        raise AssertionError(f"{type(self).__name__} is not a mixture")

    def terms(self) -> Mapping[str, Tensor]:
        """Return scalars of the last forward pass that an objective may weigh, by name."""
        return {}

    def pretrained(self) -> Mapping[str, Tensor]:
        """Return the published weights that this detector starts from, by name in its state."""
        return {}

    def pretrained_names(self) -> frozenset[str]:
        """Return the names of those weights, without reading them."""
        return frozenset()

    def frozen_names(self) -> frozenset[str]:
        """Return which of those never change; checkpoints and bundles leave them out."""
        return frozenset()

    def widths(self) -> Mapping[str, Width]:
        """Return which numbers of units can change, by name; see `Resizable`."""
        return {}

    def forward(self, waveform: Tensor) -> Tensor:
        """Return one score per clip."""
        return self.classify(self.embed(waveform))


@runtime_checkable
class Spec(Protocol):
    """A frozen dataclass with the numbers of a detector; compared, printed, saved as JSON.

    Attributes:
        kind: The detector's row in DETECTORS, and what a bundle calls it.
    """

    kind: ClassVar[str]

    def build(self) -> Detector:
        """Return a new module with fresh weights, drawn from torch's global generator."""
        ...


@runtime_checkable
class Resizable(Protocol):
    """A spec whose detector can grow and shrink: it has the names that `Detector.widths` has."""

    def with_widths(self, widths: Mapping[str, int]) -> Spec:
        """Return the spec of the same detector with other widths, by name; others stay.

        Raises:
            RecipeError: If there is no width of that name.
        """
        ...


def fresh(spec: Spec) -> Detector:
    """Return a new detector as training starts it: random weights, then the pretrained ones.

    Raises:
        RecipeError: If published weights cannot be found, or do not fit the detector.
    """
    detector = spec.build()
    tensors = detector.pretrained()
    lacking = detector.pretrained_names() - tensors.keys()  # also of what is trained on
    state = detector.state_dict()
    wrong = [name for name, value in tensors.items() if value.shape != state[name].shape]
    if wrong or lacking:
        name = min(wrong or lacking)
        problem = f"is {list(tensors[name].shape)} there" if wrong else "is not there"
        raise RecipeError(
            f"the pretrained weights do not fit {type(spec).__name__}: {name!r} {problem}, "
            f"{list(state[name].shape)} wanted; give the source of a model of the same shape"
        )
    detector.load_state_dict(tensors, strict=False)
    return detector


def restore(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Give a model weights back; only those of a published model may be missing from them."""
    missing, unexpected = model.load_state_dict(weights, strict=False)
    frozen_names = model.frozen_names() if isinstance(model, Detector) else frozenset()
    assert not unexpected, f"weights of another model: {unexpected}"
    assert set(missing) <= frozen_names, f"weights are missing: {missing}"


@dataclass(frozen=True, eq=False)
class Outputs:
    """What a detector computes for a batch, as objectives see it.

    Attributes:
        score: Shape [B], a logit; higher is more bona fide.
        embedding: Shape [B, D].
        terms: Scalars that the detector offers to the objective, such as an expert balance.
    """

    score: Tensor
    embedding: Tensor
    terms: Mapping[str, Tensor] = field(default_factory=dict)


def outputs(detector: Detector, waveform: Tensor) -> Outputs:
    """Run a detector on waveform [B, T] and keep what an objective needs."""
    embedding = detector.embed(waveform)
    return Outputs(detector.classify(embedding), embedding, detector.terms())


def window_scores(detector: Detector, windows: FloatArray) -> FloatArray:
    """Return the score of each window, as a bundle, an evaluation and the dev check all get it.

    In float32 on the device the detector is on, 16 windows at a time. May be called from several
    threads at once. A window's score does not depend on the windows it comes with, up to the
    rounding of float32 (1e-5).

    Args:
        detector: In evaluation mode.
        windows: Shape [N, T] at 16 kHz in [-1, 1]; N may be 0.

    Returns:
        Shape [N] float64; higher is more bona fide.
    """
    return _by_batch(detector, windows, lambda batch: detector(batch)[:, None], 1)[:, 0]


def window_expert_scores(
    detector: Detector, windows: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the score of each window and what experts it was made of, in one pass.

    The scores are those of `window_scores`. For E experts of a mixture there are also the score of
    each, before calibration as the mixture's own, and its weight; a window's weights sum to one.

    Args:
        detector: In evaluation mode; E is 0 if it is no mixture, and nothing more is computed.
        windows: Shape [N, T] at 16 kHz in [-1, 1]; N may be 0.

    Returns:
        Scores [N], the experts' scores [N, E] and their weights [N, E], all float64.
    """
    n_experts = len(detector.experts)

    def expert_outputs(batch: Tensor) -> Tensor:
        embedding = detector.embed(batch)
        score = detector.classify(embedding)[:, None]
        return torch.cat([score, *detector.expert_scores(embedding)], dim=1) if n_experts else score

    numbers = _by_batch(detector, windows, expert_outputs, 1 + 2 * n_experts)
    return numbers[:, 0], numbers[:, 1 : 1 + n_experts], numbers[:, 1 + n_experts :]


def _by_batch(
    detector: Detector, windows: FloatArray, outputs_of: Callable[[Tensor], Tensor], n_numbers: int
) -> FloatArray:
    """Return the outputs for each window, [B, T] -> [B, n_numbers] at a time, as float64."""
    assert not detector.training, "call detector.eval() before scoring"
    assert windows.ndim == 2, f"windows of shape {windows.shape}"
    device = next(detector.parameters()).device
    numbers = np.empty((len(windows), n_numbers), np.float64)
    with torch.inference_mode(), torch.autocast(device.type, enabled=False):
        for start in range(0, len(windows), BATCH_WINDOWS):
            batch = _on(device, windows[start : start + BATCH_WINDOWS])
            numbers[start : start + len(batch)] = outputs_of(batch).cpu().numpy()
    return numbers


def _on(device: torch.device, windows: FloatArray) -> Tensor:
    """Return windows [B, T] on a device; those that share memory go on sharing it there.

    Stretches of sound that lie in one piece of memory are known by their strides; see
    `SpeechEncoder`, which computes what they have in common once.
    """
    (n_windows, n_samples), n_hop = windows.shape, windows.strides[0] // windows.itemsize
    if windows.strides[1] != windows.itemsize or n_windows < 2 or not 0 < n_hop < n_samples:
        return torch.from_numpy(np.array(windows, np.float32)).to(device)
    stretch = np.concatenate([windows[:-1, :n_hop].ravel(), windows[-1]], dtype=np.float32)
    whole = torch.from_numpy(stretch).to(device)
    return whole.as_strided((n_windows, n_samples), (n_hop, 1))
