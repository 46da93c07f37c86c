"""Does `unheard serve` start only where it is safe, and end without losing anything?"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from cli_run import Run
from fake_service import sent, speech
from unheard.errors import ServiceError
from unheard.service.jobs import Store
from unheard.service.limits import Limits
from voice import voice

TESTS = Path(__file__).parents[1]


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
        env={**os.environ, "PYTHONPATH": str(TESTS)},
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
