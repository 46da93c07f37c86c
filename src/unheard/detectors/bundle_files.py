"""What lies in the folder of a bundle, the loaded bundle, and how a folder is written in one step.

E experts, N windows, T samples at 16 kHz.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from unicodedata import normalize

import numpy as np
from safetensors import numpy as safetensors

from unheard.detectors.card import Card, parse_card
from unheard.errors import BundleError
from unheard.files import write_through
from unheard.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from unheard.detectors.detector import Detector

__all__ = [
    "CARD",
    "DEV_SCORES",
    "GRAPH",
    "SEEN",
    "WEIGHTS",
    "Bundle",
    "Model",
    "card_bytes",
    "replace",
    "seen_bytes",
    "sync",
]

CARD = "bundle.json"
WEIGHTS = "weights.safetensors"
GRAPH = "model.onnx"
SEEN = "seen.safetensors"
DEV_SCORES = "dev_scores.parquet"


class Model(Protocol):
    """What scores windows: a module of torch, or a session of ONNX Runtime."""

    @property
    def experts(self) -> tuple[str, ...]:
        """Names of the detectors that it is a mixture of; none for most."""
        ...

    def scores(self, windows: FloatArray) -> FloatArray:
        """Return one raw score per window, [N, T] float32 -> [N] float64."""
        ...

    def expert_scores(self, windows: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return `scores`, and each expert's raw score and weight, [N, E] and [N, E]."""
        ...

    @property
    def detector(self) -> Detector | None:
        """The module of torch, in evaluation mode; None of a session."""
        ...


@dataclass(frozen=True, eq=False)
class Bundle:
    """A detector that is ready to score; `load` makes it.

    Attributes:
        card: What is known of it.
        folder: Where it was loaded from.
        sha256: Hash of its bundle.json, which holds the hashes of the other files.
        model: What scores; its `scores` and `expert_scores` are those of the bundle.
    """

    card: Card
    folder: Path
    sha256: str
    model: Model = field(repr=False)
    _seen: IntArray = field(repr=False)

    @property
    def experts(self) -> tuple[str, ...]:
        """Names of the E detectors that it is a mixture of; none for most."""
        return self.model.experts

    @property
    def detector(self) -> Detector:
        """The module of torch, in evaluation mode.

        Raises:
            BundleError: If the bundle was exported, and so holds none.
        """
        if self.card.export is not None:
            raise BundleError(
                f"{self.folder}: was exported, so it scores and can do nothing else; "
                "give the bundle that it was exported from"
            )
        assert self.model.detector is not None
        return self.model.detector

    def scores(self, windows: FloatArray) -> FloatArray:
        """Return one raw score per window, [N, T] float32 at 16 kHz -> [N] float64.

        Higher is more bona fide; the calibration is not applied. Threads may call it at once.
        """
        return self.model.scores(windows)

    def expert_scores(self, windows: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return `scores` and, of E experts, each one's raw score and weight, both [N, E]."""
        return self.model.expert_scores(windows)

    def has_seen(self, keys: Sequence[str]) -> BoolArray:
        """Return whether the detector was trained or tuned on clips, shape [len(keys)].

        Args:
            keys: Of each clip the sha256 of its file, or its id where that is not known; in any
                Unicode form.
        """
        seen: BoolArray = np.isin(_hashed(keys), self._seen)
        for form in ("NFC", "NFD"):  # bundles of earlier versions have ids as they were written
            in_form = [normalize(form, key) for key in keys]
            if in_form != list(keys):
                seen |= np.isin(_hashed(in_form), self._seen)
        return seen


def replace(folder: Path, card: Card, contents: Mapping[str, bytes]) -> Path:
    """Write the files of a bundle in one step; one that is already there is replaced.

    Args:
        folder: Where to write it.
        card: What is known of it; its `files` are filled in here.
        contents: Its other files by name.

    Returns:
        The folder.

    Raises:
        BundleError: If the folder holds something else than a bundle, or the card a wrong value.
    """
    if folder.exists() and not (folder / CARD).is_file() and any(folder.iterdir()):
        raise BundleError(f"{folder}: holds files that are no bundle; choose another folder")
    files = {name: _sha256(content) for name, content in contents.items()}
    text = card_bytes(card.model_copy(update={"files": files}))
    parse_card(text, str(folder / CARD))
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    replaced = folder.with_name(f".{folder.name}.replaced")
    if replaced.exists() and not folder.exists():  # killed between the two renames
        os.rename(replaced, folder)
    for leftover in (unfinished, replaced):
        shutil.rmtree(leftover, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for name, content in {**contents, CARD: text}.items():
        write_through(unfinished / name, content)
    sync(unfinished)
    if folder.exists():
        os.rename(folder, replaced)
    os.rename(unfinished, folder)
    sync(folder.parent)
    shutil.rmtree(replaced, ignore_errors=True)
    return folder


def seen_bytes(keys: Iterable[str], init_from: Sequence[Bundle] = ()) -> bytes:
    """Return the content of seen.safetensors.

    Args:
        keys: Of clips that a detector was trained or tuned on; see `Bundle.has_seen`.
        init_from: Detectors that it took weights from; what they have seen, it has.
    """
    in_one_form = [normalize("NFC", key) for key in keys]
    known = np.concatenate([_hashed(in_one_form), *(bundle._seen for bundle in init_from)])
    content: bytes = safetensors.save({"seen": np.unique(known)})
    return content


def _hashed(keys: Sequence[str]) -> IntArray:
    """Return the first 8 bytes of each key's sha256, shape [len(keys)] int64."""
    digests = [hashlib.sha256(key.encode()).digest()[:8] for key in keys]
    return np.frombuffer(b"".join(digests), ">i8").astype(np.int64)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def card_bytes(card: Card) -> bytes:
    """Return the content of bundle.json."""
    return (card.model_dump_json(indent=2) + "\n").encode()


def sync(folder: Path) -> None:
    """Make names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
