"""Plan: which recipes are compared, under which protocol and seeds, as one frozen value."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from unheard.errors import RecipeError, suggestion

__all__ = ["Comparison", "Entry"]


@dataclass(frozen=True)
class Entry:
    """One method of a comparison.

    Attributes:
        name: What the report calls it, and the folder of its runs.
        recipe: Name of a recipe, or path of a Python file with one.
        settings: Changes of the recipe, as `--set` takes them, after those of the plan.
        data: Name of the manifest that it is trained on, where it wants another than the others,
            such as one with twins: the command line says which file that is. Test clips are to be
            the same.
        against: Entries that this one is tested against where clips name their page: what has all
            but one thing in common with it. Empty for the plan's baseline.
    """

    name: str
    recipe: str
    settings: tuple[str, ...] = ()
    data: str = ""
    against: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", self.name):
            raise RecipeError(
                f"an entry is called {self.name!r}, and its runs lie in a folder of that name; "
                "call it by letters, digits, '_', '-' and '.'"
            )


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Recipes x protocols x seeds.

    Attributes:
        name: Name of the plan.
        entries: What is compared.
        baseline: Name of the entry that the others are tested against.
        seeds: Every entry is trained once with each.
        settings: Changes of every recipe, also of those that others start from: the common budget.
        protocol: Clips that are tested on, a row of `PROTOCOLS`.
        held_out: Attack families that are held out of training in turn; each makes a manifest in
            which only eval_out has it.
        held_out_entries: Entries that are trained without each of these families; empty for all.
        held_out_settings: Further changes of every recipe there, as other families are trained on.
    """

    name: str
    entries: tuple[Entry, ...]
    baseline: str
    seeds: tuple[int, ...] = (1, 2, 3)
    settings: tuple[str, ...] = ()
    protocol: str = "open"
    held_out: tuple[str, ...] = ()
    held_out_entries: tuple[str, ...] = ()
    held_out_settings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [entry.name for entry in self.entries]
        _refuse_twice("entry", names)
        _refuse_twice("seed", self.seeds)
        _refuse_twice("held-out family", self.held_out)
        against = [name for entry in self.entries for name in entry.against]
        for name in (self.baseline, *self.held_out_entries, *against):
            self.entry(name)
        if not self.seeds or min(self.seeds) < 0:
            raise RecipeError(f"the seeds are {self.seeds}; give one or more, each 0 or above")
        if self.held_out_entries and self.baseline not in self.held_out_entries:
            raise RecipeError(
                f"held_out_entries lacks the baseline {self.baseline!r}, which the others are "
                "tested against; add it"
            )

    def entry(self, name: str) -> Entry:
        """Return the entry of a name.

        Raises:
            RecipeError: If there is none.
        """
        by_name = {entry.name: entry for entry in self.entries}
        if name not in by_name:
            raise RecipeError(f"no entry is called {name!r}{suggestion(name, by_name)}")
        return by_name[name]

    def pairs(self) -> list[tuple[str, str]]:
        """Return each entry with those that it is tested against."""
        return [
            (entry.name, other)
            for entry in self.entries
            for other in entry.against or (self.baseline,)
            if other != entry.name
        ]


def _refuse_twice(what: str, values: Iterable[object]) -> None:
    listed = list(values)
    for value in listed:
        if listed.count(value) > 1:
            raise RecipeError(f"the {what} {value!r} is there twice; name each once")
