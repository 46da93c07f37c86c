"""What is minimised: functions of a detector's outputs and a batch, as frozen values.

B clips. An entry of `Terms` whose name starts with "_" is logged but not minimised.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from unheard.batch import Batch, Terms, total
from unheard.detectors.detector import Outputs
from unheard.errors import RecipeError

__all__ = ["OBJECTIVES", "Terms", "WeightedCrossEntropy", "total"]


@dataclass(frozen=True)
class WeightedCrossEntropy:
    """Two-class cross-entropy on one logit, with class weights.

    With one logit z per clip, log p(bona fide) = log sigmoid(z): the same function as the
    cross-entropy over two logits (0, z) that other toolkits train. The mean is weighted as torch
    weights it: the sum of w_i l_i over the sum of w_i, so only the ratio of the weights matters.

    Attributes:
        bonafide_weight: Weight of a bona fide clip; positive.
        spoof_weight: Weight of a spoofed clip; positive.
        label_smoothing: Share of the truth given to both classes alike, in [0, 1).

    Source:
        `torch.nn.functional.cross_entropy(weight=, label_smoothing=)` for two classes; equality is
        tested.
    """

    bonafide_weight: float = 1.0
    spoof_weight: float = 1.0
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        if not (self.bonafide_weight > 0 and self.spoof_weight > 0):
            raise RecipeError(
                f"class weights are {self.bonafide_weight:g} and {self.spoof_weight:g}; "
                "give two positive numbers"
            )
        if not 0 <= self.label_smoothing < 1:
            raise RecipeError(
                f"label_smoothing is {self.label_smoothing:g}; give a number in [0, 1)"
            )

    def __call__(self, outputs: Outputs, batch: Batch) -> Terms:
        """Return {"cross_entropy": scalar}."""
        score = outputs.score
        if_bonafide = self.bonafide_weight * functional.softplus(-score)
        if_spoof = self.spoof_weight * functional.softplus(score)
        told = torch.where(batch.bonafide, if_bonafide, if_spoof)
        smooth = (if_bonafide + if_spoof) / 2
        loss = (1 - self.label_smoothing) * told + self.label_smoothing * smooth
        n_bonafide = batch.bonafide.to(score.dtype).sum()
        weight = self.bonafide_weight * n_bonafide + self.spoof_weight * (len(batch) - n_bonafide)
        return {"cross_entropy": loss.sum() / weight}


OBJECTIVES = {
    "weighted_cross_entropy": WeightedCrossEntropy,
}
