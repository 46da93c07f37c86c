"""What every transform costs, and RawBoost against a literal transcription of it.

Run:  python bench/augment.py [--repeats 15]

Milliseconds of processor time for one clip of 4 s, which other work on the machine moves less than
the clock; median and least over draws, since what is drawn (a codec, a room, a count of impulses)
decides much of it. The transcription takes the same clip in turn with ours, and the ratio is of the
medians. Prints Markdown.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

import numpy as np  # noqa: E402

import rawboost_reference  # noqa: E402
from unheard.audio import codecs  # noqa: E402
from unheard.audio.augment import AUGMENTS  # noqa: E402
from unheard.audio.rawboost import rawboost  # noqa: E402
from unheard.types import FloatArray  # noqa: E402
from voice import voice  # noqa: E402

CLIP_S = 4.0


def once_ms(work: Callable[..., FloatArray], *arguments: object, **numbers: object) -> float:
    """Return the processor time of one call, in milliseconds."""
    start = time.process_time()
    work(*arguments, **numbers)
    return 1000 * (time.process_time() - start)


def transforms(wave: FloatArray, repeats: int) -> None:
    print(f"| transform | median, ms per {CLIP_S:g} s | least, ms |")
    print("|---|---|---|")
    for name, transform in AUGMENTS.items():
        transform(wave, np.random.default_rng(0))  # imports
        times = [once_ms(transform, wave, np.random.default_rng(seed)) for seed in range(repeats)]
        print(f"| {name} | {statistics.median(times):.2f} | {min(times):.2f} |")


def codec_times(wave: FloatArray, repeats: int) -> None:
    print("\n| codec | kbit/s | median, ms |")
    print("|---|---|---|")
    for name, codec in codecs.CODECS.items():
        times = [once_ms(codecs.round_trip, wave, name) for _ in range(max(repeats // 5, 3))]
        print(f"| {name} | {codec.default_kbps:g} | {statistics.median(times):.1f} |")


def against_transcription(wave: FloatArray, repeats: int) -> None:
    print("\n| RawBoost algorithm | ours, ms | literal transcription, ms | ratio |")
    print("|---|---|---|---|")
    for algorithm in range(1, 9):
        ours: list[float] = []
        literal: list[float] = []
        for seed in range(repeats):
            for times, which in ((ours, rawboost), (literal, rawboost_reference.rawboost)):
                rng = np.random.default_rng(seed)
                times.append(once_ms(which, wave, rng, algorithm=algorithm))
        mine, theirs = statistics.median(ours), statistics.median(literal)
        print(f"| {algorithm} | {mine:.2f} | {theirs:.2f} | {theirs / mine:.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    wave = voice(CLIP_S)
    transforms(wave, repeats)
    codec_times(wave, repeats)
    against_transcription(wave, repeats)


if __name__ == "__main__":
    main()
