"""Low-rank adapters in the projections of a transformer: one (LoRA), or a mixture of experts.

B clips, F frames, C features in, D features out, E experts, R rank, N frames of all clips.

An adapted projection computes, for frame x,

    y = W x + b + (alpha / R) * sum over the chosen experts e of g_e B_e A_e x

where W and b are frozen, the k experts with the largest router logits are chosen, and g is the
softmax over their logits. B starts at zero, so the adapted network starts as the frozen one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from unheard.detectors.layers.wavlm_attention import call_projections
from unheard.errors import RecipeError, check_choices, suggestion

__all__ = [
    "AdaptedLinear",
    "LoraExperts",
    "Routing",
    "adapt",
    "adapted",
    "adapter_names",
    "expert_terms",
    "record_routing",
    "top_gates",
]

PROJECTIONS: dict[str, tuple[str, ...]] = {
    "q": ("attention.q_proj", "self_attn.q_proj", "self_attn.linear_q"),
    "k": ("attention.k_proj", "self_attn.k_proj", "self_attn.linear_k"),
    "v": ("attention.v_proj", "self_attn.v_proj", "self_attn.linear_v"),
    "out": ("attention.out_proj", "self_attn.out_proj", "self_attn.linear_out"),
    "ff_in": ("feed_forward.intermediate_dense", "fc1", "ffn2.intermediate_dense"),
    "ff_out": ("feed_forward.output_dense", "fc2", "ffn2.output_dense"),
}
"""What transformers calls each: in wav2vec 2.0, HuBERT and WavLM; in Whisper; in w2v-BERT 2.0."""


@dataclass(frozen=True, kw_only=True)
class LoraExperts:
    """What to add to an encoder; one expert is plain LoRA and has no router.

    Attributes:
        rank: Rank of each expert.
        alpha: What an expert adds is scaled by alpha / rank.
        dropout: Share of the input of experts and router that is dropped in training.
        n_experts: Experts per projection.
        n_active: Experts that a frame, or a clip, goes through.
        router: "frame" chooses for each frame from the input of the projection; "clip" chooses for
            each clip, from the mean of that input over time.
        router_noise: Standard deviation of noise on the router's logits, in training only.
        projections: Which are adapted: "q", "k", "v", "out", "ff_in", "ff_out".
        layers: Which layers are adapted, from 0; () is all.
    """

    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.0
    n_experts: int = 1
    n_active: int = 1
    router: Literal["frame", "clip"] = "frame"
    router_noise: float = 0.0
    projections: tuple[str, ...] = ("q", "k", "v", "out")
    layers: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.rank < 1 or not self.alpha > 0:
            raise RecipeError(
                f"rank={self.rank}, alpha={self.alpha:g}; choose a rank of 1 or more and alpha "
                "above 0"
            )
        if not 0 <= self.dropout < 1:
            raise RecipeError(f"dropout={self.dropout:g}; choose a share from 0 up to below 1")
        if not 1 <= self.n_active <= self.n_experts:
            raise RecipeError(
                f"n_active={self.n_active} of n_experts={self.n_experts}; "
                "choose 1 <= n_active <= n_experts"
            )
        check_choices(self, "no {name} {value!r}")
        if not 0 <= self.router_noise < math.inf:
            raise RecipeError(f"router_noise={self.router_noise:g}; choose 0 or more")
        self._check_places()

    def _check_places(self) -> None:
        for name in self.projections:
            if name not in PROJECTIONS:
                raise RecipeError(f"no projection {name!r}{suggestion(name, PROJECTIONS)}")
        if not self.projections or len(set(self.projections)) < len(self.projections):
            raise RecipeError(
                f"projections={self.projections}; name one or more of {', '.join(PROJECTIONS)}, "
                "each once"
            )
        if any(index < 0 for index in self.layers) or len(set(self.layers)) < len(self.layers):
            raise RecipeError(f"layers={self.layers}; give each layer once, counted from 0")


class AdaptedLinear(nn.Linear):
    """A frozen linear layer with low-rank experts next to it.

    Its `weight` and `bias` are those of the layer it replaces, under the same names. The parameters
    that are trained are `lora_down` [E, R, C], `lora_up` [E, D, R] and, with several experts,
    `router` [E, C].

    Shape:
        [..., C] -> [..., D]; with a router per clip [B, F, C] -> [B, F, D].

    Source:
        Hu et al., LoRA, 2021; with one expert, output and gradients agree with the peft library.
        The mixture is that of Mixture of low-rank adapter experts (2509.13878), whose router is not
        published: the choice of k by logit and the softmax over the chosen follow Jiang et al.,
        Mixtral of experts, 2024, the balance term and the router's first weights Fedus et al.,
        Switch transformers, 2021.

        With n_active = 1 the softmax over the chosen is the constant 1, which would teach the
        router nothing; its gradient is taken to be that of the logarithm of the probability.
    """

    lora_down: nn.Parameter
    lora_up: nn.Parameter
    router: nn.Parameter | None

    def __init__(self, linear: nn.Linear, adapters: LoraExperts) -> None:
        nn.Module.__init__(self)
        self.in_features = linear.in_features
        self.out_features = linear.out_features
        self.weight = linear.weight.requires_grad_(False)
        self.bias = linear.bias
        if linear.bias is not None:
            linear.bias.requires_grad_(False)
        self.adapters = adapters
        n_experts, rank = adapters.n_experts, adapters.rank
        new = linear.weight.new_empty
        self.lora_down = nn.Parameter(new(n_experts, rank, self.in_features))
        self.lora_up = nn.Parameter(new(n_experts, self.out_features, rank))
        self.router = nn.Parameter(new(n_experts, self.in_features)) if n_experts > 1 else None
        self.reset_adapters()
        self.train(linear.training)
        self.last_terms: tuple[Tensor, Tensor] | None = None
        self.recorded: list[Tensor] | None = None

    def reset_adapters(self) -> None:
        """Draw new adapters: down as peft does, up zero, router with logits of about 0.3."""
        # Kaiming-uniform with a = sqrt(5) is uniform up to 1 / sqrt(fan in).
        bound = 1 / math.sqrt(self.in_features)
        nn.init.uniform_(self.lora_down, -bound, bound)
        nn.init.zeros_(self.lora_up)
        if self.router is not None:
            nn.init.normal_(self.router, std=math.sqrt(0.1 / self.in_features))

    def __getstate__(self) -> dict[str, Any]:
        # A copy must not take along the graph of a forward pass; torch refuses to copy one.
        return self.__dict__ | {"last_terms": None, "recorded": None}

    def forward(self, x: Tensor) -> Tensor:
        """Return the frozen projection of x plus what the chosen experts add."""
        adapters = self.adapters
        frames = x.reshape(-1, self.in_features)  # [N, C]
        dropped = functional.dropout(frames, adapters.dropout, self.training)
        down = self.lora_down.flatten(0, 1)  # [E * R, C]
        if self.router is None:
            low = functional.linear(dropped, down)
        else:
            # One product for experts and router: the sum of their gradients for x comes free.
            both = functional.linear(dropped, torch.cat([down, self.router]))
            low = self._gated(both.view(*x.shape[:-1], -1))
        up = self.lora_up.transpose(1, 2).flatten(0, 1)  # [E * R, D]
        base = functional.linear(frames, self.weight, self.bias)
        y = torch.addmm(base, low, up, alpha=adapters.alpha / adapters.rank)
        return y.view(*x.shape[:-1], self.out_features)

    def _gated(self, both: Tensor) -> Tensor:
        """Return what each expert made of x times its gate, [..., E * R + E] -> [N, E * R]."""
        assert self.router is not None
        adapters = self.adapters
        n_experts = adapters.n_experts
        low, logits = torch.split(both, [n_experts * adapters.rank, n_experts], dim=-1)
        logits = logits.to(self.router.dtype)  # autocast is too coarse for a choice
        if adapters.router == "clip":
            assert both.ndim == 3, f"a router per clip needs [B, F, C], not {both.ndim} axes"
            logits = logits.mean(dim=1, keepdim=True)  # as the router is linear, that of mean x
        if self.training and adapters.router_noise:
            logits = logits + adapters.router_noise * torch.randn_like(logits)
        gates = top_gates(logits, adapters.n_active)
        # While gradients are computed, a checkpointed layer runs a second time; its terms
        # are those of the first. All is computed again nevertheless, as checkpointing demands.
        again = torch._C._current_graph_task_id() != -1
        terms = None
        if self.training:
            terms = _balance(logits, gates), _orthogonality(self.lora_down)
        if not again:
            self.last_terms = terms
        if self.recorded is not None and not again:
            self.recorded.append(gates.detach().mean(dim=1))
        low = torch.unflatten(low, -1, (n_experts, -1)) * gates.unsqueeze(-1)
        return low.reshape(-1, n_experts * adapters.rank)


def top_gates(logits: Tensor, n_active: int) -> Tensor:
    """Return the softmax over the largest n_active logits and 0 elsewhere, [..., E] -> same."""
    largest, chosen = logits.topk(n_active, dim=-1)
    if n_active > 1:
        return torch.zeros_like(logits).scatter(-1, chosen, largest.softmax(dim=-1))
    probability = logits.softmax(dim=-1).gather(-1, chosen)
    return torch.zeros_like(logits).scatter(-1, chosen, probability / probability.detach())


def _balance(logits: Tensor, gates: Tensor) -> Tensor:
    """Return E times the sum of (share routed to e) * (mean probability of e); 1 if even."""
    n_experts = logits.shape[-1]
    routed = (gates.detach() > 0).to(logits.dtype).reshape(-1, n_experts).sum(dim=0)
    probability = logits.softmax(dim=-1).reshape(-1, n_experts).mean(dim=0)
    return n_experts * (routed / routed.sum() * probability).sum()


def _orthogonality(down: Tensor) -> Tensor:
    """Return the sum over pairs of experts of |A_i A_j^T|^2, [E, R, C] -> scalar."""
    n_experts, rank, _ = down.shape
    rows = down.flatten(0, 1)
    with torch.autocast(down.device.type, enabled=False):
        squares = (rows @ rows.T).square().view(n_experts, rank, n_experts, rank)
    return squares.sum(dim=(1, 3)).triu(1).sum()


def adapt(layers: Sequence[nn.Module] | nn.ModuleList, adapters: LoraExperts) -> None:
    """Put adapters into transformer layers, in place, and freeze the projections they adapt.

    The rest of the layers is left as it is. New weights come from torch's global generator.

    Args:
        layers: Transformer layers of one of the encoders of `encoder.py`.
        adapters: What to put where.

    Raises:
        RecipeError: If there is no such layer or projection, or it is adapted already.
    """
    beyond = [index for index in adapters.layers if index >= len(layers)]
    if beyond:
        raise RecipeError(
            f"layers={adapters.layers}, and the encoder has {len(layers)}; "
            f"choose from 0 to {len(layers) - 1}"
        )
    indices = adapters.layers or range(len(layers))
    places = [_place(layers[i], name) for i in indices for name in adapters.projections]
    for parent, name in places:
        setattr(parent, name, AdaptedLinear(getattr(parent, name), adapters))
        call_projections(parent)


def _place(layer: nn.Module, projection: str) -> tuple[nn.Module, str]:
    """Return the module that holds a projection, and its name there."""
    for path in PROJECTIONS[projection]:
        parent_name, _, name = path.rpartition(".")
        try:
            parent = layer.get_submodule(parent_name)
            linear = parent.get_submodule(name)
        except AttributeError:
            continue
        if isinstance(linear, AdaptedLinear):
            raise RecipeError(f"{path} has adapters already; adapt an encoder once")
        if type(linear) is nn.Linear:
            return parent, name
    known = " or ".join(PROJECTIONS[projection])
    raise RecipeError(
        f"{type(layer).__name__} has no linear layer {known}; give the transformer layers of a "
        "Wav2Vec2, HuBERT, WavLM, w2v-BERT 2.0 or Whisper encoder"
    )


def adapted(module: nn.Module) -> dict[str, AdaptedLinear]:
    """Return the adapted projections of a module by name, in order."""
    return {name: part for name, part in module.named_modules() if isinstance(part, AdaptedLinear)}


def adapter_names(module: nn.Module) -> list[str]:
    """Return the names in the module's state of what was added: down, up and router weights."""
    return [
        f"{name}.{own}" if name else own
        for name, part in adapted(module).items()
        for own, _ in part.named_parameters(recurse=False)
        if own not in ("weight", "bias")
    ]


def expert_terms(module: nn.Module) -> dict[str, Tensor]:
    """Return what an objective may weigh of the last training pass; then forget it.

    Args:
        module: Holds adapted projections.

    Returns:
        "expert_balance": E times the sum over experts of the share of frames (or clips) routed to
        it times its mean probability; 1 if all are used alike, up to E if one is used alone.
        "expert_orthogonality": sum over pairs of experts of the squared Frobenius norm of
        A_i A_j^T. Both are averaged over projections. Empty with one expert, after a pass in
        evaluation mode, and when called a second time.

    Raises:
        RecipeError: If the pass was checkpointed in a way that lost the gradient.
    """
    parts = adapted(module).values()
    terms = [part.last_terms for part in parts if part.last_terms is not None]
    for part in parts:
        part.last_terms = None
    if not terms:
        return {}
    balance, orthogonality = (torch.stack(values).mean() for values in zip(*terms, strict=True))
    learns = any(part.lora_down.requires_grad for part in parts)
    if torch.is_grad_enabled() and learns and not balance.requires_grad:
        raise RecipeError(
            "the experts' terms carry no gradient: the layers ran without one, as reentrant "
            "checkpointing does; use torch.utils.checkpoint with use_reentrant=False"
        )
    return {"expert_balance": balance, "expert_orthogonality": orthogonality}


@dataclass(frozen=True, eq=False)
class Routing:
    """Which experts clips went through; `record_routing` fills it.

    Attributes:
        names: Names of the adapted projections, in order.
        passes: For each projection, the gates of each pass, [B, E].
    """

    names: tuple[str, ...]
    passes: tuple[list[Tensor], ...] = field(repr=False)

    def usage(self) -> Tensor:
        """Return the mean gate over the frames of each clip, [B, projections, E]; sums to 1.

        Raises:
            RecipeError: If nothing was recorded.
        """
        if not all(self.passes) or not self.passes:
            raise RecipeError(
                "no routing was recorded; pass clips through a mixture of experts while recording"
            )
        return torch.stack([torch.cat(gates) for gates in self.passes], dim=1)


@contextmanager
def record_routing(module: nn.Module) -> Iterator[Routing]:
    """Record the gates of every pass through a mixture; outputs stay the same.

    Clips come in the order in which they were passed. With one expert nothing is recorded, and
    `names` is empty.

    Args:
        module: Holds adapted projections; one recording at a time.
    """
    parts = {name: part for name, part in adapted(module).items() if part.router is not None}
    routing = Routing(tuple(parts), tuple([] for _ in parts))
    for part, gates in zip(parts.values(), routing.passes, strict=True):
        part.recorded = gates
    try:
        yield routing
    finally:
        for part in parts.values():
            part.recorded = None
