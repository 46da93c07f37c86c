"""Calibration for families that a detector has not seen: each is held out of training in turn.

A line fitted on families that a detector was trained on makes it too sure of those it was not.
Here the same recipe is trained once more without each family (a fold); the fold scores the dev
clips of that family, and all bona fide dev clips. All folds are fitted together, every family
weighing the same, and put behind the detector that has seen them all.

Folds differ in the scale of their raw scores, so each one's own line, fitted on its dev clips,
goes before: what is fitted is a second line, from log-likelihood ratios as the usual calibration
gives them to those that hold for unseen families.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unheard import metrics
from unheard.data.clip import RECONSTRUCTION
from unheard.data.hold_out import twins_of
from unheard.detectors.card import LEFT_OUT, Result, parse_results
from unheard.errors import TrainingError, suggestion
from unheard.files import parquet_bytes
from unheard.metrics import Calibration, OperatingPoints
from unheard.training.dev_clips import dev_scores
from unheard.training.stages import train_stages
from unheard.types import FloatArray, Say

if TYPE_CHECKING:
    import pyarrow as pa

    from unheard.data.clip import Manifest
    from unheard.detectors.bundle_files import Bundle
    from unheard.training.recipe import Recipe

__all__ = ["Fold", "LeftOutFamily", "calibrate", "evaluate_folds", "fit", "without"]

CALIBRATED = "calibrated"
CALIBRATED_ON = "dev clips of families left out of training in turn"
FOLDS = "held_out"
FEWEST_CLIPS = 10
"""A family with fewer spoofed dev clips shows too little to be held out."""


@dataclass(frozen=True, eq=False)
class Fold:
    """The scores of a detector that has not seen a family, on that family.

    Attributes:
        family: The family that was held out.
        bonafide: Log-likelihood ratios by the fold's own line of the bona fide dev clips, [N].
        spoof: The same of the family's spoofed dev clips, [M].
    """

    family: str
    bonafide: FloatArray
    spoof: FloatArray


@dataclass(frozen=True)
class LeftOutFamily:
    """How decisions do on a family that neither training nor calibration has seen.

    Attributes:
        family: The family.
        n_bonafide: Bona fide clips.
        n_spoof: Spoofed clips.
        eer: Equal error rate.
        cllr_before: Cost of the ratios as the usual calibration gives them, bits.
        cllr: The same by a line fitted on the other families' folds.
        undecided: Share of clips in the undecided zone of the other families' folds, both classes
            weighing the same.
        wrong: Share of errors among the decided ones, likewise; NaN if nothing is decided.
    """

    family: str
    n_bonafide: int
    n_spoof: int
    eer: float
    cllr_before: float
    cllr: float
    undecided: float
    wrong: float


def calibrate(
    recipe: Recipe,
    manifest: Manifest,
    out: Path,
    *,
    families: Sequence[str] = (),
    workers: int = 0,
    say: Say = lambda _: None,
) -> Path:
    """Calibrate a trained detector by holding out each attack family in turn.

    The detector is trained first if OUT holds no finished run; then one fold for each family, in
    OUT/held_out. What was interrupted resumes where it was.

    Args:
        recipe: What was trained, or is.
        manifest: Clips, with the parts that the recipe names.
        out: Folder of the run, as `train` has it.
        families: To hold out; none takes all with at least ten spoofed dev clips.
        workers: Processes that load clips.
        say: Takes lines of progress.

    Returns:
        The folder of the new bundle: the same weights with another calibration, other operating
        points, and how they do on each family in its results.

    Raises:
        TrainingError: If a family has too few dev clips, or fewer than three can be held out.
    """
    from unheard.detectors import bundle

    dev = manifest.part(*recipe.dev_parts)
    chosen = _families(dev, families)
    train_stages(recipe, manifest, out, workers=workers, say=say)
    folds = []
    for number, family in enumerate(chosen, start=1):
        say(f"{number} of {len(chosen)}: without {family}")
        place = out / FOLDS / "-".join(family.split()) / recipe.name
        trained = train_stages(recipe, without(manifest, family), place, workers=workers, say=say)
        folds.append(_scores_by(bundle.load(trained), recipe, dev, family))
    return _rewritten(out / "bundle", out / CALIBRATED, folds)


def without(manifest: Manifest, family: str) -> Manifest:
    """Return the clips without those of an attack family, nor twins of them or by it."""
    spoof = ~manifest.bonafide()
    gone = spoof & (manifest.column("family").astype(str) == family)
    return manifest.where(~gone & ~twins_of(manifest, gone, by="family", value=family))


def fit(folds: Sequence[Fold]) -> tuple[Calibration, OperatingPoints]:
    """Return the line and the operating points that hold for families held out.

    Every family weighs the same: its clips are repeated evenly up to the number of the largest.

    Args:
        folds: One for each family.
    """
    n_most = max(fold.spoof.size for fold in folds)
    bonafide = np.concatenate([fold.bonafide for fold in folds])
    spoof = np.concatenate(
        [np.sort(fold.spoof)[np.arange(n_most) * fold.spoof.size // n_most] for fold in folds]
    )
    line = metrics.fit_calibration(bonafide, spoof)
    return line, metrics.fit_operating_points(line(bonafide), line(spoof))


def evaluate_folds(folds: Sequence[Fold]) -> list[LeftOutFamily]:
    """Return how decisions do on each family, by a line fitted on the folds of the others.

    Args:
        folds: Two or more.
    """
    results = []
    for fold in folds:
        line, points = fit([other for other in folds if other is not fold])
        human, machine = line(fold.bonafide), line(fold.spoof)
        low, high = points.surely_spoof, points.surely_bonafide
        wrong = [np.mean(human < low), np.mean(machine >= high)]
        right = [np.mean(human >= high), np.mean(machine < low)]
        decided = sum(wrong) + sum(right)
        results.append(
            LeftOutFamily(
                family=fold.family,
                n_bonafide=human.size,
                n_spoof=machine.size,
                eer=metrics.eer(human, machine),
                cllr_before=metrics.cllr(fold.bonafide, fold.spoof),
                cllr=metrics.cllr(human, machine),
                undecided=float(1 - decided / 2),
                wrong=float(sum(wrong) / decided) if decided else float("nan"),
            )
        )
    return results


def _families(dev: Manifest, wanted: Sequence[str]) -> list[str]:
    """Return the families to hold out, each with enough dev clips."""
    spoof = dev.where(~dev.bonafide())
    names, counts = np.unique(spoof.column("family").astype(str), return_counts=True)
    known = dict(zip(names.tolist(), counts.tolist(), strict=True))
    known.pop(RECONSTRUCTION, None)
    for name in wanted:
        if known.get(name, 0) < FEWEST_CLIPS:
            raise TrainingError(
                f"family {name!r} has {known.get(name, 0)} spoofed dev clips"
                f"{suggestion(name, known)}, at least {FEWEST_CLIPS} needed; hold others out"
            )
    chosen = list(wanted) or [name for name, count in known.items() if count >= FEWEST_CLIPS]
    if len(chosen) < 3:
        raise TrainingError(
            f"{len(chosen)} families can be held out ({', '.join(chosen) or 'none'}), at least 3 "
            f"needed, each with {FEWEST_CLIPS} spoofed dev clips; give a corpus with more families"
        )
    return chosen


def _scores_by(fold: Bundle, recipe: Recipe, dev: Manifest, family: str) -> Fold:
    """Score the dev clips of the held-out family and all bona fide ones."""
    bonafide = dev.bonafide()
    chosen = dev.where(bonafide | (dev.column("family").astype(str) == family))
    llr = fold.card.calibration(dev_scores(fold.detector, chosen, recipe))
    human = chosen.bonafide()
    return Fold(family, llr[human], llr[~human])


def _rewritten(trained: Path, target: Path, folds: Sequence[Fold]) -> Path:
    """Write the trained bundle with the line and the points of the folds behind its own line."""
    from unheard.detectors import bundle, bundle_files

    card = bundle.read_card(trained)
    line, points = fit(folds)
    first, families = card.calibration, evaluate_folds(folds)
    held_out = {family.family: asdict(family) for family in families}
    notes = {**card.provenance.notes, "calibrated_on": CALIBRATED_ON, "held_out": held_out}
    results = [_result(family, fold) for family, fold in zip(families, folds, strict=True)]
    card = card.model_copy(
        update={
            "calibration": Calibration(
                line.scale * first.scale, line.scale * first.offset + line.offset
            ),
            "operating_points": points,
            "provenance": card.provenance.model_copy(update={"notes": notes}),
            "results": [_ranked(line) for line in card.results] + parse_results(results),
            "limits": [_limit(families), *card.limits],
        }
    )
    contents = {name: (trained / name).read_bytes() for name in card.files}
    if bundle_files.DEV_SCORES in contents:
        scores = _recalibrated(trained / bundle_files.DEV_SCORES, card.calibration)
        contents[bundle_files.DEV_SCORES] = parquet_bytes(scores)
    return bundle_files.replace(target, card, contents)


def _recalibrated(file: Path, calibration: Calibration) -> pa.Table:
    """Return the scores of dev clips by another line."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(file)
    scores = pa.array(calibration(table.column("raw").to_numpy()))
    return table.set_column(table.column_names.index("score"), "score", scores)


def _ranked(line: Result) -> Result:
    """Return a result without what another calibration changes."""
    kept = {name: value for name, value in line.metrics.items() if name.startswith("min_")}
    return line.model_copy(update={"metrics": kept})


def _result(family: LeftOutFamily, fold: Fold) -> dict[str, Any]:
    ends = metrics.bootstrap(metrics.eer, fold.bonafide, fold.spoof)
    measured = {"cllr": family.cllr, "undecided": family.undecided, "wrong": family.wrong}
    return {
        "protocol": LEFT_OUT,
        "group": family.family,
        "n_bonafide": family.n_bonafide,
        "n_spoof": family.n_spoof,
        "eer": family.eer,
        "eer_low": ends.low,
        "eer_high": ends.high,
        "metrics": {name: value for name, value in measured.items() if not np.isnan(value)},
    }


def _limit(families: Sequence[LeftOutFamily]) -> str:
    """Return what to expect of families that training has not seen, as a sentence."""
    eers = [family.eer for family in families]
    eer = float(np.mean(eers))
    undecided = float(np.mean([family.undecided for family in families]))
    decided = [family.wrong for family in families if not np.isnan(family.wrong)]
    wrong = f"{np.mean(decided):.0%} of the others wrongly" if decided else "and nothing"
    return (
        f"Families left out of training one by one: EER {eer:.0%} on average, "
        f"{max(eers):.0%} at worst; it leaves {undecided:.0%} of such clips "
        f"undecided and decides {wrong}."
    )
