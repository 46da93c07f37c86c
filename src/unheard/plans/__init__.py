"""Plans of comparisons: one file per plan, with a value `plan` and a docstring that says what for.

A plan is found by its file's name; there is no list to keep. One of your own is a file anywhere,
with a value `plan`, named by its path.
"""

from __future__ import annotations

import runpy
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from unheard.errors import RecipeError, suggestion

if TYPE_CHECKING:
    from unheard.plan import Plan

__all__ = ["load", "names"]


def names() -> list[str]:
    """Return the names of all plans, sorted, without loading them."""
    return sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py"))


def load(name: str) -> Plan:
    """Return a plan by its name, or by the path of a Python file with a value `plan`.

    Raises:
        RecipeError: If there is none.
    """
    if name.endswith(".py"):
        return _of_file(Path(name))
    if name not in names():
        raise RecipeError(f"no plan is called {name!r}{suggestion(name, names())}")
    plan: Plan = import_module(f"unheard.plans.{name}").plan
    return plan


def _of_file(path: Path) -> Plan:
    """Return the plan of a user's own file, which is run."""
    from unheard.plan import Plan

    if not path.is_file():
        raise RecipeError(f"{path}: no such file; give a Python file with a value `plan`")
    found = runpy.run_path(str(path)).get("plan")
    if not isinstance(found, Plan):
        raise RecipeError(f"{path}: its `plan` is {found!r}; wanted a value `plan = Plan(...)`")
    return found
