"""Trained bundles: a module of torch saved as weights, built again and filled.

All that a file of weights states is checked before it takes memory or reaches the detector.

N windows, T samples at 16 kHz, E experts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor

from unheard.detectors.bundle_files import DEV_SCORES, SEEN, WEIGHTS, Bundle, replace, seen_bytes
from unheard.detectors.card import Base, Card
from unheard.detectors.detector import Detector, Spec, window_expert_scores, window_scores
from unheard.detectors.layers.encoder_weights import hash_of
from unheard.detectors.spec_json import spec_from_json, spec_to_json
from unheard.errors import BundleError, RecipeError, suggestion
from unheard.files import parquet_bytes
from unheard.types import FloatArray

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Trained", "read", "save"]


@dataclass(frozen=True, eq=False)
class Trained:
    """A module of torch as what a bundle scores with.

    Attributes:
        detector: The module, in evaluation mode.
    """

    detector: Detector

    @property
    def experts(self) -> tuple[str, ...]:
        """Names of the detectors that it is a mixture of; none for most."""
        return self.detector.experts

    def scores(self, windows: FloatArray) -> FloatArray:
        """Return one raw score per window, [N, T] -> [N]."""
        return window_scores(self.detector, windows)

    def expert_scores(self, windows: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return `scores`, and each expert's raw score and weight, [N, E] and [N, E]."""
        return window_expert_scores(self.detector, windows)


def save(
    folder: Path,
    detector: Detector,
    spec: Spec,
    card: Card,
    *,
    seen: Iterable[str],
    init_from: Sequence[Bundle] = (),
    dev_scores: pa.Table | None = None,
) -> Path:
    """Write a bundle, in one step: a reader sees the whole bundle or none.

    A bundle that is already there is replaced.

    Args:
        folder: Where to write it.
        detector: The trained module, on any device.
        spec: What it was built from.
        card: What is known of it; its `detector` and `files` are filled in here.
        seen: Keys of the clips it was trained or tuned on; see `Bundle.has_seen`.
        init_from: Detectors that it took weights from; what they have seen, it has.
        dev_scores: Scores of the dev clips.

    Returns:
        The folder.

    Raises:
        BundleError: If the folder holds something else than a bundle, weights are not finite, or
            the card has a wrong value.
    """
    state = {name: value.detach().cpu().contiguous() for name, value in _state(detector).items()}
    _check_finite(state, str(folder))
    tensors = {name: value for name, value in state.items() if name not in detector.frozen_names()}
    contents = {WEIGHTS: safetensors.save(tensors), SEEN: seen_bytes(seen, init_from)}
    if dev_scores is not None:
        contents[DEV_SCORES] = parquet_bytes(dev_scores)
    base = _base(spec, state, detector.frozen_names())
    built = type(card.detector).model_validate(spec_to_json(spec))
    return replace(folder, card.model_copy(update={"detector": built, "base": base}), contents)


def read(path: Path, card: Card, *, device: str = "cpu") -> Trained:
    """Build what a bundle's card names and give it the bundle's weights.

    Args:
        path: Folder of the bundle, whose files `unheard.detectors.bundle.load` has checked.
        card: Its card.
        device: Where to score, such as "cpu" or "cuda".

    Raises:
        BundleError: If the detector cannot be built, or the weights do not fit it.
    """
    detector = _filled(spec_from_json(card.detector.model_dump()), path / WEIGHTS, card.base)
    # Which parameters want a gradient decides how torch folds a product, so it stays as built:
    # a bundle scores as its training did, to the bit.
    return Trained(detector.eval().to(device))


def experts_of(card: Card) -> tuple[str, ...]:
    """Return the names of the detectors that a card's detector is a mixture of; none for most.

    Raises:
        BundleError: If it cannot be built.
    """
    spec = spec_from_json(card.detector.model_dump())
    return _skeleton(spec, card.name).experts


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.load_file(path)
    except (SafetensorError, OSError) as error:
        raise BundleError(
            f"{path}: not a readable safetensors file ({error}); get the bundle again"
        ) from error


def _state(detector: Detector) -> dict[str, Tensor]:
    state: dict[str, Tensor] = detector.state_dict()
    return state


def _base(spec: Spec, state: Mapping[str, Tensor], frozen_names: frozenset[str]) -> Base | None:
    """Return what the card says of weights that the bundle does not hold."""
    if not frozen_names:
        return None
    frozen = {name: state[name] for name in frozen_names}
    n_parameters = sum(value.numel() for value in frozen.values())
    source = ", ".join(sorted(_sources(spec)))
    return Base(source=source, sha256=hash_of(frozen), n_parameters=n_parameters)


def _sources(spec: Spec) -> set[str]:
    """Return where published weights of a detector, or of a mixture's experts, come from."""
    own = str(getattr(getattr(spec, "encoder", spec), "source", ""))
    speaker = str(getattr(spec, "speaker", ""))
    experts: tuple[Spec, ...] = getattr(spec, "experts", ())
    return ({own, speaker} - {""}).union(*(_sources(expert) for expert in experts))


def _frozen(detector: Detector, base: Base | None, where: str) -> dict[str, Tensor]:
    """Return the published weights that a bundle stands on; they must be the very same."""
    names = detector.frozen_names()
    if base is None or not names:
        return {}
    try:
        pretrained = detector.pretrained()
    except RecipeError as error:
        raise BundleError(f"{where}: stands on published weights: {error}") from error
    frozen = {name: value for name, value in pretrained.items() if name in names}
    sha256 = hash_of(frozen)
    if sha256 != base.sha256:
        raise BundleError(
            f"{where}: stands on weights of {base.source!r} with hash {base.sha256[:12]}, those "
            f"found have {sha256[:12]}; get the ones that it was trained on"
        )
    return frozen


def _filled(spec: Spec, weights: Path, base: Base | None) -> Detector:
    """Build a detector and give it its weights; every one must be there, fit and be finite."""
    tensors = _tensors(weights)
    with torch.random.fork_rng(devices=[]):  # loading must not move anybody's random numbers
        skeleton = _skeleton(spec, str(weights.parent))
        tensors |= _frozen(skeleton, base, str(weights.parent))
        _check_fit(_state(skeleton), tensors, str(weights))
        detector = spec.build()
    _check_finite(tensors, str(weights))
    detector.load_state_dict(tensors)
    return detector


def _skeleton(spec: Spec, where: str) -> Detector:
    """Build a detector without memory for its weights, whichever width a card asks for."""
    try:
        with torch.device("meta"):
            return spec.build()
    except (RecipeError, RuntimeError, TypeError, MemoryError) as error:
        raise BundleError(
            f"{where}: its detector cannot be built: {error}; get the bundle again"
        ) from error


def _check_fit(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor], where: str) -> None:
    for name in given:
        if name not in wanted:
            raise BundleError(
                f"{where}: holds {name!r}, which the detector does not have"
                f"{suggestion(name, wanted)}; get the bundle again"
            )
    for name, value in wanted.items():
        if name not in given:
            raise BundleError(f"{where}: lacks {name!r}; get the bundle again")
        if given[name].shape != value.shape or given[name].dtype != value.dtype:
            raise BundleError(
                f"{where}: {name!r} is {given[name].dtype} {list(given[name].shape)}, the detector "
                f"needs {value.dtype} {list(value.shape)}; get the bundle again"
            )


def _check_finite(tensors: Mapping[str, Tensor], where: str) -> None:
    for name, value in tensors.items():
        if not torch.isfinite(value).all():
            raise BundleError(
                f"{where}: {name!r} holds NaN or infinite weights; train the detector again"
            )
