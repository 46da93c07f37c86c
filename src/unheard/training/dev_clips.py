"""How a model does on the dev clips: scores by the function that inference uses, and what chooses.

N dev clips.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np
from torch import nn

from unheard import audio, metrics
from unheard.data.clip import Clip, Manifest
from unheard.data.kinds import base_system
from unheard.detectors.detector import Detector, window_scores
from unheard.errors import TrainingError
from unheard.metrics.by_group import FEWEST_SPOOF
from unheard.scoring.windowed import pooled
from unheard.training import distributed
from unheard.training.provenance import systems_of
from unheard.training.recipe import Recipe
from unheard.types import BoolArray, FloatArray, IntArray

__all__ = [
    "Checked",
    "check",
    "check_held_out",
    "dev_scores",
    "held_out_clips",
    "spread",
    "systems",
]


def dev_scores(model: nn.Module, manifest: Manifest, recipe: Recipe) -> FloatArray:
    """Return the raw score of each clip, shape [N], by the function that inference uses.

    Processes share out the clips, and all get all scores.

    Args:
        model: In evaluation mode; a detector, or one as a method prepared it.
        manifest: N clips; scored as they are, without what is done to training clips.
        recipe: Says how clips are cut and windows pooled.
    """
    score = partial(
        pooled,
        partial(window_scores, cast(Detector, model)),
        window_s=recipe.window_s,
        hop_s=recipe.hop_s,
        pooling=recipe.pooling,
    )
    return distributed.shared_out(
        lambda row: score(_samples(manifest, manifest[row])),
        len(manifest),
        in_step=distributed.is_sharded(model),
    )


def _samples(manifest: Manifest, clip: Clip) -> FloatArray:
    """Return all of a clip, shape [T], from a file of its own or from a shard."""
    return audio.read(manifest.audio(clip), name=str(manifest.file(clip))).samples


@dataclass(frozen=True)
class Checked:
    """What a check on dev gives.

    Attributes:
        eer: Equal error rate of all clips.
        cllr: Cllr after calibration on them, bits.
        systems: Mean over systems of equal error rates; None if the recipe does not choose by it.
    """

    eer: float
    cllr: float
    systems: float | None = None

    @property
    def error(self) -> float:
        """What the best step has the least of."""
        return self.eer if self.systems is None else self.systems

    def line(self) -> dict[str, float]:
        """Return what the log says of it."""
        line = {"dev_eer": self.eer, "dev_cllr": self.cllr}
        return line if self.systems is None else line | {"dev_systems": self.systems}


def check(
    model: nn.Module, dev: Manifest, groups: Mapping[str, BoolArray], recipe: Recipe
) -> Checked:
    """Check a model on dev clips, and leave it in training mode.

    Args:
        model: As a method prepared it.
        dev: N clips.
        groups: Which clips are of each system that counts, shapes [N]; none if that chooses not.
        recipe: Says how clips are cut and windows pooled.
    """
    scores = dev_scores(model.eval(), dev, recipe)
    model.train()
    return _checked(dev.bonafide(), scores, groups)


def _checked(bonafide: BoolArray, scores: FloatArray, groups: Mapping[str, BoolArray]) -> Checked:
    human, machine = scores[bonafide], scores[~bonafide]
    calibrate = metrics.fit_calibration(human, machine)
    # Ties are usual in the first steps.
    with warnings.catch_warnings(action="ignore", category=metrics.TiesWarning):
        eer = metrics.eer(human, machine)
        by_group = {name: scores[mask] for name, mask in groups.items()}
        error = metrics.macro(metrics.eer, human, by_group).mean if groups else eer
    cllr = metrics.cllr(calibrate(human), calibrate(machine))
    eer, cllr, error = distributed.of_first(eer, cllr, error)
    return Checked(eer, cllr, error if groups else None)


def held_out_clips(
    clips: Manifest, rows: IntArray, scores: FloatArray
) -> tuple[Manifest, FloatArray]:
    """Return the clips that were held out, and the mean of each one's scores.

    Args:
        clips: What was trained on.
        rows: Which clip each score is of, shape [N].
        scores: As a method gives them, shape [N]; NaN where nothing was held out.
    """
    known = ~np.isnan(scores)
    found, place = np.unique(rows[known], return_inverse=True)
    chosen = np.zeros(len(clips), bool)
    chosen[found] = True
    sums = np.bincount(place, scores[known], len(found))
    return clips.where(chosen), sums / np.bincount(place, minlength=len(found))


def check_held_out(clips: Manifest, scores: FloatArray) -> Checked:
    """Check the scores [N] of clips that were held out; before there are any, those of chance."""
    return _checked(clips.bonafide(), scores, {}) if len(clips) else Checked(eer=0.5, cllr=1.0)


def systems(dev: Manifest, clips: Manifest) -> dict[str, BoolArray]:
    """Return the clips [N] of each attack of dev that counts; see `Budget.choose_by`."""
    attacks = dev.column("attack").astype(str)
    trained = set(systems_of(clips))
    names = [
        name
        for name in sorted(set(attacks[~dev.bonafide()].tolist()))
        if (attacks == name).sum() >= FEWEST_SPOOF
    ]
    if not names:
        raise TrainingError(
            f"budget.choose_by is 'systems', and no attack of dev has {FEWEST_SPOOF} clips; "
            "set it to pooled, or give more dev clips"
        )
    unseen = [name for name in names if base_system(name) not in trained]
    return {name: attacks == name for name in unseen or names}


def spread(dev: Manifest, n_clips: int) -> Manifest:
    """Return at most n_clips of a manifest, half of each class, evenly spread; 0 for all."""
    if not 0 < n_clips < len(dev):
        return dev
    bonafide = dev.bonafide()
    chosen = np.zeros(len(dev), bool)
    for rows in (np.flatnonzero(bonafide), np.flatnonzero(~bonafide)):
        n = min(len(rows), max(n_clips // 2, 1))
        chosen[rows[np.linspace(0, len(rows) - 1, n).round().astype(int)]] = True
    return dev.where(chosen)
