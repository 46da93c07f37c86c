"""How well a detector says which part of a recording is synthetic, from a score file alone.

A score file knows it if the labels of its clips hold segments (the note "segments"): then it has
the scores of windows and the stretches that were called synthetic, as text.

P pieces of recordings, K true and M called stretches.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from unheard.data.segment_labels import NOTE, read_stretches
from unheard.evaluation.scores import SCORED
from unheard.metrics import find_runs
from unheard.metrics.segments import by_recording, cells, match, per_hour, range_eer, time_f1
from unheard.scoring.segments import bounds_s
from unheard.scoring.verdict import WindowScore
from unheard.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    import pyarrow as pa

    from unheard.detectors.card import Card

__all__ = ["COLUMNS", "RESOLUTIONS_S", "Estimate", "SegmentRow", "noted", "segment_rows"]

COLUMNS = ("window_scores", "called")
"""Columns of a score file: [start, end, score] of each window; [start, end] of what was called."""

RESOLUTIONS_S = (0.16, 0.64)
"""Lengths of the cells that the segment-level EER is given at; two of those of PartialSpoof."""

BY = {"": "all", "engine": "from", "inserted_s": "length", "codec": "coding"}
"""What rows are by: columns of the score file, and what a report calls them."""

_MOST_DRAWS = 200


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % interval, recordings drawn whole."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class SegmentRow:
    """Numbers of segments over some recordings of a part.

    Attributes:
        part: Part.
        by: "all", "from", "length", "coding", or "from and length".
        group: Which of them.
        people: Whether the recordings are of people from end to end, joins of people included.
        n_recordings: How many; one under several codings counts as often.
        n_stretches: Synthetic stretches in them.
        hours: Their length.
        metrics: Of people "false_per_hour"; else "found", "f1", "boundary_s", "range_eer" and
            "eer_<cell>s". What cannot be computed is left out.
    """

    part: str
    by: str
    group: str
    people: bool
    n_recordings: int
    n_stretches: int
    hours: float
    metrics: Mapping[str, Estimate]


def noted(verdict: Mapping[str, Any], card: Card) -> dict[str, str]:
    """Return what a score file keeps of a verdict on a clip whose labels hold segments.

    Called is what the operating point of segments calls: a clip that is spoof by its score alone is
    not a stretch.

    Args:
        verdict: As `Verdict.to_dict()` gives it.
        card: Of the detector.
    """
    windows = [
        WindowScore(window["start_s"], window["end_s"], window["score"], 0.0)
        for window in verdict["windows"]
        if window["score"] is not None
    ]
    scores = [window.score or 0.0 for window in windows]
    kept = [[one.start_s, one.end_s, round(one.score or 0.0, 4)] for one in windows]
    called = ""
    if (point := card.segments) is not None:
        edges_s, weight = bounds_s(windows, verdict["duration_s"]), card.hop_s / card.window_s
        rule = {"level": point.level, "evidence": point.evidence, "weight": weight}
        runs = find_runs(np.array(scores), **rule)
        called = json.dumps([[edges_s[run.first], edges_s[run.last + 1]] for run in runs])
    return {"window_scores": json.dumps(kept), "called": called}


def segment_rows(
    table: pa.Table, parts: Sequence[str], *, n_draws: int = 1000, seed: int = 0
) -> list[SegmentRow]:
    """Return the numbers of segments of parts; none if no labels hold segments.

    Args:
        table: As `read_scores` gives it.
        parts: Parts to report.
        n_draws: Bootstrap draws; of rates over time at most 200.
        seed: Seed of the bootstrap.

    Raises:
        ManifestError: If a note of segments is none.
    """
    if not {NOTE, *COLUMNS} <= set(table.column_names):
        return []
    rows = [
        row
        for row in table.to_pylist()
        if row[NOTE] and row["status"] == SCORED and row["window_scores"] not in ("", "[]")
    ]
    every = [_Recording.of(row) for row in rows]
    numbers: list[SegmentRow] = []
    for part in parts:
        inside = [one for one in every if one.labels["part"] == part]
        for by, group, chosen in _groups(inside):
            for people in (True, False):
                some = [one for one in chosen if (len(one.truth) == 0) == people]
                if some and not (people and by == "from and length"):
                    numbers.append(_row(part, by, group, some, people, n_draws, seed))
    return numbers


@dataclass(frozen=True, eq=False)
class _Recording:
    """A recording of a score file.

    Attributes:
        labels: Its columns.
        truth: Synthetic stretches, shape [K, 2].
        called: What is called synthetic, shape [M, 2]; None if the detector has no segments.
        scores: Of its windows, shape [N].
        edges_s: Where each begins and ends to speak for the recording, shape [N + 1].
    """

    labels: Mapping[str, Any]
    truth: FloatArray
    called: FloatArray | None
    scores: FloatArray
    edges_s: FloatArray

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> _Recording:
        scores = json.loads(row["window_scores"])
        windows = [WindowScore(start_s, end_s, score, 0.0) for start_s, end_s, score in scores]
        spoof = [(s.start_s, s.end_s) for s in read_stretches(row[NOTE]) if not s.bonafide]
        called = json.loads(row["called"]) if row["called"] else None
        return cls(
            row,
            np.array(spoof, np.float64).reshape(-1, 2),
            None if called is None else np.array(called, np.float64).reshape(-1, 2),
            np.array([window.score for window in windows], np.float64),
            np.array(bounds_s(windows, row["duration_s"])),
        )

    @property
    def duration_s(self) -> float:
        return float(self.labels["duration_s"])

    @property
    def name(self) -> str:
        return str(self.labels.get("recording") or self.labels["id"])

    def score_at(self, times_s: FloatArray) -> FloatArray:
        place = np.searchsorted(self.edges_s, times_s, side="right") - 1
        return self.scores[np.clip(place, 0, self.scores.size - 1)]

    def pieces(self) -> tuple[FloatArray, BoolArray, FloatArray]:
        """Return score, truth and length of pieces in which both stay the same."""
        edges_s = np.unique(
            np.clip(np.concatenate([self.edges_s, self.truth.ravel()]), 0, self.duration_s)
        )
        middles_s = (edges_s[1:] + edges_s[:-1]) / 2
        return self.score_at(middles_s), ~_inside(self.truth, middles_s), np.diff(edges_s)

    def cells(self, resolution_s: float) -> tuple[FloatArray, BoolArray, FloatArray]:
        """The same of cells of one length, which all weigh the same."""
        spoof = cells(self.truth, self.duration_s, resolution_s)
        middles_s = resolution_s * (np.arange(spoof.size) + 0.5)
        return self.score_at(middles_s), ~spoof, np.ones(spoof.size)

    def decided(self) -> tuple[BoolArray, BoolArray, FloatArray]:
        """Return decision, truth and length of pieces in which both stay the same."""
        called = np.zeros((0, 2)) if self.called is None else self.called
        ends_s = np.concatenate([[0.0, self.duration_s], self.truth.ravel(), called.ravel()])
        edges_s = np.unique(np.clip(ends_s, 0, self.duration_s))
        middles_s = (edges_s[1:] + edges_s[:-1]) / 2
        return _inside(called, middles_s), ~_inside(self.truth, middles_s), np.diff(edges_s)


def _inside(stretches: FloatArray, times_s: FloatArray) -> BoolArray:
    within = (stretches[:, :1] <= times_s[None, :]) & (stretches[:, 1:] > times_s[None, :])
    inside: BoolArray = np.any(within, axis=0)
    return inside


def _groups(
    recordings: Sequence[_Recording],
) -> Iterator[tuple[str, str, list[_Recording]]]:
    def value(one: _Recording, name: str) -> str:
        return str(one.labels.get(name, ""))

    yield "all", "all", list(recordings)
    for name, by in BY.items():
        values = sorted({value(one, name) for one in recordings} if name else (), key=_number)
        for group in values:
            if len(values) > 1:
                shown = group or "as it is"
                yield by, shown, [one for one in recordings if value(one, name) == group]
    pairs = {(value(one, "engine"), value(one, "inserted_s")) for one in recordings}
    for engine, length in sorted(pairs, key=lambda pair: (pair[0], _number(pair[1]))):
        if engine and length:
            chosen = [
                one
                for one in recordings
                if (value(one, "engine"), value(one, "inserted_s")) == (engine, length)
            ]
            yield "from and length", f"{engine}, {length} s", chosen


def _number(text: str) -> tuple[float, str]:
    try:
        return float(text), text
    except ValueError:
        return math.inf, text


def _row(
    part: str,
    by: str,
    group: str,
    recordings: list[_Recording],
    people: bool,
    n_draws: int,
    seed: int,
) -> SegmentRow:
    names = np.array([one.name for one in recordings])
    metrics = (
        _of_people(recordings, names, n_draws, seed)
        if people
        else _of_splices(recordings, names, n_draws, seed, whole=by != "from and length")
    )
    return SegmentRow(
        part=part,
        by=by,
        group=group,
        people=people,
        n_recordings=len(recordings),
        n_stretches=sum(len(one.truth) for one in recordings),
        hours=sum(one.duration_s for one in recordings) / 3600,
        metrics={name: value for name, value in metrics.items() if math.isfinite(value.value)},
    )


def _of_people(
    recordings: list[_Recording], names: np.ndarray[Any, Any], n_draws: int, seed: int
) -> dict[str, Estimate]:
    if any(one.called is None for one in recordings):
        return {}
    n_false = [0 if one.called is None else len(one.called) for one in recordings]
    hours = [one.duration_s / 3600 for one in recordings]
    rate, interval = per_hour(n_false, hours, names, n_draws=n_draws, seed=seed)
    return {"false_per_hour": Estimate(rate, interval.low, interval.high)}


def _of_splices(
    recordings: list[_Recording],
    names: np.ndarray[Any, Any],
    n_draws: int,
    seed: int,
    *,
    whole: bool,
) -> dict[str, Estimate]:
    member = np.unique(names, return_inverse=True)[1]
    n = int(member.max()) + 1
    once = np.ones(n, np.int64)

    def estimate(statistic: Any, draws: int) -> Estimate:
        interval = by_recording(statistic, n, n_draws=draws, seed=seed)
        return Estimate(statistic(once), interval.low, interval.high)

    metrics: dict[str, Estimate] = {}
    if all(one.called is not None for one in recordings):
        matched = [match(one.truth, one.called) for one in recordings if one.called is not None]
        of = np.repeat(member, [len(one.truth) for one in recordings])
        found = np.concatenate([one.found for one in matched]).astype(float)
        error_s = np.concatenate([one.error_s for one in matched])
        metrics["found"] = estimate(lambda w: _mean(found, w[of]), n_draws)
        metrics["boundary_s"] = estimate(lambda w: _mean(error_s, w[of]), n_draws)
        called, truth, length, where = _joined([one.decided() for one in recordings], member)
        metrics["f1"] = estimate(lambda w: time_f1(called, truth, length * w[where]), n_draws)
    if whole:
        kinds = {"range_eer": [one.pieces() for one in recordings]}
        kinds |= {f"eer_{s:g}s": [one.cells(s) for one in recordings] for s in RESOLUTIONS_S}
        for name, pieces in kinds.items():
            score, truth, length, where = _joined(pieces, member)
            if truth.any() and not truth.all():
                metrics[name] = estimate(
                    lambda w, s=score, t=truth, d=length, m=where: range_eer(s, t, d * w[m]),
                    min(n_draws, _MOST_DRAWS),
                )
    return metrics


def _mean(values: FloatArray, weight: IntArray) -> float:
    known = np.isfinite(values) & (weight > 0)
    return float(np.average(values[known], weights=weight[known])) if known.any() else math.nan


def _joined(
    pieces: Sequence[tuple[Any, BoolArray, FloatArray]], member: IntArray
) -> tuple[Any, BoolArray, FloatArray, IntArray]:
    """Pieces of recordings one behind the other, and which recording each is of."""
    said, truth, length = (np.concatenate(column) for column in zip(*pieces, strict=True))
    return said, truth, length, np.repeat(member, [len(one[1]) for one in pieces])
