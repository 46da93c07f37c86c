"""Training a diffusion model of speech on bona fide clips of a manifest's training parts.

Each batch is a pure function of seed and step, so an interrupted run resumes to the same weights.
B clips, F frames, M mel bands.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from unheard import audio
from unheard.attacks import sound
from unheard.attacks.diffusion import LEVEL
from unheard.attacks.diffusion_model import DiffusionConfig, MelDiffusion, save
from unheard.attacks.mel import Mel
from unheard.data.clip import Manifest
from unheard.errors import AttackError, RecipeError
from unheard.files import in_one_step
from unheard.types import FloatArray, Say

__all__ = ["TRAIN_PARTS", "Training", "train"]

TRAIN_PARTS = ("train", "trn")
"""How the names of parts begin that a generator may be trained on."""

_CHECKPOINT = "checkpoint"  # safetensors too, and no part of the model
_NORMALISED_BY = 400
"""Clips from which the mean and deviation of each band are taken."""

_MOST_KEPT_BYTES = 1 << 30


@dataclass(frozen=True)
class Training:
    """How a diffusion model is trained.

    Attributes:
        n_steps: Steps in all.
        batch_clips: Clips B in a step.
        n_frames: Frames F of each clip, a multiple of the config's.
        rate: Learning rate of Adam, after a warm-up over the first steps.
        n_warm_up: Steps of warm-up.
        average: Decay of the running average of weights, which is what is kept.
        log_every: Steps between lines of the log.
        save_every: Steps between checkpoints; the model can be used from the first one on.
        seed: Of weights, clips, levels and noise.
    """

    n_steps: int = 4000
    batch_clips: int = 8
    n_frames: int = 64
    rate: float = 1e-3
    n_warm_up: int = 50
    average: float = 0.995
    log_every: int = 20
    save_every: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("n_steps", "batch_clips", "n_frames", "log_every", "save_every"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} is {getattr(self, name)}; give 1 or more")


def train(
    manifest: Manifest,
    out: Path,
    config: DiffusionConfig,
    training: Training,
    *,
    parts: tuple[str, ...] = ("train",),
    start_over: bool = False,
    say: Say = lambda line: None,
) -> Path:
    """Train on the bona fide clips of some parts and write the model; return its folder.

    Args:
        manifest: Clips; others than bona fide ones are left alone.
        out: Folder for the model, its log and the checkpoint that an interrupted run resumes from.
        config: What to train.
        training: How.
        parts: Parts of the manifest to train on; their names must begin as `TRAIN_PARTS` do.
        start_over: Whether to forget an earlier run in the folder.
        say: Receives progress.

    Raises:
        AttackError: If a part is not for training or has no bona fide clip, or the folder holds a
            run of other settings.
        ManifestError: If a part does not exist.
        RecipeError: If the frames do not fit the config.
    """
    clips = _clips(manifest, parts)
    if training.n_frames % config.multiple:
        raise RecipeError(
            f"n_frames is {training.n_frames}; give a multiple of {config.multiple}, as the widths "
            "and the fold of the model need it"
        )
    torch.manual_seed(training.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    spectrograms = _Spectrograms(clips, config.mel)
    run = _Run(config, training, device)
    identity = _identity(config, training, clips)
    done = 0 if start_over else run.resume(out / _CHECKPOINT, identity)
    if done == 0:
        say(f"{len(clips)} bona fide clips; measuring their bands")
        run.normalise(spectrograms)
    _forget_after(done, out / "log.jsonl")
    out.mkdir(parents=True, exist_ok=True)
    n_weights = sum(weight.numel() for weight in run.model.parameters())
    say(f"{n_weights:,} weights on {device.type}; {done} of {training.n_steps} steps are done")
    began, losses = time.monotonic(), []
    for step in range(done + 1, training.n_steps + 1):
        losses.append(run.step(step, spectrograms.batch(training, step)))
        if step % training.log_every == 0 or step == training.n_steps:
            _log(out, step, losses, (time.monotonic() - began) / (step - done), training, say)
            losses = []
        if step % training.save_every == 0 or step == training.n_steps:
            run.keep(out / _CHECKPOINT, step, identity)
            save(out, run.averaged, n_steps=step, trained_on=json.loads(identity))
    return out


class _Spectrograms:
    """Log mel spectrograms of clips, kept once they were computed if they are few enough."""

    def __init__(self, clips: Manifest, mel: Mel) -> None:
        self.clips, self.mel = clips, mel
        self.kept: dict[int, FloatArray] = {}
        self.n_bytes = 0

    def __getitem__(self, row: int) -> FloatArray:
        """The spectrogram of a clip, shape [F, M], at the level of all that the model is given."""
        if row in self.kept:
            return self.kept[row]
        wave = audio.read(self.clips.audio(self.clips[row]), minimum_s=0.0).samples.astype(float)
        wave = wave * (LEVEL / max(np.sqrt(np.mean(wave**2)), sound.SILENCE))
        logs = self.mel.of(sound.at_rate(wave, self.mel.rate_hz)).astype(np.float32)
        if self.n_bytes + logs.nbytes < _MOST_KEPT_BYTES:
            self.kept[row] = logs
            self.n_bytes += logs.nbytes
        return logs

    def batch(self, training: Training, step: int) -> tuple[Tensor, np.random.Generator]:
        """Crops for a step, shape [B, M, F], and where its noise is to be drawn from."""
        rng = np.random.default_rng((training.seed, step))
        crops = []
        for row in rng.integers(len(self.clips), size=training.batch_clips):
            logs = self[int(row)]
            lacking = max(0, training.n_frames - len(logs))
            logs = np.pad(logs, ((0, lacking), (0, 0)), mode="symmetric")
            first = rng.integers(len(logs) - training.n_frames + 1)
            crops.append(logs[first : first + training.n_frames].T)
        return torch.from_numpy(np.stack(crops)), rng


class _Run:
    """The model, its running average and its optimizer."""

    def __init__(self, config: DiffusionConfig, training: Training, device: torch.device) -> None:
        self.training = training
        self.model = MelDiffusion(config).to(device)
        self.averaged = MelDiffusion(config).to(device).requires_grad_(False).eval()
        self.averaged.load_state_dict(self.model.state_dict())
        self.scheduler = self.model.scheduler()
        self.optimizer = torch.optim.Adam(self.model.parameters(), training.rate)

    def normalise(self, spectrograms: _Spectrograms) -> None:
        """Take mean and deviation of each band from some of the clips."""
        rng = np.random.default_rng(self.training.seed)
        n_clips = len(spectrograms.clips)
        rows = rng.permutation(n_clips)[:_NORMALISED_BY]
        frames = np.concatenate([spectrograms[int(row)] for row in rows])
        for model in (self.model, self.averaged):
            model.mean.copy_(torch.from_numpy(frames.mean(axis=0)))
            model.deviation.copy_(torch.from_numpy(np.maximum(frames.std(axis=0), 1e-3)))

    def step(self, step: int, batch: tuple[Tensor, np.random.Generator]) -> float:
        """Change the weights once; return the loss."""
        crops, rng = batch[0].to(self.model.mean), batch[1]
        clean = ((crops.mT - self.model.mean) / self.model.deviation).mT[:, None]
        config = self.model.config
        n_levels = max(1, round(config.strongest * config.n_levels))
        levels = torch.from_numpy(rng.integers(n_levels, size=len(clean))).to(clean.device)
        noise = torch.from_numpy(rng.standard_normal(clean.shape, np.float32)).to(clean)
        noised = self.scheduler.add_noise(clean, noise, levels)
        wanted = noise
        if config.prediction == "v_prediction":
            wanted = self.scheduler.get_velocity(clean, noise, levels)
        loss = torch.nn.functional.mse_loss(self.model(noised, levels), wanted)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        warm = min(1.0, step / max(1, self.training.n_warm_up))
        for group in self.optimizer.param_groups:
            group["lr"] = self.training.rate * warm
        self.optimizer.step()
        decay = min(self.training.average, (1 + step) / (10 + step))
        with torch.no_grad():
            for kept, weight in zip(
                self.averaged.parameters(), self.model.parameters(), strict=True
            ):
                kept.lerp_(weight, 1 - decay)
        return float(loss.detach())

    def keep(self, path: Path, step: int, identity: str) -> None:
        """Write all that the run needs to resume."""
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {f"averaged.{name}": value for name, value in self.averaged.state_dict().items()}
        for number, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"adam.{number}.{name}": value for name, value in moments.items()}
        metadata = {"step": str(step), "identity": identity}
        with in_one_step(path) as unfinished:
            save_file(tensors, unfinished, metadata=metadata)

    def resume(self, path: Path, identity: str) -> int:
        """Resume from a checkpoint if there is one; return the steps that are done."""
        if not path.exists():
            return 0
        tensors, metadata = _read(path)
        if metadata["identity"] != identity:
            raise AttackError(
                f"{path.parent}: holds a run of other settings or clips; give another --out, the "
                "same settings, or --start-over"
            )
        for prefix, model in (("model.", self.model), ("averaged.", self.averaged)):
            model.load_state_dict(_under(prefix, tensors))
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in _under("adam.", tensors).items():
            number, _, moment = name.partition(".")
            moments.setdefault(int(number), {})[moment] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        return int(metadata["step"])


def _clips(manifest: Manifest, parts: tuple[str, ...]) -> Manifest:
    for part in parts:
        if not part.startswith(TRAIN_PARTS):
            raise AttackError(
                f"part {part!r} is not for training: a generator that has seen the clips a "
                "detector is tested on tells of them; give parts whose names begin with train"
            )
    chosen = manifest.part(*parts)
    clips = chosen.where(chosen.bonafide())
    if not len(clips):
        raise AttackError(
            f"no bona fide clip in {', '.join(parts)}; a generator learns from human speech"
        )
    return clips


def _identity(config: DiffusionConfig, training: Training, clips: Manifest) -> str:
    """What a run must share with the checkpoint that it resumes from."""
    how = {
        name: value
        for name, value in asdict(training).items()
        if name not in ("n_steps", "log_every", "save_every")
    }
    made_of = {"config": asdict(config), "training": how, "clips": clips.sha256()}
    return json.dumps(made_of, sort_keys=True)


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    from safetensors import safe_open

    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata()
        return load_file(path), metadata
    except (OSError, SafetensorError) as error:
        raise AttackError(
            f"{path}: cannot be read ({error}); train again with --start-over"
        ) from error


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def _forget_after(step: int, log: Path) -> None:
    """Drop the lines of steps that are done again."""
    lines = log.read_text("utf-8").splitlines(keepends=True) if log.exists() else []
    kept = [line for line in lines if json.loads(line)["step"] <= step]
    if lines:
        log.write_text("".join(kept), "utf-8")


def _log(
    out: Path, step: int, losses: list[float], step_s: float, training: Training, say: Say
) -> None:
    loss = float(np.mean(losses))
    with (out / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"step": step, "loss": loss, "seconds_per_step": step_s}) + "\n")
    left_min = step_s * (training.n_steps - step) / 60
    say(f"step {step} of {training.n_steps}, loss {loss:.4f}, about {left_min:.0f} min left")
