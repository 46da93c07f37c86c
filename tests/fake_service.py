"""A service around a fake detector, in this process; no torch, no socket."""

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from starlette.testclient import TestClient

from unheard.detectors.bundle_files import Bundle
from unheard.detectors.card import Card
from unheard.scoring.scorer import Scorer
from unheard.service.app import create_app
from unheard.service.keys import Keys
from unheard.service.limits import Limits
from unheard.types import FloatArray
from voice import CALIBRATION, OPERATING_POINTS, RATE_HZ, level, voice


@dataclass
class Level:
    """A fake model: how loud windows are."""

    experts: tuple[str, ...] = ()
    detector: None = None

    def scores(self, windows: FloatArray) -> FloatArray:
        return self.expert_scores(windows)[0]

    def expert_scores(self, windows: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        none = np.empty((len(windows), 0))
        return level(windows), none, none


class Paused(Level):
    """A model that does not answer until `go` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.entered = threading.Event()

    def expert_scores(self, windows: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        self.entered.set()
        assert self.go.wait(20)
        return super().expert_scores(windows)


def scorer(model: Any = None) -> Scorer:
    """A scorer around it."""
    card = Card(
        name="level",
        version="1",
        window_s=1.0,
        hop_s=0.5,
        calibration=CALIBRATION,
        operating_points=OPERATING_POINTS,
        limits=["It measures nothing but loudness"],
    )
    seen = np.zeros(0, np.int64)
    return Scorer(Bundle(card, Path("nowhere"), "0" * 64, model or Level(), seen))


@contextmanager
def served(
    folder: Path, *, model: Any = None, keys: Keys | None = None, **limits: Any
) -> Iterator[TestClient]:
    """A client of a service that has started, and ends with it."""
    app = create_app(
        scorer(model),
        Limits(**limits),
        jobs=folder / "jobs",
        keys=keys,
        hosts=None if keys else frozenset({"testserver"}),
    )
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def speech(duration_s: float = 2.0, seed: int = 0) -> bytes:
    """A wav of syllables; the same four seconds again and again."""
    samples = np.resize(voice(min(duration_s, 4.0), seed), round(duration_s * RATE_HZ))
    file = io.BytesIO()
    soundfile.write(file, samples, RATE_HZ, format="WAV", subtype="PCM_16")
    return file.getvalue()


def sent(data: bytes, name: str = "clip.wav") -> dict[str, tuple[str, bytes]]:
    """A form with a file."""
    return {"file": (name, data)}
