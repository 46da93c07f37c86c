"""Does a report say where segments were right, from a score file alone?"""

import json
from typing import Any

import pyarrow as pa
import pytest

from unheard.detectors.card import Card
from unheard.detectors.segment_point import SegmentPoint
from unheard.evaluation.segments import noted, segment_rows


def row(
    name: str, truth: str, called: Any, low_s: tuple[int, int] = (0, 0), /, **more: str
) -> dict[str, Any]:
    """A recording of 60 s with a window of 2 s each second; low scores between two times."""
    windows = [[n, n + 2.0, -3.0 if low_s[0] <= n + 1 < low_s[1] else 2.0] for n in range(59)]
    return {
        "id": name,
        "part": "eval",
        "status": "scored",
        "duration_s": 60.0,
        "codec": "",
        "segments": truth,
        "window_scores": json.dumps(windows),
        "called": "" if called is None else json.dumps(called),
        "engine": "none",
        "inserted_s": "0",
        "recording": name,
    } | more


SPLICED = {"engine": "flite", "inserted_s": "10"}


def numbers(*rows: dict[str, Any]) -> dict[tuple[str, str, bool], Any]:
    found = segment_rows(pa.Table.from_pylist(list(rows)), ["eval"], n_draws=50)
    return {(line.by, line.group, line.people): line for line in found}


def test_a_stretch_that_is_found_to_the_second_is_without_error() -> None:
    lines = numbers(
        row("a", "19.500-29.500 spoof flite-slt", [[19.5, 29.5]], (20, 30), **SPLICED),
        row("b", "-", []),
    )
    spliced, people = lines["all", "all", False], lines["all", "all", True]
    assert {name: value.value for name, value in spliced.metrics.items()} == {
        "found": 1.0,
        "boundary_s": 0.0,
        "f1": 1.0,
        "range_eer": 0.0,
        "eer_0.16s": pytest.approx(2 / 66, abs=1e-6),
        "eer_0.64s": pytest.approx(0.0, abs=0.07),
    }
    assert (spliced.n_stretches, people.n_stretches) == (1, 0)
    assert people.metrics["false_per_hour"].value == 0.0
    assert people.metrics["false_per_hour"].high == pytest.approx(3.69 * 60, abs=0.1)


def test_misses_shifts_and_false_segments_are_counted() -> None:
    lines = numbers(
        row("a", "20.000-30.000 spoof flite-slt", [[22.0, 31.0], [50.0, 55.0]], **SPLICED),
        row("c", "20.000-30.000 spoof flite-slt", [], **SPLICED, codec="mp3_32"),
        row("b", "-", [[1.0, 2.0]]),
        row("b2", "-", [], recording="b", codec="mp3_32"),
        row("d", "5.000-9.000 bonafide another", [[5.0, 6.0]], engine="other", inserted_s="4"),
    )
    spliced, people = lines["all", "all", False], lines["all", "all", True]
    assert spliced.metrics["found"].value == 0.5
    assert spliced.metrics["boundary_s"].value == 1.5
    assert spliced.metrics["f1"].value == pytest.approx(2 * 8 / (14 + 20))
    assert people.metrics["false_per_hour"].value == pytest.approx(2 * 60 / 3)
    assert lines["from", "other", True].metrics["false_per_hour"].value == 60.0
    assert lines["from and length", "flite, 10 s", False].n_recordings == 2
    assert lines["coding", "mp3_32", False].metrics["found"].value == 0.0
    assert lines["coding", "as it is", True].n_recordings == 2


def test_without_the_operating_point_only_scores_are_judged() -> None:
    lines = numbers(
        row("a", "20.000-30.000 spoof x", None, (20, 30), **SPLICED), row("b", "-", None)
    )
    assert set(lines["all", "all", False].metrics) == {"range_eer", "eer_0.16s", "eer_0.64s"}
    assert lines["all", "all", True].metrics == {}


def test_labels_without_segments_give_none() -> None:
    bare = [{"id": "a", "part": "eval", "status": "scored", "duration_s": 1.0}]
    assert segment_rows(pa.Table.from_pylist(bare), ["eval"]) == []
    assert numbers(row("a", "", [])) == {}


def test_a_verdict_keeps_what_a_report_needs() -> None:
    windows: list[dict[str, Any]] = [
        {"start_s": float(n), "end_s": n + 3.0, "score": score, "speech_s": 3.0, "experts": []}
        for n, score in enumerate([2.0, 2.0, -6.12345, -6.0, -6.0, 2.0, None])
    ]
    verdict = {"windows": windows, "duration_s": 9.0, "decision": "spoof"}
    card = Card.model_construct(hop_s=1.0, window_s=3.0, segments=None)
    assert noted(verdict, card)["called"] == ""
    point = SegmentPoint(level=-1.0, evidence=5.0)
    kept = noted(verdict, card.model_copy(update={"segments": point}))
    assert json.loads(kept["called"]) == [[3.0, 6.0]]
    assert json.loads(kept["window_scores"])[2] == [2.0, 5.0, -6.1235]
    strict = point.model_copy(update={"evidence": 5.2})
    assert noted(verdict, card.model_copy(update={"segments": strict}))["called"] == "[]"
