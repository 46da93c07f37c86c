"""Checkpoints of fairseq: read with its own objects in them, and nothing in them runs."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fairseq_files import Hostile, write_checkpoint
from small_detectors import TINY_ENCODER
from unheard.detectors.layers.encoder import Encoder
from unheard.detectors.layers.encoder_weights import read_weights
from unheard.errors import RecipeError

TINY = {
    "group": TINY_ENCODER,
    "layer": replace(
        TINY_ENCODER,
        settings=(
            *TINY_ENCODER.settings,
            ("conv_bias", True),
            ("do_stable_layer_norm", True),
            ("feat_extract_norm", "layer"),
        ),
    ),
    "hubert": replace(TINY_ENCODER, family="hubert"),
    "wavlm": replace(TINY_ENCODER, family="wavlm"),
}


@pytest.mark.parametrize("layout", ["new", "old"])
@pytest.mark.parametrize("name", TINY)
def test_family_shape_and_weights_come_from_a_checkpoint(
    name: str, layout: str, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    network = TINY[name].build().eval()
    write_checkpoint(network.model, tmp_path / "published.pt", layout=layout)
    read = Encoder(dropout=0.1).at(str(tmp_path / "published.pt"))
    assert (read.family, read.dropout) == (TINY[name].family, 0.1)
    loaded = read.build().eval()
    weights = read.pretrained()
    loaded.load_state_dict({key: weights[key] for key in loaded.state_dict()})
    with torch.inference_mode():
        wave = 0.1 * torch.randn(2, 4_000)
        assert torch.equal(loaded(wave)[-1], network(wave)[-1])


def test_the_objects_of_fairseq_are_placeholders_and_the_rest_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "published.pt"
    write_checkpoint(TINY["layer"].build().model, file)
    unknown = torch.serialization.get_unsafe_globals_in_checkpoint(file)
    assert "fairseq.data.dictionary.Dictionary" in unknown
    torch.save({"model": {}, "cfg": Hostile()}, file)
    with pytest.raises(RecipeError, match="can run code; convert it to safetensors"):
        read_weights(file, "wav2vec2")
    with pytest.raises(RecipeError, match="can run code; convert it to safetensors"):
        Encoder.of(str(file))


def test_without_a_configuration_heads_are_those_of_the_published_model_of_that_width(
    tmp_path: Path,
) -> None:
    file = tmp_path / "bare.pt"
    settings = dict(TINY_ENCODER.settings) | {"hidden_size": 768, "num_hidden_layers": 1}
    wide = replace(TINY_ENCODER, settings=tuple(sorted(settings.items())))
    write_checkpoint(wide.build().model, file, layout="bare")
    assert dict(Encoder.of(str(file)).settings).get("num_attention_heads", 12) == 12
    write_checkpoint(TINY_ENCODER.build().model, file, layout="bare")
    with pytest.raises(RecipeError, match="how many heads its attention has"):
        Encoder.of(str(file))


def test_a_checkpoint_of_another_model_says_what_is_wanted(tmp_path: Path) -> None:
    torch.save({"model": {"decoder.weight": torch.zeros(2)}}, tmp_path / "other.pt")
    with pytest.raises(RecipeError, match=r"no wav2vec 2\.0, HuBERT or WavLM model"):
        Encoder.of(str(tmp_path / "other.pt"))
