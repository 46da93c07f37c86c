"""What the commands share: options, how lines are written, where manifests and detectors lie."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from unheard.data.clip import Manifest
    from unheard.scoring.many import Settings

__all__ = [
    "FILES",
    "SHIPPED",
    "AsJson",
    "Cache",
    "Channel",
    "Data",
    "Detector",
    "Hop",
    "IdColumn",
    "Jobs",
    "LabelColumn",
    "MinSpeech",
    "OperatingPoint",
    "ScoreColumn",
    "SpoofPrior",
    "Threshold",
    "Track",
    "default_cache",
    "detector_argument",
    "detector_folder",
    "folder_option",
    "manifest_of",
    "say",
    "setting_pair",
    "settings_of",
    "shown",
]

SHIPPED = Path("shipped")
"""What the detector inside the package is called, on every command that takes a detector."""


def detector_folder(name: Path | str) -> Path:
    """Return the folder of a bundle: of the packaged detector, in a run's folder, or as named.

    Args:
        name: "shipped"; the folder of a bundle; or that of a run, whose calibrated bundle is
            taken where there is one.

    Raises:
        BundleError: If the packaged detector is meant, and this installation has none.
    """
    from unheard.detectors import bundle

    return bundle.default() if str(name) == str(SHIPPED) else bundle.in_run(Path(name))


Jobs = Annotated[int, typer.Option(min=1, help="Processes to use.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON, for programs.")]
Data = Annotated[Path, typer.Option(help="Manifest, or the folder of a built corpus.")]
Cache = Annotated[
    Path | None, typer.Option(help="Folder for packages, corpora and encoders; ~/.cache/unheard.")
]
FILES = (".html", ".pdf", ".md", ".json", ".jsonl", ".csv", ".txt", ".parquet", ".png", ".svg")
"""What no folder that a command writes ends in, unless it is named with a slash."""

BUNDLE_OR_RUN = "Bundle, or folder of a run; shipped is the one inside the package."


def detector_argument(help: str = BUNDLE_OR_RUN) -> Any:
    """Return what a command says of a detector that is named without an option."""
    return typer.Argument(parser=detector_folder, metavar="DETECTOR", help=help)


def folder_option(help: str) -> Any:
    """Return what a command says of a folder that it writes."""
    return typer.Option(parser=_folder, metavar="PATH", help=help)


def _folder(name: Path | str) -> Path:
    """The folder of a name that is not that of a file: a suffix means a file, a slash a folder.

    Raises:
        typer.BadParameter: If it ends like a file.
    """
    folder = Path(name)
    if folder.suffix.lower() in FILES and not (str(name).endswith("/") or folder.is_dir()):
        raise typer.BadParameter(
            f"{name}: a folder is written, and {folder.suffix} is the end of a file; give "
            f"{folder.with_suffix('')}, or {name}/ if the folder is to be called so"
        )
    return folder


Detector = Annotated[
    Path, typer.Option(parser=detector_folder, metavar="DETECTOR", help=BUNDLE_OR_RUN)
]
OperatingPoint = Annotated[
    Literal["sure", "balanced", "false_alarm_1pct", "miss_1pct"],
    typer.Option(
        help="How to decide, by the detector's dev data: sure leaves undecided what it would "
        "get wrong more than once in 20; balanced errs alike on both sides; false_alarm_1pct "
        "calls at most 1 % of bona fide spoof; miss_1pct at most 1 % of spoof bona fide."
    ),
]
Hop = Annotated[
    float | None,
    typer.Option(min=0.02, help="Seconds between windows: a finer timeline, sooner scores."),
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
Channel = Annotated[
    str,
    typer.Option(
        metavar="mix|left|right|each|N",
        help="Which channel is scored; each gives a verdict on each; the lowest is the file's.",
    ),
]
Track = Annotated[
    str,
    typer.Option(
        metavar="default|all|N",
        help="Which audio track of a video or mkv is scored; all gives a verdict for each.",
    ),
]


ScoreColumn = Annotated[
    str,
    typer.Option(
        help="Column of the score, where its name is not a known one; or of two logits, "
        "comma-separated, that of spoof first."
    ),
]
LabelColumn = Annotated[
    str, typer.Option(help="Column of the label, in the keys or else in the score file.")
]
IdColumn = Annotated[str, typer.Option(help="Column of the trial's name in the score file.")]


def say(line: str) -> None:
    """Write a line of progress or of an error."""
    typer.echo(line, err=True)


def shown(text: str) -> str:
    """Return a text for one line of a terminal: what would break or steer it is spelt out.

    Names of files and detectors come from outside: a line break in one would forge a verdict.
    """
    return "".join(
        letter
        if letter.isprintable()
        else letter.encode("unicode_escape", "backslashreplace").decode()
        for letter in text
    )


def default_cache() -> Path:
    """Return the folder for packages, corpora and encoders if none is named."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "unheard"


def manifest_of(data: Path) -> Manifest:
    """Read a manifest, or that of a built corpus: of its equalised clips if it has any."""
    from unheard.data.clip import Manifest

    if not data.is_dir():
        return Manifest.read(data)
    equalised, raw = data / "equalised.parquet", data / "raw.parquet"
    return Manifest.read(raw if raw.is_file() and not equalised.is_file() else equalised)


def setting_pair(text: str) -> tuple[str, str]:
    """Return field and value of a text such as path=file.

    Raises:
        typer.BadParameter: If it is none.
    """
    field, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"--set {text}: give a field and its value, as in --set path=file")
    return field, value


def settings_of(
    detector: Path,
    operating_point: str,
    threshold: float | None,
    spoof_prior: float,
    min_speech: float,
    hop: float | None,
) -> Settings:
    """Return how to score, as the options have it.

    Raises:
        typer.BadParameter: If there is a threshold and an operating point.
    """
    if threshold is not None and operating_point != "sure":
        raise typer.BadParameter("give --threshold or --operating-point, not both")
    from unheard.detectors import bundle
    from unheard.scoring.many import Settings

    return Settings(
        detector or bundle.default(), operating_point, threshold, spoof_prior, min_speech, hop
    )
