"""Sounds and detectors for the tests of scoring: what the speech detector takes for speech."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from audio_files import wav
from unheard.detectors.segment_point import SegmentPoint
from unheard.metrics import Calibration, OperatingPoints
from unheard.scoring.many import Settings
from unheard.scoring.scorer import Scorer
from unheard.scoring.verdict import Verdict
from unheard.types import FloatArray

if TYPE_CHECKING:
    from unheard.detectors.bundle_files import Bundle

RATE_HZ = 16_000
CALIBRATION = Calibration(scale=2.0, offset=0.5)
OPERATING_POINTS = OperatingPoints(
    balanced=0.25, false_alarm_1pct=-2.0, miss_1pct=3.0, surely_spoof=-1.0, surely_bonafide=2.0
)


def voice(duration_s: float, seed: int = 0, peak: float = 0.5) -> FloatArray:
    """Syllables of harmonics and hiss with pauses, four a second; shape [T] float32."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    pitch = 2 * np.pi * np.cumsum(120 + 25 * np.sin(2 * np.pi * 0.7 * time_s + seed)) / RATE_HZ
    wave = sum(np.sin(k * pitch) / k for k in range(1, 30))
    hiss = 0.4 * rng.standard_normal(time_s.size)
    beat = np.sin(2 * np.pi * 2 * time_s)
    wave = wave * np.clip(beat, 0, None) + hiss * np.clip(-beat - 0.6, 0, None)
    return (peak * wave / np.abs(wave).max()).astype(np.float32)


def silence(duration_s: float) -> FloatArray:
    """Digital silence, shape [T] float32."""
    return np.zeros(round(duration_s * RATE_HZ), np.float32)


def level(windows: FloatArray) -> FloatArray:
    """A fake detector: how loud each window is, [N, T] -> [N], about -2 to 2 for voices."""
    return 4 + np.log(np.mean(np.square(windows, dtype=np.float64), axis=1) + 1e-9)


@dataclass(frozen=True)
class FakeCard:
    """What a scorer reads of a card, with an undecided zone from -1 to 2. Needs no torch."""

    name: str = "level"
    version: str = "1"
    window_s: float = 1.0
    hop_s: float = 0.5
    pooling: str = "mean"
    calibration: Calibration = CALIBRATION
    operating_points: OperatingPoints = OPERATING_POINTS
    segments: SegmentPoint | None = None


@dataclass(frozen=True, eq=False)
class FakeBundle:
    """What a scorer needs of a bundle, around any function of windows; remembers batch sizes."""

    scores_of: Callable[[FloatArray], FloatArray] = level
    card: FakeCard = field(default_factory=FakeCard)
    folder: Path = Path("nowhere")
    sha256: str = "0" * 64
    batches: list[int] = field(default_factory=list)
    experts: tuple[str, ...] = ()

    def scores(self, windows: FloatArray) -> FloatArray:
        return self.expert_scores(windows)[0]

    def expert_scores(self, windows: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        self.batches.append(len(windows))
        none = np.empty((len(windows), 0))
        return self.scores_of(windows), none, none


@dataclass(frozen=True, eq=False)
class FakeMixture(FakeBundle):
    """The same around two fake detectors: louder windows trust the second one more."""

    experts: tuple[str, ...] = ("flat", "loud")

    def expert_scores(self, windows: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        self.batches.append(len(windows))
        loud = level(windows)
        scores = np.stack([np.tanh(loud) - 0.5, loud], axis=1)
        second = 1 / (1 + np.exp(-2 * loud))
        weights = np.stack([1 - second, second], axis=1)
        return (weights * scores).sum(axis=1), scores, weights


@dataclass(frozen=True)
class FakeSettings(Settings):
    """Settings whose scorer is ready at once, in any process."""

    def scorer(self) -> Scorer:
        return scorer(hop_s=self.hop_s)


def scorer(bundle: FakeBundle | None = None, **settings: object) -> Scorer:
    """A scorer around a fake detector."""
    return Scorer(cast("Bundle", bundle or FakeBundle()), **settings)  # type: ignore[arg-type]


def crash(verdict: Verdict, file: Path, picture: Path) -> None:
    """End the process that draws a picture of this name."""
    if "crash" in picture.name:
        os._exit(77)


def verdict_of(samples: FloatArray, folder: Path) -> tuple[Verdict, Path]:
    (folder / "a.wav").write_bytes(wav(samples[None]))
    return scorer().file(folder / "a.wav"), folder / "a.wav"


SOUNDS = {
    "with a gap": np.concatenate([voice(3), silence(3), voice(2)]),
    "silent": silence(1),
    "short": voice(0.25),
    "one sample": np.zeros(1, np.float32),
    "empty": np.zeros(0, np.float32),
}
