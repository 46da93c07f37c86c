"""Recipes: one file per result, with a value `recipe` and a docstring that says what to expect.

A recipe is found by its file's name; there is no list to keep. One of your own is a file anywhere,
with a value `recipe`, named by its path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from unheard.training import named

if TYPE_CHECKING:
    from unheard.training.recipe import Recipe

__all__ = ["load", "names"]


def names() -> list[str]:
    """Return the names of all recipes, sorted, without loading them."""
    return named.names("recipes")


def load(name: str) -> Recipe:
    """Return a recipe by its name, or by the path of a Python file with a value `recipe`.

    Raises:
        RecipeError: If there is none.
    """
    from unheard.training.recipe import Recipe

    return named.load(name, "recipes", Recipe)
