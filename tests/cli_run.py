"""The command line in this process: what it wrote and how it left."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from unheard.cli.app import main

__all__ = ["Run", "runner"]


@dataclass(frozen=True)
class Run:
    """Exit code and outputs of a command; `text` is the errors without frames and line breaks."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """The errors as one line: on a narrow terminal they are broken and framed."""
        return " ".join(self.err.replace("│", " ").split())


def runner(capfd: pytest.CaptureFixture[str]) -> Callable[..., Run]:
    """Return what runs a command and catches what it writes."""

    def run(*arguments: object) -> Run:
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        code = left.value.code
        return Run(code if isinstance(code, int) else 0, out, err)

    return run
