"""What the service reports: Prometheus metrics and lines of JSON; never audio or names."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from unheard.errors import UnheardError
from unheard.service.limits import Refusal

__all__ = ["JsonLines", "Telemetry", "error_fields"]

_LOGGER = logging.getLogger("unheard.service")

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Telemetry:
    """Counters of one service, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "unheard_requests",
            "Answered requests.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "unheard_request_seconds",
            "Time from a request's first byte to its last.",
            ("route",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.verdicts = Counter(
            "unheard_verdicts",
            "Verdicts by decision; none is a recording without one.",
            ("decision",),
            registry=self.registry,
        )
        self.refusals = Counter(
            "unheard_refusals",
            "Recordings and requests refused.",
            ("code",),
            registry=self.registry,
        )
        self.audio_s = Counter(
            "unheard_audio_seconds", "Seconds of audio scored.", registry=self.registry
        )
        self.jobs = Counter("unheard_jobs", "Jobs ended.", ("status",), registry=self.registry)

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Add a gauge that is read when it is asked for."""
        Gauge(name, text, registry=self.registry).set_function(value)

    def scored(self, verdict: dict[str, Any]) -> None:
        """Count a verdict."""
        self.verdicts.labels(verdict["decision"] or "none").inc()
        self.audio_s.inc(verdict["duration_s"])

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)

    def note(self, event: str, *, code: str | None, **fields: object) -> None:
        """Log that something has ended, and count it if it was refused.

        Args:
            event: What it was.
            code: Of the refusal, if any.
            fields: What else is known of it: no audio, no names of files.
        """
        if code is not None:
            self.refusals.labels(code).inc()
        _LOGGER.info("", extra={"fields": {"event": event, **fields, "code": code}})

    def fault(self, error: Exception, request_id: str) -> None:
        """Log where a fault of ours happened; not its text, which may hold a name of a client's."""
        steps = traceback.extract_tb(error.__traceback__)[-8:]
        frames = [f"{step.filename}:{step.lineno}" for step in steps]
        fields = {"request_id": request_id, "kind": type(error).__name__, "frames": frames}
        _LOGGER.error("", extra={"fields": {"event": "fault", **fields}})


class JsonLines(logging.Formatter):
    """Writes log records as one JSON object per line; those of the server below us, too."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a line."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        other = {"event": "server", "level": record.levelname, "text": record.getMessage()}
        return json.dumps({"time": time, **getattr(record, "fields", other)})


def error_fields(error: Exception, request_id: str) -> dict[str, str]:
    """Return what a client gets of an error: its code, its message and the request's id."""
    if isinstance(error, Refusal):
        code, message = error.code, str(error)
    elif isinstance(error, UnheardError):
        code, message = "not_possible", str(error)
    else:
        code = "internal"
        message = "a fault of the service, not of your request; its log has the request id"
    return {"code": code, "message": message, "request_id": request_id}
