"""Probes on one cue each: which of them a detector could cheat by, and what is done against it.

N clips, K numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unheard.corpora.open.probe import Cues, ProbeResult
from unheard.data.clip import Clip
from unheard.types import FloatArray

__all__ = ["CHANCE", "SINGLE_CUES", "SingleCue", "meaning", "single_features", "tells"]

CHANCE = (0.4, 0.6)
"""A probe outside of this is a finding, unless its interval reaches 50 %."""


@dataclass(frozen=True)
class SingleCue:
    """One thing that should tell nothing of a clip's label.

    Attributes:
        cues: Fields of `Cues` that measure it.
        note: Note of a clip that states it; "" if none does.
        numeric: Whether the note is a number and no name.
        training: What training does so that a detector cannot learn it.
        evaluation: What of an evaluation it does not reach.
    """

    cues: tuple[str, ...] = ()
    note: str = ""
    numeric: bool = True
    training: str = ""
    evaluation: str = ""


SINGLE_CUES: dict[str, SingleCue] = {
    "band edge": SingleCue(
        ("bandwidth_hz",),
        training="augment with low_pass, band_pass and resampling, whatever the label",
        evaluation="the conditions low_pass_4k and telephone, and the EER within a page",
    ),
    "original rate": SingleCue(
        note="original_rate_hz",
        training="augment with resampling and low_pass, whatever the label",
        evaluation="the condition telephone, and the EER within a page, whose clips share a rate",
    ),
    "silence": SingleCue(
        ("lead_s", "trail_s", "edge_db", "zeros"),
        training="random crops, and noise, so that no edge is always there",
        evaluation="the conditions of trimming and noise, and the EER within a page",
    ),
    "level": SingleCue(
        ("level_db", "peak_db", "clipped"),
        training="augment with gain and clip",
        evaluation="the conditions of gain",
    ),
    "offset": SingleCue(
        ("dc",),
        training="augment with band_pass, or a front end that begins above 0 Hz",
        evaluation="the condition telephone; within a page an offset may differ all the same",
    ),
    "duration": SingleCue(
        ("duration_s",),
        training="windows of one length, cut at random",
        evaluation="the conditions trim_1s and trim_2s, where clips are of one length",
    ),
    "original length": SingleCue(
        note="original_s",
        training="windows of one length: no detector sees it",
        evaluation="nothing to do: no clip shows the length of the file it was cut from",
    ),
    "container": SingleCue(
        note="container",
        numeric=False,
        training="augment with codec",
        evaluation="the condition processed, those of mp3 and opus, and the EER within a page",
    ),
}
"""Cues by name, each with its remedies."""


def single_features(
    name: str, clips: Sequence[Clip], measured: Sequence[tuple[Cues, FloatArray]]
) -> FloatArray | None:
    """Return the numbers of one cue, shape [N, K]; None if not every clip states it.

    Args:
        name: Key of `SINGLE_CUES`.
        clips: The clips.
        measured: What `cues` gave for each.
    """
    cue = SINGLE_CUES[name]
    if not cue.note:
        rows = [[float(getattr(its_cues, field)) for field in cue.cues] for its_cues, _ in measured]
        return np.array(rows).reshape(len(clips), len(cue.cues))
    stated = [clip.notes.get(cue.note, "") for clip in clips]
    if not all(stated):
        return None
    if cue.numeric:
        return np.array([[float(value)] for value in stated])
    names = sorted(set(stated))
    return np.array([[float(value == choice) for choice in names] for value in stated])


def tells(result: ProbeResult) -> bool:
    """Return whether a probe is off chance by more than luck."""
    below = result.eer < CHANCE[0] and result.high < 0.5
    return below or (result.eer > CHANCE[1] and result.low > 0.5)


def meaning(result: ProbeResult) -> str:
    """Return what a probe that is off chance means for results, and what is done against it."""
    finding = (
        f"the probe on {result.name} reaches {100 * result.eer:.1f} % EER on {result.part}: the "
        "labels differ in something that is not how speech was made, and so far a detector may be "
        "right here and wrong elsewhere; quote this number next to every result"
    )
    cue = SINGLE_CUES.get(result.name)
    if cue is None:
        return finding
    return f"{finding}. Training: {cue.training}. Free of it: {cue.evaluation}"
