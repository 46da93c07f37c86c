"""Do long recordings survive a restart, and leave nothing behind when they are done?"""

import errno
import logging
import os
import shutil
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest
from starlette.testclient import TestClient

from fake_service import Level, sent, served, speech
from unheard.errors import ServiceError
from unheard.service.engine import Engine, ScoreOptions, Upload, Work
from unheard.service.jobs import Job, Store
from unheard.service.keys import Keys, make_key
from unheard.service.limits import Limits, Refusal
from unheard.service.runner import Runner
from unheard.service.telemetry import Telemetry
from unheard.types import FloatArray


class Paused(Level):
    """A model that does not answer until `go` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.entered = threading.Event()

    def expert_scores(self, windows: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        self.entered.set()
        assert self.go.wait(20)
        return super().expert_scores(windows)


def ended(client: TestClient, url: str) -> dict[str, Any]:
    """A job once it has ended."""
    for _ in range(2000):
        job: dict[str, Any] = client.get(url).json()
        if job["status"] in ("done", "failed"):
            return job
        time.sleep(0.01)
    raise AssertionError(f"still {job}")


def test_a_job_gives_what_the_request_would(tmp_path: Path) -> None:
    data = speech(5.0)
    with served(tmp_path, longest_s=1.0) as client:
        accepted = client.post("/v1/jobs", files=sent(data), data={"threshold": "1"})
        assert accepted.status_code == 202
        assert accepted.json()["status"] == "queued"
        url = accepted.json()["url"]
        assert accepted.headers["location"] == url
        job = ended(client, url)
        assert job["progress_s"] == 5.0
        assert job["error"] is None
        assert job["result"]["verdict"]["thresholds"] == [1.0, 1.0]
        assert job["result"]["request_id"] == accepted.headers["x-request-id"]
        assert client.delete(url).status_code == 204
        assert client.get(url).status_code == 404
    assert os.listdir(tmp_path / "jobs" / "uploads") == []
    assert b"clip.wav" not in (tmp_path / "jobs" / "jobs.sqlite").read_bytes()


def test_a_job_that_cannot_be_scored_says_why(tmp_path: Path) -> None:
    with served(tmp_path) as client:
        url = client.post("/v1/jobs", files=sent(b"text" * 99, "a.mp3")).json()["url"]
        job = ended(client, url)
    assert job["status"] == "failed"
    assert job["error"]["code"] == "not_audio"
    assert "a.mp3: text, not audio; give a recording" in job["error"]["message"]
    assert os.listdir(tmp_path / "jobs" / "uploads") == []


def test_a_running_job_shows_how_far_it_is_and_can_be_stopped(tmp_path: Path) -> None:
    model = Paused()
    with served(tmp_path, model=model) as client:
        url = client.post("/v1/jobs", files=sent(speech(9.0))).json()["url"]
        assert model.entered.wait(20)
        assert client.get(url).json()["status"] == "running"
        assert client.delete(url).status_code == 204
        model.go.set()
        assert client.get(url).status_code == 404
    assert os.listdir(tmp_path / "jobs" / "uploads") == []


def test_what_was_running_or_waiting_is_done_after_a_restart(tmp_path: Path) -> None:
    model = Paused()
    with served(tmp_path, model=model) as client:
        urls = [
            client.post("/v1/jobs", files=sent(speech(9.0, seed))).json()["url"]
            for seed in range(2)
        ]
        assert model.entered.wait(20)
        threading.Timer(0.2, model.go.set).start()
    assert len(os.listdir(tmp_path / "jobs" / "uploads")) == 2
    with served(tmp_path) as client:
        assert [ended(client, url)["status"] for url in urls] == ["done", "done"]


def test_jobs_are_shown_to_their_own_key_alone(tmp_path: Path) -> None:
    mine, theirs = (make_key(tmp_path / "keys", name) for name in ("mine", "theirs"))
    with served(tmp_path, keys=Keys.read(tmp_path / "keys")) as client:
        me, them = ({"authorization": f"Bearer {key}"} for key in (mine, theirs))
        url = client.post("/v1/jobs", files=sent(speech()), headers=me).json()["url"]
        assert client.get(url, headers=them).status_code == 404
        assert client.delete(url, headers=them).status_code == 404
        assert client.get(url, headers=me).status_code == 200


def test_a_full_queue_is_503(tmp_path: Path) -> None:
    with served(tmp_path, n_queued=0) as client:
        answer = client.post("/v1/jobs", files=sent(speech()))
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "queue_full"
    assert answer.headers["retry-after"] == "60"


def kept(store: Store, tmp_path: Path, owner: str = "") -> str:
    """A job in a store."""
    (tmp_path / "clip").write_bytes(b"RIFF")
    with (tmp_path / "clip").open("rb") as file:
        return store.add(
            file, owner=owner, request_id="r", name="n", sha256="0" * 64, options=ScoreOptions()
        )


def test_a_job_that_takes_the_service_down_is_given_up(tmp_path: Path) -> None:
    for attempt in range(3):
        store = Store(tmp_path / "jobs", Limits())
        if not attempt:
            job = kept(store, tmp_path)
        taken = store.take()
        assert taken is not None
        assert taken.id == job
        store.close()  # as a kill would: the row says "running"
    store = Store(tmp_path / "jobs", Limits())
    kept_job = store.find(job, "")
    assert kept_job is not None
    assert kept_job.status == "failed"
    assert kept_job.error is not None
    assert "stopped 3 times while it scored this; convert it" in kept_job.error["message"]
    assert os.listdir(tmp_path / "jobs" / "uploads") == []
    store.close()


def test_a_restart_is_not_counted_against_a_job(tmp_path: Path) -> None:
    store = Store(tmp_path / "jobs", Limits())
    job = kept(store, tmp_path)
    for _ in range(5):
        assert store.take() is not None
        store.requeue(job)
    store.close()
    store = Store(tmp_path / "jobs", Limits())
    assert store.take() is not None
    store.close()


def test_results_are_forgotten_in_time(tmp_path: Path) -> None:
    store = Store(tmp_path / "jobs", Limits(keep_s=-1.0))
    job = kept(store, tmp_path)
    store.expire()
    assert store.find(job, "") is not None  # it waits still
    store.end(job, result={})
    assert store.find(job, "") is None  # though a long job keeps it from being expired
    assert store._do("SELECT * FROM jobs")
    store.expire()
    assert not store._do("SELECT * FROM jobs")
    store.close()


def test_uploads_take_no_more_space_than_the_limit(tmp_path: Path) -> None:
    store = Store(tmp_path / "jobs", Limits(stored_bytes=7))
    kept(store, tmp_path)
    with pytest.raises(Refusal, match=r"1 jobs with 0 MB wait.*try again later"):
        kept(store, tmp_path)
    assert len(os.listdir(tmp_path / "jobs" / "uploads")) == 1
    store.close()


def test_uploads_that_arrive_together_take_no_more_space_than_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "jobs", Limits(stored_bytes=7))
    copy = shutil.copyfileobj

    def copy_while_another_comes(*arguments: Any) -> None:
        monkeypatch.setattr("shutil.copyfileobj", copy)
        with pytest.raises(Refusal, match=r"1 jobs with 0 MB wait.*try again later"):
            kept(store, tmp_path)
        copy(*arguments)

    monkeypatch.setattr("shutil.copyfileobj", copy_while_another_comes)
    job = kept(store, tmp_path)
    assert os.listdir(tmp_path / "jobs" / "uploads") == [job]
    store.close()


def test_one_key_has_half_of_the_queue(tmp_path: Path) -> None:
    store = Store(tmp_path / "jobs", Limits(n_queued=5))
    for _ in range(2):
        kept(store, tmp_path, "mine")
    with pytest.raises(
        Refusal, match=r"2 jobs of this key wait, the most.*wait for one"
    ) as refusal:
        kept(store, tmp_path, "mine")
    assert (refusal.value.status, refusal.value.code, refusal.value.retry_after_s) == (
        429,
        "too_many",
        60,
    )
    kept(store, tmp_path, "theirs")
    for _ in range(2):
        kept(store, tmp_path)
    with pytest.raises(Refusal, match="5 jobs with 0 MB wait"):
        kept(store, tmp_path)
    store.close()


def test_bounds_of_one_key_are_halves_unless_they_are_given() -> None:
    halves = Limits(n_streams=1, n_queued=9)
    assert (halves.n_streams_per_key, halves.n_queued_per_key) == (1, 4)
    given = Limits(n_streams_per_key=3, n_queued_per_key=7)
    assert (given.n_streams_per_key, given.n_queued_per_key) == (3, 7)


@pytest.mark.parametrize(
    ("fault", "status", "code"), [(errno.ENOSPC, 503, "queue_full"), (errno.EIO, 500, "internal")]
)
def test_an_upload_that_cannot_be_stored_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: int, status: int, code: str
) -> None:
    def fail(_: BinaryIO, kept: BinaryIO, __: int) -> None:
        kept.write(b"a part of it")
        raise OSError(fault, os.strerror(fault))

    data = speech()
    with served(tmp_path, stored_bytes=len(data)) as client:
        with monkeypatch.context() as full:
            full.setattr("shutil.copyfileobj", fail)
            answer = client.post("/v1/jobs", files=sent(data))
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        assert answer.headers.get("retry-after") == ("60" if status == 503 else None)
        assert os.listdir(tmp_path / "jobs" / "uploads") == []
        url = client.post("/v1/jobs", files=sent(data)).json()["url"]
        assert ended(client, url)["status"] == "done"


def test_a_row_that_finds_the_disk_full_leaves_no_upload(tmp_path: Path) -> None:
    store = Store(tmp_path / "jobs", Limits())
    store._do("PRAGMA max_page_count = 1")
    with (tmp_path / "clip").open("w+b") as file, pytest.raises(Refusal, match="disk is full") as t:
        store.add(
            file,
            owner="",
            request_id="r",
            name="n" * 100_000,
            sha256="0" * 64,
            options=ScoreOptions(),
        )
    assert (t.value.status, t.value.code) == (503, "queue_full")
    assert os.listdir(tmp_path / "jobs" / "uploads") == []
    store.close()


@pytest.mark.parametrize(
    ("fault", "status"),
    [(sqlite3.OperationalError("disk is full"), "done"), (TypeError("no JSON"), "failed")],
)
def test_an_outcome_that_cannot_be_written_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception, status: str
) -> None:
    monkeypatch.setattr("unheard.service.runner._IDLE_S", 0.05)
    with served(tmp_path) as client:
        app = client.app.state.app  # type: ignore[attr-defined]
        end, faults = app.store.end, [fault]

        def fail_once(*job: str, **outcome: Any) -> None:
            if faults:
                raise faults.pop()
            end(*job, **outcome)

        monkeypatch.setattr(app.store, "end", fail_once)
        url = client.post("/v1/jobs", files=sent(speech())).json()["url"]
        assert ended(client, url)["status"] == status
    counted = app.telemetry.jobs.collect()[0].samples
    totals = {each.labels["status"]: each.value for each in counted if each.name.endswith("total")}
    assert totals == {status: 1.0}
    assert os.listdir(tmp_path / "jobs" / "uploads") == []


def test_an_outcome_is_written_at_the_end_if_not_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = threading.Event()
    with served(tmp_path) as client:
        store = client.app.state.app.store  # type: ignore[attr-defined]
        end = store.end

        def fail_once(*_: str, **__: Any) -> None:
            monkeypatch.setattr(store, "end", end)
            failed.set()
            raise sqlite3.OperationalError("disk is full")

        monkeypatch.setattr(store, "end", fail_once)
        job = client.post("/v1/jobs", files=sent(speech())).json()["id"]
        assert failed.wait(20)
    store = Store(tmp_path / "jobs", Limits())
    kept_job = store.find(job, "")
    assert kept_job is not None
    assert kept_job.status == "done"
    store.close()


def test_a_job_that_is_deleted_as_it_is_taken_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Patient:
        limits = Limits()

        def score(self, _: Upload, __: ScoreOptions, work: Work) -> None:
            assert work.stopped.wait(20)
            work.check("n")

    store = Store(tmp_path / "jobs", Limits())
    runner = Runner(store, cast(Engine, Patient()), Telemetry())
    job = kept(store, tmp_path)
    take, deleting = store.take, threading.Thread(target=runner.forget, args=(job,))

    def take_while_deleted() -> Job | None:
        taken = take()
        if taken is not None:
            deleting.start()
            deleting.join(0.3)  # it must not end before the job is known to run
        return taken

    monkeypatch.setattr(store, "take", take_while_deleted)
    with caplog.at_level(logging.INFO, logger="unheard.service"):
        runner.start()
        while not logged(caplog):
            time.sleep(0.01)
        deleting.join()
        runner.stop()
    assert logged(caplog) == [("job", "stopped")]
    assert store.find(job, "") is None
    assert os.listdir(tmp_path / "jobs" / "uploads") == []
    store.close()


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str | None]]:
    """Events that were logged, each with its status."""
    fields = [vars(record)["fields"] for record in caplog.records if "fields" in vars(record)]
    return [(each["event"], each.get("status")) for each in fields]


def test_leftovers_of_a_kill_are_cleared(tmp_path: Path) -> None:
    store = Store(tmp_path / "jobs", Limits())
    lost = kept(store, tmp_path)
    store.close()
    (tmp_path / "jobs" / "uploads" / lost).unlink()
    (tmp_path / "jobs" / "uploads" / "stray").write_bytes(b"x")
    store = Store(tmp_path / "jobs", Limits())
    assert store.find(lost, "") is None
    assert os.listdir(tmp_path / "jobs" / "uploads") == []
    store.close()


def test_one_folder_serves_one_service(tmp_path: Path) -> None:
    store = Store(tmp_path / "jobs", Limits())
    with pytest.raises(ServiceError, match="another service keeps its jobs there; stop it"):
        Store(tmp_path / "jobs", Limits())
    store.close()
    (tmp_path / "file").write_text("")
    with pytest.raises(ServiceError, match=r"jobs cannot be kept there .*choose a folder"):
        Store(tmp_path / "file", Limits())
