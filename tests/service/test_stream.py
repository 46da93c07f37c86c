"""Does a stream over a WebSocket end with the file's verdict, and is a wrong one refused?"""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient
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
        ([opening(sample_rate=1)], "bad_field", "sample_rate: extra"),
        ([opening(rate_hz="fast")], "bad_field", "rate_hz: .*valid integer"),
        ([opening(rate_hz=10**9)], "not_possible", "give a rate of 4000 to"),
        ([opening(channels=0)], "not_possible", "give 1 to 64 channels"),
        ([opening(format="s61le")], "not_possible", "did you mean 's16le'"),
        ([opening(spoof_prior=2.0)], "not_possible", "give a probability above 0"),
        ([opening(threshold=1e10)], "not_possible", "give a finite score"),
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
        for frame in (opening(), opening(key="wrong")):
            assert conversation(client, frame, END)[0]["error"]["code"] == "no_key"
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
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("/v1/stream", headers=place),
    ):
        pass


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
