"""Long recordings: uploads and results that outlive a restart, in a folder with an SQLite file.

An upload lies under a name drawn at random, until its job ends, and so do the scores of its
windows. A job that was running when the service stopped is queued again and goes on where it was.
It has failed if the service died too often while nothing else was scored, and at the same place.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import secrets
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from unheard.errors import ServiceError
from unheard.service.engine import ScoreOptions
from unheard.service.limits import Limits, Refusal

__all__ = ["AFTER", "Job", "Store"]

AFTER = r"^[0-9]{1,12}\.[0-9]{1,12}_[A-Za-z0-9_-]{1,40}$"
"""How a place in the list of jobs is written: when the last was made, and its id."""

_MOST_ATTEMPTS = 3
_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, status TEXT NOT NULL, request_id TEXT NOT NULL,
    name TEXT NOT NULL, bytes INTEGER NOT NULL, sha256 TEXT NOT NULL, asked TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, created_s REAL NOT NULL, ended_s REAL,
    progress_s REAL NOT NULL DEFAULT 0, result TEXT, error TEXT
)"""
_COLUMNS = ("is_alone", "is_suspect", "n_kept")
"""Whether nothing else is scored beside a running job; whether it ran when the service died; its
windows then. Folders of earlier versions get these columns when they are opened."""

_WINDOWS = """
CREATE TABLE IF NOT EXISTS windows (
    job TEXT NOT NULL, window BLOB NOT NULL, outputs BLOB NOT NULL, PRIMARY KEY (job, window)
) WITHOUT ROWID"""
_COUNT = "(SELECT COUNT(*) FROM windows WHERE job = id)"


@dataclass(frozen=True)
class Job:
    """One row.

    Attributes:
        id: Drawn at random.
        owner: Name of the key that it belongs to.
        status: "queued", "running", "done" or "failed".
        request_id: Of the request that brought it.
        created_s: When that was, seconds since 1970.
        name: What its sender calls the recording.
        n_bytes: Size of the recording.
        sha256: Hash of the recording.
        options: How to score it.
        progress_s: Seconds of audio that were scored when it was last written.
        is_suspect: Whether it ran when the service died, so that it should run alone.
        result: What `/v1/score` would answer.
        error: Code, message and request id, if it failed.
    """

    id: str
    owner: str
    status: str
    request_id: str
    created_s: float
    name: str
    n_bytes: int
    sha256: str
    options: ScoreOptions
    progress_s: float
    is_suspect: bool
    result: dict[str, Any] | None
    error: dict[str, Any] | None


class Store:
    """The jobs of one service; threads may call it at once."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        """Open a folder, or start one, and queue again what was running.

        Raises:
            ServiceError: If another service has it, or it cannot be written.
        """
        self._limits = limits
        self._uploads = folder / "uploads"
        self._lock = threading.Lock()
        self._coming: dict[str, tuple[str, int]] = {}
        try:
            self._uploads.mkdir(parents=True, exist_ok=True, mode=0o700)
            with contextlib.ExitStack() as opened:
                mine = opened.enter_context((folder / "lock").open("w"))
                fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
                rows = sqlite3.connect(folder / "jobs.sqlite", check_same_thread=False)
                self._rows = opened.enter_context(contextlib.closing(rows))
                self._rows.execute("PRAGMA journal_mode=WAL")
                self._rows.execute("PRAGMA secure_delete=ON")
                self._opened = opened.pop_all()
        except BlockingIOError as error:
            raise ServiceError(
                f"{folder}: another service keeps its jobs there; stop it, or choose another folder"
            ) from error
        except (OSError, sqlite3.Error) as error:
            raise ServiceError(
                f"{folder}: jobs cannot be kept there ({error}); choose a folder that can be "
                "written"
            ) from error
        self._rows.row_factory = sqlite3.Row
        for statement in (_SCHEMA, _WINDOWS):
            self._do(statement)
        known = {row["name"] for row in self._do("PRAGMA table_info(jobs)")}
        for column in _COLUMNS:
            if column not in known:
                self._do(f"ALTER TABLE jobs ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0")
        self._recover()

    def add(
        self,
        file: BinaryIO,
        *,
        owner: str,
        request_id: str,
        name: str,
        sha256: str,
        options: ScoreOptions,
    ) -> str:
        """Keep an upload and queue it; return the job's id.

        Raises:
            Refusal: If too many wait, or they take too much space.
        """
        n_bytes = os.fstat(file.fileno()).st_size
        job = secrets.token_urlsafe(16)
        file.seek(0)
        with self._reserved_space(job, owner, n_bytes):
            with self._open(job, os.O_WRONLY | os.O_CREAT | os.O_EXCL, "wb") as kept:
                shutil.copyfileobj(file, kept, 1 << 20)
                kept.flush()
                os.fsync(kept.fileno())
            self._do(
                "INSERT INTO jobs (id, owner, status, request_id, name, bytes, sha256, asked, "
                "created_s) VALUES (?, ?, 'queued', ?, ?, ?, ?, ?, ?)",
                *(job, owner, request_id, name, n_bytes, sha256),
                *(json.dumps(asdict(options)), time.time()),
            )
        return job

    def find(self, job: str, owner: str) -> Job | None:
        """Return a job of an owner, None if there is none of that id, or it ended too long ago."""
        rows = self._do(
            "SELECT * FROM jobs WHERE id = ? AND owner = ? AND (ended_s IS NULL OR ended_s >= ?)",
            *(job, owner, time.time() - self._limits.keep_s),
        )
        return _job(rows[0]) if rows else None

    def page(self, owner: str, limit: int, after: str | None) -> tuple[list[Job], str | None]:
        """Return a page of an owner's jobs, newest first, and what comes after; None at the end.

        Args:
            owner: Whose.
            limit: Jobs on the page.
            after: What the page before gave; None for the first. A job may have gone since.
        """
        created, _, job = (after or "").partition("_")
        rows = self._do(
            "SELECT * FROM jobs WHERE owner = ? AND (ended_s IS NULL OR ended_s >= ?) "
            "AND (created_s, id) < (?, ?) ORDER BY created_s DESC, id DESC LIMIT ?",
            *(owner, time.time() - self._limits.keep_s),
            *(float(created or "inf"), job, limit + 1),
        )
        jobs = [_job(row) for row in rows[:limit]]
        more = len(rows) > limit
        return jobs, f"{jobs[-1].created_s!r}_{jobs[-1].id}" if more else None

    def take(
        self, given: Callable[[str], float] = lambda _: 0.0, *, suspects: bool = True
    ) -> Job | None:
        """Return the job whose turn it is, marked as running; None if none waits.

        Args:
            given: What each key was given; the least goes first, then who has waited longest.
            suspects: Whether to take those that ran when the service died.
        """
        waiting = self._do(
            "SELECT id, owner FROM jobs WHERE status = 'queued' AND is_suspect <= ? "
            "ORDER BY created_s",
            suspects,
        )
        if not waiting:
            return None
        job = min(waiting, key=lambda row: given(row["owner"]))["id"]
        rows = self._do(
            "UPDATE jobs SET status = 'running', is_alone = 0 WHERE id = ? RETURNING *", job
        )
        return _job(rows[0])

    def mark_alone(self, is_alone: bool) -> None:
        """Write whether nothing else is scored beside what is running."""
        self._do("UPDATE jobs SET is_alone = ? WHERE status = 'running'", is_alone)

    def keep_windows(
        self, job: str, windows: Mapping[bytes, bytes], progress_s: float, *, is_alone: bool
    ) -> None:
        """Write scores of windows by their hashes, and how far a running job is."""
        with self._lock, self._rows:
            found = self._rows.execute(
                "UPDATE jobs SET progress_s = MAX(progress_s, ?), is_alone = ? WHERE id = ?",
                (progress_s, is_alone, job),
            )
            if found.rowcount:  # it may have been deleted
                self._rows.executemany(
                    "INSERT OR REPLACE INTO windows VALUES (?, ?, ?)",
                    [(job, window, outputs) for window, outputs in windows.items()],
                )

    def windows(self, job: str) -> dict[bytes, bytes]:
        """Return the scores that were kept of a job's windows."""
        rows = self._do("SELECT window, outputs FROM windows WHERE job = ?", job)
        return {row["window"]: row["outputs"] for row in rows}

    def open(self, job: str) -> BinaryIO:
        """Open the upload of a job."""
        return self._open(job, os.O_RDONLY, "rb")

    def requeue(self, job: str) -> None:
        """Let a job that was interrupted wait again; the interruption is not its fault."""
        self._do("UPDATE jobs SET status = 'queued' WHERE id = ?", job)

    def end(
        self,
        job: str,
        *,
        progress_s: float = 0.0,
        result: dict[str, Any] | None = None,
        error: dict[str, Any] | None = None,
    ) -> None:
        """Keep what came of a job, and delete its upload."""
        self._do(
            "UPDATE jobs SET status = ?, progress_s = ?, result = ?, error = ?, ended_s = ? "
            "WHERE id = ?",
            *("done" if error is None else "failed", progress_s),
            *(_text(result), _text(error), time.time(), job),
        )
        self._do("DELETE FROM windows WHERE job = ?", job)
        self._discard(job)

    def delete(self, job: str) -> None:
        """Forget a job and delete its upload."""
        self._do("DELETE FROM jobs WHERE id = ?", job)
        self._do("DELETE FROM windows WHERE job = ?", job)
        self._discard(job)

    def expire(self) -> None:
        """Forget what ended too long ago."""
        self._do("DELETE FROM jobs WHERE ended_s < ?", time.time() - self._limits.keep_s)

    def n_waiting(self) -> int:
        """Return how many jobs wait."""
        waiting: int = self._do("SELECT COUNT(*) FROM jobs WHERE status = 'queued'")[0][0]
        return waiting

    def close(self) -> None:
        """Let go of the folder."""
        with self._lock:
            self._opened.close()

    @contextlib.contextmanager
    def _reserved_space(self, job: str, owner: str, n_bytes: int) -> Iterator[None]:
        """Reserve space for an upload until its row is there; leave nothing of one that fails."""
        with self._lock:
            rows = self._rows.execute(
                "SELECT id, owner, bytes FROM jobs WHERE status IN ('queued', 'running')"
            )
            waiting = {row["id"]: (row["owner"], row["bytes"]) for row in rows} | self._coming
            self._check_space(list(waiting.values()), owner, n_bytes)
            self._coming[job] = (owner, n_bytes)
        try:
            yield
        except BaseException as error:
            self._discard(job)
            if _disk_is_full(error):
                raise _queue_full("the disk is full") from error
            raise
        finally:
            with self._lock:
                del self._coming[job]

    def _check_space(self, waiting: list[tuple[str, int]], owner: str, n_bytes: int) -> None:
        """Refuse a job that does not fit next to those that wait, each with its owner and bytes."""
        taken = sum(size for _, size in waiting)
        if len(waiting) >= self._limits.n_queued or taken + n_bytes > self._limits.stored_bytes:
            raise _queue_full(f"{len(waiting)} jobs with {taken >> 20} MB wait")
        n_own = sum(other == owner for other, _ in waiting)
        if owner and n_own >= self._limits.n_queued_per_key:
            raise Refusal(
                429,
                "too_many",
                f"{n_own} jobs of this key wait, the most that one may have; wait for one of them",
                retry_after_s=60,
            )

    def _recover(self) -> None:
        """Queue again what was running; drop uploads without a job and jobs without an upload."""
        died = json.dumps(
            {
                "code": "gave_up",
                "message": f"the service died {_MOST_ATTEMPTS} times at the same place of this "
                "recording, while it scored nothing else; convert it to wav, or cut it",
                "request_id": "",
            }
        )
        self._do(
            f"UPDATE jobs SET attempts = CASE WHEN {_COUNT} > n_kept THEN 1 ELSE attempts + 1 END, "
            f"n_kept = {_COUNT} WHERE status = 'running' AND is_alone"
        )
        self._do(
            "UPDATE jobs SET status = 'failed', error = ?, ended_s = ? "
            "WHERE status = 'running' AND is_alone AND attempts >= ?",
            *(died, time.time(), _MOST_ATTEMPTS),
        )
        self._do("UPDATE jobs SET status = 'queued', is_suspect = 1 WHERE status = 'running'")
        self._do(
            "DELETE FROM windows WHERE job NOT IN (SELECT id FROM jobs WHERE status = 'queued')"
        )
        waiting = {row["id"] for row in self._do("SELECT id FROM jobs WHERE status = 'queued'")}
        kept = set(os.listdir(self._uploads))
        for job in kept - waiting:
            self._discard(job)
        for job in waiting - kept:
            self.delete(job)

    def _do(self, statement: str, *values: object) -> list[sqlite3.Row]:
        with self._lock, self._rows:
            return self._rows.execute(statement, values).fetchall()

    def _open(self, job: str, flags: int, mode: str) -> BinaryIO:
        return cast(
            BinaryIO, os.fdopen(os.open(self._uploads / job, flags | os.O_NOFOLLOW, 0o600), mode)
        )

    def _discard(self, job: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            (self._uploads / job).unlink()


def _queue_full(cause: str) -> Refusal:
    text = f"{cause}, there is no room for another; try again later"
    return Refusal(503, "queue_full", text, retry_after_s=60)


def _disk_is_full(error: BaseException) -> bool:
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _text(value: dict[str, Any] | None) -> str | None:
    return None if value is None else json.dumps(value, allow_nan=False)


def _job(row: sqlite3.Row) -> Job:
    return Job(
        id=row["id"],
        owner=row["owner"],
        status=row["status"],
        request_id=row["request_id"],
        created_s=row["created_s"],
        name=row["name"],
        n_bytes=row["bytes"],
        sha256=row["sha256"],
        options=ScoreOptions(**json.loads(row["asked"])),
        progress_s=row["progress_s"],
        is_suspect=bool(row["is_suspect"]),
        result=None if row["result"] is None else json.loads(row["result"]),
        error=None if row["error"] is None else json.loads(row["error"]),
    )
