"""Bundles: a detector as a folder of JSON and numbers, checked when it is loaded.

    bundle.json           the card: what to build, calibration, thresholds, provenance, hashes
    weights.safetensors   parameters and running statistics, if it is as training wrote it
    model.onnx            the network with its weights, if it was exported
    seen.safetensors      first 8 bytes of the sha256 of each clip key it was trained or tuned on
    dev_scores.parquet    scores of the dev clips (optional)

Nothing else in the folder is opened, and nothing is ever unpickled: a stranger's bundle can give
wrong scores, but it cannot run code. What was exported is loaded and scored without torch.

N windows, T samples at 16 kHz.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors import numpy as safetensors

from unheard.detectors.bundle_files import (
    CARD,
    DEV_SCORES,
    GRAPH,
    SEEN,
    WEIGHTS,
    Bundle,
    Model,
    card_bytes,
    sync,
)
from unheard.detectors.card import Card, parse_card, parse_rates, parse_results
from unheard.detectors.segment_point import SegmentPoint
from unheard.errors import BundleError, MissingExtra
from unheard.files import write_through
from unheard.types import IntArray

__all__ = [
    "add_results",
    "check",
    "default",
    "experts_of",
    "in_run",
    "load",
    "read_card",
    "set_segments",
]


LARGEST_CARD_BYTES = 16 * 1024**2


def load(path: Path, *, device: str = "cpu") -> Bundle:
    """Read a bundle and check all of it.

    Args:
        path: Its folder.
        device: Where to score, such as "cpu" or "cuda"; what was exported scores on "cpu".

    Raises:
        BundleError: If there is no bundle, a file is missing, altered or not one that a bundle
            may have, the weights do not fit the detector, or a newer version wrote it.
        MissingExtra: If it holds weights and torch is not installed.
    """
    text = _card_bytes(path)
    card = parse_card(text, str(path / CARD))
    _check_files(path, card)
    return Bundle(
        card, path, hashlib.sha256(text).hexdigest(), _model(path, card, device), _seen(path / SEEN)
    )


def check(path: Path) -> Card:
    """Return the card of a bundle whose files are all there, and as they were written.

    Raises:
        BundleError: If they are not, or there is no bundle.
    """
    card = read_card(path)
    _check_files(path, card)
    return card


def experts_of(path: Path) -> tuple[str, ...]:
    """Return the names of the detectors that a bundle's detector is a mixture of.

    Its weights are not read; none for most detectors.

    Raises:
        BundleError: If there is no bundle, or its detector cannot be built.
        MissingExtra: If it holds weights and torch is not installed.
    """
    card = read_card(path)
    if card.export is not None:
        return tuple(card.export.experts)
    names: tuple[str, ...] = _weights().experts_of(card)
    return names


def read_card(path: Path) -> Card:
    """Return the card of a bundle without opening its other files.

    Raises:
        BundleError: If there is no bundle, or its card is not a valid one of this version.
    """
    return parse_card(_card_bytes(path), str(path / CARD))


def add_results(
    folder: Path,
    results: Sequence[Mapping[str, Any]],
    rates: Sequence[Mapping[str, Any]] = (),
) -> Card:
    """Add lines of an evaluation to a bundle's card; they replace earlier ones of their protocols.

    Args:
        folder: The bundle.
        results: One mapping per line, with the names of `unheard.detectors.card.Result`.
        rates: The same with those of `unheard.detectors.card.Rate`.

    Returns:
        The new card. The bundle's sha256 changes with it, the scores do not.

    Raises:
        BundleError: If there is no bundle, or a line has a wrong name or value.
    """
    card = read_card(folder)
    new = parse_results(results)
    protocols = {line.protocol for line in new}
    kept = [line for line in card.results if line.protocol not in protocols]
    numbers = [line for line in card.rates if line.protocol not in protocols]
    numbers += parse_rates(rates)
    return _with_card(folder, card.model_copy(update={"results": kept + new, "rates": numbers}))


def set_segments(folder: Path, point: SegmentPoint) -> Card:
    """Write an operating point of segments into a bundle's card.

    Args:
        folder: The bundle.
        point: Replaces the one that is there.

    Returns:
        The new card. The bundle's sha256 changes with it, the scores do not.

    Raises:
        BundleError: If there is no bundle.
    """
    return _with_card(folder, read_card(folder).model_copy(update={"segments": point}))


def _with_card(folder: Path, card: Card) -> Card:
    """Replace the card of a bundle in one step."""
    unfinished = folder / f".{CARD}.unfinished"
    write_through(unfinished, card_bytes(card))
    os.replace(unfinished, folder / CARD)
    sync(folder)
    return card


def default() -> Path:
    """Return the folder of the detector that ships inside the package.

    Raises:
        BundleError: If this installation has none.
    """
    folder = Path(__file__).parent / "shipped"
    if not (folder / CARD).is_file():
        raise BundleError(
            "this installation of Unheard has no default detector; "
            "name a bundle, or install the package again: pip install --force-reinstall unheard"
        )
    return folder


def in_run(folder: Path) -> Path:
    """Return the bundle of a run's folder, the calibrated one if there is one; else the folder."""
    inside = [folder / name for name in ("calibrated", "bundle")]
    bundles = [path for path in (folder, *inside) if (path / CARD).is_file()]
    return bundles[0] if bundles else folder


def _model(path: Path, card: Card, device: str) -> Model:
    if card.export is None:
        trained: Model = _weights().read(path, card, device=device)
        return trained
    from unheard.detectors import exported

    if device != "cpu":
        raise BundleError(
            f"{path}: was exported and scores on the processor, not on {device!r}; leave the "
            "device out, or give the bundle that it was exported from"
        )
    return exported.read(path / GRAPH, tuple(card.export.experts))


def _weights() -> ModuleType:
    """Return the module that knows torch."""
    try:
        from unheard.detectors import weights
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtra("train", "torch") from error
    return weights


def _card_bytes(path: Path) -> bytes:
    if path.is_file():
        raise BundleError(
            f"{path}: a file, but a bundle is a folder with {CARD} in it; give the folder "
            "(weights in other formats, pickles above all, are never opened)"
        )
    file = path / CARD
    if not file.is_file():
        raise BundleError(
            f"{path}: no bundle, {CARD} is missing; "
            "give a folder that `unheard train` wrote, or leave it out for the default detector"
        )
    if file.stat().st_size > LARGEST_CARD_BYTES:
        raise BundleError(f"{file}: over {LARGEST_CARD_BYTES >> 20} MiB; this is no bundle of ours")
    return file.read_bytes()


def _check_files(path: Path, card: Card) -> None:
    model = WEIGHTS if card.export is None else GRAPH
    for name in card.files:
        if name not in (model, SEEN, DEV_SCORES):
            raise BundleError(
                f"{path / CARD}: lists the file {name!r}; this bundle holds {model}, {SEEN} and "
                f"{DEV_SCORES} and nothing else: do not use this one"
            )
    for name in {model, SEEN, *card.files}:
        if name not in card.files or not (path / name).is_file():
            raise BundleError(f"{path}: {name} is missing; get the bundle again")
        with (path / name).open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        if sha256 != card.files[name]:
            raise BundleError(
                f"{path / name}: sha256 is {sha256[:12]}..., {card.files[name][:12]}... expected; "
                "the file was altered or damaged: get the bundle again"
            )


def _seen(path: Path) -> IntArray:
    """Return the hashes of the clips that a detector has seen, shape [clips] int64."""
    try:
        tensors = safetensors.load_file(path)
    except (SafetensorError, OSError, KeyError) as error:
        raise BundleError(
            f"{path}: not a readable safetensors file ({error}); get the bundle again"
        ) from error
    if tensors.keys() != {"seen"}:
        raise BundleError(f"{path}: not a list of clip hashes; get the bundle again")
    seen: IntArray = tensors["seen"]
    if seen.dtype != np.int64 or seen.ndim != 1:
        raise BundleError(f"{path}: not a list of clip hashes; get the bundle again")
    return seen
