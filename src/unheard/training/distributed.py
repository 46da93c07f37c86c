"""One run on many processes: who takes what, and how what they found becomes one.

A step of a recipe is the mean over its batches (`budget.batches_per_step`). Processes share out
whole batches and never divide one, and what a batch draws depends on its number alone. So normal-
isation over a batch, losses that compare clips, dropout and methods that step inside of a step see
what they see in one process, and the mean over processes is the mean over the step.

torchrun lists the processes in the environment. A process that was started alone is the only one,
and nothing here has an effect.
"""

from __future__ import annotations

import hashlib
import math
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, distributed, nn

from unheard.data.batches import Terms
from unheard.detectors.layers.encoder import SpeechEncoder
from unheard.errors import TrainingError
from unheard.types import FloatArray

__all__ = [
    "TIMEOUT_S",
    "Rank",
    "average_gradients",
    "average_statistics",
    "average_terms",
    "check_agreement",
    "clip_gradients",
    "gathered",
    "held_as",
    "is_first",
    "is_sharded",
    "joined",
    "n_processes",
    "of_first",
    "seed_draws",
    "shard",
    "shared_out",
    "whole",
]

TIMEOUT_S = 600.0
"""A process that has waited so long for another ends the run."""

TORCHRUN = {"RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"}
RESUME_HINT = "the last checkpoint is whole: give the same command again to resume from it"


@dataclass(frozen=True)
class Rank:
    """Where a process stands among those of its run.

    Attributes:
        rank: Its number, from 0; the first one writes and reports.
        size: How many processes there are.
        device: What it computes on.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this process writes the log, checkpoints and the bundle."""
        return self.rank == 0

    def share(self, start: int, stop: int) -> range:
        """Return which batches of start to stop - 1 this process takes, every size-th of them."""
        return range(start + self.rank, stop, self.size)


@contextmanager
def joined(timeout_s: float = TIMEOUT_S) -> Iterator[Rank]:
    """Join the processes that torchrun started next to this one, and leave them at the end.

    Gloo connects them on processors, NCCL on GPUs, of which each process takes the one that
    LOCAL_RANK names. A process group that the caller made is used and kept; with GPUs it must
    connect processors too ("cpu:gloo,cuda:nccl").

    Args:
        timeout_s: How long to wait for another process before giving up.

    Raises:
        TrainingError: If another process ended or does not answer, this one was asked to stop, or
            there are more processes than GPUs.
    """
    is_ours = _is_launched() and not _is_connected()
    if not is_ours:
        with _lost_process_error():
            yield Rank(_rank(), n_processes(), _device(None))
        return
    device = _device(int(os.environ["LOCAL_RANK"]))
    with _lost_process_error(), _stoppable():
        distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
            timeout=timedelta(seconds=timeout_s),
        )
        yield Rank(_rank(), n_processes(), device)
    distributed.destroy_process_group()  # not after an error: it would wait for those that ended


def n_processes() -> int:
    """Return how many processes work on this run; 1 without a process group."""
    return distributed.get_world_size() if _is_connected() else 1


def is_first() -> bool:
    """Return whether this process writes and reports for the run, before, in or after it."""
    return _rank() == 0


def check_agreement(text: str) -> None:
    """Wait for all processes and make sure that each was about to do the same.

    Args:
        text: Anything that must be the same everywhere.

    Raises:
        TrainingError: In all of them, if it is not.
    """
    if n_processes() == 1:
        return
    mine = torch.frombuffer(bytearray(hashlib.sha256(text.encode()).digest()), dtype=torch.uint8)
    digests = [torch.empty_like(mine) for _ in range(n_processes())]
    distributed.all_gather(digests, mine)
    others = [rank for rank, digest in enumerate(digests) if not torch.equal(digest, digests[0])]
    if others:
        raise TrainingError(
            f"processes {', '.join(map(str, others))} have another recipe, other data or another "
            "checkpoint than process 0; start all with the same command, with --data and --out in "
            "folders that all machines share"
        )


def seed_draws(seed: int, *number: int) -> None:
    """Seed torch's generators for one batch, or for one change of the model.

    So what is drawn depends on neither the number of processes nor on interruptions.

    Args:
        seed: Of the recipe.
        number: A number that this call shares with no other.
    """
    (state,) = np.random.SeedSequence((seed, *number)).generate_state(1, np.uint64)
    torch.manual_seed(int(state))


def average_gradients(model: nn.Module, n_batches: int = 1) -> None:
    """Set every gradient to its mean over processes and over the batches that each summed up.

    All processes call it, with gradients in the same parameters. Gradients of shards have been
    averaged over processes already, by the pass that made them.

    Args:
        model: Holds the gradients.
        n_batches: How many batches this process summed up.
    """
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    if n_batches > 1:
        for gradient in gradients:
            gradient /= n_batches
    _average([gradient for gradient in gradients if not _is_shard(gradient)])


def average_statistics(model: nn.Module) -> None:
    """Set the running statistics of batch normalisation to their mean over processes.

    They are linear in the batches and no training pass reads them, so doing it now and then is
    doing it every step.
    """
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._NormBase)]
    statistics = [
        statistic for norm in norms for statistic in (norm.running_mean, norm.running_var)
    ]
    _average([statistic for statistic in statistics if statistic is not None])


def average_terms(parts: Sequence[Terms]) -> Terms:
    """Return the mean of each term over the batches of a step, those of other processes too.

    Args:
        parts: Terms of each batch that this process took, by the same names everywhere.
    """
    mean = parts[0]
    if len(parts) > 1:
        mean = {name: torch.stack([part[name] for part in parts]).mean() for name in mean}
    if n_processes() == 1:
        return mean
    values = [value.detach().clone() for value in mean.values()]
    _average(values)
    return dict(zip(mean, values, strict=True))


def shared_out(score: Callable[[int], float], n: int, *, in_step: bool = False) -> FloatArray:
    """Return score(0) to score(n - 1), shape [n], to all processes; each computes a share of them.

    Args:
        score: Gives a finite number.
        n: How many.
        in_step: Let every process compute all of them, as the passes of a sharded model ask for.
    """
    scores = np.zeros(n)
    for row in range(n) if in_step else range(_rank(), n, n_processes()):
        scores[row] = score(row)
    if n_processes() > 1 and not in_step:
        distributed.all_reduce(torch.from_numpy(scores))
    return scores


def of_first(*numbers: float) -> list[float]:
    """Return the numbers that the first process gave, so that all decide alike by them."""
    if n_processes() == 1:
        return list(numbers)
    shared = torch.tensor(numbers, dtype=torch.float64)
    distributed.broadcast(shared, 0)
    return [float(number) for number in shared]


def gathered(rows: Tensor) -> Tensor:
    """Return the rows of all processes by rank: of a step's batches, in their order.

    All processes call it, once for each batch.

    Args:
        rows: Shape [B, ...], on the processor, of the same shape in all processes.
    """
    if n_processes() == 1:
        return rows
    everyone = [torch.empty_like(rows) for _ in range(n_processes())]
    distributed.all_gather(everyone, rows.contiguous())
    return torch.cat(everyone)


def shard(model: nn.Module, device: torch.device) -> None:
    """Let each process hold a share of every tensor of the model's encoder, in place.

    A layer is put together when a pass comes to it, and its gradient is averaged and divided again
    on the way back (fully sharded data parallel). What is not in the encoder stays whole.

    Args:
        model: On any device, the same in all processes.
        device: Where the shares go.

    Raises:
        TrainingError: If the model has no speech encoder.

    Source:
        Rajbhandari et al., ZeRO, 2020, stage 3; Zhao et al., PyTorch FSDP, 2023.
    """
    encoder = getattr(model, "encoder", None)
    if not isinstance(encoder, SpeechEncoder):
        raise TrainingError(
            f"{type(model).__name__} has no speech encoder to share out; leave --sharded out, it "
            "is for encoders that do not fit"
        )
    if n_processes() == 1:
        return
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device.type, (n_processes(),))
    for part in (*encoder.layers, encoder):
        fully_shard(part, mesh=mesh, reshard_after_forward=True)


def is_sharded(model: nn.Module) -> bool:
    """Return whether processes hold shares of the model; passes then need all of them."""
    return any(_is_shard(parameter) for parameter in model.parameters())


def whole(value: Tensor) -> Tensor:
    """Return a tensor put together from its shares; all processes call it. Others are returned."""
    put_together: Tensor = cast(Any, value).full_tensor() if _is_shard(value) else value
    return put_together


def held_as(parameter: Tensor, value: Tensor) -> Tensor:
    """Return a whole tensor as a parameter of its shape is held: on its device, or as a share."""
    value = value.to(parameter.device)
    if not _is_shard(parameter):
        return value
    from torch.distributed.tensor import DTensor, distribute_tensor

    like = cast(DTensor, parameter)
    # Every process has the whole tensor, so nothing is sent.
    shared: Tensor = distribute_tensor(value, like.device_mesh, like.placements, src_data_rank=None)
    return shared


def clip_gradients(model: nn.Module, largest: float) -> Tensor:
    """Scale gradients to a norm of at most `largest` (0 for no limit); return what it was.

    The norm is that of the whole gradient, of shares that other processes hold too.
    """
    parameters = [p for p in model.parameters() if p.grad is not None]
    sharded = [p for p in parameters if _is_shard(p)]
    if not sharded:
        return nn.utils.clip_grad_norm_(parameters, largest or math.inf)
    groups = [sharded, [p for p in parameters if not _is_shard(p)]]
    norms = [whole(nn.utils.get_total_norm([cast(Tensor, p.grad) for p in g])) for g in groups if g]
    norm: Tensor = torch.linalg.vector_norm(torch.stack(norms))
    for group in groups:
        nn.utils.clip_grads_with_norm_(group, largest or math.inf, norm)
    return norm


def _average(tensors: Sequence[Tensor]) -> None:
    """Set tensors to their mean over processes, in place, in one message."""
    if n_processes() == 1 or not tensors:
        return
    joined_up = torch.cat([tensor.flatten() for tensor in tensors])
    distributed.all_reduce(joined_up)
    joined_up /= n_processes()
    sizes = [tensor.numel() for tensor in tensors]
    for tensor, mean in zip(tensors, torch.split(joined_up, sizes), strict=True):
        tensor.copy_(mean.view_as(tensor))


def _is_shard(value: Tensor) -> bool:
    # By what it can do: importing its class takes a second, which few runs need.
    return hasattr(value, "full_tensor")


def _is_launched() -> bool:
    return os.environ.keys() >= TORCHRUN


def _is_connected() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def _rank() -> int:
    if _is_connected():
        return distributed.get_rank()
    return int(os.environ["RANK"]) if _is_launched() else 0


def _device(local_rank: int | None) -> torch.device:
    """Return the GPU of this process, or the processor if there are none."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    if local_rank is None:
        return torch.device("cuda")
    n_gpus = torch.cuda.device_count()
    if local_rank >= n_gpus:
        raise TrainingError(
            f"this is process {local_rank + 1} of a machine with {n_gpus} GPUs; start torchrun "
            f"with --nproc-per-node {n_gpus}"
        )
    torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)


@contextmanager
def _lost_process_error() -> Iterator[None]:
    """Turn the errors of a connection that broke or stayed silent into one that says what to do."""
    try:
        yield
    except RuntimeError as error:
        # Gloo's errors have no type of their own.
        lost = distributed.is_available() and isinstance(error, distributed.DistError)
        if not (lost or "gloo" in str(error)):
            raise
        message = str(error).partition("\n")[0]
        raise TrainingError(
            f"process {_rank()} lost the others: one ended, or did not answer in time; "
            f"{RESUME_HINT} ({message})"
        ) from error


@contextmanager
def _stoppable() -> Iterator[None]:
    """Let SIGTERM, which torchrun sends when another process ended, end the run with a word."""

    def stop(number: int, frame: object) -> None:
        raise TrainingError(
            f"process {_rank()} was asked to stop, as torchrun does when another one ended; "
            f"{RESUME_HINT}"
        )

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except BaseException:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the error is still to be reported
        raise
    signal.signal(signal.SIGTERM, before)
