"""Does `unheard serve` start only where it is safe, and end without losing anything?"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import ClientConnection, connect

from cli_run import Run
from fake_service import sent, speech
from unheard.errors import ServiceError
from unheard.service.jobs import Store
from unheard.service.keys import make_key
from unheard.service.limits import Limits
from voice import voice

TESTS = Path(__file__).parents[1]
ENVIRONMENT = os.environ | {
    "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_other_machines_are_served_with_keys_alone(unheard: Callable[..., Run], host: str) -> None:
    run = unheard("serve", "--host", host)
    assert run.code == 2
    assert "can be reached from other machines: give --keys FILE" in run.text


def test_a_key_is_made_and_shown_once(unheard: Callable[..., Run], tmp_path: Path) -> None:
    run = unheard("serve", "--keys", tmp_path / "keys", "--make-key", "newsroom")
    assert run.code == 0
    assert run.out.startswith("unheard_")
    assert run.out.strip() not in (tmp_path / "keys").read_text()
    assert "cannot be shown again" in run.text
    assert "needs --keys FILE" in unheard("serve", "--make-key", "newsroom").text


def test_https_needs_both_files(unheard: Callable[..., Run], tmp_path: Path) -> None:
    run = unheard("serve", "--certificate", tmp_path / "c.pem")
    assert run.code == 2
    assert "give --certificate and --private-key, or neither" in run.text


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    from unheard.service.server import Address, _listen

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServiceError, match=f"port {port} .*choose another --port"):
            _listen(Address("127.0.0.1", port))


@pytest.mark.timeout(300)
def test_a_server_that_is_told_to_stop_finishes_and_keeps_its_jobs(tmp_path: Path) -> None:
    program = subprocess.Popen(
        [sys.executable, str(TESTS / "serve_program.py"), str(tmp_path / "jobs")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    assert program.stdout is not None
    with program, httpx.Client(base_url=program.stdout.readline().strip(), timeout=60) as client:
        try:
            _talk(client)
            _walk_away(client)
            jobs = [client.post("/v1/jobs", files=sent(speech(90.0))).json() for _ in range(2)]
            answers: list[httpx.Response] = []
            asking = threading.Thread(
                target=lambda: answers.append(client.post("/v1/score", files=sent(speech(4.0))))
            )
            asking.start()
            while "unheard_uploads_in_house 1.0" not in client.get("/metrics").text:
                assert asking.is_alive()
                time.sleep(0.02)
            program.send_signal(signal.SIGTERM)
            asking.join()
            assert program.wait(30) == 0
        finally:
            program.kill()
        assert program.stderr is not None
        logged = program.stderr.read()
    assert answers[0].status_code == 200
    assert answers[0].json()["verdict"]["decision"]
    assert all(json.loads(line)["event"] != "fault" for line in logged.splitlines())
    store = Store(tmp_path / "jobs", Limits())
    stored = [store.find(job["id"], "") for job in jobs]
    assert [job and job.status for job in stored] == ["queued", "queued"]
    store.close()


@pytest.mark.timeout(120)
def test_what_is_under_way_when_a_server_stops_has_an_answer(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    old = make_key(keys, "lab")
    program = subprocess.Popen(
        [sys.executable, str(TESTS / "serve_program.py"), str(tmp_path / "jobs"), str(keys), "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    assert program.stdout is not None
    url = program.stdout.readline().strip()
    with program, httpx.Client(base_url=url, timeout=60) as client:
        try:
            new = make_key(keys, "lab")
            right = {"authorization": f"Bearer {new}"}
            assert client.get("/v1/info", headers=right).status_code == 401
            program.send_signal(signal.SIGHUP)
            while client.get("/v1/info", headers=right).status_code == 401:
                time.sleep(0.02)
            assert client.get("/healthz", headers={"authorization": old}).status_code == 200
            with connect(f"ws://{client.base_url.netloc.decode()}/v1/stream") as stream:
                stream.send(json.dumps({"format": "s16le", "key": old}))
                stream.send((voice(4.0) * 32_767).astype("<i2").tobytes())
                assert "window" in json.loads(stream.recv())
                answers: list[httpx.Response] = []
                asks = [
                    lambda: client.post("/v1/score", files=sent(speech(300.0)), headers=right),
                    lambda: client.post("/v1/score", content=_dripping(), headers=right | FORM),
                ]
                asking = [
                    threading.Thread(target=lambda ask=ask: answers.append(ask())) for ask in asks
                ]
                for thread in asking:
                    thread.start()
                in_house = "unheard_uploads_in_house 2.0"
                while in_house not in client.get("/metrics", headers=right).text:
                    time.sleep(0.02)
                begun_s = time.monotonic()
                program.send_signal(signal.SIGTERM)
                messages: list[dict[str, Any]] = []
                with pytest.raises(ConnectionClosedError, match="1012"):
                    _listen_on(stream, messages)
                last = messages[-1]
            for thread in asking:
                thread.join()
            assert program.wait(30) == 0
            assert time.monotonic() - begun_s < 20
        finally:
            program.kill()
    assert last["verdict"]["decision"]
    assert "the service stopped after 4.0 s of it" in last["verdict"]["warnings"][-1]
    for answer in answers:
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "stopped")
    assert len(answers) == 2


def _listen_on(stream: ClientConnection, messages: list[dict[str, Any]]) -> None:
    while True:
        messages.append(json.loads(stream.recv()))


FORM = {"content-type": "multipart/form-data; boundary=x"}


def _dripping() -> Iterator[bytes]:
    """A form that does not come to its end."""
    yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    for _ in range(200):
        time.sleep(0.1)
        yield b"RIFF"


def _walk_away(client: httpx.Client) -> None:
    """A client that does not wait for its answer: its scoring is given up."""
    with pytest.raises(httpx.ReadTimeout):
        client.post("/v1/score", files=sent(speech(300.0)), timeout=httpx.Timeout(60, read=0.3))
    while "unheard_uploads_in_house 0.0" not in (text := client.get("/metrics").text):
        time.sleep(0.05)
    assert 'route="/v1/score",status="200"' not in text


def _talk(client: httpx.Client) -> None:
    """A stream over a real socket."""
    address = f"ws://{client.base_url.netloc.decode()}/v1/stream"
    with connect(address) as stream:
        stream.send('{"format": "s16le", "rate_hz": 16000, "channels": 1}')
        stream.send((voice(4.0) * 32_767).astype("<i2").tobytes())
        stream.send('{"end": true}')
        answers = [json.loads(message) for message in stream]
        assert "window" in answers[0]
        assert "verdict" in answers[-1]
