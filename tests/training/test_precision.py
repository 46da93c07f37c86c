"""A processor computes in bfloat16 only where that is faster and gives the same scores."""

import time

import pytest
import torch
from torch import Tensor, nn

from unheard.training.precision import autocast, gains

WAVEFORM = torch.zeros(2, 100)


class Model(nn.Module):
    """Takes as long, and gives what it is asked for."""

    def __init__(self, seconds: float, bfloat16_seconds: float, off: float = 0.0) -> None:
        super().__init__()
        self.seconds = {False: seconds, True: bfloat16_seconds}
        self.off = off
        self.modes: list[bool] = []

    def forward(self, waveform: Tensor) -> Tensor:
        in_bfloat16 = torch.is_autocast_enabled("cpu")
        self.modes.append(self.training)
        time.sleep(self.seconds[in_bfloat16])
        return torch.full((len(waveform),), 1.0 + self.off * in_bfloat16)


@pytest.mark.parametrize(
    ("model", "gain"),
    [
        (Model(0.04, 0.01), True),
        (Model(0.01, 0.04), False),
        (Model(0.04, 0.01, off=0.02), True),
        (Model(0.04, 0.01, off=0.2), False),
    ],
)
def test_gains(model: Model, gain: bool) -> None:
    model.train()
    assert gains(model, WAVEFORM) is gain
    assert model.training
    assert not any(model.modes)  # running statistics and dropout are left alone


def test_autocast_changes_the_type_of_products() -> None:
    layer, batch = nn.Linear(4, 3), torch.randn(2, 4)
    for bfloat16, kind in ((False, torch.float32), (True, torch.bfloat16)):
        with autocast(batch.device, bfloat16=bfloat16):
            assert layer(batch).dtype == kind
