"""Fewer clips for a long evaluation, the rare kinds among them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unheard.data.clip import Manifest

__all__ = ["sampled"]

SPREAD_OVER = ("part", "bonafide", "family", "attack", "speaker")


def sampled(manifest: Manifest, n_clips: int) -> Manifest:
    """Return some clips, spread evenly over part, class, family, attack and speaker, in this order.

    Parts get equally many clips, so do the classes of a part, the families of a class, and so on,
    as far as there are clips. Which ones is decided by their ids alone: the same on every machine,
    and a smaller sample is part of a larger one.

    Args:
        manifest: Clips to take from; all of them if there are no more than wanted.
        n_clips: How many.
    """
    import numpy as np

    columns = [manifest.column(name) for name in SPREAD_OVER]
    ids = manifest.column("id").tolist()
    rows = sorted(range(len(ids)), key=lambda row: hashlib.sha256(ids[row].encode()).digest())
    chosen = np.zeros(len(ids), bool)
    chosen[_in_turn(rows, columns)[:n_clips]] = True
    return manifest.where(chosen)


def _in_turn(rows: Sequence[int], columns: Sequence[Any]) -> list[int]:
    """Order rows so that each value of the first column comes in turn, and so on inside it."""
    if not columns:
        return list(rows)
    groups: dict[Any, list[int]] = {}
    for row in rows:
        groups.setdefault(columns[0][row], []).append(row)
    orders = [_in_turn(groups[value], columns[1:]) for value in sorted(groups)]
    return [row for turn in zip_longest(*orders) for row in turn if row is not None]
