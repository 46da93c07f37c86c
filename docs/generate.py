"""Writes the pages that are made from the code: run `make docs` after changing what they show."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from unheard.cli import app

CLI_HEAD = """# The command line

Made by `make docs` from the commands' own help; do not edit.

Files acted on are positional, all else are options. Data go to standard output, progress and errors
to standard error. Colour and progress bars appear on a terminal only.

| exit code | meaning |
|---|---|
| 0 | all done; for `score`: every file has a verdict |
| 1 | some of it failed; for `score`: a file could not be read, or holds too little speech |
| 2 | the command was not understood: a wrong option, name or number |

`unheard score --json` writes one JSON object per file and line: the fields of
[a verdict](verdict.md), or `{"source": ..., "error": ...}` for a file that could not be scored.

With `--out` the rows go to a file. For Parquet and CSV they are first appended to
`<out>.journal.jsonl`, so a killed run loses at most the files in hand; the same command goes on
from there. Keep that file as long as you add to the output. A row stays while the path, size and
time of change of its file and the settings are the same; failed files are tried again.
"""


def command_line() -> str:
    """Return docs/cli.md: every command with its help, arguments and options."""
    return CLI_HEAD + "".join(_commands(typer.main.get_command(app), "unheard"))


def _commands(command: Any, path: str) -> Iterator[str]:
    inside = getattr(command, "commands", None)
    if inside is not None:
        for name, one in inside.items():
            yield from _commands(one, f"{path} {name}")
        return
    parameters = [one for one in command.params if one.name != "help"]
    arguments = [one for one in parameters if one.param_type_name == "argument"]
    usage = "".join(f" {_argument(one)}" for one in arguments)
    yield f"\n## {path}{usage}\n\n{' '.join(command.help.split())}\n"
    if parameters:
        yield "\n| | | default |\n|---|---|---|\n"
    for one in parameters:
        is_argument = one.param_type_name == "argument"
        name = _argument(one) if is_argument else ", ".join([*one.opts, *one.secondary_opts])
        yield f"| `{name}` | {one.help} | {_default(one)} |\n"


def _argument(one: Any) -> str:
    name = one.name.upper() + ("..." if one.nargs == -1 else "")
    return name if one.required else f"[{name}]"


def _default(one: Any) -> str:
    if one.required:
        return "required"
    if one.default is None or one.default is False:
        return ""
    return f"`{'on' if one.default is True else one.default}`"


if __name__ == "__main__":
    Path(__file__).with_name("cli.md").write_text(command_line())
