"""Ctrl-C: a command ends within two seconds, whatever it is at, and says how to resume."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator

import typer

from unheard.cli.shared import say

__all__ = ["INTERRUPTED", "ending_soon"]

INTERRUPTED = 130
"""Exit code of a command that Ctrl-C ended, as shells have it."""

_PATIENCE_S = 1.5


@contextlib.contextmanager
def ending_soon(how_to_resume: str) -> Iterator[None]:
    """Let Ctrl-C end what runs inside, tidily if that is quick, else at once.

    Python tells of a signal between two steps of its own: a decoder, a detector or a dead disk may
    keep it from that, and a library that calls back may swallow it. So a thread watches too.

    Args:
        how_to_resume: What is said then.

    Raises:
        typer.Exit: If it was interrupted.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    told, theirs = socket.socketpair()
    theirs.setblocking(False)
    over = threading.Event()

    def watch() -> None:
        while numbers := told.recv(1):
            if numbers[0] in {signal.SIGINT, signal.SIGTERM} and not over.wait(_PATIENCE_S):
                say(how_to_resume)
                processes = sys.modules.get("multiprocessing")  # not loaded, no children
                for child in processes.active_children() if processes else ():
                    child.kill()
                os._exit(INTERRUPTED)

    before = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    watching = threading.Thread(target=watch, daemon=True, name="watches for Ctrl-C")
    watching.start()
    try:
        yield
    except KeyboardInterrupt:
        over.set()
        say(how_to_resume)
        raise typer.Exit(INTERRUPTED) from None
    finally:
        over.set()
        signal.set_wakeup_fd(before)
        theirs.close()
        watching.join()
        told.close()
