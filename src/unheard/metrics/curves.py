"""Curves of log-likelihood ratios: are they honest, and how strong is the evidence?

Numbers to draw, not pictures: `unheard.evaluation.pictures` draws them. K distinct scores, B bins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from unheard.errors import MetricError
from unheard.metrics.rates import checked, det_curve
from unheard.types import FloatArray, IntArray

__all__ = ["Reliability", "Tippett", "reliability", "tippett"]


@dataclass(frozen=True, eq=False)
class Reliability:
    """What was promised against what came true, by bins of the promised spoof probability.

    Attributes:
        predicted: Mean spoof probability of the clips of each bin, in [0, 1], shape [B].
        observed: Share of spoofed clips among them, at the same prior, in [0, 1], shape [B].
        n_bonafide: Bona fide clips in each bin, shape [B].
        n_spoof: Spoofed clips in each bin, shape [B].
        error: Mean distance of the two, each bin weighed by its share of clips at that prior
            (the expected calibration error), in [0, 1].
    """

    predicted: FloatArray
    observed: FloatArray
    n_bonafide: IntArray
    n_spoof: IntArray
    error: float


def reliability(
    bonafide_llr: ArrayLike,
    spoof_llr: ArrayLike,
    n_bins: int = 15,
    *,
    spoof_prior: float = 0.5,
) -> Reliability:
    """Return how often clips called spoof with a probability are spoof.

    Clips are weighed so that spoofed ones make up `spoof_prior`, whatever their share in the set:
    otherwise a perfect ratio would look wrong on every unbalanced set. Bins are equally wide in
    probability; empty ones are left out.

    Args:
        bonafide_llr: Natural-log likelihood ratios of bona fide clips, shape [N].
        spoof_llr: The same of spoofed clips, shape [M].
        n_bins: Bins between 0 and 1.
        spoof_prior: Share of spoofed clips that turns ratios into probabilities.

    Returns:
        One entry per bin with clips in it, by ascending probability.

    Raises:
        MetricError: As `eer`, or if there is no bin or the prior is outside (0, 1).

    Source:
        DeGroot and Fienberg, "The comparison and evaluation of forecasters", 1983; both classes
        weighed by the prior, as in the Cllr of Bruemmer and du Preez 2006.
    """
    if n_bins < 1 or not 0 < spoof_prior < 1:
        raise MetricError(
            f"n_bins={n_bins}, spoof_prior={spoof_prior:g}; give at least one bin and a prior "
            "inside (0, 1)"
        )
    human, machine = checked(bonafide_llr, spoof_llr)
    odds = np.concatenate([human, machine]) + np.log((1 - spoof_prior) / spoof_prior)
    probability = np.exp(-np.logaddexp(0, odds))
    cell = np.minimum((probability * n_bins).astype(np.int64), n_bins - 1)
    n_bonafide = np.bincount(cell[: human.size], minlength=n_bins)
    n_spoof = np.bincount(cell[human.size :], minlength=n_bins)
    weight = np.repeat(
        [(1 - spoof_prior) / human.size, spoof_prior / machine.size], [human.size, machine.size]
    )
    mass = np.bincount(cell, weight, minlength=n_bins)
    promised = np.bincount(cell, weight * probability, minlength=n_bins)
    came_true = spoof_prior * n_spoof / machine.size
    full = mass > 0
    return Reliability(
        predicted=promised[full] / mass[full],
        observed=came_true[full] / mass[full],
        n_bonafide=n_bonafide[full],
        n_spoof=n_spoof[full],
        error=float(np.abs(promised - came_true).sum()),
    )


@dataclass(frozen=True, eq=False)
class Tippett:
    """Which share of each class has at least a given log-likelihood ratio.

    Attributes:
        llr: Distinct natural-log likelihood ratios, ascending, shape [K].
        bonafide: Share of bona fide clips at or above each, from 1 downwards, shape [K].
        spoof: Share of spoofed clips at or above each, shape [K].
        misleading_bonafide: Share of bona fide clips whose ratio is below 0, so speaks for spoof.
        misleading_spoof: Share of spoofed clips whose ratio is above 0.
    """

    llr: FloatArray
    bonafide: FloatArray
    spoof: FloatArray
    misleading_bonafide: float
    misleading_spoof: float


def tippett(bonafide_llr: ArrayLike, spoof_llr: ArrayLike) -> Tippett:
    """Return both classes' shares of evidence at or above every log-likelihood ratio.

    Args:
        bonafide_llr: Natural-log likelihood ratios of bona fide clips, shape [N].
        spoof_llr: The same of spoofed clips, shape [M].

    Returns:
        Two falling step curves over the same ratios; between two ratios the share of the higher
        one holds.

    Raises:
        MetricError: As `eer`.

    Source:
        Evett and Buckleton 1996, called Tippett plots since Meuwly, "Reconnaissance de locuteurs
        en sciences forensiques", 2001.
    """
    human, machine = checked(bonafide_llr, spoof_llr)
    miss, false_alarm, threshold = det_curve(human, machine)
    return Tippett(
        llr=threshold[:-1],
        bonafide=1 - miss[:-1],
        spoof=false_alarm[:-1],
        misleading_bonafide=float(np.mean(human < 0)),
        misleading_spoof=float(np.mean(machine > 0)),
    )
