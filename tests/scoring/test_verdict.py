"""Do words and numbers of a verdict follow from the measurements as documented?"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from unheard.audio import Origin
from unheard.audio.activity import Quality
from unheard.scoring.verdict import (
    Segment,
    WindowScore,
    decide,
    no_verdict,
    percent,
    quality_warnings,
    spoof_probability,
    window_warnings,
)

GOOD = Quality(
    duration_s=10.0,
    speech_s=8.0,
    longest_pause_s=1.0,
    peak=0.5,
    clipped_share=0.0,
    bandwidth_hz=7_500.0,
    level_spread_db=8.0,
)


def warnings(quality: Quality, **origin: Any) -> str:
    lines = quality_warnings(quality, Origin(**origin))
    return " | ".join(lines)


def windows(*scores: float | None) -> list[WindowScore]:
    return [WindowScore(2.0 * i, 2.0 * i + 4, score, 3.0) for i, score in enumerate(scores)]


def test_music_gets_no_verdict_and_music_next_to_speech_a_warning() -> None:
    music = replace(GOOD, held_tones=0.2, level_spread_db=4.0, music_s=7.0, speech_s=1.0)
    assert "give a passage in which the voice is alone" in (no_verdict(music, 0.5, 3) or "")
    only = replace(GOOD, music_s=8.0, speech_s=0.0)
    assert "it sounds like music" in (no_verdict(only, 0.5, 0) or "")
    mixed = replace(GOOD, music_s=4.2, speech_s=3.0)
    assert no_verdict(mixed, 0.5, 1) is None
    assert "4 s of it sound like music and were not scored" in warnings(mixed)
    assert "mostly silence" not in warnings(replace(mixed, speech_s=0.9))


@pytest.mark.parametrize(
    ("score", "decision"),
    [(-1.01, "spoof"), (-1.0, "undecided"), (1.99, "undecided"), (2.0, "bonafide")],
)
def test_decisions_change_exactly_at_the_thresholds(score: float, decision: str) -> None:
    assert decide(score, (-1.0, 2.0)) == decision


@pytest.mark.parametrize(("score", "decision"), [(0.49, "spoof"), (0.5, "bonafide")])
def test_one_threshold_leaves_nothing_undecided(score: float, decision: str) -> None:
    assert decide(score, (0.5, 0.5)) == decision


@pytest.mark.parametrize("prior", [1e-6, 0.05, 0.5, 0.9])
def test_without_evidence_the_probability_is_the_prior(prior: float) -> None:
    assert spoof_probability(0.0, prior) == pytest.approx(prior)


def test_probability_falls_as_the_score_rises_and_never_overflows() -> None:
    scores = [-1e4, -800.0, -3.0, 0.0, 3.0, 800.0, 1e4]
    got = [spoof_probability(score, 0.5) for score in scores]
    assert got == sorted(got, reverse=True)
    assert got[2] == pytest.approx(1 / (1 + np.exp(-3.0)))
    assert got[2] + got[4] == pytest.approx(1.0)
    assert (got[0], got[-1]) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("probability", "shown"),
    [(0.0, "<0.1 %"), (0.0421, "4.2 %"), (0.9990001, ">99.9 %"), (1.0, ">99.9 %")],
)
def test_no_probability_is_shown_as_certain(probability: float, shown: str) -> None:
    assert percent(probability) == shown


def test_a_good_recording_gets_a_verdict_without_warnings() -> None:
    assert no_verdict(GOOD, 0.5, 4) is None
    assert warnings(GOOD) == ""
    assert window_warnings(windows(2.5, 3.0, None), (-1.0, 2.0), repeated=False) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"duration_s": 0.19}, "give a longer recording"),
        ({"peak": 0.0}, "record it again, or give another channel"),
        ({"speech_s": 0.45}, "accept less with --min-speech"),
        ({"speech_s": 0.45, "peak": 0.005}, "the recording is very quiet"),
        ({"level_spread_db": 1.9}, "in which the voice stands out"),
    ],
)
def test_every_refusal_says_what_to_do(change: dict[str, float], words: str) -> None:
    reason = no_verdict(replace(GOOD, **change), 0.5, 4)
    assert reason is not None
    assert words in reason


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"speech_s": 1.9, "duration_s": 3.0}, "only 1.9 s of speech"),
        ({"bandwidth_hz": 3_900.0}, "nothing above 3.9 kHz (telephone band or upsampled)"),
        ({"bandwidth_hz": 5_300.0}, "nothing above 5.3 kHz (low-pass)"),
        ({"clipped_share": 0.0123}, "clipped: 1.2% of samples"),
        ({"peak": 0.009}, "very quiet"),
        ({"speech_s": 8.0, "duration_s": 80.0}, "mostly silence: only 10%"),
        ({"longest_pause_s": 61.0}, "a gap of 61 s without speech"),
    ],
)
def test_each_defect_is_warned_of(change: dict[str, float], words: str) -> None:
    assert words in warnings(replace(GOOD, **change))


def test_a_low_rate_is_named_instead_of_the_bandwidth_it_causes() -> None:
    text = warnings(replace(GOOD, bandwidth_hz=3_900.0), rate_hz=8_000)
    assert "recorded at 8000 Hz: nothing above 4 kHz" in text
    assert "upsampled" not in text


def test_damaged_packets_are_warned_of() -> None:
    assert "3 packets could not be decoded" in warnings(
        GOOD, notes=("damaged: 3 packets could not be decoded",)
    )
    clipped = replace(GOOD, clipped_share=0.1)
    assert "at full scale" in warnings(clipped)
    assert "at full scale" not in warnings(clipped, cut_off=True)


def test_windows_that_disagree_are_warned_of_with_the_place() -> None:
    lines = window_warnings(windows(3.0, -2.0, 3.0, -4.0, None), (-1.0, 2.0), repeated=False)
    assert lines == [
        "windows disagree: 2 of 4 look spoofed, at 0:02 to 0:06, 0:06 to 0:10; "
        "it may be spoofed in part"
    ]
    (line,) = window_warnings(windows(*[-3.0] * 9, 0.5, 0.5), (-1.0, 2.0), repeated=False)
    assert "2 of 11 look bona fide, at 0:18 to 0:24;" in line, "no window is surely bona fide"


def test_windows_that_may_stray_by_chance_are_no_disagreement() -> None:
    strays = [-3.0 if number % 10 == 5 else 4.0 for number in range(100)]
    assert window_warnings(windows(*strays), (-1.0, 2.0), repeated=False) == []
    assert window_warnings(windows(-3.0, *strays), (-1.0, 2.0), repeated=False)
    row = [4.0] * 50 + [-3.0] * 3 + [4.0] * 50
    (line,) = window_warnings(windows(*row), (-1.0, 2.0), repeated=False)
    assert "3 of 103 look spoofed, at 1:40 to 1:48;" in line, "two do not overlap"
    assert window_warnings(windows(*[-0.5] * 60, *[-3.0] * 9), (-1.0, 2.0), repeated=False) == []


def test_windows_of_a_synthetic_segment_are_named_by_it_alone() -> None:
    row = [4.0] * 20 + [-3.0] * 20 + [4.0] * 20
    segments = [Segment(0, 41, 4.0, "bonafide"), Segment(41, 81, -3.0, "spoof")]
    assert window_warnings(windows(*row), (-1.0, 2.0), segments, repeated=False) == []
    beyond = [*row, *[-3.0] * 3]
    (line,) = window_warnings(windows(*beyond), (-1.0, 2.0), segments, repeated=False)
    assert "3 of 43 look spoofed" in line
