"""What several commands ask about how to score: the options they share, and what these make."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from unheard.scoring.many import Settings

__all__ = ["DetectorFolder", "MinSpeech", "SpoofPrior", "Threshold", "settings_of"]

DetectorFolder = Annotated[
    Path | None, typer.Option(help="Bundle to score with; the packaged one if left out.")
]
Threshold = Annotated[
    float | None, typer.Option(help="Decide at this score instead: below it is spoof.")
]
SpoofPrior = Annotated[
    float,
    typer.Option(
        min=1e-6, max=1 - 1e-6, help="Share of spoof you expect; moves the probability only."
    ),
]
MinSpeech = Annotated[
    float, typer.Option(min=0, help="With fewer seconds of speech there is no verdict.")
]


def settings_of(
    detector: Path | None,
    operating_point: str,
    threshold: float | None,
    spoof_prior: float,
    min_speech: float,
    hop: float | None,
) -> Settings:
    """Return how to score, as the options have it.

    Raises:
        typer.BadParameter: If there is a threshold and an operating point.
        BundleError: If no detector is named and this installation has none.
    """
    if threshold is not None and operating_point != "sure":
        raise typer.BadParameter("give --threshold or --operating-point, not both")
    from unheard.detectors import bundle
    from unheard.scoring.many import Settings

    return Settings(
        detector or bundle.default(), operating_point, threshold, spoof_prior, min_speech, hop
    )
