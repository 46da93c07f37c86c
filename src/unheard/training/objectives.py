"""What is minimised: functions of a detector's outputs and a batch, as frozen values.

B clips, D embedding features. An entry of `Terms` whose name starts with "_" is logged but not
minimised.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from unheard.data.batches import Batch, Terms
from unheard.detectors.detector import Outputs
from unheard.errors import RecipeError, TrainingError, check_choices, suggestion

__all__ = ["OBJECTIVES", "Racl", "WeightedCrossEntropy", "WithTerms"]


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
        at_truth = torch.where(batch.bonafide, if_bonafide, if_spoof)
        smooth = (if_bonafide + if_spoof) / 2
        loss = (1 - self.label_smoothing) * at_truth + self.label_smoothing * smooth
        n_bonafide = batch.bonafide.to(score.dtype).sum()
        weight = self.bonafide_weight * n_bonafide + self.spoof_weight * (len(batch) - n_bonafide)
        return {"cross_entropy": loss.sum() / weight}


@dataclass(frozen=True)
class Racl:
    """Cross-entropy, contrasts between embeddings, and the spread of each class.

    The classes are bona fide and everything else: spoofed clips and reconstructions of either. With
    d the distance of two embeddings and m the margin, a pair of one class costs d^2, a pair of two
    classes max(0, m - d)^2; in the linear form d and max(0, m - d). Minimised is

        (1 - standard - enhanced) cross_entropy + standard L_std + enhanced L_enh + variance L_reg

    L_std is the mean over all pairs of the batch (eq. 5), L_enh the mean over pairs among bona fide
    and reconstructed bona fide clips alone, and L_reg the variance of the embedding within each of
    the two classes, added up, mean over features (eq. 6). At distance 0 the gradient of d is 0.

    Attributes:
        cross_entropy: The paper weighs 10 bona fide to 1 other, for batches of one bona fide clip
            in ten or so.
        standard: Weight of L_std; the paper's a.
        enhanced: Weight of L_enh; the paper's b. 0 for batches without reconstructions.
        variance: Weight of L_reg; the paper's c.
        factor: Of the cross-entropy: "rest" is 1 - standard - enhanced (eq. 8), "one" is 1, as one
            digest of the paper has it.
        form: "squared" hinge or "linear". The paper's is not known.
        margin: From here on, pairs of two classes are far enough apart. Not known of the paper; 1
            is what its model in image forensics used.
        normalised: Contrast the directions of embeddings, each divided by its norm; L_reg and the
            distances that are logged are those of the embeddings as they are. Not known of the
            paper; its model does, and with a margin of 1 the distances that the paper reports, 50
            to 77, can hardly come of anything else.

    Source:
        Diffusion reconstruction towards generalizable audio deepfake detection (2604.26465),
        eq. 5 to 8. That the embedding is the one before the last layer, and that the variance is
        that of the clips of the batch themselves, divided by their number, are our readings.
    """

    cross_entropy: WeightedCrossEntropy = WeightedCrossEntropy(bonafide_weight=10.0)
    standard: float = 0.6
    enhanced: float = 0.1
    variance: float = 0.3
    factor: Literal["rest", "one"] = "rest"
    form: Literal["squared", "linear"] = "squared"
    margin: float = 1.0
    normalised: bool = True

    def __post_init__(self) -> None:
        check_choices(self, "objective.{name} cannot be {value!r}")
        for name in ("standard", "enhanced", "variance"):
            if not 0 <= getattr(self, name) < math.inf:
                raise RecipeError(f"objective.{name} is {getattr(self, name):g}; give 0 or more")
        if self.factor == "rest" and self.standard + self.enhanced >= 1:
            raise RecipeError(
                f"objective.standard {self.standard:g} and objective.enhanced {self.enhanced:g} "
                "leave nothing to the cross-entropy; give a sum under 1, or objective.factor=one"
            )
        if not 0 < self.margin < math.inf:
            raise RecipeError(f"objective.margin is {self.margin:g}; give a number above 0")

    def __call__(self, outputs: Outputs, batch: Batch) -> Terms:
        """Return the weighted terms; what they were before, and distances, with "_".

        Returns:
            "cross_entropy", and those of "standard", "enhanced" and "variance" that have a weight;
            "_cross_entropy", "_standard", "_enhanced" and "_variance" without weights;
            "_distance_classes", the mean distance of a bona fide clip to any other, and
            "_distance_reconstructed" that to a reconstructed bona fide one. What has no pair in the
            batch is 0.

        Raises:
            TrainingError: If `enhanced` has a weight and no clip is a reconstructed bona fide one.
        """
        remade = _reconstructed(batch)
        if self.enhanced and not remade.any():
            raise TrainingError(
                "a batch holds no reconstructed bona fide clip, and objective.enhanced is "
                f"{self.enhanced:g}; use the sampler WithTwins, or set objective.enhanced=0"
            )
        features = outputs.embedding
        features = features.to(torch.promote_types(features.dtype, torch.float32))
        squared = _squared(features)
        upper = torch.ones_like(squared, dtype=torch.bool).triu(1)
        same = batch.bonafide[:, None] == batch.bonafide
        hard = batch.bonafide | remade
        cost = self._cost(features, same)
        raw = {
            "cross_entropy": self.cross_entropy(outputs, batch)["cross_entropy"],
            "standard": _mean(cost, upper),
            "enhanced": _mean(cost, upper & hard[:, None] & hard),
            "variance": _variance(squared, batch.bonafide) / features.shape[1],
        }
        rest = 1.0 if self.factor == "one" else 1 - self.standard - self.enhanced
        weights = {"cross_entropy": rest} | {
            name: getattr(self, name) for name in ("standard", "enhanced", "variance")
        }
        terms = {name: weight * raw[name] for name, weight in weights.items() if weight}
        distance = squared.detach().sqrt()
        raw["distance_classes"] = _mean(distance, upper & ~same)
        raw["distance_reconstructed"] = _mean(distance, batch.bonafide[:, None] & remade)
        return terms | {f"_{name}": value.detach() for name, value in raw.items()}

    def _cost(self, features: Tensor, same: Tensor) -> Tensor:
        """Return what each pair costs, [B, B]."""
        if self.normalised:
            features = functional.normalize(features, dim=1)
        squared = _squared(features)
        distance = _root(squared)
        missing = (self.margin - distance).clamp(min=0)
        if self.form == "linear":
            return torch.where(same, distance, missing)
        return torch.where(same, squared, missing.square())


def _reconstructed(batch: Batch) -> Tensor:
    """Return which clips are reconstructions of bona fide ones, [B] bool."""
    return ~batch.bonafide & (batch.twin >= 0) & batch.bonafide[batch.twin]


def _squared(features: Tensor) -> Tensor:
    """Return the squared distance of each pair, [B, D] -> [B, B]."""
    return (features[:, None] - features).square().sum(dim=2)


def _root(squared: Tensor) -> Tensor:
    """Return the square root, with a gradient of 0 at 0."""
    apart = squared > 0
    return torch.where(apart, squared, 1.0).sqrt() * apart


def _mean(values: Tensor, pairs: Tensor) -> Tensor:
    """Return the mean over the pairs at which a mask [B, B] is true; 0 if there are none."""
    return (values * pairs).sum() / pairs.sum().clamp(min=1)


def _variance(squared: Tensor, bonafide: Tensor) -> Tensor:
    """Return the variance of the clips of each class, added over features and both classes.

    The variance of n points is the sum of their squared distances, each pair counted twice, over
    2 n^2: exactly 0 where they coincide, which their deviation from a rounded mean is not.
    """
    parts = [
        (squared * (members[:, None] & members)).sum() / (2 * members.sum().clamp(min=1).square())
        for members in (bonafide, ~bonafide)
    ]
    return parts[0] + parts[1]


@dataclass(frozen=True)
class WithTerms:
    """An objective, and scalars that the detector offers, each times its weight.

    A detector with a mixture of LoRA experts offers "expert_balance" and "expert_orthogonality".

    Attributes:
        objective: What is minimised besides them.
        weights: Names of the detector's terms, and what each is multiplied by.

    Source:
        Fedus et al., Switch transformers, 2022, eq. 4, for the balance of experts; whether the
        mixture of LoRA experts (2509.13878) used one is not known.
    """

    objective: Callable[[Outputs, Batch], Terms] = WeightedCrossEntropy()
    weights: tuple[tuple[str, float], ...] = (("expert_balance", 0.01),)

    def __call__(self, outputs: Outputs, batch: Batch) -> Terms:
        """Return the objective's terms and one entry per weighted term of the detector.

        Raises:
            RecipeError: If the detector offers no term of a name.
        """
        terms = dict(self.objective(outputs, batch))
        for name, weight in self.weights:
            if name not in outputs.terms:
                raise RecipeError(
                    f"the detector offers no term {name!r}{suggestion(name, outputs.terms)}; "
                    "a balance needs adapters with several experts"
                )
            terms[name] = weight * outputs.terms[name]
        return terms


OBJECTIVES = {
    "racl": Racl,
    "weighted_cross_entropy": WeightedCrossEntropy,
    "with_terms": WithTerms,
}
