"""Does the service stay up under a mixed load, and does its memory stay?

    python bench/load.py --minutes 60 [--detector BUNDLE] [--clients 4]

Starts `unheard serve` on loopback and sends it all at once what it takes: clips that are answered
at once, long jobs, streams, uploads that are left half-way, and hostile ones (`bench/service.py`
has them). Prints every half minute what was answered, and the memory of the service and of
its decoders. It fails on an answer with a status above 499 but for 503, on a fault in the log, and
if the memory at the end is over that at half of the time by more than a twentieth and 16 MB.
"""

from __future__ import annotations

import argparse
import signal
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
from websockets.sync.client import connect

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from bench.service import HOSTILE, clip, memory_mb, started

EVERY_S = 30.0
LATEST_S = 240.0
KINDS = ["clip", "clip", "clip", "hostile", "job", "stream", "left"]


class Mixed:
    """Clients of all kinds, and how often each was answered in which way."""

    def __init__(self, url: str) -> None:
        self.seen: Counter[str] = Counter()
        self.faults: list[str] = []
        self._url = url
        self.until_s = 0.0
        self._clips = [clip(seconds, seed) for seed, seconds in enumerate((1.0, 4.0, 12.0, 40.0))]
        self._long = clip(300.0, 9)
        pcm = np.random.default_rng(0).integers(-9000, 9000, 16_000 * 6, "<i2")
        self._samples = pcm.tobytes()

    def client(self, seed: int) -> None:
        """Ask until the time is over."""
        rng = np.random.default_rng(seed)
        with httpx.Client(base_url=self._url, timeout=LATEST_S) as asking:
            while time.monotonic() < self.until_s:
                kind = str(rng.choice(KINDS))
                try:
                    outcome = getattr(self, f"_{kind}")(asking, rng)
                except (httpx.TransportError, OSError) as error:
                    outcome = type(error).__name__
                    self.faults.append(f"{kind}: {error!r}")
                self.seen[f"{kind} {outcome}"] += 1
                if outcome.startswith("5") and outcome != "503":
                    self.faults.append(f"{kind}: {outcome}")

    def _clip(self, asking: httpx.Client, rng: np.random.Generator) -> str:
        data = self._clips[rng.integers(len(self._clips))]
        options = {"report": str(bool(rng.integers(2)))}
        answer = asking.post("/v1/score", files={"file": ("clip.flac", data)}, data=options)
        return str(answer.status_code)

    def _hostile(self, asking: httpx.Client, rng: np.random.Generator) -> str:
        data = HOSTILE[int(rng.choice(list(HOSTILE)))]
        return str(asking.post("/v1/score", files={"file": ("clip.flac", data)}).status_code)

    def _job(self, asking: httpx.Client, rng: np.random.Generator) -> str:
        answer = asking.post("/v1/jobs", files={"file": ("long.flac", self._long)})
        if answer.status_code != 202:
            return str(answer.status_code)
        url = answer.json()["url"]
        for _ in range(int(rng.integers(1, 40))):
            job = asking.get(url).json()
            if job["status"] in ("done", "failed"):
                break
            time.sleep(0.25)
        asking.delete(url)
        return str(job["status"])

    def _stream(self, _: httpx.Client, rng: np.random.Generator) -> str:
        url = f"ws://{urlsplit(self._url).netloc}/v1/stream"
        with connect(url, open_timeout=LATEST_S, close_timeout=60) as stream:
            stream.send('{"format": "s16le", "rate_hz": 16000}')
            n_bytes = int(rng.integers(2_000, 60_000))
            for at in range(0, len(self._samples), n_bytes):
                stream.send(self._samples[at : at + n_bytes])
            if rng.integers(4) == 0:
                return "left"
            stream.send('{"end": true}')
            return "verdict" if "verdict" in [*stream][-1] else "error"

    def _left(self, _: httpx.Client, rng: np.random.Generator) -> str:
        """An upload whose client goes away in the middle."""
        place = urlsplit(self._url)
        head = (
            f"POST /v1/score HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Length: 100000\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
            '--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        )
        with socket.create_connection((place.hostname, place.port)) as line:
            line.sendall(head.encode() + bytes(int(rng.integers(50_000))))
        return "gone"


def main() -> None:
    """Load a service, print what it did, and fail if it did not hold."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--detector", type=Path)
    parser.add_argument("--clients", type=int, default=4)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        detector = [str(asked.detector)] if asked.detector else []
        service, url = started(detector, Path(folder) / "jobs", Path(folder) / "log")
        try:
            load = Mixed(url)
            begun_s = time.monotonic()
            load.until_s = begun_s + 60 * asked.minutes
            threads = [
                threading.Thread(target=load.client, args=[seed], daemon=True)
                for seed in range(asked.clients)
            ]
            for thread in threads:
                thread.start()
            memory: list[tuple[float, float]] = []
            while time.monotonic() < load.until_s and service.poll() is None:
                time.sleep(min(EVERY_S, 6 * asked.minutes))
                minutes = (time.monotonic() - begun_s) / 60
                memory.append((minutes, memory_mb(service.pid)))
                print(f"{minutes:5.1f} min  {memory[-1][1]:5.0f} MB  {sum(load.seen.values())}")
            for thread in threads:
                thread.join(LATEST_S)
            assert service.poll() is None, f"it ended with {service.poll()}"
        finally:
            service.send_signal(signal.SIGTERM)
            code = service.wait(90)
        log = (Path(folder) / "log").read_text()
    for outcome, n_times in sorted(load.seen.items()):
        print(f"{n_times:6d}  {outcome}")
    early = next(each for minutes, each in memory if minutes >= asked.minutes / 2)
    print(
        f"memory {early:.0f} MB at half of the time, {memory[-1][1]:.0f} MB at the end; exit {code}"
    )
    problems = load.faults + [line for line in log.splitlines() if '"fault"' in line]
    if memory[-1][1] > 1.05 * early + 16:
        problems.append("its memory grew")
    if problems or code:
        raise SystemExit("\n".join(problems[:20]) or f"it ended with {code}")


if __name__ == "__main__":
    main()
