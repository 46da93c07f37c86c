"""The fields that say how a recording is scored: of a form, and of a stream's first frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import fields
from typing import Annotated, Any, Literal

from fastapi import Form
from fastapi.routing import APIRoute
from pydantic import Field
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from unheard.errors import suggestion
from unheard.service.engine import ScoreOptions
from unheard.service.limits import Refusal

__all__ = [
    "IN_WORDS",
    "MOST_FILES",
    "Bounded",
    "BoundedMany",
    "MinimumSpeech",
    "OperatingPoint",
    "SpoofPrior",
    "Threshold",
    "score_options",
]

OperatingPoint = Literal["sure", "balanced", "false_alarm_1pct", "miss_1pct"]
Threshold = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
SpoofPrior = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
MinimumSpeech = Annotated[float, Field(ge=0, allow_inf_nan=False)]

MOST_FILES = 64
"""Recordings of one request."""

_LONGEST_FIELD = 4096
_FIELDS = [field.name for field in fields(ScoreOptions)]
_AS_FILE = "send the recording as a file with a name, as `curl -F file=@call.wav` does"
_CHANNEL = "^(mix|left|right|each|[1-9][0-9]?)$"
_TRACK = "^(default|all|[1-9][0-9]?)$"

IN_WORDS = {
    _CHANNEL: "mix, left, right, a number from 1 to 99, or each for a verdict on each",
    _TRACK: "default, a number from 1 to 99, or all for a verdict on each audio track",
}
"""What the pattern of a field asks for."""


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
        Form(pattern=_CHANNEL, description=f"{IN_WORDS[_CHANNEL]}."),
    ] = None,
    track: Annotated[
        str | None,
        Form(pattern=_TRACK, description=f"{IN_WORDS[_TRACK]}."),
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


class _SmallForm(Request):
    """A request whose form has few files and few, short fields: only files may be large."""

    most_files = 1

    def form(self, **_: Any) -> Any:
        return super().form(max_files=self.most_files, max_fields=16, max_part_size=_LONGEST_FIELD)


class _ManyFiles(_SmallForm):
    most_files = MOST_FILES


class Bounded(APIRoute):
    """A route that refuses fields and query parameters which nobody reads, and large ones."""

    form_of: type[_SmallForm] = _SmallForm
    file_field = "file"

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        answer = super().get_route_handler()

        has_form = self.body_field is not None

        async def bounded(request: Request) -> Response:
            asked = self.form_of(request.scope, request.receive)
            known = [field.alias for field in self.dependant.query_params]
            _check_names("query parameter", request.query_params.multi_items(), known)
            if has_form:
                form = await _form(asked)
                try:
                    _check_form(form, self.file_field)
                except Refusal:
                    await form.close()
                    raise
            return await answer(asked)

        return bounded


class BoundedMany(Bounded):
    """The same for a form with several files."""

    form_of = _ManyFiles
    file_field = "files"


async def _form(request: Request) -> FormData:
    try:
        return await request.form()
    except HTTPException as error:
        if "maximum size" not in str(error.detail):
            raise
        raise Refusal(
            400,
            "bad_request",
            f"the form has a part without a filename of more than {_LONGEST_FIELD >> 10} kB, so it "
            f"is a field and no recording; {_AS_FILE}",
        ) from None


def _check_form(form: FormData, name: str) -> None:
    """Refuse fields that nobody reads, and a recording that was sent as text."""
    several = name == "files"
    given = [
        (known, value) for known, value in form.multi_items() if not (several and known == name)
    ]
    _check_names("field", given, [name, *_FIELDS])
    if any(isinstance(part, str) for part in form.getlist(name)):
        raise Refusal(
            422, "bad_field", f"{name}: its part has no filename, so it is text; {_AS_FILE}"
        )


def _check_names(what: str, given: list[tuple[str, Any]], known: list[str]) -> None:
    for name, n_times in Counter(name for name, _ in given).items():
        if name not in known:
            near = suggestion(name, known) if known else "; there are none here"
            raise Refusal(422, "bad_field", f"no {what} is called {name[:60]!r}{near}")
        if n_times > 1:
            raise Refusal(422, "bad_field", f"{name} is given {n_times} times; give it once")
