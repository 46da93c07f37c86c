"""Lyra 2: the neural speech codec SoundStream at 3.2, 6 and 9.2 thousand bits a second.

T samples, Q quantisers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from unheard.attacks import pretrained, published, sound
from unheard.attacks.attack import Speech
from unheard.attacks.engines import Engines
from unheard.attacks.published import Pinned, Published
from unheard.types import FloatArray

__all__ = ["Lyra", "rows"]

_SOURCE = "git:google/lyra@47698dadf0010abff6a848e02642f55f806d4842"
_FILES = tuple(
    Published(_SOURCE, f"lyra/model_coeffs/{name}.tflite", sha256)
    for name, sha256 in (
        ("soundstream_encoder", "237da0b16226fb0a68d49551c81bebf614e42142af72764448359f68581e88f1"),
        ("quantizer", "841ee05989687d32d1f616a8ad1419fc7eda37599d3c05c7cf5a0d60ccf8ac5c"),
        ("lyragan", "50e7839cda4f30599a3a34cfaddcd9c98449b049eee884e1a74295780448ad06"),
    )
)
_N_FRAME = 320
_N_QUANTISERS = {"3200": 16, "6000": 30, "9200": 46}
_LEVEL = 0.08


@dataclass(frozen=True)
class Lyra(Pinned):
    """A recording that Lyra 2 encoded and decoded, frame by frame of 20 ms.

    Attributes:
        name: As in `ATTACKS`.
        n_quantisers: Residual quantisers Q that are used, of 46; each takes 4 bits of a frame.
        engines: Where encoder, quantiser and decoder lie.

    Source:
        Zeghidour et al., "SoundStream: an end-to-end neural audio codec", 2021; the TensorFlow
        Lite files of Lyra 1.3.
    """

    name: str
    n_quantisers: int
    engines: Engines = field(default=Engines())
    family: ClassVar[str] = "neural codec"
    free: ClassVar[bool] = True
    licence: ClassVar[str] = "Apache-2.0"
    libraries: ClassVar[Mapping[str, str]] = {"ai_edge_litert": "corpus"}
    files: ClassVar[tuple[Published, ...]] = _FILES

    def generate(self, speech: Speech, rng: np.random.Generator) -> FloatArray:
        """Return the recording after the codec, shape [T] float32 at 16 kHz.

        Raises:
            AttackError: If the models are missing or altered, or give nothing usable.
        """
        source = sound.recording(self, speech)
        paths = (published.verified(self.name, self.engines, file) for file in self.files)
        encoder, quantiser, decoder = (pretrained.graph(path) for path in paths)
        # What one clip left in them must not reach the next.
        encoder.reset_all_variables()
        decoder.reset_all_variables()
        encode = quantiser.get_signature_runner("encode")
        decode = quantiser.get_signature_runner("decode")
        level = _LEVEL / np.sqrt(np.mean(source**2))
        wave = np.clip(source * level, -1.0, 1.0).astype(np.float32)
        padded = np.pad(wave, (0, -wave.size % _N_FRAME))
        frames = []
        for frame in padded.reshape(-1, _N_FRAME):
            features = pretrained.through(encoder, frame[None])
            encoded = encode(input_frames=features, num_quantizers=np.int32(self.n_quantisers))
            indices = encoded["output_0"]
            decoded = decode(encoding_indices=indices)["output_0"]
            frames.append(pretrained.through(decoder, decoded)[0])
        return sound.copied(self.name, np.concatenate(frames), source)


def rows(engines: Engines) -> list[Lyra]:
    """Return one codec for each rate in bits a second."""
    return [Lyra(f"lyra-{rate}", count, engines) for rate, count in _N_QUANTISERS.items()]
