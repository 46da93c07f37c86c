"""`unheard export`, `pull`, `import`: graphs without torch, model hubs, others' checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from unheard.cli.shared import detector_argument, folder_option, manifest_of, say

if TYPE_CHECKING:
    from unheard.evaluation.rounding import RoundedScores

__all__ = ["export", "import_checkpoint", "pull"]


def export(  # noqa: PLR0913  a command has the options that it has
    bundle: Annotated[
        Path,
        detector_argument("Bundle, or folder of a run."),
    ],
    out: Annotated[Path, folder_option("Folder to write; what is there of this is replaced.")],
    to: Annotated[
        Literal["onnx", "hub"],
        typer.Option(
            help="onnx: a bundle that scores without torch. hub: the bundle as a folder in the "
            "layout of model hubs (safetensors or ONNX, config.json, README.md)."
        ),
    ] = "onnx",
    int8: Annotated[
        bool,
        typer.Option(
            "--int8", help="Round large linear layers to 8 bits, and measure what that does."
        ),
    ] = False,
    data: Annotated[
        list[Path] | None,
        typer.Option(help="With --int8: manifest to measure on; again for each further one."),
    ] = None,
    protocol: Annotated[
        str, typer.Option(help="With --int8: which clips of it; see `unheard evaluate`.")
    ] = "open",
    sample: Annotated[
        int | None, typer.Option(min=4, help="With --int8: only so many clips, spread evenly.")
    ] = None,
    push: Annotated[
        str | None,
        typer.Option(help="With --to hub: send it to this repository too, as in someone/detector."),
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="Let everyone see a repository that --push makes.")
    ] = False,
    licence: Annotated[
        str, typer.Option(help="With --to hub: licence that the hub is given, as in apache-2.0.")
    ] = "",
) -> None:
    """Write a detector for use without torch, or for a model hub.

    The graph takes any number of windows of any length. Its scores are compared with torch's before
    it is written; a difference above 1e-4, or above 1e-4 of the largest score, is refused, and what
    was found is on the card.
    """
    if to == "hub":
        if int8:
            raise typer.BadParameter("--int8 goes with --to onnx; export that to the hub after")
        _to_hub(bundle, out, push, public=public, licence=licence)
        return
    if push or public or licence:
        raise typer.BadParameter("--push, --public and --licence go with --to hub")
    from unheard.evaluation.rounding import export as run

    written = run(bundle, out, rounded_on=_trials(int8, data, protocol, sample), say=say)
    if written.card.export is not None and (shift := written.card.export.shift) is not None:
        say(
            f"rounding moved raw scores by {shift.drift:.2g} on average, {shift.largest:.2g} at "
            f"most (they spread by {shift.spread:.2g}); EER {shift.eer_before:.2%} before, "
            f"{shift.eer_after:.2%} after"
        )
    typer.echo(out)


def pull(
    source: Annotated[
        str, typer.Argument(help="Folder in the layout of model hubs, or a hub's repository.")
    ],
    out: Annotated[Path, folder_option("Folder of the bundle to write.")],
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit of the repository.")
    ] = None,
) -> None:
    """Make a bundle of what a model hub holds, checked file by file."""
    from unheard.detectors import hub

    if Path(source).is_dir():
        if revision:
            raise typer.BadParameter("--revision goes with a hub's repository, not with a folder")
        typer.echo(hub.from_layout(Path(source), out))
        return
    typer.echo(hub.pull(source, out, hub.client(), revision=revision))


def import_checkpoint(
    architecture: Annotated[
        str, typer.Argument(help="What the weights are of: aasist, aasist_l or ssl_aasist.")
    ],
    weights: Annotated[
        Path, typer.Argument(help="File of tensors: a state_dict by torch.save, or safetensors.")
    ],
    out: Annotated[Path, folder_option("Folder of the bundle to write.")],
    name: Annotated[
        str, typer.Option(help="What to call the detector; the file's name if left out.")
    ] = "",
    origin: Annotated[
        str, typer.Option(help="Where the weights come from and what they heard, for the card.")
    ] = "",
    code: Annotated[
        Path | None,
        typer.Option(
            help="The authors' repository at the pinned commit: their code scores noise with these "
            "weights too, and a difference above 1e-5 is refused. For aasist and aasist_l."
        ),
    ] = None,
) -> None:
    """Make a bundle of a checkpoint that others trained with an architecture that is here too.

    Every tensor must have a known name and a shape that fits. Calibration and thresholds are not
    known, as the card says: every clip is undecided until it is calibrated.
    """
    from unheard.detectors.checkpoints import import_checkpoint as run
    from unheard.evaluation.published import Authors, check_against_authors

    if code is not None:
        difference = check_against_authors(Authors(architecture, code), weights)
        say(f"scores of noise differ from those of the authors' code by {difference:.1g} at most")
    typer.echo(run(weights, architecture, out, name=name or weights.stem, origin=origin))


def _to_hub(bundle: Path, out: Path, push: str | None, *, public: bool, licence: str) -> None:
    from unheard.detectors import hub

    if public and not push:
        raise typer.BadParameter("--public goes with --push")
    typer.echo(hub.to_layout(bundle, out, licence=licence))
    if push:
        hub.push(bundle, push, hub.client(), private=not public, licence=licence)
        say(f"sent to {push}")


def _trials(
    int8: bool, data: list[Path] | None, protocol: str, sample: int | None
) -> RoundedScores | None:
    """Return the clips that rounding is measured on; None if nothing is rounded."""
    if not int8:
        if data or sample:
            raise typer.BadParameter("--data and --sample go with --int8")
        return None
    if not data:
        raise typer.BadParameter("--int8 states what it costs: give clips to measure with --data")
    from unheard.data.protocols import protocol as named
    from unheard.data.sample import sampled
    from unheard.evaluation.rounding import RoundedScores

    chosen = named(protocol)
    clips = chosen.chosen([manifest_of(path) for path in data])
    taken = clips if sample is None else sampled(clips, sample)
    name = chosen.name if len(taken) == len(clips) else f"{chosen.name}, {len(taken)} clips of it"
    return RoundedScores(name, taken)
