"""Debian's package client with lists of the builder's own, so that no system setting is touched.

The machine's configured sources are copied, with the components contrib and non-free added in the
copy alone: one engine of the corpus, under the Apache licence, lies in non-free. Downloading needs
no root rights; installing does.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from unheard.errors import CorpusError

__all__ = ["download", "install", "install_command", "installed_version", "update"]

_SOURCES = Path("/etc/apt")
_COMPONENTS = "main contrib non-free"


def update(cache: Path) -> None:
    """Fetch package lists into the cache.

    Raises:
        CorpusError: If this is no Debian machine, or the lists cannot be fetched.
    """
    if shutil.which("apt-get") is None:
        raise CorpusError(
            "apt-get is not here: the open corpus is made of Debian packages; "
            "build it on Debian 12 or in a container of it"
        )
    base = cache / "apt"
    for folder in ("lists/partial", "archives/partial", "sources"):
        (base / folder).mkdir(parents=True, exist_ok=True)
    for name, text in _private_sources(_SOURCES).items():
        (base / "sources" / name).write_text(text)
    _run(["apt-get", *_options(cache), "-q", "update"], cwd=base)


def download(cache: Path, name: str, version: str, folder: Path) -> None:
    """Download one package at one version into a folder.

    Raises:
        CorpusError: If the archive has no such version, with the versions it has.
    """
    try:
        _run(["apt-get", *_options(cache), "-q", "download", f"{name}={version}"], cwd=folder)
    except CorpusError as error:
        shown = _run(["apt-cache", *_options(cache), "madison", name], cwd=folder)
        others = sorted({line.split("|")[1].strip() for line in shown.splitlines() if "|" in line})
        raise CorpusError(
            f"{name} {version} is not in the archive, which has "
            f"{', '.join(others) or 'no version of it'} ({error}); the corpus is built without it"
        ) from error


def install_command(cache: Path, names: list[str]) -> list[str]:
    """Return the command line that installs packages from the builder's own lists."""
    options = _options(cache)
    return ["apt-get", *options, "install", "-y", "-q", "--no-install-recommends", *names]


def install(cache: Path, names: list[str]) -> list[str]:
    """Install packages, one by one if they cannot be had together; return what failed and why."""
    try:
        _run(install_command(cache, names), cwd=cache)
    except CorpusError as error:
        if len(names) == 1:
            return [f"{names[0]} cannot be installed ({error})"]
        return [line for name in names for line in install(cache, [name])]
    return []


def installed_version(name: str) -> str:
    """Return the version of an installed package; "" if it is not installed."""
    if shutil.which("dpkg-query") is None:
        return ""
    query = ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", name]
    done = subprocess.run(query, capture_output=True, text=True, check=False)
    status, _, version = done.stdout.partition(" ")
    return version if status == "installed" else ""


def _options(cache: Path) -> list[str]:
    base = (cache / "apt").resolve()
    settings = {
        "Dir::State::lists": base / "lists",
        "Dir::Cache::archives": base / "archives",
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "Dir::Etc::SourceList": "/dev/null",
        "Dir::Etc::SourceParts": base / "sources",
        "APT::Sandbox::User": "",
    }
    return [part for key, value in settings.items() for part in ("-o", f"{key}={value}")]


def _private_sources(folder: Path) -> dict[str, str]:
    """The machine's own sources of its release, with the further components; file name to text."""
    codename = _codename()
    copies: dict[str, str] = {}
    for path in [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]:
        if not path.is_file():
            continue
        kept = (_stanzas if path.suffix == ".sources" else _lines)(path.read_text(), codename)
        if kept:
            copies[path.name] = kept
    if not copies:
        raise CorpusError(
            f"no source of the release {codename!r} is configured in {folder}; "
            "the open corpus needs a Debian machine whose package sources work"
        )
    return copies


def _codename() -> str:
    about = Path("/etc/os-release")
    text = about.read_text() if about.is_file() else ""
    release = re.search(r"^VERSION_CODENAME=(\S+)", text, re.M)
    return release.group(1) if release else ""


def _stanzas(text: str, codename: str) -> str:
    own = re.compile(rf"^Suites:(\s*{codename}(-security|-updates)?)+\s*$", re.M)
    kept = [stanza for stanza in re.split(r"\n\s*\n", text.strip()) if own.search(stanza)]
    changed = [
        re.sub(r"^Components:.*$", f"Components: {_COMPONENTS}", stanza, flags=re.M)
        for stanza in kept
    ]
    return "\n\n".join(changed) + "\n" if changed else ""


def _lines(text: str, codename: str) -> str:
    pattern = rf"^(deb\s+(?:\[[^\]]*\]\s+)?\S+\s+{codename}(?:-security|-updates)?)\s+main\b.*$"
    kept = re.findall(pattern, text, re.M)
    return "".join(f"{line} {_COMPONENTS}\n" for line in kept)


def _run(command: list[str], *, cwd: Path) -> str:
    environment = dict(os.environ) | {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.startswith("E:")]
        raise CorpusError(f"{command[0]} failed: {(lines or ['it did not say why'])[0]}")
    return done.stdout
