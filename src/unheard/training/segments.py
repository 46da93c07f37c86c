"""The operating point of segments: two numbers chosen on dev recordings with known splices.

Every pair of a grid is tried. Those that call more than one stretch an hour of people's speech
synthetic are out; of the others the pair wins under which what is called and what was put in
overlap most. So few hours of speech decide that the rate of the winner is flattered. So the rate is
also taken on hosts that the choice has not seen, by folds over hosts, and the evidence raised, step
by step of the grid, until that rate too is at most one an hour. The card states the latter.

R recordings, L levels, E amounts of evidence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from unheard.data.clip import Clip, Manifest, values_of
from unheard.data.segment_labels import NOTE, read_stretches
from unheard.detectors import bundle as bundles
from unheard.detectors.card import Card
from unheard.detectors.segment_point import SegmentPoint
from unheard.errors import TrainingError
from unheard.metrics import find_runs
from unheard.metrics.segments import match, per_hour
from unheard.scoring.many import Settings, Task, score_many
from unheard.scoring.segments import bounds_s
from unheard.scoring.verdict import WindowScore
from unheard.types import BoolArray, FloatArray, Say
from unheard.workers import with_progress

__all__ = ["MOST_PER_HOUR", "Spliced", "choose", "fit_segments", "scored"]

MOST_PER_HOUR = 1.0
"""False segments in an hour of people's speech that the operating point may give on dev."""

FITTED_ON = ("dev", "val")
"""How the names of parts begin that an operating point may be chosen on."""

LEVELS = tuple(np.arange(-4.0, 1.01, 0.5).tolist())
EVIDENCES = tuple(np.round(np.geomspace(0.3, 20.0, 20), 2).tolist())

_FOLDS = 5


@dataclass(frozen=True, eq=False)
class Spliced:
    """A recording as the rule sees it, and what is true of it.

    Attributes:
        host: Voice or page that it is of; folds keep hosts whole.
        recording: Which recording it is; under several codings it is one.
        scores: Of its N windows that were scored, in order, shape [N].
        edges_s: Where each begins and ends to speak for the recording, shape [N + 1].
        truth: Synthetic stretches, shape [K, 2].
        duration_s: Its length.
    """

    host: str
    recording: str
    scores: FloatArray
    edges_s: FloatArray
    truth: FloatArray
    duration_s: float

    def called(self, level: float, evidence: float, weight: float) -> FloatArray:
        """Return the stretches that the rule calls synthetic, shape [M, 2]."""
        runs = find_runs(self.scores, level=level, evidence=evidence, weight=weight)
        pairs = [(self.edges_s[run.first], self.edges_s[run.last + 1]) for run in runs]
        return np.array(pairs, np.float64).reshape(-1, 2)


def fit_segments(
    bundle: Path,
    manifest: Manifest,
    *,
    parts: Sequence[str] = ("dev",),
    jobs: int = 1,
    say: Say = lambda _: None,
) -> Card:
    """Choose the operating point of segments of a detector and write it into its card.

    Args:
        bundle: Folder of the detector; exported or not.
        manifest: Recordings with the note "segments", as `unheard generate splices` writes them.
        parts: Parts to choose on, for dev alone.
        jobs: Processes that score.
        say: Takes lines of progress.

    Returns:
        The new card. The bundle's hash changes with it, the scores do not.

    Raises:
        TrainingError: If a part is not one to choose on, the note is lacking, there are not people
            and splices, or no pair of numbers keeps the rate.
        BundleError: If there is no bundle.
        ManifestError: If a part has no clip, or a note is no note of segments.
    """
    for part in parts:
        if not part.startswith(FITTED_ON):
            raise TrainingError(
                f"segments are not fitted on part {part!r}: a threshold must not be chosen on what "
                f"a detector is tested on; give parts whose names begin with {', '.join(FITTED_ON)}"
            )
    chosen = manifest.part(*parts)
    card = bundles.read_card(bundle)
    recordings = scored(bundle, chosen, jobs=jobs, say=say)
    point = choose(recordings, card.hop_s / card.window_s, say=say)
    return bundles.set_segments(
        bundle,
        point.model_copy(
            update={"date": f"{datetime.now(UTC):%Y-%m-%d}", "manifest": chosen.sha256()}
        ),
    )


def choose(
    recordings: Sequence[Spliced], weight: float, *, say: Say = lambda _: None
) -> SegmentPoint:
    """Return the pair of numbers that keeps the rate and finds most, with what it does on dev.

    Args:
        recordings: R of them, of people and with splices.
        weight: What a window weighs, hop over window.
        say: Takes a line on what was found.

    Raises:
        TrainingError: If there are not recordings of both kinds, or no pair keeps the rate.
    """
    spliced = np.array([len(one.truth) > 0 for one in recordings], bool)
    if spliced.all() or not spliced.any():
        raise TrainingError(
            f"{int(spliced.sum())} of {spliced.size} recordings have a synthetic stretch; both "
            "kinds are needed: make them with `unheard generate splices`"
        )
    false, overlap, found = _tried(recordings, weight)
    hours = np.array([one.duration_s for one in recordings]) / 3600
    people, names = ~spliced, np.array([one.recording for one in recordings])
    for more in range(len(EVIDENCES)):
        best = _best(false, overlap, hours, spliced, np.ones(spliced.size, bool), more)
        unseen = _false_unseen(recordings, false, overlap, hours, spliced, more)[people]
        if unseen.sum() <= MOST_PER_HOUR * hours[people].sum():
            break
    rate, interval = per_hour(unseen, hours[people], names[people])
    n_true = sum(len(one.truth) for one in recordings)
    fitted = false[best][people].sum() / hours[people].sum()
    say(
        f"level {LEVELS[best[0]]:+.2f}, evidence {EVIDENCES[best[1]]:.2f}: {fitted:.2f} false "
        f"segments an hour where it was chosen, {rate:.2f} ({interval.low:.2f} to "
        f"{interval.high:.2f}) on hosts that the choice had not seen; "
        f"{found[best].sum() / n_true:.0%} of {n_true} stretches found"
    )
    distinct = {one.recording: one.duration_s for one in recordings if not len(one.truth)}
    return SegmentPoint(
        level=LEVELS[best[0]],
        evidence=EVIDENCES[best[1]],
        false_per_hour=rate,
        low=interval.low,
        high=interval.high,
        hours=sum(distinct.values()) / 3600,
        found=float(found[best].sum() / n_true),
        n_inserted=n_true,
    )


def _tried(recordings: Sequence[Spliced], weight: float) -> tuple[FloatArray, ...]:
    """Return false segments, overlap and stretches found, each [L, E, R], of all pairs."""
    false, overlap, found = (
        np.zeros((len(LEVELS), len(EVIDENCES), len(recordings))) for _ in range(3)
    )
    for row, level in enumerate(LEVELS):
        for column, evidence in enumerate(EVIDENCES):
            for place, one in enumerate(recordings):
                called = one.called(level, evidence, weight)
                matched = match(one.truth, called)
                false[row, column, place] = matched.n_false
                found[row, column, place] = matched.found.sum()
                overlap[row, column, place] = _overlap(one.truth, called)
    return false, overlap, found


def _false_unseen(
    recordings: Sequence[Spliced],
    false: FloatArray,
    overlap: FloatArray,
    hours: FloatArray,
    spliced: BoolArray,
    more: int,
) -> FloatArray:
    """Return the false segments of each recording by a pair chosen without its host, shape [R]."""
    folds = np.unique([one.host for one in recordings], return_inverse=True)[1] % _FOLDS
    unseen = np.zeros(spliced.size)
    for fold in range(_FOLDS):
        inside, others = folds == fold, folds != fold
        if inside.any() and (others & spliced).any() and (others & ~spliced).any():
            unseen[inside] = false[_best(false, overlap, hours, spliced, others, more)][inside]
    return unseen


def _best(
    false: FloatArray,
    overlap: FloatArray,
    hours: FloatArray,
    spliced: BoolArray,
    inside: BoolArray,
    more: int,
) -> tuple[int, int]:
    """Return the place [L, E] that keeps the rate and overlaps most, so many steps of E further."""
    people, splices = inside & ~spliced, inside & spliced
    rate = false[..., people].sum(axis=-1) / hours[people].sum()
    gain = np.where(rate <= MOST_PER_HOUR, overlap[..., splices].mean(axis=-1), -1.0)
    if gain.max() < 0:
        raise TrainingError(
            f"no level and evidence keep to {MOST_PER_HOUR:g} false segments an hour; the least "
            f"is {rate.min():.1f}: calibrate the detector, or give more recordings of people"
        )
    level, evidence = np.unravel_index(int(np.argmax(gain)), gain.shape)
    return int(level), min(int(evidence) + more, len(EVIDENCES) - 1)


def _overlap(true: FloatArray, called: FloatArray) -> float:
    """Return how much time both share, over the time of either; stretches of one do not overlap."""
    shared = np.minimum(true[:, None, 1], called[None, :, 1]) - np.maximum(
        true[:, None, 0], called[None, :, 0]
    )
    both = float(np.clip(shared, 0, None).sum())
    either = float(np.diff(true).sum() + np.diff(called).sum()) - both
    return both / either if either else 1.0


def scored(
    bundle: Path,
    clips: Manifest,
    *,
    hop_s: float | None = None,
    jobs: int = 1,
    say: Say = lambda _: None,
) -> list[Spliced]:
    """Return recordings with known stretches as the rule sees them; those without a score are not.

    Args:
        bundle: Folder of the detector.
        clips: Recordings with the note "segments".
        hop_s: From window to window; that of the detector if left out.
        jobs: Processes that score.
        say: Takes lines of progress, and which are left out.

    Raises:
        TrainingError: If a clip has no note.
    """
    notes = values_of(clips, f"notes.{NOTE}")
    if (notes == "").any():
        raise TrainingError(
            f"{int((notes == '').sum())} of {len(clips)} clips have no note {NOTE!r} that says "
            "which stretches are synthetic; give recordings of `unheard generate splices`"
        )
    tasks = {str(clips.file(clip)): clip for clip in clips}
    recordings: list[Spliced] = []
    rows = score_many(
        [Task(source, Path(source)) for source in tasks],
        Settings(bundle, hop_s=hop_s),
        n_jobs=jobs,
    )
    for row in with_progress(rows, len(tasks), say, "recordings scored"):
        if row.get("score") is None:
            say(f"left out: {row.get('error') or row['reason']}")
            continue
        recordings.append(_recording(tasks[row["source"]], row))
    return recordings


def _recording(clip: Clip, row: Mapping[str, Any]) -> Spliced:
    windows = [
        WindowScore(window["start_s"], window["end_s"], window["score"], window["speech_s"])
        for window in row["windows"]
        if window["score"] is not None
    ]
    truth = [
        (part.start_s, part.end_s) for part in read_stretches(clip.notes[NOTE]) if not part.bonafide
    ]
    return Spliced(
        host=clip.speaker,
        recording=clip.notes.get("recording", clip.id),
        scores=np.array([window.score for window in windows], np.float64),
        edges_s=np.array(bounds_s(windows, row["duration_s"])),
        truth=np.array(truth, np.float64).reshape(-1, 2),
        duration_s=row["duration_s"],
    )
