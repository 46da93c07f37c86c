"""Files of pinned commits, from public hosts by git or from local git directories.

    mirrors/OWNER+NAME, OWNER/NAME, each also with .git behind it or repo, repo/.git or .git in it

Of a public host the pinned commit is fetched without files, then only the wanted ones. Nothing in a
repository is run or checked out.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from unheard.errors import CorpusError

__all__ = ["HOST", "Hosts", "Mirrors", "Repositories", "Repository", "blob_content"]

HOST = "https://github.com"

_WITHIN = (".", "repo", ".git", "repo/.git")
_WITHOUT_NETWORK = ("-c", "protocol.allow=never")
_STALLED = ("-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=60")


@dataclass(frozen=True)
class Repository:
    """A git directory with a pinned commit.

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
            CorpusError: If the commit is not in the git directory.
        """
        if not _has(self.git_dir, self.commit):
            raise CorpusError(
                f"{self.git_dir} lacks the pinned commit {self.commit}; fetch it into there: "
                f"git fetch origin {self.commit}"
            )
        listing = _git(self.git_dir, "ls-tree", "-r", "-z", "--full-tree", self.commit)
        files: dict[str, str] = {}
        for line in listing.split(b"\0"):
            facts, _, path = line.partition(b"\t")
            mode, _, rest = facts.partition(b" ")
            kind, _, blob = rest.partition(b" ")
            if kind == b"blob" and mode != b"120000":
                files[path.decode(errors="replace")] = blob.decode()
        return files

    def bring(self, blobs: Sequence[str]) -> None:
        """Make the content of some files be there; a local mirror has it or has not.

        Args:
            blobs: Git's hashes of the files.

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
    """A place that repositories are taken from."""

    def open(self, name: str, commit: str) -> Repository:
        """Return the git directory of a repository. Raises CorpusError if it cannot be had.

        Args:
            name: OWNER/NAME.
            commit: The pinned commit, 40 hexadecimal digits.
        """
        ...


@dataclass(frozen=True)
class Mirrors:
    """Local git directories, bare or not, in a folder; its layout is in the module's docstring."""

    folder: Path

    def open(self, name: str, commit: str) -> Repository:
        """Return the git directory of a repository.

        Args:
            name: OWNER/NAME.
            commit: The pinned commit.

        Raises:
            CorpusError: If the folder is none, or holds no such directory.
        """
        joined = name.replace("/", "+")
        for place in (joined, name):
            for ending in ("", ".git"):
                for within in _WITHIN:
                    git_dir = self.folder / f"{place}{ending}" / within
                    if (git_dir / "HEAD").is_file() and (git_dir / "objects").is_dir():
                        return Repository(git_dir, commit)
        raise CorpusError(
            f"no git directory of it in {self.folder}; clone it there as {joined}, "
            "or leave --mirrors out"
        )


@dataclass(frozen=True)
class Hosts:
    """A public host that repositories are fetched from by git.

    Attributes:
        cache: Folder for the git directories; one that is kept is not fetched again.
        host: Address that OWNER/NAME follows.
    """

    cache: Path
    host: str = HOST

    def open(self, name: str, commit: str) -> Repository:
        """Fetch the pinned commit without its files; what is there is not fetched again.

        Args:
            name: OWNER/NAME.
            commit: The pinned commit.

        Raises:
            CorpusError: If git is missing, or the host does not give the commit.
        """
        git_dir = self.cache / name.replace("/", "+")
        if not (git_dir / "HEAD").is_file():
            git_dir.mkdir(parents=True, exist_ok=True)
            _git(git_dir, "init", "--quiet", "--bare", str(git_dir))
        for key, value in (
            ("remote.origin.url", f"{self.host}/{name}"),
            ("remote.origin.promisor", "true"),
            ("remote.origin.partialclonefilter", "blob:none"),
        ):
            _git(git_dir, "config", key, value)
        if not _has(git_dir, commit):
            flags = ("--quiet", "--no-tags", "--depth=1", "--filter=blob:none")
            _git(git_dir, "fetch", *flags, "origin", commit, network=True)
        return Repository(git_dir, commit, remote=True)

    def forget(self, name: str) -> None:
        """Delete what was fetched of a repository."""
        shutil.rmtree(self.cache / name.replace("/", "+"), ignore_errors=True)


def blob_content(git_dir: Path, blob: str) -> bytes:
    """Return the content of a file by its hash, which is checked.

    Args:
        git_dir: Git directory.
        blob: Git's hash of the file.

    Raises:
        CorpusError: If it is not there, or its content has another hash.
    """
    answer = _git(git_dir, "cat-file", "--batch", given=f"{blob}\n".encode())
    head, _, content = answer.partition(b"\n")
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
        raise CorpusError("git is not installed; install it") from error
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
