"""What a bench prints, as rows of one form: what, ours, peer, limit or goal, ratio.

A bench prints Markdown tables with columns of its own. Each number in them becomes a row, named by
the cells of words before it and its column. `PEERS` says which column is the peer of which,
`AGAINST` which row is. A ratio is always the peer's cost over ours: above 1, ours costs less.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

HEAD = "| what | ours | peer | limit or goal | ratio |\n|---|---|---|---|---:|\n"

LABELS = {"threads", "batch", "kbit/s", "recordings planned", "clip, s", "clients"}
"""Columns of numbers that say what was measured and are no result."""

PEERS = {
    "1,000 draws, s": ("plain loop, s (scaled)", "ratio", True),
    "ours, ms": ("literal transcription, ms", "ratio", True),
    "ours": ("written out", "ratio", True),
    "kept": ("as usual", "ratio", False),
}
"""Columns: ours -> the peer's, that of the ratio, and whether it is the peer's over ours."""

AGAINST = {
    "core s per window": "against field",
    "wall s per window": "against field",
    "step, s": "ratio to everything tuned",
    "best step": "ratio, median",
    "best, processor time": "ratio, median",
    "s": "ratio to its experts",
}
"""Columns: ours -> that of the ratio to the row of `REFERENCE`, ours over the peer's."""

REFERENCE = {
    "encoders": "everything tuned",
    "export": "field, float32",
    "growth": "before",
    "lora": "LoRA, rank 16",
    "mldg": "supervised",
}
"""How a bench calls the row that those after it are measured against."""

GOALS = (
    ("augment", r"RawBoost algorithm [37]", "a ratio of 5"),
    ("aasist", r"step", "a ratio of 1.8"),
    ("export", r"int8, threads 1, batch 1$", "a ratio of 5"),
    ("decode", r"(wav|flac).*: s$", "1.1 times soundfile's"),
    ("score", r"cold start", "0.40 s"),
    ("service", r"requests a second", "the detector alone, over 1.3"),
)
"""Of which rows of which bench what is a limit, or what we set out to reach."""

NUMBER = re.compile(r"[-+]?[\d.,]+(e[-+]?\d+)?( ?(s|ms|MB|MiB|x|%))?")
LINE = re.compile(r"(.+?):? ([\d.,]+ (?:s|ms|MB))")

Row = dict[str, str]


def uniform(name: str, printed: str) -> str:
    """Return what a bench printed as one table, and below it what is no number.

    Args:
        name: The bench.
        printed: Its output.
    """
    rows: list[Row] = []
    remarks: list[str] = []
    title = ""
    for block in re.split(r"\n\s*\n", printed.strip()):
        lines = [line.strip() for line in block.strip().splitlines()]
        table = [line for line in lines if line.startswith("|")]
        for line in lines:
            if line.startswith("|"):
                continue
            if match := re.fullmatch(r"(?:#+ |\*\*)(.+?)(?:\*\*)?", line):
                title = match[1]
            elif match := LINE.fullmatch(line):
                rows.append({"what": match[1], "ours": match[2]})
            elif line:
                remarks.append(line)
        if table:
            rows += _rows(table, title, REFERENCE.get(name, ""))
    text = HEAD + "".join(_line(row, _goal(name, row["what"])) for row in rows)
    return (text if rows else "") + "".join(f"\n{remark}\n" for remark in remarks)


def _rows(table: list[str], title: str, reference: str) -> Iterator[Row]:
    header, _, *cells = [[cell.strip() for cell in line.strip()[1:-1].split("|")] for line in table]
    taken = {column for pair in PEERS.values() for column in pair[:2] if pair[0] in header}
    taken |= {*AGAINST.values()}
    is_label = [
        column in LABELS or any(line[n] not in ("", "-") and not _number(line[n]) for line in cells)
        for n, column in enumerate(header)
    ]
    last: dict[str, str] = {}
    for line in cells:
        labels = [
            f"{column} {cell}".strip() if _number(cell) else cell
            for column, cell, label in zip(header, line, is_label, strict=True)
            if label and cell
        ] or [f"{header[0]} {line[0]}"]
        named = set() if any(is_label) else {header[0]}
        by_column = dict(zip(header, line, strict=True))
        row: Row = {}
        results = {
            column: cell
            for column, cell, label in zip(header, line, is_label, strict=True)
            if not label and column not in taken | named and cell not in ("", "-")
        }
        for column in results:
            row |= _peer(column, by_column, last)
            if reference in labels:
                last[column], row = f"{', '.join(labels)}: {results[column]}", {}
        what = f"{title}: " * bool(title) + ", ".join(labels)
        if len(results) == 1:
            ((column, cell),) = results.items()
            yield row | {"what": f"{what}: {column}", "ours": cell}
        elif results:
            row["ours"] = "; ".join(f"{column}: {cell}" for column, cell in results.items())
            yield row | {"what": what}


def _peer(column: str, line: Row, last: dict[str, str]) -> Row:
    """Return the peer of a cell, and the ratio; `last` holds the row of reference by column."""
    if column in PEERS and line.get(PEERS[column][0]):
        peer, ratio, peer_over_ours = PEERS[column]
        value = line.get(ratio, "")
        return {"peer": f"{peer}: {line[peer]}", "ratio": value if peer_over_ours else _over(value)}
    if AGAINST.get(column) in line:
        return {"peer": last.get(column, ""), "ratio": _over(line[AGAINST[column]])}
    return {}


def _over(ratio: str) -> str:
    return f"{1 / float(ratio):.2f}" if ratio and float(ratio) else ""


def _number(cell: str) -> bool:
    return NUMBER.fullmatch(cell) is not None


def _goal(name: str, what: str) -> str:
    goals = (goal for bench, part, goal in GOALS if bench == name and re.search(part, what))
    return next(goals, "")


def _line(row: Row, goal: str) -> str:
    cells = (row["what"], row["ours"], row.get("peer", ""), goal, row.get("ratio", ""))
    return f"| {' | '.join(cells)} |\n"
