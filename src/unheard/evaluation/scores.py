"""Score files: one row per clip, and in the file's metadata what was scored and with what."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unheard.errors import EvaluationError
from unheard.evaluation.formats import read
from unheard.files import in_one_step
from unheard.metrics import NEVER

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "COLUMNS",
    "SCORED",
    "Facts",
    "completed",
    "read_facts",
    "read_scores",
    "write_scores",
]

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
    "codec": "",
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
        trained_systems: Base systems of the training and dev clips; empty if not known.
        conditions: Conditions that each clip was scored under, by name, "raw" first; empty if
            clips were only scored as they are. Then the column `condition` says which.
        fusion: Weight of each system in scores that were fused by regression, and "offset".
        source: Score file of others that this one was made from, and its hash.
        notes: What was done to the scores, or is to be known of them, as sentences.
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
    trained_systems: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    fusion: dict[str, float] = field(default_factory=dict)
    source: str = ""
    notes: tuple[str, ...] = ()

    @property
    def calibrated(self) -> bool:
        """Whether scores are natural-log likelihood ratios fitted on dev, and not just numbers.

        Those of imported weights are not, until the detector is calibrated.
        """
        points = self.operating_points.values()
        return bool(points) and all(abs(point) < NEVER for point in points)

    @property
    def name(self) -> str:
        """What to call what was scored: the detector, else the score file."""
        return self.bundle or self.source.partition(" (")[0]


def write_scores(path: Path, columns: Mapping[str, Any], facts: Facts) -> Path:
    """Write a score file in one step: a reader sees the old file or the new one.

    Args:
        path: A Parquet file.
        columns: One list or Arrow column per name of `COLUMNS`; others are kept as text behind
            them.
        facts: What the file says of its making.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({name: columns[name] for name in COLUMNS}, schema=_schema())
    for name, column in columns.items():
        if name not in COLUMNS:
            table = table.append_column(name, _text(column))
    table = table.replace_schema_metadata({_KEY: json.dumps(asdict(facts))})
    with in_one_step(path) as unfinished:
        pq.write_table(table, unfinished, compression="zstd")
    return path


def read_scores(path: Path) -> pa.Table:
    """Read a score file, ours or one of the user's own.

    Args:
        path: Any format that `formats.read` takes. Needed are id, score (higher is more bona
            fide; an empty one means no score) and which clips are bona fide; the others of
            `COLUMNS` are used where present.

    Returns:
        A table with all of `COLUMNS`, in that order, and any other columns there are, as
        text.

    Raises:
        EvaluationError: If the file is missing, cannot be read, lacks a column, repeats a clip,
            or holds a NaN or infinite score.
    """
    return completed(read(path).table, path)


def completed(table: pa.Table, path: Path) -> pa.Table:
    """Return scores with keys as a table with all of `COLUMNS`.

    Args:
        table: At least `id`, `score` and `bonafide`.
        path: Where it comes from, for messages.

    Raises:
        EvaluationError: If a column is missing or of another type.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if "bonafide" not in table.column_names:
        raise EvaluationError(
            f"{path}: does not say which clips are bona fide (no column 'bonafide' or 'label' "
            f"among {', '.join(table.column_names)}); give the keys of its trials with --keys"
        )
    columns: dict[str, Any] = {}
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
    unscored = pc.and_(pc.is_nan(columns["score"]), pc.equal(columns["status"], SCORED))
    columns["status"] = pc.if_else(unscored, "no verdict", columns["status"])
    columns |= {
        name: _text(table.column(name)) for name in table.column_names if name not in COLUMNS
    }
    return pa.table(columns)


def _text(column: Any) -> Any:
    """Return a column as text, "" for null."""
    import pyarrow as pa

    array = column if isinstance(column, pa.ChunkedArray) else pa.array(column)
    return array.cast(pa.string()).fill_null("")


def read_facts(path: Path) -> Facts:
    """Return what a score file says of its making; empty facts for a file of the user's own.

    Raises:
        EvaluationError: If the file is missing or cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        stated = (pq.read_schema(path).metadata or {}).get(_KEY)
    except (pa.ArrowInvalid, OSError):
        read(path)  # says what is wrong with it, if it is no score file of others
        return Facts()
    if stated is None:
        return Facts()
    known = {field.name for field in fields(Facts)}
    facts = {name: value for name, value in json.loads(stated).items() if name in known}
    for name in ("thresholds", "trained_families", "trained_systems", "conditions", "notes"):
        facts[name] = tuple(facts.get(name, ()))
    return Facts(**facts)


def _schema() -> pa.Schema:
    import pyarrow as pa

    kinds = {str: pa.string(), float: pa.float64(), bool: pa.bool_()}
    return pa.schema([(name, kinds[type(value)]) for name, value in COLUMNS.items()])


def _fill(name: str) -> Any:
    return float("nan") if name == "score" else COLUMNS[name]
