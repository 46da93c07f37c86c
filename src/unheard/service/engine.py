"""One upload, from opened file to result; used by requests and jobs alike.

The file is decoded in a process of its own, its windows are scored together with those of others,
and `unheard.scoring.scorer` makes the verdict: the same as that of the file on the command line.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

import numpy as np

from unheard.audio import SAMPLE_RATE_HZ, Encoding
from unheard.errors import RecipeError
from unheard.scoring.case_report import case, render
from unheard.scoring.parts import parts_of, together, track_number
from unheard.scoring.scorer import Scorer
from unheard.scoring.spectrogram import SmallSpectrogram
from unheard.scoring.verdict import Verdict
from unheard.service.batching import Batcher, Scores
from unheard.service.decoding import Decoded
from unheard.service.limits import Limits, Refusal
from unheard.service.shares import Allowance, Shares
from unheard.types import FloatArray

if TYPE_CHECKING:
    from unheard.detectors.bundle_files import Model

__all__ = ["Engine", "KeptWindows", "ScoreOptions", "Upload", "Work"]


@dataclass(frozen=True, kw_only=True)
class ScoreOptions:
    """How a client wants a recording scored; None leaves it to the service.

    Attributes:
        operating_point: One of `unheard.scoring.scorer.OPERATING_POINTS`.
        threshold: A score to decide at instead.
        spoof_prior: Share of spoof that the client expects.
        minimum_speech_s: With less speech there is no verdict.
        report: Whether to draw up a report as well.
        channel: As a `Scorer` has it.
        track: As a `Scorer` has it.
    """

    operating_point: str | None = None
    threshold: float | None = None
    spoof_prior: float | None = None
    minimum_speech_s: float | None = None
    report: bool = False
    channel: str | None = None
    track: str | None = None


@dataclass(frozen=True)
class Upload:
    """A recording as it came in.

    Attributes:
        file: Opened file of the system's.
        name: What its sender calls it; shown, never used as a path.
        n_bytes: Size.
        sha256: Hash.
    """

    file: BinaryIO
    name: str
    n_bytes: int
    sha256: str


class KeptWindows(Protocol):
    """Scores of windows that outlive a stop of the service, by a hash of detector and samples."""

    def find(self, window: bytes) -> FloatArray | None:
        """Return what was kept of a window, None if nothing was."""
        ...

    def keep(self, window: bytes, outputs: FloatArray) -> None:
        """Keep what the detector gave of a window."""
        ...


@dataclass(eq=False)
class Work:
    """What is known of a recording while it is scored, and a way to stop it.

    Attributes:
        request_id: Of the request that asked for it.
        longest_s: Audio that is taken.
        owner: Name of the key that asked for it.
        deadline_s: When to give up, on the clock `time.monotonic`.
        progress_s: Seconds of audio that are scored.
        stopped: Set to stop it.
        kept: Where windows that were scored are kept, so that none is scored again; None keeps
            none.
    """

    request_id: str
    longest_s: float
    owner: str = ""
    deadline_s: float = float("inf")
    progress_s: float = 0.0
    stopped: threading.Event = field(default_factory=threading.Event)
    kept: KeptWindows | None = None

    def check(self, name: str) -> None:
        """Raise a Refusal if it is stopped, too late or too long."""
        if self.stopped.is_set():
            raise Refusal(503, "stopped", f"{name}: scoring was stopped; send it again")
        if time.monotonic() > self.deadline_s:
            raise Refusal(
                503,
                "too_slow",
                f"{name}: not scored within the time of a request; send it to /v1/jobs",
                retry_after_s=30,
            )
        if self.progress_s > self.longest_s:
            raise Refusal(
                413,
                "too_long",
                f"{name}: longer than {self.longest_s:g} s, the most that is taken here; "
                "send it to /v1/jobs, or cut it",
            )


class _Batched:
    """A bundle's model whose windows go through a batcher; a `Scorer` sees no difference."""

    def __init__(self, model: Model, expert_scores: Callable[[FloatArray], Scores]) -> None:
        self.experts, self.detector = model.experts, model.detector
        self.expert_scores = expert_scores

    def scores(self, windows: FloatArray) -> FloatArray:
        return self.expert_scores(windows)[0]


class Engine:
    """Scores uploads and streams with one detector; any number of threads may ask.

    Attributes:
        limits: What it takes.
        batcher: Where all windows go through.
        shares: What each key was given of late.
        allowance: What each key may send.
    """

    def __init__(self, scorer: Scorer, limits: Limits, *, n_threads: int = 1) -> None:
        """Start the detector's threads.

        Args:
            scorer: How to score what asks for nothing else.
            limits: What it takes.
            n_threads: Passes through the detector at once.
        """
        self.limits = limits
        self.shares = Shares()
        self.allowance = Allowance(limits.audio_s_per_minute)
        self.batcher = Batcher(scorer.bundle.expert_scores, n_threads=n_threads, shares=self.shares)
        self._scorer = scorer

    def scorer(
        self, options: ScoreOptions, owner: str = "", kept: KeptWindows | None = None
    ) -> Scorer:
        """Return what scores as a client asks.

        Args:
            options: What it asks.
            owner: Name of its key.
            kept: Windows that need not be scored again; None keeps none.

        Raises:
            RecipeError: If it asks for what is not possible.
        """
        if options.threshold is not None and options.operating_point is not None:
            raise RecipeError("give threshold or operating_point, not both")
        wanted: Mapping[str, Any] = {
            "operating_point": options.operating_point,
            "threshold": options.threshold,
            "spoof_prior": options.spoof_prior,
            "minimum_speech_s": options.minimum_speech_s,
            "channel": options.channel,
            "track": options.track,
        }
        given = {name: value for name, value in wanted.items() if value is not None}
        bundle = self._scorer.bundle
        through = partial(self.batcher.score_windows, owner=owner)
        if kept is not None:
            through = partial(_scored_once, through, kept, bundle.sha256)
        batched = replace(bundle, model=_Batched(bundle.model, through))
        return replace(self._scorer, bundle=batched, **given)

    def score(self, upload: Upload, options: ScoreOptions, work: Work) -> dict[str, Any]:
        """Return the result of an upload, as `/v1/score` answers it.

        Raises:
            Refusal: If it is not audio, not fit to be scored, passes a limit, or was stopped.
            RecipeError: If the client asks for what is not possible.
        """
        started_s = time.monotonic()
        scorer = self.scorer(options, work.owner, work.kept)

        def layout(track: int | None) -> tuple[int, int]:
            with Decoded(upload.file, upload.name, self.limits, n_chunk=1, track=track) as decoded:
                decoded.open()
                return decoded.encoding.n_tracks, decoded.encoding.n_channels

        parts = parts_of(scorer.channel, scorer.track, layout)
        pictures = {part: SmallSpectrogram() if options.report else None for part in parts}
        scored = [
            self._part(upload, replace(scorer, channel=part[0], track=part[1]), work, picture)
            for part, picture in pictures.items()
        ]
        verdicts = [verdict for verdict, _ in scored]
        verdict = verdicts[0] if len(parts) == 1 else together(verdicts)
        encoding = scored[parts.index((verdict.channel, verdict.track))][1]
        picture = pictures[verdict.channel, verdict.track]
        result = {
            "verdict": verdict.to_dict(),
            "audio": {
                "name": upload.name,
                "bytes": upload.n_bytes,
                "sha256": upload.sha256,
                "encoding": asdict(encoding),
            },
            "settings": {
                "minimum_speech_s": scorer.minimum_speech_s,
                "hop_s": scorer.hop_s or scorer.bundle.card.hop_s,
            },
            "scored_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "elapsed_s": round(time.monotonic() - started_s, 3),
            "request_id": work.request_id,
        }
        report = render(case(result, scorer.bundle.card), picture) if options.report else None
        return {**result, "report_html": report}

    def count(self, owner: str, audio_s: float) -> None:
        """Note that audio of a key is scored."""
        self.shares.add(owner, audio_s)
        self.allowance.take(owner, audio_s)

    def _part(
        self, upload: Upload, scorer: Scorer, work: Work, picture: SmallSpectrogram | None
    ) -> tuple[Verdict, Encoding]:
        """Score one channel of one track; tell how the track is kept, too."""
        stream = scorer.stream(name=upload.name)
        with Decoded(
            upload.file,
            upload.name,
            self.limits,
            n_chunk=stream.step,
            channel=scorer.channel,
            track=track_number(scorer.track),
        ) as decoded:
            for samples in decoded:
                work.check(upload.name)
                self.count(work.owner, samples.size / SAMPLE_RATE_HZ)
                stream.push(samples)
                if picture is not None:
                    picture.push(samples)
                work.progress_s += samples.size / SAMPLE_RATE_HZ
        work.check(upload.name)
        return stream.close(decoded.origin), decoded.encoding

    def close(self) -> None:
        """End the detector's threads."""
        self.batcher.close()


def _scored_once(
    expert_scores: Callable[[FloatArray], Scores],
    kept: KeptWindows,
    detector: str,
    windows: FloatArray,
) -> Scores:
    """Return the scores of windows [N, T], of which only those pass that were not kept."""
    keys = [hashlib.sha256(detector.encode() + window.tobytes()).digest() for window in windows]
    rows = [kept.find(key) for key in keys]
    missing = [place for place, row in enumerate(rows) if row is None]
    if missing:
        scores, experts, weights = expert_scores(windows[missing])
        for place, row in zip(missing, np.column_stack([scores, experts, weights]), strict=True):
            rows[place] = row
            kept.keep(keys[place], row)
    table = np.stack([row for row in rows if row is not None])
    n_experts = table.shape[1] // 2
    return table[:, 0], table[:, 1 : 1 + n_experts], table[:, 1 + n_experts :]
