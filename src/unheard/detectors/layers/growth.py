"""Units of a network that are added and taken away while it trains.

A `Width` names the modules that one number of units runs through: those that make the units, those
that normalise each of them, those that read them. `grow` adds units at the end, `remove` takes any
away, both in place; the `Change` they return tells what else has entries per unit, such as the
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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from unheard.detectors.layers.lora import AdaptedLinear
from unheard.errors import RecipeError

__all__ = ["Change", "Init", "Place", "Reads", "Width", "grow", "places", "remove", "size"]

Init = Literal["preserving", "kaiming", "copy"]
Moments = dict[str, dict[str, Tensor]]

N_GATES: dict[type[nn.Module], int] = {nn.GRU: 3, nn.LSTM: 4}
SIZES: dict[type[nn.Module], tuple[str, str]] = {
    nn.Linear: ("out_features", "in_features"),
    nn.Conv1d: ("out_channels", "in_channels"),
    nn.Conv2d: ("out_channels", "in_channels"),
    nn.GRU: ("hidden_size", "input_size"),
    nn.LSTM: ("hidden_size", "input_size"),
}
"""Which modules make or read units, and where each says how many it makes and reads."""

RELU_GAIN = math.sqrt(2)


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
        by_default: Whether a method that is told no layers takes this one.
    """

    makes: tuple[str, ...]
    reads: tuple[Reads, ...]
    norms: tuple[str, ...] = ()
    by_default: bool = True


@dataclass(frozen=True)
class Place:
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
        """Undo `by_unit`, into memory of its own."""
        parts = units.movedim(0, self.axis + 1)
        return parts.flatten(self.axis, self.axis + 2).contiguous()


@dataclass(frozen=True)
class Change:
    """Where units went.

    Attributes:
        places: All places of the width.
        source: Of each unit that there is now the number it had before; -1 for a new one.
    """

    places: tuple[Place, ...]
    source: tuple[int, ...]

    def moved(self, name: str, value: Tensor) -> Tensor:
        """Return a tensor, of the shape that a parameter had, in its shape of now; 0 if new."""
        for place in self.places:
            if place.name == name:
                value = place.joined(self.of_units(place.by_unit(value)))
        return value

    def of_units(self, values: Tensor) -> Tensor:
        """Return the same of values by unit, [N before, ...] -> [N now, ...]."""
        source = torch.tensor(self.source, device=values.device)
        return values[source.clamp(min=0)].index_fill(0, (source < 0).nonzero().squeeze(1), 0)

    def follow(self, moments: Moments) -> None:
        """Let an optimiser's state go along, in place; new entries start at 0, counts stay."""
        for name in {place.name for place in self.places} & moments.keys():
            for kind, value in moments[name].items():
                if value.ndim:
                    moments[name][kind] = self.moved(name, value)


def size(model: nn.Module, width: Width) -> int:
    """Return how many units there are."""
    module = model.get_submodule(width.makes[0])
    return int(getattr(module, SIZES[_kind(module, width.makes[0])][0]))


def places(model: nn.Module, width: Width) -> tuple[Place, ...]:
    """Return where the units stand: in what makes them, normalises them and reads them.

    Raises:
        RecipeError: If a module cannot grow, or does not have as many units as the others.
    """
    found = [place for reads in width.reads for place in _read(model, reads)]
    for name in width.makes:
        found += _made(model, name)
    for name in width.norms:
        found += _normed(model, name)
    n_units = size(model, width)
    for place in found:
        length = _held(model, place.name).shape[place.axis]
        if length != place.repeats * n_units * place.per_unit:
            raise RecipeError(
                f"{place.name!r} has {length} entries along axis {place.axis}, and {n_units} units "
                f"need {place.repeats} x {n_units} x {place.per_unit}; name modules that belong "
                "together, and say how often and how wide each unit is read"
            )
    return tuple(found)


def grow(
    model: nn.Module,
    width: Width,
    n: int,
    init: Init = "preserving",
    *,
    noise: float = 0.0,
    generator: torch.Generator | None = None,
) -> Change:
    """Add units at the end, in place. All tensors of the width then want a gradient.

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
    change = Change(places(model, width), (*range(n_old), *[-1] * n))
    parents = None
    if init == "copy":
        parents = torch.randint(n_old, (n,), generator=generator, device="cpu")
    with torch.no_grad():
        # Readers first: a copied recurrent unit copies weights that are shared out already.
        for place in change.places:
            value = _held(model, place.name)
            units = change.of_units(place.by_unit(value))
            if parents is not None:
                _copy(place, units, parents, noise, generator)
            elif init == "kaiming" or place.side == "in":
                units[n_old:] = _drawn(place, units, n, generator)
            _put(model, place.name, place.joined(units))
    _tell(model, width, n_old + n)
    return change


def remove(model: nn.Module, width: Width, units: Sequence[int]) -> Change:
    """Take units away, in place; the others keep their order and their values to the bit.

    All tensors of the width then want a gradient.

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
    change = Change(places(model, width), tuple(unit for unit in range(n_old) if unit not in gone))
    with torch.no_grad():
        for place in change.places:
            units_now = change.of_units(place.by_unit(_held(model, place.name)))
            _put(model, place.name, place.joined(units_now))
    _tell(model, width, len(change.source))
    return change


def _copy(
    place: Place,
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


def _drawn(place: Place, units: Tensor, n: int, generator: torch.Generator | None) -> Tensor:
    """Return n new units, [n, ...], for a place whose units are [N, ...]."""
    shape = (n, *units.shape[1:])
    if not place.gain:
        return units.new_full(shape, place.fill)
    fan_in = place.joined(units)[0].numel()
    drawn = torch.randn(shape, generator=generator, device="cpu")
    return (place.gain / math.sqrt(fan_in) * drawn).to(units)


def _made(model: nn.Module, name: str) -> Iterator[Place]:
    """Yield where the units stand in a module that makes them; what a unit reads of units first."""
    module = model.get_submodule(name)
    kind = _kind(module, name)
    if kind not in N_GATES:
        yield Place(f"{name}.weight", 0, "in", gain=RELU_GAIN)
        if module.bias is not None:
            yield Place(f"{name}.bias", 0, "in")
        if isinstance(module, AdaptedLinear):
            yield Place(f"{name}.lora_up", 1, "in")
        return
    assert isinstance(module, nn.RNNBase)
    for own in module._flat_weights_names:
        yield from _recurrent(module, name, own, N_GATES[kind])


def _recurrent(module: nn.RNNBase, name: str, own: str, n_gates: int) -> Iterator[Place]:
    if own.startswith("bias"):
        yield Place(f"{name}.{own}", 0, "in", n_gates)
        return
    if own.startswith("weight_hh"):
        yield Place(f"{name}.{own}", 1, "out", gain=1.0)
    elif not own.startswith("weight_ih_l0"):  # reads the units of the layer below
        yield Place(f"{name}.{own}", 1, "out", 2 if module.bidirectional else 1, gain=1.0)
    yield Place(f"{name}.{own}", 0, "in", n_gates, gain=1.0)


def _read(model: nn.Module, reads: Reads) -> Iterator[Place]:
    """Yield where the units stand in a module that reads them."""
    module, name = model.get_submodule(reads.module), reads.module
    kind = _kind(module, name)
    factors = (reads.repeats, reads.per_unit)
    if kind in N_GATES:
        assert isinstance(module, nn.RNNBase)
        for own in module._flat_weights_names:
            if own.startswith("weight_ih_l0"):
                yield Place(f"{name}.{own}", 1, "out", *factors, gain=1.0)
        return
    yield Place(f"{name}.weight", 1, "out", *factors, gain=RELU_GAIN)
    if isinstance(module, AdaptedLinear):
        yield Place(f"{name}.lora_down", 2, "out", *factors)
        if module.router is not None:
            yield Place(f"{name}.router", 1, "out", *factors)


def _normed(model: nn.Module, name: str) -> Iterator[Place]:
    module = model.get_submodule(name)
    if not isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        raise RecipeError(
            f"{name!r} is a {type(module).__name__}: it mixes units, so a new one would change "
            "what the others say; name batch normalisations, or leave this layer's width alone"
        )
    for own, fill in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
        if getattr(module, own) is not None:
            yield Place(f"{name}.{own}", 0, "in", fill=fill)


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


def _held(model: nn.Module, name: str) -> Tensor:
    path, _, own = name.rpartition(".")
    held: Tensor = getattr(model.get_submodule(path), own)
    return held


def _put(model: nn.Module, name: str, value: Tensor) -> None:
    path, _, own = name.rpartition(".")
    module = model.get_submodule(path)
    setattr(
        module,
        own,
        value if own in dict(module.named_buffers(recurse=False)) else nn.Parameter(value),
    )


def _tell(model: nn.Module, width: Width, n_units: int) -> None:
    """Let modules know how many units they make, act on and read."""
    for name in width.makes:
        module = model.get_submodule(name)
        setattr(module, SIZES[_kind(module, name)][0], n_units)
    for name in width.norms:
        norm = model.get_submodule(name)
        assert isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d)
        norm.num_features = n_units
    for reads in width.reads:
        module = model.get_submodule(reads.module)
        n_read = reads.repeats * n_units * reads.per_unit
        setattr(module, SIZES[_kind(module, reads.module)][1], n_read)
