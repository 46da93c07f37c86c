"""Print how much of each package the tests ran, out of coverage's JSON: `make coverage`."""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any


def table(files: dict[str, Any]) -> str:
    """Return a Markdown table of lines and branches by package, then of all."""
    counts: dict[str, Counter[str]] = {}
    for path, file in files.items():
        package = path.rpartition("src/unheard/")[2].partition("/")[0].removesuffix(".py")
        for name in (package, "all"):
            numbers = {key: n for key, n in file["summary"].items() if isinstance(n, int)}
            counts.setdefault(name, Counter()).update(numbers)
    rows = ["| package | lines | of | branches | of |", "|---|---|---|---|---|"]
    for name in [*sorted(counts.keys() - {"all"}), "all"]:
        cells = [name]
        for covered, total in (
            ("covered_lines", "num_statements"),
            ("covered_branches", "num_branches"),
        ):
            n = counts[name][total]
            cells += [f"{counts[name][covered] / n:.1%}" if n else "-", str(n)]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


if __name__ == "__main__":
    sys.stdout.write(table(json.loads(Path(sys.argv[1]).read_text())["files"]) + "\n")
