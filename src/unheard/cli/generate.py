"""`unheard generate ...`: generators of spoofed speech: list, train, apply, reconstruct, check."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, cast

import typer

from unheard.cli.shared import AsJson, Jobs, default_cache, manifest_of, say
from unheard.errors import AttackError, RecipeError, UnheardError, suggestion

if TYPE_CHECKING:
    from unheard.attacks import Attack

__all__ = ["generate"]

_Value = TypeVar("_Value")

generate = typer.Typer(
    help="Generators of spoofed speech: list, train and apply them, make reconstructed twins.",
    no_args_is_help=True,
)

Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Set a field of the generator."),
]
Engines = Annotated[
    Path | None,
    typer.Option(help="Corpus cache in which engines are looked for; ~/.cache/unheard."),
]


@generate.command("list")
def generate_list(engines: Engines = None, as_json: AsJson = False) -> None:
    """List the generators, their families, and what is missing before one can be used."""
    from unheard.attacks import attacks

    rows = attacks(engines or default_cache()).values()
    for row in rows:
        if as_json:
            names = ("name", "family", "kind", "free", "licence", "languages", "packages")
            fields = {name: getattr(row, name) for name in names}
            typer.echo(json.dumps(fields | {"missing": row.missing()}))
        else:
            typer.echo(f"{row.name:26} {row.kind:5} {row.family:17} {row.missing()}".rstrip())


@generate.command("train")
def generate_train(  # noqa: PLR0913  a command has the options that it has
    name: Annotated[Literal["diffusion"], typer.Argument(help="Generator to train.")],
    data: Annotated[Path, typer.Option(help="Manifest, or the folder of a built corpus.")],
    out: Annotated[Path, typer.Option(help="Folder of the model.")],
    size: Annotated[
        Literal["small", "full"],
        typer.Option(help="small trains on a processor, full is for a GPU."),
    ] = "small",
    steps: Annotated[int, typer.Option(min=1, help="Steps in all.")] = 4000,
    batch: Annotated[int, typer.Option(min=1, help="Clips in a step.")] = 8,
    part: Annotated[
        list[str] | None, typer.Option(help="Part to train on; train if left out.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="FIELD=VALUE",
            help="Set a field of the training, as in rate=5e-4, or of the model, as in "
            "model.strongest=0.6.",
        ),
    ] = None,
    start_over: Annotated[
        bool, typer.Option("--start-over", help="Forget an earlier run in the folder.")
    ] = False,
) -> None:
    """Train a generator on the bona fide clips of train; an interrupted run resumes."""
    from dataclasses import replace

    from unheard.attacks.diffusion_model import SIZES
    from unheard.training.diffusion import Training, train

    mine = "model."
    given = settings or []
    config = _with(
        SIZES[size], [text.removeprefix(mine) for text in given if text.startswith(mine)]
    )
    training = replace(Training(), n_steps=steps, batch_clips=batch)
    training = _with(training, [text for text in given if not text.startswith(mine)])
    manifest, parts = manifest_of(data), tuple(part or ("train",))
    typer.echo(train(manifest, out, config, training, parts=parts, start_over=start_over, say=say))


@generate.command("reconstruct")
def generate_reconstruct(  # noqa: PLR0913  a command has the options that it has
    name: Annotated[
        str, typer.Argument(help="Generator that copies; see `unheard generate list`.")
    ],
    data: Annotated[Path, typer.Option(help="Manifest, or the folder of a built corpus.")],
    out: Annotated[Path, typer.Option(help="Folder for manifest.parquet and the twins.")],
    parts: Annotated[
        str, typer.Option(help="Parts to make twins of, with commas; never one for testing.")
    ] = "train,dev",
    settings: Settings = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder for the twins, to be shared by manifests.")
    ] = None,
    engines: Engines = None,
    jobs: Jobs = 1,
) -> None:
    """Make a reconstructed twin of each clip, and a manifest of clips and twins to train on.

    The same command again resumes where it stopped. Give it the manifest it wrote to add the twins
    of another generator.
    """
    from unheard.attacks.reconstruct import reconstruct

    chosen = _generator(name, settings, engines)
    named = tuple(part.strip() for part in parts.split(",") if part.strip())
    twins = reconstruct(
        manifest_of(data), chosen, out, parts=named, cache=cache, jobs=jobs, say=say
    )
    for why in list(twins.failures.values())[:20]:
        say(f"error: {why}")
    say(f"{twins.n_made} twins made, {twins.n_kept} were there, {len(twins.failures)} failed")
    typer.echo(twins.manifest)
    if twins.failures:
        raise typer.Exit(1)


@generate.command("apply")
def generate_apply(
    name: Annotated[
        str, typer.Argument(help="Generator that copies; see `unheard generate list`.")
    ],
    paths: Annotated[list[str], typer.Argument(help="Recordings, folders or globs.")],
    out: Annotated[Path, typer.Option(help="Folder for the copies, FLAC at 16 kHz.")],
    settings: Settings = None,
    engines: Engines = None,
    seed: Annotated[int, typer.Option(min=0, help="Draws what the generator draws.")] = 0,
) -> None:
    """Copy recordings with a generator, each into a file of its own."""
    import numpy as np

    from unheard import audio
    from unheard.attacks import Speech
    from unheard.scoring.many import find

    chosen = _generator(name, settings, engines)
    if chosen.kind != "copy":
        raise AttackError(
            f"{name} speaks texts and copies no recording; choose one that `unheard generate list` "
            "calls a copy"
        )
    files, errors = find(paths, audio.AUDIO_SUFFIXES)
    failed = [str(row["error"]) for row in errors]
    for number, file in enumerate(files):
        target = out / f"{number:04d}-{Path(file).stem}.flac"
        try:
            source = audio.read(Path(file), minimum_s=0.0).samples
            rng = np.random.default_rng((seed, number))
            audio.write(target, chosen.generate(Speech(source), rng))
        except UnheardError as error:
            failed.append(f"{file}: {error}")
        else:
            typer.echo(target)
    for why in failed:
        say(f"error: {why}")
    if failed:
        raise typer.Exit(1)


@generate.command("check")
def generate_check(
    data: Annotated[Path, typer.Argument(help="Manifest with twins, as reconstruct writes it.")],
    jobs: Jobs = 1,
    as_json: AsJson = False,
) -> None:
    """Say whether length, level, silence or bandwidth tells twins from their sources."""
    from unheard.corpora.open.twin_cues import compare_twins

    reports = compare_twins(manifest_of(data), jobs=jobs, say=say)
    if as_json:
        typer.echo(json.dumps([report.to_dict() for report in reports]))
    else:
        typer.echo("\n".join(report.render() for report in reports), nl=False)


def _generator(name: str, settings: list[str] | None, engines: Path | None) -> Attack:
    from unheard.attacks import attacks

    known = attacks(engines or default_cache())
    if name not in known:
        raise RecipeError(f"no generator is called {name!r}{suggestion(name, known)}")
    return _with(known[name], settings or [])


def _with(value: _Value, settings: list[str]) -> _Value:
    """A value with fields set as `--set` says."""
    from unheard.training.recipe import with_settings

    return cast(_Value, with_settings(cast(Any, value), settings))
