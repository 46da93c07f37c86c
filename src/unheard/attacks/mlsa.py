"""MLSA: a filter made of mel-cepstra, over pulses and noise, as in statistical synthesis.

T samples, F frames, C cepstral coefficients.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from importlib import util
from typing import Any, ClassVar

import numpy as np

from unheard.attacks import sound
from unheard.attacks.attack import Copy, Speech
from unheard.attacks.engines import install_hint
from unheard.audio import SAMPLE_RATE_HZ
from unheard.errors import AttackError
from unheard.types import FloatArray

__all__ = ["Mlsa", "rows"]

_FULL_SCALE = 32768.0
_FLOOR = 10 ** (-50 / 20)


@dataclass(frozen=True)
class Mlsa(Copy):
    """A recording whose mel-cepstra filter a pulse train where it is voiced, noise elsewhere.

    Attributes:
        name: As in `ATTACKS`.
        order: Highest coefficient of the mel-cepstrum.
        warp: Frequency warping; 0.42 is near the mel scale at 16 kHz.
        n_window: Samples of a Blackman window.
        n_hop: Samples between windows.
        n_pade: Order of the Pade approximation in the filter.

    Source:
        Imai, Sumita, Furuichi, "Mel log spectrum approximation filter for speech synthesis", 1983,
        by pysptk; F0 by SWIPE'. The filter can blow up between frames that differ much: samples
        far beyond the recording are refused.
    """

    name: str = "mlsa"
    order: int = 24
    warp: float = 0.42
    n_window: int = 512
    n_hop: int = 80
    n_pade: int = 5
    family: ClassVar[str] = "signal vocoder"
    free: ClassVar[bool] = True
    licence: ClassVar[str] = "MIT (pysptk), BSD-like (SPTK)"
    packages: ClassVar[tuple[str, ...]] = ("pypi:pysptk==1.0.1", "pypi:setuptools<81")

    def missing(self) -> str:
        """Return how to install pysptk, or "".

        pysptk needs `pkg_resources`, which setuptools dropped in version 81.
        """
        ready = all(util.find_spec(name) for name in ("pysptk", "pkg_resources"))
        hint = install_hint("pysptk, or the setuptools it needs,", self.packages)
        return "" if ready else hint.replace("setuptools<81", "'setuptools<81'")

    def generate(self, speech: Speech, rng: np.random.Generator) -> FloatArray:
        """Return the recording from its mel-cepstra, shape [T] float32 at 16 kHz.

        Raises:
            AttackError: If pysptk is not installed, or its filter blows up.
        """
        source = sound.recording(self, speech)
        sptk = _pysptk()
        # SPTK thinks in 16-bit numbers.
        wave = source * _FULL_SCALE
        # A filter with deep valleys, as of an empty upper band, is unstable: fill them up.
        floor = _FLOOR * np.sqrt(np.mean(wave**2)) * rng.standard_normal(wave.size)
        cepstra = sptk.mcep(self._frames(wave + floor), self.order, self.warp, etype=1, eps=1.0)
        pitch = sptk.swipe(wave, SAMPLE_RATE_HZ, self.n_hop, min=60, max=400, otype="pitch")
        n_frames = min(len(cepstra), len(pitch))
        excitation = self._excitation(pitch[:n_frames], rng)
        waveform = sptk.synthesis.Synthesizer(
            sptk.synthesis.MLSADF(self.order, self.warp, self.n_pade), self.n_hop
        ).synthesis(excitation, sptk.mc2b(cepstra[:n_frames], self.warp))
        if not np.abs(waveform).max() < 10 * np.abs(wave).max():
            raise AttackError(f"{self.name}: the filter blew up; leave this clip out")
        return sound.copied(self.name, waveform, source, delay=self.n_hop)

    def _frames(self, wave: FloatArray) -> FloatArray:
        """Windows around every hop, shape [F, n_window], of a power the synthesis filter undoes."""
        half = self.n_window // 2
        padded = np.pad(wave, (half, self.n_window))
        frames = np.lib.stride_tricks.sliding_window_view(padded, self.n_window)[:: self.n_hop]
        window = np.blackman(self.n_window)
        scaled: FloatArray = frames * (window / np.sqrt(np.sum(window**2)))
        return np.ascontiguousarray(scaled)

    def _excitation(self, periods: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Pulses a period apart, of unit power, and noise where the period is 0."""
        n_samples = periods.size * self.n_hop
        samples = rng.standard_normal(n_samples)
        due = 0.0
        for frame, period in enumerate(periods):
            first, last = frame * self.n_hop, (frame + 1) * self.n_hop
            if period <= 0:
                due = float(last)
                continue
            samples[first:last] = 0.0
            due = max(due, float(first))
            while due < last:
                samples[int(due)] = np.sqrt(period)
                due += period
        return samples


def rows() -> list[Mlsa]:
    """Return the one variant."""
    return [Mlsa()]


def _pysptk() -> Any:
    with warnings.catch_warnings():
        # pysptk finds its example file through pkg_resources, which warns of its end.
        warnings.simplefilter("ignore")
        import pysptk
        import pysptk.synthesis
    return pysptk
