"""Put a trained bundle into the package, exported, with what its sibling says of unheard families.

Run:  python bench/ship.py runs/shipped/bundle runs/resnet18_mel/report

The shipped detector was trained on every free family, so no test of its own tells how it does on
kinds of synthesis it has not heard. The same recipe trained without the families of eval_out does;
its numbers are read from that run's report and written among the limits of the card.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import unheard
from unheard.detectors import bundle
from unheard.export import export

TARGET = Path(unheard.__file__).parent / "default_detector"


def limits(report: Path, hours: float) -> list[str]:
    """Return sentences about unheard families, from the metrics of the sibling's report."""
    told = json.loads((report / "metrics.json").read_text())
    rows = {
        row["group"]: row["metrics"]["eer"]
        for row in told["rows"]
        if row["part"] == "eval_out" and row["by"] in ("all", "family")
    }
    every = rows.pop("all")
    families = ", ".join(f"{name} {_told(row, 0)}" for name, row in rows.items())
    return [
        "Families it has never heard: the same recipe trained without the five families of "
        f"eval_out has an EER of {_told(every, 1)} on them ({families}); 50 % is chance. "
        "Expect that of new "
        "kinds of synthesis, not the numbers above.",
        f"It was trained on {hours:.1f} hours of speech: a starting point and a demonstration, not "
        "evidence. Do not decide on a person by it.",
    ]


def _told(eer: dict[str, float], digits: int) -> str:
    return f"{eer['value']:.{digits}%} [{eer['low']:.{digits}%}, {eer['high']:.{digits}%}]"


def main(trained: Path, sibling: Path) -> None:
    card = bundle.read_card(trained)
    material = card.provenance.material
    hours = sum(line.hours for line in material if line.part.startswith("train"))
    card = card.model_copy(update={"limits": [*limits(sibling, hours), *card.limits]})
    with tempfile.TemporaryDirectory() as folder:
        told = bundle.replace(
            Path(folder) / "bundle",
            card,
            {name: (trained / name).read_bytes() for name in card.files},
        )
        print(bundle.model_card(export(told, TARGET).card))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
