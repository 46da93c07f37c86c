"""A live verdict, which grows with the recording, and a rule for deciding before its end.

A recording's score is the mean of its windows' scores, so a score after some windows is an
estimate of the score at the end. `EarlyDecision` puts a margin around it that holds at all times
at once, however often one looks: once the margin lies inside one side of the thresholds, listening
on is not expected to change the decision. It says nothing of whether the decision is right: that is
the detector's error, and no length of listening fixes it. docs/stream.md has both, measured.

N windows.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from unheard import audio
from unheard.errors import RecipeError
from unheard.scoring.scorer import Scorer
from unheard.scoring.verdict import Decision, Segment, Verdict, WindowScore, decide
from unheard.types import FloatArray

__all__ = ["EarlyDecision", "LiveVerdict", "Update"]


@dataclass(frozen=True, kw_only=True)
class EarlyDecision:
    """How sure of a recording's score one must be to decide before its end.

    The margin of the mean of n windows that do not overlap, of spread s, is

        s sqrt(2 (n r + 1) / (n n r) ln(sqrt(n r + 1) / error)),
        r = (-2 ln(error) + ln(-2 ln(error)) + 1) / best_windows

    Overlapping windows count by what they add: n is their number times hop over window. The spread
    is that of the windows' scores until now, with `assumed_spread` weighing `assumed_windows`.

    Attributes:
        error: Chance that the score at the end lies outside the margin at any time before it,
            in (0, 1); of decisions made early at most so many are expected to change.
        first_speech_s: No decision before so much speech.
        best_windows: Number of windows, none overlapping, after which the margin is tightest for
            its error; a field of the source that it leaves open.
        assumed_spread: Standard deviation of windows' scores in one recording before any was
            scored, in units of the score.
        assumed_windows: How many windows that assumption weighs.

    Raises:
        RecipeError: If a value does not fit.

    Source:
        I. Waudby-Smith, D. Arbour, R. Sinha, E. H. Kennedy, A. Ramdas, "Time-uniform central limit
        theory and asymptotic confidence sequences", Annals of Statistics 52 (2024), arXiv
        2103.06476. Differences: overlapping windows, and an assumed spread for the first ones,
        where an asymptotic margin would be too narrow. It assumes that windows of one recording
        vary alike and independently; the error measured is in docs/stream.md.
    """

    error: float = 0.05
    first_speech_s: float = 4.0
    best_windows: float = 8.0
    assumed_spread: float = 1.0
    assumed_windows: float = 8.0

    def __post_init__(self) -> None:
        if not 0 < self.error < 1 / math.e:
            raise RecipeError(
                f"an error of {self.error} is asked of early decisions; "
                "give more than 0 and less than 0.36, such as 0.05"
            )
        if not (math.isfinite(self.first_speech_s) and self.first_speech_s >= 0):
            raise RecipeError(
                f"no decision before {self.first_speech_s} s of speech; give 0 or more"
            )
        for name in ("best_windows", "assumed_spread", "assumed_windows"):
            value: float = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise RecipeError(f"{name} of an early decision is {value}; give more than 0")

    def margin(self, scores: FloatArray, overlap: float = 1.0) -> float:
        """Return how far the mean of scores may be from that of all that is to come.

        Args:
            scores: Of the windows until now, shape [N], N at least 1.
            overlap: Hop over window, in (0, 1]: what a window adds to the one before it.
        """
        n = len(scores) * overlap
        squares = float(np.square(scores - scores.mean()).sum()) * overlap
        assumed = self.assumed_windows * self.assumed_spread**2
        spread = math.sqrt((squares + assumed) / (n + self.assumed_windows))
        log = -2 * math.log(self.error)
        t = n * (log + math.log(log) + 1) / self.best_windows
        return spread * math.sqrt(2 * (t + 1) / (n * t) * math.log(math.sqrt(t + 1) / self.error))


@dataclass(frozen=True, kw_only=True)
class Update:
    """What is known after a window.

    Attributes:
        window: The window.
        score: Of the windows until now, as a verdict has it; None while there is no verdict.
        margin: How far the score at the end may be from it; None while there is no verdict, or if
            the detector pools by another rule than "mean".
        spoof_probability: By that score.
        decision: What would be decided if the recording ended here; None without a verdict.
        reason: Why there is no verdict; None if there is one.
        warnings: Reasons to doubt it, until now.
        segments: Synthetic segments whose ends became sure with this window.
        final: The decision that the rule made, at this window or before; None until it does. A
            synthetic segment makes it "spoof", whatever was decided before.
        final_at_s: Seconds of the recording that it took.
        heard_s: Seconds of the recording until now.
        speech_s: Seconds of speech in them.
        latency_s: Seconds from when the window's last sample was pushed until it was scored.
    """

    window: WindowScore
    score: float | None
    margin: float | None
    spoof_probability: float | None
    decision: Decision | None
    reason: str | None
    warnings: tuple[str, ...]
    segments: tuple[Segment, ...]
    final: Decision | None
    final_at_s: float | None
    heard_s: float
    speech_s: float
    latency_s: float = field(compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it: {"window": {...}, "running": {...}}."""
        plain = asdict(self)
        window = plain.pop("window")
        window["experts"] = list(window["experts"])
        plain["warnings"] = list(plain["warnings"])
        plain["segments"] = list(plain["segments"])
        return {"window": window, "running": plain}


class LiveVerdict:
    """Samples in, a window's score and the verdict until then out; the file's verdict at the end.

    Updates are the same for any chunking, up to the rounding of float32, save for `latency_s`.
    Holds at most two windows of audio.
    """

    def __init__(
        self,
        scorer: Scorer,
        rule: EarlyDecision | None = None,
        *,
        name: str = "stream",
        origin: Callable[[], audio.Origin] = audio.Origin,
    ) -> None:
        """Start a recording.

        Args:
            scorer: What scores it.
            rule: When to decide before the end; `EarlyDecision()` if None. Of a detector that pools
                by another rule than "mean" nothing is decided early: a part yet to come may count
                for all.
            name: What to call the recording in the verdict.
            origin: Gives what is known until now of where the samples come from.
        """
        card = scorer.bundle.card
        hop_s = scorer.hop_s or card.hop_s
        self._rule = EarlyDecision() if rule is None else rule
        self._stream = scorer.stream(name=name)
        self._origin = origin
        self._has_margin = card.pooling == "mean"
        self._overlap = hop_s / card.window_s
        self._scores: list[float] = []
        self._n_segments = 0
        self._final: tuple[Decision, float] | None = None

    def push(self, samples: FloatArray) -> tuple[Update, ...]:
        """Take the next samples, shape [T] at 16 kHz; return an update for each window they end.

        Raises:
            AudioError: If they are not one-dimensional or not finite, or it is closed.
        """
        pushed_s = time.perf_counter()
        samples = np.asarray(samples, np.float32)
        updates: list[Update] = []
        at = 0
        while at < samples.size:
            piece = samples[at : at + self._stream.n_missing()] if samples.ndim == 1 else samples
            updates += [self._update(window, pushed_s) for window in self._stream.push(piece)]
            at += piece.size
        return tuple(updates)

    def close(self) -> Verdict:
        """Score what is left and return the verdict, which is that of the file.

        Raises:
            AudioError: If it is closed already.
        """
        return self._stream.close(self._origin())

    def _update(self, window: WindowScore, pushed_s: float) -> Update:
        if window.score is not None:
            self._scores.append(window.score)
        verdict = self._stream.so_far(self._origin())
        sure = self._stream.sure_segments()
        new, self._n_segments = sure[self._n_segments :], len(sure)
        if new and (self._final or ("", 0.0))[0] != "spoof":
            self._final = "spoof", verdict.duration_s
        margin = None
        if verdict.score is not None and self._has_margin:
            margin = self._rule.margin(np.array(self._scores), self._overlap)
            if self._final is None and verdict.speech_s >= self._rule.first_speech_s:
                low = decide(verdict.score - margin, verdict.thresholds)
                if low == decide(verdict.score + margin, verdict.thresholds):
                    self._final = low, verdict.duration_s
        final, final_at_s = self._final or (None, None)
        return Update(
            window=window,
            score=verdict.score,
            margin=margin,
            spoof_probability=verdict.spoof_probability,
            decision=verdict.decision,
            reason=verdict.reason,
            warnings=verdict.warnings,
            segments=new,
            final=final,
            final_at_s=final_at_s,
            heard_s=verdict.duration_s,
            speech_s=verdict.speech_s,
            latency_s=round(time.perf_counter() - pushed_s, 4),
        )
