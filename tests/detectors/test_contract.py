"""What every row of DETECTORS promises; a new row is tested by being listed."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from small_detectors import TINY_ENCODER
from unheard.detectors.aasist import RawAasist
from unheard.detectors.bundle import load
from unheard.detectors.card import Card
from unheard.detectors.detector import Detector, Spec, outputs, window_scores
from unheard.detectors.grnn import Grnn
from unheard.detectors.layers.gates import AttentionGate
from unheard.detectors.linear_states import LinearStates
from unheard.detectors.mel_lcnn import MelLcnn
from unheard.detectors.mixture import Mixture
from unheard.detectors.resnet18 import ResNet18
from unheard.detectors.spec_json import spec_from_json, spec_to_json
from unheard.detectors.ssl_aasist import SslAasist
from unheard.detectors.ssl_pooled import SslPooled
from unheard.detectors.table import DETECTORS
from unheard.detectors.toy import Toy
from unheard.detectors.weights import save
from unheard.metrics import Calibration, OperatingPoints

# Smaller than the default where that saves time; a detector that is not here is built as it is.
SMALL: dict[str, Spec] = {
    "aasist": RawAasist(n_filters=12, n_taps=31, widths=(3, 4), graph_widths=(6, 4)),
    "grnn": Grnn(n_filters=8, channels=6, hidden=(5, 4), embedding=8, pooling="attentive"),
    "linear_states": LinearStates(encoder=TINY_ENCODER, layers=(0, 1), spectral=True),
    "mel_lcnn": MelLcnn(n_mels=16),
    "mixture": Mixture(
        experts=(ResNet18(width=4, embedding=16), Toy(), MelLcnn(n_mels=16)),
        gate=AttentionGate(width=8, feed_forward=8),
        frozen=False,
    ),
    "resnet18": ResNet18(width=4, embedding=16),
    "ssl_aasist": SslAasist(encoder=TINY_ENCODER),
    "ssl_pooled": SslPooled(encoder=TINY_ENCODER, reading="weighted", spectral=True, n_hidden=8),
}
SPECS = {name: SMALL[name] if name in SMALL else row() for name, row in DETECTORS.items()}

# Sums over a batch are taken in another order than over one clip; scores are of order one.
TOLERANCE = 1e-5


@pytest.fixture(params=SPECS, scope="module")
def spec(request: pytest.FixtureRequest) -> Spec:
    return SPECS[request.param]


@pytest.fixture(scope="module")
def trained(spec: Spec) -> Detector:
    """A detector whose running statistics are no longer those of a fresh one."""
    torch.manual_seed(0)
    detector = spec.build()
    with torch.no_grad():
        for seed in range(3):
            detector(torch.from_numpy(clips(4, 8_000, seed)))
    return detector.eval()


def clips(n_clips: int, n_samples: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    level = rng.uniform(0.01, 0.3, (n_clips, 1))
    return (level * rng.standard_normal((n_clips, n_samples))).astype(np.float32)


def test_is_a_frozen_value_that_compares(spec: Spec) -> None:
    assert dataclasses.is_dataclass(spec)
    assert isinstance(spec, Spec)
    assert dataclasses.replace(spec) == spec
    assert hash(dataclasses.replace(spec)) == hash(spec)


@pytest.mark.parametrize("name", DETECTORS)
def test_default_spec_builds(name: str) -> None:
    with torch.device("meta"):
        detector = DETECTORS[name]().build()
    assert isinstance(detector, Detector)


def test_says_how_many_features_its_embedding_has(trained: Detector) -> None:
    with torch.inference_mode():
        assert trained.embed(torch.from_numpy(clips(2, 8_000))).shape == (2, trained.n_embedding)


def test_loading_starts_quickly() -> None:
    # Building on the meta device, as loading does first, can drag in SymPy, which takes seconds.
    # The transformers library does; detectors that stand on it take seconds anyhow.
    code = (
        "import sys, torch\nfrom unheard.detectors.table import DETECTORS\n"
        "with torch.device('meta'):\n"
        "    [row().build() for name, row in DETECTORS.items()\n"
        "     if name not in ('linear_states', 'ssl_aasist', 'ssl_pooled')]\n"
        "print([name for name in ('sympy', 'torch._dynamo') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_gives_one_score_and_one_embedding_per_clip(trained: Detector) -> None:
    outcome = outputs(trained, torch.from_numpy(clips(3, 16_000)))
    assert outcome.score.shape == (3,)
    assert outcome.embedding.ndim == 2
    assert len(outcome.embedding) == 3
    assert outcome.score.dtype == torch.float32


def test_score_is_classify_of_embed(trained: Detector) -> None:
    waveform = torch.from_numpy(clips(3, 16_000))
    by_parts = trained.classify(trained.embed(waveform))
    assert torch.equal(trained(waveform), by_parts)
    assert torch.equal(outputs(trained, waveform).score, by_parts)


def test_evaluation_is_deterministic_and_changes_nothing(trained: Detector) -> None:
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    windows = clips(3, 16_000)
    first = window_scores(trained, windows)
    torch.manual_seed(99)
    assert np.array_equal(first, window_scores(trained, windows))
    assert all(torch.equal(before[name], value) for name, value in trained.state_dict().items())


def test_a_clip_scores_the_same_alone_and_in_any_batch(trained: Detector) -> None:
    windows = clips(20, 8_000)  # more than are scored at a time
    together = window_scores(trained, windows)
    alone = np.concatenate([window_scores(trained, windows[i : i + 1]) for i in range(20)])
    backwards = window_scores(trained, windows[::-1])[::-1]
    np.testing.assert_allclose(together, alone, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(together, backwards, rtol=0, atol=TOLERANCE)


def test_loud_and_silent_batch_mates_move_no_score(trained: Detector) -> None:
    windows = clips(4, 8_000)
    mates = windows.copy()
    mates[1], mates[2], mates[3] = 0, 1e3, np.sign(mates[3])
    score = window_scores(trained, mates)[0]
    assert score == pytest.approx(window_scores(trained, windows)[0], abs=TOLERANCE)


@pytest.mark.parametrize("duration_s", [0.2, 0.2 + 1 / 16_000, 1.0, 4.0, 10.0])
def test_scores_any_length_from_a_fifth_of_a_second(trained: Detector, duration_s: float) -> None:
    windows = clips(2, round(duration_s * 16_000))
    assert np.isfinite(window_scores(trained, windows)).all()


@pytest.mark.parametrize("level", [0.0, 1e-6, 1.0])
def test_scores_silence_and_full_scale(trained: Detector, level: float) -> None:
    windows = np.full((1, 8_000), level, np.float32)
    assert np.isfinite(window_scores(trained, windows)).all()


def test_gradient_reaches_every_parameter(spec: Spec) -> None:
    torch.manual_seed(0)
    detector = spec.build()
    detector(torch.from_numpy(clips(4, 16_000))).square().sum().backward()
    trained = [(name, p) for name, p in detector.named_parameters() if p.requires_grad]
    for name, parameter in trained:
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


def test_gradient_can_be_differentiated_again(spec: Spec) -> None:
    torch.manual_seed(0)
    detector = spec.build()
    weights = [weight for weight in detector.parameters() if weight.requires_grad]
    with sdpa_kernel(SDPBackend.MATH):  # the fused kernel has no second derivative on a processor
        loss = detector(torch.from_numpy(clips(3, 8_000))).square().sum()
    slopes = torch.autograd.grad(loss, weights, create_graph=True)
    curvature = torch.autograd.grad(
        torch.stack([slope.square().sum() for slope in slopes]).sum(), weights
    )
    assert all(torch.isfinite(value).all() for value in curvature)


def test_same_seed_builds_the_same_weights(spec: Spec) -> None:
    built = []
    for _ in range(2):
        torch.manual_seed(7)
        built.append(spec.build().state_dict())
    assert built[0].keys() == built[1].keys()
    assert all(torch.equal(built[0][name], built[1][name]) for name in built[0])


def test_trains_under_autocast(spec: Spec) -> None:
    torch.manual_seed(0)
    detector = spec.build()
    with torch.autocast("cpu", torch.bfloat16):
        score = detector(torch.from_numpy(clips(2, 8_000)))
    score.float().sum().backward()
    assert torch.isfinite(score).all()


def test_spec_survives_json(spec: Spec) -> None:
    assert spec_from_json(spec_to_json(spec)) == spec


def test_loaded_bundle_scores_equal_to_the_bit(
    spec: Spec, trained: Detector, tmp_path: Path
) -> None:
    card = Card(
        name="contract",
        version="1",
        window_s=1.0,
        hop_s=0.5,
        calibration=Calibration(1.0, 0.0),
        operating_points=OperatingPoints(0.0, -1.0, 1.0, -1.0, 1.0),
    )
    loaded = load(save(tmp_path / "bundle", trained, spec, card, seen=[]))
    assert spec_from_json(loaded.card.detector.model_dump()) == spec
    assert not loaded.detector.training
    windows = clips(18, 16_000)
    assert np.array_equal(loaded.scores(windows), window_scores(trained, windows))
