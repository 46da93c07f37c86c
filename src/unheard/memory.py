"""Freed memory, kept for the next step instead of being given back to the system.

Every pass over a batch takes and frees the same large arrays. glibc's allocator returns each of
them to the system and asks for it again, and the system fills every page with zeros first: a third
of the time of a step of the light CNN. bench/memory.py measures it.
"""

from __future__ import annotations

import ctypes
import os
import sys

__all__ = ["keep_freed"]

# Names and numbers of <malloc.h>.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
LARGEST_INT = 2**31 - 1
STEP_BYTES = 256 * 1024**2


def keep_freed() -> bool:
    """Let this process keep memory that it frees, until it ends.

    It then holds as much as it ever needed at once. Settings that the user has made in the
    environment (`MALLOC_...`, `GLIBC_TUNABLES`) stay.

    Returns:
        Whether the allocator was set; only glibc's can be.
    """
    chosen = any(name.startswith("MALLOC_") for name in os.environ)
    if sys.platform != "linux" or chosen or "GLIBC_TUNABLES" in os.environ:
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    wanted = ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, LARGEST_INT), (M_TOP_PAD, STEP_BYTES))
    return all(mallopt(name, value) == 1 for name, value in wanted)
