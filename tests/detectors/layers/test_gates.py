"""Gates: each against its definition in plain arithmetic, and what none of them may do."""

import math

import pytest
import torch
from torch import Tensor, nn

from unheard.detectors.layers.gates import (
    AttentionGate,
    EnhancedGate,
    FixedGate,
    Gate,
    WaveformGate,
)
from unheard.errors import RecipeError

SIZES = (5, 7, 4)
N_CLIPS = 6
GATES: dict[str, Gate] = {
    "joint": AttentionGate(width=12, heads=3, depth=2, feed_forward=10),
    "token": AttentionGate(width=12, heads=3, depth=2, feed_forward=10, readout="token"),
    "waveform": WaveformGate(n_samples=40),
    "enhanced": EnhancedGate(width=6, hidden=9),
    "even": FixedGate(),
}
every_gate = pytest.mark.parametrize("name", GATES)


def inputs(seed: int = 1) -> tuple[Tensor, list[Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    waveform = torch.randn(N_CLIPS, 64, generator=generator)
    return waveform, [torch.randn(N_CLIPS, size, generator=generator) for size in SIZES]


def built(gate: Gate) -> nn.Module:
    """Return a gate none of whose numbers has a value that hides a mistake."""
    torch.manual_seed(0)
    module = gate.build(SIZES)
    for parameter in module.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return module


def normalised(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Layer normalisation over the last axis."""
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * weight + bias


def attended(tokens: Tensor, own: dict[str, Tensor], heads: int) -> Tensor:
    """One layer: softmax(q k / sqrt(d)) v among the tokens of a clip, then two linear layers."""
    n_clips, n_experts, width = tokens.shape
    mixed = tokens @ own["self_attn.in_proj_weight"].T + own["self_attn.in_proj_bias"]
    read = torch.zeros(n_clips, n_experts, width)
    size = width // heads
    for head in range(heads):
        q, k, v = (
            mixed[:, :, part * width + head * size : part * width + (head + 1) * size]
            for part in range(3)
        )
        for clip in range(n_clips):
            strength = (q[clip] @ k[clip].T / math.sqrt(size)).exp()
            strength = strength / strength.sum(1, keepdim=True)
            read[clip, :, head * size : (head + 1) * size] = strength @ v[clip]
    read = read @ own["self_attn.out_proj.weight"].T + own["self_attn.out_proj.bias"]
    tokens = normalised(tokens + read, own["norm1.weight"], own["norm1.bias"])
    inner = (tokens @ own["linear1.weight"].T + own["linear1.bias"]).clamp(min=0)
    outer = inner @ own["linear2.weight"].T + own["linear2.bias"]
    return normalised(tokens + outer, own["norm2.weight"], own["norm2.bias"])


@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("readout", ["joint", "token"])
def test_attention_gate_is_its_definition(readout: str, depth: int) -> None:
    spec = AttentionGate(width=12, heads=3, depth=depth, feed_forward=10, readout=readout)  # type: ignore[arg-type]
    gate = built(spec).eval()
    weights = gate.state_dict()
    waveform, embeddings = inputs()
    tokens = torch.stack(
        [
            embedding @ weights[f"projections.{expert}.weight"].T + weights["identities"][expert]
            for expert, embedding in enumerate(embeddings)
        ],
        dim=1,
    )
    for layer in range(depth):
        prefix = f"layers.{layer}."
        own = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
        tokens = attended(tokens, own, 3)
    if readout == "joint":
        side_by_side = torch.cat([tokens[:, expert] for expert in range(3)], dim=1)
        expected = side_by_side @ weights["readout.weight"].T + weights["readout.bias"]
    else:
        expected = torch.stack(
            [tokens[:, e] @ weights["readout.weight"][0] for e in range(3)], dim=1
        )
    torch.testing.assert_close(gate(waveform, embeddings), expected, rtol=1e-4, atol=1e-5)
    with torch.inference_mode():  # torch has another kernel for it
        logits = gate(waveform, embeddings)
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)


def test_enhanced_gate_is_its_definition() -> None:
    gate = built(EnhancedGate(width=6, hidden=9, dropout=0.0)).train()
    weights = {name: value.clone() for name, value in gate.state_dict().items()}
    waveform, embeddings = inputs()

    def batch_normalised(x: Tensor, name: str) -> Tensor:
        centred = x - x.mean(0)
        scale = (centred.square().mean(0) + 1e-5).sqrt()
        return centred / scale * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def leaky(x: Tensor) -> Tensor:
        return torch.where(x > 0, x, 0.01 * x)

    features, means = [], []
    for expert, embedding in enumerate(embeddings):
        projected = (
            embedding @ weights[f"projections.{expert}.weight"].T
            + weights[f"projections.{expert}.bias"]
        )
        means.append(projected.mean(0))
        features.append(leaky(batch_normalised(projected, "norm")))
    product = features[0] * features[1] * features[2] * weights["scale"]
    hidden = torch.cat([*features, product], dim=1) @ weights["logits.0.weight"].T
    hidden = leaky(batch_normalised(hidden + weights["logits.0.bias"], "logits.2"))
    expected = hidden @ weights["logits.4.weight"].T + weights["logits.4.bias"]
    torch.testing.assert_close(gate(waveform, embeddings), expected, rtol=1e-4, atol=1e-5)
    # One normalisation sees the experts one after the other.
    running = torch.zeros(6)
    for mean in means:
        running = 0.9 * running + 0.1 * mean
    torch.testing.assert_close(gate.state_dict()["norm.running_mean"], running)


def test_enhanced_gate_has_the_layers_of_its_source() -> None:
    gate = EnhancedGate().build((64,) * 4)
    n_projections = 4 * (64 * 32 + 32) + 2 * 32 + 32
    n_head = 160 * 64 + 64 + 2 * 64 + 64 * 4 + 4
    assert sum(weight.numel() for weight in gate.parameters()) == n_projections + n_head
    assert torch.equal(gate.state_dict()["scale"], torch.ones(32))
    drops = [module.p for module in gate.modules() if isinstance(module, nn.Dropout)]
    assert drops == [0.2]


def test_waveform_gate_is_one_linear_layer_over_the_window() -> None:
    gate = WaveformGate().build(SIZES)
    assert sum(weight.numel() for weight in gate.parameters()) == 3 * 48_000 + 3
    small = built(WaveformGate(n_samples=64))
    waveform, embeddings = inputs()
    weights = small.state_dict()
    expected = waveform @ weights["logits.weight"].T + weights["logits.bias"]
    torch.testing.assert_close(small(waveform, embeddings), expected)


@pytest.mark.parametrize(
    ("n_samples", "seen"),
    [
        (3, [2, 3, 4]),
        (4, [1, 2, 3, 4]),
        (7, [0, 1, 2, 3, 4, 5, 6]),
        (8, [0, 1, 2, 3, 4, 5, 6, 0]),
        (16, [0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5, 6, 0, 1]),
    ],
)
def test_waveform_gate_takes_the_middle_or_repeats(n_samples: int, seen: list[int]) -> None:
    gate = built(WaveformGate(n_samples=n_samples))
    waveform = torch.arange(7.0)[None]
    expected = gate.state_dict()["logits.weight"] @ torch.tensor([float(at) for at in seen])
    logits = gate(waveform, []) - gate.state_dict()["logits.bias"]
    torch.testing.assert_close(logits[0], expected)


def test_even_gate_weighs_all_experts_alike_and_has_no_weights() -> None:
    gate = FixedGate().build(SIZES)
    assert not gate.state_dict()
    assert torch.equal(gate(*inputs()).softmax(1), torch.full((N_CLIPS, 3), 1 / 3))


@every_gate
def test_no_clip_sees_another(name: str) -> None:
    gate = built(GATES[name]).eval()
    waveform, embeddings = inputs()
    others = inputs(seed=2)
    changed = waveform.clone()
    changed[1:] = others[0][1:]
    mates = [own.clone() for own in embeddings]
    for own, other in zip(mates, others[1], strict=True):
        own[1:] = 100 * other[1:]
    logits, expected = gate(changed, mates), gate(waveform, embeddings)
    torch.testing.assert_close(logits[0], expected[0], rtol=1e-5, atol=1e-6)
    if name != "even":
        assert not torch.allclose(logits[1:], expected[1:])


def moved(depth: int) -> Tensor:
    """Return how far each expert's logit moves if the second expert says something else."""
    spec = AttentionGate(width=12, heads=3, depth=depth, feed_forward=10, readout="token")
    gate = built(spec).eval()
    waveform, embeddings = inputs()
    before = gate(waveform, embeddings)
    embeddings[1] = embeddings[1] + 1
    return (gate(waveform, embeddings) - before).abs().amax(dim=0)


def test_attention_is_what_lets_an_expert_see_the_others() -> None:
    assert (moved(depth=1) > 1e-3).all()
    assert moved(depth=0)[1] > 1e-3
    assert moved(depth=0)[[0, 2]].max() == 0


@every_gate
def test_gradient_reaches_every_weight(name: str) -> None:
    gate = built(GATES[name]).train()
    waveform, embeddings = inputs()
    embeddings = [embedding.requires_grad_() for embedding in embeddings]
    weights = gate(waveform, embeddings).softmax(dim=1)
    (weights * torch.tensor([1.0, -2.0, 0.5])).sum().backward() if name != "even" else None
    for parameter in gate.parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().max() > 0
    if name not in ("waveform", "even"):
        assert all(own.grad is not None and own.grad.abs().max() > 0 for own in embeddings)


def test_layers_of_the_transformer_start_apart() -> None:
    weights = AttentionGate().build(SIZES).state_dict()
    first, second = (weights[f"layers.{layer}.linear1.weight"] for layer in range(2))
    assert not torch.equal(first, second)


@pytest.mark.parametrize(
    ("make", "remedy"),
    [
        (lambda: AttentionGate(width=0), "give 1 or more for each"),
        (lambda: AttentionGate(depth=-1), "depth 0 or more"),
        (lambda: AttentionGate(width=10), "give a width that is a multiple of the heads"),
        (lambda: AttentionGate(dropout=1.0), "give a share from 0 up to below 1"),
        (lambda: AttentionGate(readout="tokens"), "did you mean 'token'"),  # type: ignore[arg-type]
        (lambda: WaveformGate(n_samples=0), "give 1 or more"),
        (lambda: EnhancedGate(hidden=0), "give 1 or more for each"),
        (lambda: EnhancedGate(dropout=-0.1), "give a share from 0 up to below 1"),
    ],
)
def test_impossible_gates_say_what_to_do(make: object, remedy: str) -> None:
    with pytest.raises(RecipeError, match=remedy):
        make()  # type: ignore[operator]
