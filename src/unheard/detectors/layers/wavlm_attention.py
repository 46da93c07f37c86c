"""WavLM's attention, made to call its projections instead of reading their weights.

B clips, F frames, C features, H heads.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["call_projections"]

METHOD = "torch_multi_head_self_attention"


def call_projections(attention: nn.Module) -> None:
    """Make a WavLM attention call q_proj, k_proj, v_proj and out_proj; leave others as they are.

    transformers hands the weights of these layers to one function of torch, so whichever else a
    layer in their place does would be passed over in silence. The result is the same up to the
    rounding of float32.
    """
    if hasattr(attention, METHOD):
        setattr(attention, METHOD, MethodType(_attend, attention))


def _attend(
    self: Any, frames: Tensor, attention_mask: Tensor | None, position_bias: Tensor
) -> tuple[Tensor, Tensor]:
    """Return [B, F, C] and the weights averaged over heads, as transformers has them.

    Args:
        self: The attention.
        frames: Shape [B, F, C].
        attention_mask: Shape [B, F], 1 where there is speech; None if everywhere.
        position_bias: Shape [B * H, F, F], added to the logits.
    """
    n_clips, n_frames, _ = frames.shape
    heads = (n_clips, n_frames, self.num_heads, self.head_dim)
    q, k, v = (
        project(frames).view(heads).transpose(1, 2).flatten(0, 1)  # [B * H, F, C / H]
        for project in (self.q_proj, self.k_proj, self.v_proj)
    )
    if attention_mask is not None:
        hidden = attention_mask.ne(1).repeat_interleave(self.num_heads, dim=0)[:, None]
        position_bias = position_bias.masked_fill(hidden, float("-inf"))
    logits = torch.baddbmm(position_bias, q * self.scaling, k.transpose(1, 2))
    weights = functional.dropout(logits.softmax(dim=-1), self.dropout, self.training)
    mixed = (weights @ v).view(n_clips, self.num_heads, n_frames, self.head_dim)
    out = self.out_proj(mixed.transpose(1, 2).flatten(2))
    mean = weights.view(n_clips, self.num_heads, n_frames, n_frames).mean(dim=1)
    return out, mean[:, None].expand(-1, self.num_heads, -1, -1)
