"""A verdict in words that need no knowledge of scores; the report and the page say the same.

They take the JSON of a verdict, so that what was kept can be put into words later.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from unheard.detectors.card import LEFT_OUT
from unheard.scoring.verdict import percent

__all__ = ["NO_PROOF", "headline", "meaning", "more_like", "reliability"]

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
NO_PROOF = (
    "This is the opinion of one program on one recording. It is no proof in either direction, and "
    "it says nothing about who spoke, or whether the words are true."
)

_EVEN = 1.5
_MANY = 1000


def headline(verdict: Mapping[str, Any]) -> str:
    """Return a verdict in two or three words."""
    decision, score = verdict["decision"], verdict["score"]
    if decision == "bonafide":
        return "Likely human speech" if score > 0 else "Let pass as human speech"
    if decision == "spoof":
        return "Likely synthetic speech" if score < 0 else "Flagged as synthetic speech"
    return "Undecided" if decision else "No verdict"


def meaning(verdict: Mapping[str, Any]) -> list[str]:
    """Return a verdict in sentences, for people who know nothing of scores."""
    score = verdict["score"]
    if score is None:
        return [f"The recording cannot be judged: {verdict['reason']}."]
    sides = ("human", "synthetic") if score > 0 else ("synthetic", "human")
    times = math.exp(min(abs(score), 50.0))
    if times < _EVEN:
        fits = "The recording fits the human and the synthetic speech that the detector knows alike"
    else:
        factor = f"more than {_MANY:,}" if times > _MANY else f"about {times:.2g}"
        fits = (
            f"The recording fits the {sides[0]} speech that the detector knows {factor} times "
            f"better than the {sides[1]} speech"
        )
    if verdict["decision"] == "undecided":
        fits += ", too little to decide by"
    return [
        f"{fits}.",
        f"Starting from a probability of {100 * verdict['spoof_prior']:.3g} % that it is "
        f"synthetic, the recording moves it to {percent(verdict['spoof_probability'])}.",
        RULES[verdict["operating_point"]],
    ]


def more_like(score: float | None, low: float, high: float) -> str:
    """Return in a word what a part of a recording is more like."""
    if score is None:
        return SAYS[None]
    return SAYS["spoof" if score < low else "bonafide" if score >= high else "undecided"]


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
