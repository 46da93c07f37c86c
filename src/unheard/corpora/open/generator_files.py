"""Fetching what generators read: packages by their clients, files of repositories by git.

    cache/pypi, cache/npm                    packages, unpacked, as for the open corpus
    cache/git/OWNER/NAME/COMMIT/path         files of repositories
    mirrors/OWNER+NAME or OWNER/NAME         local git directories, bare or not, or in a folder repo

Of a public host the pinned commit is fetched without files, then the wanted ones alone. Nothing
that is fetched is run here. A generator checks the hash of each file before it reads it.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

from unheard.attacks import Attack, Engines, Publishing
from unheard.attacks.published import Published, find, folder_of, sources
from unheard.corpora.open.packages import PACKAGES, Package, fetch, sha256_of
from unheard.errors import CorpusError
from unheard.files import in_one_step

__all__ = ["HOST", "fetch_generators"]

Say = Callable[[str], None]

HOST = "https://github.com"

_INSIDE = ("", ".git", "repo", "repo/.git")


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
    for source in sources(lacking):
        wanted = {file.path: file for file in lacking if file.source == source}
        say(f"fetching {len(wanted)} files of {source.removeprefix('git:')}")
        try:
            _from_git(cache, source, list(wanted.values()), mirrors, host)
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


def _from_git(
    cache: Path, source: str, files: list[Published], mirrors: Path | None, host: str
) -> None:
    """Write files of one commit into the cache, each after its hash was checked."""
    repository, _, commit = source.removeprefix("git:").partition("@")
    with tempfile.TemporaryDirectory() as folder:
        if mirrors is None:
            git_dir = _partial_clone(Path(folder), f"{host}/{repository}", commit)
        else:
            git_dir = _mirror(mirrors, repository)
        for file in files:
            content = _git(git_dir, "cat-file", "blob", f"{commit}:{file.path}")
            with in_one_step(cache / folder_of(source) / file.path) as unfinished:
                unfinished.write_bytes(content)
                sha256 = sha256_of(unfinished)
                if sha256 != file.sha256:
                    raise CorpusError(
                        f"{file.path} has sha256 {sha256[:12]}, not the pinned {file.sha256[:12]}"
                    )


def _mirror(mirrors: Path, repository: str) -> Path:
    for place in (repository.replace("/", "+"), repository):
        for inside in _INSIDE:
            for path in (mirrors / place / inside, mirrors / f"{place}.git"):
                if (path / "HEAD").is_file() and (path / "objects").is_dir():
                    return path
    raise CorpusError(
        f"no git directory of it in {mirrors}; clone it there as {repository.replace('/', '+')}, "
        "or leave --mirrors out"
    )


def _partial_clone(git_dir: Path, url: str, commit: str) -> Path:
    """A bare directory with one commit and no files: git fetches those that are asked for."""
    _git(git_dir, "init", "--quiet", "--bare")
    for name, value in {
        "remote.origin.url": url,
        "remote.origin.promisor": "true",
        "remote.origin.partialclonefilter": "blob:none",
    }.items():
        _git(git_dir, "config", name, value)
    options = ("--quiet", "--no-tags", "--depth=1", "--filter=blob:none")
    _git(git_dir, "fetch", *options, "origin", commit)
    return git_dir


def _git(git_dir: Path, *words: str) -> bytes:
    """Run git on a directory, without asking anybody anything."""
    command = ["git", "-c", "safe.directory=*", f"--git-dir={git_dir}", *words]
    quiet = {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(command, capture_output=True, env=os.environ | quiet, check=False)
    except FileNotFoundError as error:
        raise CorpusError("git is not installed; install it") from error
    if done.returncode:
        last = (done.stderr.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
        raise CorpusError(f"git {words[0]} failed: {last[:200]}")
    return done.stdout
