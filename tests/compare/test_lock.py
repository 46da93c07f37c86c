"""Of all processes that want a job one gets it; the dead hold none."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from unheard.compare import lock
from unheard.compare.lock import STALE_S, Lock, acquire, clock_s, holder


def written(folder: Path, number: int = 1, **changes: Any) -> Path:
    """A lock of another process: by default one that lives on this machine."""
    acquire(folder / "pattern")
    (pattern,) = (folder / "pattern").glob("claim-*.json")
    content = json.loads(pattern.read_text()) | {"token": f"other{number}"} | changes
    path = folder / f"claim-{number}.json"
    path.write_text(json.dumps(content))
    return path


def at_once(folder: Path, n_threads: int = 12) -> list[Lock]:
    """What several threads get that lock a job at the same moment."""
    start, got = threading.Barrier(n_threads), list[Lock]()

    def run() -> None:
        start.wait()
        if (taken := acquire(folder)) is not None:
            got.append(taken)

    threads = [threading.Thread(target=run) for _ in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return got


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()
    return process.pid


def test_one_of_many_locks_the_job_and_releases_it(tmp_path: Path) -> None:
    (own,) = at_once(tmp_path / "job")
    assert acquire(tmp_path / "job") is None
    assert holder(tmp_path / "job") == f"process {os.getpid()} on {os.uname().nodename}"
    assert own.beat()
    own.release()
    assert holder(tmp_path / "job") == ""
    assert acquire(tmp_path / "job") is not None


def test_a_dead_process_loses_its_job_to_one_other(tmp_path: Path) -> None:
    written(tmp_path, pid=dead_pid())
    assert holder(tmp_path) == ""
    (own,) = at_once(tmp_path)
    assert own.path.name == "claim-2.json"
    own.release()
    assert not list(tmp_path.glob("claim-*"))


def test_a_killed_process_that_nobody_has_waited_for_is_dead(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
    started = lock._started(process.pid)
    written(tmp_path, pid=process.pid, started=started)
    assert acquire(tmp_path) is None
    process.kill()
    deadline = time.monotonic() + 20
    while lock._started(process.pid) == started and time.monotonic() < deadline:
        time.sleep(0.01)
    assert acquire(tmp_path) is not None
    process.wait()


def test_another_process_of_the_same_number_is_not_the_holder(tmp_path: Path) -> None:
    written(tmp_path, started="long ago")
    assert acquire(tmp_path) is not None


def test_on_another_machine_the_heartbeat_counts(tmp_path: Path) -> None:
    path = written(tmp_path, host="elsewhere", pid=dead_pid())
    assert acquire(tmp_path) is None
    old = clock_s(tmp_path) - STALE_S - 5
    os.utime(path, (old, old))
    assert acquire(tmp_path) is not None


def test_a_living_process_of_this_machine_keeps_its_job_without_heartbeat(tmp_path: Path) -> None:
    old = time.time() - 10 * STALE_S
    os.utime(written(tmp_path), (old, old))
    assert acquire(tmp_path) is None


def test_a_lock_that_is_being_written_is_held(tmp_path: Path) -> None:
    (tmp_path / "claim-1.json").write_text("")
    assert acquire(tmp_path) is None


def test_who_lost_a_job_notices_and_does_not_release_it(tmp_path: Path) -> None:
    own = acquire(tmp_path)
    assert own is not None
    path = written(tmp_path, number=2)
    assert not own.beat()
    own.release()
    assert path.exists()
    assert acquire(tmp_path) is None


def test_a_stale_lock_that_was_taken_over_and_released_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, pid=dead_pid())
    judge = lock._is_stale
    other: list[Lock | None] = []

    def slow(path: Path) -> bool:
        stale = judge(path)
        if not other:  # between looking and taking, another process takes, works and releases
            other.append(None)
            other[0] = acquire(tmp_path)
            assert other[0] is not None
            other[0].release()
        return stale

    monkeypatch.setattr(lock, "_is_stale", slow)
    assert acquire(tmp_path) is None
    assert not list(tmp_path.glob("claim-*"))
