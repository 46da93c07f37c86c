"""Does a running verdict say what is known, and decide no earlier than its rule allows?"""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from unheard.audio import Origin
from unheard.errors import AudioError, RecipeError
from unheard.scoring.live import EarlyDecision, LiveVerdict, Update
from unheard.types import FloatArray
from voice import FakeBundle, FakeCard, level, scorer, silence, voice

EAGER = EarlyDecision(error=0.3, first_speech_s=0, assumed_spread=0.1)


def updates_of(
    samples: FloatArray, rule: EarlyDecision | None = None, **settings: Any
) -> list[Update]:
    return list(LiveVerdict(scorer(**settings), rule).push(samples))


def test_an_update_says_what_is_known_of_what_was_heard() -> None:
    samples = np.concatenate([silence(1.2), voice(5)])
    for update in updates_of(samples):
        part = samples[: round(16_000 * update.heard_s)]
        stream = scorer().stream()
        stream.push(part)
        verdict = stream.so_far()
        assert 0 <= update.heard_s - update.window.end_s < 0.4  # until it is known to be no tone
        assert update.window == verdict.windows[-1]
        assert update.score == pytest.approx(verdict.score)
        assert (update.decision, update.reason, update.warnings) == (
            verdict.decision,
            verdict.reason,
            verdict.warnings,
        )
        assert (update.heard_s, update.speech_s) == (verdict.duration_s, verdict.speech_s)


def test_the_verdict_at_the_end_is_that_of_the_file() -> None:
    samples = voice(3.3)
    running = LiveVerdict(
        scorer(), name="call", origin=lambda: Origin(8_000, notes=("damaged: 1 packet",))
    )
    running.push(samples)
    verdict = running.close()
    whole = scorer().samples(samples, name="call")
    assert verdict.score == pytest.approx(whole.score)
    assert len(verdict.windows) == len(whole.windows)
    assert any("8000 Hz" in warning for warning in verdict.warnings)
    assert any("damaged" in warning for warning in verdict.warnings)
    with pytest.raises(AudioError, match="make a new one"):
        running.push(samples)


def test_the_margin_is_the_one_written_down() -> None:
    rule = EarlyDecision(error=0.05, best_windows=8, assumed_spread=2, assumed_windows=4)
    scores = np.array([1.0, 3.0, 2.0, 2.0])
    n = 2.0  # of four windows that overlap by half
    spread = np.sqrt((0.5 * 2.0 + 4 * 4.0) / (n + 4))
    r = (-2 * np.log(0.05) + np.log(-2 * np.log(0.05)) + 1) / 8
    wanted = spread * np.sqrt(2 * (n * r + 1) / (n * n * r) * np.log(np.sqrt(n * r + 1) / 0.05))
    assert rule.margin(scores, overlap=0.5) == pytest.approx(wanted)


def test_the_margin_holds_at_all_times_at_once() -> None:
    """Of 400 recordings whose windows vary as assumed, at most 5 % ever leave the margin."""
    rule, rng = EarlyDecision(assumed_spread=1.0), np.random.default_rng(0)
    n_left = 0
    for _ in range(400):
        scores = rng.standard_normal(40)
        n_left += any(
            abs(scores[:n].mean()) > rule.margin(scores[:n]) for n in range(1, scores.size + 1)
        )
    assert n_left <= 20


def test_the_margin_shrinks_with_listening_and_with_the_error_allowed() -> None:
    scores = np.tile([0.0, 1.0], 50)
    margins = [EarlyDecision().margin(scores[:n]) for n in range(1, 100)]
    assert margins == sorted(margins, reverse=True)
    assert margins[-1] < 0.1 * margins[0]
    assert EarlyDecision(error=0.2).margin(scores) < EarlyDecision(error=0.05).margin(scores)
    assert EarlyDecision().margin(scores) < EarlyDecision().margin(3 * scores)


def test_a_decision_is_made_once_the_margin_is_on_one_side() -> None:
    updates = updates_of(
        voice(20, peak=0.9), EarlyDecision(first_speech_s=0, assumed_spread=0.1), threshold=-5.0
    )
    first = next(update for update in updates if update.final is not None)
    assert first.final == "bonafide"
    assert first.final_at_s == first.heard_s
    for update in updates:
        assert update.score is not None
        assert update.margin is not None
        clear = update.score - update.margin >= -5.0
        assert clear == (update.heard_s >= first.heard_s)
        assert (update.final is not None) == (update.heard_s >= first.heard_s)


def test_a_decision_once_made_stands_though_the_score_moves_on() -> None:
    samples = np.concatenate([voice(6, peak=0.9), voice(20, peak=0.1)])
    updates = updates_of(samples, EAGER, threshold=0.0)
    assert updates[-1].decision == "spoof"
    assert updates[-1].final == "bonafide"
    assert {update.final_at_s for update in updates if update.final} == {updates[-1].final_at_s}


def test_undecided_may_be_decided() -> None:
    updates = updates_of(voice(30), replace(EAGER, error=0.1))
    assert updates[-1].decision == updates[-1].final == "undecided"


def test_nothing_is_decided_before_enough_speech() -> None:
    samples = np.concatenate([voice(1.5, peak=0.9), silence(5), voice(12, peak=0.9)])
    updates = updates_of(samples, replace(EAGER, first_speech_s=4), threshold=-5.0)
    first = next(update for update in updates if update.final is not None)
    assert first.speech_s >= 4
    assert all(update.final is None for update in updates if update.speech_s < 4)


def test_without_speech_nothing_is_known_and_nothing_decided() -> None:
    for update in updates_of(silence(8), EAGER):
        assert update.score is update.margin is None
        assert update.decision is update.final is None
        assert update.reason is not None
        assert update.window.score is None


def test_a_part_yet_to_come_may_count_for_all_under_the_lowest_rule() -> None:
    bundle = FakeBundle(level, FakeCard(pooling="lowest"))
    running = LiveVerdict(scorer(bundle, threshold=-5.0), EAGER)
    updates = running.push(voice(20, peak=0.9))
    assert updates[-1].decision == "bonafide"
    assert all(update.final is None and update.margin is None for update in updates)


def test_an_update_is_json() -> None:
    update = updates_of(voice(3))[-1].to_dict()
    assert set(update) == {"window", "running"}
    assert json.loads(json.dumps(update)) == update
    assert {"score", "decision", "final", "speech_s", "latency_s"} <= set(update["running"])


@pytest.mark.parametrize(
    ("field", "value", "remedy"),
    [
        ("error", 0.0, "such as 0.05"),
        ("error", 0.5, "such as 0.05"),
        ("first_speech_s", -1.0, "give 0 or more"),
        ("best_windows", 0.0, "give more than 0"),
        ("assumed_spread", float("nan"), "give more than 0"),
        ("assumed_windows", float("inf"), "give more than 0"),
    ],
)
def test_a_rule_that_does_not_fit_is_refused(field: str, value: float, remedy: str) -> None:
    with pytest.raises(RecipeError, match=remedy):
        replace(EarlyDecision(), **{field: value})


@pytest.mark.parametrize("samples", [np.zeros((2, 8)), np.array(0.0), np.array([np.nan])])
def test_samples_that_do_not_fit_are_refused(samples: FloatArray) -> None:
    with pytest.raises(AudioError, match=r"give an array|repair them"):
        LiveVerdict(scorer()).push(samples)
