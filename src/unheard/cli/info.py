"""`unheard info`: the card of a detector."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unheard.cli.shared import SHIPPED, AsJson, detector_argument

__all__ = ["info"]


def info(
    detector: Annotated[
        Path,
        detector_argument(),
    ] = SHIPPED,
    as_json: AsJson = False,
) -> None:
    """Print a detector's card: what it was trained and tested on, and where it fails."""
    from unheard.detectors import bundle
    from unheard.detectors.card_text import model_card

    card = bundle.read_card(detector)
    typer.echo(card.model_dump_json(indent=2) if as_json else model_card(card), nl=as_json)
