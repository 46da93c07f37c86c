"""How many recordings does the service answer, how soon, and does its memory stay?

    python bench/service.py [--detector BUNDLE] [--clients 1 4 16] [--requests 200] [--seconds 4]

Starts `unheard serve` on loopback and asks it with so many clients at once, each sending its next
recording when it has its answer. One upload in ten is hostile: no audio, or cut off under a header
that claims a gigabyte. "CPU ms" is the processor time of all processes of the service for a
request, refused ones included; "a pass" the windows that share one through the detector. Memory is
the proportional set size of the service and the server of its decoders, after a warm-up and at the
end. Clients run on the same processors and are not counted.
"""

from __future__ import annotations

import argparse
import io
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import httpx
import numpy as np
import soundfile

HOSTILE = {
    415: b"this is text, not audio\n" * 500,
    422: b"RIFF\xff\xff\xff\x7fWAVEfmt \x10\0\0\0\1\0\1\0\x80>\0\0\0}\0\0\2\0\x10\0"
    b"data\xff\xff\xff\x3f" + bytes(32_000),
}
ONE_IN = 10
HEAD = """| clients | scored + refused | requests/s | audio s/s | p50 s | p99 s | CPU ms | a pass |
|---|---|---|---|---|---|---|---|"""


def clip(duration_s: float, seed: int) -> bytes:
    """A flac of syllables of harmonics, which count as speech."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(round(duration_s * 16_000)) / 16_000
    pitch_hz = rng.uniform(90, 220)
    wave = sum(np.sin(2 * np.pi * pitch_hz * k * time_s) / k for k in range(1, 30))
    loud = np.clip(np.sin(2 * np.pi * 2 * time_s), 0, None)
    file = io.BytesIO()
    soundfile.write(file, (0.3 * wave * loud).astype(np.float32), 16_000, format="FLAC")
    return file.getvalue()


def started(detector: list[str], jobs: Path, log: Path) -> tuple[subprocess.Popen[str], str]:
    """Start a service; return it and its URL once it answers."""
    command = [sys.executable, "-m", "unheard", "serve", *detector]
    with log.open("w") as errors:
        service = subprocess.Popen(
            [*command, "--port", "0", "--jobs", str(jobs), "--waiting", "64"],
            stderr=errors,
            text=True,
        )
    while service.poll() is None:
        url = log.read_text().partition("\n")[0]
        if url.startswith("http"):
            with_answer(url)
            return service, url
        time.sleep(0.1)
    raise SystemExit(f"the service did not start:\n{log.read_text()}")


def with_answer(url: str) -> None:
    """Wait until a service answers."""
    while True:
        try:
            httpx.get(f"{url}/healthz").raise_for_status()
            return
        except httpx.TransportError:
            time.sleep(0.05)


def memory_mb(process: int) -> float:
    """Return the proportional set size of a process and its children."""
    found_kb = 0
    for pid in [process, *children(process)]:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        found_kb += int(rollup.split("Pss:")[1].split()[0])
    return found_kb / 1024


def processor_s(process: int) -> float:
    """Return the processor time of a process, its children, and theirs that have ended."""
    ticks = 0
    for pid in [process, *children(process)]:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def children(process: int) -> list[int]:
    """Return the children of a process."""
    tasks = Path(f"/proc/{process}/task").glob("*/children")
    return [int(pid) for task in tasks for pid in task.read_text().split()]


def counter(url: str, name: str) -> float:
    """Return a number of the service's metrics."""
    lines = httpx.get(f"{url}/metrics").text.splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(f"{name} ")))


class Load:
    """Clients that ask one after another, and what they saw."""

    def __init__(self, url: str, clips: list[bytes], n_requests: int) -> None:
        self.taken_s: list[float] = []
        self.statuses: Counter[int] = Counter()
        self._url = url
        self._clips = clips
        self._left = n_requests
        self._lock = threading.Lock()

    def client(self, seed: int) -> None:
        """Ask until all is asked."""
        rng = np.random.default_rng(seed)
        with httpx.Client(base_url=self._url, timeout=120) as asking:
            while self._more():
                hostile = rng.integers(ONE_IN) == 0
                wanted = int(rng.choice(list(HOSTILE))) if hostile else 200
                data = HOSTILE[wanted] if hostile else self._clips[rng.integers(len(self._clips))]
                begun_s = time.perf_counter()
                answer = asking.post("/v1/score", files={"file": ("clip.flac", data)})
                with self._lock:
                    self.statuses[answer.status_code] += 1
                    if answer.status_code != wanted:
                        raise SystemExit(f"{answer.status_code}, {wanted} wanted: {answer.text}")
                    if not hostile:
                        self.taken_s.append(time.perf_counter() - begun_s)

    def _more(self) -> bool:
        with self._lock:
            self._left -= 1
            return self._left >= 0


def measured(
    url: str, process: int, clips: list[bytes], n_clients: int, n_requests: int, seconds: float
) -> str:
    """Load the service; return a row of the table."""
    cpu_s = processor_s(process)
    passes, windows = counter(url, "unheard_passes"), counter(url, "unheard_windows")
    load = Load(url, clips, n_requests)
    begun_s = time.perf_counter()
    with ThreadPoolExecutor(n_clients) as threads:
        for done in [threads.submit(load.client, seed) for seed in range(n_clients)]:
            done.result()
    took_s = time.perf_counter() - begun_s
    passes, windows = (
        counter(url, "unheard_passes") - passes,
        counter(url, "unheard_windows") - windows,
    )
    cpu_s = processor_s(process) - cpu_s
    p50, p99 = np.percentile(load.taken_s, [50, 99])
    refused = sum(load.statuses.values()) - load.statuses[200]
    return (
        f"| {n_clients} | {load.statuses[200]} + {refused} | {n_requests / took_s:.1f} "
        f"| {load.statuses[200] * seconds / took_s:.0f} | {p50:.3f} | {p99:.3f} "
        f"| {1000 * cpu_s / n_requests:.0f} | {windows / passes:.2f} |"
    )


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--detector", type=Path)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=4.0)
    asked = parser.parse_args()
    clips = [clip(asked.seconds, seed) for seed in range(8)]
    with tempfile.TemporaryDirectory() as folder:
        detector = [str(asked.detector)] if asked.detector else []
        service, url = started(detector, Path(folder) / "jobs", Path(folder) / "log")
        try:
            n_most = max(asked.clients)
            measured(url, service.pid, clips, n_most, 4 * n_most, asked.seconds)
            before_mb = memory_mb(service.pid)
            print(HEAD)
            for n_clients in asked.clients:
                row = measured(url, service.pid, clips, n_clients, asked.requests, asked.seconds)
                print(row, flush=True)
            after_mb = memory_mb(service.pid)
        finally:
            service.send_signal(signal.SIGTERM)
            service.wait(60)
    n_requests = asked.requests * len(asked.clients)
    print(f"\nmemory {before_mb:.0f} MB before, {after_mb:.0f} MB after {n_requests} requests; ")
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
