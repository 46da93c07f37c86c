"""Do the neural codecs and the vocoder feed their models what these were made for?

Models are of the published classes, tiny and random.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import tiny_generators
from unheard.attacks import Speech, hifi_gan, pretrained, sound
from unheard.attacks.hifi_gan import HifiGan
from unheard.attacks.mel import Mel
from unheard.attacks.neural_codecs import Dac, Encodec, Mimi
from unheard.errors import AttackError
from unheard.types import FloatArray

RATE_HZ = 16_000


def noise(n_samples: int = 9_000, seed: int = 0) -> FloatArray:
    """Noise that swells, so that a delay shows."""
    rng = np.random.default_rng(seed)
    swell = np.linspace(0.1, 1.0, n_samples)
    return (0.1 * swell * rng.standard_normal(n_samples)).astype(np.float32)


def copy(row: Dac | Encodec | Mimi | HifiGan, samples: FloatArray | None = None) -> FloatArray:
    given = noise() if samples is None else samples
    return row.generate(Speech(given), np.random.default_rng(0))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("codecs")
    codec_folders = {
        kind: tiny_generators.codec(kind, root / kind) for kind in ("dac", "encodec", "mimi")
    }
    return {kind: str(folder) for kind, folder in codec_folders.items()}


def test_a_copy_is_what_the_model_decodes(folders: dict[str, str]) -> None:
    model = pretrained.loaded("dac", "DacModel", folders["dac"])
    padded = torch.nn.functional.pad(torch.from_numpy(noise())[None, None], (0, RATE_HZ // 5))
    with torch.no_grad():
        decoded = model(padded).audio_values[0, :9_000].numpy()
    actual = copy(Dac(folders["dac"]))
    assert np.corrcoef(decoded, actual)[0, 1] > 0.9999
    assert np.mean(actual**2) == pytest.approx(np.mean(noise() ** 2), rel=1e-4)


def test_a_model_at_another_rate_gets_the_recording_at_its_rate(folders: dict[str, str]) -> None:
    model = pretrained.loaded("mimi", "MimiModel", folders["mimi"])
    wide = torch.from_numpy(sound.at_rate(noise(), 24_000))[None, None]
    with torch.no_grad():
        output = model(torch.nn.functional.pad(wide, (0, 4_800)), num_quantizers=4).audio_values
    decoded = sound.from_rate(output[0, 0].numpy(), 24_000)[:9_000]
    assert np.corrcoef(decoded, copy(Mimi(folders["mimi"], n_codebooks=4)))[0, 1] > 0.999


def test_fewer_codebooks_and_less_bandwidth_give_another_copy(folders: dict[str, str]) -> None:
    pairs = (
        (Dac(folders["dac"], n_codebooks=1), Dac(folders["dac"], n_codebooks=3)),
        (Mimi(folders["mimi"], n_codebooks=2), Mimi(folders["mimi"], n_codebooks=3)),
        (Encodec(folders["encodec"], 1.5), Encodec(folders["encodec"], 3.0)),
    )
    for attack, other in pairs:
        assert not np.allclose(copy(attack), copy(other), atol=1e-4), attack.name


def test_no_codebooks_named_means_all(folders: dict[str, str]) -> None:
    every, three = Dac(folders["dac"]), Dac(folders["dac"], n_codebooks=3)
    np.testing.assert_array_equal(copy(every), copy(three))


def test_a_codec_in_stereo_gives_one_channel(tmp_path: Path) -> None:
    import transformers

    config = transformers.EncodecConfig(
        audio_channels=2, num_filters=4, hidden_size=16, codebook_dim=16, num_lstm_layers=1
    )
    torch.manual_seed(0)
    transformers.EncodecModel(config).save_pretrained(tmp_path)
    assert copy(Encodec(str(tmp_path), 6.0)).shape == (9_000,)


def test_settings_that_a_model_does_not_have_are_refused(folders: dict[str, str]) -> None:
    with pytest.raises(AttackError, match=r"bandwidth_kbps=6, .* trained for 1\.5, 3; set one"):
        copy(Encodec(folders["encodec"]))
    with pytest.raises(AttackError, match="n_codebooks=8, and the model has 4; set 1 to 4"):
        copy(Mimi(folders["mimi"]))
    with pytest.raises(AttackError, match="n_codebooks=-1, and the model has 3; set 1 to 3"):
        copy(Dac(folders["dac"], n_codebooks=-1))


def test_a_model_that_lacks_a_weight_is_refused(folders: dict[str, str], tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(f"{folders['dac']}/model.safetensors")
    name = sorted(tensors)[0]
    save_file(
        {key: value for key, value in tensors.items() if key != name},
        tmp_path / "model.safetensors",
    )
    (tmp_path / "config.json").write_bytes(Path(folders["dac"], "config.json").read_bytes())
    with pytest.raises(
        AttackError, match=rf"no whole DacModel: 1 weights .* such as {name}; fetch"
    ):
        copy(Dac(str(tmp_path)))


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AttackError, match=r"cannot be loaded as a DacModel .* give the folder of"):
        copy(Dac(str(tmp_path)))


def test_a_hub_that_cannot_be_reached_is_no_end(tmp_path: Path) -> None:
    with pytest.raises(AttackError, match=r"could be fetched from a hub .* --set source=FOLDER"):
        copy(Mimi("nobody/nothing"))


def test_a_fingerprint_is_of_what_a_folder_holds(folders: dict[str, str], tmp_path: Path) -> None:
    again = tiny_generators.codec("dac", tmp_path / "again")
    other = tiny_generators.codec("dac", tmp_path / "other", seed=1)
    prints = [pretrained.fingerprint(Path(folder)) for folder in (folders["dac"], again, other)]
    assert prints[0] == prints[1]
    assert prints[0] != prints[2]


def test_the_spectrogram_is_the_one_that_speecht5_was_trained_on() -> None:
    from transformers import SpeechT5FeatureExtractor

    theirs = SpeechT5FeatureExtractor()._extract_mel_features(noise().astype(np.float64))
    ours = HifiGan().mel.of(noise())
    assert ours.shape == theirs.shape == (36, 80)
    np.testing.assert_allclose(ours, theirs, atol=2e-4)


def test_a_natural_logarithm_is_one() -> None:
    ten, e = Mel().of(noise()), replace(Mel(), logarithm="e").of(noise())
    np.testing.assert_allclose(e, ten * np.log(10), rtol=1e-9)


def test_magnitudes_come_back_from_a_spectrogram() -> None:
    mel = Mel()
    wave = noise(RATE_HZ // 256 * 256)
    logs = mel.of(wave)
    spoken = mel.spoken(logs, mel.phases(wave))
    again = mel.of(spoken * np.sqrt(np.mean(wave**2) / np.mean(spoken**2)))
    assert spoken.shape == wave.shape
    assert np.abs(again - logs)[2:-2].mean() < 0.1
    drawn = mel.spoken(logs, np.random.default_rng(0).uniform(-3, 3, (513, len(logs))))
    assert np.corrcoef(spoken, wave)[0, 1] > np.corrcoef(drawn, wave)[0, 1] + 0.3


def test_the_way_back_leaves_no_holes_above_the_edge_of_a_low_pass() -> None:
    wave = noise(256 * 80)
    spectrum = np.fft.rfft(wave)
    spectrum[round(0.7 * spectrum.size) :] *= 1e-3
    source = np.fft.irfft(spectrum)
    mel = Mel()
    copied = mel.spoken(mel.of(source), mel.phases(source))
    quietest = [
        np.min(
            np.mean(np.abs(np.fft.rfft(wave.reshape(-1, 512) * np.hanning(512))), axis=0)[180:250]
        )
        for wave in (source / source.std(), copied / copied.std())
    ]
    assert quietest[1] > 0.6 * quietest[0]


@pytest.mark.parametrize("kind", ["SpeechT5", "FastSpeech2Conformer"])
def test_the_vocoder_is_of_the_class_that_its_config_names(tmp_path: Path, kind: str) -> None:
    folder = tiny_generators.hifi_gan(tmp_path, kind=kind)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "hifigan"}))  # as of old
    mel = Mel(n_mels=20, n_hop=64)
    model = hifi_gan.vocoder("hifi-gan", str(folder), mel)
    assert type(model).__name__ == f"{kind}HifiGan"
    assert copy(HifiGan(str(folder), mel)).shape == (9_000,)


def test_a_recording_is_scaled_to_one_level(tmp_path: Path) -> None:
    row = HifiGan(str(tiny_generators.hifi_gan(tmp_path)), Mel(n_mels=20, n_hop=64))
    loud, soft = copy(row, noise()), copy(row, 0.1 * noise())
    np.testing.assert_allclose(soft, 0.1 * loud, atol=1e-4)


def test_a_spectrogram_that_does_not_fit_the_vocoder_is_refused(tmp_path: Path) -> None:
    folder = str(tiny_generators.hifi_gan(tmp_path))
    for mel, what in (
        (Mel(n_mels=40, n_hop=64), r"n_mels 20, and it is 40; set mel\.n_mels=20"),
        (Mel(n_mels=20, n_hop=80), r"n_hop 64, and it is 80; set mel\.n_hop=64"),
        (Mel(n_mels=20, n_hop=64, rate_hz=24_000), r"rate_hz 16000, and it is 24000; set"),
    ):
        with pytest.raises(AttackError, match=what):
            copy(HifiGan(folder, mel))


def test_a_folder_of_another_model_is_no_vocoder(folders: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(AttackError, match=r"class \['DacModel'\], SpeechT5HifiGan or"):
        copy(HifiGan(folders["dac"]))
    (tmp_path / "config.json").write_text(json.dumps({}))
    with pytest.raises(AttackError, match=r"class None, .* give the folder of a HiFi-GAN"):
        copy(HifiGan(str(tmp_path)))
