"""What the service tells of itself: Prometheus metrics and lines of JSON; never audio or names."""

from __future__ import annotations

import json
import logging
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

__all__ = ["LOGGER", "Telemetry", "log"]

LOGGER = logging.getLogger("unheard.service")

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


def log(event: str, **fields: object) -> None:
    """Write one line of JSON to the logger "unheard.service"."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    LOGGER.info(json.dumps({"time": now, "event": event, **fields}))
