"""What does a clip of an archive cost, and what do the plan and the rows around it?

    python bench/archive.py [--detector BUNDLE] [--clips 100] [--planned 1000000] [--ray]

Times are those of processors, user and system, of this process and all that it started, with one
thread for the detector: other work on the machine moves them little. Prints Markdown.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np

from unheard import audio
from unheard.audio.activity import Gauge
from unheard.data.row_shards import SHARD_ROWS, RowShards, fill
from unheard.detectors import bundle
from unheard.scoring.cluster import Engine, score_archive
from unheard.scoring.many import Settings, Task, score_many
from unheard.scoring.scorer import Scorer
from unheard.types import FloatArray

CLIP_S = (4.0, 60.0)
SMALLEST_SPLIT = 3


def babble(duration_s: float, seed: int) -> FloatArray:
    """Syllables of harmonics, which count as speech, with some hiss; shape [T]."""
    time_s = np.arange(round(duration_s * audio.SAMPLE_RATE_HZ)) / audio.SAMPLE_RATE_HZ
    wave = sum(np.sin(2 * np.pi * (120 + seed % 40) * k * time_s) / k for k in range(1, 20))
    loud = np.clip(np.sin(2 * np.pi * 2 * time_s), 0, None)
    hiss = np.random.default_rng(seed).standard_normal(time_s.size)
    return (0.3 * wave * loud + 0.01 * hiss).astype(np.float32)


@dataclass
class Cost:
    """Processor and wall seconds of a piece of work, filled in when it is over."""

    busy_s: float = 0.0
    wall_s: float = 0.0


@contextmanager
def cost() -> Iterator[Cost]:
    measured = Cost()
    busy_s, wall_s = busy(), time.perf_counter()
    yield measured
    measured.busy_s, measured.wall_s = busy() - busy_s, time.perf_counter() - wall_s


def busy() -> float:
    """Processor seconds of this process and of those that have ended under it."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def n_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.parquet"))


def parts_ms(files: list[Path], scorer: Scorer) -> dict[str, float]:
    """Processor milliseconds for each clip of decoding, speech, detector, and of all in one."""
    card = scorer.bundle.card
    waves = [audio.read(file).samples for file in files]
    framed = [audio.windows(wave, window_s=card.window_s, hop_s=card.hop_s) for wave in waves]
    steps: dict[str, Callable[[int], object]] = {
        "decoding": lambda at: audio.read(files[at]),
        "amount of speech": lambda at: Gauge().push(waves[at]),
        "detector": lambda at: scorer.bundle.scores(framed[at].samples),
        "all of a verdict": lambda at: scorer.file(files[at]),
    }
    milliseconds = {}
    for name, step in steps.items():
        step(0)
        with cost() as spent:
            for at in range(len(files)):
                step(at)
        milliseconds[name] = 1000 * spent.busy_s / len(files)
    return milliseconds


def archive_ms(files: list[Path], settings: Settings, folder: Path) -> float:
    """Processor milliseconds that each clip of an archive adds, the start of the worker apart."""
    spent_s = []
    for name, chosen in (("one", files[:1]), ("all", files)):
        with RowShards(str(folder / name)) as row_shards, cost() as spent:
            list(score_archive(map(str, chosen), settings, row_shards, Engine()))
        spent_s.append(spent.busy_s)
    return 1000 * (spent_s[1] - spent_s[0]) / (len(files) - 1)


def loading_s(settings: Settings, file: Path) -> float:
    """Processor seconds to start a process with a Scorer: what an archive pays once a worker."""
    with cost() as spent:
        list(score_many([Task("", file), Task("", file)], settings, n_jobs=2))
    return spent.busy_s / 2


def plan(n_sources: int, folder: Path) -> str:
    """What it takes to plan so many recordings, and to read the plan when the command resumes."""
    before_mb = peak_mb()
    rng = np.random.default_rng(0)
    listed = (
        f"s3://archive/2026/{at // 10_000:06}/{rng.bytes(8).hex()}.opus" for at in range(n_sources)
    )
    with RowShards(str(folder)) as row_shards, cost() as first:
        list(row_shards.plan(listed))
    size = n_bytes(folder / "plan") / n_sources
    with RowShards(str(folder)) as row_shards, cost() as again:
        list(row_shards.plan([]))
    return (
        f"| {n_sources:,} | {first.busy_s:.1f} | {again.busy_s:.1f} | "
        f"{peak_mb() - before_mb:.0f} | {size:.1f} |"
    )


def shard(verdict: dict[str, Any], folder: Path) -> tuple[float, float, float]:
    """Seconds to write a full shard and to look at it again, and bytes of a row.

    Rows are one verdict with other scores: equal ones would compress to nothing.
    """
    rng = np.random.default_rng(0)
    listed = [str(folder / f"{at}.opus") for at in range(SHARD_ROWS)]

    def known(sources: Iterable[str]) -> Iterator[dict[str, Any]]:
        for source in sources:
            moved = [{**window, "score": float(rng.normal())} for window in verdict["windows"]]
            yield {**verdict, "source": source, "score": float(rng.normal()), "windows": moved}

    with RowShards(str(folder / "out")) as row_shards:
        for source in listed:
            Path(source).touch()
        list(row_shards.plan(listed))
        (planned,) = row_shards.planned(row_shards.plan_files()[0])
        with cost() as first:
            fill(row_shards, planned, "key", known)
        with cost() as again:
            fill(row_shards, planned, "key", known)
    return first.busy_s, again.busy_s, n_bytes(folder / "out" / "rows") / SHARD_ROWS


def on_ray(files: list[Path], settings: Settings, folder: Path) -> None:
    """Wall time of a small archive on a Ray of this machine: what an engine for many costs one."""
    with RowShards(str(folder), shard_rows=10) as row_shards, cost() as spent:
        list(score_archive(map(str, files), settings, row_shards, Engine("ray", n_jobs=1)))
    with RowShards(str(folder) + "-again", shard_rows=10) as row_shards, cost() as local:
        list(score_archive(map(str, files), settings, row_shards, Engine()))
    print(
        f"\nRay on this machine, {len(files)} clips in shards of 10: {spent.wall_s:.1f} s of wall "
        f"time with start and end, {local.wall_s:.1f} s without Ray"
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--detector", type=Path, default=bundle.default())
    arguments.add_argument("--clips", type=int, default=100, help="clips of 4 s")
    arguments.add_argument("--planned", type=int, default=1_000_000, help="recordings to plan")
    arguments.add_argument("--ray", action="store_true", help="measure a local Ray too")
    chosen = arguments.parse_args()
    settings = Settings(chosen.detector)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(
            "| recordings planned | s | s to read again | MB | bytes each |\n|---|---|---|---|---|"
        )
        print(plan(chosen.planned, folder / "planned"), flush=True)
        scorer = settings.scorer()
        short = folder / "short.flac"
        audio.write(short, babble(CLIP_S[0], 0))
        start_s = loading_s(settings, short)
        print(f"\nA worker starts in {start_s:.1f} s.\n")
        heads = "decoding, ms | speech, ms | detector, ms | verdict, ms | archive, ms"
        print(f"| clip, s | {heads} | row, bytes | shard written, s | looked at again, s |")
        print("|---|---|---|---|---|---|---|---|---|")
        for length_s in CLIP_S:
            n_clips = max(SMALLEST_SPLIT, round(chosen.clips * CLIP_S[0] / length_s))
            files = [folder / f"in-{length_s:g}" / f"{at}.flac" for at in range(n_clips)]
            for at, file in enumerate(files):
                audio.write(file, babble(length_s, at))
            parts = parts_ms(files, scorer)
            whole_ms = archive_ms(files, settings, folder / f"out-{length_s:g}")
            verdict = scorer.file(files[0]).to_dict()
            (folder / f"shard-{length_s:g}").mkdir()
            write_s, look_s, size = shard(verdict, folder / f"shard-{length_s:g}")
            shown = " | ".join(f"{value:.1f}" for value in (*parts.values(), whole_ms))
            print(
                f"| {length_s:g} | {shown} | {size:.0f} | {write_s:.2f} | {look_s:.2f} |",
                flush=True,
            )
        if chosen.ray:
            on_ray(sorted((folder / f"in-{CLIP_S[0]:g}").iterdir()), settings, folder / "ray")


if __name__ == "__main__":
    main()
