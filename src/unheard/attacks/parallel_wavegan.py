"""Parallel WaveGAN: a recording through a mel spectrogram and a vocoder trained on one voice.

T samples, M mel bands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from unheard.attacks import published, sound
from unheard.attacks.attack import Speech
from unheard.attacks.engines import Engines
from unheard.attacks.mel import Mel
from unheard.attacks.published import Pinned, Published
from unheard.types import FloatArray

if TYPE_CHECKING:
    from unheard.attacks.parallel_wavegan_network import ParallelWaveGanNetwork

__all__ = ["ParallelWaveGan", "rows"]

_MEL = Mel(rate_hz=22_050, low_hz=80.0, high_hz=7_600.0, floor=1e-10)
_FILE = Published(
    "git:tulasiram58827/TTS_TFLite@3872d59b80302c674ce0398a00989fabad6e6f14",
    "models/parallel_wavegan_float16.tflite",
    "b47277b0af465ec313584c1db082a9f161edea04c1ac91c346d515b1baf74888",
)

# The vocoder wants each band as deviations from the mean of its training voice, which are not
# published with it. Deviations are those of five recordings of that voice; means were found from
# theirs by four rounds of a fixed-point iteration that makes the bands of eight recordings of
# people come back as loud as they went in, at the level above: on average they miss by 0.07 in
# log10.
_MEANS = (
    -2.79, -2.15, -1.80, -1.69, -1.60, -1.67, -1.59, -1.50, -1.59, -1.59, -1.53, -1.47, -1.51,
    -1.58, -1.75, -1.85, -1.84, -1.87, -1.87, -2.00, -2.14, -2.18, -2.25, -2.23, -2.17, -2.25,
    -2.29, -2.34, -2.35, -2.35, -2.40, -2.49, -2.54, -2.57, -2.56, -2.53, -2.48, -2.45, -2.40,
    -2.36, -2.34, -2.33, -2.35, -2.36, -2.39, -2.45, -2.46, -2.47, -2.44, -2.48, -2.51, -2.49,
    -2.45, -2.41, -2.41, -2.41, -2.46, -2.51, -2.51, -2.49, -2.48, -2.50, -2.49, -2.51, -2.55,
    -2.60, -2.63, -2.63, -2.62, -2.67, -2.74, -2.85, -2.99, -3.10, -3.14, -3.14, -3.02, -2.90,
    -2.79, -2.68,
)  # fmt: skip
_DEVIATIONS = (
    0.51, 0.71, 0.80, 0.76, 0.71, 0.73, 0.75, 0.78, 0.77, 0.68, 0.69, 0.68, 0.70, 0.75, 0.75, 0.74,
    0.73, 0.78, 0.76, 0.73, 0.70, 0.72, 0.77, 0.81, 0.81, 0.78, 0.77, 0.76, 0.70, 0.71, 0.75, 0.76,
    0.74, 0.71, 0.72, 0.71, 0.70, 0.68, 0.68, 0.68, 0.68, 0.67, 0.66, 0.62, 0.60, 0.59, 0.58, 0.57,
    0.60, 0.61, 0.63, 0.64, 0.62, 0.64, 0.66, 0.64, 0.61, 0.61, 0.59, 0.58, 0.59, 0.59, 0.59, 0.61,
    0.64, 0.63, 0.61, 0.61, 0.63, 0.64, 0.65, 0.65, 0.71, 0.75, 0.77, 0.79, 0.84, 0.87, 0.85, 0.81,
)  # fmt: skip


@dataclass(frozen=True)
class ParallelWaveGan(Pinned):
    """A recording that Parallel WaveGAN spoke from its mel spectrogram.

    Attributes:
        name: As in `ATTACKS`.
        engines: Where the weights lie.

    Source:
        Yamamoto, Song, Kim, "Parallel WaveGAN", 2020; weights for TensorFlow Lite, learnt from
        LJSpeech, in half precision.
    """

    name: str = "parallel-wavegan"
    engines: Engines = field(default=Engines())
    family: ClassVar[str] = "neural vocoder"
    free: ClassVar[bool] = True
    licence: ClassVar[str] = "Apache-2.0"
    libraries: ClassVar[Mapping[str, str]] = {"torch": "train", "ai_edge_litert": "corpus"}
    files: ClassVar[tuple[Published, ...]] = (_FILE,)

    def generate(self, speech: Speech, rng: np.random.Generator) -> FloatArray:
        """Return the recording as the vocoder speaks it, shape [T] float32 at 16 kHz.

        Raises:
            AttackError: If the weights are missing or altered, or it gives nothing usable.
        """
        source = sound.recording(self, speech)
        import torch

        network = _network(self.name, published.verified(self.name, self.engines, _FILE))
        logs = _MEL.of_recording(source)
        normal = ((logs - np.array(_MEANS)) / np.array(_DEVIATIONS)).T
        noise = rng.standard_normal((1, normal.shape[1] * _MEL.n_hop))
        given = (torch.from_numpy(array.astype(np.float32))[None] for array in (normal, noise))
        with torch.inference_mode():
            spoken = network(*given)[0].double().numpy()
        return sound.copied(self.name, sound.from_rate(spoken, _MEL.rate_hz), source)


def rows(engines: Engines) -> list[ParallelWaveGan]:
    """Return the one vocoder."""
    return [ParallelWaveGan(engines=engines)]


@lru_cache(maxsize=1)
def _network(name: str, path: Path) -> ParallelWaveGanNetwork:
    from unheard.attacks import parallel_wavegan_network, tensors

    shape = parallel_wavegan_network.ParallelWaveGanShape()
    network = parallel_wavegan_network.ParallelWaveGanNetwork(shape)
    variables = tensors.from_tflite(path)
    return tensors.filled(name, network, parallel_wavegan_network.renamed(variables))
