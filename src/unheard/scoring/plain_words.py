"""A verdict in words that need no knowledge of scores; the report and the page say the same.

They take the JSON of a verdict, so that what was kept can be put into words later.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from unheard.detectors.card import LEFT_OUT
from unheard.scoring.verdict import clock, percent

__all__ = [
    "NO_PROOF",
    "NO_SEGMENTS",
    "headline",
    "in_part",
    "meaning",
    "more_like",
    "reliability",
    "segment_rates",
    "where",
    "where_sentence",
]

SAYS = {
    "bonafide": "human",
    "spoof": "synthetic",
    "undecided": "undecided",
    None: "not scored",
}
RULES = {
    "sure": "It decides only as far as it was right at least 19 times in 20 on the recordings that "
    "it was tuned on, and leaves the rest undecided.",
    "balanced": "It decides where human speech is called synthetic as often as the reverse, on the "
    "recordings that it was tuned on.",
    "false_alarm_1pct": "It calls at most 1 in 100 recordings of people synthetic, of those that "
    "it was tuned on, and so misses more synthetic ones.",
    "miss_1pct": "It calls at most 1 in 100 synthetic recordings human, of those that it was tuned "
    "on, and so suspects more people wrongly.",
    "threshold": "It decides at a score that the user has set.",
}
SEGMENT_RULE = (
    "A stretch is called synthetic by a stricter rule: in an hour of human speech, of that which "
    "it was tuned on, at most once."
)
NO_PROOF = (
    "This is the opinion of one program on one recording. It is no proof in either direction, and "
    "it says nothing about who spoke, or whether the words are true."
)
NO_SEGMENTS = (
    "This detector has no operating point for stretches of a recording, so nothing is said of "
    "where in it synthetic speech may be."
)

_EVEN = 1.5
_MANY = 1000
_NAMED = 6
_WHOLE_S = 5.0


def headline(verdict: Mapping[str, Any]) -> str:
    """Return a verdict in two or three words."""
    decision, score = verdict["decision"], verdict["score"]
    if in_part(verdict):
        return "Likely synthetic in part"
    if decision == "bonafide":
        return "Likely human speech" if score > 0 else "Let pass as human speech"
    if decision == "spoof":
        return "Likely synthetic speech" if score < 0 else "Flagged as synthetic speech"
    return "Undecided" if decision else "No verdict"


def in_part(verdict: Mapping[str, Any]) -> bool:
    """Return whether a part of a recording is called synthetic and the rest is not."""
    segments = verdict.get("segments") or []
    return len(segments) > 1 and any(part["decision"] == "spoof" for part in segments)


def where(verdict: Mapping[str, Any]) -> str:
    """Return which stretches of a recording are called synthetic, without a full stop.

    "" if it is called so from end to end, has no verdict, or the detector has no segments.
    """
    segments = verdict.get("segments") or []
    called = [part for part in segments if part["decision"] == "spoof"]
    if not called:
        return "no stretch of it is called synthetic" if segments else ""
    if len(segments) == 1:
        return ""
    named = [_times(part) for part in called[:_NAMED]]
    if len(called) > _NAMED:
        total = clock(round(sum(part["end_s"] - part["start_s"] for part in called)))
        return (
            f"{len(called)} stretches are called synthetic, together {total} of "
            f"{clock(round(verdict['duration_s']))}, the rest is not; "
            f"the first are {', '.join(named)}"
        )
    times = " and ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)
    return f"{times} {'is' if len(named) == 1 else 'are'} called synthetic, the rest is not"


def where_sentence(verdict: Mapping[str, Any]) -> str:
    """Return the words of `where` as a sentence; "" if there are none."""
    words = where(verdict)
    return f"{words[0].upper()}{words[1:]}." if words else ""


def _times(part: Mapping[str, Any]) -> str:
    """Return from when to when, in whole seconds unless it is short: edges are no surer."""
    start_s, end_s = part["start_s"], part["end_s"]
    if end_s - start_s >= _WHOLE_S:
        start_s, end_s = round(start_s), round(end_s)
    return f"{clock(start_s)} to {clock(end_s)}"


def meaning(verdict: Mapping[str, Any]) -> list[str]:
    """Return a verdict in sentences, for people who know nothing of scores."""
    score = verdict["score"]
    if score is None:
        return [f"The recording cannot be judged: {verdict['reason']}."]
    sides = ("human", "synthetic") if score > 0 else ("synthetic", "human")
    times = math.exp(min(abs(score), 50.0))
    stretches = where_sentence(verdict)
    whole = "Taken as a whole, the recording" if in_part(verdict) else "The recording"
    if times < _EVEN:
        fits = f"{whole} fits the human and the synthetic speech that the detector knows alike"
    else:
        factor = f"more than {_MANY:,}" if times > _MANY else f"about {times:.2g}"
        fits = (
            f"{whole} fits the {sides[0]} speech that the detector knows {factor} times "
            f"better than the {sides[1]} speech"
        )
    if verdict["decision"] == "undecided":
        fits += ", too little to decide by"
    lines = [stretches] if stretches else []
    return [
        *lines,
        f"{fits}.",
        f"Starting from a probability of {100 * verdict['spoof_prior']:.3g} % that it is "
        f"synthetic, the recording moves it to {percent(verdict['spoof_probability'])}.",
        RULES[verdict["operating_point"]],
        *([SEGMENT_RULE] if lines else []),
    ]


def more_like(score: float | None, low: float, high: float) -> str:
    """Return in a word what a part of a recording is more like."""
    if score is None:
        return SAYS[None]
    return SAYS["spoof" if score < low else "bonafide" if score >= high else "undecided"]


def segment_rates(point: Mapping[str, Any] | None) -> str:
    """Return how often segments were wrong where their operating point was chosen, as a sentence.

    Args:
        point: The field `segments` of a card.
    """
    if point is None:
        return NO_SEGMENTS
    return (
        f"Stretches are called synthetic by an operating point of its own: "
        f"{point['false_per_hour']:.2g} an hour of human speech "
        f"({point['low']:.2g} to {point['high']:.2g} with 95 % confidence, "
        f"{point['hours']:.2g} h of speech) where it was tuned, and "
        f"{100 * point['found']:.0f} % of {point['n_inserted']:,} inserted stretches found."
    )


def reliability(detector: Mapping[str, Any]) -> str:
    """Return how often a detector was wrong where it fared worst, as a sentence.

    Args:
        detector: As `unheard.scoring.case_report.about` gives it.
    """
    own = [line for line in detector["results"] if line["protocol"] != LEFT_OUT]
    results = [line for line in own if not line["language"] + line["condition"]]
    tests = [line for line in results if line["group"] == "all"]
    if not tests:
        return "How often this detector is wrong was never measured."
    worst = max(tests, key=lambda line: float(line["eer"]))
    hardest = (
        f"In its hardest test, {worst['protocol']}, the detector was wrong on about "
        f"{100 * worst['eer']:.0f} in 100 recordings when made to decide on each"
    )
    kinds = [line for line in results if line["group"] != "all"]
    kind = max(kinds, key=lambda line: float(line["eer"]), default=worst)
    if kind["eer"] <= worst["eer"]:
        return f"{hardest}; 50 is guessing."
    return (
        f"{hardest}, and on {100 * kind['eer']:.0f} in 100 with the kind of synthesis that it is "
        f"worst at, {kind['group']}; 50 is guessing."
    )
