"""Units added and taken away: what outputs, weights, sizes and an optimiser's state become."""

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from unheard.detectors.layers.growth import Init, Reads, Width, grow, remove, size, unit_axes
from unheard.detectors.layers.lora import AdaptedLinear, LoraExperts
from unheard.errors import RecipeError

EXACT = 1e-12
"""Networks are in float64, and added zeros change no more than the order of a sum."""


class Net(nn.Module):
    """Modules by name, and a path through them."""

    first: Any
    last: Any
    norm: Any
    flat: Any
    cell: Any

    def __init__(self, path: Callable[[Any, Tensor], Tensor], **modules: nn.Module) -> None:
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)
        self.path = path
        for module in self.modules():  # running statistics that are not those of the start
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.uniform_(-1.0, 1.0)
                module.running_var.uniform_(0.5, 2.0)
                nn.init.uniform_(module.weight, 0.5, 2.0)
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        return self.path(self, x)


def linear(n: int) -> Net:
    return Net(
        lambda net, x: net.last(net.norm(net.first(x)).relu()),
        first=nn.Linear(6, n),
        norm=nn.BatchNorm1d(n),
        last=nn.Linear(n, 2),
    )


def map_1d(n: int) -> Net:
    """Units are read by a convolution, and again, flattened with 4 frames each."""
    return Net(
        lambda net, x: net.flat(net.first(x).relu().flatten(1)) + net.last(net.first(x))[..., 0],
        first=nn.Conv1d(6, n, 3, bias=False),
        last=nn.Conv1d(n, 3, 2),
        flat=nn.Linear(4 * n, 3),
    )


def map_2d(n: int) -> Net:
    return Net(
        lambda net, x: net.last(net.norm(net.first(x[:, None])).relu()).mean(dim=(2, 3)),
        first=nn.Conv2d(1, n, 3, bias=False),
        norm=nn.BatchNorm2d(n),
        last=nn.Conv2d(n, 3, 2, bias=False),
    )


def recurrent(kind: type[nn.GRU | nn.LSTM], n: int, n_layers: int = 1, both: bool = False) -> Net:
    """The last layer reads the mean of frames and the largest, as blocks of all units."""
    n_ways = 1 + both

    def path(net: Any, x: Tensor) -> Tensor:
        frames, _ = net.cell(x)
        return net.last(torch.cat([frames.mean(dim=1), frames.amax(dim=1)], dim=1))

    cell = kind(6, n, n_layers, batch_first=True, bidirectional=both)
    return Net(path, cell=cell, last=nn.Linear(2 * n_ways * n, 2))


def stacked(n: int) -> Net:
    return Net(
        lambda net, x: net.last(net.upper(net.cell(x)[0])[0].mean(dim=1)),
        cell=nn.GRU(6, n, batch_first=True, bidirectional=True),
        upper=nn.LSTM(2 * n, 5, batch_first=True),
        last=nn.Linear(5, 2),
    )


def adapted(n: int) -> Net:
    """Both projections of a feed-forward part have trained adapters, three experts each."""
    experts = LoraExperts(rank=2, n_experts=3, n_active=2)
    net = Net(
        lambda net, x: net.last(nn.functional.gelu(net.first(x))),
        first=AdaptedLinear(nn.Linear(6, n), experts),
        last=AdaptedLinear(nn.Linear(n, 2), experts),
    )
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.5)
    return net


ONE = Width(("first",), (Reads("last"),))
CELL = Width(("cell",), (Reads("last", repeats=2),))
BOTH = Width(("cell",), (Reads("last", repeats=4),))
NETS: dict[str, tuple[Callable[[int], Net], Width]] = {
    "linear": (linear, Width(("first",), (Reads("last"),), norms=("norm",))),
    "map_1d": (map_1d, Width(("first",), (Reads("last"), Reads("flat", per_unit=4)))),
    "map_2d": (map_2d, Width(("first",), (Reads("last"),), norms=("norm",))),
    "gru": (lambda n: recurrent(nn.GRU, n), CELL),
    "lstm": (lambda n: recurrent(nn.LSTM, n), CELL),
    "deep": (lambda n: recurrent(nn.GRU, n, 3), CELL),
    "both": (lambda n: recurrent(nn.LSTM, n, 2, both=True), BOTH),
    "stacked": (stacked, Width(("cell",), (Reads("upper", repeats=2),))),
    "adapted": (adapted, ONE),
}
every_net = pytest.mark.parametrize("name", NETS)
every_mode = pytest.mark.parametrize("training", [False, True])


def net_and_width(name: str, n: int = 5) -> tuple[Net, Width]:
    torch.manual_seed(3)
    build, width = NETS[name]
    return build(n), width


def x_for(name: str) -> Tensor:
    torch.manual_seed(4)
    shape = (7, 6) if name in ("linear", "adapted") else (7, 6, 6)
    return torch.randn(*shape, dtype=torch.float64)


def state(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def identical(state: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    assert state.keys() == other.keys()
    return all(torch.equal(value, other[name]) for name, value in state.items())


@every_net
@every_mode
@pytest.mark.parametrize("init", ["preserving", "copy"])
def test_growth_leaves_outputs_as_they_were(name: str, training: bool, init: Init) -> None:
    net, width = net_and_width(name)
    net.train(training)
    before = copy.deepcopy(net)(x_for(name))
    grow(net, width, 4, init)
    torch.testing.assert_close(net(x_for(name)), before, rtol=0, atol=EXACT)


@every_net
def test_growth_drawn_whole_changes_outputs(name: str) -> None:
    net, width = net_and_width(name)
    before = net.eval()(x_for(name))
    grow(net, width, 4, "kaiming")
    assert (net(x_for(name)) - before).abs().max() > (0 if name == "adapted" else 1e-3)


@every_net
@pytest.mark.parametrize("init", ["preserving", "kaiming"])
def test_removing_what_was_added_gives_the_old_network_to_the_bit(name: str, init: Init) -> None:
    net, width = net_and_width(name)
    before = state(net)
    grow(net, width, 4, init)
    assert size(net, width) == 9
    remove(net, width, range(5, 9))
    assert identical(state(net), before)


@every_net
def test_a_grown_network_is_one_that_was_built_so(name: str) -> None:
    net, width = net_and_width(name)
    grow(net, width, 3)
    remove(net, width, [0, 6])
    built, _ = net_and_width(name, 6)
    assert repr(net) == repr(built)
    assert size(net, width) == 6
    built.load_state_dict(net.state_dict())
    assert torch.equal(built.eval()(x_for(name)), net.eval()(x_for(name)))


@every_net
def test_removing_units_is_never_having_read_them(name: str) -> None:
    net, width = net_and_width(name)
    net.eval()
    silenced = copy.deepcopy(net)
    with torch.no_grad():
        for place in unit_axes(net, width):
            if place.side == "out":
                place.by_unit(silenced.get_parameter(place.name))[[1, 3]] = 0
    remove(net, width, [3, 1])
    torch.testing.assert_close(net(x_for(name)), silenced(x_for(name)), rtol=0, atol=EXACT)


def test_a_unit_of_a_recurrent_layer_is_a_row_and_a_column_of_every_gate() -> None:
    net, width = net_and_width("both")
    before = state(net)
    remove(net, width, [2])
    kept = [0, 1, 3, 4]
    rows = [5 * gate + unit for gate in range(4) for unit in kept]  # input, forget, cell, output
    ways = [*kept, *[5 + unit for unit in kept]]
    for way in ("", "_reverse"):
        for layer in (0, 1):
            own = f"cell.{{}}_l{layer}{way}"
            weights = net.state_dict()
            into = before[own.format("weight_ih")][rows]
            assert torch.equal(weights[own.format("weight_ih")], into[:, ways] if layer else into)
            inside = before[own.format("weight_hh")][rows][:, kept]
            assert torch.equal(weights[own.format("weight_hh")], inside)
            assert torch.equal(weights[own.format("bias_hh")], before[own.format("bias_hh")][rows])
    columns = [5 * block + unit for block in range(4) for unit in kept]
    assert torch.equal(net.state_dict()["last.weight"], before["last.weight"][:, columns])


@every_net
def test_new_units_change_the_outputs_after_a_step(name: str) -> None:
    net, width = net_and_width(name)
    change = grow(net.train(), width, 4)
    net(x_for(name)).square().sum().backward()
    assert any(place.side == "out" for place in change.unit_axes)
    for place in change.unit_axes:
        if place.side == "out" and place.name in dict(net.named_parameters()):
            gradient = net.get_parameter(place.name).grad
            assert gradient is not None
            new = place.by_unit(gradient)[5:]
            if "lora" in place.name or "router" in place.name:
                continue  # zero columns of both factors: the frozen weight learns first
            assert new.abs().amin(dim=0).max() > 0, place.name


@every_net
def test_moments_follow_their_entries(name: str) -> None:
    """After a step the old entries are those of a network that never grew."""
    net, width = net_and_width(name)
    net.train().requires_grad_()
    small = copy.deepcopy(net)

    def step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        model(x_for(name)).square().mean().backward()
        optimizer.step()

    optimizers = [torch.optim.AdamW(model.parameters(), lr=0.01) for model in (net, small)]
    for _ in range(3):
        step(net, optimizers[0])
        step(small, optimizers[1])
    moments = {key: dict(optimizers[0].state[p]) for key, p in net.named_parameters()}
    change = grow(net, width, 4)
    change.follow(moments)
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
    for key, parameter in net.named_parameters():
        assert moments[key]["exp_avg"].shape == parameter.shape
        assert moments[key]["step"] == 3
        optimizer.state[parameter] = moments[key]
    for place in change.unit_axes:
        if place.name in moments:
            assert not place.by_unit(moments[place.name]["exp_avg_sq"])[5:].any()
    step(net, optimizer)
    step(small, optimizers[1])
    remove(net, width, range(5, 9))
    for key, value in small.state_dict().items():
        torch.testing.assert_close(net.state_dict()[key], value, rtol=1e-9, atol=1e-9, msg=key)


def test_copies_are_near_their_parents_and_differ_by_the_noise() -> None:
    net, width = net_and_width("linear", 64)
    before = state(net)
    grow(net, width, 64, "copy", noise=0.1)
    distances = torch.cdist(net.first.weight[64:], before["first.weight"]).min(dim=1)
    scale = 0.1 * before["first.weight"].square().mean().sqrt()
    off = net.first.weight[64:] - before["first.weight"][distances.indices]
    assert off.square().mean().sqrt().item() == pytest.approx(float(scale), rel=0.15)
    assert torch.equal(net.norm.running_var[64:], before["norm.running_var"][distances.indices])
    shared = torch.zeros(2, 64, dtype=torch.float64)
    parents = torch.cat([torch.arange(64), distances.indices])
    shared.index_add_(1, parents, net.last.weight.detach())
    torch.testing.assert_close(shared, before["last.weight"], rtol=0, atol=EXACT)


def test_new_weights_have_the_documented_size() -> None:
    net = Net(lambda net, x: x, first=nn.Linear(300, 10), last=nn.Linear(10, 400))
    grow(net, ONE, 290, "kaiming")
    for weight in (net.first.weight[10:], net.last.weight[:, 10:]):  # fan in is 300 for both
        assert weight.std().item() == pytest.approx(math.sqrt(2 / 300), rel=0.02)
    assert not net.first.bias[10:].any()
    cell = Net(lambda net, x: x, cell=nn.GRU(300, 10), last=nn.Linear(10, 2))
    grow(cell, Width(("cell",), (Reads("last"),)), 190)
    assert cell.cell.weight_ih_l0[10:200].std().item() == pytest.approx(300**-0.5, rel=0.02)
    assert cell.cell.weight_hh_l0[10:200].std().item() == pytest.approx(200**-0.5, rel=0.02)


def test_a_normalisation_starts_by_leaving_new_units_alone() -> None:
    net, width = net_and_width("linear")
    grow(net, width, 2)
    new = {name: value[5:].tolist() for name, value in net.norm.state_dict().items() if value.ndim}
    assert new == {
        "weight": [1, 1],
        "bias": [0, 0],
        "running_mean": [0, 0],
        "running_var": [1, 1],
    }


def test_what_is_drawn_is_the_generators() -> None:
    grown = []
    for seed in (1, 1, 2):
        net, width = net_and_width("gru")
        grow(net, width, 2, "copy", noise=0.1, generator=torch.Generator().manual_seed(seed))
        grown.append(state(net))
    assert identical(grown[0], grown[1])
    assert not identical(grown[0], grown[2])


def test_changed_tensors_want_a_gradient_and_others_are_left_alone() -> None:
    net, width = net_and_width("linear")
    net.requires_grad_(False)
    grow(net, width, 1)
    wanting = {name for name, parameter in net.named_parameters() if parameter.requires_grad}
    assert wanting == {"first.weight", "first.bias", "norm.weight", "norm.bias", "last.weight"}


REFUSED = {
    "has 20 entries along axis 1, and 5 units need 2 x 5 x 1; name modules": (
        lambda: map_1d(5),
        Width(("first",), (Reads("flat", repeats=2),)),
    ),
    "mixes units.* name batch normalisations": (
        lambda: Net(
            lambda net, x: x, first=nn.Linear(2, 4), last=nn.Linear(4, 1), n=nn.LayerNorm(4)
        ),
        Width(("first",), (Reads("last"),), norms=("n",)),
    ),
    "is a RNN, and units are made and read by Linear.* name one of these": (
        lambda: Net(lambda net, x: x, first=nn.RNN(2, 4), last=nn.Linear(4, 1)),
        ONE,
    ),
    "is a ParametrizedLinear.* without parametrisations": (
        lambda: Net(
            lambda net, x: x,
            first=nn.utils.parametrizations.weight_norm(nn.Linear(2, 4)),
            last=nn.Linear(4, 1),
        ),
        ONE,
    ),
    "'first' has groups or a projection.* name a plain layer": (
        lambda: Net(lambda net, x: x, first=nn.Conv1d(2, 4, 3, groups=2), last=nn.Conv1d(4, 1, 1)),
        ONE,
    ),
    "'cell' has groups or a projection.* name a plain layer": (
        lambda: Net(lambda net, x: x, cell=nn.LSTM(2, 4, proj_size=2), last=nn.Linear(4, 1)),
        CELL,
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_grow_is_refused(message: str) -> None:
    build, width = REFUSED[message]
    net = build()
    before = state(net)
    with pytest.raises(RecipeError, match=message):
        grow(net, width, 1)
    assert identical(state(net), before)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(-6, 6).filter(bool), max_size=6), st.integers(0, 1000))
def test_units_keep_their_order_and_their_weights(sizes: list[int], seed: int) -> None:
    """Whichever units are added and removed, each unit that stays is the one it was."""
    generator = torch.Generator().manual_seed(seed)
    net, width = net_and_width("map_1d")
    units = [(net.first.weight[u].clone(), net.flat.weight[:, 4 * u].clone()) for u in range(5)]
    for n in sizes:
        if n > 0:
            grow(net, width, n, "kaiming", generator=generator)
            new = range(len(units), len(units) + n)
            units += [(net.first.weight[u].clone(), net.flat.weight[:, 4 * u].clone()) for u in new]
        elif -n < len(units):
            gone = torch.randperm(len(units), generator=generator)[:-n].tolist()
            remove(net, width, gone)
            units = [unit for number, unit in enumerate(units) if number not in gone]
    assert size(net, width) == len(units)
    for number, (made_by, read_by) in enumerate(units):
        assert torch.equal(net.first.weight[number], made_by)
        assert torch.equal(net.flat.weight[:, 4 * number], read_by)
