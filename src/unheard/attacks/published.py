"""Files that generators read out of packages and public repositories: pinned, found, checked.

Nothing here fetches: `unheard generate fetch` does. A file is looked for where `Engines` looks;
those of repositories lie in the corpus cache alone:

    home/git/OWNER/NAME/COMMIT/path/in/the/repository
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

from unheard.attacks import pretrained
from unheard.attacks.attack import Copy
from unheard.attacks.engines import Engines
from unheard.errors import AttackError

__all__ = [
    "Pinned",
    "Published",
    "Publishing",
    "find",
    "folder_of",
    "missing",
    "sources",
    "verified",
]


@dataclass(frozen=True)
class Published:
    """One file, where it is published, and what must be in it.

    Attributes:
        source: "pypi:NAME==VERSION", "npm:NAME@VERSION" or "git:OWNER/NAME@COMMIT", the commit in
            full.
        path: Of the file in the unpacked package or in the repository.
        sha256: Of the file. What is not this file is never read.
    """

    source: str
    path: str
    sha256: str


@runtime_checkable
class Publishing(Protocol):
    """A generator that reads pinned files."""

    @property
    def files(self) -> tuple[Published, ...]:
        """What it reads."""
        ...

    @property
    def engines(self) -> Engines:
        """Where it looks."""
        ...


class Pinned(Copy, Publishing):
    """A copy by a network whose weights are pinned files.

    Attributes:
        name: As in `ATTACKS`.
        engines: Where the files lie.
        libraries: What reads or runs them, as it is imported -> the extra that brings it.
    """

    name: str
    engines: Engines
    libraries: ClassVar[Mapping[str, str]] = {"torch": "train"}

    @property
    def packages(self) -> tuple[str, ...]:
        """Where the files are published, and the runtime of TensorFlow Lite if it takes that."""
        runtime = ("pypi:ai-edge-litert",) if "ai_edge_litert" in self.libraries else ()
        return (*sources(self.files), *runtime)

    def missing(self) -> str:
        """Return how to get the files, or what reads or runs them, or ""."""
        libraries = (pretrained.missing(name, extra=of) for name, of in self.libraries.items())
        return missing(self.name, self.engines, self.files) or next(filter(None, libraries), "")


def sources(files: Sequence[Published]) -> tuple[str, ...]:
    """Return where files are published, each place once, in order."""
    return tuple(dict.fromkeys(file.source for file in files))


def folder_of(source: str) -> Path:
    """Return the folder below a corpus cache that keeps the files of a repository.

    Example:
        >>> folder_of("git:google/lyra@0123").as_posix()
        'git/google/lyra/0123'
    """
    repository, _, commit = source.removeprefix("git:").partition("@")
    return Path("git", repository, commit)


def find(engines: Engines, file: Published) -> Path | None:
    """Return where a file lies on this machine, unchecked, or None."""
    if not file.source.startswith("git:"):
        return engines.package(file.path)
    path = None if engines.home is None else engines.home / folder_of(file.source) / file.path
    return path if path is not None and path.is_file() else None


def missing(name: str, engines: Engines, files: Sequence[Published]) -> str:
    """Return how to get the first files of a generator that are not there, or "".

    Args:
        name: The generator, as in `ATTACKS`.
        engines: Where to look.
        files: What it reads.
    """
    lacking = [file for file in files if find(engines, file) is None]
    if not lacking:
        return ""
    what = " and ".join(source.partition(":")[2] for source in sources(lacking))
    return f"{what} is missing; fetch it with: unheard generate fetch {name}"


def verified(name: str, engines: Engines, file: Published) -> Path:
    """Return where a file lies, after checking that it is the one that was pinned.

    Raises:
        AttackError: If it is not there, or is another.
    """
    path = find(engines, file)
    if path is None:
        raise AttackError(f"{name}: {missing(name, engines, [file])}")
    state = path.stat()
    sha256 = _sha256(path, state.st_size, state.st_mtime_ns)
    if sha256 != file.sha256:
        raise AttackError(
            f"{name}: {path} has sha256 {sha256[:12]}, {file.sha256[:12]} wanted; remove it and "
            f"fetch it again with: unheard generate fetch {name}"
        )
    return path


@lru_cache(maxsize=64)
def _sha256(path: Path, size: int, time_ns: int) -> str:
    """Hash of a file, kept as long as its size and time stay."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
