"""Units of a network that are added and taken away while it trains.

A `Width` names the modules that one number of units runs through: those that make the units, those
that normalise each of them, those that read them. `grow` adds units at the end, `remove` takes any
away, both in place; the `Change` they return applies to what else has entries per unit, such as the
moments of an optimiser, where each entry went.

A detector declares its widths by name, and its spec builds it with other ones:

    class MyDetector(Detector):
        def widths(self) -> Mapping[str, Width]:
            return {"inner": Width(("first",), (Reads("second"),), norms=("norm",))}

    @dataclass(frozen=True, kw_only=True)
    class MySpec:
        def with_widths(self, widths: Mapping[str, int]) -> MySpec: ...

Modules are named as in the detector. A recurrent layer of H units makes them, whatever its depth,
and is read by Reads("last") or, if it is bidirectional, by Reads("last", repeats=2): its output is
H forward units, then H backward ones. One `nn.GRU` with several layers has one H for all of them;
to grow one layer alone, stack modules of one layer each.

N units.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from unheard.detectors.layers.unit_axis import (
    UnitAxis,
    input_axes,
    n_outputs,
    norm_axes,
    output_axes,
    set_sizes,
)
from unheard.errors import RecipeError

__all__ = [
    "Change",
    "Init",
    "Reads",
    "Width",
    "grow",
    "is_resized",
    "mark_resized",
    "remove",
    "size",
    "unit_axes",
]

Init = Literal["preserving", "kaiming", "copy"]
Moments = dict[str, dict[str, Tensor]]

RESIZED = "is_resized"


@dataclass(frozen=True)
class Reads:
    """A module that reads units: linear, convolution, or the input of a recurrent layer.

    Attributes:
        module: Its name in the model.
        repeats: How often all units stand in its input one after another: 2 for a bidirectional
            layer, or for mean and deviation of each.
        per_unit: Features of each unit, side by side: F if [B, N, F] was flattened to [B, N * F].
    """

    module: str
    repeats: int = 1
    per_unit: int = 1


@dataclass(frozen=True)
class Width:
    """A number of units that can change, and the modules that it runs through.

    Attributes:
        makes: Modules whose outputs the units are: linear, convolution, GRU, LSTM.
        reads: Modules that read them.
        norms: Batch normalisations that act on each of them. One over all units together (layer,
            group) is refused: no new unit could leave its output as it was.
        by_default: Whether a method that is given no layers takes this one.
    """

    makes: tuple[str, ...]
    reads: tuple[Reads, ...]
    norms: tuple[str, ...] = ()
    by_default: bool = True


@dataclass(frozen=True)
class Change:
    """Where units went.

    Attributes:
        places: All places of the width.
        source: Of each unit that there is now the number it had before; -1 for a new one.
    """

    unit_axes: tuple[UnitAxis, ...]
    source: tuple[int, ...]

    def moved(self, name: str, value: Tensor) -> Tensor:
        """Return a tensor, of the shape that a parameter had, in its shape of now; 0 if new."""
        for place in self.unit_axes:
            if place.name == name:
                value = place.joined(self.of_units(place.by_unit(value)))
        return value

    def of_units(self, values: Tensor) -> Tensor:
        """Return the same of values by unit, [N before, ...] -> [N now, ...]."""
        source = torch.tensor(self.source, device=values.device)
        return values[source.clamp(min=0)].index_fill(0, (source < 0).nonzero().squeeze(1), 0)

    def follow(self, moments: Moments) -> None:
        """Let an optimiser's state go along, in place; new entries start at 0, counts stay."""
        for name in {place.name for place in self.unit_axes} & moments.keys():
            for kind, value in moments[name].items():
                if value.ndim:
                    moments[name][kind] = self.moved(name, value)


def size(model: nn.Module, width: Width) -> int:
    """Return how many units there are."""
    return n_outputs(model, width.makes[0])


def unit_axes(model: nn.Module, width: Width) -> tuple[UnitAxis, ...]:
    """Return where the units stand: in what reads, makes and normalises them.

    Raises:
        RecipeError: If a module cannot grow, or does not have as many units as the others.
    """
    axes: list[UnitAxis] = []
    for reads in width.reads:
        axes += input_axes(model, reads.module, reads.repeats, reads.per_unit)
    for name in width.makes:
        axes += output_axes(model, name)
    for name in width.norms:
        axes += norm_axes(model, name)
    n_units = size(model, width)
    for unit_axis in axes:
        name, axis = unit_axis.name, unit_axis.axis
        length = _tensor(model, name).shape[axis]
        if length != unit_axis.repeats * n_units * unit_axis.per_unit:
            raise RecipeError(
                f"{name!r} has {length} entries along axis {axis}, and {n_units} units need "
                f"{unit_axis.repeats} x {n_units} x {unit_axis.per_unit}; name modules that "
                "belong together, and say how often and how wide each unit is read"
            )
    return tuple(axes)


def mark_resized(model: nn.Module, width: Width) -> None:
    """Note that tensors of a width are no longer those of a published model: they are trained."""
    for unit_axis in unit_axes(model, width):
        tensor = _tensor(model, unit_axis.name)
        if isinstance(tensor, nn.Parameter):
            tensor.requires_grad_()
    for name in width.makes:
        setattr(model.get_submodule(name), RESIZED, True)


def is_resized(model: nn.Module, width: Width) -> bool:
    """Return whether a width has been marked so, as `grow` and `remove` do."""
    return any(hasattr(model.get_submodule(name), RESIZED) for name in width.makes)


def grow(
    model: nn.Module,
    width: Width,
    n: int,
    init: Init = "preserving",
    *,
    noise: float = 0.0,
    generator: torch.Generator | None = None,
) -> Change:
    """Add units at the end, in place, and mark the width as resized.

    What is drawn does not depend on the device. Biases start at 0, normalisations at what leaves
    their input alone, adapters at 0.

    Args:
        model: Holds the modules.
        width: What grows.
        n: How many units are added, at least 1.
        init: "preserving" draws what makes a new unit (Kaiming) and lets nothing read it yet, so
            outputs stay as they were; "kaiming" draws both; "copy" makes each a copy of a random
            old unit and shares out what reads them, so outputs stay as they were but for the noise.
        noise: With "copy", standard deviation of what is added to weights that make a new unit, as
            a share of the root mean square of the layer's.
        generator: Draws; None for torch's global one.

    Raises:
        RecipeError: If a module cannot grow.

    Source:
        He et al., Delving deep into rectifiers, 2015, for "kaiming"; Chen, Goodfellow, Shlens,
        Net2Net, 2016, for "copy"; zero fan-out as in Evci et al., GradMax, 2022.
    """
    assert n >= 1, f"growing by {n}"
    n_old = size(model, width)
    change = Change(unit_axes(model, width), (*range(n_old), *[-1] * n))
    parents = None
    if init == "copy":
        parents = torch.randint(n_old, (n,), generator=generator, device="cpu")
    with torch.no_grad():
        # Readers first: a copied recurrent unit copies weights that are shared out already.
        for place in change.unit_axes:
            value = _tensor(model, place.name)
            units = change.of_units(place.by_unit(value))
            if parents is not None:
                _copy(place, units, parents, noise, generator)
            elif init == "kaiming" or place.side == "in":
                units[n_old:] = _drawn(place, units, n, generator)
            _put(model, place.name, place.joined(units))
    _resized(model, width, n_old + n)
    return change


def remove(model: nn.Module, width: Width, units: Sequence[int]) -> Change:
    """Take units away, in place; the others keep their order and their values to the bit.

    The width is then marked as resized.

    Args:
        model: Holds the modules.
        width: What shrinks.
        units: Numbers of those that go; one at least stays.

    Raises:
        RecipeError: If a module cannot shrink.
    """
    n_old = size(model, width)
    gone = set(units)
    assert gone < set(range(n_old)), f"removing {sorted(gone)} of {n_old} units"
    change = Change(
        unit_axes(model, width), tuple(unit for unit in range(n_old) if unit not in gone)
    )
    with torch.no_grad():
        for place in change.unit_axes:
            units_now = change.of_units(place.by_unit(_tensor(model, place.name)))
            _put(model, place.name, place.joined(units_now))
    _resized(model, width, len(change.source))
    return change


def _copy(
    place: UnitAxis,
    units: Tensor,
    parents: Tensor,
    noise: float,
    generator: torch.Generator | None,
) -> None:
    """Fill in the last units, [N, ...], as copies of their parents, in place."""
    n_old = len(units) - len(parents)
    where = parents.to(units.device)
    if place.side == "out":
        shares = 1 / (1 + torch.bincount(where, minlength=n_old)).to(units.dtype)
        units[:n_old] *= shares.view(-1, *[1] * (units.ndim - 1))
    units[n_old:] = units[where]
    if place.side == "in" and place.gain and noise:
        scale = noise * units[:n_old].square().mean().sqrt()
        drawn = torch.randn(units[n_old:].shape, generator=generator, device="cpu")
        units[n_old:] += scale * drawn.to(units)


def _drawn(place: UnitAxis, units: Tensor, n: int, generator: torch.Generator | None) -> Tensor:
    """Return n new units, [n, ...], for a place whose units are [N, ...]."""
    shape = (n, *units.shape[1:])
    if not place.gain:
        return units.new_full(shape, place.fill)
    fan_in = place.joined(units)[0].numel()
    drawn = torch.randn(shape, generator=generator, device="cpu")
    return (place.gain / math.sqrt(fan_in) * drawn).to(units)


def _tensor(model: nn.Module, name: str) -> Tensor:
    path, _, own = name.rpartition(".")
    tensor: Tensor = getattr(model.get_submodule(path), own)
    return tensor


def _put(model: nn.Module, name: str, value: Tensor) -> None:
    path, _, own = name.rpartition(".")
    module = model.get_submodule(path)
    setattr(
        module,
        own,
        value if own in dict(module.named_buffers(recurse=False)) else nn.Parameter(value),
    )


def _resized(model: nn.Module, width: Width, n_units: int) -> None:
    """Let modules know how many units there are now."""
    for name in (*width.makes, *width.norms):
        set_sizes(model.get_submodule(name), n_out=n_units)
    for reads in width.reads:
        n_read = reads.repeats * n_units * reads.per_unit
        set_sizes(model.get_submodule(reads.module), n_in=n_read)
    mark_resized(model, width)
