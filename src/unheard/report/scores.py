"""Score files: one row per clip, and in the file's metadata what was scored and with what."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unheard.errors import EvaluationError, suggestion

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["COLUMNS", "SCORED", "Facts", "read_facts", "read_scores", "write_scores"]

COLUMNS: dict[str, Any] = {
    "id": "",
    "score": float("nan"),
    "bonafide": False,
    "part": "eval",
    "attack": "",
    "family": "",
    "speaker": "",
    "language": "",
    "corpus": "",
    "duration_s": 0.0,
    "decision": "",
    "status": "scored",
    "reason": "",
}
"""Columns of a score file, and what a file of the user's own is taken to hold where it lacks one.

`score` is a natural-log likelihood ratio, NaN without one; `status` is "scored", "no verdict" or
"unreadable", with the reason; `decision` is what the detector says at its default.
"""

SCORED = "scored"
_WANTED = ("id", "score", "bonafide")
_KEY = b"unheard"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a score file knows of its making; empty for a file of the user's own.

    Attributes:
        bundle: Name and version of the detector.
        bundle_sha256: Hash of its bundle.json at the time.
        weights_sha256: Hash of its weights.
        key: Changes whenever the scores may: detector, clips, protocol.
        manifest_sha256: Hash of the clips of the protocol.
        protocol: Name of the protocol.
        date: Day of the evaluation, ISO 8601.
        command: Command line that does it again.
        operating_points: Published thresholds by name.
        thresholds: Default decision: spoof below the first, bona fide from the second.
        trained_families: Attack families of the training clips.
    """

    bundle: str = ""
    bundle_sha256: str = ""
    weights_sha256: str = ""
    key: str = ""
    manifest_sha256: str = ""
    protocol: str = ""
    date: str = ""
    command: str = ""
    operating_points: dict[str, float] = field(default_factory=dict)
    thresholds: tuple[float, ...] = ()
    trained_families: tuple[str, ...] = ()


def write_scores(path: Path, columns: dict[str, list[Any]], facts: Facts) -> Path:
    """Write a score file in one step: a reader sees the old file or the new one.

    Args:
        path: A Parquet file.
        columns: One list per name of `COLUMNS`.
        facts: What the file says of its making.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({name: columns[name] for name in COLUMNS}, schema=_schema())
    table = table.replace_schema_metadata({_KEY: json.dumps(asdict(facts))})
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".unfinished")
    pq.write_table(table, unfinished, compression="zstd")
    os.replace(unfinished, path)
    return path


def read_scores(path: Path) -> pa.Table:
    """Read a score file, ours or one of the user's own.

    Args:
        path: Parquet, or CSV with a header. Needed are the columns `id`, `score` (higher is more
            bona fide; an empty one means no score) and `bonafide` (true or false); the others of
            `COLUMNS` are used where present.

    Returns:
        A table with all of `COLUMNS`, in that order.

    Raises:
        EvaluationError: If the file is missing, cannot be read, lacks a column, repeats a clip,
            or holds an infinite score.
    """
    import pyarrow as pa

    table = _table(path)
    for name in _WANTED:
        if name not in table.column_names:
            raise EvaluationError(
                f"{path}: no column {name!r}{suggestion(name, table.column_names)}; "
                f"a score file has at least the columns {', '.join(_WANTED)}"
            )
    columns = {}
    for name, kind in zip(_schema().names, _schema().types, strict=True):
        try:
            columns[name] = (
                table.column(name).cast(kind).fill_null(_fill(name))
                if name in table.column_names
                else pa.array([COLUMNS[name]] * table.num_rows, kind)
            )
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise EvaluationError(
                f"{path}: the column {name!r} is not of type {kind} ({error}); correct its values"
            ) from error
    return _checked(path, pa.table(columns, schema=_schema()))


def read_facts(path: Path) -> Facts:
    """Return what a score file says of its making; empty facts for a file of the user's own.

    Raises:
        EvaluationError: If the file is missing or cannot be read.
    """
    stated = (_table(path).schema.metadata or {}).get(_KEY)
    if stated is None:
        return Facts()
    known = {one.name for one in fields(Facts)}
    facts = {name: value for name, value in json.loads(stated).items() if name in known}
    for name in ("thresholds", "trained_families"):
        facts[name] = tuple(facts.get(name, ()))
    return Facts(**facts)


def _schema() -> pa.Schema:
    import pyarrow as pa

    kinds = {str: pa.string(), float: pa.float64(), bool: pa.bool_()}
    return pa.schema([(name, kinds[type(value)]) for name, value in COLUMNS.items()])


def _fill(name: str) -> Any:
    return float("nan") if name == "score" else COLUMNS[name]


def _table(path: Path) -> pa.Table:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq

    if not path.is_file():
        raise EvaluationError(
            f"{path}: no such score file; `unheard evaluate` writes scores.parquet into --out"
        )
    try:
        if path.suffix.lower() == ".csv":
            text = {name: pa.string() for name, value in COLUMNS.items() if isinstance(value, str)}
            options = pa.csv.ConvertOptions(column_types=text, strings_can_be_null=False)
            return pa.csv.read_csv(path, convert_options=options)
        return pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise EvaluationError(
            f"{path}: not a readable score file ({error}); give Parquet, or CSV with a header"
        ) from error


def _checked(path: Path, table: pa.Table) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    ids = table.column("id")
    if pc.count_distinct(ids).as_py() != table.num_rows:
        counts = pc.value_counts(ids).to_pylist()
        twice = next(entry["values"] for entry in counts if entry["counts"] > 1)
        raise EvaluationError(f"{path}: the clip {twice!r} occurs twice; give each clip one row")
    scores = table.column("score").to_numpy()
    if np.isinf(scores).any():
        first = ids[int(np.flatnonzero(np.isinf(scores))[0])].as_py()
        raise EvaluationError(
            f"{path}: the score of clip {first!r} is infinite; give finite scores"
        )
    unscored = np.isnan(scores)
    status = table.column("status").to_pylist()
    status = [
        "no verdict" if missing and stated == SCORED else stated
        for stated, missing in zip(status, unscored, strict=True)
    ]
    index = table.column_names.index("status")
    return table.set_column(index, "status", pa.array(status, pa.string()))
