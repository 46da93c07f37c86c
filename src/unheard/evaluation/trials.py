"""Text tables of trials as challenges and leaderboards write them: lines in, columns out.

Space-separated tables have no header and are known by their number of columns; tables separated by
tabs or commas have one, or none where they are twins of the former.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from unheard.data.tables import BONAFIDE_WORDS, LFS_HEAD, SPOOF_WORDS
from unheard.errors import EvaluationError

__all__ = [
    "COLUMN_NAMES",
    "Sheet",
    "as_number",
    "attacks_of",
    "is_label",
    "labels",
    "read_sheet",
    "regular",
    "split_from_the_right",
]

COLUMN_NAMES: dict[str, tuple[str, ...]] = {
    "id": (
        *("id", "filename", "file", "file_name", "utt", "utt_id", "uttid", "utterance"),
        *("utterance_id", "trial", "trial_id", "trial_anon", "path", "file_path", "audio", "wav"),
        *("audio_path", "clip", "clip_id", "name", "key_id"),
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


def read_sheet(path: Path, what: str) -> Sheet:
    """Read a text table and see whether it has a header.

    Args:
        path: The file, of any suffix.
        what: What it should be, for messages: "a score file" or "a key file".

    Raises:
        EvaluationError: If it is missing, empty, or no text.
    """
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except (FileNotFoundError, IsADirectoryError) as error:
        raise EvaluationError(f"{path}: no such file; give {what}") from error
    except UnicodeDecodeError as error:
        raise EvaluationError(
            f"{path}: neither Parquet nor UTF-8 text ({error.reason}); give {what}"
        ) from error
    if content.startswith(LFS_HEAD):
        raise EvaluationError(
            f"{path}: a Git LFS pointer and not the file itself; run `git lfs pull` in its folder"
        )
    lines = [line.rstrip("\r") for line in text.split("\n") if line.strip()]
    if not lines:
        raise EvaluationError(f"{path}: empty, not a readable table; give {what}")
    head = lines[0]
    delimiter = next((mark for mark in "\t,;" if mark in head), None)
    names = regular(head.split(delimiter))
    if "id" in names and ({"score", "label", "bonafide", "attack"} & set(names)):
        return Sheet(path, names, lines[1:], 2, delimiter)
    return Sheet(path, (), lines, 1, delimiter if delimiter == "\t" else None)


def regular(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names that columns have here: ours for the first known alias, else their own.

    Args:
        names: A header. Of two aliases of one name, such as id and path, the one that stands
            first in `COLUMN_NAMES` is meant, and the other keeps its own name.

    Example:
        >>> regular(["path", "ID", "cm-score"])
        ('path', 'id', 'score')
    """
    plain = [name.strip().strip('"').lower().replace("-", "_").replace(" ", "_") for name in names]
    ours = list(plain)
    for name, aliases in COLUMN_NAMES.items():
        meant = next((alias for alias in aliases if alias in plain), None)
        if meant is not None:
            ours[plain.index(meant)] = name
    return tuple(ours)


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
