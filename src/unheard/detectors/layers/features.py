"""From waveform to time-frequency features: one shared transform, and heads that read its power.

B clips, T samples, F frames, K frequency bins, M features.

The Fourier transform is the costly part, and several detectors of a mixture can need the same one:
`Spectrogram` computes it once, and each head (`Mel`, `LinearBand`, `Lfcc`, `Log`) is a cheap
function of its output. Two heads may share a spectrogram whenever their `Framing` is equal.

Everything runs in float32, under autocast too: log power in half precision loses quiet speech.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from unheard.audio import SAMPLE_RATE_HZ
from unheard.detectors.layers.exporting import power_spectrogram
from unheard.detectors.layers.pooling import deviation
from unheard.errors import RecipeError, check_choices
from unheard.types import FloatArray

__all__ = [
    "Framing",
    "Lfcc",
    "LinearBand",
    "Log",
    "Mel",
    "SpectralStatistics",
    "Spectrogram",
    "full_precision",
]

LONGEST_FFT = 65_536
WINDOWS = {"hann": 0.5, "hamming": 0.54}
"""Weight a of a raised cosine, a - (1 - a) cos(2 pi n / N)."""


@dataclass(frozen=True, kw_only=True)
class Framing:
    """How a waveform is cut into frames and transformed; equal framings can share one transform.

    Attributes:
        n_window: Samples that the window covers.
        n_hop: Samples from one frame to the next.
        n_fft: Length of the transform, at least n_window.
        window: Shape of the window, periodic.
        pre_emphasis: a in y[t] = x[t] - a * x[t - 1]; the first sample is kept as it is.
    """

    n_window: int = 400
    n_hop: int = 160
    n_fft: int = 512
    window: Literal["hann", "hamming"] = "hann"
    pre_emphasis: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.n_hop <= self.n_window <= self.n_fft <= LONGEST_FFT:
            raise RecipeError(
                f"n_hop={self.n_hop}, n_window={self.n_window}, n_fft={self.n_fft}; "
                f"choose 0 < n_hop <= n_window <= n_fft <= {LONGEST_FFT}"
            )
        check_choices(self, "no {name} {value!r}")

    @property
    def n_bins(self) -> int:
        """Number of frequency bins, 0 Hz and the Nyquist frequency included."""
        return self.n_fft // 2 + 1


class Spectrogram(nn.Module):
    """Power of a short-time Fourier transform.

    Frames are centred: the clip is padded by n_fft // 2 zeros on both sides, which gives
    T // n_hop + 1 frames. No parameters, nothing saved.

    Shape:
        waveform [B, T] at 16 kHz -> power [B, F, K] float32, unscaled (a sum over the window).
    """

    window: Tensor

    def __init__(self, framing: Framing) -> None:
        super().__init__()
        self.framing = framing
        constant = WINDOWS[framing.window]
        turn = 2 * np.pi * np.arange(framing.n_window) / framing.n_window
        window = constant - (1 - constant) * np.cos(turn)
        self.register_buffer("window", _float32(window), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Return power, [B, T] -> [B, F, K]."""
        framing = self.framing
        with full_precision(waveform):
            waveform = waveform.float()
            if framing.pre_emphasis:
                emphasised = waveform[:, 1:] - framing.pre_emphasis * waveform[:, :-1]
                waveform = torch.cat([waveform[:, :1], emphasised], dim=1)
            if torch.compiler.is_exporting():
                return power_spectrogram(
                    waveform,
                    self.window,
                    n_fft=framing.n_fft,
                    n_hop=framing.n_hop,
                    pad_mode="constant",
                )
            transform = torch.stft(
                waveform,
                n_fft=framing.n_fft,
                hop_length=framing.n_hop,
                win_length=framing.n_window,
                window=self.window,
                center=True,
                pad_mode="constant",
                return_complex=True,
            )
            parts = torch.view_as_real(transform)
            return parts.square().sum(dim=-1).transpose(1, 2)


class Mel(nn.Module):
    """Triangular filters, equally spaced on the mel scale, over a power spectrogram.

    Shape:
        power [B, F, K] -> [B, F, n_mels].

    Source:
        scale "slaney" (default): linear below 1 kHz, logarithmic above, each filter divided by its
        width so that white noise gives equal power in all; Slaney, Auditory Toolbox, 1998.
        scale "htk": 2595 log10(1 + f / 700), filters of height one; Young et al., HTK book, 5.6.
    """

    filters: Tensor

    def __init__(
        self,
        framing: Framing,
        *,
        n_mels: int = 80,
        low_hz: float = 20.0,
        high_hz: float = 7600.0,
        scale: Literal["slaney", "htk"] = "slaney",
    ) -> None:
        super().__init__()
        _check_band(low_hz, high_hz)
        _check_filters(n_mels, framing.n_bins)
        to_mel, to_hz = _MEL[scale]
        edges_hz = to_hz(np.linspace(to_mel(low_hz), to_mel(high_hz), n_mels + 2))
        bins_hz = np.linspace(0.0, SAMPLE_RATE_HZ / 2, framing.n_bins)
        filters = _triangles(bins_hz, edges_hz)
        if scale == "slaney":
            filters *= 2.0 / (edges_hz[2:] - edges_hz[:-2])
        empty = int(np.sum(filters.max(axis=0) == 0))
        if empty:
            raise RecipeError(
                f"{empty} of {n_mels} mel filters hold no frequency bin of an FFT of "
                f"{framing.n_fft}; use fewer filters or a longer FFT"
            )
        self.n_features = n_mels
        self.register_buffer("filters", _float32(filters), persistent=False)

    def forward(self, power: Tensor) -> Tensor:
        """Return mel power, [B, F, K] -> [B, F, n_mels]."""
        with full_precision(power):
            return power.float() @ self.filters


class LinearBand(nn.Module):
    """The bins of a power spectrogram between two frequencies, both included.

    Shape:
        power [B, F, K] -> [B, F, n_features].
    """

    def __init__(self, framing: Framing, *, low_hz: float = 0.0, high_hz: float = 8000.0) -> None:
        super().__init__()
        _check_band(low_hz, high_hz)
        bin_hz = SAMPLE_RATE_HZ / framing.n_fft
        self.first = int(np.ceil(low_hz / bin_hz))
        self.last = int(np.floor(high_hz / bin_hz))
        self.n_features = self.last - self.first + 1
        if self.n_features < 1:
            raise RecipeError(
                f"no frequency bin of an FFT of {framing.n_fft} lies in {low_hz:g} to "
                f"{high_hz:g} Hz; choose a wider band or a longer FFT"
            )

    def forward(self, power: Tensor) -> Tensor:
        """Return the band's power, [B, F, K] -> [B, F, n_features]."""
        return power[:, :, self.first : self.last + 1].float()


class Log(nn.Module):
    """Natural logarithm of non-negative features, and, if asked, minus each one's mean over time.

    The mean takes away what is constant in a clip: level, and the colour of the channel.

    Shape:
        [B, F, M] -> [B, F, M].
    """

    def __init__(self, *, floor: float = 1e-6, subtract_mean: bool = True) -> None:
        super().__init__()
        self.floor = floor
        self.subtract_mean = subtract_mean

    def forward(self, features: Tensor) -> Tensor:
        """Return log features, [B, F, M] -> [B, F, M]."""
        with full_precision(features):
            logarithm = torch.log(features.float() + self.floor)
            if self.subtract_mean:
                logarithm = logarithm - logarithm.mean(dim=1, keepdim=True)
            return logarithm


class Lfcc(nn.Module):
    """Linear-frequency cepstral coefficients with log energy, deltas and delta-deltas.

    Shape:
        power [B, F, K] of `Lfcc.framing()` -> [B, F, 3 * n_filters].

    Source:
        LFCC front end of the ASVspoof 2021 LFCC-LCNN baseline; the layer agrees with the plain
        NumPy computation of tests/detectors/layers/make_reference.py element by element. Its
        details, kept:
        the band holds int(band * K) bins, whose frequencies are taken to reach exactly
        band * 8 kHz (up to one bin too high for band < 1); the energy is that of the band; a
        delta is x[t + 1] - x[t - 1] without a factor, the first and last frame repeated.
    """

    filters: Tensor
    cosines: Tensor

    def __init__(self, framing: Framing, *, n_filters: int = 20, band: float = 0.5) -> None:
        super().__init__()
        if not 0 < band <= 1:
            raise RecipeError(f"band={band:g}; choose a share of 8 kHz above 0 and up to 1")
        self.n_features = 3 * n_filters
        self.n_fft = framing.n_fft
        self.n_bins = int(band * framing.n_bins)
        _check_filters(n_filters, self.n_bins)
        high_hz = band * SAMPLE_RATE_HZ / 2
        edges_hz = np.linspace(0.0, high_hz, n_filters + 2)
        filters = _triangles(np.linspace(0.0, high_hz, self.n_bins), edges_hz)
        self.register_buffer("filters", _float32(filters), persistent=False)
        self.register_buffer("cosines", _float32(_cosines(n_filters)), persistent=False)

    @staticmethod
    def framing() -> Framing:
        """Return the framing of the source: 20 ms Hamming windows every 10 ms, FFT 1024."""
        return Framing(n_window=320, n_hop=160, n_fft=1024, window="hamming", pre_emphasis=0.97)

    def forward(self, power: Tensor) -> Tensor:
        """Return coefficients, [B, F, K] -> [B, F, 3 * n_filters]."""
        floor = torch.finfo(torch.float32).eps
        with full_precision(power):
            band = power[:, :, : self.n_bins].float()
            cepstrum = torch.log10(band @ self.filters + floor) @ self.cosines
            energy = torch.log10(band.sum(dim=2, keepdim=True) / self.n_fft + floor)
            static = torch.cat([energy, cepstrum[:, :, 1:]], dim=2)
            delta = _delta(static)
            return torch.cat([static, delta, _delta(delta)], dim=2)


class SpectralStatistics(nn.Module):
    """Statistics over time of a log filter bank and of its cepstrum: one row per clip.

    Triangular filters of equal width over 0 to 8 kHz. For each of them the mean, the standard
    deviation and that of the delta of its logarithm; for each cepstral coefficient but the first,
    which is the level, the standard deviation. Level and colour of the recording stay in the means.

    Shape:
        power [B, F, K] -> [B, 3 * n_filters + n_coefficients].
    """

    filters: Tensor
    cosines: Tensor

    def __init__(self, framing: Framing, *, n_filters: int = 100, n_coefficients: int = 60) -> None:
        super().__init__()
        _check_filters(n_filters, framing.n_bins)
        assert n_coefficients < n_filters, "the cepstrum has as many as there are filters"
        self.n_features = 3 * n_filters + n_coefficients
        edges_hz = np.linspace(0.0, SAMPLE_RATE_HZ / 2, n_filters + 2)
        filters = _triangles(np.linspace(0.0, SAMPLE_RATE_HZ / 2, framing.n_bins), edges_hz)
        cosines = _cosines(n_filters)[:, 1 : n_coefficients + 1]
        self.register_buffer("filters", _float32(filters), persistent=False)
        self.register_buffer("cosines", _float32(cosines), persistent=False)

    def forward(self, power: Tensor) -> Tensor:
        """Return statistics, [B, F, K] -> [B, n_features]."""
        with full_precision(power):
            bands = torch.log(power.float() @ self.filters + 1e-6)
            parts = [bands, _delta(bands), bands @ self.cosines]
            spreads = [_deviation(part) for part in parts]
            return torch.cat([bands.mean(dim=1), *spreads], dim=1)


def _deviation(features: Tensor) -> Tensor:
    """Return the standard deviation over time, [B, F, M] -> [B, M]; finite slope at 0."""
    centred = features - features.mean(dim=1, keepdim=True)
    return deviation(centred.square().mean(dim=1))


def _delta(features: Tensor) -> Tensor:
    """Return the next frame minus the one before, [B, F, M]; frames at the edges are repeated."""
    following = torch.cat([features[:, 1:], features[:, -1:]], dim=1)
    before = torch.cat([features[:, :1], features[:, :-1]], dim=1)
    return following - before


def _triangles(bins_hz: FloatArray, edges_hz: FloatArray) -> FloatArray:
    """Return triangular filters of height one, shape [bins, len(edges) - 2]."""
    low, centre, high = edges_hz[:-2], edges_hz[1:-1], edges_hz[2:]
    bins = bins_hz[:, None]
    rising = (bins - low) / (centre - low)
    falling = (high - bins) / (high - centre)
    triangles: FloatArray = np.clip(np.minimum(rising, falling), 0.0, None)
    return triangles


def _cosines(n: int) -> FloatArray:
    """Return the orthonormal type II discrete cosine transform as a matrix [n in, n out]."""
    place, order = np.arange(n)[:, None], np.arange(n)[None, :]
    matrix: FloatArray = np.cos(np.pi * order * (2 * place + 1) / (2 * n)) * np.sqrt(2.0 / n)
    matrix[:, 0] /= np.sqrt(2.0)
    return matrix


def _slaney_mel(hz: float) -> float:
    return hz * 3 / 200 if hz < 1000 else 15 + 27 * np.log(hz / 1000) / np.log(6.4)


def _slaney_hz(mel: FloatArray) -> FloatArray:
    above = 1000 * np.exp((mel - 15) * np.log(6.4) / 27)
    hz: FloatArray = np.where(mel < 15, mel * 200 / 3, above)
    return hz


def _htk_mel(hz: float) -> float:
    return float(2595 * np.log10(1 + hz / 700))


def _htk_hz(mel: FloatArray) -> FloatArray:
    hz: FloatArray = 700 * (10 ** (mel / 2595) - 1)
    return hz


_MEL = {"slaney": (_slaney_mel, _slaney_hz), "htk": (_htk_mel, _htk_hz)}


def _check_band(low_hz: float, high_hz: float) -> None:
    if not 0 <= low_hz < high_hz <= SAMPLE_RATE_HZ / 2:
        raise RecipeError(
            f"band of {low_hz:g} to {high_hz:g} Hz; choose 0 <= low_hz < high_hz <= 8000"
        )


def _check_filters(n_filters: int, n_bins: int) -> None:
    if not 1 <= n_filters <= n_bins:
        raise RecipeError(f"{n_filters} filters over {n_bins} frequency bins; choose 1 to {n_bins}")


def _float32(array: FloatArray) -> Tensor:
    return torch.from_numpy(array.astype(np.float32))


def full_precision(tensor: Tensor) -> torch.autocast:
    """Return the context in which nothing is computed in fewer bits, on the device of a tensor."""
    return torch.autocast(tensor.device.type, enabled=False)
