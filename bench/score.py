"""How fast and in how much memory are recordings scored, and how soon is the first one?

    python bench/score.py [--detector BUNDLE] [--hours 1]

Speed is audio time over processing time on one thread, in one process that has started. Cold start
and memory are those of whole `unheard score` processes, wall time and peak resident memory.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch

from unheard import audio
from unheard.audio.activity import Gauge
from unheard.detectors import weights
from unheard.detectors.card import Card
from unheard.detectors.table import DETECTORS
from unheard.metrics import Calibration, OperatingPoints
from unheard.scoring.many import Settings
from unheard.scoring.scorer import Scorer
from unheard.types import FloatArray

CLIP_S = 4.0
REPEATS = 5


def babble(duration_s: float) -> FloatArray:
    """Syllables of harmonics, which count as speech, shape [T]; ten seconds repeated."""
    time_s = np.arange(min(160_000, round(duration_s * audio.SAMPLE_RATE_HZ))) / 16_000
    wave = sum(np.sin(2 * np.pi * 130 * k * time_s) / k for k in range(1, 30))
    loud = np.clip(np.sin(2 * np.pi * 2 * time_s), 0, None)
    period = (0.3 * wave * loud).astype(np.float32)
    return np.resize(period, round(duration_s * audio.SAMPLE_RATE_HZ))


def untrained(name: str, folder: Path) -> Path:
    """A bundle of a detector of DETECTORS with fresh weights: as fast as a trained one."""
    spec = DETECTORS[name]()
    card = Card(
        name=f"untrained {name}",
        version="0",
        window_s=4.0,
        hop_s=2.0,
        calibration=Calibration(1.0, 0.0),
        operating_points=OperatingPoints(0.0, -1.0, 1.0, -1.0, 1.0),
    )
    return weights.save(folder / name, spec.build(), spec, card, seen=[])


def best_s(scorer: Scorer, file: Path) -> float:
    """Shortest wall time of a few scorings."""
    taken = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        scorer.file(file)
        taken.append(time.perf_counter() - start)
    return min(taken)


def command(file: Path, detector: Path) -> tuple[float, float]:
    """Wall seconds and peak resident MB of one `unheard score` process.

    The process reports its own peak: that of a child counts the parent it was forked from.
    """
    code = (
        "import sys, pathlib\nfrom unheard.cli.app import main\ntry:\n    main()\nfinally:\n"
        "    print(pathlib.Path('/proc/self/status').read_text(), file=sys.stderr)"
    )
    start = time.perf_counter()
    run = subprocess.run(
        [sys.executable, "-c", code, "score", str(file), "--detector", str(detector)],
        capture_output=True,
        text=True,
        check=True,
    )
    wall_s = time.perf_counter() - start
    (peak,) = (line for line in run.stderr.splitlines() if line.startswith("VmHWM:"))
    return wall_s, int(peak.split()[1]) / 1024


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--detector", type=Path, help="measure this bundle alone")
    arguments.add_argument("--hours", type=float, default=1.0, help="length of the long file")
    chosen = arguments.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        given = [chosen.detector] if chosen.detector else []
        detectors = given or [untrained(kind, folder) for kind in DETECTORS]
        audio.write(folder / "clip.flac", babble(CLIP_S))
        audio.write(folder / "minutes.flac", babble(300))
        audio.write(folder / "hours.wav", babble(chosen.hours * 3600))
        start = time.perf_counter()
        Gauge().push(babble(300))
        print(f"Amount of speech alone: {300 / (time.perf_counter() - start):.0f} x real time\n")
        print("| detector | 5 minutes, x real time | 4 s clip, ms | cold start, s | ", end="")
        print(f"{chosen.hours:g} h file, MB | s |\n|---|---|---|---|---|---|")
        for detector in detectors:
            scorer = Settings(detector).scorer()
            clip_s = best_s(scorer, folder / "clip.flac")
            long_s = best_s(scorer, folder / "minutes.flac")
            cold_s = min(command(folder / "clip.flac", detector)[0] for _ in range(REPEATS))
            wall_s, peak_mb = command(folder / "hours.wav", detector)
            print(
                f"| {scorer.bundle.card.name} | {300 / long_s:.0f} | {1000 * clip_s:.0f} "
                f"| {cold_s:.1f} | {peak_mb:.0f} | {wall_s:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
