"""Recipes: one file per result, with a value `recipe` and a docstring that says what to expect.

A recipe is found by its file's name; there is no list to keep. One of your own is a file anywhere,
with a value `recipe`, named by its path.
"""

from __future__ import annotations

import runpy
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
    """Return a recipe by its name, or by the path of a Python file with a value `recipe`.

    Raises:
        RecipeError: If there is none.
    """
    if name.endswith(".py"):
        return _of_file(Path(name))
    if name not in names():
        raise RecipeError(f"no recipe is called {name!r}{suggestion(name, names())}")
    recipe: Recipe = import_module(f"unheard.recipes.{name}").recipe
    return recipe


def _of_file(path: Path) -> Recipe:
    """Return the recipe of a user's own file, which is run."""
    from unheard.recipe import Recipe

    if not path.is_file():
        raise RecipeError(f"{path}: no such file; give a Python file with a value `recipe`")
    found = runpy.run_path(str(path)).get("recipe")
    if not isinstance(found, Recipe):
        raise RecipeError(
            f"{path}: its `recipe` is {found!r}; wanted a value `recipe = Recipe(...)`"
        )
    return found
