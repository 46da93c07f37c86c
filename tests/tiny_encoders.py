"""Encoders of the transformers library, small enough for milliseconds, with random weights."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    HubertConfig,
    HubertModel,
    Wav2Vec2BertConfig,
    Wav2Vec2BertModel,
    Wav2Vec2Config,
    Wav2Vec2Model,
    WavLMConfig,
    WavLMModel,
    WhisperConfig,
)
from transformers.models.whisper.modeling_whisper import WhisperEncoder

__all__ = ["FAMILIES", "WIDTH", "build", "inputs", "layers", "run"]

WIDTH = 32
_WAV2VEC2 = {
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "conv_dim": (16, 16),
    "conv_stride": (10, 8),
    "conv_kernel": (10, 8),
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "mask_time_prob": 0.0,
    "layerdrop": 0.0,
    "hidden_dropout": 0.0,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
    "feat_proj_dropout": 0.0,
}
_WHISPER = {
    "d_model": WIDTH,
    "encoder_layers": 2,
    "encoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "max_source_positions": 30,
    "num_mel_bins": 20,
}
_BERT = {
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "conv_depthwise_kernel_size": 5,
    "feature_projection_input_dim": 40,
    "layerdrop": 0.0,
    "conformer_conv_dropout": 0.0,
    "apply_spec_augment": False,
}
FAMILIES: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "wav2vec2": (Wav2Vec2Config, Wav2Vec2Model, _WAV2VEC2),
    "hubert": (HubertConfig, HubertModel, _WAV2VEC2),
    "wavlm": (WavLMConfig, WavLMModel, _WAV2VEC2),
    "wav2vec2-bert": (Wav2Vec2BertConfig, Wav2Vec2BertModel, _BERT),
    "whisper": (WhisperConfig, WhisperEncoder, _WHISPER),
}


def build(family: str, *, attention: str = "", seed: int = 0) -> Any:
    """Return a frozen encoder in evaluation mode; biases and norms are random too."""
    config, model, settings = FAMILIES[family]
    config = config(**settings)
    if attention:
        config._attn_implementation = attention
    torch.manual_seed(seed)
    encoder = model(config)
    for parameter in encoder.parameters():
        if parameter.ndim == 1:
            parameter.data += 0.1 * torch.randn_like(parameter)
    return encoder.requires_grad_(False).eval()


def layers(encoder: Any) -> nn.ModuleList:
    """Return the transformer layers."""
    layers: nn.ModuleList = getattr(encoder, "encoder", encoder).layers
    return layers


def inputs(encoder: Any, n_clips: int = 3, *, seed: int = 1) -> Tensor:
    """Return waveforms, or features where a model wants them, that give about 30 frames."""
    generator = torch.Generator().manual_seed(seed)
    features = {"whisper": (20, 60), "wav2vec2-bert": (30, 40)}
    shape = features.get(encoder.config.model_type, (2400,))
    return torch.randn(n_clips, *shape, generator=generator)


def run(encoder: Any, x: Tensor) -> Tensor:
    """Return the last states, [B, F, C]."""
    states: Tensor = encoder(x).last_hidden_state
    return states
