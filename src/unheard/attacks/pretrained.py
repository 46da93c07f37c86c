"""Published weights that generators stand on: found in a folder or by a model hub's id, and loaded.

A model of which a weight is missing is refused: the library would draw it at random.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from importlib import util
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from unheard.attacks.attack import Copy
from unheard.errors import AttackError
from unheard.types import FloatArray

__all__ = [
    "InLibrary",
    "Pretrained",
    "absent",
    "find",
    "fingerprint",
    "graph",
    "loaded",
    "missing",
    "through",
]

_WEIGHTS = ("*.json", "*.safetensors", "*.bin", "*.txt")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


@runtime_checkable
class Pretrained(Protocol):
    """A generator that reads weights from somewhere."""

    def weights(self) -> tuple[str, ...]:
        """Return the folders, or ids of a model hub, that it reads."""
        ...


class InLibrary(Copy):
    """A copy by one published model that a library holds the code of.

    Attributes:
        source: Folder of the model, or a model hub's id.
        libraries: What runs it, by the names that are imported, which are those of the packages.
    """

    source: str
    libraries: ClassVar[tuple[str, ...]] = ("transformers",)

    @property
    def packages(self) -> tuple[str, ...]:
        """The libraries."""
        return tuple(f"pypi:{name}" for name in self.libraries)

    def missing(self) -> str:
        """Return how to get the libraries that run it, or ""."""
        return missing(*self.libraries, extra="reconstruct")

    def weights(self) -> tuple[str, ...]:
        """Return the folder or hub id of the model."""
        return (self.source,)


def missing(*libraries: str, extra: str) -> str:
    """Return how to install the first of some libraries that is not there, or "".

    Args:
        libraries: Their names, as they are imported.
        extra: The extra of this package that brings them.
    """
    for library in libraries:
        if util.find_spec(library) is None:
            return f"{library} is missing; install it with: pip install 'unheard[{extra}]'"
    return ""


def absent(attack: object) -> str:
    """Return which weights of a generator are not on this machine yet, in words, or "".

    Args:
        attack: Any generator; only one that is `Pretrained` can lack some.
    """
    for source in attack.weights() if isinstance(attack, Pretrained) else ():
        if not Path(source).expanduser().is_dir() and not _is_cached(source):
            return f"the weights {source} are not here; a hub is asked for them on first use"
    return ""


def find(name: str, source: str) -> Path:
    """Return the folder that holds a model, fetching it if it is on a hub that can be reached.

    Args:
        name: The generator, for messages.
        source: A folder, or the id of a model on a hub, such as "kyutai/mimi".

    Raises:
        AttackError: If there is no such folder, and no such model can be fetched.
    """
    folder = Path(source).expanduser()
    if source and folder.is_dir():
        return folder
    if not _HUB_ID.fullmatch(source):
        raise AttackError(
            f"{name}: no folder {source!r} with weights; give one with --set source=FOLDER"
        )
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(source, allow_patterns=[*_WEIGHTS, "*/*"]))
    except (OSError, ValueError) as error:
        raise AttackError(
            f"{name}: no folder {source!r}, and no such model could be fetched from a hub "
            f"({type(error).__name__}); fetch it where there is a network and give the folder "
            "with --set source=FOLDER"
        ) from error


def _is_cached(source: str) -> bool:
    if not _HUB_ID.fullmatch(source) or util.find_spec("huggingface_hub") is None:
        return False
    from huggingface_hub import snapshot_download

    try:
        snapshot_download(source, local_files_only=True)
    except (OSError, ValueError):
        return False
    return True


def fingerprint(folder: Path) -> str:
    """Return a hash of the settings and weights in a folder and the folders in it."""
    digest = hashlib.sha256()
    files = {path for pattern in _WEIGHTS for path in folder.rglob(pattern)}
    for path in sorted(files):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.relative_to(folder).as_posix()}\t{content}\n".encode())
    return digest.hexdigest()


@lru_cache(maxsize=2)
def loaded(name: str, kind: str, source: str) -> Any:
    """Return a model of the transformers library, in evaluation mode; kept for the next clip.

    Args:
        name: The generator, for messages.
        kind: Class of the model, such as "MimiModel".
        source: Folder, or id of a model on a hub.

    Raises:
        AttackError: If there is none, or it is not of that class, or lacks a weight.
    """
    import transformers

    logging: Any = transformers.utils.logging
    folder = find(name, source)
    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        model, report = getattr(transformers, kind).from_pretrained(
            folder, local_files_only=True, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise AttackError(
            f"{name}: {source} cannot be loaded as a {kind} "
            f"({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}); "
            "give the folder of such a model with --set source=FOLDER"
        ) from error
    finally:
        if bars:
            logging.enable_progress_bar()
    lacking = sorted({*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])})
    if lacking:
        raise AttackError(
            f"{name}: {source} is no whole {kind}: {len(lacking)} weights are missing or of "
            f"another size, such as {lacking[0]}; fetch it again, or give another folder"
        )
    return model.eval().requires_grad_(False)


@lru_cache(maxsize=5)
def graph(path: Path) -> Any:
    """Return a TensorFlow Lite file, ready to run on one thread; kept for the next clip.

    All that there are fit: three of a codec and two vocoders may take turns over the clips.
    """
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    return interpreter


def through(interpreter: Any, values: FloatArray, *, any_shape: bool = False) -> FloatArray:
    """Run a TensorFlow Lite file of one input, here of its own shape or any, and one output."""
    wanted, given = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    if any_shape:
        interpreter.resize_tensor_input(wanted["index"], values.shape)
        interpreter.allocate_tensors()
    interpreter.set_tensor(wanted["index"], np.asarray(values, np.float32))
    interpreter.invoke()
    made: FloatArray = interpreter.get_tensor(given["index"])
    return made
