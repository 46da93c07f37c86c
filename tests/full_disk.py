"""A disk that is full, for what this process writes."""

import contextlib
import resource
from collections.abc import Iterator

__all__ = ["room_for"]


@contextlib.contextmanager
def room_for(n_bytes: int) -> Iterator[None]:
    """Let no file grow beyond so many bytes; a write beyond fails, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
