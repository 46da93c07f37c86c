"""What goes over the wire, as OpenAPI shows it; a verdict is `unheard.scoring.verdict.Verdict`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from unheard import __version__
from unheard.audio import Encoding
from unheard.scoring.verdict import Verdict

__all__ = [
    "Accepted",
    "Health",
    "Info",
    "JobState",
    "Jobs",
    "Problem",
    "Result",
    "Results",
    "problems",
]


_VERDICT = {
    "source": "call.wav",
    "score": -3.12,
    "spoof_probability": 0.958,
    "decision": "spoof",
    "reason": None,
    "windows": [
        {"start_s": 0.0, "end_s": 4.0, "score": -3.12, "speech_s": 3.63, "experts": []},
    ],
    "warnings": ["almost nothing above 3.6 kHz (telephone band or upsampled)"],
    "duration_s": 4.0,
    "speech_s": 3.63,
    "operating_point": "sure",
    "thresholds": [-1.47, 2.03],
    "spoof_prior": 0.5,
    "detector": {"name": "shipped", "version": "0.1.0", "sha256": "fe" * 32},
    "segments": [{"start_s": 0.0, "end_s": 4.0, "score": -3.12, "decision": "spoof"}],
    "experts": [],
}


class Audio(BaseModel):
    """The recording that was sent."""

    name: str = Field(description="What its sender calls it.", examples=["call.wav"])
    bytes: int = Field(ge=0, examples=[128044])
    sha256: str = Field(pattern="^[0-9a-f]{64}$", examples=["9f" * 32])
    encoding: Encoding | None = Field(description="How it is kept in its file.")


class Settings(BaseModel):
    """Settings of a verdict that it does not state itself."""

    minimum_speech_s: float = Field(ge=0, description="With less speech there is no verdict.")
    hop_s: float = Field(gt=0, description="Distance between windows.")


class Result(BaseModel):
    """A verdict on a recording, with what a case file needs."""

    verdict: Verdict = Field(examples=[_VERDICT])
    audio: Audio
    settings: Settings
    scored_at: str = Field(description="ISO 8601, UTC.", examples=["2026-11-22T10:00:00+00:00"])
    elapsed_s: float = Field(ge=0, description="Time that decoding and scoring took.")
    request_id: str = Field(examples=["5d41402abc4b2a76"])
    report_html: str | None = Field(description="A report of one file, if it was asked for.")


class Error(BaseModel):
    """What went wrong, what was wanted, what to do."""

    code: str = Field(examples=["not_audio"])
    message: str = Field(
        examples=["notes.txt: text, not audio; give a recording (wav, flac, mp3, m4a, ogg, ...)"]
    )
    request_id: str = Field(examples=["5d41402abc4b2a76"])


class Problem(BaseModel):
    """Every answer that is not a success."""

    error: Error


class Row(BaseModel):
    """One of several recordings: its result, or why there is none."""

    name: str = Field(description="What its sender calls it.", examples=["call.wav"])
    result: Result | None
    error: Error | None


class Results(BaseModel):
    """A row for each recording, in the order in which they were sent."""

    rows: list[Row]
    n_failed: int = Field(ge=0, description="Rows without a result.")


class Accepted(BaseModel):
    """A job that waits."""

    id: str = Field(examples=["q7rJ0v3mQyC1b9kT0dXz2A"])
    status: Literal["queued"] = "queued"
    url: str = Field(examples=["/v1/jobs/q7rJ0v3mQyC1b9kT0dXz2A"])


class JobState(BaseModel):
    """Where a job stands."""

    id: str = Field(examples=["q7rJ0v3mQyC1b9kT0dXz2A"])
    status: Literal["queued", "running", "done", "failed"]
    progress_s: float = Field(ge=0, description="Seconds of audio that are scored.")
    result: Result | None = Field(description="Once it is done.")
    error: Error | None = Field(description="If it failed.")


class ListedJob(BaseModel):
    """A job, without its result."""

    id: str = Field(examples=["q7rJ0v3mQyC1b9kT0dXz2A"])
    name: str = Field(description="What its sender calls the recording.", examples=["call.wav"])
    status: Literal["queued", "running", "done", "failed"]
    progress_s: float = Field(ge=0, description="Seconds of audio that are scored.")
    created_at: str = Field(description="ISO 8601, UTC.", examples=["2026-11-22T10:00:00+00:00"])
    url: str = Field(examples=["/v1/jobs/q7rJ0v3mQyC1b9kT0dXz2A"])


class Jobs(BaseModel):
    """A page of the jobs of a key, newest first."""

    jobs: list[ListedJob]
    after: str | None = Field(description="Give it as `after` for the next page; null at the end.")


class Info(BaseModel):
    """Which program and detector answer, and what they take."""

    unheard: str = Field(description="Version of the program.", examples=[__version__])
    detector: dict[str, Any] = Field(description="The detector's card, its limits and results.")
    limits: dict[str, float] = Field(description="In bytes, seconds and counts, by name.")
    operating_points: list[str] = Field(description="Names that operating_point may have.")
    key_needed: bool = Field(description="Whether requests need a key.")


class Health(BaseModel):
    """The service answers."""

    status: Literal["ok"] = "ok"


_MEANS = {
    400: "The request cannot be read, such as a form without its end.",
    401: "No key, or a wrong one.",
    403: "Asked under a name, or by a page, that is not this service's own.",
    404: "There is no such thing, or it is another key's.",
    405: "Not done with this path.",
    408: "The request took too long to arrive.",
    413: "Too large, or too long for an answer at once.",
    415: "The file is not audio.",
    422: "The audio cannot be scored, or a field does not fit.",
    429: "Too many requests of this key at once, or too much audio.",
    503: "No room now; Retry-After says when to come again.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says of the ways in which a request can fail."""
    return {
        status: {"model": Problem, "description": _MEANS[status]} for status in sorted(statuses)
    }
