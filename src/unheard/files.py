"""Files that are written in one step: whoever looks sees the whole new file, or the one before."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["in_one_step"]


@contextmanager
def in_one_step(path: Path) -> Iterator[Path]:
    """Give a path beside a file to write to; at the end it takes the file's place.

    Its folder is made. The suffix is that of the file, since libraries go by it. If writing fails,
    nothing is left, and what was there stays. Several processes may write one file at once.

    Args:
        path: The file to be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.stem}.{os.getpid()}.unfinished{path.suffix}")
    try:
        yield unfinished
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
