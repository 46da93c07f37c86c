"""The container of the service, built and used as docs/service.md says; prints each step's time.

    python bench/container.py
    python bench/container.py --base debian.tar --volume /opt/wheels:/opt/wheels:ro

Wants podman, and no root. Where no registry of images is reached, `--base` is the root of a Debian
with python3, python3-venv and a link python, as `debootstrap --variant=minbase
--include=python3,python3-venv,ca-certificates bookworm root` makes it, in a tar file: it stands in
for the image that Containerfile begins from. `--volume` shows the build folders of this machine,
such as a package index and pip.conf. `--no-cgroups` is for a kernel that mounts both versions: it
builds under chroot and wants runc. `--host-network` is for a user who may not open /dev/net/tun.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

ROOT = Path(__file__).parents[1]
PORT = 8798
NAME = "unheard-bench"
VOLUMES = ("unheard-bench-keys", "unheard-bench-jobs")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--base", type=Path)
    parser.add_argument("--volume", action="append", default=[])
    parser.add_argument("--no-cgroups", action="store_true", help="where the kernel's are mixed")
    parser.add_argument("--host-network", action="store_true", help="no ports of its own")
    given = parser.parse_args()
    shown = [word for volume in given.volume for word in ("--volume", volume)]
    (base,) = set(re.findall(r"^FROM (\S+)", (ROOT / "Containerfile").read_text(), re.MULTILINE))
    if given.base is not None:
        with timed("base imported"):
            podman("import", given.base, base)
        shown += ["--pull=never"]
    shown += ["--isolation=chroot"] if given.no_cgroups else []
    with timed("image built"):
        once = "--layers=false"  # Storage that copies would write all of it after each step.
        podman("build", "--format=docker", "--network=host", once, *shown, "-t", NAME, ROOT)
    run = ["--runtime=runc", "run"] if given.no_cgroups else ["run"]
    port = 8000 if given.host_network else PORT
    net = ["--network=host"] if given.host_network else ["-p", f"127.0.0.1:{port}:8000"]
    key = podman(
        *(*run, "--rm", *net[: given.host_network], "-v", f"{VOLUMES[0]}:/keys", NAME),
        *("serve", "--keys", "/keys/keys", "--make-key", "bench"),
    ).strip()
    podman(
        *(*run, "--detach", "--rm", *net, "--name", NAME, "--read-only", "--tmpfs", "/tmp"),
        *("--cap-drop", "all"),
        *("-v", f"{VOLUMES[0]}:/keys:ro", "-v", f"{VOLUMES[1]}:/jobs", NAME),
    )
    try:
        with timed("answers"):
            wait(f"http://127.0.0.1:{port}/healthz")
        with timed("healthy"):
            podman("healthcheck", "run", NAME)
        with timed("a file scored over the port"):
            print(score(ROOT / "examples" / "spoof-flite.wav", key, port))
    finally:
        with timed("stopped"):
            podman("stop", "--time", "60", NAME)
        podman("volume", "rm", *VOLUMES)


def podman(*words: object) -> str:
    command = ["podman", *(str(word) for word in words)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def wait(url: str) -> None:
    for _ in range(600):
        try:
            with urlopen(url) as answer:
                assert answer.status == 200
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError("no answer after two minutes")


def score(file: Path, key: str, port: int) -> str:
    mark = "container-bench"
    head = (
        f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{file.name}"\r\n\r\n'
    )
    body = head.encode() + file.read_bytes() + f"\r\n--{mark}--\r\n".encode()
    headers = {
        "Authorization": f"Bearer {key}",
        "Content-Type": f"multipart/form-data; boundary={mark}",
    }
    with urlopen(Request(f"http://127.0.0.1:{port}/v1/score", body, headers)) as answer:
        verdict = json.load(answer)["verdict"]
    return f"{verdict['decision']}, score {verdict['score']:.2f}"


@contextmanager
def timed(what: str) -> Iterator[None]:
    started_s = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - started_s:.1f} s", flush=True)


if __name__ == "__main__":
    main()
