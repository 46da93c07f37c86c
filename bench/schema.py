"""Is any request that the OpenAPI page allows, or that it does not, a fault of the service?

    python bench/schema.py [--examples 100] [--detector BUNDLE]

Starts `unheard serve` on loopback and lets the command of schemathesis, which is among the
dependencies of the tests, ask all that it can think of. It fails on any status from 500 on.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from bench.service import started


def main() -> None:
    """Ask a service, and leave with the exit code of schemathesis."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--examples", type=int, default=100)
    parser.add_argument("--detector", type=Path)
    asked = parser.parse_args()
    command = [str(Path(sys.executable).with_name("schemathesis")), "run"]
    options = ["--checks", "not_a_server_error", "--generation-deterministic"]
    options += ["--max-examples", str(asked.examples)]
    with tempfile.TemporaryDirectory() as folder:
        detector = [str(asked.detector)] if asked.detector else []
        service, url = started(detector, Path(folder) / "jobs", Path(folder) / "log")
        try:
            found = subprocess.run(
                [*command, f"{url}/openapi.json", *options], cwd=folder, check=False
            )
        finally:
            service.send_signal(signal.SIGTERM)
            service.wait(90)
    sys.exit(found.returncode)


if __name__ == "__main__":
    main()
