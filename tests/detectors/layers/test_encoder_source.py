"""An encoder out of another folder has the shape that the folder says."""

from pathlib import Path

import torch
from transformers import WhisperConfig, WhisperModel

import tiny_encoders
from small_detectors import TINY_ENCODER
from unheard.corpora.open.encoders import _config
from unheard.detectors.layers.encoder import Encoder
from unheard.detectors.ssl_aasist import SslAasist
from unheard.training.recipe import Recipe, with_settings


def test_setting_a_folder_takes_family_and_shape_from_it(tmp_path: Path) -> None:
    tiny_encoders.build("whisper").save_pretrained(tmp_path)
    recipe = Recipe(name="r", detector=SslAasist(encoder=Encoder(n_layers=1, dropout=0.1)))
    changed = with_settings(recipe, [f"detector.encoder.source={tmp_path}"])
    assert isinstance(changed.detector, SslAasist)
    encoder = changed.detector.encoder
    assert (encoder.family, encoder.n_layers, encoder.dropout) == ("whisper", 1, 0.1)
    assert encoder.build().n_features == tiny_encoders.WIDTH
    assert encoder.pretrained()


def test_what_is_not_on_this_machine_keeps_the_shape() -> None:
    assert TINY_ENCODER.at("someone/model").settings == TINY_ENCODER.settings
    assert TINY_ENCODER.at("").source == ""


def test_the_library_builds_a_model_from_a_packaged_encoder_s_config() -> None:
    tensors = {
        "conv1.weight": torch.zeros(512, 80, 3).numpy(),
        "conv2.bias": torch.zeros(512).numpy(),
        "layers.0.fc1.weight": torch.zeros(64, 512).numpy(),
        "layers.0.fc1.bias": torch.zeros(64).numpy(),
        "embed_positions.weight": torch.zeros(30, 512).numpy(),
    }
    config = WhisperConfig(**_config(tensors, heads=8))
    with torch.device("meta"):
        model = WhisperModel(config)
    assert model.encoder.conv1.weight.shape == (512, 80, 3)
