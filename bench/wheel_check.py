"""Does the wheel work, with each extra, in a fresh environment away from the checkout?

    python bench/wheel_check.py FOLDER [--extras base train serve ...]

Builds the wheel, then for each extra makes an environment in FOLDER, installs the wheel with it,
runs the README's commands and one that wants the extra, and deletes the environment. Prints one
line for each; fails if any command does. Downloads some gigabytes in all.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]

TRAINED = "unheard train toy --data tests/tiny --out runs/toy"
SERVED = """python -c "
import subprocess, time, urllib.request
service = subprocess.Popen(['unheard', 'serve', '--port', '8765'])
for _ in range(240):
    time.sleep(1)
    try:
        assert b'Unheard' in urllib.request.urlopen('http://127.0.0.1:8765/').read()
        break
    except OSError:
        assert service.poll() is None
service.terminate()
assert service.wait(60) == 0
" """

COMMANDS = {
    "base": ["unheard score examples --report reports/", "unheard stream --help", "unheard info"],
    "train": [TRAINED, "unheard evaluate runs/toy --data tests/tiny --out report"],
    "ssl": [
        'python -c \'from unheard.recipes import load; load("lora").detector; '
        "import transformers, torch'"
    ],
    "export": [TRAINED, "unheard export runs/toy --out toy-graph"],
    "hub": ["unheard export shipped --to hub --out hub"],
    "serve": [SERVED],
    "ray": ["unheard score examples --engine ray --out rows/"],
    "reconstruct": ["unheard generate list"],
    "corpus": ["unheard generate apply world examples/human-english.flac --out copies"],
    "dev": ["python -m pytest --version", "ruff --version", "mypy --version"],
}
"""What is run with each extra, beside `ALWAYS`."""

ALWAYS = ["unheard --version", "unheard score examples", "unheard recipes"]


def run(command: str, folder: Path, environment: Path) -> None:
    """Run a command in a folder with an environment in front.

    Raises:
        SystemExit: If it fails; its output is printed.
    """
    path = f"{environment / 'bin'}:{os.environ['PATH']}"
    variables = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"}
    variables.pop("PYTHONPATH", None)
    done = subprocess.run(
        command, shell=True, cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{command}\nexit code {done.returncode}\n{done.stdout}{done.stderr}")


def check(extra: str, wheel: Path, folder: Path) -> None:
    """Install the wheel with an extra in a new environment and run its commands."""
    environment, work, start_s = folder / "venv", folder / "work", time.monotonic()
    for old in (environment, work):
        shutil.rmtree(old, ignore_errors=True)
    work.mkdir()
    shutil.copytree(ROOT / "examples", work / "examples")
    shutil.copytree(ROOT / "tests" / "tiny", work / "tests" / "tiny")
    run(f"{sys.executable} -m venv {environment}", folder, environment)
    wanted = f"{wheel}" if extra == "base" else f"{wheel}[{extra}]"
    run(f"python -m pip install -q -c {ROOT}/constraints.txt '{wanted}'", folder, environment)
    for command in ALWAYS + COMMANDS[extra]:
        run(command, work, environment)
    print(f"{extra}: works, {time.monotonic() - start_s:.0f} s", flush=True)
    shutil.rmtree(environment)


def main() -> None:
    """Build the wheel and check it with each extra."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="for environments, one at a time")
    parser.add_argument("--extras", nargs="+", choices=COMMANDS, default=list(COMMANDS))
    asked = parser.parse_args()
    folder = asked.folder.absolute()
    shutil.rmtree(folder / "wheel", ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    run(f"{sys.executable} -m pip wheel -q --no-deps -w wheel {ROOT}", folder, folder)
    (wheel,) = (folder / "wheel").glob("*.whl")
    for extra in asked.extras:
        check(extra, wheel, folder)


if __name__ == "__main__":
    main()
