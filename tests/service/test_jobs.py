"""Do long recordings survive a restart, and leave nothing behind when they are done?"""

import errno
import io
import logging
import os
import shutil
import sqlite3
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, cast

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from fake_service import Level, Paused, sent, served, speech
from unheard.errors import ServiceError
from unheard.service.engine import Engine, ScoreOptions, Upload, Work
from unheard.service.jobs import Job, Store
from unheard.service.keys import Keys, make_key
from unheard.service.limits import Limits, Refusal
from unheard.service.runner import Runner
from unheard.service.shares import Shares
from unheard.service.telemetry import Telemetry
from unheard.types import FloatArray
from voice import RATE_HZ, voice


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


@given(
    deaths=st.lists(
        st.tuples(st.booleans(), st.integers(0, 2)),  # was it alone; windows that it got further
        max_size=8,
    )
)
@settings(deadline=None, max_examples=20)
def test_only_deaths_alone_at_one_place_are_counted_against_a_job(
    deaths: list[tuple[bool, int]],
) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        store = Store(folder / "jobs", Limits())
        job = kept(store, folder)
        n_windows, counted, place = 0, 0, 0
        for is_alone, n_further in deaths:
            taken = store.take()
            assert (taken is not None) == (counted < 3)
            if taken is None:
                break
            assert store.windows(job) == {bytes([n]): b"score" for n in range(n_windows)}
            new = {bytes([n_windows + n]): b"score" for n in range(n_further)}
            store.keep_windows(job, new, 2.0 * len(new), is_alone=is_alone)
            n_windows += n_further
            if is_alone:
                counted = 1 if n_windows > place else counted + 1
                place = n_windows
            store.close()  # as a kill would: the row says "running"
            store = Store(folder / "jobs", Limits())
        found = store.find(job, "")
        assert found is not None
        assert found.status == ("failed" if counted >= 3 else "queued")
        if found.status == "failed":
            assert found.error is not None
            assert "died 3 times at the same place of this recording" in found.error["message"]
            assert os.listdir(folder / "jobs" / "uploads") == []
            assert store.windows(job) == {}
        store.close()


class Counting(Level):
    """A model that stops at a window, and counts those that it scored."""

    def __init__(self, n_most: int) -> None:
        super().__init__()
        self.n_most = n_most
        self.n_scored = 0
        self.stuck = threading.Event()

    def expert_scores(self, windows: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        if self.n_scored + len(windows) > self.n_most:
            self.stuck.set()
            time.sleep(0.5)
        self.n_scored += len(windows)
        return super().expert_scores(windows)


def test_a_job_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unheard.service.runner._KEEP_S", 0.0)
    file = io.BytesIO()
    soundfile.write(file, voice(20.0, seed=3), RATE_HZ, format="WAV", subtype="PCM_16")
    data = file.getvalue()
    model = Counting(20)
    with served(tmp_path, model=model) as client:
        url = client.post("/v1/jobs", files=sent(data)).json()["url"]
        assert model.stuck.wait(20)
        shutil.copytree(tmp_path / "jobs", tmp_path / "killed" / "jobs")  # as after a kill
        heard_s = client.get(url).json()["progress_s"]
        assert heard_s > 0
    again = Counting(1000)
    with served(tmp_path / "killed", model=again) as client:
        assert client.get(url).json()["progress_s"] >= heard_s - 2.0
        job = ended(client, url)
        whole = client.post("/v1/score", files=sent(data)).json()["verdict"]
    resumed = job["result"]["verdict"]
    assert len(resumed["windows"]) + len(whole["windows"]) - again.n_scored >= 16
    after, at_once = ([window["score"] for window in one["windows"]] for one in (resumed, whole))
    np.testing.assert_allclose(after, at_once, atol=1e-5)
    assert resumed["score"] == pytest.approx(whole["score"], abs=1e-5)


def test_a_request_beside_a_job_is_written_before_it_is_scored(tmp_path: Path) -> None:
    model = Paused()
    with served(tmp_path, model=model) as client:
        store = client.app.state.app.store  # type: ignore[attr-defined]

        def alone() -> list[int]:
            return [row["is_alone"] for row in store._do("SELECT is_alone FROM jobs")]

        client.post("/v1/jobs", files=sent(speech(9.0)))
        assert model.entered.wait(20)
        assert alone() == [1]
        asking = threading.Thread(
            target=client.post, args=("/v1/score",), kwargs={"files": sent(speech())}
        )
        asking.start()
        for _ in range(1000):
            if alone() == [0]:
                break
            time.sleep(0.01)
        assert alone() == [0]
        model.go.set()
        asking.join()


def test_a_job_that_ran_when_the_service_died_runs_alone(tmp_path: Path) -> None:
    store = Store(tmp_path / "jobs", Limits())
    suspect, other = kept(store, tmp_path), kept(store, tmp_path)
    first = store.take()
    assert first is not None
    assert first.id == suspect
    store.close()
    store = Store(tmp_path / "jobs", Limits())
    beside = store.take(suspects=False)
    assert beside is not None
    assert beside.id == other
    alone = store.take()
    assert alone is not None
    assert (alone.id, alone.is_suspect) == (suspect, True)
    store.close()


def test_the_job_of_the_key_that_was_given_least_goes_first(tmp_path: Path) -> None:
    store = Store(tmp_path / "jobs", Limits())
    jobs = [kept(store, tmp_path, owner) for owner in ("desk", "desk", "lab", "desk", "lab")]
    given = {"desk": 10.0, "lab": 0.0}
    taken: list[str] = []
    while job := store.take(lambda owner: given[owner]):
        taken.append(job.id)
        given[job.owner] += 4.0
    assert taken == [jobs[place] for place in (2, 4, 0, 1, 3)]
    store.close()


def test_a_folder_of_an_earlier_version_is_taken_over(tmp_path: Path) -> None:
    store = Store(tmp_path / "jobs", Limits())
    job = kept(store, tmp_path)
    for column in ("is_alone", "is_suspect", "n_kept"):
        store._do(f"ALTER TABLE jobs DROP COLUMN {column}")
    store._do("DROP TABLE windows")
    store.close()
    store = Store(tmp_path / "jobs", Limits())
    taken = store.take()
    assert taken is not None
    assert taken.id == job
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
        shares = Shares()

        def score(self, _: Upload, __: ScoreOptions, work: Work) -> None:
            assert work.stopped.wait(20)
            work.check("n")

    store = Store(tmp_path / "jobs", Limits())
    runner = Runner(store, cast(Engine, Patient()), Telemetry())
    job = kept(store, tmp_path)
    take, deleting = store.take, threading.Thread(target=runner.forget, args=(job,))

    def take_while_deleted(*given: Any, **which: Any) -> Job | None:
        taken = take(*given, **which)
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
