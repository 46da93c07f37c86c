"""HiFi-GAN V3: a recording through a mel spectrogram and the smallest of the HiFi-GANs.

T samples.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from unheard.attacks import pretrained, published, sound
from unheard.attacks.attack import Kind, Speech
from unheard.attacks.engines import Engines
from unheard.attacks.mel import Mel
from unheard.attacks.published import Published
from unheard.types import FloatArray

__all__ = ["HifiGanV3", "rows"]

_MEL = Mel(rate_hz=22_050, logarithm="e", centred=False)
_FILE = Published(
    "git:tulasiram58827/TTS_TFLite@3872d59b80302c674ce0398a00989fabad6e6f14",
    "models/hifigan_float16.tflite",
    "10bd5422fa2e601095a5f1ba3b568713b6a04bb75d01e2bcc3b7dfd3cbe049f0",
)


@dataclass(frozen=True)
class HifiGanV3:
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
    kind: ClassVar[Kind] = "copy"
    free: ClassVar[bool] = True
    licence: ClassVar[str] = "Apache-2.0"
    languages: ClassVar[tuple[str, ...]] = ()
    files: ClassVar[tuple[Published, ...]] = (_FILE,)
    packages: ClassVar[tuple[str, ...]] = (_FILE.source, "pypi:ai-edge-litert")

    def missing(self) -> str:
        """Return how to get the model or its runtime, or ""."""
        lacking = published.missing(self.name, self.engines, self.files)
        return lacking or pretrained.missing("ai_edge_litert", extra="corpus")

    def generate(self, speech: Speech, rng: np.random.Generator) -> FloatArray:
        """Return the recording as the vocoder speaks it, shape [T] float32 at 16 kHz.

        Raises:
            AttackError: If the model is missing or altered, or it gives nothing usable.
        """
        source = sound.recording(self, speech)
        interpreter = _interpreter(published.verified(self.name, self.engines, _FILE))
        logs = _MEL.of_recording(source).T[None].astype(np.float32)
        wanted, given = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        interpreter.resize_tensor_input(wanted["index"], logs.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(wanted["index"], logs)
        interpreter.invoke()
        samples = interpreter.get_tensor(given["index"]).ravel()
        return sound.copied(self.name, sound.from_rate(samples, _MEL.rate_hz), source)


def rows(engines: Engines) -> list[HifiGanV3]:
    """Return the one vocoder."""
    return [HifiGanV3(engines=engines)]


@lru_cache(maxsize=1)
def _interpreter(path: Path) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(str(path), num_threads=1)
