"""Two detectors on the same recordings: what changes in scores and decisions.

Scores of two detectors compare as far as both are calibrated: up is bona fide, 0 is no evidence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from unheard.data.rows import write_rows

__all__ = ["NO_VERDICT", "brief", "changes", "decisions_changed", "largest_first", "write"]

NO_VERDICT = "no verdict"
"""Stands for the decision where there is none."""

Row = dict[str, Any]


def brief(row: Row) -> Row:
    """Return what `changes` wants of a row of `unheard.scoring.many.score_many`; rows are long."""
    return {name: row.get(name) for name in ("source", "score", "decision", "reason", "error")}


def changes(sources: Sequence[str], old: Iterable[Row], new: Iterable[Row]) -> list[Row]:
    """Return a row for each recording: its scores and decisions by both detectors.

    Args:
        sources: The recordings, in the order of the rows.
        old: Rows of one detector, as `brief` gives them; those of other sources do not matter.
        new: Those of the other.

    Returns:
        Rows of `source`, `old_score`, `new_score`, `change` (new - old; None if either lacks a
        score), `old_decision`, `new_decision` (`NO_VERDICT` without one), `reason` (why a detector
        gives no verdict, or could not score the file; None if both gave one).
    """
    before, after = ({row["source"]: row for row in rows} for rows in (old, new))
    return [_change(source, before[source], after[source]) for source in sources]


def _change(source: str, old: Row, new: Row) -> Row:
    before, after = old["score"], new["score"]
    why = [row["error"] or row["reason"] for row in (old, new)]
    return {
        "source": source,
        "old_score": before,
        "new_score": after,
        "change": None if before is None or after is None else after - before,
        "old_decision": old["decision"] or NO_VERDICT,
        "new_decision": new["decision"] or NO_VERDICT,
        "reason": why[0] or why[1],
    }


def decisions_changed(rows: Sequence[Row]) -> Counter[tuple[str, str]]:
    """Return how many decisions changed, by (old, new); those that stayed are left out."""
    pairs = ((row["old_decision"], row["new_decision"]) for row in rows)
    return Counter(pair for pair in pairs if pair[0] != pair[1])


def largest_first(rows: Sequence[Row]) -> list[Row]:
    """Return the rows with both scores, those that moved most first."""
    both = [row for row in rows if row["change"] is not None]
    return sorted(both, key=lambda row: (-abs(row["change"]), row["source"]))


def write(rows: Sequence[Row], out: Path) -> None:
    """Write rows of `changes` as a table, in one step.

    Args:
        rows: The rows.
        out: File whose name ends in one of `unheard.data.rows.SUFFIXES`.

    Raises:
        OutputError: If it cannot be written.
    """
    import pyarrow as pa

    kinds = {name: pa.float64() for name in ("old_score", "new_score", "change")}
    names = ("source", *kinds, "old_decision", "new_decision", "reason")
    write_rows(rows, out, pa.schema([(name, kinds.get(name, pa.string())) for name in names]))
