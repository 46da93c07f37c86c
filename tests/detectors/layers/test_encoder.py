"""Encoders: the library's own states, nothing masked, layers really gone, weights by any name."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from small_detectors import TINY_ENCODER
from unheard import audio
from unheard.detectors.detector import window_scores
from unheard.detectors.layers.encoder import (
    WHISPER_BASE,
    WHISPER_TINY_EN,
    XLS_R_300M,
    Encoder,
    SpeechEncoder,
)
from unheard.detectors.layers.encoder_weights import config_of, find, read_weights
from unheard.detectors.layers.kaldi_mel import KaldiMel
from unheard.detectors.layers.log_mel import LogMel
from unheard.detectors.ssl_aasist import SslAasist
from unheard.errors import RecipeError

TINY_WHISPER = Encoder(
    family="whisper",
    settings=(
        ("d_model", 16),
        ("encoder_attention_heads", 2),
        ("encoder_ffn_dim", 24),
        ("encoder_layers", 3),
    ),
)
STABLE = replace(TINY_ENCODER, settings=(*TINY_ENCODER.settings, ("do_stable_layer_norm", True)))
TINY_BERT = Encoder(
    family="wav2vec2-bert",
    settings=(
        ("conv_depthwise_kernel_size", 5),
        ("hidden_size", 16),
        ("intermediate_size", 24),
        ("num_attention_heads", 2),
        ("num_hidden_layers", 2),
    ),
)
TINY = {
    "wav2vec2": TINY_ENCODER,
    "wav2vec2 with norm before": STABLE,
    "hubert": replace(TINY_ENCODER, family="hubert"),
    "wavlm": replace(TINY_ENCODER, family="wavlm"),
    "wavlm with norm before": replace(STABLE, family="wavlm"),
    "wav2vec2-bert": TINY_BERT,
}
every_encoder = pytest.mark.parametrize("name", TINY)


def waves(n_clips: int = 2, n_samples: int = 8_000) -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(0.1 * rng.standard_normal((n_clips, n_samples)).astype(np.float32))


def built(encoder: Encoder) -> SpeechEncoder:
    torch.manual_seed(0)
    return encoder.build().eval()


def written(encoder: Encoder, folder: Path, prefix: str = "") -> Path:
    """A folder as the transformers library saves it, with the weights of a random encoder."""
    network = built(encoder).model
    network.config.save_pretrained(folder)
    state = {prefix + name: value.contiguous() for name, value in network.state_dict().items()}
    save_file(state, folder / "model.safetensors")
    return folder


@every_encoder
def test_states_are_those_of_the_library(name: str) -> None:
    encoder = built(TINY[name])
    with torch.inference_mode():
        ours = encoder(waves())
        read = encoder.kaldi_mel(waves()) if name == "wav2vec2-bert" else waves()
        theirs = encoder.model(read, output_hidden_states=True)
    assert len(ours) == len(theirs.hidden_states)
    for state, other in zip(ours[:-1], theirs.hidden_states[:-1], strict=True):
        assert torch.equal(state, other)
    assert torch.equal(ours[-1], theirs.last_hidden_state)


def test_whisper_states_are_those_of_the_library_on_thirty_seconds() -> None:
    encoder = built(TINY_WHISPER)
    with torch.inference_mode():
        ours = encoder(waves(1, 480_000))
        theirs = encoder.model(encoder.log_mel(waves(1, 480_000)))
    assert torch.equal(ours[-1], theirs.last_hidden_state)


def test_log_mel_is_that_of_the_library() -> None:
    from transformers import WhisperFeatureExtractor

    theirs = WhisperFeatureExtractor(feature_size=80)(
        waves(1, 480_000)[0].numpy(), sampling_rate=16_000, return_tensors="pt"
    ).input_features
    assert torch.allclose(LogMel(80)(waves(1, 480_000)), theirs, atol=1e-5)


@pytest.mark.parametrize("n_samples", [8_000, 8_160, 640])  # 48 frames, 49, 2
def test_kaldi_mel_is_that_of_the_library(n_samples: int) -> None:
    from transformers import SeamlessM4TFeatureExtractor

    wave = waves(1, n_samples)
    theirs = SeamlessM4TFeatureExtractor()(
        wave[0].numpy(), sampling_rate=16_000, return_tensors="pt"
    )
    heard = theirs.input_features[:, theirs.attention_mask[0].bool()]
    assert torch.allclose(KaldiMel(80)(wave), heard, atol=2e-3)  # theirs is in float64


def test_states_of_w2v_bert_are_those_of_the_library_with_a_frame_that_is_left_over() -> None:
    from transformers import SeamlessM4TFeatureExtractor

    encoder = built(TINY_BERT)
    wave = waves(1, 8_160)
    theirs = SeamlessM4TFeatureExtractor()(
        wave[0].numpy(), sampling_rate=16_000, return_tensors="pt"
    )
    with torch.inference_mode():
        states = encoder(wave)[-1]
        other = encoder.model(**theirs).last_hidden_state[:, : states.shape[1]]
    assert states.shape == (1, 24, 16)
    assert torch.allclose(states, other, atol=1e-3)


def test_w2v_bert_with_other_positions_is_refused() -> None:
    settings = (*TINY_BERT.settings, ("position_embeddings_type", "rotary"))
    with pytest.raises(RecipeError, match="only the relative keys"):
        replace(TINY_BERT, settings=settings).build()


def test_whisper_encodes_windows_of_any_length_and_more_than_thirty_seconds() -> None:
    encoder = built(TINY_WHISPER)
    with torch.inference_mode():
        assert encoder(waves(2, 3_200))[-1].shape == (2, 10, 16)
        long = encoder(waves(1, 500_000))[-1]
        first = encoder(waves(1, 500_000)[:, :480_000])[-1]
    assert long.shape == (1, 1_563, 16)
    assert torch.equal(long[:, :1_500], first)


@every_encoder
def test_removed_layers_are_gone_and_leave_the_states_below_as_they_were(name: str) -> None:
    whole, cut = built(TINY[name]), built(replace(TINY[name], n_layers=1))
    assert len(cut.layers) == 1
    assert not any("encoder.layers.1." in key for key in cut.state_dict())
    cut.load_state_dict({key: whole.state_dict()[key] for key in cut.state_dict()})
    with torch.inference_mode():
        assert torch.equal(cut(waves())[-1], whole(waves())[1])


@every_encoder
def test_training_masks_nothing_and_skips_no_layer(name: str) -> None:
    encoder = built(TINY[name])
    with torch.no_grad():
        still = encoder(waves())[-1]
        assert torch.equal(encoder.train()(waves())[-1], still)


def test_dropout_is_on_in_training_only_when_asked_for() -> None:
    encoder = built(replace(TINY_ENCODER, dropout=0.5))
    with torch.no_grad():
        still = encoder(waves())[-1]
        assert not torch.equal(encoder.train()(waves())[-1], still)


def test_normalised_input_makes_the_level_immaterial() -> None:
    encoder = built(replace(TINY_ENCODER, normalise=True))
    with torch.inference_mode():
        assert torch.allclose(encoder(waves())[-1], encoder(5 * waves() + 0.3)[-1], atol=1e-3)


def test_checkpointing_gives_the_same_gradients() -> None:
    slopes = []
    for checkpointing in (False, True):
        encoder = built(TINY_ENCODER).train()
        encoder.checkpointing = checkpointing
        encoder(waves())[-1].square().sum().backward()
        slopes.append([p.grad.clone() for p in encoder.parameters() if p.grad is not None])
    assert len(slopes[0]) > 20
    assert all(torch.equal(slope, other) for slope, other in zip(*slopes, strict=True))


@pytest.mark.parametrize(
    ("encoder", "n_parameters"),
    [(XLS_R_300M, 315_437_696), (WHISPER_BASE, 20_590_592), (WHISPER_TINY_EN, 8_208_384)],
    ids=["xls-r-300m", "whisper-base", "whisper-tiny.en"],
)
def test_published_shapes_have_their_published_size(encoder: Encoder, n_parameters: int) -> None:
    with torch.device("meta"):
        network = encoder.build()
    assert sum(parameter.numel() for parameter in network.parameters()) == n_parameters


def test_running_statistics_of_an_encoder_that_stays_stay() -> None:
    settings = (*TINY_ENCODER.settings, ("conv_pos_batch_norm", True))
    hubert = replace(TINY_ENCODER, family="hubert", settings=settings)
    for frozen, moves in ((True, False), (False, True)):
        detector: Any = SslAasist(encoder=hubert, frozen=frozen).build().train()
        before = {name: value.clone() for name, value in detector.encoder.named_buffers()}
        assert any("running_mean" in name for name in before)
        detector(waves())
        after = dict(detector.encoder.named_buffers())
        assert any(not torch.equal(after[name], before[name]) for name in before) == moves


@pytest.mark.parametrize("n_more", [1, 200, 400, 4_000])
def test_whisper_reads_a_few_samples_more_than_a_piece(n_more: int) -> None:
    settings = (*TINY_WHISPER.settings, ("max_source_positions", 50))
    encoder = built(replace(TINY_WHISPER, settings=settings))
    with torch.inference_mode():
        states = encoder(waves(2, encoder.longest + n_more))
    assert torch.isfinite(states[-1]).all()
    assert states[-1].shape[1] >= encoder.longest // 320


@pytest.mark.parametrize("prefix", ["", "wav2vec2."])
def test_weights_load_from_a_folder_under_either_name(prefix: str, tmp_path: Path) -> None:
    folder = written(TINY_ENCODER, tmp_path / "encoder", prefix)
    encoder = Encoder.of(str(folder))
    assert dict(encoder.settings)["hidden_size"] == 16
    loaded = encoder.build()
    loaded.load_state_dict(encoder.pretrained())
    with torch.inference_mode():
        assert torch.equal(loaded.eval()(waves())[-1], built(TINY_ENCODER)(waves())[-1])


def test_weights_load_from_the_older_binary_with_older_names(tmp_path: Path) -> None:
    network = built(TINY_ENCODER).model
    conv = "encoder.pos_conv_embed.conv"
    old = {
        name.replace(f"{conv}.parametrizations.weight.original0", f"{conv}.weight_g").replace(
            f"{conv}.parametrizations.weight.original1", f"{conv}.weight_v"
        ): value
        for name, value in network.state_dict().items()
    }
    assert f"{conv}.weight_g" in old
    torch.save(
        {f"wav2vec2.{name}": value for name, value in old.items()}, tmp_path / "pytorch_model.bin"
    )
    weights = read_weights(tmp_path, "wav2vec2")
    assert weights.keys() == network.state_dict().keys()
    assert all(torch.equal(weights[name], value) for name, value in network.state_dict().items())


def test_a_file_that_could_run_code_is_not_opened(tmp_path: Path) -> None:
    torch.save({"model": nn.Linear(2, 2)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(RecipeError, match="can run code; convert it to safetensors"):
        read_weights(tmp_path, "wav2vec2")


def test_encoders_are_found_by_name_below_a_folder_of_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = written(TINY_ENCODER, tmp_path / "mine")
    monkeypatch.setenv("UNHEARD_ENCODERS", str(tmp_path))
    assert find("mine") == folder
    assert config_of(find("mine"))["model_type"] == "wav2vec2"
    with pytest.raises(RecipeError, match="fetch it with `unheard encoder whisper-base`"):
        find("whisper-base")


def test_an_id_of_a_hub_that_cannot_be_reached_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(RecipeError, match=r"copy its folder here and set detector\.encoder"):
        find("nobody/nothing-of-this-name")


def test_a_folder_without_weights_or_config_says_what_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="give the folder of an encoder"):
        read_weights(tmp_path, "wav2vec2")
    with pytest.raises(RecipeError, match=r"config\.json: no readable config"):
        config_of(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(RecipeError, match="holds a model of type 'bert'"):
        Encoder.of(str(tmp_path))


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({"family": "wav2vec"}, "did you mean 'wav2vec2'"),
        ({"dropout": 1.0}, "choose a share from 0"),
        ({"n_layers": -1}, "or 0 to keep all"),
    ],
)
def test_wrong_fields_are_refused(changes: dict[str, Any], remedy: str) -> None:
    with pytest.raises(RecipeError, match=remedy):
        replace(TINY_ENCODER, **changes)


def test_wrong_settings_are_refused_when_built() -> None:
    with pytest.raises(RecipeError, match=r"no setting 'hidden'.*did you mean 'hidden_"):
        replace(TINY_ENCODER, settings=(("hidden", 3),)).build()
    with pytest.raises(RecipeError, match="the encoder has 2; give fewer"):
        replace(TINY_ENCODER, n_layers=3).build()


@pytest.mark.parametrize(
    ("norm", "hop_s", "n_read"),
    [
        ("layer", 0.2, 8_000 + 3 * 3_200),  # shared: one stretch
        ("layer", 0.205, 4 * 8_000),  # a frame starts elsewhere in each window
        ("group", 0.2, 4 * 8_000),  # normalised over each window
        ("layer", 0.5, 4 * 8_000),  # nothing in common
    ],
)
def test_overlapping_windows_are_convolved_once_where_that_changes_nothing(
    norm: str, hop_s: float, n_read: int
) -> None:
    settings = (*STABLE.settings, ("feat_extract_norm", norm), ("conv_bias", True))
    detector: Any = SslAasist(encoder=replace(STABLE, settings=settings)).build().eval()
    sizes = []
    convolutions = detector.encoder.model.feature_extractor
    convolutions.register_forward_pre_hook(lambda _, given: sizes.append(given[0].numel()))
    windower = audio.Windower(0.5, hop_s)
    windows = windower.push(waves(1, 8_000 + 3 * round(hop_s * 16_000))[0].numpy()).samples
    assert len(windows) == 4
    scores = window_scores(detector, windows)
    assert sizes == [n_read]
    alone = np.concatenate([window_scores(detector, window[None].copy()) for window in windows])
    assert np.abs(scores - alone).max() < 1e-5
    assert alone.std() > 1e-4
