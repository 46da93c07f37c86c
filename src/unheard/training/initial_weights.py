"""What a detector takes over from others: an expert of a mixture, an encoder that was adapted.

A recipe's `init_from` names submodules and the recipes whose bundles hold their weights. The
bundles lie next to the folder of the run: runs/attention_mixture stands on runs/mel_lcnn/bundle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from unheard.data.clip import Manifest
from unheard.detectors.bundle import load
from unheard.detectors.bundle_files import Bundle
from unheard.detectors.detector import Detector
from unheard.errors import RecipeError, TrainingError
from unheard.training.provenance import seen_keys
from unheard.training.recipe import Recipe

__all__ = ["BUNDLE", "InitialWeights", "copy_initial_weights", "initial_weights_of"]

BUNDLE = "bundle"


@dataclass(frozen=True, eq=False)
class InitialWeights:
    """A submodule of a detector, and the detector whose weights it starts from."""

    path: str
    bundle: Bundle

    @property
    def sha256(self) -> str:
        """Hash of the weights; results that are added to a bundle's card do not change it."""
        return self.bundle.card.weights_sha256


def initial_weights_of(
    recipe: Recipe, out: Path, clips: Manifest, dev: Manifest
) -> tuple[InitialWeights, ...]:
    """Return the weights that the submodules of a recipe start from.

    Args:
        recipe: What is about to be trained.
        out: Folder of its run.
        clips: What it will be trained on.
        dev: What it will be selected and calibrated on.

    Raises:
        TrainingError: If a bundle is not there, or was made with clips of `dev` otherwise than to
            select its own best step.
        BundleError: If a bundle cannot be loaded.
    """
    all_weights = []
    for path, needed in recipe.init_from:
        folder = out.parent / needed.name / BUNDLE
        if not folder.is_dir():
            raise TrainingError(
                f"recipe {recipe.name!r} stands on {needed.name!r}, and {folder.parent} holds no "
                f"bundle; train that recipe first, with --out {folder.parent}"
            )
        initial = InitialWeights(path, load(folder))
        _check_apart(initial, folder, clips, dev)
        all_weights.append(initial)
    return tuple(all_weights)


def copy_initial_weights(detector: Detector, sources: Sequence[InitialWeights]) -> None:
    """Copy weights into the submodules of a detector, in place.

    Raises:
        RecipeError: If there is no such submodule, or its weights have other names or shapes.
    """
    modules = dict(detector.named_modules())
    for source in sources:
        name = source.bundle.card.name
        if source.path not in modules:
            raise RecipeError(
                f"init_from names the submodule {source.path!r}, which the detector does not have; "
                "name one such as detectors.0"
            )
        weights = source.bundle.detector.state_dict()
        wanted = {key: value.shape for key, value in modules[source.path].state_dict().items()}
        if {key: value.shape for key, value in weights.items()} != wanted:
            raise RecipeError(
                f"{source.bundle.folder}: the weights of {name!r} do not fit {source.path!r}; "
                "build both from the same values, or train it again with the recipe's own"
            )
        modules[source.path].load_state_dict(weights)


def _check_apart(initial: InitialWeights, folder: Path, clips: Manifest, dev: Manifest) -> None:
    """Raise if the weights were trained on what the whole is to be selected and calibrated on."""
    before = initial.bundle.card.provenance.manifests
    if before == {"train": clips.sha256(), "dev": dev.sha256()}:
        return
    n_seen = int(initial.bundle.has_seen(seen_keys(dev)).sum())
    if n_seen and before.get("dev") != dev.sha256():
        raise TrainingError(
            f"{folder} was trained or tuned on {n_seen} of the {len(dev)} dev clips under another "
            "split, so dev would flatter the detector; train it again on this manifest, with "
            f"--out {folder.parent} --start-over"
        )
