"""The probe reads the states that it says, pooled as it says, and saves only what it learnt."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from small_detectors import TINY_ENCODER
from unheard.detectors.bundle import load
from unheard.detectors.card import Card
from unheard.detectors.detector import fresh, window_scores
from unheard.detectors.layers.features import Framing, SpectralStatistics, Spectrogram
from unheard.detectors.layers.pooling import statistics
from unheard.detectors.layers.speaker import SpeakerStages
from unheard.detectors.linear_states import LinearStates, LinearStatesDetector
from unheard.detectors.weights import save
from unheard.errors import RecipeError
from unheard.metrics import Calibration, OperatingPoints

pytestmark = pytest.mark.usefixtures("encoders")

PUBLISHED = replace(TINY_ENCODER, source="tiny")
CARD = Card(
    name="probe",
    version="1",
    window_s=0.5,
    hop_s=0.5,
    calibration=Calibration(1.0, 0.0),
    operating_points=OperatingPoints(0.0, -1.0, 1.0, -1.0, 1.0),
)


def waves(n_clips: int = 3) -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(0.1 * rng.standard_normal((n_clips, 8_000)).astype(np.float32))


def probe(*layers: int, spectral: bool = False) -> LinearStatesDetector:
    detector = fresh(LinearStates(encoder=PUBLISHED, layers=layers, spectral=spectral))
    assert isinstance(detector, LinearStatesDetector)
    return detector.eval()


def test_embedding_is_mean_and_deviation_of_each_state_read() -> None:
    detector = probe(0, 2)
    with torch.inference_mode():
        embedding = detector.embed(waves()).numpy()
        states = [detector.encoder(waves())[layer].double().numpy() for layer in (0, 2)]
    by_hand = [part for state in states for part in (state.mean(axis=1), state.std(axis=1))]
    assert embedding.shape == (3, 4 * 16) == (3, detector.n_embedding)
    np.testing.assert_allclose(embedding, np.concatenate(by_hand, axis=1), atol=1e-4)


def test_spectral_statistics_come_last() -> None:
    plain, both = probe(1), probe(1, spectral=True)
    with torch.inference_mode():
        embedding = both.embed(waves())
        assert torch.equal(embedding[:, :32], plain.embed(waves()))
        statistics = SpectralStatistics(Framing())(Spectrogram(Framing())(waves()))
    assert torch.equal(embedding[:, 32:], statistics)
    assert both.n_embedding == 32 + 360


def test_stages_of_the_speaker_network_come_last_and_stay_out_of_bundles(
    encoders: Path, tmp_path: Path
) -> None:
    torch.manual_seed(5)
    network = SpeakerStages().eval()
    (encoders / "speaker").mkdir()
    save_file(network.state_dict(), encoders / "speaker/model.safetensors")
    spec = LinearStates(encoder=PUBLISHED, layers=(0,), speaker="speaker")
    detector = fresh(spec).eval()
    assert isinstance(detector, LinearStatesDetector)
    with torch.inference_mode():
        embedding, stages = detector.embed(waves()), network(waves())
    expected = torch.cat([statistics(stage) for stage in stages], dim=1)
    torch.testing.assert_close(embedding[:, 32:], expected)
    folder = save(tmp_path / "bundle", detector, spec, CARD, seen=[])
    assert load_file(folder / "weights.safetensors").keys() == {
        *("centre", "spread", "linear.weight", "linear.bias")
    }
    loaded = load(folder)
    assert loaded.card.base is not None
    assert loaded.card.base.source == "speaker, tiny"
    assert np.array_equal(loaded.scores(waves().numpy()), window_scores(detector, waves().numpy()))


def test_layers_that_are_not_read_are_not_built_and_change_nothing() -> None:
    few, all_layers = probe(0, 1), probe(0, 1, 2)
    assert [len(detector.encoder.layers) for detector in (probe(0), few, all_layers)] == [1, 1, 2]
    with torch.inference_mode():
        assert torch.equal(few.embed(waves()), all_layers.embed(waves())[:, :64])


def test_score_is_linear_in_what_is_standardised() -> None:
    detector = probe(1)
    torch.manual_seed(0)
    with torch.no_grad():
        detector.centre.normal_()
        detector.spread.uniform_(0.5, 2.0)
        embedding = torch.randn(5, 32)
        score = detector.classify(embedding)
        weight, bias = detector.linear.weight[0].double(), detector.linear.bias.double()
        standard = (embedding.double() - detector.centre) / detector.spread
        torch.testing.assert_close(score.double(), standard @ weight + bias, rtol=0, atol=1e-5)


def test_only_the_linear_layer_is_trained_and_saved(tmp_path: Path) -> None:
    spec = LinearStates(encoder=PUBLISHED, layers=(0, 1))
    detector = fresh(spec).train()
    detector(waves()).sum().backward()
    trained = {name for name, p in detector.named_parameters() if p.grad is not None}
    assert trained == {"linear.weight", "linear.bias"}
    folder = save(tmp_path / "bundle", detector.eval(), spec, CARD, seen=[])
    kept = {"centre", "spread", *trained}
    assert load_file(folder / "weights.safetensors").keys() == kept
    loaded = load(folder)
    assert np.array_equal(loaded.scores(waves().numpy()), window_scores(detector, waves().numpy()))


def test_a_random_encoder_is_saved_whole() -> None:
    detector = LinearStates(encoder=TINY_ENCODER, layers=(0,)).build()
    assert detector.frozen_names() == frozenset()


def test_dropout_of_the_encoder_is_off_in_training_too() -> None:
    encoder = replace(PUBLISHED, dropout=0.5)
    detector = fresh(LinearStates(encoder=encoder, layers=(0, 1)))
    with torch.no_grad():
        assert torch.equal(detector.train().embed(waves()), detector.eval().embed(waves()))


@pytest.mark.parametrize("layers", [(), (1, 0), (1, 1), (-1, 0)])
def test_layers_in_disorder_are_refused(layers: tuple[int, ...]) -> None:
    with pytest.raises(RecipeError, match="each once, ascending"):
        LinearStates(layers=layers)


def test_layers_that_an_encoder_lacks_are_refused() -> None:
    with pytest.raises(RecipeError, match="and the encoder has 2"):
        LinearStates(encoder=TINY_ENCODER, layers=(0, 3)).build()
    with pytest.raises(RecipeError, match="and the encoder keeps 1"):
        LinearStates(encoder=replace(TINY_ENCODER, n_layers=1), layers=(0, 2))
