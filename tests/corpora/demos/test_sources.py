"""Content is taken by its hash, and what is not there is said."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from unheard.corpora.demos.sources import Hosts, Mirrors, Repository, blob_content
from unheard.errors import CorpusError


@pytest.mark.parametrize(
    "place", ["lab+vocoder-demo", "lab/vocoder-demo.git", "lab+vocoder-demo/repo"]
)
def test_a_mirror_is_found_in_the_usual_places(pages: Any, place: str, tmp_path: Path) -> None:
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).symlink_to(pages.mirrors / "lab+vocoder-demo")
    page = pages.catalogue.pages["lab/vocoder-demo"]
    assert "gt/a.wav" in Mirrors(tmp_path).open(page).listed()


def test_the_pinned_commit_counts_and_not_the_newest(pages: Any) -> None:
    repository = Mirrors(pages.mirrors).open(pages.catalogue.pages["other/tts"])
    assert sorted(repository.listed()) == ["wavs/1.wav", "wavs/2.wav"]
    with pytest.raises(CorpusError, match="git ls-tree"):
        Repository(repository.git_dir, "0" * 40).listed()


def test_a_file_whose_content_has_another_hash_is_refused(pages: Any, tmp_path: Path) -> None:
    git_dir = tmp_path / "altered"
    subprocess.run(["git", "init", "-q", "--bare", git_dir], check=True)
    blobs = []
    for content in (b"one", b"two"):
        command = ["git", f"--git-dir={git_dir}", "hash-object", "-w", "--stdin"]
        done = subprocess.run(command, input=content, check=True, capture_output=True, text=False)
        blobs.append(done.stdout.decode().strip())
    first, second = (git_dir / "objects" / blob[:2] / blob[2:] for blob in blobs)
    assert blob_content(git_dir, blobs[0]) == b"one"
    first.chmod(0o600)
    first.write_bytes(second.read_bytes())
    with pytest.raises(CorpusError, match=r"other content than its hash|git cat-file"):
        blob_content(git_dir, blobs[0])


def test_a_file_that_is_not_there_is_said(pages: Any) -> None:
    with pytest.raises(CorpusError, match=r"not in .*; fetch the pinned commit"):
        blob_content(pages.mirrors / "other+tts", "1" * 40)


def test_a_host_that_lacks_the_page_is_said(pages: Any, tmp_path: Path) -> None:
    hosts = Hosts(tmp_path / "git", host=f"file://{tmp_path}/nobody")
    with pytest.raises(CorpusError, match="git fetch"):
        hosts.open(pages.catalogue.pages["other/tts"])
