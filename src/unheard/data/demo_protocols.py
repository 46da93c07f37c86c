"""Protocols of the corpus of demonstration pages, and the manifests that two of them train on.

    demos             train and dev against eval, whose laboratories are in neither
    demos_group_out   six test sets: the people of eval and one group of its generators; each wants
                      a detector that knows nothing of the group: `without_group`
    demos_lab_fold    choosing inside train and dev: `lab_fold` trains on four fifths of their
                      laboratories and makes the fifth dev; eval stays out of sight

A system of eval is unseen if no clip of train or dev, chosen or not, has its base system: the note
"unseen". Source corpora are in several parts, so voices of people may be known to a detector.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unheard.data.clip import values_of
from unheard.data.hold_out import DEV_PARTS, TRAIN_PARTS
from unheard.data.kinds import GROUPS, group_of, kinds_of
from unheard.data.protocol import Protocol, Selection, TestSet, replaced
from unheard.errors import ManifestError, suggestion

if TYPE_CHECKING:
    from unheard.data.clip import Manifest

__all__ = ["DEMO_PROTOCOLS", "FOLDS", "lab_fold", "without_group"]

FOLDS = ("0", "1", "2", "3", "4")
"""Folds of laboratories: the note "fold", as the catalogue has it; empty in eval."""

_PEOPLE = "-"
_DEV, _EVAL = Selection(parts=("dev",)), Selection(parts=("eval",))

DEMO_PROTOCOLS: tuple[Protocol, ...] = (
    Protocol(
        "demos",
        (TestSet("", (_EVAL,)),),
        "Demonstration pages: people and generators of laboratories that neither train nor dev "
        "has; the report tells unseen systems apart.",
    ),
    Protocol(
        "demos_group_out",
        tuple(
            TestSet(
                group,
                (Selection(parts=("eval", "eval_out"), where={"family": (*kinds, _PEOPLE)}),),
            )
            for group, kinds in ((group, kinds_of(group)) for group in GROUPS)
        ),
        "Demonstration pages, one group of generators at a time; to be honest, each test set "
        "wants a detector of its own: `unheard corpus hold-out --by group`.",
    ),
    Protocol(
        "demos_lab_fold",
        (TestSet("", (_DEV,)),),
        "Demonstration pages, for choosing: the dev part of a manifest that `unheard corpus "
        "hold-out --by fold` wrote, whose laboratories its train part lacks.",
    ),
)


def without_group(manifest: Manifest, group: str) -> Manifest:
    """Return a manifest whose train and dev know nothing of a group of generators.

    Part "eval_out" is the group's clips of eval, with all people of eval. Twins that a generator of
    the group made go too; extra parts of eval are left out.

    Args:
        manifest: The corpus, with or without clips that generators made of its recordings.
        group: A key of `GROUPS`.

    Raises:
        ManifestError: If there is no such group, or eval has no clip of it.
    """
    if group not in GROUPS:
        raise ManifestError(f"no group is called {group!r}{suggestion(group, GROUPS)}")
    of_group = np.array([group_of(clip.family, clip.notes) == group for clip in manifest], bool)
    parts = manifest.column("part").astype(str)
    new = np.full(len(manifest), "", object)
    learnt = np.isin(parts, (*TRAIN_PARTS, *DEV_PARTS)) & ~of_group
    new[learnt] = parts[learnt]
    tested = (parts == "eval") & of_group
    if not tested.any():
        raise ManifestError(f"no clip of eval is of the group {group}; build all kinds of demos")
    new[tested | ((parts == "eval") & manifest.bonafide())] = "eval_out"
    return _in_parts(manifest, new.tolist())


def lab_fold(manifest: Manifest, fold: str) -> Manifest:
    """Return train and dev of a corpus, cut again: dev is one fold of laboratories, train the rest.

    Args:
        manifest: The corpus; clips without the note "fold", as those of eval, are left out.
        fold: One of `FOLDS`.

    Raises:
        ManifestError: If there is no such fold, or no clip is in it.
    """
    if fold not in FOLDS:
        raise ManifestError(f"no fold is called {fold!r}{suggestion(fold, FOLDS)}")
    folds = values_of(manifest, "notes.fold").tolist()
    if fold not in folds:
        raise ManifestError(f"no clip is in fold {fold}; give a manifest of the corpus demos")
    return _in_parts(manifest, ["dev" if own == fold else "train" if own else "" for own in folds])


def _in_parts(manifest: Manifest, parts: list[str]) -> Manifest:
    """The clips that have a part, in it."""
    table = replaced(manifest.table, "part", parts)
    return type(manifest)(table, manifest.root).where(np.array(parts, object) != "")
