"""What the service takes from a client, and what it says when that is passed."""

from __future__ import annotations

from dataclasses import dataclass

from unheard.errors import ServiceError

__all__ = ["Limits", "Refusal"]


class Refusal(ServiceError):
    """A request that is not answered as it was asked.

    Attributes:
        status: HTTP status.
        code: One word for programs, such as "too_large".
        retry_after_s: When to try again, if that may help.
    """

    def __init__(
        self, status: int, code: str, message: str, *, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the service takes; every one bounds memory, disk or time.

    Attributes:
        most_bytes: Size of an upload.
        longest_s: Audio of a request that is answered at once.
        longest_job_s: Audio of a job, and of a stream.
        upload_s: Time in which a request must have arrived.
        answer_s: Time that scoring may take in a request that is answered at once.
        idle_s: Time that a stream may send nothing.
        decode_cpu_s: Processor time of the process that decodes one recording.
        decode_stall_s: Time that it may give no audio.
        decode_bytes: Memory that it may take, beyond what it takes to start.
        n_active: Requests that are scored at once.
        n_waiting: Requests that may wait for that; more are refused.
        n_per_key: Requests of one key that may be in progress at once.
        n_streams: Streams at once.
        n_streams_per_key: Streams of one key at once; 0 stands for half of all, at least one.
        n_jobs: Jobs that are scored at once.
        n_queued: Jobs that may wait.
        n_queued_per_key: Jobs of one key that may wait; 0 stands for half of all, at least one.
        audio_s_per_minute: Audio that a key may send in a minute, over time; 0 does not bound it.
        stored_bytes: Size of all uploads of waiting jobs.
        keep_s: How long the result of a job is kept.
    """

    most_bytes: int = 200 * 10**6
    longest_s: float = 600.0
    longest_job_s: float = 4 * 3600.0
    upload_s: float = 120.0
    answer_s: float = 120.0
    idle_s: float = 30.0
    decode_cpu_s: int = 300
    decode_stall_s: float = 20.0
    decode_bytes: int = 512 << 20
    n_active: int = 4
    n_waiting: int = 32
    n_per_key: int = 16
    n_streams: int = 16
    n_streams_per_key: int = 0
    n_jobs: int = 1
    n_queued: int = 100
    n_queued_per_key: int = 0
    audio_s_per_minute: float = 0.0
    stored_bytes: int = 4 << 30
    keep_s: float = 24 * 3600.0

    def __post_init__(self) -> None:
        for bound, n_all in (("streams", self.n_streams), ("queued", self.n_queued)):
            if not getattr(self, f"n_{bound}_per_key"):
                object.__setattr__(self, f"n_{bound}_per_key", max(1, n_all // 2))
