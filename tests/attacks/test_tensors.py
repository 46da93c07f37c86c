"""Do weights come out of published files as they went in, and never anything else?"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from torch import nn

import tiny_vocoders
from unheard.attacks import tensors
from unheard.attacks.hifi_gan_network import HifiGanNetwork, HifiGanShape
from unheard.errors import AttackError, BundleError

SHAPE = HifiGanShape(n_channels=16)


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (self.path,)


def test_a_file_that_would_run_something_is_refused(tmp_path: Path) -> None:
    path = tiny_vocoders.written(tmp_path / "x.pt", {"generator": Trap(str(tmp_path / "trap"))})
    with pytest.raises(BundleError, match="holds more than tensors"):
        tensors.from_state(path, "generator")
    assert not (tmp_path / "trap").exists()


def test_norms_are_multiplied_out() -> None:
    weights = HifiGanNetwork(SHAPE).state_dict()
    plain = tensors.without_norms(tiny_vocoders.normed(weights))
    assert plain.keys() == weights.keys()
    for name, weight in weights.items():
        torch.testing.assert_close(plain[name], weight)


def test_a_script_archive_gives_its_tensors_and_its_program_is_left_alone(tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = HifiGanNetwork(SHAPE)
    path = tiny_vocoders.script(tmp_path / "x.ts", network)
    read = tensors.from_script(path, HifiGanNetwork(SHAPE))
    for name, weight in network.state_dict().items():
        torch.testing.assert_close(read[name], weight, rtol=0, atol=0)


def test_an_archive_of_another_network_is_refused(tmp_path: Path) -> None:
    path = tiny_vocoders.script(tmp_path / "x.ts", HifiGanNetwork(SHAPE))
    other = HifiGanNetwork(HifiGanShape(rates=(8, 8), kernels=(16, 16), n_channels=16))
    with pytest.raises(AttackError, match="156 tensors, 80 wanted; fetch it again"):
        tensors.from_script(path, other)


def test_modules_are_matched_by_their_order() -> None:
    ours = nn.ModuleDict({"one": nn.Linear(2, 3), "two": nn.Linear(3, 4)})
    theirs = {"a.0.bias": torch.ones(3), "a.0.weight": torch.ones(3, 2), "b.bias": torch.ones(4)}
    theirs["b.weight"] = torch.ones(4, 3)
    named = tensors.in_order(theirs, ours)
    assert set(named) == set(ours.state_dict())
    assert named["two.weight"].shape == (4, 3)
    with pytest.raises(AttackError, match="weights of 1 modules, 2 wanted"):
        tensors.in_order({"b.bias": torch.ones(4)}, ours)


@pytest.mark.parametrize("change", ["missing", "more", "shape"])
def test_weights_must_fit_to_the_last_one(change: str) -> None:
    weights = nn.Linear(2, 3).state_dict()
    if change == "missing":
        del weights["bias"]
    elif change == "more":
        weights["extra"] = torch.ones(1)
    else:
        weights["bias"] = torch.ones(4)
    with pytest.raises(AttackError, match=r"^x: the weights do not fit the network"):
        tensors.filled("x", nn.Linear(2, 3), weights)
