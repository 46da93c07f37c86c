"""Supervised training: the gradient of the objective on the batch, nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from unheard.data.batches import Batch, Terms, total
from unheard.detectors.detector import Detector, Spec, outputs
from unheard.training.method import Objective, Progress

__all__ = ["Supervised"]


@dataclass(frozen=True)
class Supervised:
    """Minimise the objective over all clips alike; the baseline of every other method."""

    def prepare(self, detector: Detector) -> nn.Module:
        """Return the detector itself."""
        return detector

    def gradients(self, model: nn.Module, batch: Batch, objective: Objective) -> Terms:
        """Add the gradient of the objective's total to `.grad`."""
        assert isinstance(model, Detector)
        terms = objective(outputs(model, batch.waveform), batch)
        total(terms).backward()  # type: ignore[no-untyped-call]
        return terms

    def after_step(self, model: nn.Module, progress: Progress) -> bool:
        """Leave the model as it is."""
        return False

    def spec(self, model: nn.Module, started: Spec) -> Spec:
        """Return the spec of the start."""
        return started

    def held_out(self, model: nn.Module) -> None:
        """Return None: no clip is held out."""

    def finish(self, model: nn.Module) -> Detector:
        """Return the model itself."""
        assert isinstance(model, Detector)
        return model
