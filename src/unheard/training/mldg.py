"""Meta-learning for domain generalisation: steps that help domains they were not made for.

Every step splits the domains of a batch at random into meta-train and meta-test. An inner step is
taken on meta-train, the loss on meta-test is measured after it, and both losses are minimised.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from unheard.data.batches import Batch, Terms, total
from unheard.detectors.detector import Detector, outputs
from unheard.errors import RecipeError, TrainingError, check_choices
from unheard.training.method import Objective
from unheard.training.supervised import Supervised

__all__ = ["Mldg"]

Slopes = list[Tensor | None]
"""A gradient by parameter, in their order; None where the loss does not depend on one."""

ADAM_EPSILON = 1e-8


@dataclass(frozen=True)
class Mldg(Supervised):
    """Minimise F(w) + beta G(w'), where w' = w - inner_rate dF(w).

    F is the objective on the meta-train domains, G on the meta-test domains; w are the parameters
    that are trained. A domain is a value of `Batch.domain`; clips of domain -1 belong to all.
    `ByDomain` composes fitting batches: with as many clips of each domain and class, F and G are
    the means over their domains.

    First order adds up dF(w) and beta dG(w'), each the gradient where it was taken; second order is
    the exact gradient, (I - inner_rate d2F(w)) dG(w') in the second place. With beta = 0 all
    domains are meta-train, which is supervised training.

    The clips of a split pass the detector together, so batch normalisation sees all its domains.
    Running statistics move once per batch, in the first meta-train pass. Only parameters that are
    trained have a copy, w'.

    Attributes:
        order: "first" is the paper's choice; "second" costs more time and memory.
        inner: "sgd" as in Li et al.; "adam" is one step of Adam from rest, as in DomainBed, without
            its weight decay. The paper's is not known.
        inner_rate: Step size of the inner step. Not known of the paper; 0.01 is what a later work
            on the same task used (with "sgd"), DomainBed's is the outer rate.
        beta: Weight of meta-test. Not known of the paper; 1 is DomainBed's, the later work's 0.5.
        n_meta_test: Domains of a step that are meta-test. Not known of the paper; DomainBed's
            default is 2, its search takes 1 and 2.
        pairing: "all" takes one inner step on all meta-train domains and measures all meta-test
            domains; "zip" takes one for each meta-train domain, measures one meta-test domain after
            it, in turn, and averages over pairs, as DomainBed does (it divides by the number of
            domains). The paper's is not known.
        dropout: "independent" draws new masks for each pass; "same" uses the masks of meta-train in
            meta-test, which needs as many clips in both. The paper's is not known.

    Source:
        Li et al., Learning to generalize: meta-learning for domain generalization, 2018; the paper
        is meta-learned LoRA (2502.10838); DomainBed's class MLDG is a public first-order code.
    """

    order: Literal["first", "second"] = "first"
    inner: Literal["sgd", "adam"] = "sgd"
    inner_rate: float = 0.01
    beta: float = 1.0
    n_meta_test: int = 1
    pairing: Literal["all", "zip"] = "all"
    dropout: Literal["independent", "same"] = "independent"

    def __post_init__(self) -> None:
        check_choices(self, "method.{name} cannot be {value!r}")
        for name in ("inner_rate", "beta"):
            if not 0 <= getattr(self, name) < math.inf:
                raise RecipeError(f"method.{name} is {getattr(self, name):g}; give 0 or more")
        if self.n_meta_test < 1:
            raise RecipeError(
                f"method.n_meta_test is {self.n_meta_test}; give 1 or more, or beta=0 for none"
            )
        if (self.order, self.inner) == ("second", "adam"):
            raise RecipeError(
                "one step of Adam from rest is the sign of the gradient: its derivative is 0, or "
                "1 / epsilon where the gradient is 0; set method.inner=sgd or method.order=first"
            )

    def gradients(self, model: nn.Module, batch: Batch, objective: Objective) -> Terms:
        """Add the gradient of F + beta G to `.grad`.

        Returns:
            The objective's terms on meta-train; "_meta_test", the total on meta-test after the
            inner step; "_meta_cosine", the cosine of the angle between dF and dG. With zip, means
            over pairs. With beta = 0 the terms of the batch alone.

        Raises:
            TrainingError: If the batch has too few domains, or dropout cannot be the same.
        """
        assert isinstance(model, Detector)
        if self.beta == 0:
            return super().gradients(model, batch, objective)
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        pairs = self._pairs(batch)
        all_terms = []
        # The faster kernels of attention have no second derivative.
        second = self.order == "second"
        with sdpa_kernel(SDPBackend.MATH) if second else nullcontext():
            for number, (train, test) in enumerate(pairs):
                meta = _Meta(model, objective, moves_buffers=number == 0)
                terms, slopes = self._slopes(meta, train, test)
                all_terms.append(terms)
                _accumulate(weights, slopes, 1 / len(pairs))
        return {
            name: torch.stack([terms[name] for terms in all_terms]).mean() for name in all_terms[0]
        }

    def _pairs(self, batch: Batch) -> list[tuple[Batch, Batch]]:
        """Return clips to step on and clips to measure after it, of a new random split."""
        order = _shuffled_domains(batch)
        if len(order) <= self.n_meta_test:
            raise TrainingError(
                f"a batch holds {len(order)} domain(s), and {self.n_meta_test} meta-test domain(s) "
                "leave none to train on; use the sampler ByDomain, name a column with more values "
                "in sampler.by, or set method.n_meta_test lower"
            )
        test, train = order[: self.n_meta_test], order[self.n_meta_test :]
        splits = [(train, test)]
        if self.pairing == "zip":
            if len(test) > len(train):
                raise TrainingError(
                    f"pairing=zip takes one meta-test domain for each of {len(train)} meta-train "
                    f"domains, and {len(test)} are held out; set method.n_meta_test to half of the "
                    "domains or fewer, or method.pairing=all"
                )
            splits = [
                ([domain], [other]) for domain, other in zip(train, cycle(test), strict=False)
            ]
        pairs = [(_of(batch, train), _of(batch, test)) for train, test in splits]
        for train_clips, test_clips in pairs:
            if self.dropout == "same" and len(train_clips) != len(test_clips):
                raise TrainingError(
                    f"{len(train_clips)} clips of meta-train and {len(test_clips)} of meta-test "
                    "cannot have the same dropout; set method.dropout=independent, "
                    "method.pairing=zip, or method.n_meta_test to half of the domains"
                )
        return pairs

    def _slopes(self, meta: _Meta, train: Batch, test: Batch) -> tuple[Terms, Slopes]:
        """Return the terms and the gradient of F + beta G for one split."""
        second = self.order == "second"
        generators = _generators()
        f = meta.at(None, train, graph=second)
        early = [None if slope is None else slope.detach() for slope in f.slopes]
        fast = [self._moved(w, slope) for w, slope in zip(meta.weights, early, strict=True)]
        if self.dropout == "same":
            _set_generators(generators)
        g = meta.at(fast, test, graph=False)
        late = g.slopes
        terms = f.terms | {"_meta_test": total(g.terms), "_meta_cosine": _cosine(early, late)}
        if second:
            late = _plus(late, -self.inner_rate, _curved(f.slopes, meta.weights, late))
        return terms, _plus(early, self.beta, late)

    def _moved(self, weight: Tensor, slope: Tensor | None) -> Tensor:
        """Return a parameter after the inner step, a new leaf."""
        moved = weight.detach()
        if slope is not None:
            if self.inner == "adam":  # both moments start at 0 and are corrected for it
                slope = slope / (slope.abs() + ADAM_EPSILON)
            moved = moved - self.inner_rate * slope
        return moved.requires_grad_()


class _Gradient(NamedTuple):
    """The objective's terms, and the gradient of their total."""

    terms: Terms
    slopes: Slopes


class _Meta(nn.Module):
    """The objective's gradient, at a detector's own parameters or at others in their place.

    The gradient is taken inside of `forward`, while the other parameters are still in place: a
    checkpointed layer computes itself again then, and would do so with the detector's own later.
    """

    def __init__(self, detector: Detector, objective: Objective, *, moves_buffers: bool) -> None:
        super().__init__()
        self.detector = detector
        self.objective = objective
        self.moves_buffers = moves_buffers
        named = [(name, w) for name, w in self.named_parameters() if w.requires_grad]
        self.names = [name for name, _ in named]
        self.weights = [weight for _, weight in named]

    def at(self, fast: list[Tensor] | None, batch: Batch, *, graph: bool) -> _Gradient:
        """Return terms and gradient at fast weights, or at the detector's own.

        Buffers move at the detector's own weights if they may, else copies of them do.
        """
        stand_ins: dict[str, Tensor] = {}
        if fast is not None:
            stand_ins |= dict(zip(self.names, fast, strict=True))
        if fast is not None or not self.moves_buffers:
            stand_ins |= {name: buffer.clone() for name, buffer in self.named_buffers()}
        weights = self.weights if fast is None else fast
        result: _Gradient = functional_call(self, stand_ins, (weights, batch, graph))
        return result

    def forward(self, weights: list[Tensor], batch: Batch, graph: bool) -> _Gradient:
        terms = self.objective(outputs(self.detector, batch.waveform), batch)
        slopes = torch.autograd.grad(total(terms), weights, create_graph=graph, allow_unused=True)
        return _Gradient({name: term.detach() for name, term in terms.items()}, list(slopes))


def _shuffled_domains(batch: Batch) -> list[int]:
    """Return the domains of a batch in random order."""
    present = sorted(set(batch.domain.tolist()) - {-1})
    return [present[place] for place in torch.randperm(len(present)).tolist()]


def _of(batch: Batch, domains: Iterable[int]) -> Batch:
    """Return the clips of some domains and of none, with twins that are among them."""
    wanted = torch.tensor([-1, *domains], device=batch.domain.device)
    rows = torch.isin(batch.domain, wanted).nonzero().squeeze(1)
    place = batch.twin.new_full((len(batch) + 1,), -1)  # the last is where a twin of -1 points
    place[rows] = torch.arange(len(rows), device=place.device)
    return replace(
        batch,
        waveform=batch.waveform[rows],
        n_samples=batch.n_samples[rows],
        bonafide=batch.bonafide[rows],
        domain=batch.domain[rows],
        twin=place[batch.twin[rows]],
        ids=tuple(batch.ids[row] for row in rows.tolist()),
    )


def _curved(slopes: Slopes, weights: Sequence[Tensor], direction: Slopes) -> Slopes:
    """Return the second derivative times a direction, from a gradient that has a graph."""
    pairs = [
        (slope, along)
        for slope, along in zip(slopes, direction, strict=True)
        if slope is not None and slope.requires_grad and along is not None
    ]
    if not pairs:
        return [None] * len(slopes)
    heights, along = zip(*pairs, strict=True)
    return list(torch.autograd.grad(heights, weights, grad_outputs=along, allow_unused=True))


def _plus(slopes: Slopes, scale: float, other: Slopes) -> Slopes:
    """Return one + scale * other, where None stands for 0."""
    sums: Slopes = []
    for a, b in zip(slopes, other, strict=True):
        step = None if b is None else scale * b
        sums.append(step if a is None else a if step is None else a + step)
    return sums


def _accumulate(weights: Sequence[Tensor], slopes: Slopes, share: float) -> None:
    """Add a share of a gradient to `.grad`."""
    for weight, slope in zip(weights, slopes, strict=True):
        if slope is not None:
            weight.grad = share * slope if weight.grad is None else weight.grad + share * slope


def _cosine(slopes_a: Slopes, slopes_b: Slopes) -> Tensor:
    """Return the cosine of the angle between two gradients, a scalar; 0 if one of them is 0."""
    pairs = [
        (a, b) for a, b in zip(slopes_a, slopes_b, strict=True) if a is not None and b is not None
    ]
    product = torch.stack([(a * b).sum() for a, b in pairs]).sum()
    sizes = [
        torch.stack([a.square().sum() for a in slopes if a is not None]).sum().sqrt()
        for slopes in (slopes_a, slopes_b)
    ]
    return product / (sizes[0] * sizes[1]).clamp(min=torch.finfo(product.dtype).tiny)


def _generators() -> tuple[Any, ...]:
    return torch.get_rng_state(), torch.cuda.get_rng_state_all()


def _set_generators(states: tuple[Any, ...]) -> None:
    torch.set_rng_state(states[0])
    torch.cuda.set_rng_state_all(states[1])
