"""How much do two workers help, what does a recording cost in a large archive, and what does Ray?

    python bench/workers.py [--clips 100] [--workers 1,2] [--linked 1000,4000] [--ray]

Workers are timed by the clock with a detector that waits and computes nothing: so the table shows
how evenly recordings are shared out, whatever else the machine does. The limit is the number of
workers. The cost of a recording is in processor seconds of all processes, with verdicts that are
there already: listing, plan, row and shard. Recordings are hard links to one file. Prints Markdown.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np

from archive import Cost, babble, cost, peak_mb  # type: ignore[import-not-found]
from unheard import audio
from unheard.data.recordings import Search, recordings
from unheard.data.row_shards import RowShards
from unheard.detectors import bundle
from unheard.scoring.cluster import Engine, score_archive
from unheard.scoring.many import Settings
from unheard.scoring.scorer import Scorer
from unheard.scoring.verdict import Verdict
from unheard.scoring.windowed import WindowTrack
from unheard.types import FloatArray

WAIT_S = 0.2
BATCH_S = 0.2
FILE_S = 300.0


@dataclass(frozen=True)
class Waiting(Settings):
    """Settings of a scorer that waits.

    Attributes:
        wait_s: Seconds a recording.
    """

    wait_s: float = WAIT_S

    def scorer(self) -> Scorer:
        """Load the detector; what scores waits."""
        return _Waiting(bundle.load(self.detector), wait_s=self.wait_s)


@dataclass(frozen=True, eq=False)
class _Waiting(Scorer):
    """Gives one recording's verdict to all."""

    wait_s: float = 0.0

    def file(self, source: Any, *, name: str = "") -> Verdict:
        time.sleep(self.wait_s)
        return replace(_verdict(self.bundle.folder), source=name)


@lru_cache(maxsize=1)
def _verdict(folder: Path) -> Verdict:
    return Scorer(bundle.load(folder)).samples(babble(4.0, 0))


def linked(folder: Path, n_clips: int) -> Path:
    """A folder with so many links to one recording, a thousand in each folder below."""
    root, file = folder / f"{n_clips}", folder / "clip.flac"
    if root.exists():
        return root
    audio.write(file, babble(4.0, 0))
    for at in range(n_clips):
        below = root / f"{at // 1000:04}"
        below.mkdir(parents=True, exist_ok=True)
        os.link(file, below / f"{at:07}.flac")
    return root


def archive(root: Path, engine: Engine, wait_s: float) -> tuple[Cost, int]:
    """What it costs to score a folder, and the number of shards."""
    settings = Waiting(bundle.default(), wait_s=wait_s)
    with tempfile.TemporaryDirectory() as out, cost() as spent, RowShards(out) as row_shards:
        found = recordings([str(root)], Search())
        n_shards = len(list(score_archive(found, settings, row_shards, engine)))
    return spent, n_shards


def sharing(folder: Path, kind: str, clips: list[int], workers: list[int]) -> None:
    """Print what more workers gain; the start is what a recording for each worker takes."""
    for n_clips in clips:
        alone_s = 0.0
        for n in workers:
            engine = Engine(kind, n)  # type: ignore[arg-type]
            start_s = archive(linked(folder, n), engine, 0.0)[0].wall_s
            spent, n_shards = archive(linked(folder, n_clips), engine, WAIT_S)
            work_s = spent.wall_s - start_s
            alone_s = alone_s or work_s * n
            print(
                f"| {kind} | {n_clips:,} | {n} | {n_shards} | {start_s:.1f} | {work_s:.1f} "
                f"| {alone_s / work_s:.2f} | {n} |",
                flush=True,
            )


def one_file(threads: list[int]) -> None:
    """Print what threads gain on one long recording, and whether its verdict stays."""
    wave = babble(FILE_S, 0)
    shipped = bundle.load(bundle.default())

    def wait(windows: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        time.sleep(BATCH_S)
        none = np.empty((len(windows), 0))
        return windows[:, 0].astype(np.float64), none, none

    print(f"\nOne recording of {FILE_S:g} s, {1000 * BATCH_S:.0f} ms a batch, by the clock; and ")
    print("processor seconds with the packaged detector, of which 60 s are scored:\n")
    print("| threads | s | gain | limit | detector, processor s | same windows |")
    print("|---:|---:|---:|---:|---:|---|")
    alone_s = 0.0
    first: tuple[object, ...] = ()
    for n in threads:
        track = WindowTrack(wait, window_s=3.0, hop_s=1.0, gate_s=0.25, n_threads=n)
        with cost() as spent:
            track.push(wave)
            track.close()
        alone_s = alone_s or spent.wall_s
        with tempfile.TemporaryDirectory() as name, cost() as real:
            audio.write(Path(name) / "a.wav", wave[: 60 * audio.SAMPLE_RATE_HZ])
            windows = Scorer(shipped, n_threads=n).file(Path(name) / "a.wav").windows
        first = first or windows
        print(
            f"| {n} | {spent.wall_s:.1f} | {alone_s / spent.wall_s:.2f} | {n} | {real.busy_s:.1f} "
            f"| {'yes' if windows == first else 'no'} |",
            flush=True,
        )


def per_recording(folder: Path, sizes: list[int]) -> None:
    """Print what a recording costs around decoding and detector, however many there are."""
    print(
        "\n| recordings | processor s | ms each | shards | peak, MB |\n|---:|---:|---:|---:|---:|"
    )
    for n_clips in sizes:
        spent, n_shards = archive(linked(folder, n_clips), Engine("local", 1), 0.0)
        print(
            f"| {n_clips:,} | {spent.busy_s:.1f} | {1000 * spent.busy_s / n_clips:.2f} "
            f"| {n_shards} | {peak_mb():.0f} |",
            flush=True,
        )


def main() -> None:
    def numbers(text: str) -> list[int]:
        return [int(part) for part in text.split(",")]

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clips", type=numbers, default=[100])
    parser.add_argument("--workers", type=numbers, default=[1, 2])
    parser.add_argument("--linked", type=numbers, default=[1000, 4000])
    parser.add_argument("--ray", action="store_true", help="measure a local Ray too")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        print(f"{1000 * WAIT_S:.0f} ms a recording, by the clock:\n")
        print("| engine | recordings | workers | shards | start, s | work, s | gain | limit |")
        print("|---|---:|---:|---:|---:|---:|---:|---:|")
        for kind in ["local", *(["ray"] if chosen.ray else [])]:
            sharing(Path(name), kind, chosen.clips, chosen.workers)
        one_file(chosen.workers)
        per_recording(Path(name), chosen.linked)


if __name__ == "__main__":
    # Its classes reach other processes under a name that they can import.
    import workers  # type: ignore[import-not-found]

    workers.main()
