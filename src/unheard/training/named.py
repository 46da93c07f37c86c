"""Values that are found by the name of their file: recipes and plans.

Each is a Python file of a package, with a value of the kind's name in it; there is no list to keep.
One of a user's own is a file anywhere, named by its path.
"""

from __future__ import annotations

import runpy
from importlib import import_module
from pathlib import Path
from typing import TypeVar

from unheard.errors import RecipeError, suggestion

__all__ = ["load", "names"]

T = TypeVar("T")


def names(package: str) -> list[str]:
    """Return the names of all values of a package such as "recipes", sorted, none of them loaded.

    Args:
        package: A package of this one.
    """
    return sorted(path.stem for path in (Path(__file__).parent / package).glob("[!_]*.py"))


def load(name: str, package: str, kind: type[T]) -> T:
    """Return a value by its name, or by the path of a Python file, which is run.

    Args:
        name: Name in the package, or a path that ends in ".py".
        package: A package of this one, such as "recipes".
        kind: Class of the value, such as `Recipe`; in the file it is called "recipe".

    Raises:
        RecipeError: If there is none, or the file holds something else.
    """
    called = kind.__name__.lower()
    if not name.endswith(".py"):
        known = names(package)
        if name not in known:
            raise RecipeError(f"no {called} is called {name!r}{suggestion(name, known)}")
        value: T = getattr(import_module(f"unheard.{package}.{name}"), called)
        return value
    if not Path(name).is_file():
        raise RecipeError(f"{name}: no such file; give a Python file with a value `{called}`")
    content = runpy.run_path(name).get(called)
    if not isinstance(content, kind):
        raise RecipeError(
            f"{name}: its `{called}` is {content!r}; wanted a value "
            f"`{called} = {kind.__name__}(...)`"
        )
    return content
