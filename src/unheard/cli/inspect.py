"""`unheard inspect ...`: how training went, what experts and layers do, what a detector costs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unheard.cli.shared import AsJson, Data, detector_argument, manifest_of

if TYPE_CHECKING:
    from unheard.data.clip import Manifest

__all__ = ["inspect"]

inspect = typer.Typer(
    help="Look into runs and detectors: training, experts, layers, cost.", no_args_is_help=True
)

Parts = Annotated[list[str] | None, typer.Option("--part", help="Part to use; all if left out.")]
By = Annotated[str, typer.Option(help="Column that groups spoofed clips.")]
Clips = Annotated[int, typer.Option(min=1, help="Clips of each group.")]


@inspect.command("training")
def _training(
    runs: Annotated[
        list[Path], typer.Argument(help="Folders of runs, as `unheard train --out` had them.")
    ],
    out: Annotated[Path, typer.Option(help="Picture to write: .png, .pdf or .svg.")],
) -> None:
    """Draw how training went: loss, EER on dev and widths of networks that grew, over steps.

    Several runs are drawn over each other. A run may still be going on.
    """
    from unheard.training.curves import PICTURES, draw, read

    if out.suffix.lower() not in PICTURES:
        raise typer.BadParameter(f"--out {out}: end its name in one of {', '.join(PICTURES)}")
    typer.echo(draw([read(run) for run in runs], out))


@inspect.command("experts")
def _experts(
    bundle: Annotated[
        Path,
        detector_argument("Bundle or run whose detector has a mixture of experts."),
    ],
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for routing.png and routing.json.")],
    parts: Parts = None,
    by: By = "family",
    clips: Clips = 100,
) -> None:
    """Show which expert of a mixture handles which attacks."""
    from unheard.detectors.bundle import load
    from unheard.evaluation import routing

    usage = routing.measure(load(bundle), _chosen(data, parts), by=by, most_clips=clips)
    picture = routing.draw(usage, out)
    spread = routing.spread_bits(usage.gates)
    for name, bits in zip(usage.projections, spread.tolist(), strict=True):
        typer.echo(f"{name:50} {bits:.4f} bits between groups")
    typer.echo(picture)


@inspect.command("layers")
def _layers(
    bundle: Annotated[
        Path,
        detector_argument("Bundle or run whose detector reads a sum over layers."),
    ],
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for layers.png and layers.json.")],
    parts: Parts = None,
    by: By = "family",
    clips: Clips = 100,
) -> None:
    """Show which layers of its encoder a detector reads for which attacks."""
    from unheard.detectors.bundle import load
    from unheard.evaluation import routing

    usage = routing.measure_layers(load(bundle), _chosen(data, parts), by=by, most_clips=clips)
    picture = routing.draw(usage, out)
    for name, weights in zip(usage.groups, usage.gates[:, 0], strict=True):
        typer.echo(f"{name:30} most of layer {weights.argmax():2d}: {weights.max():.3f}")
    typer.echo(picture)


@inspect.command("cost")
def _cost(
    bundle: Annotated[
        Path,
        detector_argument("Bundle or run to measure; shipped is the one inside the package."),
    ],
    out: Annotated[Path | None, typer.Option(help="File to write it to as JSON.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure what a detector costs: its size, and the time of one core for a second of audio."""
    from dataclasses import asdict

    from unheard.compare.cost import measure, write_cost

    measured = measure(bundle)
    if out is not None:
        write_cost(measured, out)
    if as_json:
        typer.echo(json.dumps(asdict(measured)))
        return
    typer.echo(f"parameters        {measured.parameters:,}, of which {measured.trained:,} trained")
    typer.echo(f"bundle            {measured.bundle_bytes / 1e6:.2f} MB")
    typer.echo(f"scoring           {measured.core_s:.5f} s of one core for a second of audio")


def _chosen(data: Path, parts: list[str] | None) -> Manifest:
    manifest = manifest_of(data)
    return manifest.part(*parts) if parts else manifest
