"""Do long recordings survive a restart, and leave nothing behind when they are done?"""

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from service_house import Level, sent, served, speech
from unheard.errors import ServiceError
from unheard.service.engine import Asked
from unheard.service.jobs import Store
from unheard.service.keys import Keys, make_key
from unheard.service.limits import Limits, Refusal
from unheard.types import FloatArray


class Held(Level):
    """A model that does not answer until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.entered = threading.Event()

    def opinions(self, windows: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        self.entered.set()
        assert self.go.wait(20)
        return super().opinions(windows)


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
    model = Held()
    with served(tmp_path, model=model) as client:
        url = client.post("/v1/jobs", files=sent(speech(9.0))).json()["url"]
        assert model.entered.wait(20)
        assert client.get(url).json()["status"] == "running"
        assert client.delete(url).status_code == 204
        model.go.set()
        assert client.get(url).status_code == 404
    assert os.listdir(tmp_path / "jobs" / "uploads") == []


def test_what_was_running_or_waiting_is_done_after_a_restart(tmp_path: Path) -> None:
    model = Held()
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
            file, owner=owner, request_id="r", name="n", sha256="0" * 64, asked=Asked()
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
    found = store.find(job, "")
    assert found is not None
    assert found.status == "failed"
    assert found.error is not None
    assert "stopped 3 times while it scored this; convert it" in found.error["message"]
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
    store.expire()
    assert store.find(job, "") is None
    store.close()


def test_uploads_take_no_more_room_than_they_may(tmp_path: Path) -> None:
    store = Store(tmp_path / "jobs", Limits(stored_bytes=7))
    kept(store, tmp_path)
    with pytest.raises(Refusal, match=r"1 jobs with 0 MB wait.*try again later"):
        kept(store, tmp_path)
    assert len(os.listdir(tmp_path / "jobs" / "uploads")) == 1
    store.close()


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
