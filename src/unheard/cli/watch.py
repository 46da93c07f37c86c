"""`unheard watch`: folders that are watched."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from unheard.cli.archive import show
from unheard.cli.interrupt import ending_soon
from unheard.cli.shared import SHIPPED, AsJson, Detector, say, shown

__all__ = ["watch"]


def watch(
    folder: Annotated[Path, typer.Argument(help="Folder to watch, to any depth.")],
    out: Annotated[
        Path,
        typer.Option(help="Rows, one for each file: .jsonl, or .parquet or .csv, made at the end."),
    ],
    detector: Detector = SHIPPED,
    as_json: AsJson = False,
    settle: Annotated[
        float, typer.Option(min=0, help="Seconds that a file must stay as it is.")
    ] = 5.0,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 2.0,
    threshold: Annotated[
        float | None, typer.Option(help="Decide at this score: below it is spoof.")
    ] = None,
) -> None:
    """Score the files that come into a folder, until Ctrl-C or SIGTERM.

    A file is scored once it has stopped growing, and again if it changes. A moved file keeps its
    row, that of a deleted one stays. The same command resumes after a kill.
    """
    import signal
    import threading
    import time

    from unheard.data.recordings import absolute
    from unheard.data.rows import RowFile
    from unheard.scoring.many import Row, ScorerProcess, Settings, Task
    from unheard.scoring.watch import Watch

    settings = Settings(detector, threshold=threshold)
    stop = threading.Event()
    with RowFile(out, settings.key()) as journal, ScorerProcess(settings) as apart:

        def end(*_: object) -> None:
            stop.set()
            apart.kill()

        def score(task: Task) -> Row:
            row = apart.score(task)
            if stop.is_set():  # it was ended with its process: that is no fault of the recording
                raise KeyboardInterrupt
            return row

        watched = Watch(Path(absolute(str(folder))), journal, score, settle_s=settle)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, end)
        resume = f"stopped; rows until now are kept, the same command goes on: {out}"
        with contextlib.suppress(typer.Exit), ending_soon(resume):
            say(f"watching {folder}; Ctrl-C ends")
            told: set[str] = set()
            while not stop.is_set():
                for row in watched.look(time.monotonic()):
                    show(row, as_json=as_json, quiet=False)
                    if stop.is_set():
                        break
                for note in sorted({*watched.skipped} - told):
                    say(shown(note))
                told.update(watched.skipped)
                stop.wait(every)
        say(f"rows: {journal.finish()}; the same command goes on")
