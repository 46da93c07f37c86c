"""Plain LoRA agrees with the peft library."""

import warnings
from typing import Any

import pytest
import torch
from torch import nn

from tiny_encoders import build, inputs, layers, run
from unheard.detectors.layers.lora import LoraExperts, adapt, adapted

# peft asks transformers by a name that transformers has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")

PLAIN = LoraExperts(rank=3, alpha=5.0, projections=("q", "out", "ff_in"))
TARGETS = ["q_proj", "out_proj", "intermediate_dense"]


@pytest.fixture(scope="module")
def peft() -> Any:
    """The library, whose import takes seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import peft
    return peft


def ours(adapters: LoraExperts = PLAIN, *, seed: int = 3) -> Any:
    encoder = build("wav2vec2")
    adapt(layers(encoder), adapters)
    torch.manual_seed(seed)
    for part in adapted(encoder).values():
        nn.init.normal_(part.lora_up, std=0.3)
    return encoder


def theirs(peft: Any) -> Any:
    """A model that peft adapted, with random weights."""
    config = peft.LoraConfig(r=3, lora_alpha=5, target_modules=TARGETS)
    model = peft.get_peft_model(build("wav2vec2"), config)
    torch.manual_seed(4)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter, std=0.3)
    return model.eval()


def test_weights_of_peft_have_its_outputs_and_gradients_here(peft: Any) -> None:
    model, encoder = theirs(peft), ours()
    with torch.no_grad():
        for name, part in adapted(encoder).items():
            layer = model.base_model.model.get_submodule(name)
            part.lora_down[0] = layer.lora_A["default"].weight
            part.lora_up[0] = layer.lora_B["default"].weight
    x = inputs(encoder)
    actual, wanted = run(encoder, x), run(model, x)
    torch.testing.assert_close(actual, wanted, rtol=1e-5, atol=1e-5)
    weights = torch.randn(actual.shape, generator=torch.Generator().manual_seed(6))
    (actual * weights).sum().backward()
    (wanted * weights).sum().backward()
    for name, part in adapted(encoder).items():
        layer = model.base_model.model.get_submodule(name)
        for own, other in ((part.lora_down, layer.lora_A), (part.lora_up, layer.lora_B)):
            gradient = other["default"].weight.grad
            assert gradient.any()
            assert own.grad is not None
            torch.testing.assert_close(own.grad[0], gradient, rtol=1e-4, atol=1e-4)


def test_fresh_adapters_are_as_large_as_those_of_peft(peft: Any) -> None:
    torch.manual_seed(0)
    config = peft.LoraConfig(r=64, target_modules=["0"])
    model = peft.get_peft_model(nn.Sequential(nn.Linear(300, 20)), config)
    down = model.base_model.model[0].lora_A["default"].weight
    own = adapted(ours(LoraExperts(rank=64)))
    limit = next(iter(own.values())).lora_down.abs().max().item() * 32**0.5
    assert limit == pytest.approx(down.abs().max().item() * 300**0.5, rel=0.01)
