"""Two processes that stay for a module of tests, and what they are asked to do there.

Started as a script by torchrun it is the command line, in which one process dies once. Started
alone with the word "both" it is the command line in two processes that torchrun would start.
"""

import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import distributed as dist
from torch import nn

from small_detectors import SMALL, TINY_ENCODER
from unheard.audio.augment import Augment, Step
from unheard.data.batches import Balanced, Batch, BatchSource
from unheard.data.clip import Manifest
from unheard.detectors.ssl_aasist import SslAasist
from unheard.errors import TrainingError
from unheard.training import dev_clips, distributed
from unheard.training import loop as training
from unheard.training.methods import METHODS
from unheard.training.objectives import WeightedCrossEntropy
from unheard.training.plasticity import Plasticity
from unheard.training.recipe import Adam, Budget, Constant, Recipe
from unheard.training.solve import Solve

LONGEST_WAIT_S = 400
TOY = Recipe(
    name="toy",
    detector=SMALL["toy"],
    sampler=Balanced(batch_clips=4),
    augment=Augment((Step("polarity", 0.5), Step("noise", 0.2))),
    # An epsilon that keeps Adam from making a step of the rounding of a gradient that is 0.
    optimiser=Adam(epsilon=1e-3, clip_norm=0.5),
    schedule=Constant(rate=1e-3),
    budget=Budget(n_steps=3, eval_every=1, log_every=1, dev_clips=4, batches_per_step=2),
    window_s=0.5,
    hop_s=0.25,
    seed=5,
)
RECIPES = {
    "toy": TOY,
    "encoder": replace(TOY, detector=SslAasist(encoder=replace(TINY_ENCODER, dropout=0.1))),
    "adapters": replace(TOY, detector=SMALL["ssl_aasist"]),
    "changing": replace(
        TOY,
        detector=SMALL["grnn"],
        method=Plasticity(n_growths=1, first=0.3, grow=1.0, remove=0.5, remove_after=0.3),
    ),
    "probe": replace(TOY, detector=SMALL["linear_states"], method=Solve()),
    "undivided": replace(TOY, budget=Budget(n_steps=6)),
}


class Pair:
    """Two processes in one group, each with one thread; one forks the other, to import once."""

    def __init__(self, store: Path) -> None:
        context = multiprocessing.get_context("spawn")
        ends = [context.Pipe() for _ in range(2)]
        self.pipes = [pipe for pipe, _ in ends]
        theirs = [pipe for _, pipe in ends]
        self.process = context.Process(target=_serve_both, args=(str(store), theirs), daemon=True)
        self.process.start()

    def ask(self, name: str, *arguments: Any) -> list[Any]:
        """Return what a function of this file gives in each process."""
        for pipe in self.pipes:
            pipe.send((name, arguments))
        results = []
        for rank, pipe in enumerate(self.pipes):
            assert pipe.poll(LONGEST_WAIT_S), f"process {rank} does not answer"
            failed, result = pipe.recv()
            assert not failed, f"process {rank}: {result}"
            results.append(result)
        return results

    def close(self) -> None:
        for pipe in self.pipes:
            pipe.send(None)
        self.process.join(60)


def _serve_both(store: str, pipes: list[Any]) -> None:
    torch.set_num_threads(1)
    SMALL["ssl_aasist"].build()  # imports the encoders' library, which takes seconds
    second = os.fork()
    rank = 0 if second else 1
    _serve(rank, store, pipes[rank])
    if second:
        os.waitpid(second, 0)


def _serve(rank: int, store: str, pipe: Any) -> None:
    wait = timedelta(seconds=LONGEST_WAIT_S)
    dist.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=2, timeout=wait
    )
    while asked := pipe.recv():
        name, arguments = asked
        try:
            pipe.send((False, globals()[name](*arguments)))
        except Exception as error:
            pipe.send((True, f"{type(error).__name__}: {error}"))
    dist.destroy_process_group()


def batches(data: Path) -> BatchSource:
    return BatchSource(
        Manifest.read(data).part("train"), Balanced(batch_clips=4), window_s=0.4, seed=0
    )


def gradients_model(method: str, detector: str, data: Path, numbers: list[int]) -> nn.Module:
    """Return a model with the gradients of some batches, added up as the loop does."""
    torch.manual_seed(0)
    model = METHODS[method]().prepare(SMALL[detector].build()).train()
    for number in numbers:
        distributed.seed_draws(0, number)
        METHODS[method]().gradients(model, batches(data)[number], WeightedCrossEntropy())
    return model


def gradients(method: str, detector: str, data: Path) -> float:
    """Return how far this process's gradients are from those of one process, in their own size."""
    alone = gradients_model(method, detector, data, [0, 1])
    shared = gradients_model(method, detector, data, [dist.get_rank()])
    distributed.average_gradients(shared)
    farthest = 0.0
    for weight, other in zip(alone.parameters(), shared.parameters(), strict=True):
        assert (weight.grad is None) == (other.grad is None)
        if weight.grad is not None and other.grad is not None:
            size = weight.grad.abs().max().clamp(min=1e-3)
            farthest = max(farthest, float((other.grad - weight.grad / 2).abs().max() / size))
    return farthest


def given() -> list[Any]:
    """Return means of gradients of 10 * index + rank, of which the last parameter has none."""
    rank = dist.get_rank()
    model: Any = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 1, bias=False))
    for index, parameter in enumerate(model.parameters()):
        parameter.grad = torch.full_like(parameter, 10.0 * index + rank)
    model[2].weight.grad = None
    distributed.average_gradients(model, 2)
    model[1].running_mean.fill_(rank)
    model[1].running_var.fill_(3.0 + rank)
    distributed.average_statistics(model)
    terms = distributed.average_terms(
        [{"a": torch.tensor(1.0 + rank), "_b": torch.tensor(0.0 + rank)}]
    )
    return [
        [None if p.grad is None else p.grad.unique().tolist() for p in model.parameters()],
        [model[1].running_mean.tolist(), model[1].running_var.tolist()],
        {name: term.item() for name, term in terms.items()},
        distributed.of_first(rank, 0.1 + rank),
    ]


def scored(data: Path) -> tuple[list[float], list[str]]:
    """Return the scores of the dev clips, and which of them this process read."""
    read: list[str] = []
    samples = dev_clips._samples

    def spy(manifest: Manifest, clip: Any) -> Any:
        read.append(clip.id)
        return samples(manifest, clip)

    dev_clips._samples = spy
    try:
        scores = dev_clips.dev_scores(
            SMALL["toy"].build().eval(), Manifest.read(data).part("dev"), TOY
        )
    finally:
        dev_clips._samples = samples
    return scores.tolist(), read


def agreed(same: bool) -> str:
    try:
        distributed.check_agreement("a" if same else f"a{dist.get_rank()}")
    except TrainingError as error:
        return str(error)
    return ""


def encoder_share() -> tuple[int, int]:
    """Return how many of the encoder's numbers this process holds, and how many there are."""
    model: Any = RECIPES["encoder"].detector.build()
    n_all = sum(p.numel() for p in model.encoder.parameters())
    distributed.shard(model, torch.device("cpu"))
    local = [p.to_local().numel() for p in model.encoder.parameters()]
    return sum(local), n_all


class Interrupted(BaseException):
    """Stands for a kill: nobody catches it."""


@contextmanager
def stopping(before_batch: int) -> Iterator[None]:
    """Interrupt the training before a batch, counted through all steps."""
    load = BatchSource.__getitem__

    def get(source: BatchSource, number: int) -> Batch:
        if number >= before_batch:
            raise Interrupted
        return load(source, number)

    BatchSource.__getitem__ = get  # type: ignore[method-assign]
    try:
        yield
    finally:
        BatchSource.__getitem__ = load  # type: ignore[method-assign]


def trained(
    name: str, data: Path, out: Path, before_step: int = 1000, sharded: bool = False
) -> list[str]:
    """Return the lines that a run reported, until it ended or was interrupted."""
    lines: list[str] = []
    try:
        with stopping(2 * before_step):
            training.train(
                RECIPES[name], Manifest.read(data), out, sharded=sharded, say=lines.append
            )
    except Interrupted:
        lines.append("interrupted")
    except TrainingError as error:
        lines.append(f"error: {error}")
    return lines


def _dies_once(marker: Path, before_batch: int) -> None:
    """Let process 1 be killed when it comes to a batch, unless it was before."""
    load = BatchSource.__getitem__

    def get(source: BatchSource, number: int) -> Batch:
        if number >= before_batch and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return load(source, number)

    if os.environ["RANK"] == "1":
        BatchSource.__getitem__ = get  # type: ignore[method-assign]


def _both(words: list[str]) -> None:
    """Run a command in this process and in one that it forks, and end as both of them do."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    os.environ |= {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    second = os.fork()
    rank = "0" if second else "1"
    os.environ |= {"RANK": rank, "LOCAL_RANK": rank}
    try:
        main(words)
    finally:
        if second:
            assert os.waitpid(second, 0)[1] == 0


if __name__ == "__main__":
    from unheard.cli.app import main

    if sys.argv[1] == "both":
        _both(sys.argv[2:])
    _dies_once(Path(sys.argv[1]), int(sys.argv[2]))
    main(sys.argv[3:])
