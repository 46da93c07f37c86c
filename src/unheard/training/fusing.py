"""One detector made of several trained ones: a weighted mean of their scores.

The weights are of the fusion, not of the clip, and are found on the dev clips that all of the
detectors were selected and calibrated on: their bundles hold what they gave to each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from unheard import __version__
from unheard.detectors.bundle import in_run, load
from unheard.detectors.bundle_files import DEV_SCORES, Bundle
from unheard.detectors.card import Card, Provenance
from unheard.detectors.layers.gates import FixedGate
from unheard.detectors.mixture import Mixture
from unheard.detectors.spec_json import spec_from_json
from unheard.detectors.weights import save
from unheard.errors import TrainingError
from unheard.metrics import (
    Calibration,
    cllr,
    eer,
    fit_calibration,
    fit_fusion,
    fit_operating_points,
)
from unheard.training.initial_weights import InitialWeights, copy_initial_weights
from unheard.training.provenance import (
    dev_table,
    families_of,
    material_of,
    pages_of,
    revision,
    systems_of,
)
from unheard.types import BoolArray, FloatArray

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["fuse"]


def fuse(
    folders: Sequence[Path],
    out: Path,
    *,
    name: str = "fusion",
    how: Literal["mean", "logistic"] = "mean",
) -> Path:
    """Write the bundle of a detector that gives the weighted mean of what several ones give.

    Args:
        folders: Bundles, or folders of runs; two or more that were calibrated on the same dev
            clips and score windows of the same length.
        out: Folder of the new bundle.
        name: What the detector is called.
        how: "mean" takes the mean of their calibrated scores; "logistic" the weights of a logistic
            regression on the dev clips, see `metrics.fit_fusion`.

    Returns:
        The folder.

    Raises:
        TrainingError: If there are too few, they do not fit together, one of them was exported, or
            the regression would have a detector count for nothing or less.
        BundleError: If a folder holds no bundle.
    """
    if len(folders) < 2:
        raise TrainingError(f"{len(folders)} detector given; a fusion wants two or more")
    bundles = [load(in_run(folder)) for folder in folders]
    _check_alike(bundles)
    table, raw = _dev_scores(bundles)
    bonafide = table.column("bonafide").to_numpy(zero_copy_only=False).astype(bool)
    weights = _weights(bundles, raw, bonafide, how)
    experts = tuple(spec_from_json(bundle.card.detector.model_dump()) for bundle in bundles)
    spec = Mixture(experts=experts, gate=FixedGate(weights=weights))
    fused = raw @ (np.array(weights) / np.sum(weights))
    calibration = fit_calibration(fused[bonafide], fused[~bonafide])
    card = _card(bundles, name, how, weights, fused, bonafide, calibration)
    detector = spec.build()
    copy_initial_weights(
        detector, [InitialWeights(f"detectors.{n}", bundle) for n, bundle in enumerate(bundles)]
    )
    scored = dev_table(table, fused, calibration)
    return save(out, detector.eval(), spec, card, seen=(), init_from=bundles, dev_scores=scored)


def _check_alike(bundles: Sequence[Bundle]) -> None:
    first = bundles[0].card
    for bundle in bundles:
        card = bundle.card
        if card.export is not None:
            raise TrainingError(
                f"{bundle.folder}: was exported; give the bundle that it was exported from, and "
                "export the fusion"
            )
        for field in ("window_s", "hop_s", "pooling"):
            if getattr(card, field) != getattr(first, field):
                raise TrainingError(
                    f"{bundle.folder}: has {field} {getattr(card, field)}, and "
                    f"{bundles[0].folder} has {getattr(first, field)}; a fusion scores the same "
                    "windows with all: train them with the same"
                )


def _dev_scores(bundles: Sequence[Bundle]) -> tuple[pa.Table, FloatArray]:
    """Return the dev clips as the first bundle has them, and the raw scores of all, [N, E]."""
    import pyarrow.parquet as pq

    tables = []
    for bundle in bundles:
        path = bundle.folder / DEV_SCORES
        if not path.is_file():
            raise TrainingError(f"{path} is missing; give a detector that was trained here")
        tables.append(pq.read_table(path).sort_by("id"))
    ids = tables[0].column("id")
    for bundle, table in zip(bundles, tables, strict=True):
        if table.column("id") != ids:
            raise TrainingError(
                f"{bundle.folder} and {bundles[0].folder} were calibrated on different dev clips; "
                "train both with one manifest and the same dev_parts"
            )
    return tables[0], np.stack([table.column("raw").to_numpy() for table in tables], axis=1)


def _weights(
    bundles: Sequence[Bundle], raw: FloatArray, bonafide: BoolArray, how: str
) -> tuple[float, ...]:
    if how == "mean":
        return tuple(bundle.card.calibration.scale for bundle in bundles)
    weights = fit_fusion(raw[bonafide], raw[~bonafide]).weights
    for bundle, weight in zip(bundles, weights, strict=True):
        if weight <= 0:
            raise TrainingError(
                f"{bundle.folder} would have weight {weight:.3g}: it adds nothing to the others "
                "on dev; leave it out"
            )
    return weights


def _card(
    bundles: Sequence[Bundle],
    name: str,
    how: str,
    weights: tuple[float, ...],
    scores: FloatArray,
    bonafide: BoolArray,
    calibration: Calibration,
) -> Card:
    """Return what is known of the fusion: all that its parts know, and its own numbers on dev."""
    cards = [bundle.card for bundle in bundles]
    parts = [card.provenance for card in cards]
    llr = calibration(scores)
    provenance = Provenance(
        recipe=name,
        settings={card.name: part.settings for card, part in zip(cards, parts, strict=True)},
        seed=parts[0].seed,
        revision=revision(),
        manifests=parts[0].manifests,
        material=material_of(before=cards),
        families=families_of(before=cards),
        systems=systems_of(before=cards),
        pages=pages_of(before=cards),
        notes={
            "fusion": how,
            "weights": {card.name: weight for card, weight in zip(cards, weights, strict=True)},
            "dev_eer": eer(scores[bonafide], scores[~bonafide]),
            "dev_cllr": cllr(llr[bonafide], llr[~bonafide]),
        },
    )
    return Card(
        name=name,
        version=__version__,
        window_s=cards[0].window_s,
        hop_s=cards[0].hop_s,
        pooling=cards[0].pooling,
        calibration=calibration,
        operating_points=fit_operating_points(llr[bonafide], llr[~bonafide]),
        provenance=provenance,
        limits=list(dict.fromkeys(limit for card in cards for limit in card.limits)),
    )
