"""Do vocoders with pinned weights keep the promises of every generator, and refuse others?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tiny_vocoders
from unheard.attacks import ATTACKS, Attack, Engines, Speech, attacks
from unheard.attacks import cargan as cargan_row
from unheard.attacks import parallel_wavegan as parallel_wavegan_row
from unheard.attacks.cargan_network import CarganNetwork, CarganShape
from unheard.attacks.parallel_wavegan_network import ParallelWaveGanNetwork, ParallelWaveGanShape
from unheard.attacks.published import find, folder_of
from unheard.errors import AttackError
from unheard.types import FloatArray
from voice import voice

RATE_HZ = 16_000


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Attack]:
    @cache
    def made(name: str) -> Attack:
        return tiny_vocoders.ready(name, tmp_path_factory.mktemp(name))

    return made


def check_copy(row: Attack, source: FloatArray) -> FloatArray:
    copy = row.generate(Speech(source), np.random.default_rng(0))
    assert copy.dtype == np.float32
    assert copy.shape == source.shape
    assert np.abs(copy).max() <= 1.0
    assert abs(10 * np.log10(np.mean(copy**2) / np.mean(source**2))) < 1.0
    again = row.generate(Speech(source), np.random.default_rng(0))
    np.testing.assert_array_equal(copy, again)
    return copy


@pytest.mark.parametrize("name", tiny_vocoders.WITH_FILES)
@pytest.mark.parametrize("n_samples", [8_000, 5_431])
def test_a_copy_has_the_length_and_the_level_of_its_source(
    ready: Callable[[str], Attack], name: str, n_samples: int
) -> None:
    row = ready(name)
    assert row.missing() == ""
    copy = check_copy(row, voice(0.5)[:n_samples])
    other = row.generate(Speech(voice(0.5)[:n_samples]), np.random.default_rng(1))
    assert np.array_equal(copy, other) == name.startswith("hifi-gan")


@pytest.mark.parametrize("name", ["hifi-gan-universal", "nsf-hn"])
def test_a_file_with_other_weights_is_not_read(tmp_path: Path, name: str) -> None:
    row: Any = tiny_vocoders.ready(name, tmp_path)
    path = find(row.engines, row.file)
    assert path is not None
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(AttackError, match=f"wanted; remove it and fetch it again.*fetch {name}"):
        row.generate(Speech(voice(0.5)), np.random.default_rng(0))


@pytest.mark.parametrize("name", ["hifi-gan-ljspeech", "hifi-gan-16khz"])
def test_weights_of_another_size_are_refused(tmp_path: Path, name: str) -> None:
    row: Any = replace(tiny_vocoders.ready(name, tmp_path), n_channels=64)  # type: ignore[type-var]
    with pytest.raises(AttackError, match=r"not fit the network"):
        row.generate(Speech(voice(0.5)), np.random.default_rng(0))


def test_a_file_of_a_repository_lies_under_its_commit(tmp_path: Path) -> None:
    row: Any = attacks(tmp_path)["lyra-3200"]
    assert "google/lyra@47698dad" in row.missing()
    assert "fetch it with: unheard generate fetch lyra-3200" in row.missing()
    for file in row.files:
        path = tmp_path / folder_of(file.source) / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"model")
    assert "missing" not in row.missing()
    assert ATTACKS["lyra-3200"].missing() != ""


@pytest.mark.parametrize("name", ["cargan", "parallel-wavegan"])
def test_vocoders_of_larger_networks_on_tiny_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    torch.manual_seed(0)
    network: Any
    if name == "cargan":
        widths, rates = (16,) * 5, (4, 4, 4, 2, 2)
        network = CarganNetwork(CarganShape(widths=widths, rates=rates, n_hidden=8, n_context=8))
        module: Any = cargan_row
    else:
        network = ParallelWaveGanNetwork(ParallelWaveGanShape(n_channels=8, n_blocks=4, n_cycle=2))
        module = parallel_wavegan_row
    monkeypatch.setattr(module, "_network", lambda name, path: network.eval())
    monkeypatch.setattr(module.published, "verified", lambda name, engines, file: Path("there"))
    row: Any = replace(ATTACKS[name], engines=Engines(tmp_path))  # type: ignore[type-var]
    monkeypatch.setattr(type(row), "missing", lambda self: "")
    check_copy(row, voice(0.5))
