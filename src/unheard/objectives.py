"""What is minimised: functions of a detector's outputs and a batch, as frozen values.

B clips. An entry of `Terms` whose name starts with "_" is logged but not minimised.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from unheard.batch import Batch, Terms, total
from unheard.detectors.detector import Outputs
from unheard.errors import RecipeError, suggestion

__all__ = ["OBJECTIVES", "Terms", "WeightedCrossEntropy", "WithTerms", "total"]


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


@dataclass(frozen=True)
class WithTerms:
    """Weighted cross-entropy, and scalars that the detector offers, each times its weight.

    A detector with a mixture of LoRA experts offers "expert_balance" and "expert_orthogonality".

    Attributes:
        cross_entropy: The cross-entropy.
        weights: Names of the detector's terms, and what each is multiplied by.

    Source:
        Fedus et al., Switch transformers, 2022, eq. 4, for the balance of experts; whether the
        mixture of LoRA experts (2509.13878) used one is not known.
    """

    cross_entropy: WeightedCrossEntropy = WeightedCrossEntropy()
    weights: tuple[tuple[str, float], ...] = (("expert_balance", 0.01),)

    def __call__(self, outputs: Outputs, batch: Batch) -> Terms:
        """Return {"cross_entropy": scalar, ...} with one entry per weighted term.

        Raises:
            RecipeError: If the detector offers no term of a name.
        """
        terms = dict(self.cross_entropy(outputs, batch))
        for name, weight in self.weights:
            if name not in outputs.terms:
                raise RecipeError(
                    f"the detector offers no term {name!r}{suggestion(name, outputs.terms)}; "
                    "a balance needs adapters with several experts"
                )
            terms[name] = weight * outputs.terms[name]
        return terms


OBJECTIVES = {
    "weighted_cross_entropy": WeightedCrossEntropy,
    "with_terms": WithTerms,
}
