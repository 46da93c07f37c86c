"""What every training method is: a value with six verbs that the loop calls in turn.

The loop alone averages gradients over processes, clips them, steps and schedules. A method only
fills `.grad`, so bilevel methods run unchanged on one process or on many.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from unheard.data.batches import Batch, Terms
from unheard.detectors.detector import Detector, Outputs, Spec
from unheard.types import FloatArray

__all__ = ["Method", "Moments", "Objective", "Progress"]

Moments = dict[str, dict[str, Tensor]]
"""The optimiser's state by parameter name, such as moments["head.weight"]["exp_avg"]."""


class Objective(Protocol):
    """A frozen dataclass that turns outputs and truth into named scalars."""

    def __call__(self, outputs: Outputs, batch: Batch) -> Terms:
        """Return the terms of one batch; see `unheard.data.batches.total`."""
        ...


@dataclass(frozen=True, eq=False)
class Progress:
    """Where a run stands after a step.

    Attributes:
        step: Steps done.
        n_steps: Steps in all.
        moments: State of the optimiser. A method that changes the shape of a parameter edits the
            entry of that name to the new shape, and removes the entries of parameters that it
            removed; new parameters start without one.
    """

    step: int
    n_steps: int
    moments: Moments


@runtime_checkable
class Method(Protocol):
    """A frozen dataclass, listed in `unheard.training.methods.METHODS`.

    Randomness comes from torch's global generator, which the loop seeds for each batch, by
    its number, and for each `after_step`.
    """

    def prepare(self, detector: Detector) -> nn.Module:
        """Return what is trained: the detector with what only training needs.

        In evaluation mode its forward gives the scores that `finish` will give.
        """
        ...

    def gradients(self, model: nn.Module, batch: Batch, objective: Objective) -> Terms:
        """Add the gradient of one batch to `.grad` and return its terms; change nothing else.

        Normalisation buffers may move, once per call.
        """
        ...

    def after_step(self, model: nn.Module, progress: Progress) -> bool:
        """Change the model if it is time; return True if its parameters are not the same now.

        The loop then makes a new optimiser, with the moments of `progress`.
        """
        ...

    def spec(self, model: nn.Module, started: Spec) -> Spec:
        """Return what builds the model as it stands, given what was built at the start.

        A checkpoint and a bundle are read back through it, so it holds widths that grew.
        """
        ...

    def held_out(self, model: nn.Module) -> FloatArray | None:
        """Return scores of clips that passed, each by weights fitted without clips of its domain.

        In the order in which they passed, shape [N], NaN for those that nothing was fitted without;
        empty before there are any. They calibrate a detector that was trained on all clips. None
        if the method makes none.
        """
        ...

    def finish(self, model: nn.Module) -> Detector:
        """Return a plain detector with the trained weights."""
        ...
