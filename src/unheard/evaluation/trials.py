"""Text tables of trials as challenges and leaderboards write them: lines in, columns out.

Space-separated tables have no header and are known by their number of columns; tables separated by
tabs or commas have one, or none where they are twins of the former.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unheard.data.tables import BONAFIDE_WORDS, SPOOF_WORDS, delimiter_of, text_lines
from unheard.errors import EvaluationError

__all__ = [
    "COLUMN_NAMES",
    "KNOWN",
    "LOGITS",
    "Columns",
    "Sheet",
    "as_number",
    "attacks_of",
    "check_columns",
    "is_label",
    "labels",
    "pair_of",
    "read_sheet",
    "regular",
    "split_from_the_right",
]

COLUMN_NAMES: dict[str, tuple[str, ...]] = {
    "id": (
        *("id", "filename", "file", "file_name", "utt", "utt_id", "uttid", "utterance"),
        *("utterance_id", "trial", "trial_id", "trial_anon", "path", "file_path", "audio", "wav"),
        *("audio_path", "clip", "clip_id", "name", "key_id", "source"),
    ),
    "score": ("score", "scores", "cm_score", "cmscore", "cm_scores", "llr", "logit"),
    "label": ("label", "labels", "key", "cm_label", "class", "target", "ground_truth"),
    "attack": ("attack", "attack_id", "attack_anon", "attack_label", "system", "generator"),
    "speaker": ("speaker", "spk", "speaker_id", "tar_spk_anon"),
    "language": ("language", "lang"),
    "family": ("family",),
    "codec": ("codec",),
    "part": ("part", "split"),
}
"""Names that published tables give to a column, lower case with "_" for "-" and spaces."""


@dataclass(frozen=True)
class Sheet:
    """A text table in memory.

    Attributes:
        path: The file.
        names: Column names, ours where an alias is known; empty without a header.
        lines: Lines that are not empty, without the header.
        first: Number of the first of them in the file, from 1.
        delimiter: What stands between two columns; None for any blanks.
    """

    path: Path
    names: tuple[str, ...]
    lines: list[str]
    first: int
    delimiter: str | None

    def where(self, index: int) -> str:
        """Return file and line of a row; empty lines before it are not counted."""
        return f"{self.path}:{self.first + index}"

    def columns(self) -> dict[str, list[str]]:
        """Return the columns of a table with a header, by name.

        Raises:
            EvaluationError: If a row has another number of columns than the header.
        """
        delimiter = self.delimiter or " "
        rows = csv.reader(self.lines, delimiter=delimiter, skipinitialspace=self.delimiter is None)
        columns = self._transposed(rows, len(self.names))
        return dict(zip(self.names, columns, strict=True))

    def plain(self, n_columns: int, *, ids_may_hold_spaces: bool = False) -> list[list[str]]:
        """Return the columns of a table without a header.

        Args:
            n_columns: How many there are.
            ids_may_hold_spaces: Whether all that is left of the last columns is the first.

        Raises:
            EvaluationError: If a row has another number.
        """
        split = split_from_the_right(n_columns) if ids_may_hold_spaces else str.split
        if self.delimiter is not None:
            delimiter = self.delimiter
            rows: Iterable[list[str]] = (line.split(delimiter) for line in self.lines)
        else:
            rows = map(split, self.lines)
        return self._transposed(rows, n_columns)

    def _transposed(self, rows: Iterable[list[str]], n_columns: int) -> list[list[str]]:
        columns: list[list[str]] = [[] for _ in range(n_columns)]
        known: dict[str, str] = {}  # a label stands in memory once, not a million times
        for index, row in enumerate(rows):
            if len(row) != n_columns:
                raise EvaluationError(
                    f"{self.where(index)}: {self.lines[index].strip()[:80]!r} has {len(row)} "
                    f"columns, {n_columns} wanted as in the lines before; correct this line"
                )
            for column, cell in zip(columns, row, strict=True):
                cell = cell.strip()
                column.append(known.setdefault(cell, cell))
        return columns


def split_from_the_right(n_columns: int) -> Callable[[str], list[str]]:
    """Return what splits a line at blanks into so many columns, the first with all that is left."""
    return lambda line: line.rsplit(None, n_columns - 1)


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which columns of a table are meant, where their names are not known ones; "" otherwise.

    Attributes:
        id: Name of the trial.
        score: The score; or two logits, comma-separated, that of spoof first.
        label: The label.
    """

    id: str = ""
    score: str = ""
    label: str = ""

    def named(self) -> dict[str, str]:
        """Return our name of each column that is meant, by its regular name."""
        first, comma, second = self.score.partition(",")
        meant = [(self.id, "id"), (self.label, "label")]
        meant += [(first, LOGITS[0]), (second, LOGITS[1])] if comma else [(first, "score")]
        return {_plain(theirs): ours for theirs, ours in meant if theirs.strip()}


LOGITS = ("logit_spoof", "logit_bonafide")
"""What the columns of two logits are called here."""

KNOWN = Columns()
"""Columns by their known names alone."""


def read_sheet(path: Path, what: str, columns: Columns = KNOWN) -> Sheet:
    """Read a text table, or JSON lines, and see whether it has a header.

    Args:
        path: The file, of any suffix.
        what: What it should be, for messages: "a score file" or "a key file".
        columns: Columns that are meant.

    Raises:
        EvaluationError: If it is missing, empty, or no text, or lacks a column that is meant.
    """
    texts = text_lines(path, what, failure=EvaluationError, newline=None)
    lines = [line.rstrip("\n") for line in texts if line.strip()]
    if not lines:
        raise EvaluationError(f"{path}: empty, not a readable table; give {what}")
    first = 2
    if lines[0].lstrip().startswith("{"):
        lines, first = _from_json(path, lines, what), 1
    delimiter = delimiter_of(lines[0])
    cells = lines[0].split(delimiter)
    names = regular(cells, columns)
    known = {"score", "label", "bonafide", "attack", *columns.named().values()}
    check_columns(path, cells, columns)
    if "id" in names and (known & set(names) or pair_of(names)):
        return Sheet(path, names, lines[1:], first, delimiter)
    last = cells[-1].strip()
    if delimiter != "\t" and not (is_label(last) or as_number(last) is not None):
        delimiter = None
    return Sheet(path, (), lines, 1, delimiter)


def _from_json(path: Path, lines: Sequence[str], what: str) -> list[str]:
    """The lines of a table with a header for objects, one on each line; what is nested is left out.

    Raises:
        EvaluationError: If a line is none.
    """
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append({name: cell for name, cell in json.loads(line).items() if _is_cell(cell)})
        except (ValueError, AttributeError) as error:
            raise EvaluationError(f"{path}:{number}: no JSON object ({error}); give {what}") from (
                error
            )
    names = list(dict.fromkeys(name for row in rows for name in row))
    table: list[list[Any]] = [names, *([row.get(name) for name in names] for row in rows)]
    written: list[str] = []
    for cells in table:
        text = io.StringIO()
        csv.writer(text, lineterminator="").writerow(cells)
        written.append(text.getvalue().replace("\n", " "))
    return written


def _is_cell(value: object) -> bool:
    """Whether a value of JSON is one of a table: a plain one, or a pair of logits."""
    if isinstance(value, list):
        return len(value) == 2 and all(isinstance(number, int | float) for number in value)
    return not isinstance(value, dict)


def regular(names: Sequence[str], columns: Columns = KNOWN) -> tuple[str, ...]:
    """Return the names that columns have here: ours for the first known alias, else their own.

    Args:
        names: A header. Of two aliases of one name, such as id and path, the one that stands
            first in `COLUMN_NAMES` is meant, and the other keeps its own name.
        columns: Columns that are meant, whatever their names.

    Example:
        >>> regular(["path", "ID", "cm-score"])
        ('path', 'id', 'score')
    """
    plain = [_plain(name) for name in names]
    meant = columns.named()
    ours = [meant.get(name, name) for name in plain]
    for name, aliases in COLUMN_NAMES.items():
        if name in ours and name in meant.values():
            continue
        known = next((alias for alias in aliases if alias in ours), None)
        if known is not None and not (name == "score" and LOGITS[0] in ours):
            ours[ours.index(known)] = name
    return tuple(ours)


def pair_of(names: Sequence[str]) -> tuple[str, str] | None:
    """Return which columns hold the logits of spoof and of bona fide, by their names; or None."""
    if set(LOGITS) <= set(names):
        return LOGITS
    words = {name: set(name.split("_")) for name in names if name not in COLUMN_NAMES}
    spoof = [name for name, parts in words.items() if parts & set(SPOOF_WORDS)]
    human = [name for name, parts in words.items() if parts & set(BONAFIDE_WORDS)]
    return (spoof[0], human[0]) if len(spoof) == len(human) == 1 and spoof != human else None


def check_columns(path: Path, header: Sequence[str], columns: Columns) -> None:
    """Refuse a table whose header lacks a column that is meant.

    Raises:
        EvaluationError: If it does.
    """
    there = {_plain(name) for name in header}
    for name in (columns.id, columns.label, *columns.score.split(",")):
        if name.strip() and _plain(name) not in there:
            raise EvaluationError(
                f"{path}: no column {name.strip()!r} in its header "
                f"({', '.join(name.strip() for name in header)[:200]}); give the name as it is "
                "written there"
            )


def _plain(name: str) -> str:
    return name.strip().strip('"').lower().replace("-", "_").replace(" ", "_")


def is_label(word: str) -> bool:
    """Whether a word means human or generated speech."""
    return word.lower() in BONAFIDE_WORDS or word.lower() in SPOOF_WORDS


def as_number(word: str) -> float | None:
    """Return what a word says as a number; None if it says none."""
    try:
        return float(word)
    except ValueError:
        return None


def labels(sheet: Sheet, cells: Sequence[str], bonafide_label: str = "") -> list[bool]:
    """Return whether each trial is bona fide.

    Args:
        sheet: Where the labels come from.
        cells: Label words.
        bonafide_label: The label that means bona fide, all others meaning spoof; "" takes the
            words that are known.

    Raises:
        EvaluationError: If a word is not known, or labels are numbers and `bonafide_label` is not
            given: 1 means bona fide in some corpora and spoof in others.
    """
    words = sorted(set(cells))
    if bonafide_label:
        if bonafide_label not in words:
            raise EvaluationError(
                f"{sheet.path}: no trial is labelled {bonafide_label!r} (found "
                f"{', '.join(words[:5])}); give the label of bona fide trials as it is written"
            )
        return [cell == bonafide_label for cell in cells]
    meaning = {word: word.lower() in BONAFIDE_WORDS for word in words if is_label(word)}
    unknown = [word for word in words if word not in meaning]
    if unknown:
        index = cells.index(unknown[0])
        numbers = all(as_number(word) is not None for word in words)
        why = "1 is bona fide in some corpora and spoof in others: " if numbers else ""
        raise EvaluationError(
            f"{sheet.where(index)}: label {unknown[0]!r}; bonafide or spoof (or genuine, real, "
            f"human; fake) wanted: {why}name the one of bona fide trials with --bonafide-label"
        )
    return [meaning[cell] for cell in cells]


def attacks_of(bonafide: Sequence[bool], cells: Sequence[str]) -> list[str]:
    """Return attacks in our words: "-" for bona fide trials, "" for a spoof that names none."""
    return [
        "-" if human else ("" if cell == "-" else cell)
        for human, cell in zip(bonafide, cells, strict=True)
    ]
