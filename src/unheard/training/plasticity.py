"""Networks that grow and shrink while they train: dropin and plasticity, in our reading.

N units of a layer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, NamedTuple, cast

import torch
from torch import Tensor, distributed, nn

from unheard.data.batches import Batch, Terms, total
from unheard.detectors.detector import Detector, Resizable, Spec, outputs
from unheard.detectors.layers.growth import Change, Init, Width, grow, remove, size, unit_axes
from unheard.detectors.layers.unit_axis import UnitAxis
from unheard.errors import RecipeError, TrainingError, check_choices, suggestion
from unheard.training.method import Objective, Progress
from unheard.training.supervised import Supervised

__all__ = ["Plasticity"]

Score = Literal["taylor", "activation", "magnitude", "random"]
Trained = Literal["all", "new"]

STATE = "plasticity"
"""Under which name the prepared detector holds what the method must not forget."""


@dataclass(frozen=True)
class Plasticity(Supervised):
    """Grow chosen layers, train, remove their least important units, train; and again.

    dropin is one growth without removal: `Plasticity(n_growths=1, remove=0.0)`. Without growths it
    is supervised training, step for step.

    Times are shares of the run's steps. A check on dev at the step of a change sees the change.

    Of the paper is known that dropin adds neurons to chosen layers, that plasticity also removes
    some, and that the third layer of wav2vec 2.0 base was best. All else is our reading of it.

    Attributes:
        layers: Names of the widths that change, such as "blocks.6"; () is the detector's default.
        n_growths: How often they grow.
        first: When they grow first.
        every: From one growth to the next.
        grow: How many units a growth adds, as a share of those there are; at least one.
        init: How new units start: "preserving" leaves outputs as they were, "kaiming" draws all
            their weights, "copy" shares out random old units.
        noise: With "copy", what is added to weights that make a copy, as a share of the layer's
            root mean square.
        train: After the first growth, "all" trains what was trained before and new units; "new"
            trains new units alone, their incoming and outgoing weights. Old entries of a tensor
            that was frozen, as an encoder's next to adapters, stay as they were with both.
        remove: How many units are removed after a growth, as a share of those it added; 1 comes
            back to the width before, 0 removes none.
        remove_after: From a growth to the removal.
        score: What makes a unit important, see `docs/plasticity.md`: "taylor" (weights times
            gradients), "activation" (its size times that of what reads it; one process only),
            "magnitude" of its weights, "random".

    Source:
        Our reading of Li, Shao, et al., Enhancing efficiency and performance in deepfake audio
        detection through neuron-level dropin and neuroplasticity mechanisms (2603.24343), whose
        code is not published. Taylor scores as in Molchanov et al., Importance estimation for
        neural network pruning, 2019.
    """

    layers: tuple[str, ...] = ()
    n_growths: int = 2
    first: float = 0.3
    every: float = 0.3
    grow: float = 0.25
    init: Init = "preserving"
    noise: float = 0.01
    train: Trained = "all"
    remove: float = 1.0
    remove_after: float = 0.2
    score: Score = "taylor"

    def __post_init__(self) -> None:
        check_choices(self, "method.{name} cannot be {value!r}")
        for name in ("n_growths", "first", "every", "noise", "remove", "remove_after"):
            if not 0 <= getattr(self, name) < math.inf:
                raise RecipeError(f"method.{name} is {getattr(self, name):g}; give 0 or more")
        if not 0 < self.grow < math.inf:
            raise RecipeError(f"method.grow is {self.grow:g}; give more than 0, or n_growths=0")
        if self.remove and self.n_growths > 1 and self.remove_after > self.every:
            raise RecipeError(
                f"method.remove_after is {self.remove_after:g} and method.every {self.every:g}, so "
                "layers would grow again before the removal; set remove_after to every or less"
            )
        end = self.first + (self.n_growths - 1) * self.every
        end += self.remove_after if self.remove else 0
        if self.n_growths and end >= 1:
            raise RecipeError(
                f"the last change would come after {end:g} of the run, and nothing would be "
                "trained after it; lower method.first, every, remove_after or n_growths"
            )

    def changes(self, n_steps: int) -> list[tuple[int, Literal["grow", "remove"]]]:
        """Return after which steps of a run what happens, in order.

        Raises:
            RecipeError: If the run has too few steps to tell them apart.
        """
        changes: list[tuple[int, Literal["grow", "remove"]]] = []
        for number in range(self.n_growths):
            at = self.first + number * self.every
            changes.append((max(round(at * n_steps), 1), "grow"))
            if self.remove:
                changes.append((round((at + self.remove_after) * n_steps), "remove"))
        for (step, kind), (then, next_kind) in pairwise(changes):
            if then < step or (then == step and (kind, next_kind) != ("remove", "grow")):
                raise RecipeError(
                    f"of {n_steps} steps none is left between a change after step {step} and one "
                    f"after step {then}; raise budget.n_steps, method.every or remove_after"
                )
        return changes

    def prepare(self, detector: Detector) -> nn.Module:
        """Return the detector with buffers for what is known of its units.

        Raises:
            RecipeError: If the detector has no such widths, or several processes would have to
                share activations.
        """
        if not self.n_growths:
            return detector
        known = detector.widths()
        chosen = self.layers or tuple(name for name, width in known.items() if width.by_default)
        for name in chosen:
            if name not in known:
                raise RecipeError(
                    f"{type(detector).__name__} has no width {name!r}{suggestion(name, known)}"
                )
        if not chosen:
            raise RecipeError(
                f"{type(detector).__name__} has no width that could change; choose a detector that "
                "has one, such as resnet18, or set method.n_growths=0"
            )
        if self.remove and self.score == "activation" and _n_processes() > 1:
            raise RecipeError(
                "activations are measured by each process on its own batches, and processes would "
                "remove different units; set method.score=taylor, or train in one process"
            )
        setattr(detector, STATE, _State(detector, {name: known[name] for name in chosen}))
        return detector

    def gradients(self, model: nn.Module, batch: Batch, objective: Objective) -> Terms:
        """Add the gradient of the objective's total to `.grad`.

        Entries that are kept have a gradient of 0; but while "taylor" scores are gathered they keep
        theirs, which then counts in the norm that is clipped.

        Returns:
            The objective's terms; "_width NAME", how many units each layer has.
        """
        state = _state(model)
        if state is None:
            return super().gradients(model, batch, objective)
        kept_entries = state.kept_entries(model, self.train)  # before a step can move it
        scoring = bool(self.remove) and state.is_between()
        with state.recording_inputs(model, on=scoring and self.score == "activation"):
            terms = self._backward(model, kept_entries, batch, objective)
        if not (scoring and self.score == "taylor"):
            for name, entries in kept_entries.items():
                gradient = model.get_parameter(name).grad
                if gradient is not None:
                    gradient *= entries.learns
        widths = {f"_width {part.name}": float(len(part.is_new)) for part in state}
        return terms | {name: batch.waveform.new_tensor(n) for name, n in widths.items()}

    def _backward(
        self, model: nn.Module, kept: dict[str, _Entries], batch: Batch, objective: Objective
    ) -> Terms:
        """Return the terms; add gradients to all parameters, or to those with new entries."""
        if self.train == "all" or not kept:
            return super().gradients(model, batch, objective)
        assert isinstance(model, Detector)
        terms = objective(outputs(model, batch.waveform), batch)
        learning = [model.get_parameter(name) for name in kept if kept[name].learns.any()]
        if not learning:
            raise TrainingError("no new unit is left to train; lower method.remove, or train all")
        total(terms).backward(inputs=learning)  # type: ignore[no-untyped-call]
        return {name: term.detach() for name, term in terms.items()}

    def after_step(self, model: nn.Module, progress: Progress) -> bool:
        """Put back kept entries; grow or remove if it is time, the optimiser's state too."""
        state = _state(model)
        if state is None:
            return False
        for name, entries in state.kept_entries(model, self.train).items():
            parameter = model.get_parameter(name)
            with torch.no_grad():
                parameter.copy_(torch.where(entries.learns, parameter, entries.values))
        if self.score == "taylor" and self.remove and state.is_between():
            for part in state:
                part.importance += _weights_by_unit(model, part, _times_gradient)
        due = [kind for step, kind in self.changes(progress.n_steps) if step == progress.step]
        for kind in due:
            for part in state:
                change = self._grown(model, part) if kind == "grow" else self._shrunk(model, part)
                change.follow(progress.moments)
                part.follow(change)
            state.changed()
        return bool(due)

    def _grown(self, model: nn.Module, part: _Part) -> Change:
        n_units = max(round(self.grow * size(model, part.width)), 1)
        part.n_added.fill_(n_units)
        return grow(model, part.width, n_units, self.init, noise=self.noise)

    def _shrunk(self, model: nn.Module, part: _Part) -> Change:
        """Remove the units of the lowest importance; of equal ones the first."""
        importance = self._importance(model, part).double().cpu()
        n_units = min(round(self.remove * int(part.n_added)), len(importance) - 1)
        part.n_added.zero_()
        return remove(model, part.width, importance.argsort(stable=True)[:n_units].tolist())

    def _importance(self, model: nn.Module, part: _Part) -> Tensor:
        """Return the importance of each unit, [N]."""
        if self.score == "random":
            return torch.rand(len(part.is_new), device="cpu")
        if self.score == "magnitude":
            return _weights_by_unit(model, part, Tensor.abs)
        if self.score == "activation":
            return part.importance * _weights_by_unit(model, part, Tensor.square, "out").sqrt()
        return part.importance

    def spec(self, model: nn.Module, started: Spec) -> Spec:
        """Return the spec of the start with the widths of now, if any has changed."""
        state = _state(model)
        if state is None or not state.has_changed:
            return started
        assert isinstance(started, Resizable)
        return started.with_widths({part.name: len(part.is_new) for part in state})

    def finish(self, model: nn.Module) -> Detector:
        """Return the detector without what only the method needs."""
        assert isinstance(model, Detector)
        if _state(model) is not None:
            delattr(model, STATE)
        return model


class _Entries(NamedTuple):
    """Which entries of a parameter learn, and what the others are to stay at."""

    learns: Tensor
    values: Tensor


class _Part(nn.Module):
    """What is known of the units of one width; buffers, so a checkpoint holds them."""

    is_new: Tensor
    importance: Tensor
    n_added: Tensor
    was_trained: Tensor

    def __init__(self, model: nn.Module, name: str, width: Width) -> None:
        super().__init__()
        self.name = name
        self.width = width
        n_units = size(model, width)
        parameters = [model.get_parameter(place.name) for place in self.parameters_of(model)]
        self.register_buffer("is_new", torch.zeros(n_units, dtype=torch.bool))
        self.register_buffer("importance", torch.zeros(n_units))
        self.register_buffer("n_added", torch.tensor(0))  # and not yet removed
        self.register_buffer("was_trained", torch.tensor([p.requires_grad for p in parameters]))

    def parameters_of(self, model: nn.Module) -> list[UnitAxis]:
        """Return the places of units in parameters, in an order that stays."""
        named = {name for name, _ in model.named_parameters()}
        return [place for place in unit_axes(model, self.width) if place.name in named]

    def follow(self, change: Change) -> None:
        """Let what is known go along with the units; scores start again."""
        self.is_new = change.of_units(self.is_new)
        self.is_new[torch.tensor(change.source) < 0] = True
        self.importance = torch.zeros_like(change.of_units(self.importance))


class _State(nn.Module):
    """What is known of the units of all chosen widths, and whether any has changed."""

    has_changed: Tensor

    def __init__(self, model: nn.Module, widths: Mapping[str, Width]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(_Part(model, name, width) for name, width in widths.items())
        self.register_buffer("has_changed", torch.tensor(False))
        self._kept: dict[str, _Entries] | None = None

    def __iter__(self) -> Iterator[_Part]:
        return iter(cast("list[_Part]", self.parts))

    def is_between(self) -> bool:
        """Return whether there was a growth and not yet its removal."""
        return any(bool(part.n_added) for part in self)

    def changed(self) -> None:
        """Note that units were added or removed."""
        self.has_changed.fill_(True)
        self._kept = None

    def kept_entries(self, model: nn.Module, train: Trained) -> dict[str, _Entries]:
        """Return what must not move, by parameter name; nothing before the first growth.

        The values are those at the first call after a change, or after a checkpoint was read: they
        have not moved since.
        """
        if not self.has_changed:
            return {}
        if self._kept is None:
            learns = self._learning(model, train)
            self._kept = {
                name: _Entries(mask, model.get_parameter(name).detach().clone())
                for name, mask in learns.items()
                if train == "new" or not mask.all()
            }
        return self._kept

    def _learning(self, model: nn.Module, train: Trained) -> dict[str, Tensor]:
        """Return which entries learn, of each parameter that has units of a chosen width."""
        learns: dict[str, Tensor] = {}
        for part in self:
            for place, was in zip(
                part.parameters_of(model), part.was_trained.tolist(), strict=True
            ):
                parameter = model.get_parameter(place.name)
                whole = torch.full_like(parameter, was and train == "all", dtype=torch.bool)
                units = place.by_unit(learns.get(place.name, whole))
                is_new = part.is_new.to(units.device).view(-1, *[1] * (units.ndim - 1))
                learns[place.name] = place.joined(units | is_new)
        return learns

    @contextmanager
    def recording_inputs(self, model: nn.Module, *, on: bool) -> Iterator[None]:
        """Add the mean size of each unit, as what reads it first sees it, to its importance."""
        hooks = []
        for part in self if on else ():
            first = part.width.reads[0]
            module = model.get_submodule(first.module)

            def record(module: nn.Module, inputs: Any, part: _Part = part) -> None:
                first, x = part.width.reads[0], inputs[0].detach().float()
                is_map = isinstance(module, nn.Conv1d | nn.Conv2d)
                place = UnitAxis(
                    "", 1 if is_map else x.ndim - 1, "in", first.repeats, first.per_unit
                )
                part.importance += place.by_unit(x.abs()).flatten(1).mean(dim=1)

            hooks.append(module.register_forward_pre_hook(record))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()


def _weights_by_unit(
    model: nn.Module, part: _Part, value: Any, side: Literal["in", "out"] | None = None
) -> Tensor:
    """Return the sum of a value of each weight that makes or reads a unit, [N]."""
    sums = torch.zeros_like(part.importance)
    with torch.no_grad():
        for place in part.parameters_of(model):
            if place.gain and side in (None, place.side):
                units = place.by_unit(value(model.get_parameter(place.name)))
                sums += units.flatten(1).sum(dim=1)
    return sums


def _times_gradient(weight: nn.Parameter) -> Tensor:
    return torch.zeros_like(weight) if weight.grad is None else (weight * weight.grad).abs()


def _state(model: nn.Module) -> _State | None:
    state: _State | None = getattr(model, STATE, None)
    return state


def _n_processes() -> int:
    is_connected = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if is_connected else 1
