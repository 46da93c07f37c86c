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
from unheard.types import BoolArray, FloatArray, IntArray

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

    Clips can be held out at little cost, since they are embedded but once: the layer is also fitted
    without the clips of each domain in turn, and scores those. Where a domain is a group of
    laboratories, the scores say how the detector does on laboratories that it has not met, and
    calibrate it though dev is trained on too.

    Attributes:
        c: Inverse of the strength of the penalty on the squared weights, scikit-learn's C: smaller
            is smoother. To be chosen on dev.
        max_iterations: Of the solver, L-BFGS.
        hold_out: Fit without each domain of the sampler in turn, too.
    """

    c: float = 1e-3
    max_iterations: int = 1000
    hold_out: bool = False

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
        if self.hold_out:
            detector.scored = Collected()
        return detector

    def gradients(self, model: nn.Module, batch: Batch, objective: Objective) -> Terms:
        """Collect the batch's embeddings, those of other processes too; add nothing to `.grad`."""
        probe, collected = _parts(model)
        with torch.no_grad():
            embedding = probe.embed(batch.waveform).float()
            terms = objective(Outputs(probe.classify(embedding), embedding), batch)
            columns = (batch.bonafide[:, None], batch.domain[:, None], embedding)
            collected.add(gathered(torch.cat([column.float().cpu() for column in columns], dim=1)))
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
            bonafide, domain, features = _columns(collected.rows())
            _write(probe, *self._fit(features, bonafide))
            if self.hold_out:
                assert isinstance(probe.scored, Collected), "prepare was not called"
                probe.scored.add(self._scores(features, bonafide, domain))
            collected.clear()
        return False

    def held_out(self, model: nn.Module) -> FloatArray | None:
        """Return scores by layers fitted without a domain's clips, if that is wanted."""
        probe, _ = _parts(model)
        if not self.hold_out:
            return None
        assert isinstance(probe.scored, Collected), "prepare was not called"
        scores: FloatArray = probe.scored.rows()[:, -1].numpy().astype(np.float64)
        return scores

    def spec(self, model: nn.Module, started: Spec) -> Spec:
        """Return the spec of the start."""
        return started

    def finish(self, model: nn.Module) -> Detector:
        """Return the detector without what was collected."""
        probe, _ = _parts(model)
        del probe.collected
        if self.hold_out:
            del probe.scored
        return probe

    def _fit(self, features: FloatArray, bonafide: BoolArray) -> tuple[FloatArray, ...]:
        """Return centre [D], spread [D], weights [D] and offset [1] for [N, D] and [N]."""
        from sklearn.linear_model import LogisticRegression

        n_bonafide = int(bonafide.sum())
        if not 0 < n_bonafide < len(bonafide):
            raise TrainingError(
                f"of {len(bonafide)} clips that passed {n_bonafide} are bona fide; the fit wants "
                "clips of both classes: give more steps, another sampler, or domains with both"
            )
        centre = features.mean(axis=0)
        # What hardly moves is not blown up: rounding, in 8 bits above all, would decide the score.
        floor = np.maximum(_LEAST_SPREAD * np.abs(centre), _ROUNDING)
        spread = np.maximum(features.std(axis=0), floor)
        model = LogisticRegression(
            C=self.c, class_weight="balanced", max_iter=self.max_iterations, tol=1e-6
        )
        model.fit((features - centre) / spread, bonafide)
        if model.n_iter_[0] >= self.max_iterations:
            raise TrainingError(
                f"the fit did not converge in {self.max_iterations} iterations; give a smaller "
                "method.c, or more method.max_iterations"
            )
        return centre, spread, model.coef_[0], model.intercept_

    def _scores(self, features: FloatArray, bonafide: BoolArray, domain: IntArray) -> Tensor:
        """Return the score [N, 1] of each clip by a fit without its domain; NaN if it has none."""
        scores = np.full((len(domain), 1), np.nan)
        for number in np.unique(domain[domain >= 0]):
            inside = domain == number
            centre, spread, weights, offset = self._fit(features[~inside], bonafide[~inside])
            scores[inside, 0] = (features[inside] - centre) / spread @ weights + offset
        return torch.from_numpy(scores).float()


class Collected(nn.Module):
    """Rows of numbers, on the processor; a checkpoint keeps them."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[Tensor] = []

    def add(self, rows: Tensor) -> None:
        """Append [B, C]."""
        self.batches.append(rows)

    def rows(self) -> Tensor:
        """Return all rows [N, C], in the order in which they were added."""
        return self.get_extra_state()

    def clear(self) -> None:
        """Forget all."""
        self.batches = []

    def get_extra_state(self) -> Tensor:
        """Return the rows; torch puts them into the state of the model."""
        return torch.cat(self.batches) if self.batches else torch.zeros(0, 1)

    def set_extra_state(self, state: Tensor) -> None:
        """Take back what `get_extra_state` returned."""
        self.batches = [state.clone()] if len(state) else []


def _columns(rows: Tensor) -> tuple[BoolArray, IntArray, FloatArray]:
    """Return truth [N], domain [N] and embeddings [N, D] of what was collected."""
    values = rows.numpy()
    return values[:, 0] > 0, values[:, 1].astype(np.int64), values[:, 2:].astype(np.float64)


def _write(probe: LinearStatesDetector, *fitted: FloatArray) -> None:
    """Write centre, spread, weights and offset into a probe."""
    targets = (probe.centre, probe.spread, probe.linear.weight, probe.linear.bias)
    with torch.no_grad():
        for target, value in zip(targets, fitted, strict=True):
            target.copy_(torch.from_numpy(value).reshape(target.shape))


def _parts(model: nn.Module) -> tuple[LinearStatesDetector, Collected]:
    """Return what `prepare` returned, and what it collects into."""
    assert isinstance(model, LinearStatesDetector)
    assert isinstance(model.collected, Collected), "prepare was not called"
    return model, model.collected
