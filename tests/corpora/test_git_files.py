"""Files of pinned commits are taken by hash, and what is not there is said."""

import subprocess
from pathlib import Path

import pytest

from unheard.corpora.git_files import Hosts, Mirrors, Repository, blob_content
from unheard.errors import CorpusError

GIT = ("git", "-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main")


def git(*words: str | Path, content: bytes | None = None) -> str:
    done = subprocess.run([*GIT, *words], check=True, capture_output=True, input=content)
    return done.stdout.decode().strip()


@pytest.fixture
def pinned(tmp_path: Path) -> str:
    """A commit of `host/owner/name` with two files and a link; a later one removes a file."""
    folder = tmp_path / "host/owner/name"
    git("init", "--quiet", folder)
    for setting in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
        git("-C", folder, "config", setting, "true")
    (folder / "a.wav").write_bytes(b"a recording")
    (folder / "large.bin").write_bytes(bytes(50_000))
    (folder / "link.wav").symlink_to("a.wav")
    git("-C", folder, "add", ".")
    git("-C", folder, "commit", "--quiet", "-m", "first")
    commit = git("-C", folder, "rev-parse", "HEAD")
    git("-C", folder, "rm", "--quiet", "a.wav")
    git("-C", folder, "commit", "--quiet", "-m", "second")
    return commit


def hosts(tmp_path: Path) -> Hosts:
    return Hosts(tmp_path / "git", host=(tmp_path / "host").as_uri())


@pytest.mark.parametrize(
    "place", ["owner+name", "owner/name.git", "owner+name/repo", "owner/name/repo/.git"]
)
def test_a_mirror_is_looked_for_in_the_usual_places(
    tmp_path: Path, pinned: str, place: str
) -> None:
    target = tmp_path / "mirrors" / place
    target.parent.mkdir(parents=True)
    target.symlink_to(tmp_path / "host/owner/name/.git")
    repository = Mirrors(tmp_path / "mirrors").open("owner/name", pinned)
    assert sorted(repository.listed()) == ["a.wav", "large.bin"]
    assert blob_content(repository.git_dir, repository.listed()["a.wav"]) == b"a recording"


def test_a_host_gives_the_pinned_commit_and_wanted_files_only(tmp_path: Path, pinned: str) -> None:
    repository = hosts(tmp_path).open("owner/name", pinned)
    files = repository.listed()
    with pytest.raises(CorpusError, match=r"git cat-file|fetch the pinned commit"):
        blob_content(repository.git_dir, files["a.wav"])
    repository.bring([files["a.wav"]])
    assert blob_content(repository.git_dir, files["a.wav"]) == b"a recording"
    words = ("cat-file", "--batch-check", "--batch-all-objects")
    objects = git(f"--git-dir={repository.git_dir}", *words).splitlines()
    assert [line.split()[0] for line in objects if " blob " in line] == [files["a.wav"]]


def test_a_host_is_not_asked_again_for_what_is_there(tmp_path: Path, pinned: str) -> None:
    first = hosts(tmp_path).open("owner/name", pinned)
    first.bring([first.listed()["a.wav"]])
    again = Hosts(tmp_path / "git", host="file:///nowhere").open("owner/name", pinned)
    again.bring([again.listed()["a.wav"]])
    assert blob_content(again.git_dir, again.listed()["a.wav"]) == b"a recording"


def test_a_commit_that_is_not_there_is_named_with_its_remedy(tmp_path: Path, pinned: str) -> None:
    mirrors = Mirrors(tmp_path / "host")
    with pytest.raises(CorpusError, match=r"lacks the pinned commit 0+; .*: git fetch origin 0+"):
        mirrors.open("owner/name", "0" * 40).listed()
    with pytest.raises(CorpusError, match="git fetch: "):
        hosts(tmp_path).open("owner/name", "0" * 40)
    with pytest.raises(CorpusError, match="git fetch: "):
        hosts(tmp_path).open("owner/other", pinned)
    with pytest.raises(CorpusError, match=r"clone it there as owner\+other, or leave --mirrors"):
        mirrors.open("owner/other", pinned)


def test_a_file_that_is_not_there_is_named(tmp_path: Path, pinned: str) -> None:
    repository = Mirrors(tmp_path / "host").open("owner/name", pinned)
    with pytest.raises(CorpusError, match=r"not in .*; fetch the pinned commit"):
        blob_content(repository.git_dir, "1" * 40)


def test_a_file_whose_content_has_another_hash_is_refused(tmp_path: Path) -> None:
    git_dir = tmp_path / "altered"
    git("init", "-q", "--bare", git_dir)
    words = (f"--git-dir={git_dir}", "hash-object", "-w", "--stdin")
    blobs = [git(*words, content=content) for content in (b"one", b"two")]
    first, second = (git_dir / "objects" / blob[:2] / blob[2:] for blob in blobs)
    assert blob_content(git_dir, blobs[0]) == b"one"
    first.chmod(0o600)
    first.write_bytes(second.read_bytes())
    with pytest.raises(CorpusError, match=r"other content than its hash|git cat-file"):
        blob_content(git_dir, blobs[0])


def test_the_pinned_commit_is_listed_and_not_the_newest(tmp_path: Path, pinned: str) -> None:
    newest = git("-C", tmp_path / "host/owner/name", "rev-parse", "HEAD")
    mirrors = Mirrors(tmp_path / "host")
    assert "a.wav" in mirrors.open("owner/name", pinned).listed()
    assert "a.wav" not in Repository(tmp_path / "host/owner/name/.git", newest).listed()
