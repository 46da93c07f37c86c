"""Shallow probes: how well a classifier does that sees nothing of how speech was made.

They are trained on the train part and judged on the others: one on length, level and silence at
once, one on the long-term spectrum, and one on each cue alone (`single_cues`). On an honest corpus
all are at chance, 50 %. T samples at 16 kHz, N clips, K numbers.
"""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass, fields
from typing import Protocol

import numpy as np

from unheard import audio
from unheard.corpora.open.speech import speech_bounds
from unheard.metrics import TiesWarning, bootstrap, eer
from unheard.types import BoolArray, FloatArray

__all__ = ["N_BANDS", "PROBES", "Cues", "ProbeResult", "cues", "run_on", "run_probe"]

N_BANDS = 48
_FLOOR_DB = -120.0


class _Classifier(Protocol):
    def fit(self, features: FloatArray, labels: BoolArray) -> object: ...
    def predict_proba(self, features: FloatArray) -> FloatArray: ...


@dataclass(frozen=True)
class Cues:
    """Numbers of one clip that should tell nothing of its label.

    Attributes:
        rate_hz: Sample rate of the file.
        bandwidth_hz: Highest frequency whose long-term power is within 60 dB of the peak.
        level_db: Root mean square, dB of full scale.
        peak_db: Largest sample, dB of full scale.
        lead_s: Seconds before speech.
        trail_s: Seconds after speech.
        edge_db: Level of those edges, dB of full scale.
        duration_s: Length.
        dc: Mean of the samples.
        zeros: Share of samples that are exactly zero.
        clipped: Share of samples at full scale.
    """

    rate_hz: float
    bandwidth_hz: float
    level_db: float
    peak_db: float
    lead_s: float
    trail_s: float
    edge_db: float
    duration_s: float
    dc: float
    zeros: float
    clipped: float


@dataclass(frozen=True)
class ProbeResult:
    """How a shallow classifier does on one part.

    Attributes:
        name: Key of `PROBES` or of `single_cues.SINGLE_CUES`.
        part: Where it was judged.
        eer: Equal error rate, 0 to 1; 0.5 is chance.
        low: Lower end of the 95 % bootstrap interval.
        high: Upper end.
    """

    name: str
    part: str
    eer: float
    low: float
    high: float


PROBES: dict[str, str] = {
    "length, level, silence": "gradient boosting on the cues of each clip",
    "long-term spectrum": f"logistic regression on {N_BANDS} bands in dB, mean removed",
}


def cues(source: audio.Source) -> tuple[Cues, FloatArray]:
    """Return the cues of a recording and its long-term spectrum, shape [N_BANDS], in dB.

    Raises:
        AudioError: If it cannot be read.
    """
    wave = audio.read(source, minimum_s=0.0)
    samples = wave.samples.astype(np.float64)
    start, end = speech_bounds(wave.samples)
    power = _long_term(samples)
    edges = np.concatenate([samples[:start], samples[end:]])
    hertz = np.arange(power.size) * audio.SAMPLE_RATE_HZ / 2 / (power.size - 1)
    within = np.flatnonzero(power >= power.max() * 1e-6)
    bands = [band.mean() for band in np.array_split(power[1:], N_BANDS)]
    measured = Cues(
        rate_hz=float(wave.source_rate_hz),
        bandwidth_hz=float(hertz[within[-1]]) if within.size else 0.0,
        level_db=_db(np.sqrt(np.mean(samples**2))),
        peak_db=_db(np.abs(samples).max()),
        lead_s=start / audio.SAMPLE_RATE_HZ,
        trail_s=(samples.size - end) / audio.SAMPLE_RATE_HZ,
        edge_db=_db(np.sqrt(np.mean(edges**2))) if edges.size else _FLOOR_DB,
        duration_s=wave.duration_s,
        dc=float(samples.mean()),
        zeros=float(np.mean(samples == 0.0)),
        clipped=float(np.mean(np.abs(samples) >= 32767 / 32768)),
    )
    return measured, 10 * np.log10(np.array(bands) + 1e-12)


def run_probe(
    name: str,
    measured: list[tuple[Cues, FloatArray]],
    bonafide: BoolArray,
    parts: list[str],
    train: str,
    judged: list[str],
) -> list[ProbeResult]:
    """Train one probe and judge it.

    Args:
        name: Key of `PROBES`.
        measured: What `cues` gave for each clip.
        bonafide: Labels, shape [N].
        parts: Part of each clip.
        train: Part to train on.
        judged: Parts to judge on.
    """
    return run_on(name, _features(name, measured), bonafide, parts, train, judged)


def run_on(
    name: str,
    features: FloatArray,
    bonafide: BoolArray,
    parts: list[str],
    train: str,
    judged: list[str],
) -> list[ProbeResult]:
    """Train a probe on numbers that were read off each clip, and judge it.

    Args:
        name: A key of `PROBES` says which model; any other name is boosted trees.
        features: Shape [N, K].
        bonafide: Labels, shape [N].
        parts: Part of each clip.
        train: Part to train on.
        judged: Parts to judge on.
    """
    model, where = _model(name), np.array(parts)
    model.fit(features[where == train], bonafide[where == train])
    results = []
    for part in judged:
        scores = model.predict_proba(features[where == part])[:, 1]
        truth = bonafide[where == part]
        human, machine = scores[truth], scores[~truth]
        interval = bootstrap(eer, human, machine, n_draws=300)
        # A probe that finds nothing gives many clips one score: then chance is what is meant.
        with warnings.catch_warnings(action="ignore", category=TiesWarning):
            rate = eer(human, machine)
        results.append(ProbeResult(name, part, rate, interval.low, interval.high))
    return results


def _features(name: str, measured: list[tuple[Cues, FloatArray]]) -> FloatArray:
    if name == "long-term spectrum":
        bands = np.array([spectrum for _, spectrum in measured])
        centred: FloatArray = bands - bands.mean(axis=1, keepdims=True)
        return centred
    names = [field.name for field in fields(Cues)]
    return np.array([[asdict(cues)[key] for key in names] for cues, _ in measured])


def _model(name: str) -> _Classifier:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if name == "long-term spectrum":
        linear = LogisticRegression(class_weight="balanced", max_iter=2000)
        model: _Classifier = make_pipeline(StandardScaler(), linear)
    else:
        model = HistGradientBoostingClassifier(
            class_weight="balanced", random_state=0, early_stopping=False, max_iter=80
        )
    return model


def _long_term(samples: FloatArray) -> FloatArray:
    """Mean power spectrum of frames of 32 ms, shape [257]."""
    frame, hop = 512, 256
    padded = np.pad(samples, (0, max(0, frame - samples.size)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, frame)[::hop]
    spectrum = np.fft.rfft(frames * np.hanning(frame), axis=1)
    mean: FloatArray = np.mean(np.abs(spectrum) ** 2, axis=0)
    return mean


def _db(value: float) -> float:
    return float(max(20 * np.log10(value + 1e-12), _FLOOR_DB))
