"""How often a detector is wrong when it decides as it did here, as far as that was measured.

From the JSON of a case: what its card says of rates and tests, the rule, and the recording's kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from unheard.detectors.card import LEFT_OUT

__all__ = ["ErrorRate", "error_rates", "like_this_one", "mistakes"]

Json = Mapping[str, Any]

_SURE = {
    "people called spoof, by source corpus": "recordings of people were called synthetic",
    "people called spoof, by page": "recordings of people were called synthetic",
    "people of source corpora not in train called spoof": (
        "recordings of people from sources that it was not trained on were called synthetic"
    ),
    "synthetic called bona fide": (
        "synthetic recordings, by systems that it was not trained on, were called human"
    ),
    "synthetic undecided": (
        "synthetic recordings, by systems that it was not trained on, were left undecided"
    ),
}
"""Rates of a card that hold at the rule "sure", in words."""

_ALIKE = (
    ("noise", ("noise",)),
    ("telephone band", ("telephone", "low_pass_4k")),
    ("low-pass", ("low_pass_4k",)),
)
"""What a warning says, and the conditions of tests that are like it."""

_CODINGS = {"mp3": "mp3", "opus": "opus", "gsm": "gsm", "pcm_mulaw": "mu_law"}
_TELEPHONE_HZ = 8_000


class ErrorRate(NamedTuple):
    """One measured share.

    Attributes:
        value: In [0, 1].
        of: What it is the share of, as "recordings of people were called synthetic".
        interval: Ends of its 95 % interval, if it has one.
        n: Recordings that it was measured on.
        protocol: What it was measured on.
    """

    value: float
    of: str
    interval: tuple[float, float] | None
    n: int
    protocol: str


def error_rates(case: Json) -> list[ErrorRate]:
    """Return what was measured of a detector at the rule that a case was decided by.

    Args:
        case: As `unheard.scoring.case_report.case` gives it.
    """
    if case["verdict"]["operating_point"] == "sure":
        found: dict[str, ErrorRate] = {}
        for line in case["detector"].get("rates", []):
            words = _SURE.get(line["name"])
            if words and (words not in found):
                found[words] = ErrorRate(
                    line["value"],
                    words,
                    None if line["low"] is None else (line["low"], line["high"]),
                    line["n_bonafide"] or line["n_spoof"],
                    line["protocol"],
                )
        return list(found.values())
    if case["verdict"]["operating_point"] == "balanced":
        own = (line for line in _tests(case["detector"]) if line["group"] == "all")
        return [_eer(line) for line in own if not line["condition"]]
    return []


def mistakes(case: Json) -> str:
    """Return in one sentence how often the detector was wrong at the rule of a case."""
    rule = case["verdict"]["operating_point"]
    rates = {rate.of: rate for rate in error_rates(case)}
    accused = rates.get(_SURE["people called spoof, by page"])
    passed = rates.get(_SURE["synthetic called bona fide"])
    if accused and passed:
        undecided = rates.get(_SURE["synthetic undecided"])
        rest = f" and left {_in_100(undecided.value)} undecided" if undecided else ""
        return (
            f"Tested at this rule on {accused.protocol}, it called {_in_100(accused.value)} "
            f"recordings of people synthetic; of synthetic ones by systems new to it, it called "
            f"{_in_100(passed.value)} human{rest}."
        )
    if rates:
        worst = max(rates.values())
        return (
            f"Tested at such a rule on {worst.protocol}, it was wrong on {_in_100(worst.value)} "
            "recordings."
        )
    return f"How often it is wrong at this rule ({rule}) was not measured."


def like_this_one(case: Json) -> Iterator[tuple[str, list[ErrorRate]]]:
    """Yield what is special about the recording of a case, each with tests on such recordings.

    Args:
        case: As `unheard.scoring.case_report.case` gives it.
    """
    encoding = case["audio"].get("encoding") or {}
    wanted: dict[str, tuple[str, ...]] = {}
    codec = next((name for name in _CODINGS if encoding.get("codec", "").startswith(name)), None)
    if codec:
        wanted[f"coded as {encoding['codec']}"] = (_CODINGS[codec],)
    elif encoding.get("codec") and not _lossless(encoding["codec"]):
        wanted[f"coded as {encoding['codec']}"] = ()
    if 0 < encoding.get("rate_hz", 0) <= _TELEPHONE_HZ:
        wanted[f"recorded at {encoding['rate_hz']:,} Hz, as telephones do"] = ("telephone",)
    text = " ".join(case["verdict"]["warnings"])
    wanted |= {said: conditions for said, conditions in _ALIKE if said in text}
    for what, conditions in wanted.items():
        lines = [
            line
            for line in _tests(case["detector"])
            if line["group"] == "all" and line["condition"].startswith(conditions or ("\0",))
        ]
        yield what, [_eer(line) for line in lines]


def _lossless(codec: str) -> bool:
    return codec.startswith(("pcm_", "flac", "alac", "wavpack"))


def _tests(detector: Json) -> Iterator[Json]:
    for line in detector["results"]:
        if line["protocol"] != LEFT_OUT and not line["language"]:
            yield line


def _eer(line: Json) -> ErrorRate:
    under = f" under {line['condition']}" if line["condition"] else ""
    return ErrorRate(
        line["eer"],
        "recordings on each side were wrong, when made to decide on each",
        (line["eer_low"], line["eer_high"]),
        line["n_bonafide"] + line["n_spoof"],
        f"{line['protocol']}{under}",
    )


def _in_100(share: float) -> str:
    if 0 < share < 0.01:
        return "fewer than 1 in 100"
    return f"{100 * share:.0f} in 100"
