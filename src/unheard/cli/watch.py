"""`unheard watch`: folders that are watched."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unheard.cli.archive import show
from unheard.cli.shared import SHIPPED, AsJson, Detector, say

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

    from unheard.data.rows import RowFile
    from unheard.scoring.many import ScorerProcess, Settings
    from unheard.scoring.watch import Watch

    settings = Settings(detector, threshold=threshold)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with RowFile(out, settings.key()) as journal, ScorerProcess(settings) as apart:
        watched = Watch(folder, journal, apart.score, settle_s=settle)
        say(f"watching {folder}; Ctrl-C ends")
        while not stop.is_set():
            for row in watched.look(time.monotonic()):
                show(row, as_json=as_json, quiet=False)
                if stop.is_set():
                    break
            stop.wait(every)
        say(f"rows: {journal.finish()}")
