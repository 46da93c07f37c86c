"""Does a case file say what the verdict says, safely, and enough to ask again?"""

import hashlib
import html
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audio_files import wav
from unheard import __version__
from unheard.detectors.card import LEFT_OUT, Card, Material, Provenance, Result
from unheard.scoring.case_report import about, case, render
from unheard.scoring.plain_words import headline, meaning, reliability
from unheard.scoring.spectrogram import SmallSpectrogram
from unheard.scoring.timeline_svg import parts, svg
from unheard.scoring.verdict import ExpertScore, Verdict, clock
from voice import CALIBRATION, OPERATING_POINTS, FakeMixture, scorer, silence, voice

RESULT = Result(
    protocol="open/eval_out", n_bonafide=280, n_spoof=499, eer=0.371, eer_low=0.33, eer_high=0.41
)
NARROW = ({"language": "cs"}, {"condition": "telephone"})
CARD = Card(
    name="level",
    version="1",
    window_s=1.0,
    hop_s=0.5,
    calibration=CALIBRATION,
    operating_points=OPERATING_POINTS,
    results=[RESULT, RESULT.model_copy(update={"group": "diphone", "eer": 0.2})],
    limits=["Do not decide on a person by it."],
    provenance=Provenance(
        families={"diphone": 7},
        material=[Material(part="train", corpus="some corpus", n_bonafide=1200, n_spoof=34)],
    ),
)


def scored(samples: np.ndarray, **settings: Any) -> Verdict:
    return scorer(**settings).samples(samples, name="call.wav")


def whole(verdict: Verdict, **more: Any) -> dict[str, Any]:
    result = {
        "verdict": verdict.to_dict(),
        "audio": {"name": verdict.source, "bytes": 64_044, "sha256": "9f" * 32},
        "scored_at": "2026-11-22T11:00:00+01:00",
        "request_id": "5d41402abc4b2a76",
        "settings": {"minimum_speech_s": 0.5, "hop_s": None},
        **more,
    }
    return case(result, CARD)


class Page(HTMLParser):
    """Text by the id of the section it stands in; tags and attributes of all elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text: dict[str, str] = {}
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._place = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("section", "header", "style", "script"):
            self._place = dict(attrs).get("id") or tag

    def handle_data(self, data: str) -> None:
        self.text[self._place] = self.text.get(self._place, "") + data


def at_score(score: float | None, decision: str | None, **more: Any) -> dict[str, Any]:
    verdict = scored(voice(2)).to_dict()
    probability = None if score is None else 1 / (1 + np.exp(score))
    fields = {"score": score, "decision": decision, "spoof_probability": probability}
    return {**verdict, **fields, **more}


@pytest.mark.parametrize(
    ("score", "decision", "words", "fits"),
    [
        (3.0, "bonafide", "Likely human speech", "the human speech .* about 20 times better"),
        (-3.0, "spoof", "Likely synthetic speech", "the synthetic speech .* about 20 times better"),
        (-0.5, "bonafide", "Let pass as human speech", "the synthetic speech .* about 1.6 times"),
        (0.9, "spoof", "Flagged as synthetic speech", "the human speech .* about 2.5 times"),
        (0.1, "undecided", "Undecided", "speech that the detector knows alike, too little"),
        (9.0, "bonafide", "Likely human speech", "more than 1,000 times better"),
        (-900.0, "spoof", "Likely synthetic speech", "more than 1,000 times better"),
    ],
)
def test_words_follow_the_score_and_the_decision(
    score: float, decision: str, words: str, fits: str
) -> None:
    verdict = at_score(score, decision)
    assert headline(verdict) == words
    assert re.search(fits, meaning(verdict)[0])


def test_words_state_the_prior_and_never_certainty() -> None:
    sure = meaning(at_score(-40.0, "spoof", spoof_prior=0.01))
    assert "from a probability of 1 % that it is synthetic" in sure[1]
    assert sure[1].endswith("moves it to >99.9 %.")


def test_without_a_verdict_the_reason_is_given() -> None:
    verdict = scored(silence(2)).to_dict()
    assert headline(verdict) == "No verdict"
    assert "digital silence" in meaning(verdict)[0]
    page = Page(render(whole(scored(silence(2)))))
    assert "digital silence" in page.text["verdict"]
    assert "none (natural logarithm" in page.text["asked"]


def test_the_hardest_test_is_reported_first() -> None:
    words = reliability(about(CARD))
    assert "open/eval_out, the detector was wrong on about 37 in 100" in words
    assert "diphone" not in words, "an easier kind"
    hard = RESULT.model_copy(update={"group": "unit selection", "eer": 0.625})
    words = reliability(about(CARD.model_copy(update={"results": [RESULT, hard]})))
    assert "on 62 in 100 with the kind of synthesis that it is worst at, unit selection" in words
    folds = RESULT.model_copy(update={"protocol": LEFT_OUT, "group": "neural TTS", "eer": 0.9})
    words = reliability(about(CARD.model_copy(update={"results": [RESULT, folds]})))
    assert "neural TTS" not in words, "of other detectors, to which it was unseen"
    narrow = [RESULT.model_copy(update={"eer": 0.9} | fields) for fields in NARROW]
    words = reliability(about(CARD.model_copy(update={"results": [RESULT, *narrow]})))
    assert "wrong on about 37 in 100" in words, "not of one language or condition"
    untested = about(CARD.model_copy(update={"results": []}))
    assert "never measured" in reliability(untested)


def test_a_report_has_what_a_case_file_needs() -> None:
    verdict = scored(voice(3))
    page = Page(render(whole(verdict), SmallSpectrogram()))
    for section, facts in {
        "header": ["call.wav", "2026-11-22 10:00:00 UTC", f"Unheard {__version__}", "level 1"],
        "recording": ["9f" * 32, "64,044 bytes", "0:03 (3.00 s)", f"{verdict.speech_s:.1f} s"],
        "asked": [f"{verdict.score:+.2f}", "sure", "below -1.000, human from +2.000", "50.0 %"],
        "detector": ["Do not decide on a person", "37.1 % (33.0 to 41.0)", "1,200", "diphone"],
        "parts": [f"{verdict.windows[0].score:+.2f}", "0:00 to 0:01"],
        "warnings": ["gave none"],
        "verdict": [headline(verdict.to_dict()), "no proof in either direction"],
    }.items():
        for fact in facts:
            assert fact in page.text[section], (section, fact)
    assert "5d41402abc4b2a76" in page.text["asked"]
    assert verdict.detector.sha256 in page.text["asked"]
    assert "experts" not in page.text


def test_warnings_and_experts_are_shown() -> None:
    verdict = scored(voice(1.2), bundle=FakeMixture())
    page = Page(render(whole(verdict)))
    assert verdict.warnings
    for warning in verdict.warnings:
        assert warning[1:] in page.text["warnings"]
    for expert in verdict.experts:
        assert f"{expert.name}{expert.score:+.2f}{100 * expert.weight:.0f} %" in re.sub(
            r"\s*\n\s*", "", page.text["experts"]
        )


def test_the_command_repeats_the_scoring() -> None:
    page = Page(render(whole(scored(voice(2), operating_point="miss_1pct", spoof_prior=0.2))))
    command = "unheard score call.wav --detector BUNDLE --spoof-prior 0.2 --operating-point"
    assert f"{command} miss_1pct --min-speech 0.5" in page.text["again"]
    named = replace(scored(voice(2), threshold=-0.25), source="my; call.wav")
    again = Page(render(whole(named))).text["again"]
    assert "unheard score 'my; call.wav' --detector" in again
    assert "--threshold=-0.25" in again


def test_the_report_carries_its_json() -> None:
    case = whole(scored(voice(2)))
    page = Page(render(case))
    assert json.loads(page.text["case"]) == case
    assert case["words"]["headline"] == headline(case["verdict"])
    assert "report_html" not in whole(scored(voice(2)), report_html="<html>")


NASTY = """<script>alert(1)</script><img src=x onerror="alert(2)">'"&</script>.wav"""


def test_names_from_outside_are_never_markup() -> None:
    verdict = scored(voice(2))
    hostile = replace(
        verdict,
        source=NASTY,
        warnings=(NASTY,),
        experts=(ExpertScore(NASTY, 1.0, 1.0),),
    )
    card = CARD.model_copy(
        update={"name": NASTY, "limits": [NASTY], "results": [RESULT.model_copy(
            update={"protocol": NASTY, "group": NASTY})]}
    )  # fmt: skip
    harmless = Page(render(whole(verdict), SmallSpectrogram()))
    result = {key: value for key, value in whole(hostile).items() if key != "detector"}
    page = Page(render(case({**result, "request_id": NASTY}, card), SmallSpectrogram()))
    known = {tag for tag, _ in harmless.tags}
    assert {tag for tag, _ in page.tags} <= known | {"thead", "tbody"}
    assert not [attrs for _, attrs in page.tags if any(name.startswith("on") for name in attrs)]
    assert sum(tag == "script" for tag, _ in page.tags) == 1
    assert NASTY in page.text["header"]
    assert json.loads(page.text["case"])["audio"]["name"] == NASTY


def test_a_report_asks_for_nothing_outside() -> None:
    picture = SmallSpectrogram()
    picture.push(voice(2))
    text = render(whole(scored(voice(2))), picture)
    page = Page(text)
    links = [
        value
        for tag, attrs in page.tags
        for name, value in attrs.items()
        if name in ("src", "href") and value and tag != "svg"
    ]
    assert links
    assert all(link.startswith("data:image/png;base64,") for link in links)
    assert "url(" not in text
    assert "@import" not in text
    policy = next(attrs for tag, attrs in page.tags if "http-equiv" in attrs)
    assert policy["content"] == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_parts_are_means_of_the_windows_over_them() -> None:
    windows = [
        {"start_s": 0.0, "end_s": 1.0, "score": 1.0},
        {"start_s": 0.5, "end_s": 1.5, "score": 3.0},
        {"start_s": 1.0, "end_s": 2.0, "score": None},
    ]
    edges_s, score = parts({"windows": windows, "duration_s": 2.0})
    assert edges_s.tolist() == [0, 0.5, 1, 1.5, 2]
    np.testing.assert_array_equal(score, [1, 2, 3, np.nan])


def test_the_picture_names_the_lowest_part_in_words() -> None:
    loud_end = np.concatenate([voice(2), 0.1 * voice(2)]).astype(np.float32)
    verdict = scored(loud_end).to_dict()
    lowest = min(verdict["windows"], key=lambda window: window["score"])
    picture = html.unescape(svg(verdict))
    assert f"lowest {lowest['score']:+.1f} at {clock(lowest['start_s'])}" in picture
    assert "No part of the recording was scored" in svg(scored(silence(2)).to_dict())


def drawn(verdict: dict[str, Any]) -> Iterator[str]:
    for kind, side in re.findall(r'class="(area|silent|line) ?(\w*)"', svg(verdict)):
        yield f"{kind} {side}".strip()


def test_each_side_of_the_thresholds_has_its_colour() -> None:
    windows = [
        {"start_s": start_s, "end_s": start_s + 1.0, "score": score}
        for start_s, score in enumerate([-2.0, 0.0, 2.0, None])
    ]
    verdict = {"windows": windows, "duration_s": 4.0, "thresholds": [-1.0, 2.0]}
    sides = ["spoof", "undecided", "bonafide"]
    expected = [f"{kind} {side}" for side in sides for kind in ("area", "line")]
    assert list(drawn(verdict)) == [*expected, "silent"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0:00"), (4.04, "0:04"), (4.56, "0:04.6"), (59.99, "1:00"), (3723, "1:02:03")],
)
def test_times_are_written_as_people_do(seconds: float, words: str) -> None:
    assert clock(seconds) == words


def test_hash_is_that_of_the_file(tmp_path: Path) -> None:
    from unheard.detectors import bundle
    from unheard.scoring import case_report

    path = tmp_path / "call.wav"
    path.write_bytes(wav(voice(2)[None]))
    report = case_report.write(
        scorer().file(path), path, tmp_path / "out" / "a.html", detector=bundle.default()
    )
    case = json.loads(report.with_suffix(".json").read_text())
    assert case["audio"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert case["audio"] == {**case["audio"], "name": "call.wav", "bytes": path.stat().st_size}
    assert case["detector"]["name"] == "shipped"
    assert case["audio"]["sha256"] in report.read_text()
    assert sorted(file.name for file in report.parent.iterdir()) == ["a.html", "a.json"]


def test_a_family_that_was_held_out_in_turn_is_not_called_trained_on() -> None:
    line = RESULT.model_copy(update={"group": "diphone", "protocol": LEFT_OUT})
    held_out = CARD.model_copy(update={"results": [line]})
    page = render({**whole(scored(voice(2.0))), "detector": about(held_out)})
    row = page[page.index(f">{LEFT_OUT}<") :]
    assert [cell in row[: row.index("</tr>")] for cell in (">no<", ">yes<")] == [True, False]
