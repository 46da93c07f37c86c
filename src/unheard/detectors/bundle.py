"""Bundles: a trained detector as a folder of JSON and safetensors, checked when it is loaded.

    bundle.json           the card: what to build, calibration, thresholds, provenance, hashes
    weights.safetensors   parameters and running statistics
    seen.safetensors      first 8 bytes of the sha256 of each clip key it was trained or tuned on
    dev_scores.parquet    scores of the dev clips (optional)

Nothing else in the folder is opened, and nothing is ever unpickled: a stranger's bundle can give
wrong scores, but it cannot run code.

N windows, T samples at 16 kHz.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor

from unheard.detectors.card import FORMAT, Base, Card, model_card, parse_card, parse_results
from unheard.detectors.detector import Detector, Spec, window_opinions, window_scores
from unheard.detectors.layers.encoder_weights import hash_of
from unheard.detectors.spec_json import spec_from_json, spec_to_json
from unheard.errors import BundleError, RecipeError, suggestion
from unheard.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "FORMAT",
    "Bundle",
    "Card",
    "add_results",
    "default",
    "load",
    "model_card",
    "read_card",
    "save",
    "spec_from_json",
    "spec_to_json",
    "write_through",
]

CARD = "bundle.json"
WEIGHTS = "weights.safetensors"
SEEN = "seen.safetensors"
DEV_SCORES = "dev_scores.parquet"

LARGEST_CARD_BYTES = 16 * 1024**2


@dataclass(frozen=True, eq=False)
class Bundle:
    """A detector that is ready to score; `load` makes it.

    Attributes:
        card: What is known of it.
        folder: Where it was loaded from.
        sha256: Hash of its bundle.json, which holds the hashes of the other files.
        detector: The module, in evaluation mode.
    """

    card: Card
    folder: Path
    sha256: str
    detector: Detector = field(repr=False)
    _seen: IntArray = field(repr=False)

    def scores(self, windows: FloatArray) -> FloatArray:
        """Return one raw score per window, [N, T] float32 at 16 kHz -> [N] float64.

        Higher is more bona fide; the calibration is not applied. Threads may call it at once.
        """
        return window_scores(self.detector, windows)

    def opinions(self, windows: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return `scores` and, of E experts, each one's raw score and weight, both [N, E]."""
        return window_opinions(self.detector, windows)

    def has_seen(self, keys: Sequence[str]) -> BoolArray:
        """Return whether the detector was trained or tuned on clips, shape [len(keys)].

        Args:
            keys: Of each clip the sha256 of its file, or its id where that is not known.
        """
        return np.isin(_hashed(keys), self._seen)


def save(
    folder: Path,
    detector: Detector,
    spec: Spec,
    card: Card,
    *,
    seen: Iterable[str],
    parts: Sequence[Bundle] = (),
    dev_scores: pa.Table | None = None,
) -> Path:
    """Write a bundle, in one step: whoever looks sees the whole bundle or none.

    A bundle that is already there is replaced.

    Args:
        folder: Where to write it.
        detector: The trained module, on any device.
        spec: What it was built from.
        card: What is known of it; its `detector` and `files` are filled in here.
        seen: Keys of the clips it was trained or tuned on; see `Bundle.has_seen`.
        parts: Detectors that it took weights from; what they have seen, it has.
        dev_scores: Scores of the dev clips.

    Returns:
        The folder.

    Raises:
        BundleError: If the folder holds something else than a bundle, weights are not finite, or
            the card has a wrong value.
    """
    if folder.exists() and not (folder / CARD).is_file() and any(folder.iterdir()):
        raise BundleError(f"{folder}: holds files that are no bundle; choose another folder")
    state = {name: value.detach().cpu().contiguous() for name, value in _state(detector).items()}
    _check_finite(state, str(folder))
    tensors = {name: value for name, value in state.items() if name not in detector.borrowed()}
    known = np.concatenate([_hashed(list(seen)), *(part._seen for part in parts)])
    hashes = torch.from_numpy(np.unique(known))
    contents = {WEIGHTS: safetensors.save(tensors), SEEN: safetensors.save({"seen": hashes})}
    if dev_scores is not None:
        contents[DEV_SCORES] = _parquet(dev_scores)
    files = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    base = _base(spec, state, detector.borrowed())
    built = type(card.detector).model_validate(spec_to_json(spec))
    text = _text(card.model_copy(update={"detector": built, "base": base, "files": files}))
    parse_card(text, str(folder / CARD))

    unfinished = folder.with_name(f".{folder.name}.unfinished")
    replaced = folder.with_name(f".{folder.name}.replaced")
    for leftover in (unfinished, replaced):
        shutil.rmtree(leftover, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for name, content in {**contents, CARD: text}.items():
        write_through(unfinished / name, content)
    _sync(unfinished)
    if folder.exists():
        os.rename(folder, replaced)
    os.rename(unfinished, folder)
    _sync(folder.parent)
    shutil.rmtree(replaced, ignore_errors=True)
    return folder


def load(path: Path, *, device: str = "cpu") -> Bundle:
    """Read a bundle and check all of it.

    Args:
        path: Its folder.
        device: Where to score, such as "cpu" or "cuda".

    Raises:
        BundleError: If there is no bundle, a file is missing, altered or not one that a bundle
            may have, the weights do not fit the detector, or a newer version wrote it.
    """
    text = _card_bytes(path)
    card = parse_card(text, str(path / CARD))
    _check_files(path, card)
    detector = _filled(spec_from_json(card.detector.model_dump()), path / WEIGHTS, card.base)
    seen = _tensors(path / SEEN)
    if seen.keys() != {"seen"} or seen["seen"].dtype != torch.int64 or seen["seen"].ndim != 1:
        raise BundleError(f"{path / SEEN}: not a list of clip hashes; get the bundle again")
    # Which parameters want a gradient decides how torch folds a product, so it stays as built:
    # a bundle scores as its training did, to the bit.
    detector.eval().to(device)
    sha256 = hashlib.sha256(text).hexdigest()
    return Bundle(card, path, sha256, detector, seen["seen"].numpy())


def read_card(path: Path) -> Card:
    """Return the card of a bundle without opening its other files.

    Raises:
        BundleError: If there is no bundle, or its card is not a valid one of this version.
    """
    return parse_card(_card_bytes(path), str(path / CARD))


def add_results(folder: Path, results: Sequence[Mapping[str, Any]]) -> Card:
    """Add lines of an evaluation to a bundle's card; they replace earlier ones of their protocols.

    Args:
        folder: The bundle.
        results: One mapping per line, with the names of `unheard.detectors.card.Result`.

    Returns:
        The new card. The bundle's sha256 changes with it, the scores do not.

    Raises:
        BundleError: If there is no bundle, or a line has a wrong name or value.
    """
    card = read_card(folder)
    new = parse_results(results)
    protocols = {line.protocol for line in new}
    kept = [line for line in card.results if line.protocol not in protocols]
    card = card.model_copy(update={"results": kept + new})
    unfinished = folder / f".{CARD}.unfinished"
    write_through(unfinished, _text(card))
    os.replace(unfinished, folder / CARD)
    _sync(folder)
    return card


def default() -> Path:
    """Return the folder of the detector that ships inside the package.

    Raises:
        BundleError: If this installation has none.
    """
    folder = Path(__file__).parents[1] / "default_detector"
    if not (folder / CARD).is_file():
        raise BundleError(
            "this installation of Unheard has no default detector; "
            "name a bundle, or install the package again: pip install --force-reinstall unheard"
        )
    return folder


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
    for name in card.files:
        if name not in (WEIGHTS, SEEN, DEV_SCORES):
            raise BundleError(
                f"{path / CARD}: lists the file {name!r}; a bundle holds {WEIGHTS}, {SEEN} and "
                f"{DEV_SCORES} and nothing else: do not use this one"
            )
    for name in {WEIGHTS, SEEN, *card.files}:
        if name not in card.files or not (path / name).is_file():
            raise BundleError(f"{path}: {name} is missing; get the bundle again")
        with (path / name).open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != card.files[name]:
            raise BundleError(
                f"{path / name}: sha256 is {found[:12]}..., {card.files[name][:12]}... expected; "
                "the file was altered or damaged: get the bundle again"
            )


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


def _base(spec: Spec, state: Mapping[str, Tensor], borrowed: frozenset[str]) -> Base | None:
    """Return what the card says of weights that the bundle does not hold."""
    if not borrowed:
        return None
    held = {name: state[name] for name in borrowed}
    n_parameters = sum(value.numel() for value in held.values())
    source = ", ".join(sorted(_sources(spec)))
    return Base(source=source, sha256=hash_of(held), n_parameters=n_parameters)


def _sources(spec: Spec) -> set[str]:
    """Return where published weights of a detector, or of a mixture's experts, come from."""
    own = str(getattr(getattr(spec, "encoder", spec), "source", ""))
    experts: tuple[Spec, ...] = getattr(spec, "experts", ())
    return ({own} - {""}).union(*(_sources(expert) for expert in experts))


def _borrowed(detector: Detector, base: Base | None, where: str) -> dict[str, Tensor]:
    """Return the published weights that a bundle stands on; they must be the very same."""
    names = detector.borrowed()
    if base is None or not names:
        return {}
    try:
        found = detector.pretrained()
    except RecipeError as error:
        raise BundleError(f"{where}: stands on published weights: {error}") from error
    held = {name: value for name, value in found.items() if name in names}
    sha256 = hash_of(held)
    if sha256 != base.sha256:
        raise BundleError(
            f"{where}: stands on weights of {base.source!r} with hash {base.sha256[:12]}, those "
            f"found have {sha256[:12]}; get the ones that it was trained on"
        )
    return held


def _filled(spec: Spec, weights: Path, base: Base | None) -> Detector:
    """Build a detector and give it its weights; every one must be there, fit and be finite."""
    tensors = _tensors(weights)
    with torch.random.fork_rng(devices=[]):  # loading must not move anybody's random numbers
        try:
            with torch.device("meta"):  # a hostile width must not take memory before it is checked
                skeleton = spec.build()
        except (RecipeError, RuntimeError, TypeError, MemoryError) as error:
            raise BundleError(
                f"{weights.parent}: its detector cannot be built: {error}; get the bundle again"
            ) from error
        tensors |= _borrowed(skeleton, base, str(weights.parent))
        _check_fit(_state(skeleton), tensors, str(weights))
        detector = spec.build()
    _check_finite(tensors, str(weights))
    detector.load_state_dict(tensors)
    return detector


def _check_fit(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor], where: str) -> None:
    for name in found:
        if name not in wanted:
            raise BundleError(
                f"{where}: holds {name!r}, which the detector does not have"
                f"{suggestion(name, wanted)}; get the bundle again"
            )
    for name, value in wanted.items():
        if name not in found:
            raise BundleError(f"{where}: lacks {name!r}; get the bundle again")
        if found[name].shape != value.shape or found[name].dtype != value.dtype:
            raise BundleError(
                f"{where}: {name!r} is {found[name].dtype} {list(found[name].shape)}, the detector "
                f"needs {value.dtype} {list(value.shape)}; get the bundle again"
            )


def _check_finite(tensors: Mapping[str, Tensor], where: str) -> None:
    for name, value in tensors.items():
        if not torch.isfinite(value).all():
            raise BundleError(
                f"{where}: {name!r} holds NaN or infinite weights; train the detector again"
            )


def _hashed(keys: Sequence[str]) -> IntArray:
    """Return the first 8 bytes of each key's sha256, shape [len(keys)] int64."""
    digests = [hashlib.sha256(key.encode()).digest()[:8] for key in keys]
    return np.frombuffer(b"".join(digests), ">i8").astype(np.int64)


def _text(card: Card) -> bytes:
    return (card.model_dump_json(indent=2) + "\n").encode()


def _parquet(table: pa.Table) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    content: bytes = sink.getvalue().to_pybytes()
    return content


def write_through(path: Path, content: bytes) -> None:
    """Write a file and wait until its content is on the disk."""
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _sync(folder: Path) -> None:
    """Make names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
