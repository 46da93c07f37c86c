"""What a bundle records of its training: recipe, revision, clips, sources, licences, dev scores."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import torch

from unheard import __version__
from unheard.data.clip import Clip, Manifest, values_of
from unheard.data.kinds import base_system
from unheard.detectors.card import Card, Material, Provenance
from unheard.metrics import Calibration, cllr, eer, fit_calibration, fit_operating_points
from unheard.training.checkpoint import Best
from unheard.training.distributed import n_processes
from unheard.training.recipe import Recipe, recipe_to_json
from unheard.types import FloatArray

if TYPE_CHECKING:
    import pyarrow as pa

NOTHING: Mapping[str, Card] = MappingProxyType({})

__all__ = [
    "card_of",
    "dev_table",
    "families_of",
    "material_of",
    "pages_of",
    "revision",
    "seen_keys",
    "systems_of",
]

HELD_OUT = "clips of training, each scored by a fit without its domain"
"""What calibrated a detector of a recipe without dev parts."""

FEW_HOURS = 100.0
"""With less speech to train on, a card warns that it was little."""


def card_of(
    recipe: Recipe,
    clips: Manifest,
    dev: Manifest,
    scores: FloatArray,
    best: Best,
    *,
    seconds: float,
    before: Mapping[str, Card] = NOTHING,
) -> Card:
    """Return the card of a trained detector, with calibration and thresholds fitted on dev.

    Args:
        recipe: What was run.
        clips: What was trained on.
        dev: What selected the best step, or clips of these that were held out of a fit in turn.
        scores: Raw scores of the dev clips, shape [len(dev)].
        best: The step that was kept.
        seconds: How long the run took, interruptions left out.
        before: Cards of the detectors that submodules of this one started from, by submodule.
    """
    bonafide = dev.bonafide()
    calibration = fit_calibration(scores[bonafide], scores[~bonafide])
    llr = calibration(scores)
    heard = (clips, dev) if recipe.dev_parts else (clips,)
    provenance = Provenance(
        recipe=recipe.name,
        settings=recipe_to_json(recipe),
        seed=recipe.seed,
        revision=revision(),
        manifests={"train": clips.sha256(), "dev": dev.sha256()},
        material=material_of(*heard, before=before.values()),
        families=families_of(clips, before=before.values()),
        systems=systems_of(clips, dev, before=before.values()),
        pages=pages_of(clips, dev, before=before.values()),
        notes={
            "best_step": best.step,
            "checked_eer": best.eer,
            "dev_eer": eer(scores[bonafide], scores[~bonafide]),
            "dev_cllr": cllr(llr[bonafide], llr[~bonafide]),
            "seconds": round(seconds, 1),
            "processes": n_processes(),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "parts": {path: card.name for path, card in before.items()},
        },
    )
    if not recipe.dev_parts:
        provenance.notes["calibrated_on"] = HELD_OUT
    return Card(
        name=recipe.name,
        version=__version__,
        window_s=recipe.window_s,
        hop_s=recipe.hop_s,
        pooling=recipe.pooling,
        calibration=calibration,
        operating_points=fit_operating_points(llr[bonafide], llr[~bonafide]),
        provenance=provenance,
        limits=_limits(clips, provenance.families),
    )


def dev_table(dev: pa.Table, scores: FloatArray, calibration: Calibration) -> pa.Table:
    """Return the dev clips with their raw scores and log-likelihood ratios.

    Args:
        dev: N clips, with columns as those of a manifest.
        scores: Raw scores, shape [N].
        calibration: From these to the ratios.
    """
    import pyarrow as pa

    columns = ("id", "bonafide", "attack", "family", "speaker")
    table = {name: dev.column(name) for name in columns}
    return pa.table(table | {"raw": scores, "score": calibration(scores)})


def seen_keys(*manifests: Manifest) -> list[str]:
    """Return what tells a clip from others: its file's hash, or its id where that is not known."""
    columns = [
        zip(manifest.column("sha256").tolist(), manifest.column("id").tolist(), strict=True)
        for manifest in manifests
    ]
    return [sha256 or name for pairs in columns for sha256, name in pairs]


def revision() -> str:
    """Return the revision of this source code, "" if it is not a checkout of its repository."""
    module = Path(__file__)

    def git(*words: str) -> str:
        run = subprocess.run(
            ["git", "-C", str(module.parent), *words], capture_output=True, text=True, check=True
        )
        return run.stdout.strip()

    try:
        git("ls-files", "--error-unmatch", module.name)  # else the checkout is of something else
        return git("describe", "--always", "--dirty", "--abbrev=40", "--match=")
    except (OSError, subprocess.CalledProcessError):
        return ""


def families_of(*manifests: Manifest, before: Iterable[Card]) -> dict[str, int]:
    """Return the spoofed clips of each family; where an earlier detector met more, its count."""
    families: Counter[str] = Counter()
    for manifest in manifests:
        families += _families(manifest)
    for card in before:
        families |= Counter(card.provenance.families)
    return dict(sorted(families.items()))


def _families(clips: Manifest) -> Counter[str]:
    """Count spoofed clips by family; a twin counts for its generator's family as well."""
    spoof = clips.where(~clips.bonafide())
    families = Counter(spoof.column("family").tolist())
    families.update(
        family
        for pairs in spoof.column("notes").tolist()
        if (family := dict(pairs).get("generator_family"))
    )
    return families


def systems_of(*manifests: Manifest, before: Iterable[Card] = ()) -> list[str]:
    """Return the base systems of spoofed clips; none where an earlier detector's are unknown."""
    earlier = [card.provenance for card in before]
    if any(provenance.families and not provenance.systems for provenance in earlier):
        return []
    attacks = {
        attack
        for manifest in manifests
        for attack in manifest.where(~manifest.bonafide()).column("attack").tolist()
    }
    systems = {base_system(attack) for attack in attacks}
    return sorted(systems.union(*(provenance.systems for provenance in earlier)))


def pages_of(*manifests: Manifest, before: Iterable[Card]) -> list[str]:
    """Return the demonstration pages of all clips, and those of earlier detectors."""
    pages = {
        page for manifest in manifests for page in set(values_of(manifest, "notes.page").tolist())
    }
    return sorted(pages.union(*(card.provenance.pages for card in before)) - {""})


def material_of(*manifests: Manifest, before: Iterable[Card]) -> list[Material]:
    """Return what the clips consist of, by part, corpus and licence; and that of earlier ones."""
    material = [line for manifest in manifests for line in _lines(manifest)]
    for card in before:
        material += [line for line in card.provenance.material if line not in material]
    return material


def _lines(manifest: Manifest) -> list[Material]:
    groups: dict[tuple[str, str, str], list[Clip]] = {}
    for clip in manifest:
        groups.setdefault((clip.part, clip.corpus, clip.licence), []).append(clip)
    return [
        Material(
            part=part,
            corpus=corpus,
            licence=licence,
            n_bonafide=sum(clip.bonafide for clip in clips),
            n_spoof=sum(not clip.bonafide for clip in clips),
            hours=round(sum(clip.duration_s for clip in clips) / 3600, 4),
        )
        for (part, corpus, licence), clips in sorted(groups.items())
    ]


def _limits(clips: Manifest, families: Iterable[str]) -> list[str]:
    """Return, as sentences, which kinds of speech the detector has never seen."""
    languages = sorted(set(clips.column("language")) - {""})
    limits = [f"It was trained on spoofed speech of these kinds only: {', '.join(families)}."]
    if languages:
        limits.append(f"It was trained on these languages only: {', '.join(languages)}.")
    hours = float(clips.column("duration_s").astype(float).sum()) / 3600
    if 0 < hours < FEW_HOURS:
        limits.append(
            f"It was trained on {hours:.1f} hours of speech: a starting point and a demonstration, "
            "not evidence. Do not decide on a person by it."
        )
    return limits
