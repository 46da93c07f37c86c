"""Who does a job, where several processes on several machines share one folder.

A lock is a file `claim-N.json` in the folder of a job, made exclusively: of several processes one
succeeds. The one with the highest number counts. A lock is stale if its process has died, on the
machine where that can be seen, or if its heartbeat, the file's time of change, is old. Whoever
takes over a stale lock makes the next number, which again only one of several can.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["STALE_S", "Lock", "acquire", "clock_s", "holder"]

STALE_S = 600.0
"""Age of a heartbeat, in seconds, at which a process on another machine counts as dead."""


@dataclass(frozen=True)
class Lock:
    """A job that this process does.

    Attributes:
        path: The file.
        token: Tells it from any other lock.
    """

    path: Path
    token: str

    def beat(self) -> bool:
        """Renew the heartbeat; False if another process has taken the job over."""
        with contextlib.suppress(FileNotFoundError):
            os.utime(self.path)
        locks = _locks(self.path.parent)
        return (
            bool(locks) and locks[-1] == self.path and _owner(self.path).get("token") == self.token
        )

    def release(self) -> None:
        """Let others do the job, or see that it is done."""
        if self.beat():
            for path in _locks(self.path.parent):  # the highest, which counts, goes last
                path.unlink(missing_ok=True)


def acquire(folder: Path) -> Lock | None:
    """Lock the job of a folder, or return None if another process holds it.

    What the job needs is to be looked up again after that: it may have been done meanwhile.

    Args:
        folder: Of the job; made if need be.
    """
    folder.mkdir(parents=True, exist_ok=True)
    locks = _locks(folder)
    if locks and not _is_stale(locks[-1]):
        return None
    before = _owner(locks[-1]) if locks else {}
    number = _number(locks[-1]) + 1 if locks else 1
    lock = Lock(folder / f"claim-{number}.json", secrets.token_hex(8))
    me = {"host": _host(), "name": platform.node(), "pid": os.getpid()}
    me |= {"started": _started(os.getpid()), "token": lock.token}
    try:
        with lock.path.open("x") as file:
            file.write(json.dumps(me) + "\n")
    except FileExistsError:
        return None
    if locks and (not locks[-1].exists() or _owner(locks[-1]) != before):
        lock.path.unlink(missing_ok=True)  # the stale one was taken over and released meanwhile
        return None
    return lock


def holder(folder: Path) -> str:
    """Return which process holds the job of a folder, for people; "" if none does."""
    locks = _locks(folder)
    if not locks or _is_stale(locks[-1]):
        return ""
    owner = _owner(locks[-1])
    return f"process {owner.get('pid', '?')} on {owner.get('name', '?')}"


def clock_s(folder: Path) -> float:
    """Return the time by the clock of a folder's file system, which machines share."""
    probe = folder / f".clock-{secrets.token_hex(8)}"
    probe.touch()
    try:
        return probe.stat().st_mtime
    finally:
        probe.unlink(missing_ok=True)


def _locks(folder: Path) -> list[Path]:
    """Return the locks in a folder, the one that counts last."""
    return sorted(folder.glob("claim-*.json"), key=_number)


def _number(path: Path) -> int:
    match = re.search(r"\d+", path.stem)
    return int(match.group()) if match else 0


def _owner(path: Path) -> dict[str, object]:
    """Return who holds a lock; nothing while it is being written, or once it is gone."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _is_stale(path: Path) -> bool:
    owner = _owner(path)
    if owner.get("host") == _host():
        pid = owner["pid"]
        return not (isinstance(pid, int) and _is_alive(pid) and owner["started"] == _started(pid))
    try:
        return clock_s(path.parent) - path.stat().st_mtime > STALE_S
    except FileNotFoundError:
        return False  # released just now


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _host() -> str:
    """Return what tells machines apart whose processes cannot see each other."""
    parts = list(_known(Path("/proc/sys/kernel/random/boot_id")))
    with contextlib.suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))  # containers on one machine
    return " ".join([platform.node(), *parts])


def _started(pid: int) -> str:
    """Return when a process started, so that another one with its number is told apart."""
    for text in _known(Path(f"/proc/{pid}/stat")):
        state, *fields = text.rpartition(")")[2].split()
        return "dead" if state in "ZX" else fields[18]
    return ""


def _known(path: Path) -> Iterator[str]:
    with contextlib.suppress(OSError):
        yield path.read_text().strip()
