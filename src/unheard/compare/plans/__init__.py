"""Plans of comparisons: one file per plan, with a value `plan` and a docstring that says what for.

A plan is found by its file's name; there is no list to keep. One of your own is a file anywhere,
with a value `plan`, named by its path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from unheard.training import named

if TYPE_CHECKING:
    from unheard.compare.plan import Comparison

__all__ = ["load", "names"]


def names() -> list[str]:
    """Return the names of all plans, sorted, without loading them."""
    return named.names("plans")


def load(name: str) -> Comparison:
    """Return a plan by its name, or by the path of a Python file with a value `plan`.

    Raises:
        RecipeError: If there is none.
    """
    from unheard.compare.plan import Comparison

    return named.load(name, "plans", Comparison)
