"""Foundation-model detectors: what is trained, what is saved, and on which weights they stand."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from small_detectors import TINY_ENCODER, TINY_EXPERTS, published
from synthetic_corpus import corpus
from unheard.data.batches import Balanced, Batch
from unheard.detectors.bundle import load, read_card
from unheard.detectors.card_text import model_card
from unheard.detectors.detector import fresh, outputs
from unheard.detectors.layers.aggregation import Adaptive, AdaptiveSum, WeightedSum, summed
from unheard.detectors.layers.lora import LoraExperts
from unheard.detectors.spec_json import spec_from_json, spec_to_json
from unheard.detectors.ssl_aasist import SslAasist
from unheard.errors import BundleError, RecipeError
from unheard.training.distributed import average_gradients
from unheard.training.loop import train
from unheard.training.objectives import WithTerms
from unheard.training.recipe import Adam, Budget, Recipe

pytestmark = pytest.mark.usefixtures("encoders")

BACK_END = 447_242
NEVER_USED = 512  # a normalisation that the source has and does not use; see ResidualBlock


PUBLISHED = replace(TINY_ENCODER, source="tiny")
ADAPTED = SslAasist(encoder=PUBLISHED, adapters=TINY_EXPERTS)


def waves(n_clips: int = 3) -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(0.1 * rng.standard_normal((n_clips, 8_000)).astype(np.float32))


def n_trained(spec: SslAasist) -> int:
    with torch.device("meta"):
        detector = spec.build()
    return sum(p.numel() for p in detector.parameters() if p.requires_grad)


def test_paper_scale_counts_what_the_papers_count() -> None:
    encoder = 315_437_696
    assert n_trained(SslAasist()) == encoder + BACK_END - NEVER_USED
    assert n_trained(SslAasist(frozen=True)) == BACK_END - NEVER_USED
    four = LoraExperts(rank=16)
    two = LoraExperts(rank=32, projections=("q", "v"))
    for adapters in (four, two):  # both readings of paper 2 come to the same 3,592,970
        assert n_trained(SslAasist(adapters=adapters)) + NEVER_USED == 3_592_970
    experts = LoraExperts(rank=8, n_experts=8, n_active=2)
    mixture = 8 * 24 * 4 * 2 * 1024 * 8 + 24 * 4 * 8 * 1024  # experts, routers
    assert n_trained(SslAasist(adapters=experts)) == mixture + BACK_END - NEVER_USED


def test_adapted_detector_starts_as_the_frozen_one_to_the_bit() -> None:
    torch.manual_seed(0)
    frozen = fresh(SslAasist(encoder=PUBLISHED, frozen=True)).eval()
    adapted = fresh(ADAPTED).eval()
    adapted.get_submodule("back_end").load_state_dict(frozen.get_submodule("back_end").state_dict())
    with torch.inference_mode():
        assert torch.equal(adapted(waves()), frozen(waves()))


def test_fresh_starts_from_the_published_weights(encoders: Path) -> None:
    published = load_file(encoders / "tiny/model.safetensors")
    for spec in (SslAasist(encoder=PUBLISHED), ADAPTED):
        state = fresh(spec).state_dict()
        for name, value in published.items():
            assert torch.equal(state[f"encoder.model.{name}"], value)


def test_published_weights_of_another_shape_are_refused() -> None:
    other = replace(PUBLISHED, settings=(*PUBLISHED.settings[:-2], ("intermediate_size", 32)))
    with pytest.raises(RecipeError, match="give the source of a model of the same shape"):
        fresh(SslAasist(encoder=other))


@pytest.mark.parametrize(("frozen", "trains"), [(True, False), (False, True)])
def test_frozen_means_frozen(frozen: bool, trains: bool) -> None:
    detector: Any = fresh(SslAasist(encoder=PUBLISHED, frozen=frozen)).train()
    detector(waves()).sum().backward()
    assert any(p.grad is not None for p in detector.encoder.parameters()) is trains
    assert detector.back_end.projection.weight.grad is not None


@pytest.mark.parametrize("adapters", [None, LoraExperts(rank=2), TINY_EXPERTS])
def test_learns_a_batch_with_any_part_of_the_encoder_trained(adapters: LoraExperts | None) -> None:
    torch.manual_seed(0)
    detector = fresh(SslAasist(encoder=PUBLISHED, adapters=adapters)).train()
    for part in detector.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    wave, bonafide = waves(6), torch.tensor([True, False] * 3)
    optimiser = Adam().build(detector)
    for group in optimiser.param_groups:
        group["lr"] = 3e-3
    losses = []
    for _ in range(25):
        optimiser.zero_grad()
        score = detector(wave)
        loss = torch.nn.functional.softplus(torch.where(bonafide, -score, score)).mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    trained = {n: p for n, p in detector.named_parameters() if p.requires_grad}
    start = fresh(SslAasist(encoder=PUBLISHED, adapters=adapters)).state_dict()
    for name, value in detector.named_parameters():
        if name not in trained and name in detector.pretrained_names():
            assert torch.equal(value, start[name])  # the encoder's own weights stay


@pytest.mark.parametrize("reading", ["weighted", "adaptive"])
def test_a_sum_over_layers_learns_through_a_frozen_encoder(reading: Any) -> None:
    detector: Any = fresh(SslAasist(encoder=PUBLISHED, frozen=True, reading=reading)).train()
    detector(waves()).sum().backward()
    slopes = [p.grad for p in detector.reading.parameters()]
    assert all(slope is not None and slope.abs().max() > 0 for slope in slopes)


def test_weighted_sum_starts_as_the_mean_and_adaptive_weights_follow_the_clip() -> None:
    states = [torch.randn(2, 5, 3) for _ in range(4)]
    assert torch.allclose(WeightedSum(4)(states), torch.stack(states).mean(dim=0), atol=1e-6)
    adaptive = AdaptiveSum(Adaptive())
    weights = adaptive.weights(states)
    assert weights.shape == (2, 4)
    assert torch.allclose(weights.sum(dim=1), torch.ones(2))
    assert not torch.allclose(weights[0], weights[1])
    literal = torch.stack([weights[:, i, None, None] * states[i] for i in range(4)]).sum(dim=0)
    assert torch.allclose(summed(states, weights), literal, atol=1e-6)
    assert torch.allclose(adaptive(states), literal, atol=1e-6)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid", "none"])
def test_adaptive_weights_are_a_convolution_over_the_means_of_the_layers(activation: Any) -> None:
    torch.manual_seed(0)
    states = [place + torch.randn(2, 5, 3) for place in range(6)]
    adaptive: Any = AdaptiveSum(Adaptive(n_kernel=3, activation=activation))
    (kernel,) = adaptive.convolution[0].weight[0]
    bias = 0.0 if activation == "softmax" else adaptive.convolution[0].bias
    means = torch.tensor([[0.0, *(s[b].mean() for s in states), 0.0] for b in range(2)])  # eq. 1
    linear = torch.stack([(means[:, i : i + 3] * kernel).sum(dim=1) for i in range(6)], 1) + bias
    wanted = {"softmax": linear.softmax(1), "sigmoid": linear.sigmoid(), "none": linear}
    assert torch.allclose(adaptive.weights(states), wanted[activation], atol=1e-6)  # eq. 2


def test_adaptive_weights_may_come_from_several_convolutions() -> None:
    deep = AdaptiveSum(Adaptive(n_kernel=5, n_convolutions=3, n_channels=4))
    assert sum(p.numel() for p in deep.parameters()) == (5 * 4 + 4) + (5 * 4 * 4 + 4) + 5 * 4
    weights = deep.weights([place + torch.randn(2, 5, 3) for place in range(6)])
    assert weights.shape == (2, 6)
    weights[:, 0].sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in deep.parameters())


def test_a_bundle_keeps_how_layers_are_summed() -> None:
    how = Adaptive(n_kernel=1, n_convolutions=2, activation="sigmoid")
    spec = SslAasist(encoder=PUBLISHED, reading="adaptive", adaptive=how)
    assert spec_from_json(spec_to_json(spec)) == spec


def test_layer_weights_are_those_of_the_sum_that_the_back_end_sees() -> None:
    detector: Any = fresh(SslAasist(encoder=PUBLISHED, frozen=True, reading="adaptive")).eval()
    weights = detector.layer_weights(waves())
    states = detector.encoder(waves())
    assert weights.shape == (len(waves()), len(states))
    assert torch.allclose(detector.frames(waves()), summed(states, weights), atol=1e-6)


@pytest.mark.parametrize(
    ("wrong", "remedy"),
    [
        ({"n_kernel": 4}, "give an odd number"),
        ({"n_kernel": -1}, "give an odd number"),
        ({"n_convolutions": 0}, "give 1 or more of each"),
        ({"n_channels": 0}, "give 1 or more of each"),
        ({"activation": "softmx"}, "did you mean 'softmax'"),
    ],
)
def test_adaptive_sums_that_cannot_be_are_refused(wrong: dict[str, Any], remedy: str) -> None:
    with pytest.raises(RecipeError, match=remedy):
        Adaptive(**wrong)


def test_pretrained_weights_can_learn_more_slowly() -> None:
    detector: Any = fresh(SslAasist(encoder=PUBLISHED))
    groups = Adam(pretrained_scale=0.1).build(detector).param_groups
    scales = {group["scale"]: group["params"] for group in groups}
    assert scales.keys() == {1.0, 0.1}
    n_encoder = sum(p.numel() for p in detector.encoder.parameters())
    assert sum(p.numel() for p in scales[0.1]) == n_encoder
    random = Adam(pretrained_scale=0.1).build(SslAasist(encoder=TINY_ENCODER).build())
    assert [group["scale"] for group in random.param_groups] == [1.0]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the adapted detector; the encoder is the one of every test here."""
    folder = tmp_path_factory.mktemp("run")
    published(folder / "tiny")
    recipe = Recipe(
        name="adapted",
        detector=ADAPTED,
        objective=WithTerms(weights=(("expert_balance", 0.1),)),
        sampler=Balanced(batch_clips=4),
        budget=Budget(n_steps=4, eval_every=2, log_every=1, batches_per_step=2),
        window_s=0.5,
        hop_s=0.5,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNHEARD_ENCODERS", str(folder))
        train(recipe, corpus(folder / "corpus", duration_s=0.6), folder / "run")
    return folder / "run"


def test_only_what_was_trained_is_saved(trained: Path) -> None:
    for file in ("bundle/weights.safetensors", "checkpoints/step-000004/model.safetensors"):
        names = load_file(trained / file)
        assert names
        assert not any(name.endswith("q_proj.weight") for name in names)
        assert any("lora_up" in name for name in names)
        assert any(name.startswith("back_end.") for name in names)
    base = read_card(trained / "bundle").base
    assert base is not None
    assert base.source == "tiny"
    assert base.n_parameters > 3_000


def test_bundle_stands_on_the_encoder_it_was_trained_on(trained: Path, encoders: Path) -> None:
    scores = load(trained / "bundle").scores(waves().numpy())
    assert np.isfinite(scores).all()
    weights = load_file(encoders / "tiny/model.safetensors")
    state = load(trained / "bundle").detector.state_dict()
    assert all(torch.equal(state[f"encoder.model.{name}"], v) for name, v in weights.items())


def test_bundle_refuses_another_encoder_and_a_missing_one(trained: Path, encoders: Path) -> None:
    file = encoders / "tiny/model.safetensors"
    weights = load_file(file)
    weights["encoder.layers.0.attention.q_proj.bias"][0] += 1e-3
    save_file(weights, file)
    with pytest.raises(BundleError, match="get the ones that it was trained on"):
        load(trained / "bundle")
    file.unlink()
    with pytest.raises(BundleError, match=r"stands on published weights.*give the folder"):
        load(trained / "bundle")


def test_a_term_the_detector_does_not_offer_is_refused() -> None:

    batch = Batch(
        waves(),
        *(torch.zeros(3, dtype=torch.int64),),
        torch.tensor([True, False, True]),
        *(torch.full((3,), -1),) * 2,
        ids=("a", "b", "c"),
    )
    plain = replace(ADAPTED, adapters=LoraExperts(rank=2))
    with pytest.raises(RecipeError, match="a balance needs adapters with several experts"):
        WithTerms()(outputs(fresh(plain).train(), waves()), batch)
    terms = WithTerms(weights=(("expert_balance", 0.5),))(
        outputs(fresh(ADAPTED).train(), waves()), batch
    )
    assert terms.keys() == {"cross_entropy", "expert_balance"}
    assert terms["expert_balance"].item() >= 0.5 - 1e-5  # a balance is 1 at best, times its weight


def test_averaged_batches_are_one_larger_batch_to_a_detector_without_batch_statistics() -> None:

    torch.manual_seed(0)
    module = torch.nn.Linear(4, 1)
    x = torch.randn(6, 4)
    module(x).square().mean().backward()
    assert module.weight.grad is not None
    whole = module.weight.grad.clone()
    module.zero_grad()
    for half in (x[:3], x[3:]):
        module(half).square().mean().backward()
    average_gradients(module, 2)
    assert module.weight.grad is not None
    assert torch.allclose(module.weight.grad, whole, atol=1e-6)


def test_card_states_which_weights_the_detector_needs(trained: Path) -> None:
    text = model_card(read_card(trained / "bundle"))
    assert "published weights that this bundle does not hold, from 'tiny'" in text
    assert "adapters: lora_experts(rank=2, " in text
