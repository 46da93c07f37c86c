"""The fields of a form that say how a recording is scored."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Form

from unheard.service.engine import ScoreOptions

__all__ = ["score_options"]

_CHANNEL = "^(mix|left|right|each|[1-9][0-9]?)$"
_TRACK = "^(default|all|[1-9][0-9]?)$"


def score_options(
    operating_point: Annotated[
        Literal["sure", "balanced", "false_alarm_1pct", "miss_1pct"] | None,
        Form(description="How to decide; sure if left out."),
    ] = None,
    threshold: Annotated[
        float | None,
        Form(
            ge=-1e6,
            le=1e6,
            allow_inf_nan=False,
            description="Decide at this score instead: below it is spoof.",
        ),
    ] = None,
    spoof_prior: Annotated[
        float | None,
        Form(
            gt=0,
            lt=1,
            allow_inf_nan=False,
            description="Share of spoof you expect; moves the probability only.",
        ),
    ] = None,
    minimum_speech_s: Annotated[
        float | None,
        Form(ge=0, allow_inf_nan=False, description="With less speech there is no verdict."),
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
