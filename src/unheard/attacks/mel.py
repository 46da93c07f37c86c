"""Log mel spectrograms as vocoders and diffusion models were trained on them, and the way back.

T samples, F frames, K bins, M mel bands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from unheard.attacks import sound
from unheard.attacks.griffin_lim import GriffinLim, mel_filters
from unheard.types import FloatArray

__all__ = ["Mel"]

ComplexArray = NDArray[np.complexfloating]

_ROUNDS = 20

_LEVEL = 0.08
"""Root mean square that recordings are brought to: near that of what vocoders were trained on."""


@dataclass(frozen=True)
class Mel:
    """The settings of a log mel spectrogram of magnitudes, with Hann windows around each frame.

    Attributes:
        rate_hz: Sampling rate of the waveform.
        n_mels: Bands M, spaced and weighted as `griffin_lim.mel_filters` says.
        n_window: Samples of a window, and of its Fourier transform unless `n_fft` says otherwise.
        n_hop: Samples from frame to frame.
        low_hz: Lower edge of the first band.
        high_hz: Upper edge of the last band.
        logarithm: Its base, 10 or e.
        floor: Smallest magnitude that the logarithm is taken of.
        n_fft: Samples of the Fourier transform, around the window; 0 for those of the window.
        centred: Whether frame f lies around sample f * n_hop, or around the middle of hop f, as
            in HiFi-GAN.
    """

    rate_hz: int = 16_000
    n_mels: int = 80
    n_window: int = 1024
    n_hop: int = 256
    low_hz: float = 0.0
    high_hz: float = 8_000.0
    logarithm: Literal["10", "e"] = "10"
    floor: float = 1e-5
    n_fft: int = 0
    centred: bool = True

    @property
    def n_bins(self) -> int:
        """Bins K of the Fourier transform."""
        return (self.n_fft or self.n_window) // 2 + 1

    def of(self, samples: FloatArray) -> FloatArray:
        """Return the log mel spectrogram, [T] at `rate_hz` -> [F, M].

        F is T // n_hop + 1, or T // n_hop if frames are not centred.
        """
        bands = np.maximum(np.abs(self._spectra(samples)) @ self._filters().T, self.floor)
        logs: FloatArray = np.log10(bands) if self.logarithm == "10" else np.log(bands)
        return logs

    def of_recording(self, source: FloatArray) -> FloatArray:
        """Return the spectrogram of a recording at a vocoder's level, [T] at 16 kHz -> [F, M]."""
        level = _LEVEL / np.sqrt(np.mean(source**2))
        return self.of(sound.at_rate(source * level, self.rate_hz))

    def spoken(self, logs: FloatArray, phases: FloatArray) -> FloatArray:
        """Return a waveform that Griffin-Lim finds for a log mel spectrogram, [F, M] -> [T].

        Args:
            logs: As `of` gives them; T is (F - 1) * n_hop.
            phases: Angles to start from, radians, shape [K, F].
        """
        bands = 10.0**logs if self.logarithm == "10" else np.exp(logs)
        spoken = GriffinLim("griffin-lim", n_window=self.n_window, n_hop=self.n_hop)
        return spoken.waveform(self._magnitude(bands.T), (len(logs) - 1) * self.n_hop, phases)

    def _magnitude(self, bands: FloatArray) -> FloatArray:
        """Magnitudes of bins whose bands are near those given: [M, F] -> [K, F].

        By multiplicative updates, which stay above zero. No bin is under the quietest band of its
        frame: above the edge of a low-pass holes in the noise would give a copy away.
        """
        filters = self._filters()
        even = bands / filters.sum(axis=1, keepdims=True)
        spread = filters.T @ even
        bins = spread / np.maximum(filters.sum(axis=0), 1e-12)[:, None]
        wanted, both = filters.T @ bands, filters.T @ filters
        for _ in range(_ROUNDS):
            bins *= wanted / np.maximum(both @ bins, 1e-12)
        magnitude: FloatArray = np.maximum(bins, even.min(axis=0)).astype(np.float32)
        return magnitude

    def phases(self, samples: FloatArray) -> FloatArray:
        """Return the angles of the frames, radians, [T] at `rate_hz` -> [K, F]."""
        angles: FloatArray = np.angle(self._spectra(samples)).T
        return angles

    def _spectra(self, samples: FloatArray) -> ComplexArray:
        n_fft = self.n_fft or self.n_window
        around = n_fft // 2 if self.centred else (n_fft - self.n_hop) // 2
        padded = np.pad(samples, around, mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[:: self.n_hop]
        window = np.pad(np.hanning(self.n_window + 1)[:-1], (n_fft - self.n_window) // 2)
        spectra: ComplexArray = np.fft.rfft(frames * window, axis=1)
        return spectra

    def _filters(self) -> FloatArray:
        return mel_filters(
            self.n_mels,
            self.n_fft or self.n_window,
            self.rate_hz,
            low_hz=self.low_hz,
            high_hz=self.high_hz,
        )
