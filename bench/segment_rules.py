"""Which windows and which rule find most stretches of dev splices at the same false segments.

    OMP_NUM_THREADS=1 python bench/segment_rules.py SPLICES BUNDLE [BUNDLE ...] --hops 1 0.5

SPLICES is the manifest of `unheard generate splices`; its dev part alone is used. Each bundle is
scored at each hop. Under each rule level and evidence are chosen as `unheard segments` chooses
them, so that all of them keep to one false segment an hour on hosts that the choice had not seen:

    as it is    the rule of docs/segments.md
    clipped C   scores below -C count as -C: no one window outweighs many
    by host     of a recording whose median is below zero, scores are counted from its median

The last needs all of a recording, so it cannot be told while it runs. A detector of other windows
is made by `unheard train shipped --set window_s=1 --set hop_s=0.5 ...`.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np

from unheard.corpora.splices import LENGTHS_S
from unheard.data.clip import Manifest
from unheard.detectors.bundle import read_card
from unheard.errors import TrainingError
from unheard.metrics.segments import match
from unheard.training.segments import Spliced, choose, scored
from unheard.types import FloatArray

RULES: dict[str, Callable[[FloatArray], FloatArray]] = {
    "as it is": lambda scores: scores,
    "clipped 3": lambda scores: np.maximum(scores, -3.0),
    "clipped 5": lambda scores: np.maximum(scores, -5.0),
    "by host": lambda scores: scores - min(0.0, float(np.median(scores))),
}
SHARE = 0.25
"""How near the length of a stretch must be to count as one of that length."""


def row(recordings: Sequence[Spliced], weight: float) -> str:
    """Return the cells of a rule: its point, rates, and what it finds by length."""
    try:
        point = choose(recordings, weight)
    except TrainingError as error:
        return f"{error} |" + " |" * (len(LENGTHS_S) + 2)
    found: list[bool] = []
    length_s: list[float] = []
    for one in recordings:
        called = one.called(point.level, point.evidence, weight)
        found += match(one.truth, called).found.tolist()
        length_s += np.diff(one.truth).ravel().tolist()
    hits, lengths = np.array(found), np.array(length_s)
    near = [abs(lengths - length) < SHARE * length for length in LENGTHS_S]
    cells = [f"{hits[of].sum()} of {of.sum()}" for of in near]
    return (
        f"{point.level:g}, {point.evidence:g} | {point.false_per_hour:.2f} "
        f"({point.low:.2f} to {point.high:.2f}) | {' | '.join(cells)} | {point.found:.0%} |"
    )


def main() -> None:
    """Print a row for each detector, hop and rule."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("splices", type=Path)
    parser.add_argument("bundles", type=Path, nargs="+")
    parser.add_argument("--hops", type=float, nargs="+", default=[1.0])
    parser.add_argument("--jobs", type=int, default=1)
    asked = parser.parse_args()
    clips = Manifest.read(asked.splices).part("dev")
    lengths = " | ".join(f"{length:g} s" for length in LENGTHS_S)
    print(f"| detector | hop | rule | level, evidence | false an hour | {lengths} | found |")
    print("|---" * (len(LENGTHS_S) + 6) + "|")
    for bundle in asked.bundles:
        window_s = read_card(bundle).window_s
        for hop_s in asked.hops:
            start = time.process_time()
            recordings = scored(bundle, clips, hop_s=hop_s, jobs=asked.jobs)
            spent_s = time.process_time() - start
            for name, rule in RULES.items():
                changed = [replace(one, scores=rule(one.scores)) for one in recordings]
                head = f"{bundle.name}, {window_s:g} s | {hop_s:g} s | {name}"
                print(f"| {head} | {row(changed, hop_s / window_s)}", flush=True)
            print(f"| {bundle.name} | {hop_s:g} s | {spent_s:.0f} s of processor time" + " |" * 9)


if __name__ == "__main__":
    main()
