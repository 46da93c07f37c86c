"""The only training loop: a recipe and a manifest in, a bundle out.

One seed gives one result: the same recipe, clips, machine and number of threads give the same
weights to the bit, however often the run was killed and resumed. Another number of threads, or
another processor, adds up sums in another order.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, distributed, nn

from unheard import audio, checkpoint, metrics
from unheard.batch import BatchSource, Terms, total
from unheard.checkpoint import Best, Checkpoint, weights_of
from unheard.clip import Clip, Manifest
from unheard.detectors import bundle
from unheard.detectors.detector import Detector, fresh, restore, window_scores
from unheard.errors import TrainingError
from unheard.methods import Moments, Progress
from unheard.provenance import card_of, dev_table, seen_keys
from unheard.recipe import Recipe, recipe_to_json
from unheard.score import pooled
from unheard.types import FloatArray

__all__ = ["average_gradients", "dev_scores", "train"]

BUNDLE, CHECKPOINTS, LOG, SETTINGS = "bundle", "checkpoints", "log.jsonl", "recipe.json"


def _quiet(message: str) -> None:
    """Say nothing."""


def train(
    recipe: Recipe,
    manifest: Manifest,
    out: Path,
    *,
    workers: int = 0,
    resume: bool = True,
    say: Callable[[str], None] = _quiet,
) -> Path:
    """Train a detector, keep its best step on dev, calibrate it on dev and write its bundle.

    A run that was interrupted goes on from its last checkpoint and ends with the same weights as
    one that was not; a finished run is left as it is. The folder gets

        recipe.json    every setting of the run, and hashes of its clips
        log.jsonl      a line per logged step: learning rate, loss, gradient norm, terms, dev
        checkpoints/   the latest one
        bundle/        the detector

    The best step is the one with the lowest EER on dev; of equal ones that with the lowest Cllr
    after calibration, then the first.

    Args:
        recipe: What to train and how.
        manifest: Clips, with the parts that the recipe names.
        out: Folder of the run.
        workers: Processes that load clips beside this one; the result does not depend on it.
        resume: Go on with the run in the folder, if there is one; False starts over.
        say: Told about progress, a line at a time.

    Returns:
        The folder of the bundle.

    Raises:
        TrainingError: If the parts do not fit or share material, the folder holds another run, or
            the loss is not finite.
        AudioError: If a clip cannot be read.
    """
    clips, dev = _parts(recipe, manifest)
    _check_after(recipe, out)
    identity = {
        "recipe": recipe_to_json(recipe),
        "manifests": {"train": clips.sha256(), "dev": dev.sha256()},
    }
    if not resume:
        _forget(out)
    found = checkpoint.latest(out / CHECKPOINTS, identity)
    method, n_steps, budget = recipe.method, recipe.budget.n_steps, recipe.budget
    if found and found.step == n_steps and (out / BUNDLE).is_dir():
        say(f"{out}: this run is finished")
        return out / BUNDLE
    out.mkdir(parents=True, exist_ok=True)
    (out / SETTINGS).write_text(json.dumps(identity, indent=2) + "\n")
    source = BatchSource(
        clips,
        recipe.sampler,
        window_s=recipe.window_s,
        seed=recipe.seed,
        augment=recipe.augment,
    )
    few_dev = _spread(dev, budget.dev_clips)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    with _repeatable(recipe.seed), (out / LOG).open("ab") as log:
        step, best, seconds, moments, log_bytes = 0, None, 0.0, Moments(), 0
        model = method.prepare(fresh(found.spec if found else recipe.detector))
        if found:
            step, best, seconds = found.step, found.best, found.seconds
            moments, log_bytes = found.moments, found.log_bytes
            restore(model, found.weights)
            _set_generators(found.generators)
            say(f"going on after step {step} of {n_steps}")
        log.truncate(log_bytes)
        model.to(device).train()
        optimizer = _optimizer(recipe, model, moments)
        started = time.monotonic() - seconds

        per_step = budget.batches_per_step
        batches = source.batches(step * per_step, n_steps * per_step, workers=workers)
        while step < n_steps:
            rate = recipe.schedule.at(step, n_steps)
            for group in optimizer.param_groups:
                group["lr"] = rate * group["scale"]
            optimizer.zero_grad()
            parts = []
            for batch in islice(batches, per_step):
                with _precision(device, budget.precision):
                    parts.append(method.gradients(model, batch.to(device), recipe.objective))
            terms = _mean(parts)
            average_gradients(model, per_step)
            norm = _clip(model, recipe.optimiser.clip_norm)
            _check_finite(terms, norm, step + 1, rate)
            optimizer.step()
            step += 1

            progress = Progress(step, n_steps, _moments(model, optimizer))
            if method.after_step(model, progress):
                optimizer = _optimizer(recipe, model, progress.moments)

            line: dict[str, Any] = {}
            if step % budget.log_every == 0:
                line = {"rate": rate, "loss": total(terms).item(), "gradient_norm": norm.item()}
                line |= {name: term.item() for name, term in terms.items()}
            checking = step % budget.eval_every == 0 or step == n_steps
            if checking:
                eer, cllr = _dev_check(model, few_dev, recipe)
                line |= {"dev_eer": eer, "dev_cllr": cllr}
                if best is None or (eer, cllr) < (best.eer, best.cllr):
                    spec = method.spec(model, recipe.detector)
                    best = Best(step, eer, cllr, spec, weights_of(model))
                say(_told(step, n_steps, eer, best, time.monotonic() - started))
            if line:
                log.write(json.dumps({"step": step, **line}).encode() + b"\n")
                log.flush()
            if checking:
                now = Checkpoint(
                    step=step,
                    spec=method.spec(model, recipe.detector),
                    weights=weights_of(model),
                    moments=_moments(model, optimizer),
                    best=best,
                    log_bytes=log.tell(),
                    seconds=time.monotonic() - started,
                    generators=_generators(),
                )
                checkpoint.store(out / CHECKPOINTS, now, identity)

        assert best is not None
        model = method.prepare(fresh(best.spec))
        restore(model, best.weights)
        detector = method.finish(model.to(device)).eval()
        scores = dev_scores(detector, dev, recipe)
        card = card_of(recipe, clips, dev, scores, best, seconds=time.monotonic() - started)
        say(f"best step {best.step}; calibrated on {len(dev)} dev clips")
        return bundle.save(
            out / BUNDLE,
            detector,
            best.spec,
            card,
            seen=seen_keys(clips, dev),
            dev_scores=dev_table(dev, scores, card.calibration),
        )


def average_gradients(model: nn.Module, n_batches: int = 1) -> None:
    """Set every gradient to its mean over processes and over the batches that each summed up.

    All processes call it, with gradients in the same parameters.
    """
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    if n_batches > 1:
        for gradient in gradients:
            gradient /= n_batches
    if not (distributed.is_available() and distributed.is_initialized()):
        return
    joined = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(joined)
    joined /= distributed.get_world_size()
    sizes = [gradient.numel() for gradient in gradients]
    for gradient, mean in zip(gradients, torch.split(joined, sizes), strict=True):
        gradient.copy_(mean.view_as(gradient))


def dev_scores(model: nn.Module, manifest: Manifest, recipe: Recipe) -> FloatArray:
    """Return the raw score of each clip, shape [N], by the function that inference uses.

    Args:
        model: In evaluation mode; a detector, or one as a method prepared it.
        manifest: N clips; they are scored as they are, whatever the recipe does to training clips.
        recipe: Says how clips are cut and windows pooled.
    """
    score = partial(
        pooled,
        partial(window_scores, cast(Detector, model)),
        window_s=recipe.window_s,
        hop_s=recipe.hop_s,
        pooling=recipe.pooling,
    )
    return np.array([score(_samples(manifest, clip)) for clip in manifest])


def _samples(manifest: Manifest, clip: Clip) -> FloatArray:
    """Return all of a clip, shape [T], from a file of its own or from a shard."""
    return audio.read(manifest.audio(clip), name=str(manifest.file(clip))).samples


def _dev_check(model: nn.Module, dev: Manifest, recipe: Recipe) -> tuple[float, float]:
    """Return EER and calibrated Cllr of a model on dev clips; leave it in training mode."""
    scores = dev_scores(model.eval(), dev, recipe)
    model.train()
    bonafide = dev.column("bonafide").astype(bool)
    human, machine = scores[bonafide], scores[~bonafide]
    calibrate = metrics.fit_calibration(human, machine)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", metrics.TiesWarning)  # usual in the first steps
        eer = metrics.eer(human, machine)
    return eer, metrics.cllr(calibrate(human), calibrate(machine))


def _parts(recipe: Recipe, manifest: Manifest) -> tuple[Manifest, Manifest]:
    """Return the clips to train on and to check on; both honest, of both classes, and apart."""
    for name in (*recipe.train_parts, *recipe.dev_parts):
        if re.search(r"(^|[^a-z])(eval|test)", name.lower()):
            raise TrainingError(
                f"the recipe would train or tune on part {name!r}, which is for evaluation; "
                "set train_parts and dev_parts to other parts"
            )
    clips, dev = manifest.part(*recipe.train_parts), manifest.part(*recipe.dev_parts)
    train_name, dev_name = "+".join(recipe.train_parts), "+".join(recipe.dev_parts)
    for name, part in ((train_name, clips), (dev_name, dev)):
        bonafide = part.column("bonafide").astype(bool)
        if bonafide.all() or not bonafide.any():
            raise TrainingError(
                f"part {name!r} has {int(bonafide.sum())} bona fide and "
                f"{int((~bonafide).sum())} spoofed clips; at least one of each is needed: "
                "build or import a manifest that has both"
            )
    for column in sorted({"sha256", "source_clip", "speaker"} - set(recipe.may_share)):
        shared = _known(clips, column) & _known(dev, column)
        if shared:
            raise TrainingError(
                f"parts {train_name!r} and {dev_name!r} share {len(shared)} "
                f"values of {column!r}, such as {min(shared)!r}, so dev would flatter the "
                "detector; split the manifest anew, set other dev_parts, or, if it is the corpus' "
                "own split, name the column in the recipe's may_share"
            )
    return clips, dev


def _known(part: Manifest, column: str) -> set[str]:
    """Return what a column holds; a recording that was not copied is its own source."""
    found = set(part.column(column)) - {""}
    return found | set(part.column("id")) if column == "source_clip" else found


def _check_after(recipe: Recipe, out: Path) -> None:
    for name in recipe.after:
        if not (out.parent / name / BUNDLE).is_dir():
            raise TrainingError(
                f"recipe {recipe.name!r} stands on {name!r}, and {out.parent / name} holds no "
                f"bundle; train that recipe first, with --out {out.parent / name}"
            )


def _spread(dev: Manifest, n_clips: int) -> Manifest:
    """Return at most n_clips of a manifest, half of each class, evenly spread; 0 for all."""
    if not 0 < n_clips < len(dev):
        return dev
    bonafide = dev.column("bonafide").astype(bool)
    chosen = np.zeros(len(dev), bool)
    for rows in (np.flatnonzero(bonafide), np.flatnonzero(~bonafide)):
        n = min(len(rows), max(n_clips // 2, 1))
        chosen[rows[np.linspace(0, len(rows) - 1, n).round().astype(int)]] = True
    return dev.where(chosen)


def _optimizer(recipe: Recipe, model: nn.Module, moments: Moments) -> torch.optim.Optimizer:
    """Return a new optimizer that starts with moments, by parameter name."""
    optimizer = recipe.optimiser.build(model)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and name in moments:
            for kind, value in moments[name].items():
                assert value.ndim == 0 or value.shape == parameter.shape, f"{kind} of {name}"
                optimizer.state[parameter][kind] = (
                    value.to(parameter.device) if value.ndim else value.clone()
                )
    return optimizer


def _moments(model: nn.Module, optimizer: torch.optim.Optimizer) -> Moments:
    """Return the state of the optimizer by parameter name, not copied."""
    return {
        name: dict(optimizer.state[parameter])
        for name, parameter in model.named_parameters()
        if parameter in optimizer.state
    }


def _mean(parts: list[Terms]) -> Terms:
    """Return the mean of each term over the batches of a step."""
    if len(parts) == 1:
        return parts[0]
    return {name: torch.stack([part[name] for part in parts]).mean() for name in parts[0]}


def _precision(device: torch.device, name: str) -> torch.autocast:
    """Return the context that forward passes run in; a processor stays at float32."""
    wanted = name == "bfloat16" and device.type != "cpu"
    return torch.autocast(device.type, torch.bfloat16, enabled=wanted)


def _clip(model: nn.Module, largest: float) -> Tensor:
    """Scale gradients to a norm of at most `largest` (0 for no limit); return what it was."""
    return nn.utils.clip_grad_norm_(model.parameters(), largest or math.inf)


def _check_finite(terms: Terms, norm: Tensor, step: int, rate: float) -> None:
    values = {name: term.item() for name, term in terms.items()} | {"gradient norm": norm.item()}
    if not all(math.isfinite(value) for value in values.values()):
        told = ", ".join(f"{name} {value:g}" for name, value in values.items())
        raise TrainingError(
            f"step {step} is not finite ({told}) at learning rate {rate:g}; lower schedule.rate, "
            "lower optimiser.clip_norm, or look for broken recordings with `unheard corpus check`"
        )


@contextmanager
def _repeatable(seed: int) -> Iterator[None]:
    """Seed torch and choose kernels that repeat; leave the caller's generators as they were."""
    flags = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True)
    with torch.random.fork_rng(), flags:
        torch.manual_seed(seed)
        yield


def _generators() -> dict[str, Tensor]:
    states = {"cpu": torch.get_rng_state()}
    for index in range(torch.cuda.device_count()):
        states[f"cuda:{index}"] = torch.cuda.get_rng_state(index)
    return states


def _set_generators(states: dict[str, Tensor]) -> None:
    torch.set_rng_state(states["cpu"])
    for index in range(torch.cuda.device_count()):
        if f"cuda:{index}" in states:
            torch.cuda.set_rng_state(states[f"cuda:{index}"], index)


def _forget(out: Path) -> None:
    """Remove what an earlier run left in a folder, and nothing else."""
    for name in (CHECKPOINTS, BUNDLE):
        shutil.rmtree(out / name, ignore_errors=True)
    for name in (LOG, SETTINGS):
        (out / name).unlink(missing_ok=True)


def _told(step: int, n_steps: int, eer: float, best: Best, seconds: float) -> str:
    left = seconds / step * (n_steps - step)
    return (
        f"step {step}/{n_steps}: dev EER {eer:.2%}, best {best.eer:.2%} at step {best.step}; "
        f"{seconds / 60:.1f} min, about {left / 60:.1f} left"
    )
