"""Scorer: a file, an array or a stream of samples -> Verdict.

Training's dev check, evaluation, the command line and the service all score through `Stream`, so
that a clip has one score wherever it is asked for. docs/verdict.md says what the numbers mean.

N windows, T samples at 16 kHz.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from unheard import audio
from unheard.errors import AudioError, BundleError, RecipeError, suggestion
from unheard.scoring.parts import DEFAULT, check_part, parts_of, together, track_number
from unheard.scoring.segments import SegmentTrack, decision_of
from unheard.scoring.verdict import (
    MINIMUM_SPEECH_S,
    WINDOW_SPEECH_S,
    DetectorName,
    ExpertScore,
    Segment,
    Verdict,
    WindowScore,
    decide,
    mean_of_experts,
    no_verdict,
    quality_warnings,
    spoof_probability,
    window_warnings,
)
from unheard.scoring.windowed import POOLING, RawWindow, WindowTrack, pooled
from unheard.types import FloatArray

if TYPE_CHECKING:
    from unheard.detectors.bundle_files import Bundle

__all__ = ["OPERATING_POINTS", "Scorer", "Stream"]

OPERATING_POINTS = ("sure", "balanced", "false_alarm_1pct", "miss_1pct")
"""Published ways to turn a score into a decision; docs/verdict.md defines them."""


@dataclass(frozen=True, eq=False)
class Scorer:
    """Scores recordings with one detector under one way to decide.

    Attributes:
        bundle: The detector.
        operating_point: One of `OPERATING_POINTS`.
        threshold: A score of the user's own at which the decision changes; replaces the operating
            point.
        spoof_prior: Probability of spoof before listening, in (0, 1); moves `spoof_probability`
            and nothing else.
        minimum_speech_s: With less speech there is no verdict.
        hop_s: Distance between windows; None takes the bundle's.
        channel: "mix", "left", "right", a number from 1, or "each" for a verdict on each.
        track: "default", a number from 1, or "all" for a verdict on each audio track.
        n_threads: Batches of windows of a file that are scored at once; the verdict is the same.
    """

    bundle: Bundle
    operating_point: str = "sure"
    threshold: float | None = None
    spoof_prior: float = 0.5
    minimum_speech_s: float = MINIMUM_SPEECH_S
    hop_s: float | None = None
    channel: str = "mix"
    track: str = DEFAULT
    n_threads: int = 1

    def __post_init__(self) -> None:
        if self.bundle.card.pooling not in POOLING:
            raise BundleError(
                f"the bundle's pooling rule {self.bundle.card.pooling!r} is not in this version"
                f"{suggestion(self.bundle.card.pooling, POOLING)}; update Unheard"
            )
        if self.operating_point not in OPERATING_POINTS:
            raise RecipeError(
                f"no operating point is called {self.operating_point!r}"
                f"{suggestion(self.operating_point, OPERATING_POINTS)}"
            )
        if self.threshold is not None and not abs(self.threshold) <= 1e6:
            raise RecipeError(f"the threshold is {self.threshold}; give a finite score up to +-1e6")
        if not 0 < self.spoof_prior < 1:
            raise RecipeError(
                f"the spoof prior is {self.spoof_prior}; give a probability above 0 and below 1"
            )
        if not 0 <= self.minimum_speech_s < math.inf:
            raise RecipeError(
                f"{self.minimum_speech_s} s of speech asked for; give a finite time of 0 s or more"
            )
        if self.hop_s is not None and not 0 < self.hop_s <= self.bundle.card.window_s:
            raise RecipeError(
                f"a hop of {self.hop_s} s does not fit windows of {self.bundle.card.window_s:g} s; "
                "give more than 0 s and at most the window, so that every part is scored"
            )

        check_part(self.channel, self.track)

    def file(self, source: audio.Source, *, name: str = "") -> Verdict:
        """Score a file, encoded bytes or a binary stream, at constant memory.

        Raises:
            AudioError: If it cannot be opened or decoded, or has no such channel or track.
        """

        def layout(track: int | None) -> tuple[int, int]:
            seekable = getattr(source, "seekable", lambda: True)()
            if not seekable:
                raise AudioError(
                    f"{name or 'stream'}: each channel or track is asked for, which needs a file "
                    "that can be read again; save it first, or choose one"
                )
            with audio.open_stream(source, name=name, track=track) as opened:
                return opened.n_tracks, opened.n_channels

        parts = parts_of(self.channel, self.track, layout)
        if parts == [(self.channel, self.track)]:
            return self._part(source, name)
        return together(
            [
                replace(self, channel=channel, track=track)._part(source, name)
                for channel, track in parts
            ]
        )

    def _part(self, source: audio.Source, name: str) -> Verdict:
        with audio.open_stream(
            source, name=name, channel=self.channel, track=track_number(self.track)
        ) as opened:
            stream = Stream(self, opened.name, self.n_threads)
            for samples in audio.gathered(opened, stream.step):
                stream.push(samples)
            return stream.close(opened.origin)

    def samples(self, samples: FloatArray, *, name: str = "samples") -> Verdict:
        """Score samples, shape [T] at 16 kHz in [-1, 1].

        Raises:
            AudioError: If they are not one-dimensional or not finite.
        """
        stream = self.stream(name=name)
        stream.push(samples)
        return stream.close()

    def stream(self, *, name: str = "stream") -> Stream:
        """Return a stream to push samples into as they come."""
        return Stream(self, name)

    def raw(self, samples: FloatArray) -> float:
        """Return the pooled score of samples, shape [T], before calibration.

        Always a number: a recording without speech is scored over all its windows.
        """
        card = self.bundle.card
        return pooled(
            self.bundle.scores,
            samples,
            window_s=card.window_s,
            hop_s=self.hop_s or card.hop_s,
            pooling=card.pooling,
        )

    def thresholds(self) -> tuple[float, float]:
        """Return the scores below which a clip is spoof and from which it is bona fide."""
        points = self.bundle.card.operating_points
        if self.threshold is not None:
            return self.threshold, self.threshold
        if self.operating_point == "sure":
            return points.surely_spoof, points.surely_bonafide
        single = float(getattr(points, self.operating_point))
        return single, single


class Stream:
    """Samples in, window scores out as they come, a verdict at the end.

    The verdict is that of the file path for any chunking. Holds at most two windows of audio, and
    with threads what these work on; then windows come later than their samples.
    """

    def __init__(self, scorer: Scorer, name: str, n_threads: int = 1) -> None:
        card = scorer.bundle.card
        self._scorer = scorer
        self._name = name
        self._repeated = False
        self._windows: list[WindowScore] = []
        hop_s, point = scorer.hop_s or card.hop_s, card.segments
        self._segments = None if point is None else SegmentTrack(point, hop_s / card.window_s)
        self._track = WindowTrack(
            scorer.bundle.expert_scores,
            window_s=card.window_s,
            hop_s=hop_s,
            gate_s=min(WINDOW_SPEECH_S, scorer.minimum_speech_s),
            n_threads=n_threads,
        )
        self.step = self._track.step

    def push(self, samples: FloatArray) -> tuple[WindowScore, ...]:
        """Take the next samples, shape [T] at 16 kHz, and return the windows they complete.

        Raises:
            AudioError: If they are not one-dimensional or not finite, or the stream is closed.
        """
        return self._add(self._track.push(samples))

    def n_missing(self) -> int:
        """Return how many samples at least complete the next window."""
        return self._track.n_missing()

    def close(self, origin: audio.Origin | None = None) -> Verdict:
        """Score what is left and return the verdict.

        Args:
            origin: Where the samples come from, for the warnings.

        Raises:
            AudioError: If the stream is closed already.
        """
        windows, self._repeated = self._track.close()
        self._add(windows)
        return self.so_far(origin)

    def sure_segments(self) -> tuple[Segment, ...]:
        """Return the synthetic segments whose ends are sure, in order of time."""
        return () if self._segments is None else self._segments.sure()

    def so_far(self, origin: audio.Origin | None = None) -> Verdict:
        """Return the verdict on the windows until now; arguments as `close` has them."""
        scorer, card = self._scorer, self._scorer.bundle.card
        quality, raw = self._track.gauge.quality(), self._track.scored()
        reason = no_verdict(quality, scorer.minimum_speech_s, raw.size)
        warnings = quality_warnings(quality, origin or audio.Origin())
        score = probability = decision = None
        experts: tuple[ExpertScore, ...] = ()
        segments: tuple[Segment, ...] | None = None if self._segments is None else ()
        duration_s = round(quality.duration_s, 4)
        if reason is None:
            counted = self._track.counted(card.pooling)
            score = self._llr(raw[counted].mean())
            probability = spoof_probability(score, scorer.spoof_prior)
            decision = decide(score, scorer.thresholds())
            if self._segments:
                segments = self._segments.segments(duration_s, score, scorer.thresholds())
                decision = decision_of(segments)
            scored = [window for window in self._windows if window.score is not None]
            experts = mean_of_experts([scored[index] for index in counted])
            zone = card.operating_points.surely_spoof, card.operating_points.surely_bonafide
            called = segments or ()
            warnings += window_warnings(self._windows, zone, called, repeated=self._repeated)
        return Verdict(
            source=self._name,
            score=score,
            spoof_probability=probability,
            decision=decision,
            reason=reason,
            windows=tuple(self._windows),
            warnings=tuple(warnings),
            duration_s=duration_s,
            speech_s=round(quality.speech_s, 2),
            operating_point=scorer.operating_point if scorer.threshold is None else "threshold",
            thresholds=scorer.thresholds(),
            spoof_prior=scorer.spoof_prior,
            detector=DetectorName(card.name, card.version, scorer.bundle.sha256),
            segments=segments,
            experts=experts,
            channel=scorer.channel,
            track=scorer.track,
        )

    def _add(self, windows: list[RawWindow]) -> tuple[WindowScore, ...]:
        names = self._scorer.bundle.experts
        new = tuple(
            WindowScore(
                round(window.start_s, 4),
                round(window.end_s, 4),
                None if window.score is None else self._llr(window.score),
                round(window.speech_s, 2),
                tuple(map(ExpertScore, names, map(self._llr, window.experts), window.weights)),
            )
            for window in windows
        )
        self._windows += new
        if self._segments is not None:
            self._segments.push(new)
        return new

    def _llr(self, raw: float) -> float:
        calibration = self._scorer.bundle.card.calibration
        return float(calibration.scale * raw + calibration.offset)
