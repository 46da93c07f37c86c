"""Scorer: a file, an array or a stream of samples -> Verdict.

Training's dev check, evaluation, the command line and the service all score through `Stream`, so
that a clip has one score wherever it is asked for. docs/verdict.md says what the numbers mean.

N windows, T samples at 16 kHz.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from unheard import audio
from unheard.audio.activity import Gauge
from unheard.errors import AudioError, BundleError, RecipeError, suggestion
from unheard.scoring.verdict import (
    MINIMUM_SPEECH_S,
    WINDOW_SPEECH_S,
    DetectorName,
    ExpertScore,
    Verdict,
    WindowScore,
    decide,
    mean_of_experts,
    no_verdict,
    quality_warnings,
    spoof_probability,
    window_warnings,
)
from unheard.types import FloatArray, IntArray

if TYPE_CHECKING:
    from unheard.detectors.bundle import Bundle

__all__ = [
    "OPERATING_POINTS",
    "POOLING",
    "DetectorName",
    "Scorer",
    "Stream",
    "Verdict",
    "WindowScore",
    "pooled",
]

OPERATING_POINTS = ("sure", "balanced", "false_alarm_1pct", "miss_1pct")
"""Published ways to turn a score into a decision; docs/verdict.md defines them."""

_BATCH_WINDOWS = 4
"""Windows a detector gets at once; more cost memory, no faster on processors (bench/score.py)."""

_Scores = tuple[FloatArray, FloatArray, FloatArray]
"""Scores [N], and of E experts scores and weights [N, E], as `Bundle.expert_scores` gives them."""

POOLING: dict[str, Callable[[FloatArray], IntArray]] = {
    "mean": lambda scores: np.arange(scores.size),
    # A spoofed part is not outvoted by the rest.
    "lowest": lambda scores: np.argsort(scores, kind="stable")[: math.ceil(scores.size / 4)],
}
"""Rules that say of which windows a recording's score is the mean: raw scores [N] -> indices."""


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
    """

    bundle: Bundle
    operating_point: str = "sure"
    threshold: float | None = None
    spoof_prior: float = 0.5
    minimum_speech_s: float = MINIMUM_SPEECH_S
    hop_s: float | None = None

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

    def file(self, source: audio.Source, *, name: str = "") -> Verdict:
        """Score a file, encoded bytes or a binary stream, at constant memory.

        Raises:
            AudioError: If it cannot be opened or decoded.
        """
        with audio.open_stream(source, name=name) as opened:
            stream = self.stream(name=opened.name)
            for samples in _gathered(opened, stream.step):
                stream.push(samples)
            return stream.close(
                source_rate_hz=opened.source_rate_hz, n_bad_packets=opened.n_bad_packets
            )

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

    The verdict is that of the file path for any chunking. Holds at most two windows of audio.
    """

    def __init__(self, scorer: Scorer, name: str) -> None:
        card = scorer.bundle.card
        self._scorer = scorer
        self._name = name
        self._repeated = False
        self._windows: list[WindowScore] = []
        self._track = _Track(
            scorer.bundle.expert_scores,
            window_s=card.window_s,
            hop_s=scorer.hop_s or card.hop_s,
            gate_s=min(WINDOW_SPEECH_S, scorer.minimum_speech_s),
        )
        self.step = self._track.step

    def push(self, samples: FloatArray) -> tuple[WindowScore, ...]:
        """Take the next samples, shape [T] at 16 kHz, and return the windows they complete.

        Raises:
            AudioError: If they are not one-dimensional or not finite, or the stream is closed.
        """
        return self._add(self._track.push(samples))

    def close(
        self, *, source_rate_hz: int = audio.SAMPLE_RATE_HZ, n_bad_packets: int = 0
    ) -> Verdict:
        """Score what is left and return the verdict.

        Args:
            source_rate_hz: Rate before resampling, for the warnings.
            n_bad_packets: Damaged packets that were skipped, for the warnings.

        Raises:
            AudioError: If the stream is closed already.
        """
        windows, self._repeated = self._track.close()
        self._add(windows)
        return self.so_far(source_rate_hz, n_bad_packets)

    def so_far(self, source_rate_hz: int = audio.SAMPLE_RATE_HZ, n_bad_packets: int = 0) -> Verdict:
        """Return the verdict on the windows until now; arguments as `close` has them."""
        scorer, card = self._scorer, self._scorer.bundle.card
        quality, raw = self._track.gauge.quality(), self._track.scored()
        reason = no_verdict(quality, scorer.minimum_speech_s, raw.size)
        warnings = quality_warnings(
            quality, source_rate_hz=source_rate_hz, n_bad_packets=n_bad_packets
        )
        score = probability = decision = None
        experts: tuple[ExpertScore, ...] = ()
        if reason is None:
            counted = POOLING[card.pooling](raw)
            score = self._llr(raw[counted].mean())
            probability = spoof_probability(score, scorer.spoof_prior)
            decision = decide(score, scorer.thresholds())
            scored = [window for window in self._windows if window.score is not None]
            experts = mean_of_experts([scored[index] for index in counted])
            zone = card.operating_points.surely_spoof, card.operating_points.surely_bonafide
            warnings += window_warnings(self._windows, zone, repeated=self._repeated)
        return Verdict(
            source=self._name,
            score=score,
            spoof_probability=probability,
            decision=decision,
            reason=reason,
            windows=tuple(self._windows),
            warnings=tuple(warnings),
            duration_s=round(quality.duration_s, 4),
            speech_s=round(quality.speech_s, 2),
            operating_point=scorer.operating_point if scorer.threshold is None else "threshold",
            thresholds=scorer.thresholds(),
            spoof_prior=scorer.spoof_prior,
            detector=DetectorName(card.name, card.version, scorer.bundle.sha256),
            experts=experts,
        )

    def _add(self, windows: list[_RawWindow]) -> tuple[WindowScore, ...]:
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
        return new

    def _llr(self, raw: float) -> float:
        calibration = self._scorer.bundle.card.calibration
        return float(calibration.scale * raw + calibration.offset)


def pooled(
    score_windows: Callable[[FloatArray], FloatArray],
    samples: FloatArray,
    *,
    window_s: float,
    hop_s: float,
    pooling: str,
) -> float:
    """Return the pooled raw score of one clip, as `Scorer` does before calibration.

    Windows with too little speech do not count, unless no window has enough: then all count.

    Args:
        score_windows: The detector, [N, T] float32 -> [N].
        samples: Shape [T] at 16 kHz in [-1, 1].
        window_s: Length of a window.
        hop_s: Distance between windows.
        pooling: One of `POOLING`.

    Raises:
        AudioError: If there are no samples, or they are not one-dimensional or not finite.
        RecipeError: If no pooling rule has that name.
    """
    if pooling not in POOLING:
        raise RecipeError(f"no pooling rule is called {pooling!r}{suggestion(pooling, POOLING)}")

    def without_experts(windows: FloatArray) -> _Scores:
        none = np.empty((len(windows), 0))
        return score_windows(windows), none, none

    for gate_s in (WINDOW_SPEECH_S, 0.0):
        track = _Track(without_experts, window_s=window_s, hop_s=hop_s, gate_s=gate_s)
        track.push(samples)
        track.close()
        if track.scored().size:
            raw = track.scored()
            return float(raw[POOLING[pooling](raw)].mean())
    raise AudioError("no samples to score; give at least one")


@dataclass(frozen=True)
class _RawWindow:
    start_s: float
    end_s: float
    speech_s: float
    score: float | None
    experts: list[float]
    weights: list[float]


class _Track:
    """Cuts samples into windows, measures their speech, scores those with enough of it."""

    def __init__(
        self,
        score_windows: Callable[[FloatArray], _Scores],
        *,
        window_s: float,
        hop_s: float,
        gate_s: float,
    ) -> None:
        self.gauge = Gauge()
        self.step = _BATCH_WINDOWS * round(hop_s * audio.SAMPLE_RATE_HZ)
        self._score_windows = score_windows
        self._windower = audio.Windower(window_s, hop_s)
        self._gate_s = gate_s
        self._scores: list[float] = []
        self._closed = False

    def push(self, samples: FloatArray) -> list[_RawWindow]:
        samples = np.asarray(samples, np.float32)
        if self._closed:
            raise AudioError("this stream is closed; make a new one for the next recording")
        if samples.ndim != 1:
            raise AudioError(
                f"samples of shape {samples.shape}, one channel needed; "
                "give an array of shape [T], or a file, whose channels are mixed"
            )
        if not np.isfinite(samples).all():
            raise AudioError("samples hold NaN or infinite values; repair them before scoring")
        scored: list[_RawWindow] = []
        for start in range(0, samples.size, self.step):
            piece = samples[start : start + self.step]
            self.gauge.push(piece)
            scored += self._scored(self._windower.push(piece))
        return scored

    def close(self) -> tuple[list[_RawWindow], bool]:
        """Return the windows that were left, and whether a short clip was repeated."""
        if self._closed:
            raise AudioError("this stream is closed; make a new one for the next recording")
        self._closed = True
        last = self._windower.close()
        return self._scored(last), last.repeated

    def scored(self) -> FloatArray:
        return np.array(self._scores, np.float64)

    def _scored(self, framed: audio.Windows) -> list[_RawWindow]:
        times = list(zip(framed.starts_s.tolist(), framed.ends_s.tolist(), strict=True))
        speech_s = [self.gauge.speech_s(start_s, end_s) for start_s, end_s in times]
        enough = np.array([amount_s >= self._gate_s for amount_s in speech_s], bool)
        scores: Iterator[tuple[float, list[float], list[float]]] = iter(())
        if enough.any():
            samples = framed.samples if enough.all() else framed.samples[enough]
            outputs = [np.asarray(output, np.float64) for output in self._score_windows(samples)]
            if not all(np.isfinite(output).all() for output in outputs):
                raise BundleError(
                    f"the detector gave a score that is not finite, near {times[0][0]:g} s; "
                    "its weights are damaged: train it again, or use another detector"
                )
            self._scores += outputs[0].tolist()
            scores = zip(*(output.tolist() for output in outputs), strict=True)
        return [
            _RawWindow(start_s, end_s, amount_s, *(next(scores) if counts else (None, [], [])))
            for (start_s, end_s), amount_s, counts in zip(times, speech_s, enough, strict=True)
        ]


def _gathered(chunks: Iterable[FloatArray], n_samples: int) -> Iterator[FloatArray]:
    """Join small chunks, so that windows reach the detector in batches."""
    waiting: list[FloatArray] = []
    n_waiting = 0
    for chunk in chunks:
        waiting.append(chunk)
        n_waiting += chunk.size
        if n_waiting >= n_samples:
            yield np.concatenate(waiting)
            waiting, n_waiting = [], 0
    if waiting:
        yield np.concatenate(waiting)
