"""Every exception that Unheard raises on purpose.

    UnheardError
    |-- AudioError        a recording cannot be opened, decoded, or is not fit to be scored
    |-- MetricError       scores from which no metric can be computed
    |-- ManifestError     a manifest is missing, malformed or inconsistent
    |-- CorpusError       a corpus on disk or a package does not have the expected shape
    |-- AttackError       a generator is not installed or produced no usable speech
    |-- BundleError       a detector bundle is missing, altered or from another version
    |-- RecipeError       a recipe, table row or field name does not exist or does not fit
    |-- TrainingError     a training run cannot start, continue or be resumed
    |-- EvaluationError   an evaluation would not be honest or cannot be done
    |-- ServiceError      the service cannot start, or refuses a request
    `-- MissingExtra      an optional dependency is not installed

Each message says what was found, what was wanted, and what to do. Input raises one of these;
a broken invariant of our own is an `AssertionError`.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Literal, get_args, get_origin, get_type_hints

__all__ = [
    "AttackError",
    "AudioError",
    "BundleError",
    "CorpusError",
    "EvaluationError",
    "ManifestError",
    "MetricError",
    "MissingExtra",
    "RecipeError",
    "ServiceError",
    "TrainingError",
    "UnheardError",
    "check_choices",
    "suggestion",
]


class UnheardError(Exception):
    """The root: catch this to catch everything Unheard raises on purpose."""


class AudioError(UnheardError):
    """A recording cannot be opened, decoded, or is not fit to be scored."""


class MetricError(UnheardError):
    """Scores from which no metric can be computed."""


class ManifestError(UnheardError):
    """A manifest is missing, malformed or inconsistent."""


class CorpusError(UnheardError):
    """A corpus on disk or a package does not have the expected shape."""


class AttackError(UnheardError):
    """A generator is not installed or produced no usable speech."""


class BundleError(UnheardError):
    """A detector bundle is missing, altered or from another version."""


class RecipeError(UnheardError):
    """A recipe, table row or field name does not exist or does not fit."""


class TrainingError(UnheardError):
    """A training run cannot start, continue or be resumed."""


class EvaluationError(UnheardError):
    """An evaluation would not be honest or cannot be done."""


class ServiceError(UnheardError):
    """The service cannot start, or refuses a request."""


class MissingExtra(UnheardError):
    """An optional dependency is not installed."""

    def __init__(self, extra: str, package: str) -> None:
        super().__init__(
            f"this needs the package {package!r}, which is not installed; "
            f"install it with: pip install 'unheard[{extra}]'"
        )


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return the tail of a message about a wrong name: the nearest known one, or all of them.

    Args:
        name: What the user wrote.
        known: The names that exist.

    Returns:
        Text that starts with a semicolon, to be appended to a message.

    Example:
        >>> suggestion("lcn", ["lcnn", "toy"])
        "; did you mean 'lcnn'?"
    """
    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(names)}"


def check_choices(spec: object, says: str) -> None:
    """Refuse a dataclass one of whose fields is none of the words that its annotation lists.

    Args:
        spec: The dataclass; annotations other than `Literal` are passed over.
        says: What the message says of `name` and `value`, such as "{name} cannot be {value!r}".

    Raises:
        RecipeError: If there is such a field.
    """
    for name, wanted in get_type_hints(type(spec)).items():
        value, known = getattr(spec, name), get_args(wanted)
        if get_origin(wanted) is Literal and value not in known:
            raise RecipeError(says.format(name=name, value=value) + suggestion(value, known))
