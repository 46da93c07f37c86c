"""Are the error rates of a case those of its rule, and of recordings like it?"""

from typing import Any

import pytest

from cases import CARD, RESULT, scored, whole
from unheard.detectors.card import LEFT_OUT, Rate
from unheard.scoring.case_report import about
from unheard.scoring.error_rates import error_rates, like_this_one, mistakes
from voice import voice

PEOPLE = Rate(
    protocol="pages/eval",
    name="people called spoof, by source corpus",
    value=0.028,
    low=0.01,
    high=0.05,
    n_bonafide=427,
    n_spoof=0,
)
RATES = [
    PEOPLE,
    PEOPLE.model_copy(update={"name": "people called spoof, by page", "high": 0.09}),
    PEOPLE.model_copy(update={"name": "pooled EER", "value": 0.5}),
    PEOPLE.model_copy(
        update={"name": "synthetic called bona fide", "value": 0.047, "n_bonafide": 0, "n_spoof": 9}
    ),
    PEOPLE.model_copy(update={"name": "synthetic undecided", "value": 0.54}),
]


def case_of(rule: str = "sure", **update: Any) -> dict[str, Any]:
    case = whole(scored(voice(2), operating_point=rule))
    return {**case, "detector": about(CARD.model_copy(update={"rates": RATES, **update}))}


def test_rates_at_the_rule_are_told_in_one_sentence_and_one_by_one() -> None:
    case = case_of()
    assert mistakes(case) == (
        "Tested at this rule on pages/eval, it called 3 in 100 recordings of people synthetic; of "
        "synthetic ones by systems new to it, it called 5 in 100 human and left 54 in 100 "
        "undecided."
    )
    assert [(rate.value, rate.n, rate.interval) for rate in error_rates(case)] == [
        (0.028, 427, (0.01, 0.05)),
        (0.047, 9, (0.01, 0.05)),
        (0.54, 427, (0.01, 0.05)),
    ]


@pytest.mark.parametrize("rule", ["false_alarm_1pct", "miss_1pct"])
def test_rates_of_another_rule_are_never_passed_off_as_this_one(rule: str) -> None:
    case = case_of(rule)
    assert error_rates(case) == []
    assert mistakes(case) == f"How often it is wrong at this rule ({rule}) was not measured."


def test_a_rule_that_errs_alike_has_equal_error_rates() -> None:
    hard = RESULT.model_copy(update={"protocol": "harder", "eer": 0.4})
    folds = RESULT.model_copy(update={"protocol": LEFT_OUT, "eer": 0.9})
    case = case_of("balanced", results=[RESULT, hard, folds])
    assert "on harder, it was wrong on 40 in 100 recordings" in mistakes(case)
    assert [rate.protocol for rate in error_rates(case)] == ["open/eval_out", "harder"]


def encoded(case: dict[str, Any], **encoding: Any) -> dict[str, Any]:
    return {**case, "audio": {**case["audio"], "encoding": encoding}}


def test_tests_on_recordings_like_this_one_are_found() -> None:
    under = [
        RESULT.model_copy(update={"condition": name, "eer": eer})
        for name, eer in (("opus_6", 0.4), ("opus_24", 0.3), ("telephone", 0.45), ("mp3_16", 0.2))
    ]
    case = encoded(case_of(results=[RESULT, *under]), codec="opus", rate_hz=48_000)
    case["verdict"]["warnings"] = []
    ((what, rates),) = like_this_one(case)
    assert what == "coded as opus"
    assert [rate.value for rate in rates] == [0.4, 0.3]
    ((what, rates),) = like_this_one(encoded(case, codec="pcm_alaw", rate_hz=8_000))
    assert what == "recorded at 8,000 Hz, as telephones do"
    assert [rate.value for rate in rates] == [0.45]
    assert list(like_this_one(encoded(case, codec="aac", rate_hz=44_100))) == [("coded as aac", [])]
    assert list(like_this_one(encoded(case, codec="flac", rate_hz=44_100))) == []
