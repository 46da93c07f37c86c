"""How often detectors call people spoof on dev clips under conditions.

`unheard evaluate --conditions` takes the parts for testing, which have no say in a choice between
detectors. This scores all bona fide dev clips and as many spoofed ones as asked, drawn once.

    OMP_NUM_THREADS=1 python bench/dev_conditions.py MANIFEST BUNDLE [BUNDLE ...]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from unheard import metrics
from unheard.audio.conditions import RAW
from unheard.data.clip import Manifest
from unheard.evaluation.evaluate import task_under
from unheard.scoring.many import Settings, score_many

NAMES = (RAW, "processed", "laundered", "telephone", "mp3_16", "opus_6", "noise_10", "room_large")


def main() -> None:
    """Print a row for each detector and condition."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("bundles", type=Path, nargs="+")
    parser.add_argument("--spoofed", type=int, default=260)
    parser.add_argument("--jobs", type=int, default=2)
    chosen = parser.parse_args()
    manifest = Manifest.read(chosen.manifest).part("dev", "dev_extra")
    clips = list(manifest)
    spoofed = [clip for clip in clips if not clip.bonafide]
    places = np.random.default_rng(1).permutation(len(spoofed))[: chosen.spoofed]
    clips = [clip for clip in clips if clip.bonafide] + [spoofed[i] for i in np.sort(places)]
    print("| detector | condition | clips | EER, % | people called spoof | spoof called spoof |")
    print("|---|---|---|---|---|---|")
    for bundle in chosen.bundles:
        for name in NAMES:
            tasks = [task_under(manifest.file(clip), clip, name) for clip in clips]
            human = {task.source: clip.bonafide for task, clip in zip(tasks, clips, strict=True)}
            rows = [
                (human[row["source"]], row["score"], row["decision"] == "spoof")
                for row in score_many(tasks, Settings(bundle), n_jobs=chosen.jobs)
                if row.get("score") is not None
            ]
            bonafide, scores, called = (np.array(column) for column in zip(*rows, strict=True))
            eer = metrics.eer(scores[bonafide], scores[~bonafide])
            rates = (eer, called[bonafide].mean(), called[~bonafide].mean())
            cells = " | ".join(f"{100 * value:.1f}" for value in rates)
            print(f"| {bundle} | {name} | {len(rows)} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
