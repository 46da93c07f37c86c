"""Detector specs as JSON, and back: a kind, which is a row of DETECTORS, and its fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from unheard.detectors.detector import Spec
from unheard.detectors.table import DETECTORS, PARTS
from unheard.errors import BundleError, RecipeError, suggestion

__all__ = ["spec_from_json", "spec_to_json"]


def spec_to_json(spec: Spec) -> dict[str, Any]:
    """Return `{"kind": ..., "fields": {...}}`, with every field written out, defaults included.

    A field that holds specs itself, such as the experts of a mixture, becomes such dicts; one that
    holds a row of PARTS, such as an encoder, becomes `{"part": ..., "fields": {...}}`.

    Raises:
        BundleError: If the spec's class is not in DETECTORS.

    Example:
        >>> spec_to_json(Toy(n_bands=4))
        {'kind': 'toy', 'fields': {'n_bands': 4}}
    """
    for kind, row in DETECTORS.items():
        if type(spec) is row:
            values = {name: _plain(getattr(spec, name)) for name in _names(row)}
            return {"kind": kind, "fields": values}
    raise BundleError(
        f"{type(spec).__name__} is not in the table DETECTORS, so its bundle could not be loaded; "
        "add a row for it"
    )


def spec_from_json(written: Mapping[str, Any]) -> Spec:
    """Return the spec that `spec_to_json` wrote; a field that is not there takes its default.

    Raises:
        BundleError: If the kind or a field does not exist, or a value has the wrong type or range.
    """
    kind, values = written["kind"], written["fields"]
    if not isinstance(kind, str) or kind not in DETECTORS:
        raise BundleError(f"no detector is called {kind!r}{suggestion(str(kind), DETECTORS)}")
    if not isinstance(values, dict):
        raise BundleError(f"the fields of detector {kind!r} are {values!r}; write an object")
    spec: Spec = _built(DETECTORS[kind], values, f"detector {kind!r}")
    return spec


def _built(row: type[Any], values: Mapping[str, Any], what: str) -> Any:
    """Return a row of a table with the fields that were written."""
    hints = get_type_hints(row)
    arguments: dict[str, Any] = {}
    for name, value in values.items():
        if name not in _names(row):
            raise BundleError(f"{what} has no field {name!r}{suggestion(name, _names(row))}")
        hint = hints[name]
        open_to_all = None if hint in PARTS.values() else ConfigDict(arbitrary_types_allowed=True)
        adapter = TypeAdapter(hint, config=open_to_all)
        try:
            arguments[name] = adapter.validate_python(_rich(value), strict=True)
        except ValidationError as error:
            raise BundleError(
                f"field {name!r} of {what} is {value!r}: {error.errors()[0]['msg']}; "
                "write a value of the field's type"
            ) from error
    try:
        return row(**arguments)
    except (RecipeError, TypeError) as error:
        raise BundleError(f"{what} cannot be built: {error}") from error


def _names(row: type[Any]) -> list[str]:
    return [field.name for field in fields(row)]


def _plain(value: Any) -> Any:
    """Return a field's value as JSON has it."""
    if isinstance(value, tuple):
        return [_plain(entry) for entry in value]
    for part, row in PARTS.items():
        if type(value) is row:
            fields = {name: _plain(getattr(value, name)) for name in _names(row)}
            return {"part": part, "fields": fields}
    if isinstance(value, Spec):
        return spec_to_json(value)
    assert value is None or isinstance(value, bool | int | float | str), f"field holds {value!r}"
    return value


def _rich(value: Any) -> Any:
    """Return a JSON value as a field has it: tuples for lists, specs for their dicts."""
    if isinstance(value, list):
        return tuple(_rich(entry) for entry in value)
    if isinstance(value, dict) and value.keys() == {"kind", "fields"}:
        return spec_from_json(value)
    if isinstance(value, dict) and value.keys() == {"part", "fields"}:
        part, fields = value["part"], value["fields"]
        if part not in PARTS or not isinstance(fields, dict):
            raise BundleError(
                f"no part of a detector is called {part!r}{suggestion(str(part), PARTS)}"
            )
        return _built(PARTS[part], fields, f"part {part!r}")
    return value
