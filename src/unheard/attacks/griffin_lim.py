"""Griffin-Lim: a waveform found again from magnitudes alone, linear or through a mel filter bank.

T samples, K bins, F frames, M mel bands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from unheard.attacks import sound
from unheard.attacks.attack import Copy, Speech
from unheard.audio import SAMPLE_RATE_HZ
from unheard.types import FloatArray

__all__ = ["GriffinLim", "mel_filters", "rows"]

ComplexArray = NDArray[np.complexfloating]


@dataclass(frozen=True)
class GriffinLim(Copy):
    """A recording without its phases, and with phases that fit its magnitudes.

    Attributes:
        name: As in `ATTACKS`.
        n_mels: Mel bands that the magnitudes are squeezed through; 0 keeps all bins.
        n_window: Samples of a Hann window and of its Fourier transform.
        n_hop: Samples between windows.
        n_rounds: Rounds of the algorithm.
        momentum: Step beyond the classic update; 0 is Griffin and Lim's own.

    Source:
        Griffin, Lim, "Signal estimation from modified short-time Fourier transform", 1984;
        momentum after Perraudin, Balazs, Sondergaard, "A fast Griffin-Lim algorithm", 2013.
        The starting phases are drawn. Mel magnitudes go back to bins by the pseudo-inverse,
        floored at a small share of the largest.
    """

    name: str
    n_mels: int = 0
    n_window: int = 1024
    n_hop: int = 256
    n_rounds: int = 32
    momentum: float = 0.99
    family: ClassVar[str] = "signal vocoder"
    free: ClassVar[bool] = True
    licence: ClassVar[str] = "Apache-2.0"
    packages: ClassVar[tuple[str, ...]] = ()

    def missing(self) -> str:
        """Return "": nothing beyond this package's own dependencies is needed."""
        return ""

    def generate(self, speech: Speech, rng: np.random.Generator) -> FloatArray:
        """Return the recording with phases made up, shape [T] float32 at 16 kHz.

        Raises:
            AttackError: If the recording is silent, non-finite or too short.
        """
        source = sound.recording(self, speech)
        padded = np.pad(source, (0, self.n_window)).astype(np.float32)
        magnitude = np.abs(self._forward(padded))
        if self.n_mels:
            magnitude = self._through_mel(magnitude)
        angles = 2 * np.pi * rng.random(magnitude.shape, np.float32)
        return sound.copied(self.name, self.waveform(magnitude, padded.size, angles), source)

    def waveform(self, magnitude: FloatArray, n_samples: int, angles: FloatArray) -> FloatArray:
        """Return a waveform, shape [T], whose magnitudes are near those given.

        Args:
            magnitude: Shape [K, F]; the scale of the waveform is that of a transform that divides
                by the sum of the window.
            n_samples: T; F is that of the transform, T / n_hop + 1 if n_hop divides T.
            angles: Phases to start from, radians, shape [K, F].
        """
        estimate = np.exp(1j * angles).astype(np.complex64)
        previous: ComplexArray = np.zeros_like(estimate)
        for _ in range(self.n_rounds):
            consistent = self._forward(self._backward(magnitude * estimate, n_samples))
            ahead = consistent + self.momentum * (consistent - previous)
            estimate = ahead / np.maximum(np.abs(ahead), 1e-12)
            previous = consistent
        return self._backward(magnitude * estimate, n_samples)

    def _through_mel(self, magnitude: FloatArray) -> FloatArray:
        filters = mel_filters(
            self.n_mels, self.n_window, SAMPLE_RATE_HZ, low_hz=0.0, high_hz=SAMPLE_RATE_HZ / 2
        )
        bins = np.linalg.pinv(filters) @ (filters @ magnitude)
        floored: FloatArray = np.maximum(bins, 1e-5 * bins.max()).astype(np.float32)
        return floored

    def _forward(self, samples: FloatArray) -> ComplexArray:
        from scipy import signal

        out: ComplexArray = signal.stft(samples, **self._transform())[2]
        return out

    def _backward(self, spectrum: ComplexArray, n_samples: int) -> FloatArray:
        from scipy import signal

        samples: FloatArray = signal.istft(spectrum, **self._transform())[1]
        return np.pad(samples, (0, max(0, n_samples - samples.size)))[:n_samples]

    def _transform(self) -> dict[str, int | str]:
        return {
            "window": "hann",
            "nperseg": self.n_window,
            "noverlap": self.n_window - self.n_hop,
        }


def mel_filters(
    n_mels: int, n_window: int, rate_hz: int, *, low_hz: float, high_hz: float
) -> FloatArray:
    """Return triangular filters of equal area, spaced on the Slaney mel scale, shape [M, K].

    Args:
        n_mels: Number of bands M.
        n_window: Length of the Fourier transform; K = n_window // 2 + 1.
        rate_hz: Sampling rate.
        low_hz: Lower edge of the first band.
        high_hz: Upper edge of the last band.

    Source:
        Slaney, Auditory Toolbox, 1998: linear under 1 kHz, logarithmic above; each triangle is
        divided by half its width in hertz.
    """
    edges = _hertz(np.linspace(_mel(low_hz), _mel(high_hz), n_mels + 2))
    bins = np.linspace(0.0, rate_hz / 2, n_window // 2 + 1)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    filters: FloatArray = triangles * (2.0 / (edges[2:] - edges[:-2]))[:, None]
    return filters


_LINEAR_HZ, _KNEE_HZ, _LOG_STEP = 200.0 / 3.0, 1000.0, np.log(6.4) / 27.0


def _mel(hertz: float) -> float:
    knee = _KNEE_HZ / _LINEAR_HZ
    if hertz < _KNEE_HZ:
        return hertz / _LINEAR_HZ
    return float(knee + np.log(hertz / _KNEE_HZ) / _LOG_STEP)


def _hertz(mels: FloatArray) -> FloatArray:
    knee = _KNEE_HZ / _LINEAR_HZ
    above: FloatArray = _KNEE_HZ * np.exp(_LOG_STEP * (np.maximum(mels, knee) - knee))
    return np.where(mels < knee, mels * _LINEAR_HZ, above)


def rows() -> list[GriffinLim]:
    """Return the linear and the mel variant."""
    return [GriffinLim("griffin-lim-linear"), GriffinLim("griffin-lim-mel", n_mels=80)]
