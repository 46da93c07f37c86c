"""Where the units of a layer stand in its tensors, and in those of what normalises and reads them.

N units.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from unheard.detectors.layers.lora import AdaptedLinear
from unheard.errors import RecipeError

__all__ = ["UnitAxis", "input_axes", "n_outputs", "norm_axes", "output_axes", "set_sizes"]

N_GATES: dict[type[nn.Module], int] = {nn.GRU: 3, nn.LSTM: 4}
SIZES: dict[type[nn.Module], tuple[str, str]] = {
    nn.Linear: ("out_features", "in_features"),
    nn.Conv1d: ("out_channels", "in_channels"),
    nn.Conv2d: ("out_channels", "in_channels"),
    nn.GRU: ("hidden_size", "input_size"),
    nn.LSTM: ("hidden_size", "input_size"),
}
"""Which modules make or read units, and where each stores how many it makes and reads."""

RELU_GAIN = math.sqrt(2)


@dataclass(frozen=True)
class UnitAxis:
    """Where units stand in one tensor: on an axis of repeats x N x per_unit entries.

    Attributes:
        name: Of a parameter or buffer, in the model.
        axis: Which axis.
        side: "in" for what makes a unit, "out" for what reads it.
        repeats: Outer factor of the axis, such as the gates of a recurrent layer.
        per_unit: Inner factor.
        gain: Of weights: a new one has the standard deviation gain / sqrt(fan in). 0 for the rest.
        fill: What the rest starts at.
    """

    name: str
    axis: int
    side: Literal["in", "out"]
    repeats: int = 1
    per_unit: int = 1
    gain: float = 0.0
    fill: float = 0.0

    def by_unit(self, value: Tensor) -> Tensor:
        """Return the tensor with its units in front, [..., axis, ...] -> [N, ...]."""
        parts = torch.unflatten(value, self.axis, (self.repeats, -1, self.per_unit))
        return parts.movedim(self.axis + 1, 0)

    def joined(self, units: Tensor) -> Tensor:
        """Undo `by_unit`."""
        parts = units.movedim(0, self.axis + 1)
        return parts.flatten(self.axis, self.axis + 2).contiguous()


def output_axes(model: nn.Module, name: str) -> Iterator[UnitAxis]:
    """Yield where units stand in a module that makes them; what reads them in it comes first.

    Raises:
        RecipeError: If the module cannot grow.
    """
    module = model.get_submodule(name)
    kind = _kind(module, name)
    if kind not in N_GATES:
        yield UnitAxis(f"{name}.weight", 0, "in", gain=RELU_GAIN)
        if module.bias is not None:
            yield UnitAxis(f"{name}.bias", 0, "in")
        if isinstance(module, AdaptedLinear):
            yield UnitAxis(f"{name}.lora_up", 1, "in")
        return
    assert isinstance(module, nn.RNNBase)
    for own in module._flat_weights_names:
        yield from _recurrent(module, name, own, N_GATES[kind])


def _recurrent(module: nn.RNNBase, name: str, own: str, n_gates: int) -> Iterator[UnitAxis]:
    if own.startswith("bias"):
        yield UnitAxis(f"{name}.{own}", 0, "in", n_gates)
        return
    if own.startswith("weight_hh"):
        yield UnitAxis(f"{name}.{own}", 1, "out", gain=1.0)
    elif not own.startswith("weight_ih_l0"):  # reads the units of the layer below
        yield UnitAxis(f"{name}.{own}", 1, "out", 2 if module.bidirectional else 1, gain=1.0)
    yield UnitAxis(f"{name}.{own}", 0, "in", n_gates, gain=1.0)


def input_axes(model: nn.Module, name: str, repeats: int, per_unit: int) -> Iterator[UnitAxis]:
    """Yield where units stand in a module that reads them.

    Args:
        model: Holds the module.
        name: Of the module.
        repeats: How often all units stand in its input.
        per_unit: Features of each unit.

    Raises:
        RecipeError: If the module cannot grow.
    """
    module = model.get_submodule(name)
    kind = _kind(module, name)
    if kind in N_GATES:
        assert isinstance(module, nn.RNNBase)
        for own in module._flat_weights_names:
            if own.startswith("weight_ih_l0"):
                yield UnitAxis(f"{name}.{own}", 1, "out", repeats, per_unit, gain=1.0)
        return
    yield UnitAxis(f"{name}.weight", 1, "out", repeats, per_unit, gain=RELU_GAIN)
    if isinstance(module, AdaptedLinear):
        yield UnitAxis(f"{name}.lora_down", 2, "out", repeats, per_unit)
        if module.router is not None:
            yield UnitAxis(f"{name}.router", 1, "out", repeats, per_unit)


def norm_axes(model: nn.Module, name: str) -> Iterator[UnitAxis]:
    """Yield where units stand in a module that normalises each of them.

    Raises:
        RecipeError: If it normalises all of them together.
    """
    module = model.get_submodule(name)
    if not isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        raise RecipeError(
            f"{name!r} is a {type(module).__name__}: it mixes units, so a new one would change "
            "what the others compute; name batch normalisations, or leave this layer's width alone"
        )
    for own, fill in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
        if getattr(module, own) is not None:
            yield UnitAxis(f"{name}.{own}", 0, "in", fill=fill)


def n_outputs(model: nn.Module, name: str) -> int:
    """Return how many units a module makes."""
    module = model.get_submodule(name)
    return int(getattr(module, SIZES[_kind(module, name)][0]))


def set_sizes(module: nn.Module, *, n_out: int = 0, n_in: int = 0) -> None:
    """Let a module know how many units it makes or normalises, or how wide its input is."""
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        module.num_features = n_out
        return
    for attribute, n in zip(SIZES[_kind(module, "")], (n_out, n_in), strict=True):
        if n:
            setattr(module, attribute, n)


def _kind(module: nn.Module, name: str) -> type[nn.Module]:
    """Return which row of SIZES a module is."""
    kind = next((kind for kind in SIZES if isinstance(module, kind)), None)
    if kind is None or nn.utils.parametrize.is_parametrized(module):
        known = ", ".join(kind.__name__ for kind in SIZES)
        raise RecipeError(
            f"{name!r} is a {type(module).__name__}, and units are made and read by {known} "
            "without parametrisations; name one of these"
        )
    if getattr(module, "groups", 1) != 1 or getattr(module, "proj_size", 0):
        raise RecipeError(
            f"{name!r} has groups or a projection, which tie units together; name a plain layer"
        )
    return kind
