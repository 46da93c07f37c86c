"""Stretches of a recording whose windows together speak for synthesis: a rule of two numbers.

Windows come in order of time. Each adds `weight * (level - score)` to a sum that never falls below
zero. A stretch begins where the sum leaves zero and ends at the sum's peak; it counts once the peak
has reached `evidence`, and its end is sure once the sum has fallen by `evidence` from the peak, or
to zero. The search then goes on behind the peak. With a weight of hop over window the sum counts
windows that do not overlap, so that a finer hop asks for no other numbers.

Source:
    Page, "Continuous inspection schemes", Biometrika 41, 1954 (the sum). Ending at a drop that is
    as large as what a stretch needs gives the stretches whose sums, less `evidence` for each, are
    largest together: the best path of a hidden Markov model of two states.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from unheard.types import FloatArray

__all__ = ["Run", "RunFinder", "find_runs"]


@dataclass(frozen=True)
class Run:
    """Windows of a stretch, numbered from 0, both ends included, and the evidence they hold."""

    first: int
    last: int
    evidence: float


@dataclass
class RunFinder:
    """Scores of windows in, stretches out as soon as their ends are sure.

    Attributes:
        level: Score of a window below which it speaks for synthesis.
        evidence: What the windows of a stretch must add up to, above 0.
        weight: What a window weighs: hop over window.
    """

    level: float
    evidence: float
    weight: float
    _n: int = 0
    _sum: float = 0.0
    _first: int = 0
    _peak: float = 0.0
    _last: int = 0
    _behind: list[float] = field(default_factory=list)

    def push(self, score: float) -> list[Run]:
        """Take the score of the next window and return the stretches that it closes."""
        found: list[Run] = []
        waiting = [score]
        while waiting:
            self._behind.append(waiting.pop())
            if (run := self._step(self._behind[-1])) is not None:
                found.append(run)
                again, self._behind = self._behind, []
                self._n, self._sum, self._peak = run.last + 1, 0.0, 0.0
                waiting += reversed(again)
        return found

    def open(self) -> Run | None:
        """Return the stretch whose end is not sure yet, as it would be if no window came."""
        if self._peak < self.evidence:
            return None
        return Run(self._first, self._last, self._peak)

    def _step(self, score: float) -> Run | None:
        """Add one window; return the stretch that it closes, if any."""
        if self._sum == 0.0:
            self._first, self._peak = self._n, 0.0
        self._sum = max(0.0, self._sum + self.weight * (self.level - score))
        if self._sum > self._peak:
            self._peak, self._last = self._sum, self._n
            self._behind.clear()
        self._n += 1
        if self._peak >= self.evidence and self._sum <= self._peak - self.evidence:
            return Run(self._first, self._last, self._peak)
        if self._sum == 0.0:
            self._peak = 0.0
            self._behind.clear()
        return None


def find_runs(scores: FloatArray, *, level: float, evidence: float, weight: float) -> list[Run]:
    """Return the stretches of a whole recording, in order of time.

    Args:
        scores: Of its windows, in order of time, shape [N]; higher is more bona fide.
        level: As `RunFinder` has it.
        evidence: The same.
        weight: The same.
    """
    total = np.append(0.0, np.cumsum(weight * (level - scores)))
    if (total - np.minimum.accumulate(total)).max() < evidence - 1e-9:
        return []  # the highest peak is too low: most recordings end here
    finder = RunFinder(level, evidence, weight)
    runs = [run for score in scores.tolist() for run in finder.push(score)]
    last = finder.open()  # behind its peak the sum has risen by less than a stretch needs
    return runs if last is None else [*runs, last]
