"""HiFi-GAN V3: a recording through a mel spectrogram and the smallest of the HiFi-GANs.

T samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from unheard.attacks import pretrained, published, sound
from unheard.attacks.attack import Speech
from unheard.attacks.engines import Engines
from unheard.attacks.mel import Mel
from unheard.attacks.published import Pinned, Published
from unheard.types import FloatArray

__all__ = ["HifiGanV3", "rows"]

_MEL = Mel(rate_hz=22_050, logarithm="e", centred=False)
_FILE = Published(
    "git:tulasiram58827/TTS_TFLite@3872d59b80302c674ce0398a00989fabad6e6f14",
    "models/hifigan_float16.tflite",
    "10bd5422fa2e601095a5f1ba3b568713b6a04bb75d01e2bcc3b7dfd3cbe049f0",
)


@dataclass(frozen=True)
class HifiGanV3(Pinned):
    """A recording that HiFi-GAN V3 spoke from its mel spectrogram.

    Attributes:
        name: As in `ATTACKS`.
        engines: Where the model lies.

    Source:
        Kong, Kim, Bae, "HiFi-GAN: generative adversarial networks for efficient and high fidelity
        speech synthesis", 2020; a TensorFlow Lite file, learnt from LJSpeech, in half precision.
    """

    name: str = "hifi-gan-v3-ljspeech"
    engines: Engines = field(default=Engines())
    family: ClassVar[str] = "neural vocoder"
    free: ClassVar[bool] = True
    licence: ClassVar[str] = "Apache-2.0"
    libraries: ClassVar[Mapping[str, str]] = {"ai_edge_litert": "corpus"}
    files: ClassVar[tuple[Published, ...]] = (_FILE,)

    def generate(self, speech: Speech, rng: np.random.Generator) -> FloatArray:
        """Return the recording as the vocoder speaks it, shape [T] float32 at 16 kHz.

        Raises:
            AttackError: If the model is missing or altered, or it gives nothing usable.
        """
        source = sound.recording(self, speech)
        interpreter = pretrained.graph(published.verified(self.name, self.engines, _FILE))
        logs = _MEL.of_recording(source).T[None]
        samples = pretrained.through(interpreter, logs, any_shape=True).ravel()
        return sound.copied(self.name, sound.from_rate(samples, _MEL.rate_hz), source)


def rows(engines: Engines) -> list[HifiGanV3]:
    """Return the one vocoder."""
    return [HifiGanV3(engines=engines)]
