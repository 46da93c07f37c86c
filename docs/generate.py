"""Writes the pages that are made from the code: run `make docs` after changing what they show."""

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from unheard.cli.app import app
from unheard.corpora import CORPORA, about
from unheard.corpora.corpus import Corpus

CLI_HEAD = """# The command line

Made by `make docs` from the commands' own help; do not edit.

Files acted on are positional, all else are options. Data go to standard output, progress and errors
to standard error. Colour and progress bars appear on a terminal only.

| exit code | meaning |
|---|---|
| 0 | all done; for `score`: every file has a verdict |
| 1 | some of it failed; for `score`: a file could not be read, or holds too little speech |
| 2 | not understood: a wrong option, number, or name of a recipe, plan, protocol or generator |

`unheard score --json` writes one JSON object per file and line: the fields of
[a verdict](verdict.md), or `{"source": ..., "error": ...}` for a file that could not be scored.

With `--out` the rows go to a file. For Parquet and CSV they are first appended to
`<out>.journal.jsonl`, so a killed run loses at most the files being scored; the same command
resumes from there. Keep that file as long as you add to the output. A row stays while the path,
size and time of change of its file and the settings are the same; failed files are tried again.

`unheard score --compare OLD NEW` prints the largest moves of scores and which decisions changed.
Its table (`--out`, or `--json`) has a row for each file: `source`, `old_score`, `new_score`,
`change` (new less old), `old_decision`, `new_decision`, `reason` where a verdict is missing.
Beside it, `<out>.old.jsonl` and `<out>.new.jsonl` hold the verdicts of each detector; by them the
same command goes on. Scores compare as far as both detectors are calibrated.
"""


CORPORA_HEAD = """# Corpora that can be imported

Made by `make docs` from the readers in `src/unheard/corpora/`; do not edit. `unheard corpus info
NAME` prints a section of it. The corpus that we build ourselves has [its own page](corpus.md).

```
unheard corpus import asvspoof2019_la DATA --out la.parquet
unheard corpus import asvspoof2019_la DATA --out la.parquet --headers --hash --jobs 8
```

An import writes a manifest, a Parquet file with a row for each clip; the audio stays where it is.
It counts what is there against what is published, and names what is listed and missing, what is
there and not listed, what is no audio, and Git LFS pointers that stand in for audio. The exit code
is 1 if anything that is listed cannot be used.

Only names are read; no file is opened, but 64 of them to look for pointers. `--headers` opens every
file for its length, `--hash` reads all of it. Both may be interrupted: what was found is kept in
`<out>.seen.jsonl`, and the same command resumes from there. A file that has changed since is
inspected again. `<out>.seen.jsonl` is deleted when all is done.

Audio need not be unpacked. A listed file that is not loose under the folder is looked for in the
`.tar` files there (WebDataset shards, or archives as they were fetched): first by the end of its
path, then by its name if only one member has it. The manifest then says `shards/0.tar::LA/x.flac`.
Recordings in a column of Parquet files, as data-set hubs keep them, are imported by the reader
`table` and are `data/0.parquet::audio::17`. Training, evaluation and checks read them where they
are, with any number of loading processes. A compressed `.tar.gz` must be uncompressed first. A row
of Parquet costs the reading of its row group: for training in random order write groups of 100.

No count, licence or column is guessed. What was recalled and not seen is said to be; "unknown" and
"not known" mean that nothing reliable was found.

A million clips are imported within a minute of one core, in half of the time and memory of the
plain way ([measured](measurements.md#import_corpus)).

"""


def corpora() -> str:
    """Return docs/corpora.md: a table of all corpora, and the page of each."""
    rows = "".join(_row(corpus) for _, corpus in sorted(CORPORA.items()))
    summary = (
        "| corpus | bona fide | spoofed | licence | where to get it |\n|---|---|---|---|---|\n"
    )
    pages: dict[str, list[Corpus]] = {}
    for _, corpus in sorted(CORPORA.items()):
        pages.setdefault(about(corpus)["page"], []).append(corpus)
    return CORPORA_HEAD + summary + rows + "".join(map(_page, pages.values(), pages))


def _row(corpus: Corpus) -> str:
    sums = [sum(counts) for counts in zip(*corpus.published.values(), strict=True)]
    totals = [f"{count:,}" for count in sums] if sums else ["not known"] * 2
    if sums and set(corpus.parts) > set(corpus.published):
        totals = [f"at least {count}" for count in totals]
    cells = [f"`{corpus.name}`", *totals, corpus.licence, corpus.source]
    return f"| {' | '.join(cells)} |\n"


def _page(readers: list[Corpus], page: str) -> str:
    title = ", ".join(f"`{corpus.name}`" for corpus in readers)
    counts = "".join(
        f"| {part} | {bonafide:,} | {spoof:,} |\n"
        for part, (bonafide, spoof) in readers[0].published.items()
    )
    table = f"\n| part | bona fide | spoofed |\n|---|---|---|\n{counts}" if counts else ""
    return f"\n## {title}\n\n{page}\n{table}"


def command_line() -> str:
    """Return docs/cli.md: every command with its help, arguments and options."""
    return CLI_HEAD + "".join(_commands(typer.main.get_command(app), "unheard"))


def _commands(command: Any, path: str) -> Iterator[str]:
    inside = getattr(command, "commands", None)
    if inside is not None:
        for name, subcommand in inside.items():
            yield from _commands(subcommand, f"{path} {name}")
        return
    parameters = [each for each in command.params if each.name != "help"]
    arguments = [each for each in parameters if each.param_type_name == "argument"]
    usage = "".join(f" {_argument(argument)}" for argument in arguments)
    yield f"\n## {path}{usage}\n\n{textwrap.fill(command.help, 100, break_on_hyphens=False)}\n"
    if parameters:
        yield "\n| | | default |\n|---|---|---|\n"
    for parameter in parameters:
        is_argument = parameter.param_type_name == "argument"
        name = (
            _argument(parameter)
            if is_argument
            else ", ".join([*parameter.opts, *parameter.secondary_opts])
        )
        yield f"| `{name}` | {parameter.help} | {_default(parameter)} |\n"


def _argument(parameter: Any) -> str:
    name = parameter.name.upper() + ("..." if parameter.nargs == -1 else "")
    return name if parameter.required else f"[{name}]"


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    if parameter.default is None or parameter.default is False:
        return ""
    return f"`{'on' if parameter.default is True else parameter.default}`"


if __name__ == "__main__":
    Path(__file__).with_name("cli.md").write_text(command_line())
    Path(__file__).with_name("corpora.md").write_text(corpora())
