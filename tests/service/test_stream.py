"""Does a stream over a WebSocket end with the file's verdict, and is a wrong one refused?"""

import asyncio
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect

from fake_service import scorer, served
from unheard.service.keys import Keys, make_key
from unheard.service.stream import MOST_FRAME_BYTES
from voice import voice


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with served(tmp_path_factory.mktemp("service"), longest_job_s=20.0) as client:
        yield client


def conversation(
    client: TestClient, *frames: bytes | str, headers: dict[str, str] | None = None
) -> list[dict[str, Any]]:
    """Send frames, and return what came until the service closed."""
    messages: list[dict[str, Any]] = []
    with client.websocket_connect("/v1/stream", headers=headers or {}) as socket:
        for frame in frames:
            socket.send({"type": "websocket.receive", kind(frame): frame})
        try:
            while True:
                messages.append(socket.receive_json())
        except WebSocketDisconnect as closed:
            messages.append({"closed": closed.code})
    return messages


def kind(frame: bytes | str) -> str:
    return "bytes" if isinstance(frame, bytes) else "text"


def opening(**fields: object) -> str:
    return json.dumps({"format": "s16le", "rate_hz": 16_000, "channels": 1, **fields})


END = '{"end": true}'


@pytest.mark.parametrize("n_bytes", [777, 16_000, 1 << 20])
def test_a_stream_ends_with_the_verdict_of_the_samples(client: TestClient, n_bytes: int) -> None:
    samples = voice(3.3)
    pcm = np.round(samples * 32768).clip(-32768, 32767).astype("<i2")
    frames = [pcm.tobytes()[at : at + n_bytes] for at in range(0, pcm.nbytes, n_bytes)]
    *updates, last, closed = conversation(client, opening(), *frames, END)
    whole = scorer().samples((pcm / 32768).astype(np.float32), name="stream").to_dict()
    assert closed == {"closed": 1000}
    assert last["verdict"]["score"] == pytest.approx(whole["score"], abs=1e-5)
    assert last["verdict"]["windows"][0].keys() == whole["windows"][0].keys()
    assert [update["window"]["start_s"] for update in updates] == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert updates[-1]["running"]["heard_s"] <= 3.3
    assert {"score", "decision", "final", "margin"} <= updates[-1]["running"].keys()


def test_a_stream_may_have_another_rate_and_format(client: TestClient) -> None:
    samples = np.repeat(voice(2.0), 3)  # 48 kHz
    stereo = np.stack([samples, samples], axis=1).astype("<f4").tobytes()
    messages = conversation(
        client, opening(format="f32le", rate_hz=48_000, channels=2), stereo, END
    )
    assert messages[-2]["verdict"]["duration_s"] == 2.0


def test_a_stream_may_decide_in_its_own_way(client: TestClient) -> None:
    messages = conversation(client, opening(threshold=1.5, spoof_prior=0.2), END)
    assert messages[0]["verdict"]["thresholds"] == [1.5, 1.5]
    assert messages[0]["verdict"]["spoof_prior"] == 0.2


@pytest.mark.parametrize(
    ("frames", "code", "message"),
    [
        (["no JSON"], "bad_field", "the first frame does not fit.*send text such as"),
        (["[" * 10_000], "bad_field", "send text such as"),
        ([opening(chanel="left")], "bad_field", "chanel: extra.*did you mean 'channel'"),
        ([opening(rate_hz="fast")], "bad_field", "rate_hz: .*valid integer"),
        ([opening(rate_hz=10**9)], "not_possible", "give a rate of 4000 to"),
        ([opening(channels=0)], "not_possible", "give 1 to 64 channels"),
        ([opening(format="s61le")], "not_possible", "did you mean 's16le'"),
        ([opening(spoof_prior=2.0)], "bad_field", "spoof_prior: .*less than 1"),
        ([opening(threshold=1e10)], "bad_field", "threshold: .*equal to 1000000"),
        (['{"minimum_speech_s": 1e999}'], "bad_field", "minimum_speech_s: .*finite number"),
        ([opening(), bytes(4), "stop"], "bad_field", "send samples as binary"),
        ([opening(), '{"end": false}'], "bad_field", "send samples as binary"),
        ([opening(), bytes(MOST_FRAME_BYTES + 1)], "too_large", "send smaller ones"),
        ([opening(), *[bytes(1 << 20)] * 2], "too_long", "longer than 20 s; start another"),
        ([opening(format="f32le"), b"\x00\x00\xc0\x7f"], "not_possible", "not numbers"),
        ([bytes(8)], "bad_field", "send text such as"),
    ],
)
def test_a_stream_that_does_not_fit_is_refused_with_the_reason(
    client: TestClient, frames: list[bytes | str], code: str, message: str
) -> None:
    messages = conversation(client, *frames)
    assert messages[-1] == {"closed": 1008}
    assert messages[-2]["error"]["code"] == code
    assert messages[-2]["error"]["request_id"]
    with pytest.raises(ValueError, match=message):
        raise ValueError(messages[-2]["error"]["message"])


def test_a_stream_that_falls_silent_is_closed(tmp_path: Path) -> None:
    with served(tmp_path, idle_s=0.05) as client:
        for frames in ([], [opening()], [opening(), bytes(640)]):
            messages = conversation(client, *frames)
            assert messages[-2]["error"]["code"] == "too_slow"
            assert ("verdict" in messages[-2]) == (len(frames) == 2)


def test_a_stream_that_passes_a_limit_ends_with_the_verdict_so_far_and_the_reason(
    tmp_path: Path,
) -> None:
    samples = (voice(4.0) * 32_767).astype("<i2").tobytes()
    with served(tmp_path, longest_job_s=5.0) as client:
        messages = conversation(client, opening(), samples, samples)
    last = messages[-2]
    assert messages[-1] == {"closed": 1008}
    assert last["error"]["code"] == "too_long"
    assert last["verdict"]["duration_s"] == 4.0
    assert last["verdict"]["score"] is not None
    assert "the stream was cut off (too_long) after 4.0 s of it" in last["verdict"]["warnings"][-1]


async def trickled(client: TestClient, frames: list[bytes | str]) -> list[dict[str, Any]]:
    """Send a frame each 20 ms, and return what came until the service closed."""
    sent: list[Message] = [{"type": "websocket.connect"}]
    sent += [{"type": "websocket.receive", kind(frame): frame} for frame in frames]
    waiting, messages = iter(sent), []

    async def receive() -> Message:
        await asyncio.sleep(0.02)
        return next(waiting, {"type": "websocket.disconnect"})

    async def send(message: Message) -> None:
        if message["type"] == "websocket.send":
            messages.append(json.loads(message["text"]))

    scope = {"type": "websocket", "headers": [], "state": {"request_id": "r", "owner": ""}}
    await client.app.state.app.streams.answer(WebSocket(scope, receive, send))  # type: ignore[attr-defined]
    return messages


@pytest.mark.parametrize(
    ("frame", "ends"), [(b"", "error"), (b"\0" * 640, "verdict")], ids=["empty", "samples"]
)
def test_only_samples_keep_a_stream_open(tmp_path: Path, frame: bytes, ends: str) -> None:
    with served(tmp_path, idle_s=0.4) as client:
        messages = asyncio.run(trickled(client, [opening(), *[frame] * 50, END]))
    assert ends in messages[-1]
    assert ends == "verdict" or messages[-1]["error"]["code"] == "too_slow"


def test_one_key_has_half_of_the_streams(tmp_path: Path) -> None:
    mine, theirs = (make_key(tmp_path / "keys", name) for name in ("mine", "theirs"))
    with served(tmp_path, keys=Keys.read(tmp_path / "keys"), n_streams=3) as client:
        with client.websocket_connect("/v1/stream") as first:
            first.send_text(opening(key=mine))
            first.send_bytes((voice(1.2) * 30_000).astype("<i2").tobytes())
            assert first.receive_json()["window"]
            messages = conversation(client, opening(key=mine), END)
            assert messages[0]["error"]["code"] == "too_many"
            assert "1 streams of this key are open" in messages[0]["error"]["message"]
            assert messages[1] == {"closed": 1008}
            assert "verdict" in conversation(client, opening(key=theirs), END)[0]
        assert "verdict" in conversation(client, opening(key=mine), END)[0]


def test_a_full_service_takes_no_more_streams(tmp_path: Path) -> None:
    with served(tmp_path, n_streams=1) as client:
        with client.websocket_connect("/v1/stream") as first:
            first.send_text(opening())
            first.send_bytes((voice(1.2) * 30_000).astype("<i2").tobytes())
            assert first.receive_json()["window"]
            assert conversation(client, opening())[0]["error"]["code"] == "busy"
        assert "verdict" in conversation(client, opening(), END)[0]


def test_a_stream_wants_the_key_in_its_header_or_first_frame(tmp_path: Path) -> None:
    key = make_key(tmp_path / "keys", "newsroom")
    with served(tmp_path, keys=Keys.read(tmp_path / "keys")) as client:
        for frame, code in ((opening(), "no_key"), (opening(key="wrong"), "wrong_key")):
            assert conversation(client, frame, END)[0]["error"]["code"] == code
        assert "verdict" in conversation(client, opening(key=key), END)[0]
        header = {"authorization": f"Bearer {key}"}
        assert "verdict" in conversation(client, opening(), END, headers=header)[0]


@pytest.mark.parametrize(
    "place",
    [
        {"origin": "http://evil.example"},
        {"origin": "http://["},
        {"host": "rebound.example"},
        {"host": "["},
    ],
)
def test_a_page_of_another_site_opens_no_stream(client: TestClient, place: dict[str, str]) -> None:
    assert refused(client, "/v1/stream", place)[0] == 403


def refused(client: TestClient, path: str, headers: dict[str, str]) -> tuple[int, str, set[str]]:
    """Status, code and fields of what a stream gets that is not opened."""
    with (
        pytest.raises(WebSocketDenialResponse) as caught,
        client.websocket_connect(path, headers=headers),
    ):
        pass
    answer = caught.value
    error = answer.json()["error"]
    assert error["request_id"] == answer.headers["x-request-id"]
    return answer.status_code, error["code"], error.keys()


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/v1/stream?rate_hz=8000", {}),
        ("/v1/streams", {}),
        ("/v1/stream", {"origin": "http://evil.example"}),
        ("/v1/stream", {"authorization": "Bearer x"}),
        ("/v1/stream", {"authorization": "Bearer"}),
    ],
)
def test_a_stream_and_a_request_are_refused_alike(
    tmp_path: Path, path: str, headers: dict[str, str]
) -> None:
    key = make_key(tmp_path / "keys", "newsroom")
    right = {"authorization": f"Bearer {key}", **headers}
    with served(tmp_path, keys=Keys.read(tmp_path / "keys")) as client:
        alike = client.get(path.replace("/v1/stream", "/v1/info", 1), headers=right)
        error = alike.json()["error"]
        assert refused(client, path, right) == (alike.status_code, error["code"], error.keys())


FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "operating_point": st.sampled_from(["sure", "suer", "balanced"]),
        "threshold": st.sampled_from([0.0, -1e6, 1e6, 1e7, "x", "1.5"]),
        "spoof_prior": st.sampled_from([0, 0.5, 1, 1e-9, "nan"]),
        "minimum_speech_s": st.sampled_from([0, 1, -1, 1e308, "inf"]),
        "channel": st.sampled_from(["mix", "left", "7", "lft"]),
        "thresold": st.just(1.0),
    },
)


@given(fields=FIELDS)
@settings(deadline=None, max_examples=25)
def test_settings_of_a_stream_are_taken_and_refused_as_those_of_a_form(
    client: TestClient, fields: dict[str, object]
) -> None:
    file = io.BytesIO()
    soundfile.write(file, np.stack([voice(1.0)] * 2, axis=1), 16_000, format="WAV")
    sent = {"file": ("clip.wav", file.getvalue())}
    data = {name: str(value) for name, value in fields.items()}
    pcm = np.repeat((voice(1.0) * 30_000).astype("<i2"), 2).tobytes()
    asked = client.post("/v1/score", files=sent, data=data)
    streamed = conversation(client, opening(channels=2, **fields), pcm, END)[-2]
    if asked.status_code == 200:
        verdict = asked.json()["verdict"]
        for name in ("thresholds", "spoof_prior", "operating_point", "channel"):
            assert streamed["verdict"][name] == verdict[name]
    elif fields.get("channel") not in ("7", "lft"):
        assert streamed["error"]["code"] == asked.json()["error"]["code"]
    assert ("error" in streamed) == (asked.status_code != 200)


def test_a_stream_of_a_name_without_a_key_ends(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    lab, desk = make_key(keys, "lab"), make_key(keys, "desk")
    with served(tmp_path, keys=Keys.read(keys)) as client:
        app = client.app.state.app  # type: ignore[attr-defined]
        with (
            client.websocket_connect("/v1/stream") as first,
            client.websocket_connect("/v1/stream") as second,
        ):
            for socket, key in ((first, lab), (second, desk)):
                socket.send_text(opening(key=key))
                socket.send_bytes((voice(1.2) * 30_000).astype("<i2").tobytes())
                assert socket.receive_json()["window"]
            keys.write_text(keys.read_text().splitlines(keepends=True)[1])
            assert client.portal is not None
            client.portal.call(app.reload)
            assert first.receive_json()["error"]["code"] == "wrong_key"
            second.send_text(END)
            assert "verdict" in second.receive_json()
        header = {"authorization": f"Bearer {lab}"}
        assert client.get("/v1/info", headers=header).status_code == 401


def test_a_fault_of_ours_closes_the_stream(tmp_path: Path) -> None:
    class Broken:
        experts, detector = (), None

        def expert_scores(self, windows: object) -> None:
            raise RuntimeError("a secret")

    with served(tmp_path, model=Broken()) as client:
        pcm = (voice(2.0) * 30_000).astype("<i2").tobytes()
        messages = conversation(client, opening(), pcm, END)
    assert messages[-1] == {"closed": 1011}
    assert messages[-2]["error"]["code"] == "internal"
    assert "secret" not in json.dumps(messages)
