"""The command line's page of generators: list, fetch, train, apply, copies, check."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, cast

import typer

from unheard.cli.archive import tell_found
from unheard.cli.shared import AsJson, Jobs, default_cache, folder_option, manifest_of, say
from unheard.errors import AttackError, RecipeError, UnheardError, suggestion

if TYPE_CHECKING:
    from unheard.attacks import Attack
    from unheard.data.clip import Manifest

__all__ = ["generate"]

_Value = TypeVar("_Value")

generate = typer.Typer(
    help="Generators of spoofed speech: list, fetch, train and apply them, copy whole corpora.",
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
    """List the generators: first those that can be used now, then what the others lack."""
    from unheard.attacks import attacks, pretrained

    rows = attacks(engines or default_cache()).values()
    lacks = [(row, row.missing() or pretrained.absent(row)) for row in rows]
    for row, missing in sorted(lacks, key=lambda pair: bool(pair[1])):
        if as_json:
            names = ("name", "family", "kind", "free", "licence", "languages", "packages")
            values = {name: getattr(row, name) for name in names}
            typer.echo(json.dumps(values | {"missing": missing}))
        else:
            typer.echo(f"{row.name:26} {row.kind:5} {row.family:17} {missing}".rstrip())


@generate.command("fetch")
def generate_fetch(
    names: Annotated[list[str], typer.Argument(help="Generators; all for every free one.")],
    engines: Engines = None,
    mirrors: Annotated[
        Path | None,
        typer.Option(help="Folder of local git directories OWNER+NAME, instead of public hosts."),
    ] = None,
) -> None:
    """Fetch the pinned packages and files that generators read, and check their hashes."""
    from unheard.attacks import attacks
    from unheard.corpora.open.generator_files import fetch_generators

    cache = engines or default_cache()
    known = attacks(cache)
    free = [row for row in known.values() if row.free]
    chosen = free if names == ["all"] else [_known(name, known) for name in names]
    failed = fetch_generators(cache, chosen, say, mirrors=mirrors)
    for why in failed:
        say(f"error: {why}")
    for row in chosen:
        typer.echo(f"{row.name:26} {row.missing() or 'can be used'}")
    if failed:
        raise typer.Exit(1)


@generate.command("train")
def generate_train(  # noqa: PLR0913  a command has the options that it has
    name: Annotated[Literal["diffusion"], typer.Argument(help="Generator to train.")],
    data: Annotated[Path, typer.Option(help="Manifest, or the folder of a built corpus.")],
    out: Annotated[Path, folder_option("Folder of the model.")],
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


@generate.command("copies")
def generate_copies(  # noqa: PLR0913  a command has the options that it has
    data: Annotated[Path, typer.Option(help="Manifest, or the folder of a built corpus.")],
    with_: Annotated[
        str,
        typer.Option(
            "--with",
            help="Generators or families, comma-separated; all for every free one that can be "
            "used now and that no part for testing holds out.",
        ),
    ],
    out: Annotated[Path, folder_option("Folder for manifest.parquet and the copies.")],
    parts: Annotated[
        str, typer.Option(help="Parts to copy, comma-separated; never one for testing.")
    ] = "train,dev",
    of: Annotated[
        Literal["all", "people"], typer.Option(help="Copy all clips, or bona fide ones alone.")
    ] = "all",
    each: Annotated[int, typer.Option(min=1, help="Copies of a clip, by as many generators.")] = 1,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="[NAME.]FIELD=VALUE",
            help="Set a field of the generator; with several, of the one that is named.",
        ),
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder for the copies, to be shared by manifests.")
    ] = None,
    engines: Engines = None,
    jobs: Jobs = 1,
) -> None:
    """Copy each clip with one of several generators; write a manifest of clips and copies.

    Which generator copies a clip depends on the clip alone. The same command again resumes where it
    stopped, after a kill too. Give it the manifest it wrote to add the copies of others.
    """
    from unheard.attacks.reconstruct import reconstruct

    manifest, named = manifest_of(data), tuple(_listed(parts))
    chosen = _chosen(with_, settings or [], engines, manifest, named)
    copies = reconstruct(
        manifest,
        chosen,
        out,
        parts=named,
        each=each,
        people_only=of == "people",
        cache=cache,
        jobs=jobs,
        say=say,
    )
    for why in list(copies.failures.values())[:20]:
        say(f"error: {why}")
    say(f"{copies.n_made} copies made, {copies.n_kept} were there, {len(copies.failures)} failed")
    typer.echo(copies.manifest)
    if copies.failures:
        raise typer.Exit(1)


@generate.command("splices")
def generate_splices(
    data: Annotated[Path, typer.Option(help="Manifest, or the folder of a built corpus.")],
    out: Annotated[Path, typer.Option(help="Folder for manifest.parquet and the recordings.")],
    parts: Annotated[
        str, typer.Option(help="Parts to make recordings of, comma-separated; each for itself.")
    ] = "dev,eval",
    with_: Annotated[
        str,
        typer.Option(
            "--with", help="Generators or families, comma-separated; all that can be used."
        ),
    ] = "all",
    each: Annotated[
        int, typer.Option(min=1, help="Recordings for each length, source of stretches and part.")
    ] = 6,
    seed: Annotated[int, typer.Option(min=0, help="Draws what is put where.")] = 0,
    engines: Engines = None,
) -> None:
    """Put synthetic stretches into recordings of people; write a manifest that says where.

    Recordings are joined from clips of one speaker or page. Stretches of 0.5 to 60 s come from
    generators, from spoofed clips of the part, and, as a control, from other people.
    """
    from unheard.attacks import attacks, pretrained
    from unheard.corpora.open.texts import SENTENCES
    from unheard.corpora.splices import splice

    known = attacks(engines or default_cache())
    words = _listed(with_)
    for word in words:
        if word != "all" and word not in {row.family for row in known.values()}:
            _known(word, known)
    chosen = [
        row
        for row in known.values()
        if {"all", row.name, row.family} & set(words)
        and row.free
        and not (row.missing() or pretrained.absent(row))
        and (row.kind == "copy" or "en" in row.languages)
    ]
    manifest = manifest_of(data)
    typer.echo(
        splice(
            manifest,
            chosen,
            out,
            parts=_listed(parts),
            texts=SENTENCES["en"],
            each=each,
            seed=seed,
            say=say,
        )
    )


@generate.command("apply")
def generate_apply(
    name: Annotated[
        str, typer.Argument(help="Generator that copies; see `unheard generate list`.")
    ],
    paths: Annotated[list[str], typer.Argument(help="Recordings, folders or globs.")],
    out: Annotated[Path, folder_option("Folder for the copies, FLAC at 16 kHz.")],
    settings: Settings = None,
    engines: Engines = None,
    seed: Annotated[int, typer.Option(min=0, help="Draws what the generator draws.")] = 0,
) -> None:
    """Copy recordings with a generator, each into a file of its own."""
    import numpy as np

    from unheard import audio
    from unheard.attacks import Speech
    from unheard.data.recordings import Search, find

    chosen = _generator(name, settings, engines)
    if chosen.kind != "copy":
        raise AttackError(
            f"{name} speaks texts and copies no recording; choose one that `unheard generate list` "
            "calls a copy"
        )
    search = Search()
    files = find(paths, search)
    tell_found(search)
    failed: list[str] = []
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
    if failed or search.errors:
        raise typer.Exit(1)


@generate.command("check")
def generate_check(
    data: Annotated[Path, typer.Argument(help="Manifest with copies, as `copies` writes it.")],
    jobs: Jobs = 1,
    as_json: AsJson = False,
) -> None:
    """Say whether length, level, silence or bandwidth tells copies from their sources."""
    from unheard.corpora.open.twin_cues import compare_twins

    reports = compare_twins(manifest_of(data), jobs=jobs, say=say)
    if as_json:
        typer.echo(json.dumps([report.to_dict() for report in reports]))
    else:
        typer.echo("\n".join(report.render() for report in reports), nl=False)


def _generator(name: str, settings: list[str] | None, engines: Path | None) -> Attack:
    from unheard.attacks import attacks

    return _with(_known(name, attacks(engines or default_cache())), settings or [])


def _known(name: str, known: dict[str, Attack]) -> Attack:
    if name not in known:
        raise RecipeError(f"no generator is called {name!r}{suggestion(name, known)}")
    return known[name]


def _listed(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _chosen(
    text: str, settings: list[str], engines: Path | None, manifest: Manifest, parts: tuple[str, ...]
) -> list[Attack]:
    """The generators that `--with` names; of "all" and of a family those that may be used."""
    from unheard.attacks import FAMILIES, attacks, pretrained
    from unheard.attacks.reconstruct import objection

    known = attacks(engines or default_cache())
    named = [word for word in _listed(text) if word != "all" and word not in FAMILIES]
    chosen = {name: _known(name, known) for name in named}
    for row in known.values():
        if row.kind == "copy" and row.free and {"all", row.family} & set(_listed(text)):
            chosen.setdefault(row.name, row)
    chosen = _each_with(chosen, settings)
    for name in [name for name in chosen if name not in named]:
        why = objection(manifest, chosen[name], parts) or pretrained.absent(chosen[name])
        if why:
            say(f"left out {name}: {why.removeprefix(f'{name}: ')}")
            del chosen[name]
    if not chosen:
        raise AttackError(f"no generator of {text!r} can be used; see `unheard generate list`")
    return list(chosen.values())


def _each_with(chosen: dict[str, Attack], settings: list[str]) -> dict[str, Attack]:
    """Generators with the fields set that `--set NAME.FIELD=VALUE` says; one needs no name."""
    for setting in settings:
        name, _, field = setting.partition(".")
        if name not in chosen or "=" in name:
            name, field = next(iter(chosen), ""), setting
            if len(chosen) != 1:
                raise RecipeError(f"--set {setting}: give it as NAME.FIELD=VALUE, NAME a generator")
        chosen = chosen | {name: _with(chosen[name], [field])}
    return chosen


def _with(value: _Value, settings: list[str]) -> _Value:
    """A value with fields set as `--set` says."""
    from unheard.training.recipe import with_settings

    return cast(_Value, with_settings(cast(Any, value), settings))
