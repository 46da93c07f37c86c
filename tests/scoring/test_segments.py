"""Does a verdict say which part is synthetic, and does the decision follow from it?"""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from audio_files import wav
from unheard.detectors.segment_point import SegmentPoint
from unheard.scoring.case_report import render
from unheard.scoring.live import LiveVerdict
from unheard.scoring.plain_words import headline, in_part, meaning, where
from unheard.scoring.segments import bounds_s
from unheard.scoring.verdict import Segment, Verdict, WindowScore
from voice import FakeBundle, FakeCard, scorer, silence, voice

POINT = SegmentPoint(level=-1.0, evidence=4.0)
CARD = FakeCard(segments=POINT)
LOUD, LOW = 0.9, 0.2
HUMAN = voice(30, peak=LOUD)
SPLICED = np.concatenate([voice(20, peak=LOUD), voice(10, peak=LOW), voice(20, 1, peak=LOUD)])


def verdict_of(samples: Any, **settings: Any) -> Verdict:
    return scorer(FakeBundle(card=CARD), **settings).samples(samples)


def test_a_verdict_says_which_part_is_synthetic() -> None:
    verdict = verdict_of(SPLICED)
    assert verdict.segments is not None
    first, middle, last = verdict.segments
    assert [part.decision for part in verdict.segments] == ["bonafide", "spoof", "bonafide"]
    assert (first.start_s, last.end_s) == (0.0, verdict.duration_s)
    assert (first.end_s, middle.end_s) == (middle.start_s, last.start_s)
    assert middle.start_s == pytest.approx(20, abs=0.5)
    assert middle.end_s == pytest.approx(30, abs=0.5)
    inside = [
        window.score
        for window in verdict.windows
        if window.score is not None and 20.5 < (window.start_s + window.end_s) / 2 < 29.5
    ]
    assert middle.score == pytest.approx(np.mean(inside), abs=0.3)


def test_the_decision_follows_from_the_segments() -> None:
    verdict = verdict_of(SPLICED)
    plain = scorer().samples(SPLICED)
    assert (plain.decision, verdict.decision) == ("undecided", "spoof")
    assert (plain.score, plain.windows) == (verdict.score, verdict.windows)
    whole = verdict_of(voice(20, peak=LOW))
    assert whole.segments is not None
    (only,) = whole.segments
    assert only == Segment(0.0, 20.0, only.score, "spoof")
    assert only.score == pytest.approx(whole.score)
    short = verdict_of(voice(1, peak=LOW))
    assert short.score is not None
    assert short.score < -1.0, "too short for a segment, and decided by its score as before"
    assert short.segments == (Segment(0.0, 1.0, short.score, "spoof"),)


def test_without_a_synthetic_part_a_recording_is_one_segment() -> None:
    verdict = verdict_of(HUMAN)
    assert verdict.segments == (Segment(0.0, 30.0, verdict.score or 0.0, "bonafide"),)
    assert where(verdict.to_dict()) == "no stretch of it is called synthetic"


def test_the_rest_is_never_called_synthetic() -> None:
    low = FakeCard(segments=SegmentPoint(level=-4.0, evidence=4.0))
    samples = np.concatenate([voice(12, peak=0.33), voice(6, peak=0.05), voice(12, peak=0.33)])
    verdict = scorer(FakeBundle(card=low)).samples(samples)
    assert verdict.segments is not None
    assert [part.decision for part in verdict.segments] == ["undecided", "spoof", "undecided"]
    assert verdict.segments[0].score < verdict.thresholds[0]


def test_no_verdict_has_no_segments_and_a_detector_without_the_point_says_so() -> None:
    assert verdict_of(silence(3)).segments == ()
    plain = scorer().samples(SPLICED)
    assert plain.segments is None
    assert where(plain.to_dict()) == ""


def test_a_part_that_is_spoofed_decides_over_a_lower_score() -> None:
    low = voice(50, peak=0.5)
    file = wav(np.stack([low, SPLICED]))
    both = scorer(FakeBundle(card=CARD), channel="each").file(file)
    assert [part.decision for part in both.parts] == ["undecided", "spoof"]
    assert both.parts[0].score is not None
    assert both.parts[1].score is not None
    assert both.parts[0].score < both.parts[1].score
    assert (both.decision, both.channel) == ("spoof", "2")


def test_words_come_first_and_name_the_times() -> None:
    verdict = replace(
        verdict_of(SPLICED),
        segments=(
            Segment(0.0, 40.0, 2.0, "bonafide"),
            Segment(40.0, 60.0, -3.0, "spoof"),
            Segment(60.0, 70.0, 1.0, "undecided"),
        ),
    ).to_dict()
    assert json.loads(json.dumps(verdict)) == verdict
    assert headline(verdict) == "Likely synthetic in part"
    assert meaning(verdict)[0] == "0:40 to 1:00 is called synthetic, the rest is not."
    assert any("Taken as a whole, the recording" in line for line in meaning(verdict))
    many = [
        {"start_s": 10.0 * n, "end_s": 10.0 * n + 10, "score": 0.0, "decision": kind}
        for n, kind in enumerate(["bonafide", "spoof"] * 8)
    ]
    two = {**verdict, "segments": many[:4]}
    assert where(two) == "0:10 to 0:20 and 0:30 to 0:40 are called synthetic, the rest is not"
    assert in_part(two)
    lots = {**verdict, "segments": many, "duration_s": 160.0}
    assert where(lots).startswith("8 stretches are called synthetic, together 1:20 of 2:40")


def test_a_case_report_shows_segments_or_says_that_there_are_none() -> None:
    audio = {"name": "call.wav", "bytes": 1, "sha256": "0" * 64}
    about: dict[str, Any] = {
        "limits": [],
        "results": [],
        "material": [],
        "families": {},
        "segments": None,
    }

    def page(verdict: Verdict) -> str:
        return render(
            {
                "unheard": "1",
                "verdict": verdict.to_dict(),
                "audio": audio,
                "scored_at": "2026-11-30T10:00:00+00:00",
                "detector": about,
            }
        )

    spliced, plain = page(verdict_of(SPLICED)), page(scorer().samples(SPLICED))
    assert "is called synthetic, the rest is not." in spliced
    assert spliced.count('class="segment spoof"') == 1
    assert "no operating point for stretches" in plain
    assert 'class="segment spoof"' not in plain


@pytest.mark.parametrize("chunk", [700, 16_000, 400_000])
def test_a_stream_tells_a_segment_once_its_end_is_sure(chunk: int) -> None:
    samples = np.concatenate([SPLICED, voice(8, peak=LOW), voice(20, 2, peak=LOUD)])
    live = LiveVerdict(scorer(FakeBundle(card=CARD)))
    updates = [
        update
        for start in range(0, samples.size, chunk)
        for update in live.push(samples[start : start + chunk])
    ]
    verdict = live.close()
    told = [(update.heard_s, part) for update in updates for part in update.segments]
    synthetic = [part for part in verdict.segments or () if part.decision == "spoof"]
    assert [part for _, part in told] == synthetic
    assert len(synthetic) == 2
    assert [30 < told[0][0] < 34, 58 < told[1][0] < 62] == [True, True]
    first = next(update for update in updates if update.segments)
    assert (first.final, first.final_at_s) == ("spoof", first.heard_s)
    assert json.loads(json.dumps(first.to_dict()))["running"]["segments"][0]["decision"] == "spoof"


def test_a_window_stands_for_its_middle() -> None:
    windows = [WindowScore(start, start + 3.0, 0.0, 3.0) for start in (0.0, 1.0, 2.0, 8.0)]
    assert bounds_s(windows, 12.0) == [0.0, 2.0, 3.0, 6.5, 12.0]
