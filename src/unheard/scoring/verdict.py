"""Verdict: the result of scoring one recording, and the rules that lead to it.

docs/verdict.md says what the numbers mean, and what they do not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from typing import Any, Literal

from unheard.audio import SAMPLE_RATE_HZ, Origin
from unheard.audio.activity import Quality, is_music

__all__ = [
    "MINIMUM_S",
    "MINIMUM_SPEECH_S",
    "OFFSET",
    "WINDOW_SPEECH_S",
    "Decision",
    "DetectorName",
    "ExpertScore",
    "Segment",
    "Verdict",
    "WindowScore",
    "clock",
    "decide",
    "mean_of_experts",
    "no_verdict",
    "percent",
    "quality_warnings",
    "spoof_probability",
    "window_warnings",
]

Decision = Literal["bonafide", "spoof", "undecided"]

MINIMUM_S = 0.2
"""Shorter recordings get no verdict."""

MINIMUM_SPEECH_S = 0.5
"""Recordings with less speech get no verdict, unless the user asks for one."""

WINDOW_SPEECH_S = 0.25
"""A window with less speech is not scored and does not enter the pool."""

OFFSET = 0.01
"""Mean of the samples, 1 is full scale, from which on it is a fault of the recorder."""

_MANY_SIGNALS_S = 0.5
_LITTLE_SPEECH_S = 2.0
_MOSTLY_SILENT = 0.2
_LONG_PAUSE_S = 60.0
_CLIPPED_SHARE = 1e-3
_QUIET_PEAK = 0.01
_NARROW_HZ = 4_500.0
_LIMITED_HZ = 6_000.0
_STEADY_DB = 2.0
_DISAGREEING_SHARE = 0.1
"""Twice the error of the undecided zone: fewer may stray by chance, but not two without overlap."""
_NAMED = 3


@dataclass(frozen=True)
class ExpertScore:
    """The score of one expert of a mixture, and how much it counts.

    Attributes:
        name: Of the expert.
        score: By the line that calibrates the mixture; higher is more bona fide. The weighted sum
            over experts is the mixture's score, if the mixture blends logits.
        weight: Share in the mixture, from 0 to 1; those of all experts sum to one.
    """

    name: str
    score: float
    weight: float


@dataclass(frozen=True)
class WindowScore:
    """The score of one window.

    Attributes:
        start_s: Where the window starts in the recording.
        end_s: Where its audio ends.
        score: Natural-log likelihood ratio, higher is more bona fide; None if the window holds
            too little speech to be scored.
        speech_s: Seconds of speech in it.
        experts: The score of each expert, if it is scored and the detector is a mixture.
    """

    start_s: float
    end_s: float
    score: float | None
    speech_s: float
    experts: tuple[ExpertScore, ...] = ()


@dataclass(frozen=True)
class Segment:
    """A stretch of a recording that is decided on by itself.

    Attributes:
        start_s: Where it starts.
        end_s: Where it ends and the next one starts.
        score: Mean score of its windows.
        decision: "spoof" if the operating point of segments calls it synthetic; else what the
            score says, never "spoof". Of a recording that is one segment it is its decision.
    """

    start_s: float
    end_s: float
    score: float
    decision: Decision


@dataclass(frozen=True)
class DetectorName:
    """Which detector gave a verdict; `sha256` is the hash of its bundle.json."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The verdict of a detector on one recording.

    Attributes:
        source: Path or name of the recording.
        score: Natural-log likelihood ratio of bona fide against spoof; None without a verdict.
        spoof_probability: Posterior probability of spoof under the stated prior, in [0, 1].
        decision: "bonafide", "spoof" or "undecided"; None without a verdict.
        reason: Why there is no verdict; None if there is one.
        windows: Scores along the recording, in order of time.
        segments: The recording from end to end, in stretches that are called synthetic and the
            rest; empty without a verdict, None if the detector has no operating point for them.
        experts: The scores of the experts of a mixture over the windows that make the score, see
            `mean_of_experts`; empty without a verdict, and for a detector that is no mixture.
        warnings: Reasons to doubt the verdict, as sentences.
        duration_s: Length of the recording.
        speech_s: Seconds of speech found in it.
        operating_point: How the decision was made: a published point, or "threshold".
        thresholds: A score below the first is spoof, at or above the second is bona fide.
        spoof_prior: Probability of spoof before listening that `spoof_probability` stands on.
        detector: Which detector it is from.
        channel: Which channel was scored, as a `Scorer` has it.
        track: Which audio track was scored, as a `Scorer` has it.
        parts: Of a file whose channels or tracks were scored each, their verdicts; else empty.
    """

    source: str
    score: float | None
    spoof_probability: float | None
    decision: Decision | None
    reason: str | None
    windows: tuple[WindowScore, ...]
    warnings: tuple[str, ...]
    duration_s: float
    speech_s: float
    operating_point: str
    thresholds: tuple[float, float]
    spoof_prior: float
    detector: DetectorName
    segments: tuple[Segment, ...] | None = None
    experts: tuple[ExpertScore, ...] = ()
    channel: str = "mix"
    track: str = "default"
    parts: tuple[Verdict, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict as JSON has it: dicts, lists, strings, numbers and None."""
        plain = asdict(replace(self, parts=()))
        plain["parts"] = [part.to_dict() for part in self.parts]
        for window in plain["windows"]:
            window["experts"] = list(window["experts"])
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in plain.items()
        }


def mean_of_experts(windows: Sequence[WindowScore]) -> tuple[ExpertScore, ...]:
    """Return the score and weight of each expert over several windows together.

    An expert's weight is its mean weight over the windows. Its score is the mean of its scores,
    each weighing what the expert weighs there, so that the weighted sum over experts stays the
    mean of the windows' weighted sums. An expert of no weight anywhere has its plain mean score.

    Args:
        windows: Those that were scored, all by one detector.
    """
    means: list[ExpertScore] = []
    for scores in zip(*(window.experts for window in windows), strict=True):
        total = math.fsum(expert.weight for expert in scores)
        shares = (
            [expert.weight / total for expert in scores]
            if total
            else [1 / len(scores)] * len(scores)
        )
        score = math.fsum(
            share * expert.score for share, expert in zip(shares, scores, strict=True)
        )
        means.append(ExpertScore(scores[0].name, score, total / len(scores)))
    return tuple(means)


def spoof_probability(score: float, spoof_prior: float) -> float:
    """Return the posterior probability of spoof, from a natural-log likelihood ratio.

    Source:
        Bayes' rule in odds: logit P(bona fide | clip) = score + logit P(bona fide).
    """
    logit = score + math.log1p(-spoof_prior) - math.log(spoof_prior)
    if logit < 0:
        return 1 / (1 + math.exp(logit))
    return math.exp(-logit) / (1 + math.exp(-logit))


def clock(seconds: float) -> str:
    """Return a time in a recording as people write it: 0:04, 0:04.5, 1:02:03."""
    tenths = round(max(0.0, seconds) * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    second = f"{rest // 10:02d}" + (f".{rest % 10}" if rest % 10 else "")
    return f"{hours}:{minutes:02d}:{second}" if hours else f"{minutes}:{second}"


def percent(probability: float) -> str:
    """Return a probability for people, never as certain: "<0.1 %", "12.3 %", ">99.9 %"."""
    if probability < 0.001:
        return "<0.1 %"
    return ">99.9 %" if probability > 0.999 else f"{100 * probability:.1f} %"


def decide(score: float, thresholds: tuple[float, float]) -> Decision:
    """Return "spoof" below the first threshold, "bonafide" from the second, else "undecided"."""
    low, high = thresholds
    if score < low:
        return "spoof"
    return "bonafide" if score >= high else "undecided"


def no_verdict(quality: Quality, minimum_speech_s: float, n_scored: int) -> str | None:
    """Return why a recording gets no verdict, or None if it gets one.

    Args:
        quality: What the recording is like.
        minimum_speech_s: Speech that is asked for.
        n_scored: Number of windows that held enough speech to be scored.
    """
    if quality.duration_s < MINIMUM_S:
        return (
            f"{quality.duration_s:.2f} s of audio, at least {MINIMUM_S:g} s needed; "
            "give a longer recording"
        )
    if quality.peak == 0:
        return (
            "every sample is zero (digital silence), speech needed; "
            "record it again, or give another channel"
        )
    if quality.speech_s + quality.music_s < minimum_speech_s <= quality.signals_s:
        return (
            f"only signal tones are heard ({quality.signals_s:.1f} s of ringing, busy, key "
            "or other tones), speech needed; give a passage in which someone speaks"
        )
    if quality.speech_s + quality.music_s < minimum_speech_s:
        quiet = " (the recording is very quiet)" if quality.peak < _QUIET_PEAK else ""
        return (
            f"{quality.speech_s:.2f} s of speech found{quiet}, at least {minimum_speech_s:g} s "
            "needed; give a passage with more or louder speech, or accept less with --min-speech"
        )
    if quality.level_spread_db < _STEADY_DB:
        return (
            f"the sound is as steady as noise or a tone: its level varies by "
            f"{quality.level_spread_db:.1f} dB, that of speech by {_STEADY_DB:g} dB and more; "
            "give a recording in which the voice stands out"
        )
    mostly_music = is_music(quality.held_tones, quality.level_spread_db)
    if mostly_music or quality.speech_s < minimum_speech_s:
        return (
            f"it sounds like music: tones are held in {quality.held_tones:.0%} of the spectrum, "
            "in speech they glide; give a passage in which the voice is alone"
        )
    if not n_scored:
        return (
            f"the {quality.speech_s:.2f} s of speech found are scattered, no window holds "
            f"{WINDOW_SPEECH_S:g} s; give a passage of continuous speech"
        )
    return None


def quality_warnings(quality: Quality, origin: Origin) -> list[str]:
    """Return what about a recording gives reason to doubt a verdict, as sentences."""
    warnings: list[str] = []
    source_rate_hz = origin.rate_hz
    if 0 < quality.speech_s < _LITTLE_SPEECH_S:
        warnings.append(
            f"only {quality.speech_s:.1f} s of speech: short clips are scored less well"
        )
    if source_rate_hz < SAMPLE_RATE_HZ:
        warnings.append(
            f"recorded at {source_rate_hz} Hz: nothing above {source_rate_hz / 2000:g} kHz can be "
            "heard, where many traces of synthesis lie"
        )
    elif 0 < quality.bandwidth_hz < _LIMITED_HZ:
        cause = "telephone band or upsampled" if quality.bandwidth_hz < _NARROW_HZ else "low-pass"
        warnings.append(
            f"almost nothing above {quality.bandwidth_hz / 1000:.1f} kHz ({cause}): "
            "traces of synthesis may have been cut off"
        )
    if quality.clipped_share > _CLIPPED_SHARE and not origin.cut_off:
        warnings.append(f"clipped: {quality.clipped_share:.1%} of samples are at full scale")
    if 0 < quality.peak < _QUIET_PEAK:
        warnings.append("very quiet: the peak is more than 40 dB below full scale")
    if abs(quality.offset) > OFFSET:
        warnings.append(
            f"its samples lie {abs(quality.offset):.1%} of full scale off zero, as cheap sound "
            "cards leave them: the offset was removed"
        )
    if quality.signals_s >= _MANY_SIGNALS_S:
        warnings.append(
            f"{quality.signals_s:.1f} s of it are signal tones (ringing, busy, keys) and were not "
            "scored"
        )
    if quality.music_s:
        warnings.append(f"{quality.music_s:.0f} s of it sound like music and were not scored")
    elif 0 < quality.speech_s < _MOSTLY_SILENT * quality.duration_s:
        share = quality.speech_s / quality.duration_s
        warnings.append(f"mostly silence: only {share:.0%} of the recording is speech")
    if quality.speech_s and quality.longest_pause_s >= _LONG_PAUSE_S:
        warnings.append(f"a gap of {quality.longest_pause_s:.0f} s without speech")
    return [*warnings, *origin.notes]


def window_warnings(
    windows: Sequence[WindowScore],
    zone: tuple[float, float],
    segments: Sequence[Segment] = (),
    *,
    repeated: bool,
) -> list[str]:
    """Return what about the windows gives reason to doubt a verdict, as sentences.

    Args:
        windows: All windows of the recording.
        zone: The scores below which a clip is surely spoof and from which surely bona fide.
        segments: Of the recording; windows of one that is called synthetic say so already.
        repeated: Whether a recording shorter than a window was repeated to fill it.
    """
    repeat = "shorter than the detector's window, so it was repeated to fill it"
    warnings = [repeat] if repeated else []
    called = [segment for segment in segments if segment.decision == "spoof"]
    scored = [
        (window.score, window)
        for window in windows
        if window.score is not None
        and not any(part.start_s < _middle_s(window) < part.end_s for part in called)
    ]
    spoof = [window for score, window in scored if score < zone[0]]
    human = [window for score, window in scored if score > max(0.0, zone[0])]
    if not (_disagrees(spoof, scored) and _disagrees(human, scored)):
        return warnings
    few, word = (spoof, "spoofed") if len(spoof) <= len(human) else (human, "bona fide")
    stretches = _stretches(few, scored)
    longest = sorted(stretches, key=len, reverse=True)[:_NAMED]
    times = ", ".join(
        f"{clock(stretch[0].start_s)} to {clock(stretch[-1].end_s)}"
        for stretch in sorted(longest, key=lambda stretch: stretch[0].start_s)
    )
    more = f" and {len(stretches) - len(longest)} more" if len(stretches) > len(longest) else ""
    warnings.append(
        f"windows disagree: {len(few)} of {len(scored)} look {word}, at {times}{more}; "
        "it may be spoofed in part"
    )
    return warnings


def _middle_s(window: WindowScore) -> float:
    return (window.start_s + window.end_s) / 2


def _disagrees(side: list[WindowScore], scored: list[tuple[float, WindowScore]]) -> bool:
    """Whether windows are too many, or too many in a row, to stray by chance."""
    if len(side) > _DISAGREEING_SHARE * len(scored):
        return True
    return any(rows[-1].start_s >= rows[0].end_s for rows in _stretches(side, scored))


def _stretches(
    side: list[WindowScore], scored: list[tuple[float, WindowScore]]
) -> list[list[WindowScore]]:
    """Return the windows of one side in stretches of neighbours."""
    inside = {id(window) for window in side}
    runs = groupby((window for _, window in scored), lambda window: id(window) in inside)
    return [list(run) for of_side, run in runs if of_side]
