"""Time and memory of every metric and of 1,000 bootstrap draws on a million trials.

    python bench/metrics.py [--trials 1000000] [--plain-draws 3]

The plain loop draws every clip with replacement and calls the metric, as one would write it; it is
timed on a few draws and scaled up. Seconds are of processor time, one thread, so that
a busy machine does not count. Memory is the peak of the process so far above what it had with the
scores in place. The million trials are bona fide and spoofed clips for a detector; targets,
nontargets and spoofed trials for a verifier.
"""

import argparse
import resource
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from unheard.metrics import (
    ASVSPOOF5_ASV,
    METRICS,
    a_dcf,
    bootstrap,
    eer,
    eer_official,
    fit_calibration,
    fit_isotonic,
    fit_operating_points,
    min_tdcf,
    min_tdcf_legacy,
    paired_bootstrap,
    reliability,
    t_eer,
    tippett,
)
from unheard.types import FloatArray

N_DRAWS = 1000
DETECTOR: dict[str, Callable[..., float]] = {
    **METRICS,
    "eer_official": eer_official,
    "min_tdcf_legacy": partial(min_tdcf_legacy, asv=ASVSPOOF5_ASV),
    "min_tdcf": partial(min_tdcf, asv=ASVSPOOF5_ASV),
}


def timed(call: Callable[[], object]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def plain(metric: Callable[..., float], scores: tuple[FloatArray, ...], n_draws: int) -> None:
    rng = np.random.default_rng(0)
    for _ in range(n_draws):
        metric(*(array[rng.integers(array.size, size=array.size)] for array in scores))


def row(
    name: str,
    metric: Callable[..., float],
    scores: tuple[FloatArray, ...],
    few: int,
    base_mb: float,
) -> str:
    """Return a line of the table; the peak is that of the process so far."""
    once = timed(partial(metric, *scores))
    ours = timed(partial(bootstrap, metric, *scores, n_draws=N_DRAWS))
    peak = peak_mb() - base_mb
    slow = timed(partial(plain, metric, scores, few)) * N_DRAWS / few
    return f"| {name} | {once:.3f} | {ours:.2f} | {slow:.0f} | {slow / ours:.0f} | {peak:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=1_000_000)
    parser.add_argument("--plain-draws", type=int, default=3)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    n_bonafide = arguments.trials // 10
    bonafide = rng.normal(1.5, 1, n_bonafide)
    spoof = rng.normal(-1.5, 1.2, arguments.trials - n_bonafide)
    verifier = tuple(
        rng.normal(centre, 1, n)
        for centre, n in ((3, n_bonafide), (-2, 4 * n_bonafide), (1, 5 * n_bonafide))
    )
    bootstrap(METRICS["min_cllr"], bonafide[:100], spoof[:100], n_draws=2)  # imports
    scores = (bonafide, spoof)
    other = tuple(array + rng.normal(0, 0.5, array.size) for array in scores)
    base_mb = peak_mb()
    print(f"{arguments.trials:,} trials, {n_bonafide:,} bona fide\n")
    print("| metric | once, s | 1,000 draws, s | plain loop, s (scaled) | ratio | peak, MB |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, metric in DETECTOR.items():
        print(row(name, metric, scores, arguments.plain_draws, base_mb), flush=True)
    print(row("a_dcf", a_dcf, verifier, arguments.plain_draws, base_mb), flush=True)
    print(row("t_eer", t_eer, (*scores, *verifier), arguments.plain_draws, base_mb), flush=True)
    print()
    for fit in (fit_calibration, fit_isotonic, fit_operating_points, reliability, tippett):
        print(f"{fit.__name__} {timed(partial(fit, *scores)):.2f} s")
    for n in (10_000, arguments.trials):
        first, second = (
            [array[: n * array.size // arguments.trials] for array in arrays]
            for arrays in (scores, other)
        )
        seconds = timed(partial(paired_bootstrap, eer, first, second, n_draws=N_DRAWS))
        print(f"paired_bootstrap of eer, {n:,} trials: {seconds:.1f} s")


if __name__ == "__main__":
    main()
