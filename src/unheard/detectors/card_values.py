"""What any JSON value of a card must keep to, before its names are looked at."""

from __future__ import annotations

from typing import cast

from unheard.errors import BundleError

__all__ = ["check_values", "too_deep"]

_DEEPEST = 64
_LARGEST_NUMBER = 1e19


def check_values(written: object, where: str) -> None:
    """Refuse numbers beyond what any card needs, and values nested deeper than one is."""
    values: list[tuple[tuple[str, ...], object]] = [((), written)]
    while values:
        path, value = values.pop()
        if len(path) > _DEEPEST:
            raise too_deep(where)
        inside = value.items() if isinstance(value, dict) else ()
        entries = enumerate(value) if isinstance(value, list) else ()
        values += [((*path, str(step)), one) for step, one in (*inside, *entries)]
        is_number = isinstance(value, int | float)
        if is_number and not abs(cast(float, value)) < _LARGEST_NUMBER:
            raise BundleError(
                f"{where}: {'.'.join(path)} is {str(value)[:20]}, a finite number below "
                f"{_LARGEST_NUMBER:.0e} needed; correct the value, or get the bundle again"
            )


def too_deep(where: str) -> BundleError:
    """Return what is said of a card whose values are nested too deep."""
    return BundleError(
        f"{where}: values are nested more than {_DEEPEST} deep; a bundle is written by "
        "`unheard train`: copy it again"
    )
