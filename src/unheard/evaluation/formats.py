"""Score files of others: read into one table, known by their content, and written.

unheard       Parquet with the columns of `unheard.evaluation.scores.COLUMNS`
asvspoof2019  "trial attack key score" or "speaker trial score key", space-separated, no header;
              also "trial key score" and "Output, trial, 1, score", as baselines write them
asvspoof2021  "trial score", space-separated, no header; also what DF Arena and Speech Spoof Bench
              take
asvspoof5     tab-separated, header "filename<TAB>cm-score"
csv           header with a name for the trial and one for the score, or for the logits of spoof and
              bona fide, perhaps with a label; columns separated by comma, semicolon or tab
jsonl         JSON lines with such names

A column of another name is meant by `Columns`. Text is UTF-8 or UTF-16, with any ends of lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unheard.errors import EvaluationError, RecipeError, suggestion
from unheard.evaluation.trials import (
    KNOWN,
    LOGITS,
    Columns,
    Sheet,
    as_number,
    attacks_of,
    check_columns,
    is_label,
    labels,
    pair_of,
    read_sheet,
    regular,
)
from unheard.files import in_one_step, open_regular

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FORMATS", "Scores", "official_ids", "read", "write"]

FORMATS: dict[str, str] = {
    "unheard": "Parquet with id, score and all else that is known of a clip",
    "asvspoof2019": "text: trial, attack, key, score",
    "asvspoof2021": "text: trial, score (also DF Arena and Speech Spoof Bench)",
    "asvspoof5": "tab-separated text with the header filename, cm-score",
    "csv": "CSV with a header: filename, score and, where known, label",
}
"""Formats by name, as `unheard scores convert --to` takes them."""

_HEADS = {"asvspoof5": "filename\tcm-score\n", "csv": "filename,score\n"}
_SCORE_FILE = (
    "a score file: Parquet, text with the columns trial and score (or trial, attack, key, score), "
    "or CSV with a header such as filename,score"
)


_NOTES_ON_PAIRS = (
    "each score was a pair of logits; their difference is used, bona fide (the second) minus spoof",
)
_OUTPUT_LABELS = {"1": "bonafide", "0": "spoof"}
"""What the log lines "Output, NAME, 1, score" of several baselines call the classes."""


@dataclass(frozen=True)
class Scores:
    """What a score file holds.

    Attributes:
        table: Columns `id` (string) and `score` (double; null where the file has none), and
            all else that the file holds: `bonafide`, `attack`, ... under our names.
        format: Its name in `FORMATS`.
        notes: What the reader of a report should know, as sentences.
    """

    table: pa.Table
    format: str
    notes: tuple[str, ...] = ()


def read(
    path: Path, format: str = "", *, bonafide_label: str = "", columns: Columns = KNOWN
) -> Scores:
    """Read a score file of any format.

    Args:
        path: The file, of any suffix.
        format: A name in `FORMATS`; "" recognises it from the content.
        bonafide_label: Label of bona fide trials where it is not a known word; "" otherwise.
        columns: Columns that are meant, where their names are not known ones.

    Raises:
        EvaluationError: If the file cannot be read as this format, repeats a trial, holds a NaN or
            infinite score, or its scores have half precision.
        RecipeError: If no format has that name.
    """
    if format and format not in FORMATS:
        raise RecipeError(f"no score format {format!r}{suggestion(format, FORMATS)}")
    if not path.is_file():
        raise EvaluationError(
            f"{path}: no such score file; `unheard evaluate` writes scores.parquet into --out"
        )
    with open_regular(path) as stream:
        is_parquet = stream.read(4) == b"PAR1"
    if is_parquet or format == "unheard" or path.suffix == ".parquet":
        scores = _parquet(path, bonafide_label, columns)
    else:
        sheet = read_sheet(path, _SCORE_FILE, columns)
        scores = _table(sheet, bonafide_label) if sheet.names else _text(sheet, format)
    _check(path, scores.table)
    return scores


def write(path: Path, table: pa.Table, format: str) -> Path:
    """Write scores in a text format of `FORMATS`, in one step; numbers keep every digit.

    Args:
        path: File to write.
        table: Columns `id`, `score`, and for some formats `bonafide` and `attack`.
        format: Any format but "unheard", which `write_scores` writes.

    Raises:
        EvaluationError: If the format wants a key that the table lacks, or a clip has no score.
    """
    scores = table.column("score").to_numpy()
    if np.isnan(scores).any():
        raise EvaluationError(
            f"{int(np.isnan(scores).sum())} of {scores.size} clips have no score, which the format "
            f"{format} cannot say; leave them out with --allow-missing"
        )
    if format == "asvspoof2019" and "bonafide" not in table.column_names:
        raise EvaluationError(
            "the format asvspoof2019 holds the key of each trial, which this score file does not; "
            "give --keys, or write asvspoof2021"
        )
    with (
        in_one_step(path) as unfinished,
        unfinished.open("w", encoding="utf-8", newline="\n") as stream,
    ):
        stream.writelines(_lines(table, format))
    return path


def official_ids(ids: Sequence[str], corpora: Sequence[str]) -> list[str]:
    """Return ids as their authors write them: without our "<corpus>/", where all begin so.

    Args:
        ids: Clip ids.
        corpora: Corpus of each clip.
    """
    if all(name.startswith(f"{corpus}/") for name, corpus in zip(ids, corpora, strict=True)):
        short = [name[len(corpus) + 1 :] for name, corpus in zip(ids, corpora, strict=True)]
        if len(set(short)) == len(short):
            return short
    return list(ids)


def _lines(table: pa.Table, format: str) -> Iterator[str]:
    columns = {name: table.column(name).to_pylist() for name in table.column_names}
    n = table.num_rows
    ids, scores = columns["id"], columns["score"]
    known = columns.get("bonafide")
    words = ["bonafide" if is_bonafide else "spoof" for is_bonafide in known] if known else []
    if format == "asvspoof2019":
        for name, attack, word, score in zip(
            ids, columns.get("attack", [""] * n), words, scores, strict=True
        ):
            yield f"{name} {attack or '-'} {word} {score!r}\n"
        return
    if format == "csv" and words:
        yield "filename,score,label\n"
        for name, score, word in zip(ids, scores, words, strict=True):
            yield f"{_quoted(name)},{score!r},{word}\n"
        return
    yield _HEADS.get(format, "")
    mark = {"asvspoof2021": " ", "asvspoof5": "\t", "csv": ","}[format]
    for name, score in zip(ids, scores, strict=True):
        yield f"{_quoted(name) if mark == ',' else name}{mark}{score!r}\n"


def _quoted(name: str) -> str:
    if any(mark in name for mark in ',"\n'):
        return '"' + name.replace('"', '""') + '"'
    return name


def _parquet(path: Path, bonafide_label: str, columns: Columns) -> Scores:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise EvaluationError(
            f"{path}: not a readable score file ({error}); give Parquet, or CSV with a header"
        ) from error
    table, is_pair = _renamed(path, table, bonafide_label, columns)
    for name in ("id", "score"):
        if name not in table.column_names:
            raise EvaluationError(
                f"{path}: no column {name!r}{suggestion(name, table.column_names)}; "
                "a score file has at least the columns id and score"
            )
    kind = table.schema.field("score").type
    if pa.types.is_float16(kind):
        raise EvaluationError(
            f"{path}: the scores have half precision, which ties and overflows; score again in "
            "single precision, or, if you have measured that it changes nothing, store the "
            "column as float32"
        )
    try:
        index = table.column_names.index("score")
        table = table.set_column(index, "score", table.column("score").cast(pa.float64()))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise EvaluationError(
            f"{path}: the column 'score' is not of type double ({error}); correct its values"
        ) from error
    return Scores(table, "unheard", _NOTES_ON_PAIRS if is_pair else ())


def _renamed(
    path: Path, table: pa.Table, bonafide_label: str, columns: Columns
) -> tuple[pa.Table, bool]:
    """The table under our names, and whether its scores are differences of two logits."""
    import pyarrow as pa
    import pyarrow.compute as pc

    named = regular(table.column_names, columns)
    check_columns(path, table.column_names, columns)
    kept = {"id", "score", *LOGITS} | ({"label"} if columns.label else set())
    table = table.rename_columns(
        [
            ours if ours in kept else name
            for name, ours in zip(table.column_names, named, strict=True)
        ]
    )
    pair = pair_of(table.column_names) if "score" not in table.column_names else None
    if pair is not None:
        low, high = (table.column(name).cast(pa.float64()) for name in pair)
        table = table.drop_columns(list(pair)).append_column("score", pc.subtract(high, low))
    if columns.label:
        sheet = Sheet(path, (), [], 1, None)
        words = [str(word) for word in table.column("label").to_pylist()]
        table = table.drop_columns(["label", *({"bonafide"} & set(table.column_names))])
        table = table.append_column("bonafide", [labels(sheet, words, bonafide_label)])
    return table, pair is not None


def _table(sheet: Sheet, bonafide_label: str) -> Scores:
    """Read a table with a header."""
    import pyarrow as pa

    two = pair_of(sheet.names) if "score" not in sheet.names else None
    if "score" not in sheet.names and two is None:
        raise EvaluationError(
            f"{sheet.path}: no column 'score'{suggestion('score', sheet.names)}; "
            "give a header such as filename,score, or name the column with --score-column"
        )
    if len(set(sheet.names)) < len(sheet.names):
        raise EvaluationError(
            f"{sheet.path}: two columns of the header mean the same ({', '.join(sheet.names)}); "
            "leave only one trial, one score and one label"
        )
    cells = sheet.columns()
    if two is not None:
        written = zip(*(cells.pop(name) for name in two), strict=True)
        cells["score"] = [
            f"[{low} {high}]" if low and high else "[nan nan]" for low, high in written
        ]
    pairs = cells["score"][:1] and cells["score"][0].startswith("[")
    numbers = _pairs(sheet, cells["score"]) if pairs else _numbers(sheet, cells["score"])
    columns: dict[str, Any] = {**cells, "score": pa.array(numbers, pa.float64())}
    if "label" in columns:
        words = columns.pop("label")
        columns.setdefault("bonafide", labels(sheet, words, bonafide_label))
    elif "bonafide" in columns:
        columns["bonafide"] = _truths(sheet, columns["bonafide"])
    notes = _NOTES_ON_PAIRS if pairs else ()
    return Scores(pa.table(columns), "asvspoof5" if sheet.delimiter == "\t" else "csv", notes)


def _text(sheet: Sheet, format: str) -> Scores:
    """Read a table without a header."""
    import pyarrow as pa

    words = sheet.lines[0].split(sheet.delimiter)
    last, before = words[-1].strip(), words[-2].strip() if len(words) > 1 else ""
    if is_label(before) and as_number(last) is not None and len(words) >= 4:
        ids, attacks, keys, scores = sheet.plain(4, ids_may_hold_spaces=True)
    elif is_label(before) and as_number(last) is not None and len(words) == 3:
        ids, keys, scores = sheet.plain(3)
        attacks = [""] * len(ids)
    elif words[0].rstrip(",") == "Output" and len(words) == 4:
        _, ids, truths, scores = (
            [cell.rstrip(",") for cell in column] for column in sheet.plain(4)
        )
        keys = [_OUTPUT_LABELS.get(truth, truth) for truth in truths]
        attacks = [""] * len(ids)
    elif is_label(last) and as_number(before) is not None and len(words) == 4:
        _, ids, scores, keys = sheet.plain(4)
        attacks = [""] * len(ids)
    elif as_number(last) is not None and (len(words) == 2 or format == "asvspoof2021"):
        ids, scores = sheet.plain(2, ids_may_hold_spaces=True)
        table = {"id": ids, "score": pa.array(_numbers(sheet, scores), pa.float64())}
        return Scores(pa.table(table), "asvspoof2021")
    else:
        raise EvaluationError(
            f"{sheet.path}:1: {sheet.lines[0].strip()[:80]!r} is no line of a score file known "
            f"here and no header; give {_SCORE_FILE}"
        )
    bonafide = labels(sheet, keys)
    table = {
        "id": ids,
        "score": pa.array(_numbers(sheet, scores), pa.float64()),
        "bonafide": bonafide,
        "attack": attacks_of(bonafide, attacks),
    }
    return Scores(pa.table(table), "asvspoof2019")


def _numbers(sheet: Sheet, cells: Sequence[str]) -> list[float | None]:
    """Return scores, None for an empty cell."""
    try:
        if sheet.delimiter == ";":  # where numbers have a comma, columns have semicolons
            cells = [cell.replace(",", ".") for cell in cells]
        return [float(cell) if cell else None for cell in cells]
    except ValueError:
        index = next(i for i, cell in enumerate(cells) if cell and as_number(cell) is None)
        raise EvaluationError(
            f"{sheet.where(index)}: the score {cells[index]!r} is not a number; correct it, or "
            "leave it empty for a trial without a score"
        ) from None


def _pairs(sheet: Sheet, cells: Sequence[str]) -> list[float | None]:
    """Return the difference of the two logits that a cell such as "[-1.5, 2.0]" holds."""
    if sheet.delimiter == ";":
        cells = [cell.replace(",", ".") for cell in cells]
    halves = [cell.strip("[] ").replace(",", " ").split() for cell in cells]
    for index, half in enumerate(halves):
        if len(half) != 2:
            raise EvaluationError(
                f"{sheet.where(index)}: the score {cells[index]!r}; a number or a pair of logits "
                "[spoof, bona fide] wanted: write one number per trial"
            )
    first, second = (_numbers(sheet, [half[side] for half in halves]) for side in (0, 1))
    return [float(high or 0) - float(low or 0) for low, high in zip(first, second, strict=True)]


def _truths(sheet: Sheet, cells: Sequence[str]) -> list[bool]:
    known = {"true": True, "false": False, "1": True, "0": False}
    for index, cell in enumerate(cells):
        if cell.lower() not in known:
            raise EvaluationError(
                f"{sheet.where(index)}: bonafide is {cell!r}, not of type bool; "
                "correct it to true or false"
            )
    return [known[cell.lower()] for cell in cells]


def _check(path: Path, table: pa.Table) -> None:
    """Refuse trials that occur twice and scores that are no numbers, naming the first."""
    import pyarrow.compute as pc

    ids = table.column("id")
    if pc.count_distinct(ids).as_py() != table.num_rows:
        counts = pc.value_counts(ids.combine_chunks()).to_pylist()
        twice = next(entry["values"] for entry in counts if entry["counts"] > 1)
        raise EvaluationError(f"{path}: the clip {twice!r} occurs twice; give each clip one row")
    scores = table.column("score").to_numpy()
    if np.isinf(scores).any():
        first = ids[int(np.flatnonzero(np.isinf(scores))[0])].as_py()
        raise EvaluationError(
            f"{path}: {int(np.isinf(scores).sum())} of {scores.size} scores are infinite, the "
            f"first that of clip {first!r}; give finite scores"
        )
    missing = pc.is_null(table.column("score")).to_numpy()
    if "status" in table.column_names:  # ours: NaN where a clip got no score, and says so
        missing |= pc.not_equal(table.column("status"), "scored").to_numpy()
    bad = np.isnan(scores) & ~missing
    if bad.any():
        first = ids[int(np.flatnonzero(bad)[0])].as_py()
        raise EvaluationError(
            f"{path}: {int(bad.sum())} of {scores.size} scores are NaN, the first that of clip "
            f"{first!r}; score these clips again in single precision, or leave the score empty to "
            "say that there is none"
        )
