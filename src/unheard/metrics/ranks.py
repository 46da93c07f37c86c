"""Do several systems differ over several tasks? Ranks instead of rates, so that no task dominates.

N tasks (data sets, or families), S systems.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from unheard.errors import MetricError
from unheard.types import FloatArray

__all__ = ["Ranks", "mean_ranks"]


@dataclass(frozen=True, eq=False)
class Ranks:
    """How systems rank over tasks.

    Attributes:
        means: Mean rank of each system, 1 for the one that is always best, shape [S].
        p: Friedman's test of "all systems rank alike".
        critical_difference: Two systems whose mean ranks are further apart differ (Nemenyi).
        n_tasks: Tasks that were ranked over.
    """

    means: FloatArray
    p: float
    critical_difference: float
    n_tasks: int

    def alike(self) -> list[tuple[int, int]]:
        """Return the longest runs of systems, sorted by mean rank, without a critical difference.

        Returns:
            First and last place of each run of two or more systems, in ascending order; places
            count from 0 in the order of `means`, sorted stably.
        """
        ranks = np.sort(self.means)
        ends = np.searchsorted(ranks, ranks + self.critical_difference, side="right") - 1
        runs = [(first, int(last)) for first, last in enumerate(ends) if last > first]
        return [run for n, run in enumerate(runs) if n == 0 or run[1] > runs[n - 1][1]]


def mean_ranks(errors: ArrayLike, *, level: float = 0.95) -> Ranks:
    """Rank systems on each task and return the mean ranks, with Friedman's and Nemenyi's tests.

    Both tests hold the tasks to be independent. Systems that err alike on a task share its ranks.

    Args:
        errors: Error of each system on each task, low is good, shape [N, S].
        level: Confidence of the critical difference.

    Raises:
        MetricError: If there are fewer than two tasks or three systems, or an error is not finite.

    Source:
        Demsar, "Statistical comparisons of classifiers over multiple data sets", Journal of
        Machine Learning Research 7, 2006, section 3.2.2. `scipy.stats` corrects Friedman's test
        for ties, which the article leaves out.
    """
    from scipy import stats

    table = np.asarray(errors, np.float64)
    if table.ndim != 2 or table.shape[0] < 2 or table.shape[1] < 3 or not np.isfinite(table).all():
        raise MetricError(
            f"errors of shape {list(table.shape)}, or not finite; give those of at least three "
            "systems on at least two tasks, shape [tasks, systems]"
        )
    n_tasks, n_systems = table.shape
    ranks = stats.rankdata(table, axis=1)
    alike = bool((ranks == ranks[:, :1]).all())  # all tie everywhere: nothing to test
    p = 1.0 if alike else float(stats.friedmanchisquare(*table.T).pvalue)
    quantile = stats.studentized_range.ppf(level, n_systems, np.inf) / np.sqrt(2)
    critical_difference = quantile * np.sqrt(n_systems * (n_systems + 1) / (6 * n_tasks))
    return Ranks(ranks.mean(axis=0), p, float(critical_difference), n_tasks)
