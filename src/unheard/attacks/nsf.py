"""Neural source-filter vocoders: a recording through mel spectrogram and pitch, at 16 kHz.

T samples, F frames, K bins, M mel bands, H harmonics.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from unheard.attacks import published, sound, world
from unheard.attacks.attack import Speech
from unheard.attacks.engines import Engines
from unheard.attacks.published import Pinned, Published
from unheard.audio import SAMPLE_RATE_HZ
from unheard.types import FloatArray

if TYPE_CHECKING:
    from unheard.attacks.nsf_network import NsfKind, NsfNetwork

__all__ = ["Nsf", "cyclic_noise", "log_mel", "mel_bands", "rows", "sines"]

_REPOSITORY = "git:nii-yamagishilab/project-NN-Pytorch-scripts@"
_LEVEL = 0.05
_N_HOP, _N_WINDOW, _N_FFT, _N_MELS = 80, 400, 1024, 80
_SINE, _VOICED_NOISE = 0.1, 0.003
_DECAY = 0.87
_LINEAR_BELOW_HZ = 1_000.0


@dataclass(frozen=True)
class Nsf(Pinned):
    """A recording that a neural source-filter network spoke.

    Attributes:
        name: As in `ATTACKS`.
        network: Which of the three networks.
        file: Its weights, learnt from four voices of CMU Arctic.
        engines: Where they lie.

    Source:
        See `nsf_network`. Differs: pitch comes from Harvest, as the World row has it, instead of a
        vote of several trackers.
    """

    name: str
    network: NsfKind
    file: Published
    engines: Engines = field(default=Engines())
    family: ClassVar[str] = "neural vocoder"
    free: ClassVar[bool] = True
    licence: ClassVar[str] = "BSD-3-Clause"

    @property
    def files(self) -> tuple[Published, ...]:
        """The weights."""
        return (self.file,)

    @property
    def packages(self) -> tuple[str, ...]:
        """Where the weights are published, and what finds the pitch."""
        return (*super().packages, *world.World("").packages)

    def missing(self) -> str:
        """Return how to get the weights, what runs them or what finds the pitch, or ""."""
        return super().missing() or world.World("").missing()

    def generate(self, speech: Speech, rng: np.random.Generator) -> FloatArray:
        """Return the recording as the network speaks it, shape [T] float32 at 16 kHz.

        Raises:
            AttackError: If the weights are missing or altered, or it gives nothing usable.
        """
        source = sound.recording(self, speech)
        import torch

        path = published.verified(self.name, self.engines, self.file)
        network = _network(self.name, path, self.network)
        wave = source * (_LEVEL / np.sqrt(np.mean(source**2)))
        logs = log_mel(wave)
        hertz = world.pitch(wave, len(logs))
        each = np.repeat(hertz, _N_HOP)
        excites = cyclic_noise(each, rng) if self.network == "cyc-noise" else sines(each, rng)
        quiet = _VOICED_NOISE if self.network == "cyc-noise" else _SINE
        noise = rng.standard_normal((1, each.size)) * quiet / 3
        inputs = np.concatenate([logs.T, hertz[None]])
        given = (
            torch.from_numpy(array.astype(np.float32))[None] for array in (inputs, excites, noise)
        )
        with torch.inference_mode():
            spoken = network(*given)[0].double().numpy()
        return sound.copied(self.name, spoken, source)


def log_mel(samples: FloatArray) -> FloatArray:
    """Return the spectrogram that the networks were trained on, [T] at 16 kHz -> [F, M].

    Natural logarithm of mel bands of magnitudes; Blackman windows of 25 ms and of power 1, 5 ms
    apart, of samples on the scale of 16 bits. F = T // 80 + 1.
    """
    window = np.blackman(_N_WINDOW)
    window = window / np.sqrt(np.sum(window**2))
    padded = np.pad(samples * 2.0**15, _N_WINDOW // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _N_WINDOW)[::_N_HOP]
    magnitude = np.maximum(np.abs(np.fft.rfft(frames * window, _N_FFT, axis=1)), 1e-12)
    logs: FloatArray = np.log(magnitude @ mel_bands().T)
    return logs


@lru_cache(maxsize=1)
def mel_bands() -> FloatArray:
    """Return the filters of `log_mel`, shape [M, K].

    The first is the bin at 0 hertz alone. The others are triangles of equal area whose edges lie
    evenly on the mel scale 1127 ln(1 + f / 700), those under 1 kHz evenly in hertz instead.
    """
    highest = 1127.01048 * np.log1p(SAMPLE_RATE_HZ / 2 / 700.0)
    edges = 700.0 * np.expm1(np.linspace(0.0, highest, _N_MELS + 1) / 1127.01048)
    n_low = int(np.sum(edges < _LINEAR_BELOW_HZ))
    edges[: n_low + 1] = np.linspace(0.0, edges[n_low], n_low + 1)
    bins = np.linspace(0.0, SAMPLE_RATE_HZ / 2, _N_FFT // 2 + 1)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    triangles *= (2.0 / (edges[2:] - edges[:-2]))[:, None]
    lowest = np.zeros((1, bins.size))
    lowest[0, 0] = _N_FFT / SAMPLE_RATE_HZ
    return np.concatenate([lowest, triangles])


def sines(hertz: FloatArray, rng: np.random.Generator, n_harmonics: int = 8) -> FloatArray:
    """Return sines at the pitch and its multiples where voiced, noise elsewhere, shape [H, T].

    Args:
        hertz: Pitch at each sample, shape [T]; 0 where unvoiced.
        rng: Draws the noise, and the phases of all sines but the first.
        n_harmonics: Sines H.
    """
    voiced = hertz > 0
    first = rng.random(n_harmonics)
    first[0] = 0.0
    multiples = np.arange(1, n_harmonics + 1)[:, None]
    cycles = np.cumsum(hertz / SAMPLE_RATE_HZ) * multiples + first[:, None]
    noise = rng.standard_normal(cycles.shape) * np.where(voiced, _VOICED_NOISE, _SINE / 3)
    excites: FloatArray = _SINE * np.sin(2 * np.pi * (cycles % 1.0)) * voiced + noise
    return excites


def cyclic_noise(hertz: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return one burst of decaying noise for each cycle where voiced, noise elsewhere, [1, T].

    Args:
        hertz: Pitch at each sample, shape [T]; 0 where unvoiced.
        rng: Draws the burst, the same for each cycle, and the noise.
    """
    from scipy import signal

    voiced = hertz > 0
    noise = _VOICED_NOISE * rng.standard_normal(hertz.size) * ~voiced
    if not voiced.any():
        return noise[None]
    mean_hz = float(hertz[voiced].mean())
    time = np.arange(int(4.6 * SAMPLE_RATE_HZ / mean_hz))
    burst = _VOICED_NOISE * rng.standard_normal(time.size)
    burst *= np.exp(-time * mean_hz / (_DECAY * SAMPLE_RATE_HZ))
    excites: FloatArray = signal.fftconvolve(_pulses(hertz), burst)[: hertz.size] + noise
    return excites[None]


def rows(engines: Engines) -> list[Nsf]:
    """Return the three networks."""
    late = _REPOSITORY + "cea2d0d4be3e84660ed28a05f9b6d97fe168b641"
    early = _REPOSITORY + "d49c1bfb68210115495a2cdf6c3bcb30e35f1637"
    weights: dict[NsfKind, Published] = {
        "hn": Published(
            early,
            "project/hn-nsf/__pre_trained/trained_network.pt",
            "8a6a549589de04cac7c7b17a9292afa77211cb0611213a160d167a5ab16279fa",
        ),
        "hn-sinc": Published(
            late,
            "project/01-nsf/hn-sinc-nsf-10/__pre_trained/trained_network.pt",
            "9e1a70891442739b074f5b3108eef9c0a73caad241f8764933ceb537ba8e93a9",
        ),
        "cyc-noise": Published(
            late,
            "project/01-nsf/cyc-noise-nsf-4/__pre_trained/trained_network.pt",
            "cab903f1a7607bda3eee48fdfb44b54c3d55bb72a7fab3b55c6b0bc651537e13",
        ),
    }
    return [Nsf(f"nsf-{kind}", kind, file, engines) for kind, file in weights.items()]


def _pulses(hertz: FloatArray) -> FloatArray:
    """One sample near 1 at the start of each voiced stretch and after each cycle in it, [T]."""
    voiced = hertz > 0
    begins = voiced & ~np.concatenate([[False], voiced[:-1]])
    cycles = np.cumsum(hertz / SAMPLE_RATE_HZ)
    before = np.where(begins, cycles - hertz / SAMPLE_RATE_HZ, 0.0)
    wave = np.cos(2 * np.pi * (cycles - np.maximum.accumulate(before))) * voiced
    inside = voiced[1:-1] & voiced[:-2] & voiced[2:]
    peaks = np.zeros_like(voiced)
    peaks[1:-1] = inside & (wave[1:-1] > wave[:-2]) & (wave[1:-1] > wave[2:])
    pulses: FloatArray = wave * (peaks | begins)
    return pulses


@lru_cache(maxsize=3)
def _network(name: str, path: Path, kind: NsfKind) -> NsfNetwork:
    from unheard.attacks import tensors
    from unheard.attacks.nsf_network import NsfNetwork

    weights = tensors.from_state(path)
    same = {key.replace("m_condition.", "m_cond."): value for key, value in weights.items()}
    return tensors.filled(name, NsfNetwork(kind), same)
