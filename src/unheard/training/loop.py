"""The only training loop: a recipe and a manifest in, a bundle out.

One seed gives one result: the same recipe, clips, machine, number of threads and of processes give
the same weights to the bit, however often the run was killed and resumed. Another number of
either, or another processor, adds up sums in another order.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor, nn

from unheard.data.batches import BatchSource, Terms, total
from unheard.data.clip import Manifest
from unheard.detectors import weights
from unheard.detectors.detector import Detector, fresh, restore
from unheard.errors import TrainingError
from unheard.training import checkpoint, distributed
from unheard.training.checkpoint import (
    Best,
    Checkpoint,
    mean_of,
    moments_of,
    optimizer_of,
    weights_of,
    whole_moments,
)
from unheard.training.dev_clips import (
    check,
    check_held_out,
    dev_scores,
    held_out_clips,
    spread,
    systems,
)
from unheard.training.distributed import Rank
from unheard.training.initial_weights import (
    BUNDLE,
    InitialWeights,
    copy_initial_weights,
    initial_weights_of,
)
from unheard.training.method import Progress
from unheard.training.precision import autocast, gains
from unheard.training.provenance import card_of, dev_table, seen_keys
from unheard.training.recipe import Recipe, recipe_to_json
from unheard.training.run_page import CURVES, EVENTS, PAGE
from unheard.training.supervised import Supervised
from unheard.types import FloatArray, Say

__all__ = ["train"]

CHECKPOINTS, LOG, SETTINGS = "checkpoints", "log.jsonl", "recipe.json"
IN_BATCH, AFTER_STEP = 1, 2
"""What is drawn for: a batch, or a change of the model after a step."""


def _quiet(message: str) -> None:
    """Say nothing."""


def train(
    recipe: Recipe,
    manifest: Manifest,
    out: Path,
    *,
    workers: int = 0,
    resume: bool = True,
    sharded: bool = False,
    say: Say = _quiet,
) -> Path:
    """Train a detector, keep its best step on dev, calibrate it on dev and write its bundle.

    A run that was interrupted resumes from its last checkpoint and ends with the same weights as
    one that was not; a finished run is left as it is. The folder gets

        recipe.json    every setting of the run, and hashes of its clips
        log.jsonl      a line per logged step: learning rate, loss, gradient norm, terms, dev
        checkpoints/   the latest one
        bundle/        the detector

    The best step is the one with the lowest EER on dev, pooled or the mean over systems as the
    recipe chooses; of equal ones that with the lowest Cllr after calibration, then the first. The
    recipe may average its weights with those of checks before it. A recipe without dev parts is
    calibrated on training clips that its method held out.

    Processes that torchrun started share out the batches of each step and the dev clips; the first
    one alone writes and reports progress. The run may resume with another number of them.

    Args:
        recipe: What to train and how.
        manifest: Clips, with the parts that the recipe names.
        out: Folder of the run.
        workers: Processes that load clips next to this one; the result does not depend on it.
        resume: Resume the run in the folder, if there is one; False starts over.
        sharded: Split the encoder over processes, for one that does not fit; see `processes.shard`.
        say: Takes lines of progress.

    Returns:
        The folder of the bundle.

    Raises:
        TrainingError: If the parts do not fit or share material, the folder holds another run, the
            loss is not finite, the batches of a step cannot be shared out evenly, or another
            process ended.
        AudioError: If a clip cannot be read.
    """
    clips, dev = _parts(recipe, manifest)
    method, n_steps, budget = recipe.method, recipe.budget.n_steps, recipe.budget
    few_dev = spread(dev, budget.dev_clips)
    groups = systems(few_dev, clips) if budget.choose_by == "systems" and len(dev) else {}

    with distributed.joined() as rank, _repeatable(recipe.seed, rank.device), ExitStack() as opened:
        _check_shares(recipe, rank, sharded=sharded)
        if rank.is_first and not resume:
            _forget(out)
        distributed.check_agreement("nobody looks before the first has forgotten")
        starts = initial_weights_of(recipe, out, clips, dev)
        identity = _identity(recipe, clips, dev, starts)
        last = checkpoint.latest(out / CHECKPOINTS, identity)
        is_finished = bool(last and last.step == n_steps and (out / BUNDLE).is_dir())
        distributed.check_agreement(json.dumps([identity, last.step if last else 0, is_finished]))
        say = say if rank.is_first else _quiet
        if is_finished:
            say(f"{out}: this run is finished")
            return out / BUNDLE

        begun = last or Checkpoint(0, recipe.detector)
        step, best, recent = begun.step, begun.best, [*begun.recent]
        bfloat16 = False if budget.precision == "float32" else begun.bfloat16
        detector = fresh(begun.spec)
        copy_initial_weights(detector, [] if last else starts)
        model = method.prepare(detector)
        if last:
            restore(model, recent[-1])
            say(f"resuming after step {step} of {n_steps}")
        if sharded:
            distributed.shard(model, rank.device)
        log = opened.enter_context(_log(out, identity, begun) if rank.is_first else BytesIO())
        model.to(rank.device).train()
        optimizer = optimizer_of(recipe.optimiser, model, begun.moments)
        started = time.monotonic() - begun.seconds

        per_step = budget.batches_per_step
        mine = rank.share(step * per_step, n_steps * per_step)
        source = _source(recipe, clips)
        batches = source.batches(mine.start, mine.stop, every=mine.step, workers=workers)
        while step < n_steps:
            rate = recipe.schedule.at(step, n_steps)
            _set_rate(optimizer, rate, step / n_steps)
            optimizer.zero_grad()
            batch_terms = []
            for index in rank.share(step * per_step, (step + 1) * per_step):
                batch = next(batches).to(rank.device)
                if bfloat16 is None:
                    bfloat16 = _in_bfloat16(model, batch.waveform, say)
                distributed.seed_draws(recipe.seed, IN_BATCH, index)
                with autocast(rank.device, bfloat16=bfloat16):
                    batch_terms.append(method.gradients(model, batch, recipe.objective))
            terms = distributed.average_terms(batch_terms)
            distributed.average_gradients(model, len(batch_terms))
            norm = distributed.clip_gradients(model, recipe.optimiser.clip_norm)
            _check_finite(terms, norm, step + 1, rate)
            optimizer.step()
            step += 1

            progress = Progress(step, n_steps, moments_of(model, optimizer))
            distributed.seed_draws(recipe.seed, AFTER_STEP, step)
            if method.after_step(model, progress):
                optimizer = optimizer_of(recipe.optimiser, model, progress.moments)
                recent = []  # of other units, even where shapes are the same

            line: dict[str, float] = {}
            if step % budget.log_every == 0:
                line = {"rate": rate, "loss": total(terms).item(), "gradient_norm": norm.item()}
                line |= {name: term.item() for name, term in terms.items()}
            checking = step % budget.eval_every == 0 or step == n_steps
            if checking:
                distributed.average_statistics(model)
                if len(dev):
                    checked = check(model, few_dev, groups, recipe)
                else:
                    checked = check_held_out(*_held_out(recipe, model, source, step * per_step))
                line |= checked.line()
                spec = method.spec(model, recipe.detector)
                recent = [*recent, weights_of(model)][-budget.average :]
                if best is None or (checked.error, checked.cllr) < (best.eer, best.cllr):
                    best = Best(step, checked.error, checked.cllr, spec, mean_of(recent))
                say(_progress_line(step, n_steps, checked.error, best, time.monotonic() - started))
            if line:
                log.write(json.dumps({"step": step, **line}).encode() + b"\n")
                log.flush()
            if checking:
                now = Checkpoint(
                    step=step,
                    spec=spec,
                    recent=recent,
                    moments=whole_moments(moments_of(model, optimizer)),
                    best=best,
                    log_bytes=log.tell(),
                    seconds=time.monotonic() - started,
                    bfloat16=bfloat16,
                )
                if rank.is_first:
                    checkpoint.store(out / CHECKPOINTS, now, identity)

        assert best is not None
        model = method.prepare(fresh(best.spec))
        restore(model, best.weights)
        detector, dev, scores = _finished(recipe, model.to(rank.device), dev, source)
        if not rank.is_first:
            return out / BUNDLE
        before = {initial.path: initial.bundle.card for initial in starts}
        seconds = time.monotonic() - started
        card = card_of(recipe, clips, dev, scores, best, seconds=seconds, before=before)
        say(f"best step {best.step}; calibrated on {len(dev)} clips")
        return weights.save(
            out / BUNDLE,
            detector,
            best.spec,
            card,
            seen=seen_keys(clips, dev),
            init_from=[initial.bundle for initial in starts],
            dev_scores=dev_table(dev.table, scores, card.calibration),
        )


def _parts(recipe: Recipe, manifest: Manifest) -> tuple[Manifest, Manifest]:
    """Return the clips to train and to check on: disjoint, of both classes, not for evaluation."""
    for name in (*recipe.train_parts, *recipe.dev_parts):
        if re.search(r"(^|[^a-z])(eval|test)", name.lower()):
            raise TrainingError(
                f"the recipe would train or tune on part {name!r}, which is for evaluation; "
                "set train_parts and dev_parts to other parts"
            )
    clips, dev = manifest.part(*recipe.train_parts), manifest.part(*recipe.dev_parts)
    if not recipe.dev_parts:
        return clips, dev
    train_name, dev_name = "+".join(recipe.train_parts), "+".join(recipe.dev_parts)
    for name, part in ((train_name, clips), (dev_name, dev)):
        bonafide = part.bonafide()
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
                "detector; split the manifest again, set other dev_parts, or, if it is the corpus' "
                "own split, name the column in the recipe's may_share"
            )
    return clips, dev


def _finished(
    recipe: Recipe, model: nn.Module, dev: Manifest, source: BatchSource
) -> tuple[Detector, Manifest, FloatArray]:
    """Return the detector, the clips that calibrate it, and their scores."""
    n_batches = recipe.budget.n_steps * recipe.budget.batches_per_step
    held_out = None if len(dev) else _held_out(recipe, model, source, n_batches)
    detector = recipe.method.finish(model).eval()
    return detector, *(held_out or (dev, dev_scores(detector, dev, recipe)))


def _held_out(
    recipe: Recipe, model: nn.Module, source: BatchSource, n_batches: int
) -> tuple[Manifest, FloatArray]:
    """Return the training clips that were held out of a fit in turn, and their scores; or raise."""
    scores = recipe.method.held_out(model)
    if scores is None:
        raise TrainingError(
            "the recipe names no dev_parts, and its method holds no clip out to calibrate on; name "
            "a part, as dev_parts=dev, or take the method solve with hold_out"
        )
    return held_out_clips(source.manifest, source.rows(n_batches)[: len(scores)], scores)


def _known(part: Manifest, column: str) -> set[str]:
    """Return what a column holds; a recording that was not copied is its own source."""
    values = set(part.column(column)) - {""}
    return values | set(part.column("id")) if column == "source_clip" else values


def _check_shares(recipe: Recipe, rank: Rank, *, sharded: bool) -> None:
    """Raise unless processes can take as many batches of a step each, and share the model."""
    per_step = recipe.budget.batches_per_step
    if per_step % rank.size:
        raise TrainingError(
            f"{rank.size} processes share out the batches of a step, and "
            f"budget.batches_per_step is {per_step}; set it to a multiple of "
            f"{rank.size}, as with --set budget.batches_per_step={rank.size}, and "
            "make the sampler's batches smaller if a step is to see as many clips as before"
        )
    if sharded and type(recipe.method) is not Supervised:
        raise TrainingError(
            f"the method {type(recipe.method).__name__} steps or changes weights that --sharded "
            "leaves on other processes; leave --sharded out: adapters and a frozen encoder need "
            "little memory"
        )


def _identity(
    recipe: Recipe, clips: Manifest, dev: Manifest, starts: Sequence[InitialWeights]
) -> dict[str, object]:
    """Return what a run that resumes must have in common with the one that began."""
    identity: dict[str, object] = {
        "recipe": recipe_to_json(recipe),
        "manifests": {"train": clips.sha256(), "dev": dev.sha256()},
    }
    if starts:
        identity["parts"] = {initial.path: initial.sha256 for initial in starts}
    return identity


def _source(recipe: Recipe, clips: Manifest) -> BatchSource:
    return BatchSource(
        clips, recipe.sampler, window_s=recipe.window_s, seed=recipe.seed, augment=recipe.augment
    )


def _in_bfloat16(model: nn.Module, waveform: Tensor, say: Say) -> bool:
    """Return what the first process finds on its first batch, so that all compute alike."""
    (gain,) = distributed.of_first(float(gains(model, waveform)))
    say("forward passes in " + ("bfloat16" if gain else "float32"))
    return bool(gain)


def _log(out: Path, identity: Mapping[str, object], begun: Checkpoint) -> BinaryIO:
    """Write down what is run; return the log, cut to what the checkpoint knows of."""
    out.mkdir(parents=True, exist_ok=True)
    (out / SETTINGS).write_text(json.dumps(identity, indent=2) + "\n")
    log = (out / LOG).open("ab")
    log.truncate(begun.log_bytes)
    return log


def _set_rate(optimizer: torch.optim.Optimizer, rate: float, progress: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate * group["scale"] if progress >= group["waits"] else 0.0


def _check_finite(terms: Terms, norm: Tensor, step: int, rate: float) -> None:
    values = {name: term.item() for name, term in terms.items()} | {"gradient norm": norm.item()}
    if not all(math.isfinite(value) for value in values.values()):
        shown = ", ".join(f"{name} {value:g}" for name, value in values.items())
        raise TrainingError(
            f"step {step} is not finite ({shown}) at learning rate {rate:g}; lower schedule.rate, "
            "lower optimiser.clip_norm, or look for broken recordings with `unheard corpus check`"
        )


@contextmanager
def _repeatable(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch and choose kernels that repeat; leave the caller's generators as they were."""
    flags = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True)
    gpus = [torch.cuda.current_device()] if device.type == "cuda" else []
    with torch.random.fork_rng(gpus), flags:
        torch.manual_seed(seed)
        yield


def _forget(out: Path) -> None:
    """Remove what an earlier run left in a folder, and nothing else."""
    for name in (CHECKPOINTS, BUNDLE, EVENTS):
        shutil.rmtree(out / name, ignore_errors=True)
    for name in (LOG, SETTINGS, PAGE, CURVES):
        (out / name).unlink(missing_ok=True)


def _progress_line(step: int, n_steps: int, eer: float, best: Best, seconds: float) -> str:
    left = seconds / step * (n_steps - step)
    return (
        f"step {step}/{n_steps}: dev EER {eer:.2%}, best {best.eer:.2%} at step {best.step}; "
        f"{seconds / 60:.1f} min, about {left / 60:.1f} left"
    )
