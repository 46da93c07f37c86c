"""HiFi-GAN: a recording through a mel spectrogram and a neural vocoder of the transformers library.

T samples, F frames, M mel bands.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from math import prod
from typing import Any, ClassVar

import numpy as np

from unheard.attacks import pretrained, sound
from unheard.attacks.attack import Speech
from unheard.attacks.mel import Mel
from unheard.attacks.pretrained import InLibrary
from unheard.errors import AttackError
from unheard.types import FloatArray

__all__ = ["VOCODERS", "HifiGan", "rows", "speak", "vocoder"]

VOCODERS = ("SpeechT5HifiGan", "FastSpeech2ConformerHifiGan")
"""Classes that a folder's config.json may name."""


@dataclass(frozen=True)
class HifiGan(InLibrary):
    """A recording that HiFi-GAN spoke from its mel spectrogram.

    Attributes:
        source: Folder of a `SpeechT5HifiGan` or `FastSpeech2ConformerHifiGan`, or a hub's id.
        mel: The spectrogram it was trained on; hop, rate and bands must fit the model, the rest
            cannot be read from it. The default is that of SpeechT5.
        name: As in `ATTACKS`.

    Source:
        Kong, Kim, Bae, "HiFi-GAN: generative adversarial networks for efficient and high fidelity
        speech synthesis", 2020.
    """

    source: str = "microsoft/speecht5_hifigan"
    mel: Mel = field(default=Mel(low_hz=80.0, high_hz=7_600.0, floor=1e-10))
    name: str = "hifi-gan"
    family: ClassVar[str] = "neural vocoder"
    free: ClassVar[bool] = True
    licence: ClassVar[str] = "MIT (published weights)"

    def generate(self, speech: Speech, rng: np.random.Generator) -> FloatArray:
        """Return the recording as the vocoder speaks it, shape [T] float32 at 16 kHz.

        Raises:
            AttackError: If the library or the weights are missing, the spectrogram does not fit
                the vocoder, or it gives nothing usable.
        """
        source = sound.recording(self, speech)
        model = vocoder(self.name, self.source, self.mel)
        logs = self.mel.of_recording(source)
        spoken = speak(model, logs)
        return sound.copied(self.name, sound.from_rate(spoken, self.mel.rate_hz), source)


def vocoder(name: str, source: str, mel: Mel) -> Any:
    """Return a HiFi-GAN that takes a mel spectrogram.

    Args:
        name: The generator, for messages.
        source: Folder, or id of a model on a hub.
        mel: What it will be given.

    Raises:
        AttackError: If there is none, or it takes another number of bands, hop or rate.
    """
    config = pretrained.find(name, source) / "config.json"
    settings = json.loads(config.read_text("utf-8")) if config.is_file() else {}
    kinds = [kind for kind in settings.get("architectures") or () if kind in VOCODERS]
    if not kinds:
        raise AttackError(
            f"{name}: {source} holds a model of class {settings.get('architectures')}, "
            f"{' or '.join(VOCODERS)} wanted; give the folder of a HiFi-GAN"
        )
    model = pretrained.loaded(name, kinds[0], source)
    wanted = {"n_mels": model.config.model_in_dim, "n_hop": prod(model.config.upsample_rates)}
    if hasattr(model.config, "sampling_rate"):
        wanted["rate_hz"] = model.config.sampling_rate
    for setting, value in wanted.items():
        if getattr(mel, setting) != value:
            raise AttackError(
                f"{name}: the vocoder in {source} takes a spectrogram of {setting} {value}, and "
                f"it is {getattr(mel, setting)}; set mel.{setting}={value}, or give a vocoder that "
                "fits"
            )
    return model


def speak(model: Any, logs: FloatArray) -> FloatArray:
    """Return what a vocoder makes of a log mel spectrogram, [F, M] -> [F * n_hop]."""
    import torch

    with torch.inference_mode():
        wave: FloatArray = model(torch.from_numpy(logs.astype(np.float32))).double().numpy()
    return wave


def rows() -> list[HifiGan]:
    """Return the vocoder of SpeechT5."""
    return [HifiGan()]
