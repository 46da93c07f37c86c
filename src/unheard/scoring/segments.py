"""Segments: which stretches of a recording are called synthetic, and how it is decided by them.

docs/segments.md has the rule, how its two numbers are chosen, and how often it is wrong.

N windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from unheard.metrics import Run, RunFinder
from unheard.scoring.verdict import Decision, Segment, WindowScore, decide

if TYPE_CHECKING:
    from unheard.detectors.segment_point import SegmentPoint

__all__ = ["SegmentTrack", "bounds_s", "decision_of"]


class SegmentTrack:
    """Windows in, segments out; the same for any chunking."""

    def __init__(self, point: SegmentPoint, weight: float) -> None:
        """Start a recording.

        Args:
            point: Which stretches are called synthetic.
            weight: What a window weighs, hop over window.
        """
        self._finder = RunFinder(point.level, point.evidence, weight)
        self._windows: list[WindowScore] = []
        self._runs: list[Run] = []

    def push(self, windows: Sequence[WindowScore]) -> None:
        """Take the next windows; those without a score do not count."""
        for window in windows:
            if window.score is not None:
                self._windows.append(window)
                self._runs += self._finder.push(window.score)

    def sure(self) -> tuple[Segment, ...]:
        """Return the synthetic segments whose ends later windows cannot move."""
        edges_s = bounds_s(self._windows, 0.0)  # none of them reaches the last edge
        return tuple(self._segment(run.first, run.last + 1, edges_s, "spoof") for run in self._runs)

    def segments(
        self, duration_s: float, score: float, thresholds: tuple[float, float]
    ) -> tuple[Segment, ...]:
        """Return the recording from end to end, as if no window came any more.

        Args:
            duration_s: Length until now.
            score: Of the recording.
            thresholds: A score below the first is spoof, at or above the second is bona fide.
        """
        last = self._finder.open()
        runs = self._runs if last is None else [*self._runs, last]
        if not runs:
            return (Segment(0.0, duration_s, score, decide(score, thresholds)),)
        edges_s = bounds_s(self._windows, duration_s)
        segments: list[Segment] = []
        at = 0
        for run in [*runs, Run(len(self._windows), len(self._windows), 0.0)]:
            if run.first > at:
                rest = self._segment(at, run.first, edges_s, "undecided")
                says = decide(rest.score, thresholds)
                segments.append(rest if says == "spoof" else replace(rest, decision=says))
            if run.first < len(self._windows):
                segments.append(self._segment(run.first, run.last + 1, edges_s, "spoof"))
            at = run.last + 1
        return tuple(segments)

    def _segment(
        self, first: int, behind: int, edges_s: Sequence[float], decision: Decision
    ) -> Segment:
        scores = [window.score or 0.0 for window in self._windows[first:behind]]
        mean = sum(scores) / len(scores)
        return Segment(edges_s[first], edges_s[behind], mean, decision)


def bounds_s(windows: Sequence[WindowScore], duration_s: float) -> list[float]:
    """Return where each of N windows begins and ends to speak for the recording, [N + 1] seconds.

    A window stands for its middle: the edge between two lies half-way between their middles, the
    outer ones are the ends of the recording.

    Args:
        windows: In order of time.
        duration_s: Length of the recording.
    """
    middles_s = [(window.start_s + window.end_s) / 2 for window in windows]
    inner = [round((left + right) / 2, 2) for left, right in pairwise(middles_s)]
    return [0.0, *inner, duration_s]


def decision_of(segments: Sequence[Segment]) -> Decision:
    """Return the decision on a recording: spoof if one of its segments is, else that of the rest.

    Args:
        segments: Of the recording, one or more; without a synthetic one there is one alone.
    """
    kinds = [segment.decision for segment in segments]
    return "spoof" if "spoof" in kinds else kinds[0]
