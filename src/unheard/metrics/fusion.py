"""One score out of the scores of several systems, fitted to clips of known class.

N bona fide clips, M spoofed clips, S systems.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from unheard.errors import MetricError
from unheard.types import FloatArray

__all__ = ["Fusion", "fit_fusion"]


@dataclass(frozen=True)
class Fusion:
    """A weighted sum of the scores of several systems, a natural-log likelihood ratio.

    Attributes:
        weights: Weight of each system, in the unit of its scores.
        offset: What is added.
    """

    weights: tuple[float, ...]
    offset: float

    def __call__(self, scores: ArrayLike) -> FloatArray:
        """Return log-likelihood ratios [...] of the scores [..., S] of all systems."""
        return np.asarray(np.asarray(scores, np.float64) @ np.array(self.weights) + self.offset)


def fit_fusion(bonafide: ArrayLike, spoof: ArrayLike, *, strength: float = 1.0) -> Fusion:
    """Fit a linear fusion by logistic regression in which both classes weigh the same.

    The scores of each system are brought to unit variance, then half the squared length of the
    weights, times `strength`, is added to the sum of the clips' losses. That keeps separable data
    finite, shares the weight of systems that say the same, and fades as clips are added. A system
    may get a weight below 0: where two err alike, their difference can tell more than their sum.

    Args:
        bonafide: Scores of bona fide dev clips by all systems, shape [N, S].
        spoof: The same of spoofed dev clips, shape [M, S].
        strength: Of the regulariser, above 0.

    Raises:
        MetricError: If the arrays are empty, of other shapes, or hold a score that is not finite.

    Source:
        Pigeon, Druyts and Verlinde, "Applying logistic regression to the fusion of the NIST'99
        1-speaker submissions", 2000; scikit-learn's `LogisticRegression` does the fit.
    """
    from sklearn.linear_model import LogisticRegression

    human, machine = np.asarray(bonafide, np.float64), np.asarray(spoof, np.float64)
    shapes = f"{list(human.shape)} and {list(machine.shape)}"
    if human.ndim != 2 or human.shape[1:] != machine.shape[1:] or not human.size * machine.size:
        raise MetricError(
            f"scores of shapes {shapes}; one row per clip and one column per system wanted, "
            "of both classes"
        )
    scores = np.concatenate([human, machine])
    if not np.isfinite(scores).all():
        raise MetricError("scores hold NaN or infinite values; leave these clips out")
    centre, spread = scores.mean(axis=0), scores.std(axis=0)
    spread[spread == 0] = 1.0
    model = LogisticRegression(C=1 / strength, class_weight="balanced", tol=1e-8, max_iter=1000)
    model.fit((scores - centre) / spread, np.arange(len(scores)) < len(human))
    weights = model.coef_[0] / spread
    offset = float(model.intercept_[0] - weights @ centre)
    return Fusion(tuple(weights.tolist()), offset)
