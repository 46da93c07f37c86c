"""CARGAN: a recording through a mel spectrogram and a vocoder that works chunk after chunk.

T samples.
"""

from __future__ import annotations

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
    from unheard.attacks.cargan_network import CarganNetwork

__all__ = ["Cargan", "rows"]

_MEL = Mel(rate_hz=22_050, high_hz=11_025.0, centred=False)
_FILE = Published(
    "pypi:cargan==0.0.4",
    "cargan/assets/checkpoints/cargan.pt",
    "133d2f796040a69087abd46e1ef554998d6cd155faae2bbf1943e79b42bcd47e",
)


@dataclass(frozen=True)
class Cargan(Pinned):
    """A recording that CARGAN spoke from its mel spectrogram.

    Attributes:
        name: As in `ATTACKS`.
        engines: Where the weights lie.

    Source:
        Morrison et al., "Chunked autoregressive GAN for conditional waveform synthesis", 2022, with
        its authors' weights, learnt from VCTK.
    """

    name: str = "cargan"
    engines: Engines = field(default=Engines())
    family: ClassVar[str] = "neural vocoder"
    free: ClassVar[bool] = True
    licence: ClassVar[str] = "MIT"
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
        with torch.inference_mode():
            spoken = network(torch.from_numpy(logs.T.astype(np.float32))[None])[0]
        wave = sound.from_rate(spoken.double().numpy(), _MEL.rate_hz)
        return sound.copied(self.name, wave, source)


def rows(engines: Engines) -> list[Cargan]:
    """Return the one vocoder."""
    return [Cargan(engines=engines)]


@lru_cache(maxsize=1)
def _network(name: str, path: Path) -> CarganNetwork:
    from unheard.attacks import tensors
    from unheard.attacks.cargan_network import CarganNetwork, CarganShape

    network = CarganNetwork(CarganShape())
    weights = tensors.without_norms(tensors.from_state(path))
    return tensors.filled(name, network, tensors.in_order(weights, network))
