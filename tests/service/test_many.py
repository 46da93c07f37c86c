"""Several recordings in a request, the list of a key's jobs, and how much audio a key may send."""

from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from fake_service import sent, served, speech
from unheard.service.keys import Keys, make_key


def ask(client: TestClient, files: list[tuple[str, bytes]], **more: Any) -> Any:
    return client.post("/v1/scores", files=[("files", file) for file in files], **more)


def test_several_recordings_have_a_row_each_and_a_bad_one_stops_no_other(tmp_path: Path) -> None:
    given = [("a.wav", speech()), ("b.txt", b"no audio at all"), ("../c.wav", speech(3.0, 1))]
    with served(tmp_path) as client:
        answer = ask(client, given, data={"threshold": "1"})
        assert answer.status_code == 200
        body = answer.json()
        alone = client.post("/v1/score", files=sent(speech(3.0, 1)), data={"threshold": "1"}).json()
        metrics = client.get("/metrics").text
    assert [row["name"] for row in body["rows"]] == ["a.wav", "b.txt", "c.wav"]
    assert body["n_failed"] == 1
    assert body["rows"][1]["result"] is None
    assert body["rows"][1]["error"]["code"] == "not_audio"
    assert body["rows"][1]["error"]["request_id"] == answer.headers["x-request-id"]
    assert [row["error"] for row in body["rows"][::2]] == [None, None]
    assert body["rows"][2]["result"]["verdict"]["score"] == alone["verdict"]["score"]
    assert body["rows"][2]["result"]["verdict"]["thresholds"] == [1.0, 1.0]
    assert 'unheard_refusals_total{code="not_audio"} 1.0' in metrics


def test_a_form_of_several_says_what_does_not_fit(tmp_path: Path) -> None:
    with served(tmp_path) as client:
        assert client.post("/v1/scores", data={"report": "true"}).status_code == 422
        one = client.post("/v1/scores", files=sent(speech()))
        assert "no field is called 'file'; did you mean 'files'?" in one.json()["error"]["message"]
        many = ask(client, [("a.wav", b"x")] * 65)
        assert many.status_code == 400
        text = client.post("/v1/scores", data={"files": "RIFF"})
        assert "its part has no filename" in text.json()["error"]["message"]


def test_a_recording_that_is_too_long_is_a_row_that_says_where_to_send_it(tmp_path: Path) -> None:
    with served(tmp_path, longest_s=3.0) as client:
        rows = ask(client, [("long.wav", speech(9.0)), ("short.wav", speech())]).json()["rows"]
    assert rows[0]["error"]["code"] == "too_long"
    assert "send it to /v1/jobs" in rows[0]["error"]["message"]
    assert rows[1]["result"]["verdict"]["score"] is not None


def test_the_jobs_of_a_key_are_listed_newest_first_page_by_page(tmp_path: Path) -> None:
    me, them = (
        {"authorization": f"Bearer {make_key(tmp_path / 'keys', name)}"} for name in ("me", "them")
    )
    with served(tmp_path, keys=Keys.read(tmp_path / "keys")) as client:
        mine = [
            client.post("/v1/jobs", files=sent(speech(), f"{number}.wav"), headers=me).json()["id"]
            for number in range(5)
        ]
        client.post("/v1/jobs", files=sent(speech(), "theirs.wav"), headers=them)
        listed: list[dict[str, Any]] = []
        after: dict[str, str] = {}
        for n_jobs in (2, 2, 1):
            page = client.get("/v1/jobs", params={"limit": "2", **after}, headers=me).json()
            assert len(page["jobs"]) == n_jobs
            listed += page["jobs"]
            after = {"after": page["after"]}
        assert after == {"after": None}
        assert [job["id"] for job in listed] == mine[::-1]
        assert [job["name"] for job in listed] == [f"{number}.wav" for number in (4, 3, 2, 1, 0)]
        assert listed[0]["created_at"].endswith("+00:00")
        assert client.get(listed[0]["url"], headers=me).json()["id"] == mine[-1]
        for wrong in ({"limit": "0"}, {"limit": "999"}, {"after": "x"}, {"before": "1"}):
            answer = client.get("/v1/jobs", params=wrong, headers=me)
            assert (answer.status_code, answer.json()["error"]["code"]) == (422, "bad_field")


def test_a_page_is_whole_when_the_job_that_it_begins_after_is_gone(tmp_path: Path) -> None:
    me = {"authorization": f"Bearer {make_key(tmp_path / 'keys', 'me')}"}
    with served(tmp_path, keys=Keys.read(tmp_path / "keys")) as client:
        ids = [
            client.post("/v1/jobs", files=sent(speech()), headers=me).json()["id"] for _ in "abc"
        ]
        first = client.get("/v1/jobs", params={"limit": "1"}, headers=me).json()
        assert client.delete(f"/v1/jobs/{ids[2]}", headers=me).status_code == 204
        rest = client.get("/v1/jobs", params={"after": first["after"]}, headers=me).json()
    assert [job["id"] for job in rest["jobs"]] == [ids[1], ids[0]]


def test_without_keys_no_jobs_are_listed(tmp_path: Path) -> None:
    with served(tmp_path) as client:
        client.post("/v1/jobs", files=sent(speech()))
        answer = client.get("/v1/jobs")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "keys_needed")


def test_a_key_may_send_so_much_audio_a_minute_and_is_told_when_again(tmp_path: Path) -> None:
    me, them = (
        {"authorization": f"Bearer {make_key(tmp_path / 'keys', name)}"} for name in ("me", "them")
    )
    with served(tmp_path, keys=Keys.read(tmp_path / "keys"), audio_s_per_minute=6.0) as client:
        assert client.get("/v1/info", headers=me).json()["limits"]["audio_s_per_minute"] == 6.0
        rows = ask(client, [("a.wav", speech(60.0)), ("b.wav", speech())], headers=me).json()[
            "rows"
        ]
        assert rows[0]["error"] is None
        assert rows[1]["error"]["code"] == "too_much_audio"
        for path in ("/v1/score", "/v1/jobs"):
            answer = client.post(path, files=sent(speech()), headers=me)
            assert (answer.status_code, answer.json()["error"]["code"]) == (429, "too_much_audio")
            assert 400 < int(answer.headers["retry-after"]) <= 540
        with client.websocket_connect("/v1/stream", headers=me) as socket:
            socket.send_json({"format": "s16le"})
            assert socket.receive_json()["error"]["code"] == "too_much_audio"
        assert client.post("/v1/score", files=sent(speech()), headers=them).status_code == 200
