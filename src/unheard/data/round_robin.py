"""Who is next: groups of clips that take turns, and sets of groups that take turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np

from unheard.types import IntArray

__all__ = ["RoundRobin", "Turns"]

Turns = tuple["int | Turns", ...]
"""Numbers of groups, nested where whole sets of groups take turns."""


@dataclass(frozen=True, eq=False)
class RoundRobin:
    """Rows in groups that take turns; within a group, every row once before any twice.

    Attributes:
        groups: Rows of the manifest, one array per group.
        turns: Indices of the groups, in the order of their turns; nested where whole sets of groups
            take turns.
        seed: Of the orders within the groups.
    """

    groups: tuple[IntArray, ...]
    turns: Turns
    seed: tuple[int, ...]

    @classmethod
    def of(cls, names: np.ndarray[Any, Any], mask: np.ndarray[Any, Any], seed: Any) -> RoundRobin:
        """Return the rows at which a mask [N] is true, grouped by their names [N] or [N, levels].

        With several levels, the values of the first take turns, within each those of the second.
        """
        chosen = np.flatnonzero(mask)
        levels = names[chosen].astype(str).reshape(len(chosen), -1)
        labels, code = np.unique(levels, axis=0, return_inverse=True)
        groups = tuple(chosen[code.ravel() == group] for group in range(len(labels)))
        return cls(groups, _turns(labels.tolist(), 0), seed)

    def draw(self, first: int, n: int) -> tuple[IntArray, IntArray]:
        """Return rows and groups of the draws number first to first + n, each of shape [n]."""
        rows, groups = np.empty(n, np.int64), np.empty(n, np.int64)
        for slot in range(n):
            groups[slot], turn = self._whose(first + slot)
            members = self.groups[groups[slot]]
            lap, place = divmod(turn, len(members))
            order = _order((*self.seed, int(groups[slot]), lap), len(members))
            rows[slot] = members[order[place]]
        return rows, groups

    def _whose(self, draw: int) -> tuple[int, int]:
        """Return the group of a draw, and how many draws it had before."""
        node: int | Turns = self.turns
        while not isinstance(node, int):
            draw, place = divmod(draw, len(node))
            node = node[place]
        return node, draw


def _turns(labels: Sequence[Sequence[str]], first: int) -> Turns:
    """Return the numbers of sorted labels, from first on, nested by all levels but their last."""
    turns: list[int | Turns] = []
    for _, group in groupby(labels, key=itemgetter(0)):
        inner = [label[1:] for label in group]
        turns.append(_turns(inner, first) if inner[0] else first)
        first += len(inner)
    return tuple(turns)


@lru_cache(maxsize=256)
def _order(seed: tuple[int, ...], n: int) -> IntArray:
    return np.random.default_rng(seed).permutation(n)
