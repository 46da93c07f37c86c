"""Mixtures: what is blended, what is shared, what stays frozen, and what is passed through."""

import copy
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.func import functional_call

from small_detectors import SMALL, TINY_ENCODER
from synthetic_corpus import corpus
from unheard import recipes
from unheard.data.batches import Balanced
from unheard.detectors.bundle import load, read_card
from unheard.detectors.detector import Detector, Spec, outputs, window_expert_scores, window_scores
from unheard.detectors.layers.features import Spectrogram
from unheard.detectors.layers.gates import AttentionGate, EnhancedGate, FixedGate, WaveformGate
from unheard.detectors.layers.lora import LoraExperts
from unheard.detectors.lcnn import Lcnn
from unheard.detectors.mel_lcnn import MelLcnn
from unheard.detectors.mixture import Mixture, blended
from unheard.detectors.resnet18 import ResNet18
from unheard.detectors.spec_json import spec_from_json, spec_to_json
from unheard.detectors.ssl_aasist import SslAasist
from unheard.detectors.table import DETECTORS
from unheard.detectors.toy import Toy
from unheard.errors import BundleError, RecipeError
from unheard.training.loop import train
from unheard.training.recipe import Budget, Constant, Recipe, with_settings

GATE = AttentionGate(width=8, heads=2, depth=1, feed_forward=8)
SMALL_MEL = ResNet18(n_hop=400, n_mels=16, width=2, embedding=4)
SMALL_LINEAR = replace(SMALL_MEL, feature="linear")
THREE = Mixture(experts=(SMALL_MEL, SMALL_LINEAR, Toy(n_bands=4)), gate=GATE)
GATES = (GATE, AttentionGate(readout="token"), WaveformGate(n_samples=50), EnhancedGate())


def clips(n_clips: int = 4, n_samples: int = 8_000, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal((n_clips, n_samples))).astype(np.float32)


def waveform(n_clips: int = 4, seed: int = 0) -> Tensor:
    return torch.from_numpy(clips(n_clips, seed=seed))


def built(spec: Spec) -> Any:
    """Return a detector whose running statistics have moved, in evaluation mode."""
    torch.manual_seed(0)
    detector = spec.build()
    with torch.no_grad():
        detector(waveform(6, seed=5))
    return detector.eval()


ALONE = SMALL | {"frozen mixture": Mixture(experts=(SMALL["aasist"],), gate=GATE)}


@pytest.mark.parametrize(("blend", "frozen"), [("logits", True), ("probabilities", False)])
@pytest.mark.parametrize("kind", ALONE)
def test_one_expert_alone_is_that_expert_to_the_bit(kind: str, blend: Any, frozen: bool) -> None:
    alone = built(ALONE[kind])
    spec = Mixture(experts=(ALONE[kind],), gate=GATE, blend=blend, frozen=frozen)
    mixture: Any = spec.build()
    mixture.detectors[0].load_state_dict(alone.state_dict())
    windows = np.concatenate([clips(18), 30 * clips(2, seed=1)])
    scores, expert_scores, weights = window_expert_scores(mixture.train().eval(), windows)
    expected = window_scores(alone, windows)
    assert np.array_equal(scores, expected)
    assert np.array_equal(expert_scores[:, 0], expected)
    assert np.array_equal(weights, np.ones((20, 1)))


@pytest.mark.parametrize("blend", ["logits", "probabilities"])
def test_one_score_alone_is_that_score_to_the_bit(blend: str) -> None:
    scores = torch.cat([torch.linspace(-120, 120, 4_001), torch.tensor([-1e4, -1e-7, 1e-7, 1e4])])
    actual = blended(scores[:, None], torch.full((len(scores), 1), 3.7), blend)
    assert torch.equal(actual, scores)


def test_logits_are_averaged_by_weight() -> None:
    scores = torch.tensor([[2.0, -1.0], [0.5, 4.0]])
    logits = torch.log(torch.tensor([[1.0, 3.0], [4.0, 1.0]])) + 5
    expected = torch.tensor([0.25 * 2 - 0.75, 0.8 * 0.5 + 0.2 * 4])
    torch.testing.assert_close(blended(scores, logits, "logits"), expected)


def test_probabilities_are_averaged_by_weight() -> None:
    generator = torch.Generator().manual_seed(0)
    scores = 4 * torch.randn(200, 3, generator=generator, dtype=torch.float64)
    logits = torch.randn(200, 3, generator=generator, dtype=torch.float64)
    bonafide = (logits.softmax(1) * scores.sigmoid()).sum(1)
    expected = bonafide.log() - (1 - bonafide).log()
    torch.testing.assert_close(blended(scores, logits, "probabilities"), expected)
    torch.testing.assert_close(
        blended(scores.float(), logits.float(), "probabilities"),
        expected.float(),
        rtol=1e-5,
        atol=1e-5,
    )


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ((900.0, 900.0), 900.0),
        ((-900.0, -900.0), -900.0),
        ((900.0, -900.0), -np.log(3)),  # P = 0.25
        ((-900.0, 900.0), np.log(3)),
        ((900.0, 0.0), np.log(0.25 + 0.75 * 0.5) - np.log(0.75 * 0.5)),
        ((-900.0, -100.0), -100.0 + np.log(0.75)),
    ],
)
def test_probabilities_near_0_and_1_are_averaged_without_loss(
    scores: tuple[float, float], expected: float
) -> None:
    own = torch.tensor([scores], requires_grad=True)
    logits = torch.log(torch.tensor([[1.0, 3.0]])).requires_grad_()
    score = blended(own, logits, "probabilities")
    # A float32 of 900 has steps of 6e-5.
    assert score.item() == pytest.approx(expected, rel=1e-6, abs=6e-5)
    score.sum().backward()
    for given in (own, logits):
        assert given.grad is not None
        assert torch.isfinite(given.grad).all()


@pytest.mark.parametrize("gate", [*GATES, FixedGate()], ids=lambda gate: type(gate).__name__)
@pytest.mark.parametrize("blend", ["logits", "probabilities"])
def test_score_follows_from_expert_scores(gate: Any, blend: Any) -> None:
    mixture = built(replace(THREE, gate=gate, blend=blend))
    with torch.inference_mode():
        embedding = mixture.embed(waveform())
        score = mixture.classify(embedding)
        scores, weights = mixture.expert_scores(embedding)
    assert scores.shape == weights.shape == (4, 3)
    torch.testing.assert_close(weights.sum(1), torch.ones(4))
    torch.testing.assert_close(score, blended(scores, weights.log(), blend), rtol=1e-5, atol=1e-5)
    for expert in range(3):
        alone = window_scores(mixture.detectors[expert], clips())
        np.testing.assert_allclose(scores[:, expert].numpy(), alone, rtol=0, atol=1e-6)


def test_fixed_gate_gives_the_plain_average() -> None:
    mixture = built(replace(THREE, gate=FixedGate()))
    each = [window_scores(expert, clips()) for expert in mixture.detectors]
    np.testing.assert_allclose(window_scores(mixture, clips()), np.mean(each, axis=0), atol=1e-6)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[Any]:
    """Count transforms by framing, and the passes of each expert's parts."""
    counted: Counter[Any] = Counter()
    transform, apply = Spectrogram.forward, nn.Conv2d.forward

    def forward(self: Spectrogram, wave: Tensor) -> Tensor:
        counted[self.framing] += 1
        return transform(self, wave)

    def convolve(self: nn.Conv2d, maps: Tensor) -> Tensor:
        counted[id(self)] += 1
        return apply(self, maps)

    monkeypatch.setattr(Spectrogram, "forward", forward)
    monkeypatch.setattr(nn.Conv2d, "forward", convolve)
    return counted


def test_equal_framings_share_a_transform_and_each_expert_runs_once(calls: Counter[Any]) -> None:
    mel = MelLcnn(n_mels=8)
    hamming = ResNet18(window="hamming", pre_emphasis=0.97, width=2, embedding=4)
    inner = Mixture(experts=(hamming, SMALL_MEL), gate=GATE)
    experts = (mel, hamming, SMALL_MEL, SMALL_LINEAR, inner, Toy())
    mixture: Any = Mixture(experts=experts, gate=GATE).build().eval()
    mixture(waveform())
    framings = {built.spectrogram.framing for built in (mel.build(), SMALL_MEL.build())}  # type: ignore[union-attr]
    assert {key: n for key, n in calls.items() if not isinstance(key, int)} == {
        **dict.fromkeys(framings, 1),
        mixture.detectors[5].spectrogram.framing: 1,
    }
    convolutions = [id(m) for m in mixture.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) > 60
    assert {calls[key] for key in convolutions} == {1}


def test_default_needs_one_transform() -> None:
    assert (
        len({spectrogram.framing for spectrogram in _mixture(Mixture()).spectrograms().values()})
        == 1
    )
    assert _mixture(Mixture()).experts == ("mel_lcnn", "resnet18_mel", "resnet18_linear")


def _mixture(spec: Mixture) -> Any:
    with torch.device("meta"):
        return spec.build()


def test_experts_without_a_spectrogram_are_given_the_waveform() -> None:
    mixture = built(Mixture(experts=(SMALL["aasist"], SMALL_MEL, SMALL["ssl_aasist"]), gate=GATE))
    with torch.inference_mode():
        embedding = mixture.embed(waveform())
        own = [expert.embed(waveform()) for expert in mixture.detectors]
        torch.testing.assert_close(embedding[:, :-3], torch.cat(own, dim=1), rtol=0, atol=0)


def test_frozen_experts_stay_in_evaluation_and_keep_their_statistics() -> None:
    inner = replace(THREE, frozen=False)
    mixture: Any = Mixture(experts=(MelLcnn(n_mels=8), inner), gate=EnhancedGate()).build()
    before = {name: value.clone() for name, value in mixture.state_dict().items()}
    for mode in (False, True):
        assert mixture.train(mode) is mixture
        assert {module.training for module in mixture.detectors.modules()} == {False}
        assert {module.training for module in mixture.gate.modules()} == {mode}
    assert mixture.training
    mixture(waveform())
    assert not any(weight.requires_grad for weight in mixture.detectors.parameters())
    for name, value in mixture.state_dict().items():
        moves = name.startswith("gate.") and ("running" in name or "num_batches" in name)
        assert torch.equal(value, before[name]) != moves, name


def test_a_fresh_frozen_mixture_is_in_training_but_its_experts_are_not() -> None:
    mixture: Any = THREE.build()
    assert mixture.training
    assert mixture.gate.training
    assert not any(module.training for module in mixture.detectors.modules())


def test_frozen_experts_leave_no_graph_and_want_no_gradient() -> None:
    mixture: Any = THREE.build()
    seen: list[bool] = []
    gate = mixture.gate.forward

    def watched(wave: Tensor, embeddings: list[Tensor]) -> Tensor:
        seen.extend(embedding.requires_grad for embedding in embeddings)
        logits: Tensor = gate(wave, embeddings)
        return logits

    mixture.gate.forward = watched
    outcome = outputs(mixture, waveform())
    assert seen == [False] * 3
    scores, weights = mixture.expert_scores(outcome.embedding)
    assert not scores.requires_grad
    assert weights.requires_grad
    outcome.score.square().sum().backward()
    for name, parameter in mixture.named_parameters():
        assert parameter.requires_grad == name.startswith("gate."), name
        assert (parameter.grad is not None) == name.startswith("gate."), name


def test_joint_experts_are_trained_and_their_statistics_move() -> None:
    mixture: Any = replace(THREE, frozen=False).build()
    before = mixture.state_dict()["detectors.0.stem.1.running_mean"].clone()
    mixture(waveform()).square().sum().backward()
    assert all(parameter.grad is not None for parameter in mixture.parameters())
    assert not torch.equal(mixture.state_dict()["detectors.0.stem.1.running_mean"], before)
    assert all(module.training for module in mixture.modules())


def test_scores_do_not_depend_on_the_rest_of_the_batch() -> None:
    mixture = built(THREE)
    windows = clips(3)
    mates = np.concatenate([windows[:1], 50 * clips(2, seed=9)])
    for row, other in zip(
        window_expert_scores(mixture, windows), window_expert_scores(mixture, mates), strict=True
    ):
        np.testing.assert_allclose(row[0], other[0], rtol=0, atol=1e-6)


def test_experts_are_named_by_kind_and_feature_and_numbered() -> None:
    ssl = SMALL["ssl_aasist"]
    experts = (MelLcnn(), ResNet18(), ResNet18(feature="linear"), ssl, Toy(), ssl, ResNet18(), ssl)
    assert _mixture(Mixture(experts=experts)).experts == (
        *("mel_lcnn", "resnet18_mel", "resnet18_linear", "ssl_aasist"),
        *("toy", "ssl_aasist_2", "resnet18_mel_2", "ssl_aasist_3"),
    )
    assert _mixture(Mixture(experts=(THREE, Lcnn()))).experts == ("mixture", "lcnn")


class PublishedDetector(Detector):
    """An expert with a weight that was published and one that was not."""

    def __init__(self) -> None:
        super().__init__()
        self.n_embedding = 1
        self.known = nn.Parameter(torch.zeros(1))
        self.own = nn.Parameter(torch.ones(1))

    def embed(self, waveform: Tensor) -> Tensor:
        return waveform.mean(dim=1, keepdim=True) * self.known

    def classify(self, embedding: Tensor) -> Tensor:
        return (embedding * self.own)[:, 0]

    def terms(self) -> Mapping[str, Tensor]:
        return {"balance": self.own.sum()}

    def pretrained(self) -> Mapping[str, Tensor]:
        return {"known": torch.full((1,), 7.0)}

    def pretrained_names(self) -> frozenset[str]:
        return frozenset({"known"})

    def frozen_names(self) -> frozenset[str]:
        return self.pretrained_names()


@dataclass(frozen=True)
class Published:
    """A spec that is in no table."""

    kind: ClassVar[str] = "Published"

    def build(self) -> Detector:
        return PublishedDetector()


def test_pretrained_weights_and_terms_of_experts_are_passed_through() -> None:
    inner = Mixture(experts=(Published(),), gate=GATE, frozen=False)
    spec = Mixture(experts=(Toy(), Published(), inner), gate=GATE, frozen=False)
    mixture: Any = spec.build()
    names = {"detectors.1.known", "detectors.2.detectors.0.known"}
    assert mixture.experts == ("toy", "Published", "mixture")
    assert mixture.pretrained_names() == mixture.frozen_names() == names
    assert {name: value.item() for name, value in mixture.pretrained().items()} == dict.fromkeys(
        names, 7.0
    )
    assert names <= mixture.state_dict().keys()
    mixture.load_state_dict(mixture.pretrained(), strict=False)
    assert set(mixture.terms()) == {"detectors.1.balance", "detectors.2.detectors.0.balance"}
    assert not replace(spec, frozen=True).build().terms()


@pytest.mark.parametrize("gate", [*GATES, FixedGate()], ids=lambda gate: type(gate).__name__)
def test_spec_of_any_gate_survives_json(gate: Any) -> None:
    spec = Mixture(experts=(THREE, SMALL["ssl_aasist"]), gate=gate, blend="probabilities")
    assert spec_from_json(spec_to_json(spec)) == spec


@pytest.mark.parametrize(
    ("field", "value", "remedy"),
    [
        ("gate", {"part": "encoder", "fields": {}}, "write a value of the field's type"),
        ("gate", {"part": "attention_gat", "fields": {}}, "did you mean 'attention_gate'"),
        ("gate", {"part": "attention_gate", "fields": {"dept": 1}}, "did you mean 'depth'"),
        ("gate", "even", "write a value of the field's type"),
        ("experts", [{"kind": "to", "fields": {}}], "did you mean 'toy'"),
        ("experts", [3], "write a value of the field's type"),
        ("experts", [{"part": "fixed_gate", "fields": {}}], "write a value of the field's type"),
        ("experts", [], "give one or more detectors"),
        ("frozen", 1, "write a value of the field's type"),
    ],
)
def test_a_bundle_with_a_wrong_mixture_says_so(field: str, value: Any, remedy: str) -> None:
    with pytest.raises(BundleError, match=remedy):
        spec_from_json({"kind": "mixture", "fields": {field: value}})


@pytest.mark.parametrize(
    ("make", "remedy"),
    [
        (lambda: Mixture(experts=()), "give one or more detectors"),
        (lambda: Mixture(experts=(Toy,)), "give detectors such as ResNet18"),  # type: ignore[arg-type]
        (lambda: Mixture(blend="logit"), "did you mean 'logits'"),  # type: ignore[arg-type]
    ],
)
def test_impossible_mixtures_say_what_to_do(make: object, remedy: str) -> None:
    with pytest.raises(RecipeError, match=remedy):
        make()  # type: ignore[operator]


def test_copies_and_functional_calls_give_the_same_scores() -> None:
    mixture = built(replace(THREE, frozen=False))
    with torch.no_grad():
        expected = mixture(waveform())
        assert torch.equal(copy.deepcopy(mixture)(waveform()), expected)
        other = built(replace(THREE, frozen=False))
        for parameter in other.parameters():
            parameter.data.zero_()
        tensors = dict(mixture.named_parameters()) | dict(mixture.named_buffers())
        assert torch.equal(functional_call(other, tensors, (waveform(),)), expected)


def test_a_gate_learns_whom_to_trust() -> None:
    torch.manual_seed(0)
    spec = Mixture(experts=(Toy(), Toy(n_bands=4)), gate=replace(GATE, dropout=0.0))
    mixture: Any = spec.build()
    with torch.no_grad():
        for weight in mixture.detectors[1].parameters():
            weight.neg_()  # an expert that is always wrong
    rng = np.random.default_rng(0)
    noise = torch.from_numpy(0.1 * rng.standard_normal((16, 3_200), np.float32))
    tone = 0.1 * torch.sin(torch.arange(3_200) * torch.linspace(0.1, 0.4, 16)[:, None])
    bonafide = torch.tensor([1.0] * 16 + [0.0] * 16)  # as flatness says
    optimizer = torch.optim.Adam(mixture.gate.parameters(), 0.01)
    for _ in range(60):
        optimizer.zero_grad()
        score = mixture(torch.cat([noise, tone]))
        nn.functional.binary_cross_entropy_with_logits(score, bonafide).backward()
        optimizer.step()
    _, weights = mixture.eval().expert_scores(mixture.embed(torch.cat([noise, tone])))
    assert weights[:, 0].min() > 0.9


def test_training_moves_the_gate_alone_and_keeps_the_experts_to_the_bit(tmp_path: Path) -> None:
    manifest = corpus(tmp_path / "corpus", duration_s=0.6)
    expert = Recipe(
        name="expert",
        detector=SMALL_MEL,
        sampler=Balanced(batch_clips=4),
        schedule=Constant(rate=1e-3),
        budget=Budget(n_steps=4, eval_every=2),
        window_s=0.5,
        hop_s=0.5,
    )
    whole = replace(
        expert,
        name="whole",
        detector=Mixture(experts=(SMALL_MEL, SMALL_MEL), gate=GATE),
        init_from=(
            ("detectors.0", replace(expert, name="one")),
            ("detectors.1", replace(expert, name="two")),
        ),
    )
    first = load_file(train(expert, manifest, tmp_path / "one") / "weights.safetensors")
    two = replace(expert, seed=9)
    second = load_file(train(two, manifest, tmp_path / "two") / "weights.safetensors")
    bundle_folder = train(whole, manifest, tmp_path / "whole")
    weights_after = load_file(bundle_folder / "weights.safetensors")
    for place, weights in enumerate((first, second)):
        for name, value in weights.items():
            assert torch.equal(weights_after[f"detectors.{place}.{name}"], value), name
    torch.manual_seed(whole.seed)
    gate = whole.detector.build().get_submodule("gate")
    started = {f"gate.{k}": v for k, v in gate.state_dict().items()}
    assert any(not torch.equal(weights_after[name], value) for name, value in started.items())
    assert load(bundle_folder).detector.experts == ("resnet18_mel", "resnet18_mel_2")


def test_bundle_leaves_out_the_encoders_of_its_experts_and_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNHEARD_ENCODERS", str(tmp_path))
    experts = []
    for seed, source in enumerate(("second", "first")):
        torch.manual_seed(seed)
        network = TINY_ENCODER.build().model
        network.config.save_pretrained(tmp_path / source)
        save_file(network.state_dict(), tmp_path / source / "model.safetensors")
        encoder = replace(TINY_ENCODER, source=source)
        experts.append(SslAasist(encoder=encoder, adapters=LoraExperts(rank=2)))
    inner = Mixture(experts=(experts[1],), gate=GATE)
    recipe = Recipe(
        name="whole",
        detector=Mixture(experts=(experts[0], inner), gate=GATE),
        sampler=Balanced(batch_clips=4),
        budget=Budget(n_steps=2, eval_every=2),
        window_s=0.5,
        hop_s=0.5,
    )
    bundle_folder = train(recipe, corpus(tmp_path / "corpus", duration_s=0.6), tmp_path / "whole")
    names = load_file(bundle_folder / "weights.safetensors")
    assert not any(name.endswith("q_proj.weight") for name in names)
    assert any(name.startswith("detectors.1.detectors.0.encoder.") for name in names)
    base = read_card(bundle_folder).base
    assert base is not None
    assert base.source == "first, second"
    state = load(bundle_folder).detector.state_dict()
    for place, source in (("detectors.0", "second"), ("detectors.1.detectors.0", "first")):
        for name, value in load_file(tmp_path / source / "model.safetensors").items():
            if name.endswith("q_proj.weight"):
                assert torch.equal(state[f"{place}.encoder.model.{name}"], value)


@pytest.mark.parametrize("name", [n for n in recipes.names() if recipes.load(n).init_from])
def test_recipes_start_from_experts_that_fit(name: str) -> None:
    recipe = recipes.load(name)
    with torch.device("meta"):
        detector = recipe.detector.build()
        for path, other in recipe.init_from:
            part = detector.get_submodule(path) if path else detector
            expected = other.detector.build().state_dict()
            weights = part.state_dict()
            assert {k: v.shape for k, v in weights.items()} == {
                k: v.shape for k, v in expected.items()
            }


def test_gate_and_freezing_are_settable() -> None:
    recipe: Any = recipes.load("attention_mixture_small")
    changed: Any = with_settings(
        recipe, ["detector.gate.depth=1", "detector.frozen=false", "detector.blend=probabilities"]
    ).detector
    assert (changed.gate.depth, changed.frozen, changed.blend) == (1, False, "probabilities")
    assert changed.experts == recipe.detector.experts


def test_mixtures_and_their_parts_are_rows_of_the_tables() -> None:
    assert DETECTORS["mixture"] is Mixture
    assert DETECTORS["mel_lcnn"] is MelLcnn
