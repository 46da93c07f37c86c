"""Speech foundation models as a front end: wav2vec 2.0, HuBERT, WavLM, w2v-BERT 2.0, Whisper.

The networks are those of the transformers library, so its weights load by name; the path through
them is ours: no masking, no dropped layers, input of any length, layers that are not wanted are
never built.

B clips, T samples at 16 kHz, F frames (50 a second), C features.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from unheard.detectors.layers.encoder_weights import config_of, find, is_local, read_weights
from unheard.detectors.layers.fairseq import family_and_settings
from unheard.detectors.layers.kaldi_mel import KaldiMel
from unheard.detectors.layers.log_mel import LogMel
from unheard.errors import MissingExtra, RecipeError, check_choices, suggestion

__all__ = [
    "WAV2VEC2_BASE",
    "WHISPER_BASE",
    "WHISPER_TINY_EN",
    "XLS_R_300M",
    "Encoder",
    "Setting",
    "SpeechEncoder",
]

Setting = bool | int | float | str | tuple[int, ...]

FAMILIES = {
    "wav2vec2": ("Wav2Vec2Config", "Wav2Vec2Model", "num_hidden_layers"),
    "hubert": ("HubertConfig", "HubertModel", "num_hidden_layers"),
    "wavlm": ("WavLMConfig", "WavLMModel", "num_hidden_layers"),
    "wav2vec2-bert": ("Wav2Vec2BertConfig", "Wav2Vec2BertModel", "num_hidden_layers"),
    "whisper": ("WhisperConfig", "WhisperEncoder", "encoder_layers"),
}
"""By family: transformers' config, its model, and what the config calls the number of layers."""

DROPOUTS = (
    *("activation_dropout", "attention_dropout", "hidden_dropout", "feat_proj_dropout"),
    *("dropout", "layerdrop", "encoder_layerdrop", "final_dropout", "conformer_conv_dropout"),
)
SHORTEST = 400
"""Samples that the first convolutions of the wav2vec 2.0 family span together."""


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """What to build: one encoder, by its family and what differs from the family's defaults.

    Attributes:
        family: Which network.
        settings: Names and values of transformers' config that differ from its defaults, sorted.
            `of` reads them from a folder. Masking and dropped layers are off in any case.
        source: Where pretrained weights are: a folder, a name that `unheard encoder` builds, or the
            id of a model on a hub. "" leaves the weights random.
        n_layers: Transformer layers that are kept, from the first; 0 keeps all. The output is then
            that of the last kept layer as the whole model has it inside, before any final norm.
        dropout: Of the network in training. The source of each paper is silent or uses 0.
        normalise: Give each window zero mean and unit variance first. wav2vec 2.0 models whose
            extractor has layer norm were pretrained so; the public recipe of SSL + AASIST, which
            the papers follow, feeds the waveform as it is.
    """

    family: Literal["wav2vec2", "hubert", "wavlm", "wav2vec2-bert", "whisper"] = "wav2vec2"
    settings: tuple[tuple[str, Setting], ...] = ()
    source: str = ""
    n_layers: int = 0
    dropout: float = 0.0
    normalise: bool = False

    def __post_init__(self) -> None:
        check_choices(self, "no encoder {name} {value!r}")
        if not 0 <= self.dropout < 1:
            raise RecipeError(f"dropout={self.dropout:g}; choose a share from 0 up to below 1")
        if self.n_layers < 0:
            raise RecipeError(f"n_layers={self.n_layers}; give 1 or more, or 0 to keep all")

    @classmethod
    def of(cls, source: str) -> Encoder:
        """Return the encoder whose config and weights a folder, fairseq file or hub id holds.

        Raises:
            RecipeError: If there is none, or it is not of one of the families.
        """
        place = find(source)
        if place.is_file():
            family, written = family_and_settings(place)
        else:
            written = config_of(place)
            family = str(written.get("model_type", ""))
        if family not in FAMILIES:
            raise RecipeError(
                f"{source}: holds a model of type {family!r}{suggestion(family, FAMILIES)}"
            )
        usual = _transformers(FAMILIES[family][0])().to_dict()
        settings = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in written.items()
            if name in usual and value != usual[name] and _is_setting(value)
            if not name.startswith("decoder_")
        }
        kept = tuple(sorted((name, value) for name, value in settings.items()))
        return cls(family=cast(Any, family), settings=kept, source=source)

    def at(self, source: str) -> Encoder:
        """Return the encoder with the weights of another source.

        Family and shape are read there if it is a transformers folder or a fairseq file; of what
        must be fetched first, such as a hub's id, they are taken to be the same.

        Raises:
            RecipeError: If it holds another kind of model.
        """
        if not source or not is_local(source):
            return replace(self, source=source)
        other = type(self).of(source)
        return replace(self, family=other.family, settings=other.settings, source=source)

    def build(self) -> SpeechEncoder:
        """Return the network with random weights."""
        return SpeechEncoder(self)

    def pretrained(self) -> dict[str, Tensor]:
        """Return the weights at `source` by the names of the built network; {} without a source.

        Raises:
            RecipeError: If there are none.
        """
        if not self.source:
            return {}
        return {
            f"model.{name}": value
            for name, value in read_weights(find(self.source), self.family).items()
        }


class SpeechEncoder(nn.Module):
    """An encoder of the transformers library, from waveform to the states of its layers.

    Shape:
        waveform [B, T] float32 at 16 kHz in [-1, 1] -> list of [B, F, C], one for the input of the
        transformer and one per layer; F is about T / 320.

    Source:
        Baevski et al., wav2vec 2.0, 2020; Hsu et al., HuBERT, 2021; Chen et al., WavLM, 2022;
        Barrault et al., Seamless, 2023 (w2v-BERT 2.0); Radford et al., Robust speech recognition
        via large-scale weak supervision, 2022.

        Differences: nothing is masked and no layer is skipped in training. Whisper reads windows of
        any length instead of 30 s padded with zeros: its table of positions is cut to the frames
        there are, longer input is read in pieces of 30 s, and its features are scaled by the
        window's own maximum.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        config_name, model_name, depth_name = FAMILIES[encoder.family]
        config = _config(encoder, config_name, depth_name)
        self.family = encoder.family
        self.normalise = encoder.normalise
        self.checkpointing = False
        self.model = _transformers(model_name)(config)
        whole = dict(encoder.settings).get(depth_name, getattr(type(config)(), depth_name))
        self.is_whole = encoder.n_layers in (0, whole)
        self.n_features = int(config.hidden_size)
        self.shortest = SHORTEST
        if self.family == "whisper":
            self.log_mel = LogMel(int(config.num_mel_bins))
        if self.family == "wav2vec2-bert":
            self.kaldi_mel = KaldiMel(int(config.feature_projection_input_dim) // 2)
            self.shortest = KaldiMel.shortest

    @property
    def layers(self) -> nn.ModuleList:
        """The transformer layers."""
        layers = self.model.layers if self.family == "whisper" else self.model.encoder.layers
        return cast(nn.ModuleList, layers)

    @property
    def longest(self) -> int:
        """Samples that it reads at once; longer input is read in pieces. 0 if there is no limit."""
        if self.family != "whisper":
            return 0
        return int(self.model.max_source_positions) * 2 * LogMel.n_hop

    def feed_forward(self, layer: int) -> tuple[str, str]:
        """Return the names in this module of the two projections of a layer's feed-forward part.

        Of the two such parts of a layer of w2v-BERT 2.0, it is the second.
        """
        if self.family == "whisper":
            return f"model.layers.{layer}.fc1", f"model.layers.{layer}.fc2"
        own = "ffn2" if self.family == "wav2vec2-bert" else "feed_forward"
        part = f"model.encoder.layers.{layer}.{own}"
        return f"{part}.intermediate_dense", f"{part}.output_dense"

    def set_feed_forward(self, layer: int, n_units: int) -> None:
        """Give the feed-forward part of one layer another width, and new random weights.

        Raises:
            RecipeError: If there is no such layer.
        """
        if layer >= len(self.layers):
            raise RecipeError(
                f"feed_forward names a width for layer {layer}, and the encoder has "
                f"{len(self.layers)}; give one width for each kept layer, or fewer"
            )
        for name, sizes in zip(
            self.feed_forward(layer),
            ((self.n_features, n_units), (n_units, self.n_features)),
            strict=True,
        ):
            path, _, own = name.rpartition(".")
            setattr(self.get_submodule(path), own, nn.Linear(*sizes))

    def forward(self, waveform: Tensor) -> list[Tensor]:
        """Return the states of all layers, [B, T] -> (1 + layers) times [B, F, C]."""
        if waveform.shape[1] < self.shortest:
            waveform = nn.functional.pad(waveform, (0, self.shortest - waveform.shape[1]))
        if self.normalise:
            centred = waveform - waveform.mean(dim=1, keepdim=True)
            waveform = centred / (centred.square().mean(dim=1, keepdim=True) + 1e-7).sqrt()
        if self.family == "whisper":
            return self._whisper(waveform)
        if self.family == "wav2vec2-bert":
            frames = self.model.feature_projection(self.kaldi_mel(waveform))[0]
            return self._through(self.model.encoder.dropout(frames))
        return self._wav2vec2(waveform)

    def _wav2vec2(self, waveform: Tensor) -> list[Tensor]:
        encoder = self.model.encoder
        projected = self.model.feature_projection(self._convolved(waveform))
        frames = projected[0] if isinstance(projected, tuple) else projected
        frames = frames + encoder.pos_conv_embed(frames)
        norm_last = bool(self.model.config.do_stable_layer_norm)
        if not norm_last:
            frames = encoder.layer_norm(frames)
        states = self._through(encoder.dropout(frames))
        if norm_last and self.is_whole:
            states[-1] = encoder.layer_norm(states[-1])
        return states

    def _convolved(self, waveform: Tensor) -> Tensor:
        """Return what the first convolutions make of windows, [B, T] -> [B, F, C].

        Windows that overlap in memory by a whole number of frames are convolved as the one stretch
        they are, which gives each the same frames, if every frame is normalised by itself.
        """
        convolutions, config = self.model.feature_extractor, self.model.config
        (n_windows, n_samples), n_hop = waveform.shape, waveform.stride(0)
        n_step = math.prod(config.conv_stride)
        shares = n_windows > 1 and 0 < n_hop < n_samples and n_hop % n_step == 0
        if torch.compiler.is_exporting() or not shares or config.feat_extract_norm != "layer":
            return cast(Tensor, convolutions(waveform).transpose(1, 2))
        n_more = (n_windows - 1) * n_hop
        frames = convolutions(waveform.as_strided((1, n_samples + n_more), (1, 1)))[0]
        n_frames = frames.shape[1] - n_more // n_step
        return cast(Tensor, frames.unfold(1, n_frames, n_hop // n_step).permute(1, 2, 0))

    def _whisper(self, waveform: Tensor) -> list[Tensor]:
        if waveform.shape[1] <= self.longest:
            return self._piece(waveform)
        parts = list(torch.split(waveform, self.longest, dim=1))
        parts[-1] = nn.functional.pad(parts[-1], (0, max(0, SHORTEST - parts[-1].shape[1])))
        pieces = [self._piece(part) for part in parts]
        return [torch.cat(states, dim=1) for states in zip(*pieces, strict=True)]

    def _piece(self, waveform: Tensor) -> list[Tensor]:
        features = nn.functional.gelu(self.model.conv1(self.log_mel(waveform)))
        frames = nn.functional.gelu(self.model.conv2(features)).transpose(1, 2)
        frames = frames + self.model.embed_positions.weight[: frames.shape[1]]
        states = self._through(
            nn.functional.dropout(frames, self.model.dropout, training=self.training)
        )
        if self.is_whole:
            states[-1] = self.model.layer_norm(states[-1])
        return states

    def _through(self, frames: Tensor) -> list[Tensor]:
        """Return what goes into the transformer and what comes out of each layer."""
        states, bias = [frames], None
        for layer in self.layers:
            inputs = (states[-1], None, bias) if self.family == "wavlm" else (states[-1], None)
            if self.checkpointing and self.training and torch.is_grad_enabled():
                out = checkpoint(layer, *inputs, use_reentrant=False)
            else:
                out = layer(*inputs)
            if self.family == "wavlm":
                out, bias = out
            states.append(out)
        return states


def _config(encoder: Encoder, config_name: str, depth_name: str) -> Any:
    """Return transformers' config: the settings, with masking and dropping off."""
    kind = _transformers(config_name)
    usual = kind()
    settings: dict[str, Any] = {}
    for name, value in encoder.settings:
        if not hasattr(usual, name):
            raise RecipeError(
                f"a {encoder.family} encoder has no setting {name!r}"
                f"{suggestion(name, usual.to_dict())}"
            )
        settings[name] = list(value) if isinstance(value, tuple) else value
    depth = settings.get(depth_name, getattr(usual, depth_name))
    if encoder.n_layers > depth:
        raise RecipeError(f"n_layers={encoder.n_layers}, and the encoder has {depth}; give fewer")
    settings[depth_name] = encoder.n_layers or depth
    off = {"apply_spec_augment": False, "mask_time_prob": 0.0, "mask_feature_prob": 0.0}
    off |= dict.fromkeys(DROPOUTS, encoder.dropout)
    off |= {"layerdrop": 0.0, "encoder_layerdrop": 0.0, "add_adapter": False}
    if settings.get("position_embeddings_type", "relative_key") != "relative_key":
        raise RecipeError(
            f"position_embeddings_type={settings['position_embeddings_type']!r}; only the relative "
            "keys of the published w2v-BERT 2.0 are built: give a model that has them"
        )
    return kind(**settings | {name: value for name, value in off.items() if hasattr(usual, name)})


def _transformers(name: str) -> Any:
    try:
        import transformers
    except ImportError as error:
        raise MissingExtra("ssl", "transformers") from error
    if name == "WhisperEncoder":  # the one class that is not offered at the top
        return transformers.models.whisper.modeling_whisper.WhisperEncoder
    return getattr(transformers, name)


def _is_setting(value: object) -> bool:
    if isinstance(value, list):
        return all(isinstance(entry, int) for entry in value)
    return isinstance(value, bool | int | float | str)


XLS_R_300M = Encoder(
    family="wav2vec2",
    settings=(
        ("conv_bias", True),
        ("do_stable_layer_norm", True),
        ("feat_extract_norm", "layer"),
        ("hidden_size", 1024),
        ("intermediate_size", 4096),
        ("num_attention_heads", 16),
        ("num_hidden_layers", 24),
    ),
    source="facebook/wav2vec2-xls-r-300m",
)
"""XLS-R 300M; XLSR-53 has the same shape: replace the source by facebook/wav2vec2-large-xlsr-53."""

WAV2VEC2_BASE = Encoder(family="wav2vec2", source="facebook/wav2vec2-base")
"""wav2vec 2.0 base, English: 12 layers of 768."""

WHISPER_BASE = Encoder(
    family="whisper",
    settings=(
        ("d_model", 512),
        ("encoder_attention_heads", 8),
        ("encoder_ffn_dim", 2048),
        ("encoder_layers", 6),
    ),
    source="whisper-base",
)
"""The encoder of Whisper-base, multilingual; `unheard encoder whisper-base` fetches it."""

WHISPER_TINY_EN = replace(
    WHISPER_BASE,
    settings=(
        ("d_model", 384),
        ("encoder_attention_heads", 6),
        ("encoder_ffn_dim", 1536),
        ("encoder_layers", 4),
    ),
    source="whisper-tiny.en",
)
"""The encoder of Whisper-tiny, English; `unheard encoder whisper-tiny.en` fetches it."""
