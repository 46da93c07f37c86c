"""Where the files of pages come from: public hosts by git, local git directories, or a pack.

    mirrors/OWNER+NAME, OWNER/NAME, each also with .git behind it or repo, repo/.git or .git in it
    pack/clips/PART/BLOB.flac       clips cut before, named by the first 16 digits of the git hash

Of a public host the pinned commit is fetched without files, then only the wanted ones. Nothing in a
repository is run or checked out.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from unheard.corpora.demos.catalogue import Page
from unheard.errors import CorpusError

__all__ = ["HOST", "Hosts", "Mirrors", "Repositories", "Repository", "blob_content"]

HOST = "https://github.com"

_WITHIN = (".", "repo", ".git", "repo/.git")
_WITHOUT_NETWORK = ("-c", "protocol.allow=never")
_STALLED = ("-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=60")


@dataclass(frozen=True)
class Repository:
    """A git directory that holds a page.

    Attributes:
        git_dir: Where it is.
        commit: The pinned commit.
        remote: Whether files that are wanted must be fetched first.
    """

    git_dir: Path
    commit: str
    remote: bool = False

    def listed(self) -> dict[str, str]:
        """Return the files of the pinned commit: path -> git's hash, links left out.

        Raises:
            CorpusError: If the commit is not there.
        """
        told = _git(self.git_dir, "ls-tree", "-r", "-z", "--full-tree", self.commit)
        files: dict[str, str] = {}
        for line in told.split(b"\0"):
            facts, _, path = line.partition(b"\t")
            mode, _, rest = facts.partition(b" ")
            kind, _, blob = rest.partition(b" ")
            if kind == b"blob" and mode != b"120000":
                files[path.decode(errors="replace")] = blob.decode()
        return files

    def bring(self, blobs: Sequence[str]) -> None:
        """Make the content of some files be there; a local mirror has it or has not.

        Raises:
            CorpusError: If they cannot be fetched.
        """
        blobs = [blob for blob in blobs if self.remote and not _has(self.git_dir, blob)]
        if not blobs:
            return
        flags = ("--no-tags", "--no-write-fetch-head", "--filter=blob:none", "--stdin")
        skip = ("-c", "fetch.negotiationAlgorithm=noop")
        given = "".join(f"{blob}\n" for blob in blobs).encode()
        _git(self.git_dir, *skip, "fetch", "--quiet", *flags, "origin", network=True, given=given)


class Repositories(Protocol):
    """A place that pages are taken from."""

    def open(self, page: Page) -> Repository:
        """Return the git directory of a page. Raises CorpusError if it cannot be had."""
        ...


@dataclass(frozen=True)
class Mirrors:
    """Local git directories, in a folder; its layout is in the module's docstring."""

    folder: Path

    def open(self, page: Page) -> Repository:
        """Return the git directory of a page.

        Raises:
            CorpusError: If the folder holds none.
        """
        owner, _, name = page.repo.partition("/")
        for place in (f"{owner}+{name}", f"{owner}/{name}"):
            for ending in ("", ".git"):
                for within in _WITHIN:
                    found = self.folder / f"{place}{ending}" / within
                    if (found / "HEAD").is_file() and (found / "objects").is_dir():
                        return Repository(found, page.commit)
        raise CorpusError(
            f"no git directory of it in {self.folder}; "
            f"clone it there as {owner}+{name}, or leave --mirrors out"
        )


@dataclass(frozen=True)
class Hosts:
    """A public host that pages are fetched from by git.

    Attributes:
        cache: Folder for the git directories, kept for the next build.
        host: Address that OWNER/NAME follows.
    """

    cache: Path
    host: str = HOST

    def open(self, page: Page) -> Repository:
        """Fetch the pinned commit of a page without its files; what is there is not fetched again.

        Raises:
            CorpusError: If git is missing, or the host does not give the commit.
        """
        git_dir = self.cache / page.repo.replace("/", "+")
        if not (git_dir / "HEAD").is_file():
            git_dir.mkdir(parents=True, exist_ok=True)
            _git(git_dir, "init", "--quiet", "--bare", str(git_dir))
        for name, value in (
            ("remote.origin.url", f"{self.host}/{page.repo}"),
            ("remote.origin.promisor", "true"),
            ("remote.origin.partialclonefilter", "blob:none"),
        ):
            _git(git_dir, "config", name, value)
        if not _has(git_dir, page.commit):
            flags = ("--quiet", "--no-tags", "--depth=1", "--filter=blob:none")
            _git(git_dir, "fetch", *flags, "origin", page.commit, network=True)
        return Repository(git_dir, page.commit, remote=True)


def blob_content(git_dir: Path, blob: str) -> bytes:
    """Return the content of a file by its hash, which is checked.

    Raises:
        CorpusError: If it is not there, or its content has another hash.
    """
    told = _git(git_dir, "cat-file", "--batch", given=f"{blob}\n".encode())
    head, _, content = told.partition(b"\n")
    if not head.endswith(b"missing"):
        content = content[: int(head.split()[-1])]
        header = f"blob {len(content)}\0".encode()
        if hashlib.sha1(header + content, usedforsecurity=False).hexdigest() == blob:
            return content
        raise CorpusError(f"git object {blob[:12]} has other content than its hash says")
    raise CorpusError(f"git object {blob[:12]} is not in {git_dir}; fetch the pinned commit")


def _git(git_dir: Path, *words: str, network: bool = False, given: bytes = b"") -> bytes:
    """Run git on a directory of which nothing is trusted; only a fetch may use the network."""
    settings = _STALLED if network else _WITHOUT_NETWORK
    command = ["git", "-c", "safe.directory=*", *settings, f"--git-dir={git_dir}", *words]
    names = {"GIT_TERMINAL_PROMPT": "0", "GIT_NO_REPLACE_OBJECTS": "1", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command, input=given, capture_output=True, env=os.environ | names, check=False
        )
    except FileNotFoundError as error:
        raise CorpusError("git is not installed; install it, or build from a pack") from error
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        verb = next(word for word in words if word[0] != "-" and "=" not in word)
        raise CorpusError(f"git {verb}: {lines[-1][:200]}")
    return done.stdout


def _has(git_dir: Path, name: str) -> bool:
    try:
        _git(git_dir, "cat-file", "-e", name)
    except CorpusError:
        return False
    return True
