"""What every test stands on: no network, one thread, no hidden state."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from unheard import workers

if TYPE_CHECKING:
    from cli_run import Run

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
os.environ["HF_HUB_OFFLINE"] = "1"

_connect = socket.socket.connect


def _connect_locally(self: socket.socket, address: Any) -> None:
    if self.family in (socket.AF_INET, socket.AF_INET6) and not str(address[0]).startswith(
        ("127.", "::1", "localhost")
    ):
        raise AssertionError(f"a test tried to reach {address}; tests run without a network")
    return _connect(self, address)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "connect", _connect_locally)


@pytest.fixture(autouse=True)
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands score in this process unless a test asks for jobs."""
    monkeypatch.setattr(workers, "n_cores", lambda: 1)


@pytest.fixture
def unheard(capfd: pytest.CaptureFixture[str]) -> Callable[..., Run]:
    """The command line in this process."""
    from cli_run import runner

    return runner(capfd)


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the toy detector."""
    from unheard.detectors import weights
    from unheard.detectors.card import Card
    from unheard.detectors.toy import Toy
    from unheard.metrics import Calibration, OperatingPoints

    card = Card(
        name="toy",
        version="1",
        window_s=1.0,
        hop_s=0.5,
        calibration=Calibration(scale=1.0, offset=3.0),
        operating_points=OperatingPoints(0.0, -1.0, 1.0, surely_spoof=-1.0, surely_bonafide=1.0),
    )
    folder = tmp_path_factory.mktemp("detector") / "toy"
    return weights.save(folder, Toy().build(), Toy(), card, seen=[])
