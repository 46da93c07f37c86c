"""What `unheard score` draws or writes of each recording: timelines, experts, reports."""

from __future__ import annotations

from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

from unheard.errors import RecipeError

if TYPE_CHECKING:
    from unheard.scoring.many import Draw, Settings

__all__ = ["Drawn", "pictures_of", "what_to_draw"]

PICTURES = (".png", ".pdf", ".svg")


class Drawn(NamedTuple):
    """What is drawn of each recording: to which file or folder, ending how, by what."""

    place: Path
    is_folder: bool
    endings: tuple[str, ...]
    draw: Draw


def what_to_draw(
    settings: Settings, timeline: str | None, explain: str | None, report: str | None
) -> Drawn | None:
    """Return what the options ask to draw, or None if they ask for nothing."""
    from unheard.scoring import case_report, picture
    from unheard.scoring import timeline as experts

    if sum(place is not None for place in (timeline, explain, report)) > 1:
        raise typer.BadParameter(
            "give one of --timeline, --explain, whose picture holds more, and --report"
        )
    if report:
        asked = {"minimum_speech_s": settings.minimum_speech_s, "hop_s": settings.hop_s}
        write = partial(case_report.write, detector=settings.detector, settings=asked)
        return _drawn("--report", report, (".html", ".pdf"), write)
    if explain:
        _refuse_single(settings)
        return _drawn("--explain", explain, PICTURES, experts.explain)
    return _drawn("--timeline", timeline, PICTURES, picture.draw) if timeline else None


def _drawn(option: str, place: str, endings: tuple[str, ...], draw: Draw) -> Drawn:
    """What is drawn, where: a suffix means a file, a slash at the end a folder.

    Raises:
        typer.BadParameter: If the suffix is of something that is not written.
    """
    path = Path(place)
    is_folder = place.endswith("/") or path.is_dir() or not path.suffix
    if not is_folder and path.suffix.lower() not in endings:
        raise typer.BadParameter(
            f"{option} {place}: what is written ends in {' or '.join(endings)}; give "
            f"{path.with_suffix(endings[0])} for one file, or {place}/ for a folder"
        )
    return Drawn(path, is_folder, endings, draw)


def pictures_of(sources: list[str], drawn: Drawn) -> dict[str, Path]:
    """Return a picture for each source; names that are taken, whatever their case, get a number."""
    folder, is_folder, endings, _ = drawn
    if not is_folder:
        if len(sources) > 1:
            raise typer.BadParameter(f"{len(sources)} files, one picture {folder}: give a folder")
        return dict.fromkeys(sources, folder)
    pictures: dict[str, Path] = {}
    taken: set[str] = set()
    for source in sources:
        stem = "stdin" if source == "-" else Path(source).stem
        numbered = (f"{stem}-{number}" for number in count(2))
        name = next(word for word in chain([stem], numbered) if word.casefold() not in taken)
        taken.add(name.casefold())
        pictures[source] = folder / f"{name}{endings[0]}"
    return pictures


def _refuse_single(settings: Settings) -> None:
    """Refuse to explain a detector that is no mixture, and say how to get one."""
    if settings.experts():
        return
    raise RecipeError(
        f"{settings.detector}: one detector, not a mixture, so it has no experts to show; draw its "
        "verdict with --timeline, or train a mixture, as by the recipe attention_mixture_small"
    )
