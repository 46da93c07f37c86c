"""Time and memory of every metric and of 1,000 bootstrap draws on a million trials.

    python bench/metrics.py [--trials 1000000] [--plain-draws 3]

The plain loop draws every clip with replacement and calls the metric, as one would write it; it is
timed on a few draws and scaled up. Memory is the peak of the process above what it had with the
scores in place.
"""

import argparse
import resource
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from unheard.metrics import METRICS, bootstrap, fit_calibration, fit_operating_points
from unheard.types import FloatArray

N_DRAWS = 1000


def timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def plain(metric: Callable[..., float], scores: tuple[FloatArray, ...], n_draws: int) -> None:
    rng = np.random.default_rng(0)
    for _ in range(n_draws):
        metric(*(array[rng.integers(array.size, size=array.size)] for array in scores))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=1_000_000)
    parser.add_argument("--plain-draws", type=int, default=3)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    n_bonafide = arguments.trials // 10
    bonafide = rng.normal(1.5, 1, n_bonafide)
    spoof = rng.normal(-1.5, 1.2, arguments.trials - n_bonafide)
    bootstrap(METRICS["min_cllr"], bonafide[:100], spoof[:100], n_draws=2)  # imports
    base_mb = peak_mb()
    scores = (bonafide, spoof)
    seconds = timed(partial(fit_operating_points, *scores))
    fitted = timed(partial(fit_calibration, *scores))
    print(f"{arguments.trials:,} trials, {n_bonafide:,} bona fide")
    print(f"fit_calibration {fitted:.2f} s, fit_operating_points {seconds:.2f} s\n")
    print("| metric | once, s | 1,000 draws, s | plain loop, s (scaled) | ratio | peak, MB |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, metric in METRICS.items():
        once = timed(partial(metric, *scores))
        ours = timed(partial(bootstrap, metric, *scores, n_draws=N_DRAWS))
        peak = peak_mb() - base_mb
        slow = timed(partial(plain, metric, scores, arguments.plain_draws))
        slow *= N_DRAWS / arguments.plain_draws
        print(f"| {name} | {once:.3f} | {ours:.2f} | {slow:.0f} | {slow / ours:.0f} | {peak:.0f} |")


if __name__ == "__main__":
    main()
