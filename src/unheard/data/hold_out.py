"""Hold one attack, or one family of attacks, out of training and test on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from unheard.data.protocol import replaced
from unheard.errors import ManifestError, suggestion
from unheard.types import BoolArray

if TYPE_CHECKING:
    from unheard.data.clip import Manifest

__all__ = ["DEV_PARTS", "TRAIN_PARTS", "held_out_values", "leave_one_out", "twins_of"]

TRAIN_PARTS = ("train", "train_extra", "training", "trn")
"""Parts that a manifest is trained on."""

DEV_PARTS = ("dev", "dev_extra", "development", "validation", "val")
"""Parts that are chosen and calibrated by."""

By = Literal["family", "attack"]


def held_out_values(manifest: Manifest, by: By) -> list[str]:
    """Return the families or attacks of a manifest, sorted; each can be held out.

    Raises:
        ManifestError: If there are fewer than two: holding out the only one leaves nothing.
    """
    spoofed = ~manifest.bonafide() & ~manifest.twins()
    values = sorted(set(manifest.column(by)[spoofed]) - {"", "-", "unknown"})
    if len(values) < 2:
        raise ManifestError(
            f"the manifest names {len(values)} {by} ({', '.join(values) or 'none'}), at least two "
            "are wanted to hold one out; give a corpus that tells its systems apart"
        )
    return values


def leave_one_out(manifest: Manifest, *, by: By, value: str) -> Manifest:
    """Return a manifest whose train and dev know nothing of one family or attack.

    - train, dev: what the manifest has for them, extra parts included, without the held-out value.
    - eval_out: its clips among the test clips, with bona fide test clips.
    - eval_in: test clips of values that train knows, with bona fide test clips.

    Test clips are those of all other parts. If none of them has the value, half of the speakers
    of dev become test speakers. A clip of train or dev goes if its speaker, or the recording that
    it is or was made from, is in a test. Bona fide test clips keep eval_in and eval_out if these
    are their parts; else every second speaker (or clip, of one speaker) goes to each. Twins go with
    their source, with the family or attack whose generator made them, and are never tested on.

    Args:
        manifest: Clips with parts for training, choosing and testing.
        by: Which column is held out.
        value: Which of its values.

    Raises:
        ManifestError: If no clip has the value, or a part is left without clips of both classes.
    """
    known = held_out_values(manifest, by)
    if value not in known:
        raise ManifestError(f"no spoofed clip has {by} {value!r}{suggestion(value, known)}")
    bonafide, is_held_out = manifest.bonafide(), manifest.column(by) == value
    parts = manifest.column("part").astype(str)
    train, dev = np.isin(parts, TRAIN_PARTS), np.isin(parts, DEV_PARTS)
    test = ~train & ~dev
    if not (test & is_held_out).any():
        spared = dev & _every_second(manifest.column("speaker"), dev)
        test, dev = test | spared, dev & ~spared
    trained = set(manifest.column(by)[train & ~bonafide]) - {value}
    new = np.full(len(manifest), "", object)
    new[train & ~is_held_out], new[dev & ~is_held_out] = "train", "dev"
    new[test & is_held_out] = "eval_out"
    new[
        test & ~bonafide & ~is_held_out & np.isin(manifest.column(by).astype(str), list(trained))
    ] = "eval_in"
    human = test & bonafide
    as_before = human & np.isin(parts, ("eval_in", "eval_out"))
    new[as_before] = parts[as_before]
    rest = human & ~as_before
    new[rest] = np.where(
        _every_second(manifest.column("speaker"), rest)[rest], "eval_out", "eval_in"
    )
    new[
        np.isin(new, ("train", "dev")) & _shared(manifest, np.isin(new, ("eval_in", "eval_out")))
    ] = ""
    new[manifest.twins() & np.isin(new, ("eval_in", "eval_out"))] = ""
    new[twins_of(manifest, new == "", by=by, value=value)] = ""
    _refuse_poor(new, bonafide, by, value)
    table = replaced(manifest.table, "part", new.tolist())
    return type(manifest)(table, manifest.root).where(new != "")


def twins_of(manifest: Manifest, gone: BoolArray, *, by: By, value: str) -> BoolArray:
    """Return which clips are twins of clips that go, or of any clip by what is held out."""
    twins = manifest.twins()
    left_out = set(manifest.column("id")[gone].tolist())
    sources, notes = manifest.column("source_clip").tolist(), manifest.column("notes").tolist()
    generator = "generator_family" if by == "family" else "generator"
    is_left_out = np.zeros(len(manifest), bool)
    for row in np.flatnonzero(twins):
        maker = dict(notes[row] or ()).get(generator)
        is_left_out[row] = maker == value or sources[row] in left_out
    return is_left_out


def _every_second(speakers: Any, inside: BoolArray) -> BoolArray:
    """Return every second speaker of the clips inside, sorted; of one speaker every second clip."""
    names = sorted(set(speakers[inside]))
    if len(names) > 1:
        return np.isin(speakers.astype(str), names[::2]) & inside
    chosen = np.zeros(inside.size, bool)
    chosen[np.flatnonzero(inside)[::2]] = True
    return chosen


def _shared(manifest: Manifest, test: BoolArray) -> BoolArray:
    """Return which clips share a speaker or a recording with a test clip."""
    speakers = manifest.column("speaker").astype(str)
    ids, copies = manifest.column("id").astype(str), manifest.column("source_clip").astype(str)
    recordings = np.where(copies == "", ids, copies)
    tested = sorted(set(speakers[test]) - {""})
    return np.isin(speakers, tested) | np.isin(recordings, recordings[test])


def _refuse_poor(new: Any, bonafide: BoolArray, by: str, value: str) -> None:
    for part in ("train", "dev", "eval_out"):
        for human, word in ((True, "bona fide"), (False, "spoofed")):
            if not ((new == part) & (bonafide == human)).any():
                raise ManifestError(
                    f"without {by} {value!r} no {word} clip is left for {part}: the parts of the "
                    "manifest share their speakers or recordings, or one is missing; give a "
                    "manifest with parts train, dev and eval of different speakers"
                )
