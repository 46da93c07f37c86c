"""Whether loading keeps up with training: clips per second of the loader and of a step.

Run:  python bench/loader.py [--data MANIFEST] [--steps 10] [--threads 2]

Without --data, 200 noise clips of 6 s are written as FLAC to a temporary folder. The loader is
timed alone, with the recipe's transforms, from memory and from files, with 0, 1 and 2 processes of
its own; a step is gradients and update on a batch that is already there. Each is timed `--repeats`
times in turn and the best is given, since other work may share the processor.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from unheard import audio, recipes
from unheard.data.batches import CACHE_BYTES, BatchSource
from unheard.data.clip import Clip, Manifest
from unheard.training.recipe import Recipe

N_CLIPS, CLIP_S = 200, 6.0


def noise_corpus(root: Path) -> Manifest:
    clips = []
    for index in range(N_CLIPS):
        rng = np.random.default_rng(index)
        wave = 0.1 * rng.standard_normal(int(CLIP_S * audio.SAMPLE_RATE_HZ))
        audio.write(root / f"{index}.flac", wave.astype(np.float32))
        attack = "-" if index % 2 else f"attack-{index % 8}"
        clips.append(
            Clip(
                id=f"{index:04d}",
                path=f"{index}.flac",
                bonafide=attack == "-",
                part="train",
                attack=attack,
                family=attack,
                speaker=f"speaker-{index % 5}",
                duration_s=CLIP_S,
            )
        )
    return Manifest.of(clips, root)


def loading(
    recipe: Recipe, clips: Manifest, *, workers: int, cache_bytes: int, steps: int
) -> Callable[[], float]:
    """Return a function that loads some batches and gives clips per second."""
    source = BatchSource(
        clips,
        recipe.sampler,
        window_s=recipe.window_s,
        seed=0,
        augment=recipe.augment,
        cache_bytes=cache_bytes,
    )
    next(source.batches(0, 1))  # decodes, if it fits

    def run() -> float:
        batches = source.batches(0, steps + 1, workers=workers)
        next(batches)  # starting the processes does not count
        start = time.perf_counter()
        n_clips = sum(len(batch) for batch in batches)
        return n_clips / (time.perf_counter() - start)

    return run


def stepping(recipe: Recipe, clips: Manifest, *, steps: int) -> Callable[[], float]:
    """Return a function that trains some steps on one batch and gives clips per second."""
    batch = BatchSource(clips, recipe.sampler, window_s=recipe.window_s, seed=0)[0]
    torch.manual_seed(0)
    model = recipe.method.prepare(recipe.detector.build()).train()
    optimizer = recipe.optimiser.build(model)

    def run() -> float:
        start = time.perf_counter()
        for _ in range(steps):
            optimizer.zero_grad()
            recipe.method.gradients(model, batch, recipe.objective)
            optimizer.step()
        return steps * len(batch) / (time.perf_counter() - start)

    run()
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        manifest = Manifest.read(options.data) if options.data else noise_corpus(Path(folder))
        clips = manifest.part("train")
        first = recipes.load("lcnn")
        runs: dict[str, Callable[[], float]] = {}
        for memory, cache_bytes in (("memory", CACHE_BYTES), ("files", 0)):
            for workers in (0, 1, 2):
                runs[f"loader, from {memory}, {workers} processes"] = loading(
                    first, clips, workers=workers, cache_bytes=cache_bytes, steps=options.steps
                )
        for name in recipes.names():
            runs[f"step, {name}"] = stepping(recipes.load(name), clips, steps=2)
        best = dict.fromkeys(runs, 0.0)
        for _ in range(options.repeats):
            for name, run in runs.items():
                best[name] = max(best[name], run())
    print("| what | clips per second |\n|---|---|")
    for name, rate in best.items():
        print(f"| {name} | {rate:.0f} |")


if __name__ == "__main__":
    main()
