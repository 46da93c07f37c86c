"""Diffusion: a recording's spectrogram partly noised, denoised, and spoken again.

T samples, F frames, K bins, M mel bands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from unheard.attacks import hifi_gan, pretrained, sound
from unheard.attacks.attack import Copy, Speech
from unheard.types import FloatArray

if TYPE_CHECKING:
    from unheard.attacks.mel import Mel

__all__ = ["LEVEL", "Diffusion", "rows"]

LEVEL = 0.05
"""Root mean square that every recording is scaled to before the model."""


@dataclass(frozen=True)
class Diffusion(Copy):
    """A recording that a diffusion model of our own reconstructed; see `diffusion_training`.

    Attributes:
        source: Folder of a trained model.
        strength: Share of the schedule that noise is added up to; at 1 nothing of the recording is
            left but its length and level.
        n_steps: DDIM steps back.
        vocoder: "griffin-lim", or the folder or hub id of a HiFi-GAN that takes the spectrograms
            that the model was trained on.
        phases: What Griffin-Lim starts from: "drawn" at random, or those of the "source".
        name: As in `ATTACKS`.

    Source:
        Stands in for the latent diffusion codec (SemantiCodec) of the paper on reconstruction. It
        differs: no semantic tokens condition it; it works on the spectrogram itself, not on
        latents; it starts from the noised recording, not from noise.
    """

    source: str = ""
    strength: float = 0.3
    n_steps: int = 20
    vocoder: str = "griffin-lim"
    phases: Literal["drawn", "source"] = "drawn"
    name: str = "diffusion"
    family: ClassVar[str] = "diffusion"
    free: ClassVar[bool] = True
    licence: ClassVar[str] = "Apache-2.0"
    packages: ClassVar[tuple[str, ...]] = ("pypi:diffusers",)

    def missing(self) -> str:
        """Return how to get the library or a model, or ""."""
        lacking = pretrained.missing("diffusers", "transformers", extra="reconstruct")
        if lacking or self.source:
            return lacking
        return (
            "no model is named; train one with `unheard generate train diffusion`, then give its "
            "folder with --set source=FOLDER"
        )

    def weights(self) -> tuple[str, ...]:
        """Return the folders of the model and of its vocoder."""
        return (self.source,) if self.vocoder == "griffin-lim" else (self.source, self.vocoder)

    def generate(self, speech: Speech, rng: np.random.Generator) -> FloatArray:
        """Return the recording as it was reconstructed, shape [T] float32 at 16 kHz.

        Raises:
            AttackError: If the library or the model is missing, the strength or the vocoder does
                not fit it, or it gives nothing usable.
        """
        source = sound.recording(self, speech)
        import torch

        from unheard.attacks import diffusion_model

        model = diffusion_model.load(pretrained.find(self.name, self.source))
        mel = model.config.mel
        wave = sound.at_rate(source * (LEVEL / np.sqrt(np.mean(source**2))), mel.rate_hz)
        wave = np.pad(wave, (0, -wave.size % mel.n_hop))
        logs = torch.from_numpy(mel.of(wave)).to(model.mean)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        with torch.inference_mode():
            logs = model.reconstruct(
                logs, strength=self.strength, n_steps=self.n_steps, generator=generator
            )
        spoken = self._speak(mel, logs.double().cpu().numpy(), wave, rng)
        return sound.copied(self.name, sound.from_rate(spoken, mel.rate_hz), source)

    def _speak(
        self, mel: Mel, logs: FloatArray, wave: FloatArray, rng: np.random.Generator
    ) -> FloatArray:
        if self.vocoder != "griffin-lim":
            return hifi_gan.speak(hifi_gan.vocoder(self.name, self.vocoder, mel), logs)
        if self.phases == "source":
            return mel.spoken(logs, mel.phases(wave))
        angles = 2 * np.pi * rng.random((mel.n_bins, len(logs)))
        return mel.spoken(logs, angles)


def rows() -> list[Diffusion]:
    """Return the one row; its model must be trained."""
    return [Diffusion()]
