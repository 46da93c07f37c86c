"""A linear probe in closed form: collect embeddings while the clips pass, fit them once at the end.

N clips collected, B clips of a batch, D embedding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from unheard.data.batches import Batch, Terms
from unheard.detectors.detector import Detector, Outputs, Spec
from unheard.detectors.linear_states import LinearStatesDetector
from unheard.errors import RecipeError, TrainingError
from unheard.training.distributed import gathered
from unheard.training.method import Objective, Progress

__all__ = ["Solve"]

_LEAST_SPREAD = 0.01
"""Of a feature's mean: the least that a feature is divided by."""
_ROUNDING = 1e-4
"""The same for any feature: means over time of states around 1 are no more exact than 1e-7."""


@dataclass(frozen=True)
class Solve:
    """Fit a detector's linear layer by logistic regression, after the last step.

    Until then nothing learns: every gradient is zero, every score is 0, and the terms are those of
    scores that are 0. So the optimiser, its schedule and the objective have no part in the result.
    What the batches are is up to the sampler; all that passes is fitted, each clip as often as it
    came. A check on dev before the last step costs time and can choose nothing.

    Features are standardised, by a hundredth of their mean and by 1e-4 at least; classes count
    alike. Many processes share the work of embedding, and all collect the same rows in the same
    order, so the fit is that of one process.

    Attributes:
        c: Inverse of the strength of the penalty on the squared weights, scikit-learn's C: smaller
            is smoother. To be chosen on dev.
        max_iterations: Of the solver, L-BFGS.
    """

    c: float = 1e-3
    max_iterations: int = 1000

    def __post_init__(self) -> None:
        if not 0 < self.c < math.inf:
            raise RecipeError(f"method.c is {self.c:g}; give a number above 0")
        if self.max_iterations < 1:
            raise RecipeError(f"method.max_iterations is {self.max_iterations}; give 1 or more")

    def prepare(self, detector: Detector) -> nn.Module:
        """Return the detector with room for embeddings, and with weights that score nothing.

        Raises:
            RecipeError: If its score is not linear in its embedding.
        """
        if not isinstance(detector, LinearStatesDetector):
            raise RecipeError(
                f"{type(detector).__name__} is not linear in its embedding, so it has no closed "
                "form; give the method solve the detector linear_states"
            )
        nn.init.zeros_(detector.linear.weight)
        nn.init.zeros_(detector.linear.bias)
        detector.collected = Collected()
        return detector

    def gradients(self, model: nn.Module, batch: Batch, objective: Objective) -> Terms:
        """Collect the batch's embeddings, those of other processes too; add nothing to `.grad`."""
        probe, collected = _parts(model)
        with torch.no_grad():
            embedding = probe.embed(batch.waveform).float()
            terms = objective(Outputs(probe.classify(embedding), embedding), batch)
            collected.add(gathered(embedding.cpu()), gathered(batch.bonafide.cpu()))
        for parameter in probe.linear.parameters():
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        return terms

    def after_step(self, model: nn.Module, progress: Progress) -> bool:
        """After the last step, fit what was collected and forget it.

        Raises:
            TrainingError: If it was all of one class, or the solver did not converge.
        """
        if progress.step == progress.n_steps:
            probe, collected = _parts(model)
            self._fit(probe, *collected.rows())
            collected.clear()
        return False

    def spec(self, model: nn.Module, started: Spec) -> Spec:
        """Return the spec of the start."""
        return started

    def finish(self, model: nn.Module) -> Detector:
        """Return the detector without what was collected."""
        probe, _ = _parts(model)
        del probe.collected
        return probe

    def _fit(self, probe: LinearStatesDetector, embeddings: Tensor, bonafide: Tensor) -> None:
        """Write into a probe what scikit-learn fits to [N, D] and [N]."""
        from sklearn.linear_model import LogisticRegression

        n_bonafide = int(bonafide.sum())
        if not 0 < n_bonafide < len(bonafide):
            raise TrainingError(
                f"of {len(bonafide)} clips that passed {n_bonafide} are bona fide; the fit wants "
                "clips of both classes: give more steps, or another sampler"
            )
        features = embeddings.numpy().astype(np.float64)
        centre = features.mean(axis=0)
        # What hardly moves is not blown up: rounding, in 8 bits above all, would decide the score.
        floor = np.maximum(_LEAST_SPREAD * np.abs(centre), _ROUNDING)
        spread = np.maximum(features.std(axis=0), floor)
        model = LogisticRegression(
            C=self.c, class_weight="balanced", max_iter=self.max_iterations, tol=1e-6
        )
        model.fit((features - centre) / spread, bonafide.numpy())
        if model.n_iter_[0] >= self.max_iterations:
            raise TrainingError(
                f"the fit did not converge in {self.max_iterations} iterations; give a smaller "
                "method.c, or more method.max_iterations"
            )
        with torch.no_grad():
            probe.centre.copy_(torch.from_numpy(centre))
            probe.spread.copy_(torch.from_numpy(spread))
            probe.linear.weight.copy_(torch.from_numpy(model.coef_))
            probe.linear.bias.copy_(torch.from_numpy(model.intercept_))


class Collected(nn.Module):
    """Embeddings and truth of the clips that passed, on the processor; a checkpoint keeps them."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[Tensor] = []

    def add(self, embedding: Tensor, bonafide: Tensor) -> None:
        """Append [B, D] and [B]."""
        self.batches.append(torch.cat([bonafide.float()[:, None], embedding], dim=1))

    def rows(self) -> tuple[Tensor, Tensor]:
        """Return embeddings [N, D] and truth [N] bool, in the order of the batches."""
        state = self.get_extra_state()
        return state[:, 1:], state[:, 0] > 0

    def clear(self) -> None:
        """Forget all."""
        self.batches = []

    def get_extra_state(self) -> Tensor:
        """Return [N, 1 + D], the truth in front; torch puts it into the state of the model."""
        return torch.cat(self.batches) if self.batches else torch.zeros(0, 1)

    def set_extra_state(self, state: Tensor) -> None:
        """Take back what `get_extra_state` returned."""
        self.batches = [state.clone()] if len(state) else []


def _parts(model: nn.Module) -> tuple[LinearStatesDetector, Collected]:
    """Return what `prepare` returned, and what it collects into."""
    assert isinstance(model, LinearStatesDetector)
    assert isinstance(model.collected, Collected), "prepare was not called"
    return model, model.collected
