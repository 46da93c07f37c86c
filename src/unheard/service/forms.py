"""The fields that say how a recording is scored: of a form, and of a stream's first frame."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Form
from pydantic import Field

from unheard.service.engine import ScoreOptions

__all__ = ["MinimumSpeech", "OperatingPoint", "SpoofPrior", "Threshold", "score_options"]

OperatingPoint = Literal["sure", "balanced", "false_alarm_1pct", "miss_1pct"]
Threshold = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
SpoofPrior = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
MinimumSpeech = Annotated[float, Field(ge=0, allow_inf_nan=False)]

_CHANNEL = "^(mix|left|right|each|[1-9][0-9]?)$"
_TRACK = "^(default|all|[1-9][0-9]?)$"


def score_options(
    operating_point: Annotated[
        OperatingPoint | None, Form(description="How to decide; sure if left out.")
    ] = None,
    threshold: Annotated[
        Threshold | None,
        Form(description="Decide at this score instead: below it is spoof."),
    ] = None,
    spoof_prior: Annotated[
        SpoofPrior | None,
        Form(description="Share of spoof you expect; moves the probability only."),
    ] = None,
    minimum_speech_s: Annotated[
        MinimumSpeech | None, Form(description="With less speech there is no verdict.")
    ] = None,
    report: Annotated[bool, Form(description="Draw up a report as well.")] = False,
    channel: Annotated[
        str | None,
        Form(
            pattern=_CHANNEL,
            description="mix, left, right, a number from 1, or each for a verdict on each.",
        ),
    ] = None,
    track: Annotated[
        str | None,
        Form(
            pattern=_TRACK,
            description="default, a number from 1, or all for a verdict on each audio track.",
        ),
    ] = None,
) -> ScoreOptions:
    """Return how a recording is to be scored, from the fields of a form."""
    return ScoreOptions(
        operating_point=operating_point,
        threshold=threshold,
        spoof_prior=spoof_prior,
        minimum_speech_s=minimum_speech_s,
        report=report,
        channel=channel,
        track=track,
    )
