"""Adapters: they start as nothing, are what their equation says, and land where they are asked."""

import copy
import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tiny_encoders import FAMILIES, WIDTH, build, inputs, layers, run
from unheard.detectors.layers.lora import (
    PROJECTIONS,
    AdaptedLinear,
    LoraExperts,
    adapt,
    adapted,
    adapter_names,
    expert_terms,
    record_routing,
    top_gates,
)
from unheard.detectors.layers.wavlm_attention import call_projections
from unheard.errors import RecipeError

EVERYWHERE = tuple(PROJECTIONS)
PLAIN = LoraExperts(rank=2, projections=EVERYWHERE)
MIXTURES = {
    "plain": PLAIN,
    "frame": replace(PLAIN, n_experts=4, n_active=2),
    "clip": replace(PLAIN, n_experts=4, n_active=2, router="clip"),
    "one of four": replace(PLAIN, n_experts=4),
    "all of three": replace(PLAIN, n_experts=3, n_active=3),
}


def awake(encoder: nn.Module, std: float = 0.3) -> Any:
    """Give every adapter an effect: B is zero at the start."""
    torch.manual_seed(2)
    for part in adapted(encoder).values():
        nn.init.normal_(part.lora_up, std=std)
    return encoder


def literally(layer: AdaptedLinear, x: Tensor) -> Tensor:
    """The equation of the module's docstring, frame by frame and expert by expert, [B, F, C]."""
    adapters = layer.adapters
    y = x @ layer.weight.T + layer.bias
    rows = []
    for clip in range(x.shape[0]):
        for frame in range(x.shape[1]):
            token = x[clip, frame]
            added = torch.zeros_like(y[clip, frame])
            gates = {0: torch.tensor(1.0)}
            if layer.router is not None:
                routed = x[clip].mean(dim=0) if adapters.router == "clip" else token
                logits = layer.router @ routed
                chosen = logits.detach().argsort(descending=True)[: adapters.n_active].tolist()
                weights = [logits[e].exp() for e in chosen]
                gates = {e: w / sum(weights) for e, w in zip(chosen, weights, strict=True)}
            for expert, gate in gates.items():
                low = layer.lora_down[expert] @ token
                added = added + gate * (layer.lora_up[expert] @ low)
            rows.append(y[clip, frame] + adapters.alpha / adapters.rank * added)
    return torch.stack(rows).view_as(y)


def linear(adapters: LoraExperts, n_in: int = 5, n_out: int = 4) -> AdaptedLinear:
    torch.manual_seed(0)
    layer = AdaptedLinear(nn.Linear(n_in, n_out).double(), adapters)
    if layer.router is not None:
        nn.init.normal_(layer.router)
    awake(layer)
    return layer


@pytest.mark.parametrize("adapters", MIXTURES.values(), ids=MIXTURES)
@pytest.mark.parametrize("family", FAMILIES)
def test_an_adapted_encoder_starts_as_the_frozen_one_to_the_bit(
    family: str, adapters: LoraExperts
) -> None:
    encoder = build(family)
    for layer in layers(encoder) if family == "wavlm" else ():
        # Equal up to rounding; see the test of it.
        call_projections(layer.get_submodule("attention"))
    x = inputs(encoder)
    before = run(encoder, x)
    adapt(layers(encoder), adapters)
    # Relative positions fold their product otherwise where a projection wants a gradient.
    most = 1e-5 if family == "wav2vec2-bert" else 0.0
    torch.testing.assert_close(run(encoder, x), before, rtol=0.0, atol=most)
    assert not torch.allclose(run(awake(encoder), x), before)


def test_an_adapted_encoder_starts_as_the_frozen_one_in_half_precision_too() -> None:
    encoder = build("whisper")
    x = inputs(encoder)
    with torch.autocast("cpu", torch.bfloat16):
        before = run(encoder, x)
        adapt(layers(encoder), MIXTURES["frame"])
        assert torch.equal(run(encoder, x), before)


@pytest.mark.parametrize("router", ["frame", "clip"])
def test_gates_are_chosen_in_full_precision_under_autocast(router: Any) -> None:
    layer = linear(replace(MIXTURES["frame"], router=router)).float()
    x = torch.randn(2, 6, 5)
    with torch.autocast("cpu", torch.bfloat16), record_routing(layer) as routing:
        y = layer(x)
        terms = expert_terms(layer)
    assert y.dtype == torch.bfloat16
    assert routing.usage().dtype == torch.float32
    assert {term.dtype for term in terms.values()} == {torch.float32}
    y.float().square().sum().backward()
    assert layer.router is not None
    assert layer.router.grad is not None
    assert layer.router.grad.any()


@pytest.mark.parametrize(
    ("family", "attention"),
    [(family, way) for family in FAMILIES for way in ("eager", "sdpa") if family != "wavlm"]
    + [("wavlm", "eager")],
)
def test_every_adapter_acts_as_a_change_of_the_weight(family: str, attention: str) -> None:
    for projection in EVERYWHERE:
        encoder = build(family, attention=attention)
        x = inputs(encoder)
        merged = copy.deepcopy(encoder)
        adapt(layers(encoder), LoraExperts(rank=2, projections=(projection,)))
        parts = adapted(awake(encoder))
        assert len(parts) == 2
        for name, part in parts.items():
            merged.get_submodule(name).weight.data += 8 * part.lora_up[0] @ part.lora_down[0]
        actual, wanted = run(encoder, x), run(merged, x)
        torch.testing.assert_close(actual, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")
@pytest.mark.parametrize("masked", [False, True])
def test_the_attention_of_wavlm_that_calls_projections_is_that_of_transformers(
    masked: bool,
) -> None:
    attention = build("wavlm").encoder.layers[0].attention
    frames = torch.randn(2, 9, WIDTH, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(2, 9, dtype=torch.long)
    mask[1, 6:] = 0
    wanted = attention(frames, attention_mask=mask if masked else None)
    call_projections(attention)
    actual = attention(frames, attention_mask=mask if masked else None)
    for ours, theirs in zip(actual, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("adapters", MIXTURES.values(), ids=MIXTURES)
def test_output_and_gradients_are_those_of_the_equation(adapters: LoraExperts) -> None:
    layer = linear(adapters)
    x = torch.randn(2, 6, 5, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(2, 6, 4, dtype=torch.float64)
    learned: list[Tensor] = [layer.lora_down, layer.lora_up]
    if layer.router is None or adapters.n_active > 1:  # else the router's gradient is our choice
        learned += [x] if layer.router is None else [x, layer.router]
    actual, wanted = layer(x), literally(layer, x)
    torch.testing.assert_close(actual, wanted)
    ours = torch.autograd.grad((weights * actual).sum(), learned)
    theirs = torch.autograd.grad((weights * wanted).sum(), learned)
    for slope, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(slope, other)


def test_a_single_active_expert_has_gate_one_and_still_teaches_the_router() -> None:
    logits = torch.tensor([[0.1, 2.0, -1.0]], requires_grad=True)
    gates = top_gates(logits, 1)
    assert gates.tolist() == [[0.0, 1.0, 0.0]]
    (gradient,) = torch.autograd.grad(gates[0, 1], logits)
    (wanted,) = torch.autograd.grad(logits.log_softmax(dim=-1)[0, 1], logits)
    torch.testing.assert_close(gradient, wanted)


def test_gates_are_the_softmax_over_the_largest_logits() -> None:
    gates = top_gates(torch.tensor([1.0, 3.0, 2.0, -5.0]), 2)
    high = 1 / (1 + math.exp(-1.0))
    torch.testing.assert_close(gates, torch.tensor([0.0, high, 1 - high, 0.0]))


@pytest.mark.parametrize("router", ["frame", "clip"])
@pytest.mark.parametrize("family", ["wav2vec2", "whisper"])
def test_a_clip_does_not_depend_on_its_batch_mates(family: str, router: Any) -> None:
    encoder = build(family)
    adapt(layers(encoder), replace(PLAIN, n_experts=6, n_active=2, router=router))
    awake(encoder, std=0.1)
    x = inputs(encoder, 4)
    together = run(encoder, x)
    for clip in range(4):
        alone = run(encoder, x[clip : clip + 1])[0]
        torch.testing.assert_close(together[clip], alone, rtol=0, atol=1e-4)


def test_the_clip_router_takes_one_choice_per_clip_and_the_frame_router_many() -> None:
    x = torch.randn(3, 40, 5, dtype=torch.float64)
    by_clip = linear(replace(MIXTURES["clip"], n_active=1))
    by_frame = linear(replace(MIXTURES["frame"], n_active=1))
    for layer, choices in ((by_clip, 1), (by_frame, 4)):
        base = x @ layer.weight.T + layer.bias
        added = layer(x) - base
        experts = layer.lora_up @ layer.lora_down * 8  # [E, D, C]
        fits = [torch.isclose(added[0], x[0] @ expert.T).all(dim=-1) for expert in experts]
        assert sum(bool(fit.any()) for fit in fits) == choices
        assert torch.stack(fits).any(dim=0).all()


def test_only_adapters_learn_and_the_frozen_layer_keeps_its_names_and_values() -> None:
    encoder = build("wav2vec2").requires_grad_(True)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    adapt(layers(encoder), MIXTURES["frame"])
    added = adapter_names(encoder)
    after = encoder.state_dict()
    assert after.keys() - before.keys() == set(added)
    assert len(added) == 3 * 2 * 6
    assert {name.rpartition(".")[2] for name in added} == {"lora_down", "lora_up", "router"}
    assert all(torch.equal(after[name], value) for name, value in before.items())
    for part in adapted(encoder).values():
        learned = {name for name, p in part.named_parameters() if p.requires_grad}
        assert learned == {"lora_down", "lora_up", "router"}
    assert encoder.encoder.layers[0].layer_norm.weight.requires_grad  # not ours to freeze
    encoder.load_state_dict(before, strict=False)


def test_one_expert_has_no_router() -> None:
    layer = linear(PLAIN)
    assert set(layer.state_dict()) == {"weight", "bias", "lora_down", "lora_up"}


def test_a_layer_without_bias_and_whisper_keys_have_none_after() -> None:
    encoder = build("whisper")
    adapt(layers(encoder), PLAIN)
    assert encoder.layers[0].self_attn.k_proj.bias is None


def test_layers_are_picked_by_index() -> None:
    encoder = build("wav2vec2")
    adapt(layers(encoder), LoraExperts(layers=(1,), projections=("q", "ff_out")))
    assert list(adapted(encoder)) == [
        "encoder.layers.1.attention.q_proj",
        "encoder.layers.1.feed_forward.output_dense",
    ]


def test_new_weights_start_small_and_of_the_documented_size() -> None:
    torch.manual_seed(0)
    layer = AdaptedLinear(nn.Linear(400, 300), LoraExperts(rank=16, n_experts=8, n_active=2))
    bound = 1 / math.sqrt(400)
    assert layer.lora_down.abs().max() <= bound
    assert layer.lora_down.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.02)
    assert layer.router is not None
    logits = torch.randn(2000, 400) @ layer.router.T
    assert logits.std().item() == pytest.approx(math.sqrt(0.1), rel=0.1)
    assert not layer.lora_up.any()


@pytest.mark.parametrize(
    "adapters",
    [replace(PLAIN, dropout=0.5), replace(MIXTURES["frame"], router_noise=1.0)],
    ids=["dropout", "noise"],
)
def test_chance_is_at_work_in_training_only(adapters: LoraExperts) -> None:
    layer = linear(adapters)
    x = torch.randn(2, 6, 5, dtype=torch.float64)
    assert not torch.equal(layer(x), layer(x))
    layer.eval()
    torch.testing.assert_close(layer(x), literally(layer, x))


def test_a_copy_can_be_made_after_a_training_pass() -> None:
    encoder = build("wavlm").train()
    adapt(layers(encoder), replace(MIXTURES["frame"], projections=("q",)))
    awake(encoder)
    x = inputs(encoder)
    run(encoder, x)
    twin = copy.deepcopy(encoder)
    for part in adapted(twin).values():
        nn.init.zeros_(part.lora_up)
    assert not torch.equal(run(twin, x), run(encoder, x))  # its attention calls its own layers


@pytest.mark.parametrize(
    ("adapters", "per_expert", "routers"),
    [
        (LoraExperts(rank=16), 3_145_728, 0),
        (LoraExperts(rank=32, projections=("q", "v")), 3_145_728, 0),
        (LoraExperts(rank=8, projections=("q", "v")), 786_432, 0),
        (LoraExperts(rank=8, n_experts=4, n_active=2), 1_572_864, 24 * 4 * 4 * 1024),
    ],
    ids=["r16", "r32 qv", "r8 qv", "r8 4 experts"],
)
def test_published_parameter_counts_are_met(
    adapters: LoraExperts, per_expert: int, routers: int
) -> None:
    with torch.device("meta"):
        stack = nn.ModuleList([nn.Module() for _ in range(24)])
        for layer in stack:
            layer.self_attn = nn.Module()
            for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
                setattr(layer.self_attn, name, nn.Linear(1024, 1024))
        stack.requires_grad_(False)
        adapt(stack, adapters)
    assert all(parameter.is_meta for parameter in stack.parameters())
    learned = sum(p.numel() for p in stack.parameters() if p.requires_grad)
    assert learned == adapters.n_experts * per_expert + routers


def test_adapting_twice_is_refused_and_changes_nothing() -> None:
    encoder = build("whisper")
    adapt(layers(encoder), LoraExperts(projections=("v",)))
    names = adapter_names(encoder)
    with pytest.raises(RecipeError, match="adapt an encoder once"):
        adapt(layers(encoder), LoraExperts(projections=("q", "v")))
    assert adapter_names(encoder) == names


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        ({"rank": 0}, "choose a rank of 1 or more"),
        ({"alpha": 0.0}, "alpha above 0"),
        ({"dropout": 1.0}, "choose a share from 0 up to below 1"),
        ({"n_active": 2}, "choose 1 <= n_active <= n_experts"),
        ({"n_experts": 2, "n_active": 0}, "choose 1 <= n_active"),
        ({"router": "frames"}, "did you mean 'frame'"),
        ({"router_noise": -1.0}, "choose 0 or more"),
        ({"router_noise": math.nan}, "choose 0 or more"),
        ({"projections": ("ff_inn",)}, "did you mean 'ff_in'"),
        ({"projections": ("q_proj",)}, "known: ff_in, ff_out, k, out, q, v"),
        ({"projections": ()}, "name one or more of q, k, v"),
        ({"projections": ("q", "q")}, "each once"),
        ({"layers": (0, 0)}, "give each layer once"),
        ({"layers": (-1,)}, "counted from 0"),
    ],
)
def test_impossible_settings_say_what_to_do(settings: dict[str, Any], remedy: str) -> None:
    with pytest.raises(RecipeError, match=remedy):
        LoraExperts(**settings)


def test_a_layer_that_is_not_there_is_refused() -> None:
    with pytest.raises(RecipeError, match="choose from 0 to 1"):
        adapt(layers(build("whisper")), LoraExperts(layers=(2,)))


def test_layers_of_an_unknown_kind_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"Wav2Vec2, HuBERT, WavLM, w2v-BERT 2\.0 or Whisper"):
        adapt([nn.TransformerEncoderLayer(8, 2)], LoraExperts())


def test_the_clip_router_wants_clips() -> None:
    with pytest.raises(AssertionError, match=r"needs \[B, F, C\]"):
        linear(MIXTURES["clip"])(torch.zeros(6, 5, dtype=torch.float64))
