"""What a finished run says of itself: run.md and curves.png in its folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from unheard.detectors.bundle import read_card
from unheard.detectors.card import Card
from unheard.errors import TrainingError
from unheard.files import in_one_step
from unheard.training import curves
from unheard.training.initial_weights import BUNDLE

__all__ = ["CURVES", "EVENTS", "PAGE", "write"]

PAGE, CURVES, EVENTS = "run.md", "curves.png", "tensorboard"

_FILES = {
    BUNDLE: "the detector; `unheard info` shows its card",
    "calibrated": "the same detector, calibrated by `unheard calibrate`",
    CURVES: "loss, errors on dev and what else was logged, over steps",
    "log.jsonl": "a line of JSON for each logged step: learning rate, loss, gradient norm, dev",
    "recipe.json": "every setting of the run, and hashes of its clips",
    "checkpoints": "the last one; only a run that is not finished needs it, so it may be deleted",
    EVENTS: "the log for TensorBoard: `tensorboard --logdir` this folder",
    PAGE: "this page",
}


def write(out: Path) -> Path:
    """Write the page and the picture of a finished run; return the page.

    Args:
        out: Folder of the run, with its bundle.

    Raises:
        TrainingError: If its log cannot be read.
        BundleError: If there is no bundle.
    """
    card = read_card(out / BUNDLE)
    try:
        curves.draw([curves.read(out)], out / CURVES)
    except TrainingError:  # nothing was logged, as where nothing is trained in steps
        (out / CURVES).unlink(missing_ok=True)
    with in_one_step(out / PAGE) as unfinished:
        unfinished.write_text(_text(out, card), "utf-8")
    return out / PAGE


def _text(out: Path, card: Card) -> str:
    made, notes = card.provenance, card.provenance.notes
    n_steps = json.loads((out / "recipe.json").read_text())["recipe"]["budget"]["n_steps"]
    picture = (
        f"![Loss and errors on dev over steps]({CURVES})\n" if (out / CURVES).is_file() else ""
    )
    return f"""# {card.name}, seed {made.seed}

Written by `unheard train` {card.version} at the end of the run, revision {made.revision}.

Of {n_steps:,} steps, {_chosen(card)} The run took {_minutes(notes["seconds"])} with
{notes["processes"]} processes of {notes["threads"]} threads.

{picture}
## Go on with it

```
unheard score --detector {out} FILES
unheard evaluate {out} --data MANIFEST --protocol part:eval --out REPORT
unheard info {out}
```

## What it was trained on

{_clips(card)}

Recipe `{made.recipe}`; every value is in `recipe.json`. The same recipe, clips, machine and number
of threads and processes give the same weights to the bit.

## What lies here

{_files(out)}
"""


def _chosen(card: Card) -> str:
    """Return which step is the detector, and what it does on the clips that decided something."""
    notes = card.provenance.notes
    eer, cllr = _share(notes["dev_eer"]), f"{notes['dev_cllr']:.3f} bits"
    if on := notes.get("calibrated_on"):
        return (
            f"step {notes['best_step']} is the detector: EER\n{eer}, Cllr {cllr} on {on}.\n"
            "These calibrate it: test it on other clips."
        )
    return (
        f"step {notes['best_step']} was best on dev and is the detector: EER\n{eer}, Cllr {cllr} "
        "on all dev clips. **Both chose it, so\nthey flatter it**: test it on other clips."
    )


def _clips(card: Card) -> str:
    rows = [
        f"| {row.part} | {row.corpus} | {row.n_bonafide:,} | {row.n_spoof:,} | {row.hours:.1f} |"
        for row in card.provenance.material
    ]
    head = ["| part | corpus | bona fide | spoof | hours |", "|---|---|---:|---:|---:|"]
    return "\n".join([*head, *rows])


def _files(out: Path) -> str:
    rows = [
        f"| `{name}` | {what} |"
        for name, what in _FILES.items()
        if name == PAGE or (out / name).exists()
    ]
    return "\n".join(["| | |", "|---|---|", *rows])


def _share(value: Any) -> str:
    return f"{value:.2%}".replace("%", " %")


def _minutes(seconds: Any) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"
