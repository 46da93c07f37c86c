"""Does the service answer as docs/service.md says, and refuse what it must?"""

import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from fake_service import Paused, scorer, sent, served, speech
from hostile_audio import UNUSABLE
from unheard.scoring.verdict import Verdict
from unheard.service.engine import ScoreOptions
from unheard.service.keys import Keys, make_key
from unheard.types import FloatArray


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with served(tmp_path_factory.mktemp("service"), longest_s=30.0, most_bytes=2_000_000) as client:
        yield client


def error(answer: Any) -> dict[str, str]:
    """The error of an answer, whole and with the request's id."""
    fields: dict[str, str] = answer.json()["error"]
    assert fields.keys() == {"code", "message", "request_id"}
    assert fields["request_id"] == answer.headers["x-request-id"]
    return fields


def close(verdict_a: dict[str, Any], verdict_b: dict[str, Any]) -> bool:
    """Whether two verdicts are the same up to the rounding of float32."""
    scores = [
        [verdict.pop("score"), verdict.pop("spoof_probability")]
        + [window.pop("score") for window in verdict["windows"]]
        for verdict in (verdict_a, verdict_b)
    ]
    a, b = np.array(scores, float)
    return verdict_a == verdict_b and np.allclose(a, b, atol=1e-5, equal_nan=True)


def test_an_upload_gets_the_verdict_of_the_file(client: TestClient) -> None:
    data = speech(3.2)
    answer = client.post("/v1/score", files=sent(data, "a b.wav")).json()
    file = scorer().file(data, name="a b.wav").to_dict()
    assert answer["verdict"]["score"] is not None
    assert close(answer["verdict"], file)
    assert answer["audio"] == {
        "name": "a b.wav",
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "encoding": {
            "container": "wav",
            "codec": "pcm_s16le",
            "rate_hz": 16_000,
            "n_channels": 1,
            "n_tracks": 1,
        },
    }
    assert answer["scored_at"].endswith("+00:00")
    assert answer["report_html"] is None


def test_a_request_may_decide_in_its_own_way(client: TestClient) -> None:
    options = {"threshold": "1.5", "spoof_prior": "0.01", "minimum_speech_s": "0.1"}
    verdict = client.post("/v1/score", files=sent(speech()), data=options).json()["verdict"]
    assert verdict["operating_point"] == "threshold"
    assert verdict["thresholds"] == [1.5, 1.5]
    assert verdict["spoof_prior"] == 0.01


def test_a_report_comes_with_the_verdict_if_asked_for(client: TestClient) -> None:
    answer = client.post("/v1/score", files=sent(speech()), data={"report": "true"}).json()
    assert answer["report_html"].startswith("<!doctype html>")
    assert answer["audio"]["sha256"] in answer["report_html"]
    assert "data:image/png" in answer["report_html"]


@pytest.mark.parametrize("name", ["empty", "text", "noise", "video only", "65 channels"])
def test_what_is_no_audio_is_415_with_the_text_of_the_command_line(
    client: TestClient, name: str
) -> None:
    data, remedy = UNUSABLE[name]
    answer = client.post("/v1/score", files=sent(data, "x.wav"))
    assert answer.status_code == 415
    assert error(answer)["code"] == "not_audio"
    with pytest.raises(Exception, match=remedy) as caught:
        scorer().file(data, name="x.wav")
    assert error(answer)["message"] == str(caught.value)


@pytest.mark.parametrize("name", ["nan", "wrong scale", "header says a gigabyte"])
def test_audio_that_cannot_be_scored_is_422(client: TestClient, name: str) -> None:
    data, remedy = UNUSABLE[name]
    answer = client.post("/v1/score", files=sent(data))
    assert answer.status_code == 422
    assert error(answer)["code"] == "unusable_audio"
    with pytest.raises(Exception, match=remedy):
        raise ValueError(error(answer)["message"])


def test_silence_is_an_answer_without_a_verdict(client: TestClient) -> None:
    answer = client.post("/v1/score", files=sent(speech()), data={"minimum_speech_s": "60"})
    assert answer.status_code == 200
    assert answer.json()["verdict"]["score"] is None
    assert "at least 60 s" in answer.json()["verdict"]["reason"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"operating_point": "suer"}, "operating_point is 'suer'.*'balanced'"),
        ({"threshold": "nan"}, "threshold is 'nan'.*finite number"),
        ({"threshold": "-inf"}, "threshold is '-inf'"),
        ({"threshold": "1e10", "report": "true"}, "threshold is '1e10'.*equal to 1000000"),
        ({"threshold": "1", "operating_point": "sure"}, "not both"),
        ({"spoof_prior": "1"}, "spoof_prior is '1'.*less than 1"),
        ({"spoof_prior": "x"}, "spoof_prior is 'x'.*valid number"),
        ({"minimum_speech_s": "-1"}, "minimum_speech_s is '-1'"),
        ({"minimum_speech_s": "nan"}, "minimum_speech_s"),
        ({"minimum_speech_s": "inf"}, "minimum_speech_s is 'inf'.*finite number"),
        ({"minimum_speech_s": "1e999"}, "minimum_speech_s is '1e999'.*finite number"),
        ({"report": "perhaps"}, "report is 'perhaps'"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/score", "/v1/jobs"])
def test_a_field_that_does_not_fit_is_422_before_anything_is_scored(
    client: TestClient, path: str, fields: dict[str, str], message: str
) -> None:
    answer = client.post(path, files=sent(b"not even audio"), data=fields)
    assert answer.status_code == 422
    with pytest.raises(ValueError, match=message):
        raise ValueError(error(answer)["message"])


@pytest.mark.parametrize("threshold", ["-1e6", "1e6"])
def test_the_farthest_threshold_is_drawn(client: TestClient, threshold: str) -> None:
    options = {"threshold": threshold, "report": "true"}
    answer = client.post("/v1/score", files=sent(speech()), data=options)
    assert answer.json()["report_html"].startswith("<!doctype html>")


def test_a_request_without_a_file_says_so(client: TestClient) -> None:
    assert "file" in error(client.post("/v1/score"))["message"]
    assert client.post("/v1/score", data={"report": "true"}).status_code == 422


FIELDS = ("file", *ScoreOptions.__dataclass_fields__)


@given(
    name=st.sampled_from(FIELDS),
    letter=st.sampled_from("xyz"),
    place=st.integers(0, 30),
    path=st.sampled_from(["/v1/score", "/v1/jobs"]),
)
@settings(deadline=None, max_examples=15)
def test_a_field_with_a_slip_of_the_pen_is_named_with_the_right_one(
    client: TestClient, name: str, letter: str, place: int, path: str
) -> None:
    slipped = name[:place] + letter + name[place:]
    answer = client.post(path, files=sent(b"not even audio"), data={slipped: "1"})
    assert (answer.status_code, error(answer)["code"]) == (422, "bad_field")
    assert f"no field is called '{slipped}'; did you mean '{name}'?" in error(answer)["message"]


@given(
    asked=st.sampled_from(
        [
            ("POST", "/v1/score"),
            ("POST", "/v1/jobs"),
            ("GET", "/v1/jobs/x"),
            ("DELETE", "/v1/jobs/x"),
            ("GET", "/v1/info"),
            ("GET", "/metrics"),
            ("GET", "/healthz"),
        ]
    ),
    name=st.sampled_from([*FIELDS, "key", "a b"]),
)
@settings(deadline=None, max_examples=15)
def test_a_query_parameter_is_not_passed_over(
    client: TestClient, asked: tuple[str, str], name: str
) -> None:
    answer = client.request(*asked, params={name: "1"})
    assert (answer.status_code, error(answer)["code"]) == (422, "bad_field")
    assert f"no query parameter is called '{name}'" in error(answer)["message"]


@pytest.mark.parametrize("name", ["channel", "track"])
@given(value=st.from_regex(r"[a-z]{1,8}|0[0-9]?|-1|[0-9]{3}", fullmatch=True))
@settings(deadline=None, max_examples=15)
def test_a_channel_or_track_that_is_none_is_answered_in_words(
    client: TestClient, name: str, value: str
) -> None:
    assume(value not in ("mix", "left", "right", "each", "default", "all"))
    answer = client.post("/v1/score", files=sent(b"not even audio"), data={name: value})
    assert (answer.status_code, error(answer)["code"]) == (422, "bad_field")
    said = error(answer)["message"]
    assert f"{name} is {value!r}: give " in said
    assert "a number from 1 to 99, or" in said
    assert "pattern" not in said


def test_a_field_that_is_given_twice_is_not_chosen_from(client: TestClient) -> None:
    answer = client.post("/v1/score", files=sent(speech()), data={"threshold": ["1", "2"]})
    assert (answer.status_code, error(answer)["code"]) == (422, "bad_field")
    assert "threshold is given 2 times; give it once" in error(answer)["message"]


@pytest.mark.parametrize(
    ("n_bytes", "status", "message"),
    [(9, 422, "file: its part has no filename"), (9999, 400, "a part without a filename of more")],
)
def test_a_part_without_a_filename_is_named_as_that(
    client: TestClient, n_bytes: int, status: int, message: str
) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n'
    kind = {"content-type": "multipart/form-data; boundary=x"}
    whole = body + b"R" * n_bytes + b"\r\n--x--\r\n"
    answer = client.post("/v1/score", content=whole, headers=kind)
    assert answer.status_code == status
    assert message in error(answer)["message"]
    assert "curl -F file=@call.wav" in error(answer)["message"]


def test_a_form_that_cannot_be_read_is_400(client: TestClient) -> None:
    broken = {"content-type": "multipart/form-data; boundary=x"}
    answer = client.post("/v1/score", content=b"--y\r\n", headers=broken)
    assert answer.status_code == 400
    assert error(answer)["code"] == "bad_request"


def test_a_form_holds_one_file_and_short_fields(client: TestClient) -> None:
    two = [("file", ("a.wav", speech())), ("file", ("b.wav", speech()))]
    assert client.post("/v1/score", files=two).status_code == 400
    long = {"operating_point": "x" * 100_000}
    assert client.post("/v1/score", files=sent(b""), data=long).status_code == 400


def test_too_many_bytes_are_413_whether_they_are_announced_or_not(client: TestClient) -> None:
    large = sent(bytes(2_200_000))
    assert error(client.post("/v1/score", files=large))["code"] == "too_large"
    request = client.build_request("POST", "/v1/score", files=large)
    body, kind = request.read(), request.headers["content-type"]
    pieces = (body[start : start + 65_536] for start in range(0, len(body), 65_536))
    answer = client.post("/v1/jobs", content=pieces, headers={"content-type": kind})
    assert answer.status_code == 413
    assert "larger than 2 MB, the most that is taken here; cut it" in error(answer)["message"]


def test_a_body_where_none_is_wanted_is_413(client: TestClient) -> None:
    answer = client.request("GET", "/v1/info", content=bytes(100_000))
    assert answer.status_code == 200  # nobody reads it
    assert client.post("/nowhere", content=bytes(100_000)).status_code == 404


def test_too_many_seconds_are_413_and_sent_to_jobs(client: TestClient) -> None:
    answer = client.post("/v1/score", files=sent(speech(31.0)))
    assert answer.status_code == 413
    assert (
        "longer than 30 s, the most that is taken here; send it to /v1/jobs"
        in (error(answer)["message"])
    )


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("../../etc/passwd.wav", "passwd.wav"),
        ("C:\\secret\\clip.wav", "clip.wav"),
        ("a\x00b\x1b[31m\u202ec.wav", "ab[31mc.wav"),
        ("/", "recording"),
        ("n" * 500, "n" * 120),
    ],
)
def test_a_name_from_outside_is_shown_and_nothing_else(
    client: TestClient, given: str, shown: str
) -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="'
        + given.encode()
        + b'"\r\n\r\n'
        + speech()
        + b"\r\n--x--\r\n"
    )
    kind = {"content-type": "multipart/form-data; boundary=x"}
    answer = client.post("/v1/score", content=body, headers=kind)
    assert answer.json()["audio"]["name"] == answer.json()["verdict"]["source"] == shown


def test_no_upload_stays_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    with served(tmp_path) as client:
        assert client.post("/v1/score", files=sent(speech(60.0))).status_code == 200
        assert client.post("/v1/score", files=sent(speech()[:999])).status_code == 422
        assert os.listdir(tmp_path / "temporary") == []
        assert os.listdir(tmp_path / "jobs" / "uploads") == []
    content = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"RIFF" not in content


def test_answers_carry_what_keeps_a_browser_safe(client: TestClient) -> None:
    for path in ("/healthz", "/nowhere", "/v1/info"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    assert client.get("/v1/info").headers["cache-control"] == "no-store"


def test_pages_of_other_sites_are_not_answered(client: TestClient) -> None:
    evil = {"origin": "http://evil.example"}
    answer = client.post("/v1/score", files=sent(speech()), headers=evil)
    assert (answer.status_code, error(answer)["code"]) == (403, "wrong_origin")
    assert client.get("/healthz", headers={"origin": "http://testserver"}).status_code == 200


def test_without_keys_only_its_own_names_are_answered(client: TestClient) -> None:
    answer = client.get("/v1/info", headers={"host": "rebound.example:80"})
    assert (answer.status_code, error(answer)["code"]) == (403, "wrong_host")


@pytest.mark.parametrize("path", ["/", "/v1/info", "/v1/jobs/x", "/nowhere"])
def test_addresses_that_cannot_be_read_are_not_ours(client: TestClient, path: str) -> None:
    for host in ("[", "[::1", "a]b", "[x]:1"):
        answer = client.get(path, headers={"host": host})
        assert (answer.status_code, error(answer)["code"]) == (403, "wrong_host"), host
    for origin in ("http://[", "http://a]", "//[x]"):
        answer = client.get(path, headers={"origin": origin})
        assert (answer.status_code, error(answer)["code"]) == (403, "wrong_origin"), origin


def test_with_keys_any_host_is_answered_and_no_origin_that_cannot_be_read(tmp_path: Path) -> None:
    make_key(tmp_path / "keys", "newsroom")
    with served(tmp_path, keys=Keys.read(tmp_path / "keys")) as client:
        assert client.get("/healthz", headers={"host": "["}).status_code == 200
        unread = {"host": "[", "origin": "http://["}
        answer = client.get("/healthz", headers=unread)
        assert (answer.status_code, error(answer)["code"]) == (403, "wrong_origin")


def test_a_request_id_is_taken_over_if_it_is_plain(client: TestClient) -> None:
    given = {"x-request-id": "trace-1.2"}
    assert client.get("/nowhere", headers=given).json()["error"]["request_id"] == "trace-1.2"
    forged = {"x-request-id": 'x"} {"event": "forged'}
    assert "forged" not in client.get("/healthz", headers=forged).headers["x-request-id"]


def test_logs_and_metrics_hold_no_name_and_no_audio(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    from unheard.service.telemetry import JsonLines

    with caplog.at_level(logging.INFO, logger="unheard.service"):
        client.post("/v1/score", files=sent(speech(), "secret-source.wav"))
        client.post("/v1/score", files=sent(b"x", "secret-source.wav"))
        client.get("/v1/jobs/secret-source")
    ours = [record for record in caplog.records if record.name == "unheard.service"]
    lines = [json.loads(JsonLines().format(record)) for record in ours]
    assert [line["status"] for line in lines] == [200, 415, 404]
    assert all(line["request_id"] and line["elapsed_s"] >= 0 for line in lines)
    assert "secret" not in json.dumps(lines) + client.get("/metrics").text


def test_metrics_count_what_was_answered(tmp_path: Path) -> None:
    with served(tmp_path) as client:
        client.post("/v1/score", files=sent(speech(4.0)))
        client.post("/v1/score", files=sent(b"x"))
        text = client.get("/metrics").text
    for line in (
        'unheard_requests_total{method="POST",route="/v1/score",status="200"} 1.0',
        'unheard_refusals_total{code="not_audio"} 1.0',
        "unheard_audio_seconds_total 4.0",
        "unheard_windows 7.0",
        "unheard_uploads_in_house 0.0",
    ):
        assert line in text


def test_info_describes_the_detector_and_the_limits(client: TestClient) -> None:
    info = client.get("/v1/info").json()
    assert info["detector"]["name"] == "level"
    assert info["detector"]["limits"] == ["It measures nothing but loudness"]
    assert info["limits"]["longest_s"] == 30.0
    assert info["key_needed"] is False


def test_a_key_is_wanted_for_everything_but_the_page_and_health(tmp_path: Path) -> None:
    key = make_key(tmp_path / "keys", "newsroom")
    with served(tmp_path, keys=Keys.read(tmp_path / "keys")) as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/openapi.json").status_code == 200
        for path in ("/v1/info", "/metrics", "/v1/jobs/x", "/V1/info"):
            answer = client.get(path)
            assert (answer.status_code, error(answer)["code"]) == (401, "no_key"), path
            assert answer.headers["www-authenticate"] == "Bearer"
        for wrong in ("Bearer x", f"Bearer {key}x", f"Basic {key}", "Bearer " + "é" * 9, key):
            answer = client.get("/v1/info", headers={b"authorization": wrong.encode()})
            assert answer.status_code == 401, wrong
        right = {"authorization": f"Bearer {key}"}
        assert client.get("/v1/info", headers=right).json()["key_needed"] is True
        assert client.post("/v1/score", files=sent(speech()), headers=right).status_code == 200


def test_one_key_may_not_take_all_places(tmp_path: Path) -> None:
    key = make_key(tmp_path / "keys", "newsroom")
    right = {"authorization": f"Bearer {key}"}
    with served(tmp_path, keys=Keys.read(tmp_path / "keys"), n_per_key=0) as client:
        answer = client.post("/v1/score", files=sent(speech()), headers=right)
    assert (answer.status_code, error(answer)["code"]) == (429, "too_many")
    assert answer.headers["retry-after"] == "5"


class Gate(Paused):
    """A paused model that takes a moment for each batch once it goes on."""

    def expert_scores(self, windows: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        scores = super().expert_scores(windows)
        time.sleep(0.01)
        return scores


def test_a_short_clip_of_one_key_does_not_wait_for_the_long_ones_of_another(
    tmp_path: Path,
) -> None:
    desk, lab = (make_key(tmp_path / "keys", name) for name in ("desk", "lab"))
    model = Gate()
    answered: list[str] = []
    with served(tmp_path, model=model, keys=Keys.read(tmp_path / "keys"), n_active=2) as client:

        def ask(key: str, what: str, data: bytes) -> None:
            headers = {"authorization": f"Bearer {key}"}
            assert client.post("/v1/score", files=sent(data), headers=headers).status_code == 200
            answered.append(what)

        long = speech(60.0)
        asking = [threading.Thread(target=ask, args=(desk, "long", long)) for _ in range(8)]
        for thread in asking:
            thread.start()
        headers = {"authorization": f"Bearer {desk}"}
        while "in_house 8.0" not in client.get("/metrics", headers=headers).text:
            time.sleep(0.01)
        assert model.entered.wait(20)
        short = threading.Thread(target=ask, args=(lab, "short", speech(3.0)))
        short.start()
        while "in_house 9.0" not in client.get("/metrics", headers=headers).text:
            time.sleep(0.01)
        time.sleep(0.3)
        model.go.set()
        for thread in [short, *asking]:
            thread.join()
    assert answered[0] == "short"


def test_a_full_service_is_503(tmp_path: Path) -> None:
    with served(tmp_path, n_active=1, n_waiting=-1) as client:
        answer = client.post("/v1/score", files=sent(speech()))
    assert (answer.status_code, error(answer)["code"]) == (503, "busy")


def test_scoring_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    with served(tmp_path, answer_s=0.0) as client:
        answer = client.post("/v1/score", files=sent(speech()))
    assert (answer.status_code, error(answer)["code"]) == (503, "too_slow")
    assert "send it to /v1/jobs" in error(answer)["message"]


def test_a_fault_of_ours_is_500_without_its_text(tmp_path: Path) -> None:
    class Broken:
        experts, detector = (), None

        def expert_scores(self, windows: object) -> None:
            raise RuntimeError("a secret")

    with served(tmp_path, model=Broken()) as client:
        answer = client.post("/v1/score", files=sent(speech()))
    assert (answer.status_code, error(answer)["code"]) == (500, "internal")
    assert "secret" not in answer.text


def test_the_verdict_over_the_wire_has_every_field(client: TestClient) -> None:
    shown = client.get("/openapi.json").json()["components"]["schemas"]["Verdict"]["properties"]
    assert shown.keys() == set(Verdict.__dataclass_fields__)
