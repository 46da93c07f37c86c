"""An encoder with attentive statistics: what the pooling is, and what counts as pretrained."""

from dataclasses import replace

import pytest
import torch

from small_detectors import SMALL, TINY_ENCODER
from unheard.detectors.layers.pooling import AttentiveStatistics, statistics
from unheard.detectors.ssl_pooled import SslPooled
from unheard.errors import RecipeError


def test_attentive_statistics_start_as_plain_ones_and_follow_their_weights() -> None:
    torch.manual_seed(0)
    pooling, frames = AttentiveStatistics(6), torch.randn(2, 9, 6)
    torch.testing.assert_close(pooling(frames), statistics(frames), atol=0.01, rtol=0.01)
    with torch.no_grad():
        torch.nn.init.normal_(list(pooling.attention.parameters())[-1], std=3.0)
    weights = pooling.attention(frames).softmax(dim=1).double()
    mean = (weights * frames).sum(dim=1)
    deviation = ((weights * frames.square()).sum(dim=1) - mean.square() + 1e-8).sqrt()
    torch.testing.assert_close(
        pooling(frames).double(), torch.cat([mean, deviation], dim=1), atol=1e-4, rtol=1e-3
    )


def test_statistics_have_a_finite_slope_where_nothing_moves() -> None:
    frames = torch.ones(1, 5, 3, requires_grad=True)
    statistics(frames).sum().backward()
    assert frames.grad is not None
    assert torch.isfinite(frames.grad).all()


def test_frozen_encoder_gets_no_gradient_and_the_back_end_does() -> None:
    spec = SMALL["ssl_pooled"]
    assert isinstance(spec, SslPooled)
    detector = replace(spec, frozen=True).build()
    detector(torch.randn(2, 8_000)).sum().backward()
    for name, parameter in detector.named_parameters():
        assert (parameter.grad is None) == name.startswith("encoder.")


def test_score_in_bfloat16_is_rounded_before_the_back_end_only() -> None:
    torch.manual_seed(0)
    detector = SMALL["ssl_pooled"].build().eval()
    with torch.autocast("cpu", torch.bfloat16):
        assert detector(torch.randn(2, 8_000)).dtype == torch.float32


def test_values_out_of_range_are_refused() -> None:
    with pytest.raises(RecipeError, match="n_hidden"):
        SslPooled(encoder=TINY_ENCODER, n_hidden=0)
    with pytest.raises(RecipeError, match="dropout"):
        SslPooled(encoder=TINY_ENCODER, dropout=1.0)
