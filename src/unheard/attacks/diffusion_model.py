"""A diffusion model of log mel spectrograms: what it is, how it is kept, how it reconstructs.

B clips, C channels, F frames, M mel bands.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from unheard.attacks.mel import Mel
from unheard.errors import AttackError, MissingExtra, RecipeError

__all__ = [
    "CONFIG_FILE",
    "SIZES",
    "WEIGHTS_FILE",
    "DiffusionConfig",
    "MelDiffusion",
    "config_from",
    "denoised",
    "load",
    "save",
]

CONFIG_FILE, WEIGHTS_FILE = "diffusion.json", "model.safetensors"
_FORMAT = 1


@dataclass(frozen=True)
class DiffusionConfig:
    """The size of a model and its schedule; `SIZES` has two.

    Attributes:
        mel: The spectrogram; 2 ** (number of widths - 1) * fold must divide its bands.
        widths: Channels of the U-Net from the finest to the coarsest level, multiples of 8.
        layers: Residual blocks of each level.
        fold: Bands and frames are folded by this into channels before the U-Net, which then works
            on fewer, thicker points; 1 for none.
        attention: Whether the coarsest level attends over all of its points.
        n_levels: Levels of noise in the schedule.
        schedule: How noise grows over them, as diffusers names it.
        prediction: What the network predicts, as diffusers names it.
        strongest: Levels above this share of the schedule are not trained; reconstruction starts
            below it. 1 trains all, as for making speech from nothing.

    Source:
        Ho, Jain, Abbeel, "Denoising diffusion probabilistic models", 2020; the cosine schedule of
        Nichol, Dhariwal, 2021; the velocity of Salimans, Ho, 2022. U-Net and schedule are those of
        the diffusers library.
    """

    mel: Mel = field(default=Mel())
    widths: tuple[int, ...] = (32, 64, 96)
    layers: int = 1
    fold: int = 2
    attention: bool = True
    n_levels: int = 1000
    schedule: Literal["squaredcos_cap_v2", "linear", "scaled_linear"] = "squaredcos_cap_v2"
    prediction: Literal["v_prediction", "epsilon"] = "v_prediction"
    strongest: float = 1.0

    def __post_init__(self) -> None:
        if not self.widths or any(width < 8 or width % 8 for width in self.widths):
            raise RecipeError(f"widths={self.widths}: give multiples of 8, one for each level")
        if self.mel.n_mels % self.multiple:
            raise RecipeError(
                f"mel.n_mels={self.mel.n_mels} cannot be halved {len(self.widths) - 1} times after "
                f"a fold by {self.fold}: give a multiple of {self.multiple}, or fewer widths"
            )
        if not 0 < self.strongest <= 1:
            raise RecipeError(f"strongest={self.strongest:g}: give a share above 0, up to 1")

    @property
    def multiple(self) -> int:
        """What must divide frames and bands."""
        return self.fold << (len(self.widths) - 1)


SIZES = {
    "small": DiffusionConfig(),
    "full": DiffusionConfig(widths=(128, 256, 384, 512), layers=2, fold=1),
}
"""Configs by name: one that trains in minutes on a core, one for an accelerator."""


class MelDiffusion(nn.Module):
    """Predicts the noise (or velocity) in noised, normalised log mel spectrograms.

    Shape:
        noised [B, 1, M, F], levels [B] int -> [B, 1, M, F]; F a multiple of `config.multiple`.
    """

    def __init__(self, config: DiffusionConfig) -> None:
        super().__init__()
        self.config = config
        self.unet = _unet(config)
        self.mean = nn.Buffer(torch.zeros(config.mel.n_mels))
        self.deviation = nn.Buffer(torch.ones(config.mel.n_mels))

    def forward(self, noised: Tensor, levels: Tensor) -> Tensor:
        """Return what the network predicts of each noised spectrogram."""
        fold = self.config.fold
        folded = nn.functional.pixel_unshuffle(noised, fold)
        predicted: Tensor = self.unet(folded, levels).sample
        return nn.functional.pixel_shuffle(predicted, fold)

    def scheduler(self) -> Any:
        """Return the schedule of noise, to be stepped through by DDIM."""
        from diffusers.schedulers.scheduling_ddim import DDIMScheduler

        return DDIMScheduler(
            num_train_timesteps=self.config.n_levels,
            beta_schedule=self.config.schedule,
            prediction_type=self.config.prediction,
            clip_sample=False,  # spectrograms are not within [-1, 1]
        )

    def reconstruct(
        self, logs: Tensor, *, strength: float, n_steps: int, generator: torch.Generator
    ) -> Tensor:
        """Return a log mel spectrogram that was partly noised and denoised, [F, M] -> [F, M].

        Args:
            logs: Spectrogram of a recording.
            strength: Share of the schedule that noise is added up to.
            n_steps: Steps from there back to none.
            generator: Draws the noise.

        Raises:
            AttackError: If the model was not trained for that strength.
        """
        if self.config.strongest < strength <= 1:
            raise AttackError(
                f"strength={strength:g}, and this model was trained up to "
                f"{self.config.strongest:g}; set a lower strength"
            )
        normal = ((logs - self.mean) / self.deviation).T[None, None]
        lacking = -normal.shape[-1] % self.config.multiple
        padded = nn.functional.pad(normal, (0, lacking, 0, 0), mode="replicate")
        found = denoised(
            padded, self, self.scheduler(), strength=strength, n_steps=n_steps, generator=generator
        )
        return found[0, 0, :, : len(logs)].T * self.deviation + self.mean


def denoised(
    clean: Tensor,
    predict: Callable[[Tensor, Tensor], Tensor],
    scheduler: Any,
    *,
    strength: float,
    n_steps: int,
    generator: torch.Generator,
) -> Tensor:
    """Return what is left of something after noise is added up to a level and taken away by DDIM.

    Args:
        clean: Shape [B, C, ...].
        predict: From what is noised and levels, shape [B], to what the scheduler wants.
        scheduler: A `DDIMScheduler` of diffusers.
        strength: Share of the schedule that noise is added up to, in (0, 1].
        n_steps: Steps from there back to none, evenly spaced.
        generator: Draws the noise, on the processor.

    Raises:
        AttackError: If the strength is no share, or the schedule has fewer levels than steps.

    Source:
        Meng et al., "SDEdit", 2022 (the partly noised start); Song, Meng, Ermon, "Denoising
        diffusion implicit models", 2021.
    """
    n_levels = scheduler.config.num_train_timesteps
    if not 0 < strength <= 1:
        raise AttackError(f"strength={strength:g}: give a share above 0, up to 1")
    if not 1 <= n_steps <= strength * n_levels:
        raise AttackError(
            f"n_steps={n_steps}, and {strength:g} of the schedule has {strength * n_levels:g} "
            "levels: give at least 1 step and no more than levels, or another strength"
        )
    scheduler = type(scheduler).from_config(scheduler.config, timestep_spacing="trailing")
    scheduler.set_timesteps(min(n_levels, round(n_steps / strength)))
    levels = scheduler.timesteps[-n_steps:]
    noise = torch.randn(clean.shape, generator=generator).to(clean)
    found: Tensor = scheduler.add_noise(clean, noise, levels[:1])
    for level in levels:
        predicted = predict(found, level.expand(len(clean)).to(clean.device))
        found = scheduler.step(predicted, level, found).prev_sample
    return found


def save(folder: Path, model: MelDiffusion, **told: object) -> None:
    """Write a model as safetensors with its config as JSON.

    Args:
        folder: Where to; made if missing.
        model: The model.
        told: What else the JSON is to say, such as what it was trained on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    save_file(model.state_dict(), folder / f"{WEIGHTS_FILE}.unfinished")
    (folder / f"{WEIGHTS_FILE}.unfinished").replace(folder / WEIGHTS_FILE)
    text = json.dumps({"format": _FORMAT, "config": asdict(model.config)} | told, indent=2)
    (folder / CONFIG_FILE).write_text(text + "\n", "utf-8")


@lru_cache(maxsize=2)
def load(folder: Path) -> MelDiffusion:
    """Return the model in a folder, in evaluation mode, on an accelerator if there is one.

    Raises:
        AttackError: If there is none, or not all of it.
    """
    try:
        told = json.loads((folder / CONFIG_FILE).read_text("utf-8"))
        model = MelDiffusion(config_from(told["config"]))
        model.load_state_dict(load_file(folder / WEIGHTS_FILE))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise AttackError(
            f"{folder}: holds no whole diffusion model ({type(error).__name__}); "
            "train one with `unheard generate train diffusion --out FOLDER`"
        ) from error
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return model.to(device).eval().requires_grad_(False)


def config_from(written: dict[str, Any]) -> DiffusionConfig:
    """Return the config that a JSON object holds. Raises TypeError if a name is not known."""
    known = {one.name for one in fields(DiffusionConfig)}
    values = {name: value for name, value in written.items() if name != "mel"}
    if not set(values) <= known:
        raise TypeError(f"unknown settings: {sorted(set(values) - known)}")
    return DiffusionConfig(
        mel=Mel(**written["mel"]), **values | {"widths": tuple(written["widths"])}
    )


def _unet(config: DiffusionConfig) -> nn.Module:
    try:
        from diffusers.models.unets.unet_2d import UNet2DModel
    except ModuleNotFoundError as error:
        raise MissingExtra("reconstruct", "diffusers") from error
    n_channels, n_widths = config.fold**2, len(config.widths)
    made: nn.Module = UNet2DModel(
        in_channels=n_channels,
        out_channels=n_channels,
        down_block_types=("DownBlock2D",) * n_widths,
        up_block_types=("UpBlock2D",) * n_widths,
        block_out_channels=config.widths,
        layers_per_block=config.layers,
        norm_num_groups=8,
        attention_head_dim=8,
        add_attention=config.attention,
    )
    return made
