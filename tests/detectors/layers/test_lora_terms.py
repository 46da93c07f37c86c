"""What a mixture says of its last pass: terms for an objective, and which experts clips met."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint

from tiny_encoders import build, inputs, layers, run
from unheard.detectors.layers.lora import (
    AdaptedLinear,
    LoraExperts,
    adapt,
    adapted,
    adapter_names,
    expert_terms,
    record_routing,
)
from unheard.errors import RecipeError

MIXTURE = LoraExperts(rank=2, n_experts=4, n_active=2)
BY_CLIP = replace(MIXTURE, router="clip")


def linear(adapters: LoraExperts = MIXTURE) -> AdaptedLinear:
    torch.manual_seed(0)
    layer = AdaptedLinear(nn.Linear(5, 4).double(), adapters)
    nn.init.normal_(layer.lora_up)
    if layer.router is not None:
        nn.init.normal_(layer.router)
    return layer


def mixture(family: str = "wav2vec2", adapters: LoraExperts = MIXTURE) -> Any:
    encoder = build(family)
    adapt(layers(encoder), adapters)
    for part in adapted(encoder).values():
        nn.init.normal_(part.lora_up, std=0.3)
        if part.router is not None:
            nn.init.normal_(part.router, std=0.3)
    return encoder


def route(layer: AdaptedLinear, logits: Tensor) -> float:
    """Return the balance of a layer whose router copies the input to its logits."""
    assert layer.router is not None
    with torch.no_grad():
        layer.router.copy_(torch.eye(4, 5))
    layer(torch.cat([logits, torch.zeros(*logits.shape[:-1], 1)], dim=-1).double())
    return expert_terms(layer)["expert_balance"].item()


def test_balance_is_one_when_experts_are_used_alike_and_e_when_one_is_used_alone() -> None:
    layer = linear(replace(MIXTURE, n_active=1))
    assert route(layer, 9 * torch.eye(4)[None]) == pytest.approx(1.0)
    alone = torch.tensor([50.0, 0, 0, 0]).expand(1, 7, 4)
    assert route(layer, alone) == pytest.approx(4.0)


def test_balance_is_the_share_routed_times_the_mean_probability() -> None:
    logits = torch.tensor([[[2.0, 1.0, 0.0, -1.0], [0.0, 3.0, 1.0, -2.0]]])
    probability = logits[0].softmax(dim=-1).mean(dim=0)
    share = torch.tensor([1, 2, 1, 0]) / 4  # the two largest of each frame
    wanted = 4 * (share * probability).sum().item()
    assert route(linear(), logits) == pytest.approx(wanted)
    mean = logits[0].mean(dim=0).softmax(dim=-1)  # 1, 2, 0.5, -1.5: the first two
    wanted = 4 * (mean[0] + mean[1]).item() / 2
    assert route(linear(BY_CLIP), logits) == pytest.approx(wanted)


def test_orthogonality_is_the_sum_over_pairs_of_experts() -> None:
    layer = linear()
    layer(torch.zeros(1, 3, 5, dtype=torch.float64))
    down = layer.lora_down
    pairs = [(i, j) for i in range(4) for j in range(i + 1, 4)]
    wanted = sum((down[i] @ down[j].T).square().sum() for i, j in pairs)
    torch.testing.assert_close(expert_terms(layer)["expert_orthogonality"], wanted)


def test_terms_are_averaged_over_projections() -> None:
    pair = nn.ModuleList([linear(), linear()])
    x = torch.randn(2, 3, 5, dtype=torch.float64)
    single = []
    for scale, part in zip((1, 5), pair, strict=True):
        part(scale * x)
        single.append(expert_terms(part))
        part(scale * x)
    for name, value in expert_terms(pair).items():
        torch.testing.assert_close(value, (single[0][name] + single[1][name]) / 2)


def test_terms_are_empty_with_one_expert_in_evaluation_and_when_taken_already() -> None:
    x = torch.randn(2, 3, 5, dtype=torch.float64)
    plain = linear(LoraExperts())
    plain(x)
    assert expert_terms(plain) == {}
    layer = linear()
    layer(x)
    assert expert_terms(layer).keys() == {"expert_balance", "expert_orthogonality"}
    assert expert_terms(layer) == {}
    layer(x)
    layer.eval()(x)
    assert expert_terms(layer) == {}  # not those of the pass before


def gradients(encoder: Any, forward: Callable[[Tensor], Tensor], x: Tensor) -> dict[str, Tensor]:
    encoder.zero_grad()
    loss = forward(x).square().mean()
    loss = loss + sum(expert_terms(encoder).values())
    loss.backward()
    return {name: p.grad.clone() for name, p in encoder.named_parameters() if p.requires_grad}


@pytest.mark.parametrize(
    "adapters",
    [MIXTURE, BY_CLIP, replace(MIXTURE, router_noise=0.5, dropout=0.2)],
    ids=["frame", "clip", "noise"],
)
def test_checkpointing_changes_no_gradient_and_keeps_nothing(adapters: LoraExperts) -> None:
    encoder = mixture(adapters=adapters).train()
    frames = torch.randn(3, 20, 32, generator=torch.Generator().manual_seed(1))

    def plainly(x: Tensor) -> Tensor:
        for layer in layers(encoder):
            x = layer(x)
        return x

    def checkpointed(x: Tensor) -> Tensor:
        for layer in layers(encoder):
            x = checkpoint(layer, x, use_reentrant=False)
        return x

    torch.manual_seed(5)
    wanted = gradients(encoder, plainly, frames)
    torch.manual_seed(5)
    slopes = gradients(encoder, checkpointed, frames)
    assert any("router" in name for name in slopes)
    for name, gradient in wanted.items():
        assert gradient.any(), name
        torch.testing.assert_close(slopes[name], gradient)
    assert all(part.last_terms is None for part in adapted(encoder).values())
    assert expert_terms(encoder) == {}


def test_reentrant_checkpointing_loses_the_gradient_and_is_refused() -> None:
    layer = linear()
    x = torch.randn(2, 3, 5, dtype=torch.float64, requires_grad=True)
    checkpoint(layer, x, use_reentrant=True)
    with pytest.raises(RecipeError, match="use_reentrant=False"):
        expert_terms(layer)


def test_terms_without_gradients_can_be_read() -> None:
    layer = linear()
    with torch.no_grad():
        layer(torch.randn(2, 3, 5, dtype=torch.float64))
        assert expert_terms(layer)["expert_balance"] > 0


def test_terms_of_fast_weights_carry_the_gradient_of_the_fast_weights() -> None:
    encoder = mixture().train()
    x = inputs(encoder)
    fast = {
        name: (encoder.get_parameter(name) * 1.5).detach().requires_grad_()
        for name in adapter_names(encoder)
    }
    states = functional_call(encoder, fast, (x,)).last_hidden_state
    loss = states.square().mean() + sum(expert_terms(encoder).values())
    slopes = torch.autograd.grad(loss, list(fast.values()))
    assert all(encoder.get_parameter(name).grad is None for name in fast)
    encoder.load_state_dict(fast, strict=False)
    wanted = gradients(encoder, lambda x: run(encoder, x), x)
    for name, gradient in zip(fast, slopes, strict=True):
        torch.testing.assert_close(gradient, wanted[name])


@pytest.mark.parametrize("adapters", [MIXTURE, BY_CLIP], ids=["frame", "clip"])
def test_second_derivatives_are_right(adapters: LoraExperts) -> None:
    layer = linear(adapters)
    names = ("lora_down", "lora_up", "router")
    x = torch.randn(2, 2, 5, dtype=torch.float64, requires_grad=True)

    def loss(x: Tensor, *weights: Tensor) -> Tensor:
        y: Tensor = functional_call(layer, dict(zip(names, weights, strict=True)), (x,))
        terms = expert_terms(layer)
        return y.square().sum() + terms["expert_balance"] + terms["expert_orthogonality"]

    weights = [layer.get_parameter(name) for name in names]
    assert torch.autograd.gradgradcheck(loss, (x, *weights), fast_mode=True)


@pytest.mark.parametrize("adapters", [MIXTURE, BY_CLIP], ids=["frame", "clip"])
def test_recorded_usage_is_the_mean_gate_of_each_clip(adapters: LoraExperts) -> None:
    layer = linear(adapters).eval()
    x = torch.randn(3, 8, 5, dtype=torch.float64)
    assert layer.router is not None
    routed = x.mean(dim=1, keepdim=True).expand_as(x) if adapters is BY_CLIP else x
    logits = routed @ layer.router.T
    threshold = logits.sort(dim=-1, descending=True).values[..., 1:2]
    weights = logits.exp() * (logits >= threshold)
    wanted = (weights / weights.sum(dim=-1, keepdim=True)).mean(dim=1)
    with record_routing(layer) as routing:
        layer(x)
    torch.testing.assert_close(routing.usage()[:, 0], wanted)


def test_recording_goes_over_passes_changes_nothing_and_ends() -> None:
    encoder = mixture()
    x = inputs(encoder, 5)
    before = run(encoder, x)
    with record_routing(encoder) as routing:
        first = run(encoder, x[:3])
        run(encoder, x[3:])
    torch.testing.assert_close(first, before[:3])
    usage = routing.usage()
    assert usage.shape == (5, 8, 4)
    assert routing.names == tuple(adapted(encoder))
    torch.testing.assert_close(usage.sum(dim=-1), torch.ones(5, 8))
    assert not usage.requires_grad
    run(encoder, x)
    assert torch.equal(routing.usage(), usage)


def test_recording_ends_when_scoring_fails() -> None:
    layer = linear().eval()
    with pytest.raises(RuntimeError), record_routing(layer):
        layer(torch.zeros(2, 3, 9, dtype=torch.float64))
    assert layer.recorded is None


def test_a_checkpointed_pass_is_recorded_once() -> None:
    layer = linear()
    x = torch.randn(2, 3, 5, dtype=torch.float64, requires_grad=True)
    with record_routing(layer) as routing:
        checkpoint(layer, x, use_reentrant=False).sum().backward()
    assert routing.usage().shape == (2, 1, 4)


def test_usage_of_nothing_says_what_to_do() -> None:
    for layer in (linear(LoraExperts()), linear()):
        with record_routing(layer) as routing:
            pass
        with pytest.raises(RecipeError, match="pass clips through a mixture of experts"):
            routing.usage()
