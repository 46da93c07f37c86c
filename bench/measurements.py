"""Write docs/measurements.md: what the benches print, with machine, load, revision and command.

    python bench/measurements.py                            # the short ones, as `make bench`
    python bench/measurements.py --long                     # the others too: hours
    python bench/measurements.py metrics augment            # these
    python bench/measurements.py reconstruct --with 'MANIFEST --model MODEL'

A bench that is run replaces its section; the others stay as they were measured. Each states its own
command, machine, date and revision; `bench/uniform.py` gives all rows one form.
"""

from __future__ import annotations

import argparse
import ast
import os
import platform
import re
import shlex
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from bench.uniform import uniform

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "measurements.md"

SHORT = {
    "metrics": "--trials 100000 --plain-draws 1",
    "augment": "--repeats 5",
    "aasist": "--repeats 3",
    "memory": "",
    "archive": "--clips 20 --planned 100000",
    "start": "",
    "workers": "",
    "lora": "--repeats 3",
    "mldg": "--repeats 1",
    "mixture": "--repeats 3 --batch 4",
}
LONG = {
    "metrics": "--plain-draws 1",
    "augment": "--repeats 40",
    "archive": "--clips 120",
    "decode": "",
    "detectors": "",
    "encoders": "--repeats 4",
    "export": "--shape full --threads 1 --repeats 1 --clock core",
    "growth": "--repeats 3",
    "import_corpus": "",
    "loader": "",
    "score": "",
    "service": "",
    "load": "--minutes 60",
    "workers": "--clips 100,1000 --workers 1,2,4 --linked 1000,10000,100000",
}
HEAD = """# Measurements

Made by `make bench` (the short ones) and `make bench-long`; do not edit. What the benches measure
stands here alone, other pages link to it. A section is one run of one program of `bench/`, whose
first lines say what is measured and how. Times are those of processors unless a row says "by the
clock". A ratio is the peer's cost over ours: above 1, ours costs less. A goal is what we set out to
reach; where there is none the cell is empty. Other work shares these machines: the load is stated,
and ratios within one run are what counts.
"""


def about(name: str) -> str:
    """Return the first line of what a bench says of itself."""
    text = ast.get_docstring(ast.parse((ROOT / "bench" / f"{name}.py").read_text())) or ""
    return " ".join(text.split("\n\n")[0].split())


def machine() -> str:
    """Return the processor, its number of cores, and the memory."""
    words = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    name = words.group(1).strip() if words else platform.machine()
    return f"{name}, {os.cpu_count()} cores, {memory:.0f} GB, Python {platform.python_version()}"


def revision() -> str:
    """Return the revision, marked if files were changed since."""
    words = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    return subprocess.run(
        words, cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()


def section(name: str, options: str) -> str:
    """Run a bench and return its section.

    Raises:
        CalledProcessError: If it fails.
    """
    words = [f"bench/{name}.py", *shlex.split(options)]
    before, start_s = os.getloadavg()[0], time.monotonic()
    output = subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env={"OMP_NUM_THREADS": "1", **os.environ},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    minutes = (time.monotonic() - start_s) / 60
    day, load = f"{datetime.now(UTC):%Y-%m-%d}", os.getloadavg()[0]
    return (
        f"## {name}\n\n{about(name)}\n\n- command: `OMP_NUM_THREADS=1 python {' '.join(words)}`\n"
        f"- machine: {machine()}; load {before:.0f} before and {load:.0f} after\n"
        f"- date: {day}, revision {revision()}, {minutes:.0f} minutes by the clock\n\n"
        f"{uniform(name, output)}"
    )


def main() -> None:
    """Run what was asked for and write the page after each, so that a stop loses one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="programs of bench/; the short ones if left out")
    parser.add_argument("--long", action="store_true", help="the long ones")
    parser.add_argument("--with", dest="options", help="options of the one that is named")
    asked = parser.parse_args()
    table = LONG if asked.long else SHORT
    for name in asked.names or table:
        options = asked.options if asked.options is not None else {**LONG, **table}.get(name, "")
        print(f"{name} {options}", file=sys.stderr, flush=True)
        new = section(name, options)
        text = PAGE.read_text() if PAGE.exists() else HEAD
        _, *old = re.split(r"^(?=## )", text, flags=re.MULTILINE)
        kept = {part.split("\n", 1)[0].removeprefix("## "): part.strip() + "\n" for part in old}
        kept[name] = new
        PAGE.write_text("\n".join([HEAD, *(kept[key] for key in sorted(kept))]))


if __name__ == "__main__":
    main()
