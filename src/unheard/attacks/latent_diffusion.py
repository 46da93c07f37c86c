"""Published latent diffusion: a recording's latents partly noised, denoised, decoded and spoken.

T samples, F frames, M mel bands.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from unheard.attacks import hifi_gan, pretrained, sound
from unheard.attacks.attack import Speech
from unheard.attacks.mel import Mel
from unheard.attacks.pretrained import InLibrary
from unheard.errors import AttackError
from unheard.types import FloatArray

__all__ = ["AudioLdm", "rows"]

_PARTS = ("vae", "unet", "scheduler", "tokenizer", "text_encoder", "vocoder")


@dataclass(frozen=True)
class AudioLdm(InLibrary):
    """A recording that the networks of an AudioLDM pipeline reconstructed.

    Attributes:
        source: Folder of a pipeline as diffusers saves it, of the class `AudioLDMPipeline`, or a
            model hub's id.
        strength: Share of the schedule that noise is added up to.
        n_steps: DDIM steps back.
        prompt: The text given to the text encoder; "" for none.
        mel: The spectrogram that the pipeline was trained on; bands, hop and rate must fit its
            vocoder, the rest cannot be read from it. The default is that of AudioLDM.
        name: As in `ATTACKS`.

    Source:
        Liu et al., "AudioLDM: text-to-audio generation with latent diffusion models", 2023, run
        from a noised recording as its style transfer does.
    """

    source: str = "cvssp/audioldm-s-full-v2"
    strength: float = 0.3
    n_steps: int = 20
    prompt: str = ""
    mel: Mel = field(default=Mel(n_mels=64, n_hop=160, logarithm="e"))
    name: str = "audioldm"
    family: ClassVar[str] = "diffusion"
    free: ClassVar[bool] = False
    licence: ClassVar[str] = "CC-BY-NC-SA-4.0 (published weights)"
    libraries: ClassVar[tuple[str, ...]] = ("diffusers", "transformers")

    def generate(self, speech: Speech, rng: np.random.Generator) -> FloatArray:
        """Return the recording as it was reconstructed, shape [T] float32 at 16 kHz.

        Raises:
            AttackError: If a library or the weights are missing, the strength or the spectrogram
                does not fit, or it gives nothing usable.
        """
        source = sound.recording(self, speech)
        import torch

        parts = _parts(self.name, pretrained.find(self.name, self.source), self.prompt)
        vocoder = hifi_gan.vocoder(self.name, str(parts["vocoder"]), self.mel)
        logs = self.mel.of_recording(source)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        with torch.inference_mode():
            restored = self._reconstructed(parts, torch.from_numpy(logs).float(), generator)
        spoken = hifi_gan.speak(vocoder, restored.double().numpy())
        return sound.copied(self.name, sound.from_rate(spoken, self.mel.rate_hz), source)

    def _reconstructed(self, parts: dict[str, Any], logs: Any, generator: Any) -> Any:
        """Log mel spectrogram [F, M] through the latents."""
        import torch

        from unheard.attacks.diffusion_model import denoised

        vae, unet = parts["vae"], parts["unet"]
        lacking = -len(logs) % parts["multiple"]
        padded = torch.nn.functional.pad(logs.T, (0, lacking), mode="replicate").T
        latents = vae.encode(padded[None, None]).latent_dist.mode() * vae.config.scaling_factor

        def predict(noised: Any, levels: Any) -> Any:
            labels = parts["prompt"].expand(len(noised), -1)
            return unet(noised, levels, encoder_hidden_states=None, class_labels=labels).sample

        clean = denoised(
            latents,
            predict,
            parts["scheduler"],
            strength=self.strength,
            n_steps=self.n_steps,
            generator=generator,
        )
        bands = vae.decode(clean / vae.config.scaling_factor).sample
        return bands[0, 0, : len(logs)]


def rows() -> list[AudioLdm]:
    """Return the small AudioLDM."""
    return [AudioLdm()]


@lru_cache(maxsize=1)
def _parts(name: str, folder: Path, prompt: str) -> dict[str, Any]:
    """The networks of a pipeline, and what its text encoder makes of the prompt."""
    _refuse_others(name, folder)
    import diffusers
    import torch
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler
    from transformers import AutoTokenizer

    networks: Any = diffusers
    try:
        vae = networks.AutoencoderKL.from_pretrained(folder / "vae")
        unet = networks.UNet2DConditionModel.from_pretrained(folder / "unet")
        scheduler = DDIMScheduler.from_pretrained(folder / "scheduler", clip_sample=False)
        tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
    except (OSError, ValueError, RuntimeError) as error:
        raise AttackError(
            f"{name}: {folder} cannot be loaded ({type(error).__name__}: "
            f"{str(error).partition(chr(10))[0]}); fetch the whole pipeline again"
        ) from error
    reader = pretrained.loaded(name, "ClapTextModelWithProjection", str(folder / "text_encoder"))
    tokens = tokenizer(prompt, return_tensors="pt")
    with torch.inference_mode():
        embedded = reader(tokens.input_ids, attention_mask=tokens.attention_mask).text_embeds
    n_halved = len(vae.config.block_out_channels) + len(unet.config.block_out_channels) - 2
    return {
        "vae": vae.eval().requires_grad_(False),
        "unet": unet.eval().requires_grad_(False),
        "scheduler": scheduler,
        "prompt": torch.nn.functional.normalize(embedded, dim=-1),
        "multiple": 2**n_halved,
        "vocoder": folder / "vocoder",
    }


def _refuse_others(name: str, folder: Path) -> None:
    index = folder / "model_index.json"
    kind = json.loads(index.read_text("utf-8")).get("_class_name") if index.is_file() else None
    if kind != "AudioLDMPipeline":
        raise AttackError(
            f"{name}: {folder} holds a pipeline of class {kind!r}, 'AudioLDMPipeline' wanted; give "
            "the folder of one"
        )
    lacking = [part for part in _PARTS if not (folder / part).is_dir()]
    if lacking:
        raise AttackError(
            f"{name}: {folder} lacks {', '.join(lacking)}; fetch the whole pipeline again"
        )
