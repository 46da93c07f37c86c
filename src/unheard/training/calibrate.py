"""Calibration for families that a detector has not heard: each is left out of training in turn.

A line fitted on families that a detector was trained on makes it too sure of those it was not.
Here the same recipe is trained once more without each family (a fold); the fold scores the dev
clips of that family, and all bona fide dev clips. What all folds say together is fitted, every
family weighing the same, and put behind the detector that has heard them all.

Folds differ in the scale of their raw scores, so each one's own line, fitted on its dev clips,
goes before: what is fitted is a second line, from log-likelihood ratios as the usual calibration
gives them to those that hold for unheard families.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from unheard.training.loop import dev_scores
from unheard.training.stages import train_stages
from unheard.types import FloatArray

if TYPE_CHECKING:
    import pyarrow as pa

    from unheard.data.clip import Manifest
    from unheard.detectors.bundle import Bundle
    from unheard.training.recipe import Recipe

__all__ = ["Fold", "LeftOutFamily", "calibrate", "fit", "judged", "without"]

CALIBRATED = "calibrated"
CALIBRATED_ON = "families left out of training in turn"
FOLDS = "held_out"
FEWEST_CLIPS = 10
"""A family with fewer spoofed dev clips tells too little to be left out for."""


@dataclass(frozen=True, eq=False)
class Fold:
    """What a detector that has not heard a family says of it.

    Attributes:
        family: The family that was left out.
        bonafide: Log-likelihood ratios by the fold's own line of the bona fide dev clips, [N].
        spoof: The same of the family's spoofed dev clips, [M].
    """

    family: str
    bonafide: FloatArray
    spoof: FloatArray


@dataclass(frozen=True)
class LeftOutFamily:
    """How decisions do on a family that neither training nor calibration has heard.

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
    say: Callable[[str], None] = lambda _: None,
) -> Path:
    """Calibrate a trained detector by leaving out each attack family in turn.

    The detector is trained first if OUT holds no finished run; then one fold for each family, in
    OUT/held_out. Everything that is interrupted goes on where it was.

    Args:
        recipe: What was trained, or is.
        manifest: Clips, with the parts that the recipe names.
        out: Folder of the run, as `train` has it.
        families: To leave out; none takes all with at least ten spoofed dev clips.
        workers: Processes that load clips.
        say: Told about progress, a line at a time.

    Returns:
        The folder of the new bundle: the same weights with another calibration, other operating
        points, and how they do on each family in its results.

    Raises:
        TrainingError: If a family has too few dev clips, or fewer than three can be left out.
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
        folds.append(_heard_by(bundle.load(trained), recipe, dev, family))
    return _rewritten(out / "bundle", out / CALIBRATED, folds)


def without(manifest: Manifest, family: str) -> Manifest:
    """Return the clips without those of an attack family, nor twins of them or by it."""
    spoof = ~manifest.bonafide()
    gone = spoof & (manifest.column("family").astype(str) == family)
    return manifest.where(~gone & ~twins_of(manifest, gone, by="family", value=family))


def fit(folds: Sequence[Fold]) -> tuple[Calibration, OperatingPoints]:
    """Return the line and the operating points that hold for families left out.

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


def judged(folds: Sequence[Fold]) -> list[LeftOutFamily]:
    """Return how decisions do on each family, by a line fitted on the folds of the others.

    Args:
        folds: Two or more.
    """
    found = []
    for fold in folds:
        line, points = fit([other for other in folds if other is not fold])
        human, machine = line(fold.bonafide), line(fold.spoof)
        low, high = points.surely_spoof, points.surely_bonafide
        wrong = [np.mean(human < low), np.mean(machine >= high)]
        right = [np.mean(human >= high), np.mean(machine < low)]
        decided = sum(wrong) + sum(right)
        found.append(
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
    return found


def _families(dev: Manifest, wanted: Sequence[str]) -> list[str]:
    """Return the families to leave out, each with enough dev clips."""
    spoof = dev.where(~dev.bonafide())
    names, counts = np.unique(spoof.column("family").astype(str), return_counts=True)
    known = dict(zip(names.tolist(), counts.tolist(), strict=True))
    known.pop(RECONSTRUCTION, None)
    for name in wanted:
        if known.get(name, 0) < FEWEST_CLIPS:
            raise TrainingError(
                f"family {name!r} has {known.get(name, 0)} spoofed dev clips"
                f"{suggestion(name, known)}, at least {FEWEST_CLIPS} needed; leave others out"
            )
    chosen = list(wanted) or [name for name, count in known.items() if count >= FEWEST_CLIPS]
    if len(chosen) < 3:
        raise TrainingError(
            f"{len(chosen)} families can be left out ({', '.join(chosen) or 'none'}), at least 3 "
            f"needed, each with {FEWEST_CLIPS} spoofed dev clips; give a corpus with more families"
        )
    return chosen


def _heard_by(fold: Bundle, recipe: Recipe, dev: Manifest, family: str) -> Fold:
    """Score the dev clips that a fold is asked about."""
    bonafide = dev.bonafide()
    asked = dev.where(bonafide | (dev.column("family").astype(str) == family))
    llr = fold.card.calibration(dev_scores(fold.detector, asked, recipe))
    human = asked.bonafide()
    return Fold(family, llr[human], llr[~human])


def _rewritten(trained: Path, target: Path, folds: Sequence[Fold]) -> Path:
    """Write the trained bundle with the line and the points of the folds behind its own line."""
    from unheard.detectors import bundle, bundle_files

    card = bundle.read_card(trained)
    line, points = fit(folds)
    first, heard = card.calibration, judged(folds)
    unheard = {one.family: asdict(one) for one in heard}
    notes = {**card.provenance.notes, "calibrated_on": CALIBRATED_ON, "held_out": unheard}
    results = [_result(one, fold) for one, fold in zip(heard, folds, strict=True)]
    card = card.model_copy(
        update={
            "calibration": Calibration(
                line.scale * first.scale, line.scale * first.offset + line.offset
            ),
            "operating_points": points,
            "provenance": card.provenance.model_copy(update={"notes": notes}),
            "results": [_ranked(line) for line in card.results] + parse_results(results),
            "limits": [_limit(heard), *card.limits],
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


def _result(one: LeftOutFamily, fold: Fold) -> dict[str, Any]:
    ends = metrics.bootstrap(metrics.eer, fold.bonafide, fold.spoof)
    told = {"cllr": one.cllr, "undecided": one.undecided, "wrong": one.wrong}
    return {
        "protocol": LEFT_OUT,
        "group": one.family,
        "n_bonafide": one.n_bonafide,
        "n_spoof": one.n_spoof,
        "eer": one.eer,
        "eer_low": ends.low,
        "eer_high": ends.high,
        "metrics": {name: value for name, value in told.items() if not np.isnan(value)},
    }


def _limit(heard: Sequence[LeftOutFamily]) -> str:
    """Return what to expect of families that nobody has heard, as a sentence."""
    eer = float(np.mean([one.eer for one in heard]))
    undecided = float(np.mean([one.undecided for one in heard]))
    decided = [one.wrong for one in heard if not np.isnan(one.wrong)]
    wrong = f"{np.mean(decided):.0%} of the others wrongly" if decided else "and nothing"
    return (
        f"Families left out of training one by one: EER {eer:.0%} on average, "
        f"{max(one.eer for one in heard):.0%} at worst; it leaves {undecided:.0%} of such clips "
        f"undecided and decides {wrong}."
    )
