"""The command line and a detector for it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cli_run import Run, runner
from unheard.detectors import weights
from unheard.detectors.card import Card
from unheard.detectors.table import Toy
from unheard.metrics import Calibration, OperatingPoints


@pytest.fixture
def unheard(capfd: pytest.CaptureFixture[str]) -> Callable[..., Run]:
    return runner(capfd)


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
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
