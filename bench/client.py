"""A client generated from the OpenAPI document by openapi-python-client, and used.

    python bench/client.py

Makes an environment of its own, since the generator wants an older typer than ours; generates a
client from the document of this version, starts the service, and scores examples with it. Prints
what each step took; ends with an error if an answer is none.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

EXAMPLES = Path(__file__).parents[1] / "examples"
URL = "http://127.0.0.1:8765"
USE = f"""
import sys
from pathlib import Path
from unheard_client import Client
from unheard_client.api.default import score, score_many
from unheard_client.models import BodyScore, BodyScoreMany
from unheard_client.types import File

def file(path):
    return File(payload=path.open("rb"), file_name=path.name, mime_type="audio/unknown")

client = Client(base_url="{URL}", timeout=120)
paths = [Path(name) for name in sys.argv[1:]]
one = score.sync(client=client, body=BodyScore(file=file(paths[0])))
print("one:", one.verdict.decision, one.verdict.score)
body = BodyScoreMany(files=[file(path) for path in paths])
many = score_many.sync(client=client, body=body)
print("many:", [(row.name, row.result.verdict.decision) for row in many.rows])
assert many.n_failed == 0 and many.rows[0].result.verdict.score == one.verdict.score
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python = folder / "generator" / "bin" / "python"
        with timed("environment"):
            venv.create(folder / "generator", with_pip=True)
            run(python, "-m", "pip", "install", "-q", "openapi-python-client")
        with timed("service started"), served() as document:
            (folder / "openapi.json").write_bytes(document)
            settings = {
                "project_name_override": "client",
                "package_name_override": "unheard_client",
            }
            (folder / "settings.json").write_text(json.dumps(settings))
            with timed("client generated"):
                run(
                    *(python.with_name("openapi-python-client"), "generate"),
                    *("--path", folder / "openapi.json", "--config", folder / "settings.json"),
                    *("--output-path", folder / "client", "--meta", "none"),
                )
            (folder / "client").rename(folder / "unheard_client")
            (folder / "use.py").write_text(USE)
            with timed("client used"):
                run(python, folder / "use.py", *sorted(EXAMPLES.glob("*.wav"))[:2])


def run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True)


@contextmanager
def timed(what: str) -> Iterator[None]:
    started_s = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - started_s:.1f} s")


@contextmanager
def served() -> Iterator[bytes]:
    """Start the service; give its OpenAPI document."""
    port = URL.rpartition(":")[2]
    with tempfile.TemporaryDirectory() as jobs:
        command = [sys.executable, "-m", "unheard", "serve", "--port", port, "--jobs", jobs]
        service = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            yield document(service)
        finally:
            service.terminate()
            service.wait()


def document(service: subprocess.Popen[bytes]) -> bytes:
    for _ in range(600):
        try:
            with urlopen(f"{URL}/openapi.json") as answer:
                content: bytes = answer.read()
                return content
        except OSError:
            assert service.poll() is None, "the service did not start"
            time.sleep(0.2)
    raise AssertionError("the service did not answer")


if __name__ == "__main__":
    main()
