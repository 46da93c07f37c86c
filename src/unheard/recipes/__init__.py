"""Recipes: one file per result, with a value `recipe` and a docstring that says what to expect.

A recipe is found by its file's name; there is no list to keep.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from unheard.errors import RecipeError, suggestion

if TYPE_CHECKING:
    from unheard.recipe import Recipe

__all__ = ["load", "names"]


def names() -> list[str]:
    """Return the names of all recipes, sorted, without loading them."""
    return sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py"))


def load(name: str) -> Recipe:
    """Return a recipe by its name.

    Raises:
        RecipeError: If there is none.
    """
    if name not in names():
        raise RecipeError(f"no recipe is called {name!r}{suggestion(name, names())}")
    recipe: Recipe = import_module(f"unheard.recipes.{name}").recipe
    return recipe
