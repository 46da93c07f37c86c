"""Keys: what each trial of an evaluation truly is, from manifests and from published protocols.

manifest      our Parquet, notes as columns of their own
asvspoof2019  speaker, trial, environment or "-", attack, key: five columns, no header
asvspoof2021  trial_metadata.txt, 8 columns (LA) or 13 (DF), no header
asvspoof5     protocol of ten columns, no header (named .tsv, space-separated)
table         header with a name for the trial and one for the label; or "trial key", no header
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

from unheard.audio import AUDIO_SUFFIXES
from unheard.errors import EvaluationError, suggestion
from unheard.evaluation.trials import KNOWN, Columns, Sheet, attacks_of, labels, read_sheet
from unheard.files import open_regular

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Joined", "in_one_form", "join", "read_keys", "with_notes"]

_KEY_FILE = (
    "a key file: a manifest (.parquet), a countermeasure protocol of ASVspoof 2019 or 5, "
    "trial_metadata.txt of 2021, or CSV with a header such as filename,label"
)
_LAYOUTS: dict[int, tuple[str, ...]] = {
    2: ("id", "label"),
    5: ("speaker", "id", "environment", "attack", "label"),
    8: ("speaker", "id", "codec", "transmission", "attack", "label", "trim", "part"),
    10: (
        *("speaker", "id", "gender", "codec", "codec_quality", "codec_seed"),
        *("attack_tag", "attack", "label", "-"),
    ),
    13: (
        *("speaker", "id", "codec", "source", "attack", "label", "trim", "part"),
        *("vocoder", "task", "team", "genders", "language_pair"),
    ),
}
"""Columns of published protocols without a header, by their number; the 2021 subset is our part.

Of the last four of the 13 only that they hold task, team, gender and language is known.
"""


@dataclass(frozen=True)
class Joined:
    """Scores joined with keys.

    Attributes:
        table: One row per trial of the keys, in their order; `score` null without one.
        missing: Trials without a score.
        unknown: Scored clips that are no trial.
        matched_by: How names were compared: "id", "id without suffix" or "file name".
    """

    table: pa.Table
    missing: tuple[str, ...]
    unknown: tuple[str, ...]
    matched_by: str


def read_keys(path: Path, *, bonafide_label: str = "", columns: Columns = KNOWN) -> pa.Table:
    """Read a key file, known by its content.

    Args:
        path: The file.
        bonafide_label: Label of bona fide trials where it is not a known word; "" otherwise.
        columns: Columns that are meant, where their names are not known ones.

    Returns:
        A table with `id`, `bonafide` and all else that the file holds; `attack` is "-" for bona
        fide trials.

    Raises:
        EvaluationError: If it cannot be read, repeats a trial, or a label is unknown.
    """
    import pyarrow.compute as pc

    if not path.is_file():
        raise EvaluationError(f"{path}: no such key file; give {_KEY_FILE}")
    with open_regular(path) as stream:
        is_parquet = stream.read(4) == b"PAR1"
    table = _parquet(path) if is_parquet else _text(path, bonafide_label, columns)
    ids = table.column("id")
    if pc.count_distinct(ids).as_py() != table.num_rows:
        counts = pc.value_counts(ids.combine_chunks()).to_pylist()
        twice = next(entry["values"] for entry in counts if entry["counts"] > 1)
        raise EvaluationError(f"{path}: the trial {twice!r} occurs twice; give each trial one key")
    return table


def with_notes(table: pa.Table) -> pa.Table:
    """Return a manifest's table with its notes as columns, "" where a clip lacks one.

    A note of the name of a column is left out: the column says it.
    """
    import pyarrow as pa

    if "notes" not in table.column_names:
        return table
    notes = [dict(pairs or ()) for pairs in table.column("notes").to_pylist()]
    table = table.drop_columns(["notes"])
    names = dict.fromkeys(name for note in notes for name in note)
    for name in names:
        if name not in table.column_names:
            cells = pa.array([note.get(name, "") for note in notes], pa.string())
            table = table.append_column(name, cells)
    return table


def join(scores: pa.Table, keys: pa.Table) -> Joined:
    """Join scores with keys.

    Names are compared as they are, without an audio suffix, and by file name alone (what follows
    the last "/", without suffix), each as it is and in one Unicode form; of these the first that
    finds most trials is taken, and none under which two names become one.

    Args:
        scores: Columns `id` and `score`; others are taken where the keys lack them.
        keys: As `read_keys` gives them.

    Raises:
        EvaluationError: If no trial has a score.
    """
    import pyarrow as pa

    ours, theirs = keys.column("id").to_pylist(), scores.column("id").to_pylist()
    best: tuple[int, str, dict[str, int], list[str]] = (0, "", {}, [])
    for name, plain in _WAYS.items():
        index = {plain(trial): row for row, trial in enumerate(theirs)}
        wanted = [plain(trial) for trial in ours]
        if len(index) < len(theirs) or len(set(wanted)) < len(wanted):
            continue
        n_found = sum(trial in index for trial in wanted)
        if n_found > best[0]:
            best = (n_found, name, index, wanted)
    n_found, name, index, wanted = best
    if not n_found:
        raise EvaluationError(
            f"none of the {len(ours)} trials of the keys (such as {_few(ours)}) is among the "
            f"{len(theirs)} scores (such as {_few(theirs)}); give the keys of these scores"
        )
    rows = [index.get(trial) for trial in wanted]
    taken = scores.take(pa.array(rows, pa.int64()))
    table = keys
    for column in taken.column_names:
        if column not in table.column_names:
            table = table.append_column(column, taken.column(column))
    _refuse_contradiction(keys, taken)
    used = {row for row in rows if row is not None}
    return Joined(
        table,
        missing=tuple(trial for trial, row in zip(ours, rows, strict=True) if row is None),
        unknown=tuple(trial for row, trial in enumerate(theirs) if row not in used),
        matched_by=name,
    )


def in_one_form(names: Iterable[str]) -> list[str]:
    """Return names in one Unicode form, in which they are compared; macOS writes another one."""
    return [normalize("NFC", name) for name in names]


def _refuse_contradiction(keys: pa.Table, scores: pa.Table) -> None:
    """Refuse a score file that holds keys, and other ones than the key file."""
    import pyarrow.compute as pc

    if "bonafide" not in scores.column_names:
        return
    contradicts = pc.not_equal(scores.column("bonafide"), keys.column("bonafide"))
    for row in keys.filter(pc.fill_null(contradicts, False)).slice(0, 1).to_pylist():
        words = ("spoofed", "bona fide") if row["bonafide"] else ("bona fide", "spoofed")
        raise EvaluationError(
            f"the trial {row['id']!r} is {words[0]} in the score file and {words[1]} in the keys; "
            "one of the two belongs to other trials or has its labels swapped: correct it"
        )


def _few(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:2]))


def _without_suffix(name: str) -> str:
    stem, mark, suffix = name.rpartition(".")
    return stem if f"{mark}{suffix}".lower() in AUDIO_SUFFIXES else name


def _file_name(name: str) -> str:
    return _without_suffix(name).replace("\\", "/").rpartition("/")[2]


def _in_one_form(way: Callable[[str], str], name: str) -> str:
    return normalize("NFC", way(name))


_PLAIN_WAYS: Mapping[str, Callable[[str], str]] = {
    "id": str,
    "id without suffix": _without_suffix,
    "file name": _file_name,
}


_WAYS: Mapping[str, Callable[[str], str]] = {
    **_PLAIN_WAYS,
    **{
        f"{name} in one Unicode form": partial(_in_one_form, way)
        for name, way in _PLAIN_WAYS.items()
    },
}


def _parquet(path: Path) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise EvaluationError(f"{path}: not a readable key file ({error}); give {_KEY_FILE}") from (
            error
        )
    for name in ("id", "bonafide"):
        if name not in table.column_names:
            raise EvaluationError(
                f"{path}: no column {name!r}{suggestion(name, table.column_names)}; "
                f"give {_KEY_FILE}"
            )
    table = table.drop_columns([name for name in ("score", "status") if name in table.column_names])
    return with_notes(table)


def _text(path: Path, bonafide_label: str, columns_meant: Columns) -> pa.Table:
    import pyarrow as pa

    sheet = read_sheet(path, _KEY_FILE, columns_meant)
    cells = sheet.columns() if sheet.names else _plain(sheet)
    if "label" not in cells and "attack" in cells:  # as SpoofCeleb: a00 is human speech
        cells["label"] = cells["attack"]
        if not bonafide_label:
            raise EvaluationError(
                f"{path}: no column with a label; if the attack says which trials are bona fide, "
                "name that value with --bonafide-label"
            )
    if "label" not in cells and "bonafide" in cells:
        cells["label"] = cells.pop("bonafide")
        bonafide_label = bonafide_label or next(
            (word for word in set(cells["label"]) if word.lower() == "true"), ""
        )
    if "label" not in cells:
        raise EvaluationError(
            f"{path}: no column 'label'{suggestion('label', sheet.names)}; give {_KEY_FILE}"
        )
    bonafide = labels(sheet, cells.pop("label"), bonafide_label)
    columns: dict[str, Any] = {name: column for name, column in cells.items() if name != "-"}
    if "attack" in columns:
        columns["attack"] = attacks_of(bonafide, cells["attack"])
    columns["bonafide"] = bonafide
    columns.pop("score", None)
    if "codec" in columns:
        columns["codec"] = [
            "none" if codec in ("-", "nocodec") else codec for codec in columns["codec"]
        ]
    return pa.table(columns)


def _plain(sheet: Sheet) -> dict[str, list[str]]:
    n_columns = len(sheet.lines[0].split(sheet.delimiter))
    if n_columns not in _LAYOUTS:
        raise EvaluationError(
            f"{sheet.path}:1: {sheet.lines[0].strip()[:80]!r} has {n_columns} columns and no "
            f"header; {', '.join(map(str, _LAYOUTS))} are known: give {_KEY_FILE}"
        )
    cells = dict(zip(_LAYOUTS[n_columns], sheet.plain(n_columns), strict=True))
    if "part" in cells:
        cells["subset"] = cells["part"]
    if "source" in cells:
        cells["compression"] = cells["codec"]
    return cells
