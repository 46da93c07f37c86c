"""Our cepstral coefficients against those that make_lfcc.py computed without torch."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from unheard.detectors.layers.features import Lfcc, Spectrogram

RECORDED: dict[str, Any] = json.loads(Path(__file__).with_name("reference.json").read_text())


@pytest.mark.parametrize("band", RECORDED["lfcc"])
def test_every_coefficient_agrees_with_a_literal_computation(band: str) -> None:
    samples = torch.tensor(RECORDED["samples_times_32768"], dtype=torch.float32) / 32768
    power = Spectrogram(Lfcc.framing())(samples[None])
    coefficients = Lfcc(Lfcc.framing(), band=float(band))(power)[0].numpy()
    # The layer works in float32 and the record in float64; values reach 13.
    np.testing.assert_allclose(coefficients, np.array(RECORDED["lfcc"][band]), rtol=0, atol=2e-5)


def test_the_record_says_where_it_comes_from() -> None:
    assert RECORDED["made_by"] == "tests/detectors/layers/make_reference.py"
    assert {"made_on", "numpy", "scipy"} <= RECORDED.keys()
