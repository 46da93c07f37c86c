"""Calibration by an increasing step map instead of a straight line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from unheard.metrics.rates import steps
from unheard.types import FloatArray

__all__ = ["IsotonicCalibration", "fit_isotonic"]


@dataclass(frozen=True)
class IsotonicCalibration:
    """A rising map from raw scores to natural-log likelihood ratios, straight between its knots.

    Attributes:
        scores: Raw scores of the knots, ascending.
        llr: Log-likelihood ratios at the knots, never falling. Beyond the knots the outermost
            ratio holds.
    """

    scores: tuple[float, ...]
    llr: tuple[float, ...]

    def __call__(self, scores: ArrayLike) -> FloatArray:
        """Return log-likelihood ratios, float64, of the same shape as the scores."""
        return np.asarray(np.interp(np.asarray(scores, np.float64), self.scores, self.llr))


def fit_isotonic(bonafide: ArrayLike, spoof: ArrayLike) -> IsotonicCalibration:
    """Fit the best rising map to log-likelihood ratios, both classes weighing the same.

    Neighbouring scores are pooled until the share of bona fide clips never falls; a pool's ratio
    is that of its shares of the two classes. One more clip of each class at either end, beyond
    all scores, keeps every ratio finite: with n perfectly separated clips of each class they are
    ± ln(n + 1). It follows any shape but needs many clips, and it ties scores: metrics of order
    (EER, minDCF, min Cllr) belong to the raw scores, or to those after `fit_calibration`.

    Args:
        bonafide: Raw scores of bona fide dev clips, shape [N].
        spoof: Raw scores of spoofed dev clips, shape [M].

    Raises:
        MetricError: As `eer`.

    Source:
        Zadrozny and Elkan, "Transforming classifier scores into accurate multiclass probability
        estimates", 2002; the clips at the ends as in Bruemmer and de Villiers, "The BOSARIS
        toolkit", 2011.
    """
    from scipy.optimize import isotonic_regression

    curve = steps(bonafide, spoof)
    human = np.concatenate([[1], np.diff(curve.bonafide), [1]])
    total = human + np.concatenate([[1], np.diff(curve.spoof), [1]])
    fit = isotonic_regression(human / total, weights=total)
    share = fit.x[1:-1]
    odds = np.log(share) - np.log1p(-share)
    llr = odds - np.log((curve.n_bonafide + 2) / (curve.n_spoof + 2))
    edge = np.append(True, llr[1:] != llr[:-1])
    knots = edge | np.append(edge[1:], True)
    return IsotonicCalibration(tuple(curve.scores[knots].tolist()), tuple(llr[knots].tolist()))
