"""Neural codecs: a recording through EnCodec, DAC or Mimi, as the transformers library runs them.

T samples, Q codebooks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from unheard.attacks import pretrained, sound
from unheard.attacks.attack import Attack, Speech
from unheard.attacks.pretrained import InLibrary
from unheard.errors import AttackError
from unheard.types import FloatArray

__all__ = ["Dac", "Encodec", "Mimi", "rows"]


class _Codec(InLibrary):
    family: ClassVar[str] = "neural codec"


@dataclass(frozen=True)
class Encodec(_Codec):
    """A recording that EnCodec encoded and decoded.

    Attributes:
        source: Folder of an `EncodecModel`, or a model hub's id.
        bandwidth_kbps: Thousands of bits a second; one of those that the model was trained for.
        name: As in `ATTACKS`.

    Source:
        Defossez et al., "High fidelity neural audio compression", 2022.
    """

    source: str = "facebook/encodec_24khz"
    bandwidth_kbps: float = 6.0
    name: str = "encodec"
    free: ClassVar[bool] = False
    licence: ClassVar[str] = "CC-BY-NC-4.0 (published weights)"

    def generate(self, speech: Speech, rng: np.random.Generator) -> FloatArray:
        """Return the recording after the codec, shape [T] float32 at 16 kHz.

        Raises:
            AttackError: If the library or the weights are missing, the model does not know the
                bandwidth, or it gives nothing usable.
        """
        source = sound.recording(self, speech)
        model = pretrained.loaded(self.name, "EncodecModel", self.source)
        known = model.config.target_bandwidths
        if self.bandwidth_kbps not in known:
            raise AttackError(
                f"{self.name}: bandwidth_kbps={self.bandwidth_kbps:g}, and {self.source} was "
                f"trained for {', '.join(f'{value:g}' for value in known)}; set one of them"
            )
        return _through(self, model, source, bandwidth=self.bandwidth_kbps)


@dataclass(frozen=True)
class Dac(_Codec):
    """A recording that the Descript Audio Codec encoded and decoded.

    Attributes:
        source: Folder of a `DacModel`, or a model hub's id.
        n_codebooks: Codebooks Q used, the first ones; 0 for all that the model has.
        name: As in `ATTACKS`.

    Source:
        Kumar et al., "High-fidelity audio compression with improved RVQGAN", 2023.
    """

    source: str = "descript/dac_16khz"
    n_codebooks: int = 0
    name: str = "dac"
    free: ClassVar[bool] = True
    licence: ClassVar[str] = "MIT (published weights)"

    def generate(self, speech: Speech, rng: np.random.Generator) -> FloatArray:
        """Return the recording after the codec, shape [T] float32 at 16 kHz.

        Raises:
            AttackError: If the library or the weights are missing, the model has not that many
                codebooks, or it gives nothing usable.
        """
        source = sound.recording(self, speech)
        model = pretrained.loaded(self.name, "DacModel", self.source)
        n_used = _codebooks(self.name, self.n_codebooks, model.config.n_codebooks)
        return _through(self, model, source, n_quantizers=n_used)


@dataclass(frozen=True)
class Mimi(_Codec):
    """A recording that Mimi encoded and decoded.

    Attributes:
        source: Folder of a `MimiModel`, or a model hub's id.
        n_codebooks: Codebooks Q used, the first ones; 0 for all that the model has.
        name: As in `ATTACKS`.

    Source:
        Defossez et al., "Moshi: a speech-text foundation model for real-time dialogue", 2024,
        which speaks with 8 codebooks.
    """

    source: str = "kyutai/mimi"
    n_codebooks: int = 8
    name: str = "mimi"
    free: ClassVar[bool] = True
    licence: ClassVar[str] = "CC-BY-4.0 (published weights)"

    def generate(self, speech: Speech, rng: np.random.Generator) -> FloatArray:
        """Return the recording after the codec, shape [T] float32 at 16 kHz.

        Raises:
            AttackError: If the library or the weights are missing, the model has not that many
                codebooks, or it gives nothing usable.
        """
        source = sound.recording(self, speech)
        model = pretrained.loaded(self.name, "MimiModel", self.source)
        n_used = _codebooks(self.name, self.n_codebooks, model.config.num_quantizers)
        return _through(self, model, source, num_quantizers=n_used)


def rows() -> list[Encodec | Dac | Mimi]:
    """Return the three codecs, with their published weights."""
    return [Encodec(), Dac(), Mimi()]


def _codebooks(name: str, wanted: int, n_available: int) -> int:
    if not 0 <= wanted <= n_available:
        raise AttackError(
            f"{name}: n_codebooks={wanted}, and the model has {n_available}; set 1 to "
            f"{n_available}, or 0 for all"
        )
    return wanted or n_available


def _through(attack: Attack, model: Any, source: FloatArray, **settings: float) -> FloatArray:
    """Encode and decode, at the rate and with the channels of the model."""
    import torch

    rate_hz = model.config.sampling_rate
    wave = torch.from_numpy(sound.at_rate(source, rate_hz).astype(np.float32))
    # Decoders may give a little less than was encoded; a tail of zeros pushes the last out.
    padded = torch.nn.functional.pad(wave, (0, rate_hz // 5))
    n_channels = getattr(model.config, "audio_channels", 1)
    with torch.inference_mode():
        output = model(padded.expand(1, n_channels, -1), **settings).audio_values
    decoded = output.reshape(-1, output.shape[-1]).mean(dim=0).double().numpy()
    return sound.copied(attack.name, sound.from_rate(decoded, rate_hz), source)
