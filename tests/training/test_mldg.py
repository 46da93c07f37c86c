"""Meta-learning: its gradients against closed forms, finite differences and copies of the model."""

import copy
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from small_detectors import SMALL
from synthetic_corpus import corpus
from unheard import recipes
from unheard.data.batches import Balanced, Batch, BatchSource, Terms, total
from unheard.data.clip import Manifest
from unheard.data.samplers import ByDomain
from unheard.detectors.detector import Detector, Outputs, outputs
from unheard.detectors.ssl_aasist import SslAasist
from unheard.errors import RecipeError, TrainingError
from unheard.training.loop import train
from unheard.training.mldg import Mldg
from unheard.training.objectives import WeightedCrossEntropy, WithTerms
from unheard.training.recipe import Budget, Recipe
from unheard.training.supervised import Supervised

CROSS_ENTROPY = WeightedCrossEntropy()
WITH_EXPERTS = WithTerms(weights=(("expert_balance", 0.5), ("expert_orthogonality", 0.1)))
N_INPUTS = 3


class Line(Detector):
    """A score that is linear in the waveform, so that squares of errors are a quadratic."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-1.0, 1.0, N_INPUTS, dtype=torch.float64))

    def embed(self, waveform: Tensor) -> Tensor:
        return waveform

    def classify(self, embedding: Tensor) -> Tensor:
        return embedding @ self.weight


@dataclass
class Squares:
    """Half the mean squared error; remembers the batches and scores it was called with."""

    def __post_init__(self) -> None:
        self.seen: list[Batch] = []
        self.scores: list[Tensor] = []

    def __call__(self, outputs: Outputs, batch: Batch) -> Terms:
        self.seen.append(batch)
        self.scores.append(outputs.score.detach())
        return {"squares": (outputs.score - batch.bonafide.double()).square().mean() / 2}


def batch_of(waveform: Tensor, domain: list[int], twin: list[int] | None = None) -> Batch:
    """Return a batch whose clips are bona fide and spoofed in turn."""
    n_clips = len(waveform)
    return Batch(
        waveform=waveform,
        n_samples=torch.full((n_clips,), waveform.shape[1]),
        bonafide=torch.arange(n_clips) % 2 == 0,
        domain=torch.tensor(domain),
        twin=torch.tensor(twin or [-1] * n_clips),
        ids=tuple(f"{row:03d}" for row in range(n_clips)),
    )


def slope(parameter: nn.Parameter) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


def numbers(n_clips: int, seed: int = 0) -> Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.standard_normal((n_clips, N_INPUTS)))


def waves(n_clips: int, dtype: torch.dtype = torch.float32) -> Tensor:
    rng = np.random.default_rng(1)
    return torch.from_numpy(0.1 * rng.standard_normal((n_clips, 8_000))).to(dtype)


FOUR = batch_of(numbers(16), [row // 4 for row in range(16)])


def split(batch: Batch, n_meta_test: int) -> tuple[list[int], list[int]]:
    """Return meta-train and meta-test as the next draw of the generator gives them."""
    domains = sorted(set(batch.domain.tolist()) - {-1})
    order = [domains[place] for place in torch.randperm(len(domains))]
    return order[n_meta_test:], order[:n_meta_test]


def clips_of(batch: Batch, domains: list[int]) -> Batch:
    rows = [row for row, domain in enumerate(batch.domain.tolist()) if domain in domains]
    return batch_of(batch.waveform[rows], batch.domain[rows].tolist())


def quadratic(batch: Batch) -> tuple[Tensor, Tensor]:
    """Return A and b of the squares' gradient A w - b."""
    x, y = batch.waveform, batch.bonafide.double()
    return x.T @ x / len(batch), x.T @ y / len(batch)


@pytest.mark.parametrize("order", ["first", "second"])
@pytest.mark.parametrize("pairing", ["all", "zip"])
@pytest.mark.parametrize("n_meta_test", [1, 2])
def test_gradient_of_a_quadratic_is_the_closed_form(
    order: Any, pairing: Any, n_meta_test: int
) -> None:
    rate, beta = 0.3, 0.7
    model = Line()
    method = Mldg(order=order, inner_rate=rate, beta=beta, n_meta_test=n_meta_test, pairing=pairing)
    torch.manual_seed(5)
    terms = method.gradients(model, FOUR, Squares())

    torch.manual_seed(5)
    train_domains, test_domains = split(FOUR, n_meta_test)
    pairs = [(train_domains, test_domains)]
    if pairing == "zip":
        pairs = [([i], [j]) for i, j in zip(train_domains, cycle(test_domains), strict=False)]
    w = model.weight.detach()
    wanted, cosines, losses = [], [], []
    for ones, others in pairs:
        (a, b), (c, d) = quadratic(clips_of(FOUR, ones)), quadratic(clips_of(FOUR, others))
        first = a @ w - b
        late = c @ (w - rate * first) - d
        chain = torch.eye(N_INPUTS).double() - rate * a if order == "second" else torch.eye(3)
        wanted.append(first + beta * chain.double() @ late)
        cosines.append(nn.functional.cosine_similarity(first, late, dim=0))
        errors = clips_of(FOUR, others)
        left = errors.waveform @ (w - rate * first) - errors.bonafide.double()
        losses.append(left.square().mean() / 2)
    assert torch.allclose(slope(model.weight), torch.stack(wanted).mean(dim=0), rtol=1e-12)
    assert torch.allclose(terms["_meta_cosine"], torch.stack(cosines).mean(), rtol=1e-12)
    assert torch.allclose(terms["_meta_test"], torch.stack(losses).mean(), rtol=1e-12)
    assert list(terms) == ["squares", "_meta_test", "_meta_cosine"]


def test_inner_adam_is_a_first_step_of_torchs_adam() -> None:
    model = Line()
    torch.manual_seed(5)
    Mldg(inner="adam", inner_rate=0.1).gradients(model, FOUR, Squares())
    torch.manual_seed(5)
    ones, others = (clips_of(FOUR, domains) for domains in split(FOUR, 1))
    fast = Line()
    total(Squares()(outputs(fast, ones.waveform), ones)).backward()
    early = slope(fast.weight).clone()
    torch.optim.Adam(fast.parameters(), lr=0.1).step()
    fast.zero_grad()
    total(Squares()(outputs(fast, others.waveform), others)).backward()
    assert torch.allclose(slope(model.weight), early + slope(fast.weight), rtol=1e-9)


def roughened(name: str, dtype: torch.dtype, **changes: Any) -> Detector:
    """Return a small detector in training mode, away from its start, where LoRA is zero."""
    torch.manual_seed(2)
    spec: Any = SMALL[name]
    model: Detector = replace(spec, **changes).build().to(dtype).train()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    return model


def objective_after_an_inner_step(
    model: Detector, objective: Any, ones: Batch, others: Batch, rate: float
) -> tuple[Tensor, Detector, Detector]:
    """Return F(w) + G(w - rate dF(w)), the model at w with dF in `.grad`, and the moved one."""
    slow = copy.deepcopy(model)
    early = total(objective(outputs(slow, ones.waveform), ones))
    early.backward()
    fast = copy.deepcopy(slow)
    fast.zero_grad()
    with torch.no_grad():
        for moved, parameter in zip(fast.parameters(), slow.parameters(), strict=True):
            if parameter.grad is not None:
                moved.sub_(rate * parameter.grad)
    late = total(objective(outputs(fast, others.waveform), others))
    return early.detach() + late, slow, fast


@pytest.mark.parametrize("name", SMALL)
def test_first_order_gradient_is_that_of_whole_copies(name: str) -> None:
    batch = batch_of(waves(8), [0, 0, 0, 0, 1, 1, 1, 1])
    model = roughened(name, torch.float32)
    started = copy.deepcopy(model)
    torch.manual_seed(3)
    objective = WITH_EXPERTS if name == "ssl_aasist" else CROSS_ENTROPY
    Mldg(inner_rate=0.1).gradients(model, batch, objective)

    torch.manual_seed(3)
    ones, others = (clips_of(batch, domains) for domains in split(batch, 1))
    value, slow, fast = objective_after_an_inner_step(started, objective, ones, others, 0.1)
    value.backward()
    rows = zip(model.named_parameters(), slow.parameters(), fast.parameters(), strict=True)
    for (label, weight), early, late in rows:
        if weight.requires_grad:
            wanted = slope(early) + slope(late)
            assert torch.allclose(slope(weight), wanted, rtol=1e-4, atol=1e-6), label


def of_length_one(parts: list[Tensor]) -> list[Tensor]:
    norm = torch.stack([part.square().sum() for part in parts]).sum().sqrt()
    return [part / norm for part in parts]


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("toy", {}),
        ("ssl_aasist", {}),
        ("ssl_aasist", {"checkpointing": True}),
    ],
)
def test_second_order_gradient_is_the_slope_of_the_objective_after_an_inner_step(
    name: str, changes: dict[str, Any]
) -> None:
    rate, width = 0.01, 1e-7
    objective = WITH_EXPERTS if name == "ssl_aasist" else CROSS_ENTROPY
    batch = batch_of(waves(8, torch.float64), [0, 0, 0, 0, 1, 1, 1, 1])
    model = roughened(name, torch.float64, **changes)
    started = copy.deepcopy(model)
    slopes = {}
    order: Any
    for order in ("first", "second"):
        model.load_state_dict(started.state_dict())
        model.zero_grad()
        torch.manual_seed(3)
        Mldg(order=order, inner_rate=rate).gradients(model, batch, objective)
        slopes[order] = [slope(p) for p in model.parameters() if p.requires_grad]

    torch.manual_seed(3)
    ones, others = (clips_of(batch, domains) for domains in split(batch, 1))
    drawn = torch.get_rng_state()
    directions = [
        part + other
        for part, other in zip(
            of_length_one(slopes["second"]),
            of_length_one([torch.randn_like(part) for part in slopes["second"]]),
            strict=True,
        )
    ]

    def along(step: float) -> float:
        moved = copy.deepcopy(started)
        with torch.no_grad():
            wanted = [p for p in moved.parameters() if p.requires_grad]
            for parameter, direction in zip(wanted, directions, strict=True):
                parameter.add_(step * direction)
        torch.set_rng_state(drawn)
        value, *_ = objective_after_an_inner_step(moved, objective, ones, others, rate)
        return value.item()

    measured = (along(width) - along(-width)) / (2 * width)
    derivatives = {
        order: sum(float((s * d).sum()) for s, d in zip(gradient, directions, strict=True))
        for order, gradient in slopes.items()
    }
    assert derivatives["second"] == pytest.approx(measured, rel=1e-6)
    assert derivatives["first"] != pytest.approx(measured, rel=1e-3)


def test_checkpointed_layers_give_the_same_first_order_gradient() -> None:
    batch = batch_of(waves(8), [0, 0, 0, 0, 1, 1, 1, 1])
    gradients = []
    for checkpointing in (False, True):
        model = roughened("ssl_aasist", torch.float32, checkpointing=checkpointing)
        torch.manual_seed(3)
        Mldg(inner_rate=0.5).gradients(model, batch, CROSS_ENTROPY)
        gradients.append(
            {name: slope(p) for name, p in model.named_parameters() if p.requires_grad}
        )
    for name, early in gradients[0].items():
        assert torch.allclose(early, gradients[1][name], rtol=1e-4, atol=1e-6), name


@pytest.mark.parametrize("name", SMALL)
def test_every_detector_has_a_second_order_gradient(name: str) -> None:
    model = roughened(name, torch.float32)
    batch = batch_of(waves(8), [0, 0, 0, 0, 1, 1, 1, 1])
    Mldg(order="second").gradients(model, batch, CROSS_ENTROPY)
    for label, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert torch.isfinite(slope(parameter)).all(), label


@pytest.mark.parametrize("pairing", ["all", "zip"])
@pytest.mark.parametrize("order", ["first", "second"])
def test_buffers_move_once_in_the_first_pass(pairing: Any, order: Any) -> None:
    batch = batch_of(waves(12), [row // 4 for row in range(12)])
    model = roughened("resnet18", torch.float32)
    moved = copy.deepcopy(model)
    torch.manual_seed(4)
    Mldg(pairing=pairing, order=order).gradients(model, batch, CROSS_ENTROPY)
    torch.manual_seed(4)
    domains, _ = split(batch, 1)
    moved(clips_of(batch, domains if pairing == "all" else domains[:1]).waveform)
    buffers = dict(moved.named_buffers())
    for name, buffer in model.named_buffers():
        assert torch.equal(buffer, buffers[name]), name


def test_only_what_is_trained_has_a_copy() -> None:
    model = roughened("ssl_aasist", torch.float32)
    seen: list[dict[str, int]] = []

    def objective(outputs: Outputs, batch: Batch) -> Terms:
        # Called while the copies stand in; a parameter's place in memory tells whose it is.
        seen.append(
            {
                f"{path}.{name}": weight.data_ptr()
                for path, part in model.named_modules()
                for name, weight in part._parameters.items()
                if weight is not None
            }
        )
        return CROSS_ENTROPY(outputs, batch)

    own = {name: p.data_ptr() for name, p in model.named_parameters()}
    batch = batch_of(waves(8), [0, 0, 0, 0, 1, 1, 1, 1])
    Mldg().gradients(model, batch, objective)
    assert seen[0] == own
    moved = {name for name, place in seen[1].items() if place != own[name]}
    assert moved == {name for name, p in model.named_parameters() if p.requires_grad}
    assert {name: p.data_ptr() for name, p in model.named_parameters()} == own


def test_gradients_are_added_to_those_that_are_there() -> None:
    model = Line()
    torch.manual_seed(0)
    Mldg().gradients(model, FOUR, Squares())
    once = slope(model.weight).clone()
    torch.manual_seed(0)
    Mldg().gradients(model, FOUR, Squares())
    assert torch.allclose(slope(model.weight), 2 * once)


def test_each_step_splits_the_domains_anew_and_leaves_no_clip_out() -> None:
    drawn = []
    torch.manual_seed(0)
    for _ in range(40):
        objective = Squares()
        Mldg(n_meta_test=2).gradients(Line(), FOUR, objective)
        ones, others = (set(batch.domain.tolist()) for batch in objective.seen)
        assert ones | others == {0, 1, 2, 3}
        assert not ones & others
        assert sum(len(batch) for batch in objective.seen) == 16
        drawn.append(frozenset(others))
    assert len(set(drawn)) == 6
    torch.manual_seed(0)
    objective = Squares()
    Mldg(n_meta_test=2).gradients(Line(), FOUR, objective)
    assert set(objective.seen[1].domain.tolist()) == drawn[0]


def test_zip_never_leaves_a_meta_test_domain_out() -> None:
    with pytest.raises(TrainingError, match=r"each of 1 meta-train domains, and 3 are held out"):
        Mldg(n_meta_test=3, pairing="zip").gradients(Line(), FOUR, Squares())


def test_clips_of_no_domain_are_in_both_splits_and_twins_follow() -> None:
    batch = batch_of(numbers(6), [-1, 0, 0, 1, 1, -1], twin=[5, 2, 1, 4, -1, 0])
    objective = Squares()
    Mldg().gradients(Line(), batch, objective)
    for seen in objective.seen:
        domain = seen.domain.max().item()
        assert seen.domain.tolist() == [-1, domain, domain, -1]
        assert seen.twin.tolist() == ([3, 2, 1, 0] if domain == 0 else [3, 2, -1, 0])
        assert [batch.ids.index(name) for name in seen.ids] == [
            0,
            1 + 2 * domain,
            2 + 2 * domain,
            5,
        ]
    lost = batch_of(numbers(4), [0, 0, 1, 1], twin=[2, -1, 0, -1])
    objective = Squares()
    Mldg().gradients(Line(), lost, objective)
    assert [seen.twin.tolist() for seen in objective.seen] == [[-1, -1], [-1, -1]]


class Dropping(Line):
    """A line behind dropout."""

    def embed(self, waveform: Tensor) -> Tensor:
        return nn.functional.dropout(waveform, 0.5, self.training)


@pytest.mark.parametrize("dropout", ["independent", "same"])
def test_dropout_of_meta_test_is_the_same_or_not(dropout: Any) -> None:
    x = numbers(8)
    batch = batch_of(torch.cat([x, x]), [0] * 8 + [1] * 8)
    objective = Squares()
    torch.manual_seed(0)
    Mldg(dropout=dropout, inner_rate=0.0).gradients(Dropping().train(), batch, objective)
    assert torch.equal(objective.scores[0], objective.scores[1]) is (dropout == "same")


def test_without_inner_step_and_with_equal_halves_the_gradient_is_twice_the_supervised_one() -> (
    None
):
    supervised, meta = Line(), Line()
    Supervised().gradients(supervised, FOUR, Squares())
    order: Any
    for order in ("first", "second"):
        meta.zero_grad()
        Mldg(order=order, inner_rate=0.0, n_meta_test=2).gradients(meta, FOUR, Squares())
        assert torch.allclose(slope(meta.weight), 2 * slope(supervised.weight), rtol=1e-12)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return corpus(tmp_path_factory.mktemp("corpus"), duration_s=0.6)


@pytest.mark.parametrize("sampler", [ByDomain(clips_per_domain=4), Balanced(batch_clips=8)])
def test_without_strength_training_is_supervised_to_the_bit(
    sampler: Any, manifest: Manifest, tmp_path: Path
) -> None:
    weights: list[dict[str, Tensor]] = []
    logs: list[str] = []
    for method in (Supervised(), Mldg(beta=0.0, inner_rate=0.0, pairing="zip"), Mldg()):
        recipe = Recipe(
            name="small",
            detector=SMALL["resnet18"],
            method=method,
            sampler=sampler,
            budget=Budget(n_steps=4, eval_every=4, log_every=1),
            window_s=0.5,
            hop_s=0.5,
        )
        run = tmp_path / str(len(weights))
        train(recipe, manifest, run)
        weights.append(load_file(run / "bundle/weights.safetensors"))
        logs.append((run / "log.jsonl").read_text())
    assert logs[0] == logs[1] != logs[2]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    assert not all(torch.equal(value, weights[2][name]) for name, value in weights[0].items())
    assert '"_meta_cosine"' in logs[2]


def test_training_splits_the_mini_batches_of_the_sampler(manifest: Manifest) -> None:
    source = BatchSource(manifest.part("train"), ByDomain(clips_per_domain=4), window_s=0.5, seed=0)
    seen: list[Batch] = []

    def objective(outputs: Outputs, batch: Batch) -> Terms:
        seen.append(batch)
        return CROSS_ENTROPY(outputs, batch)

    Mldg().gradients(SMALL["toy"].build().train(), source[0], objective)
    for batch in seen:
        assert len(set(batch.domain.tolist())) == 1
        assert batch.bonafide.tolist() == [True, True, False, False]


def test_too_few_domains_are_refused() -> None:
    single_domain = batch_of(numbers(4), [0, 0, -1, -1])
    with pytest.raises(TrainingError, match=r"holds 1 domain\(s\).*use the sampler ByDomain"):
        Mldg().gradients(Line(), single_domain, Squares())
    with pytest.raises(TrainingError, match=r"set method\.n_meta_test lower"):
        Mldg(n_meta_test=4).gradients(Line(), FOUR, Squares())
    with pytest.raises(TrainingError, match=r"12 clips of meta-train and 4 of.*=zip"):
        Mldg(dropout="same").gradients(Line(), FOUR, Squares())


@pytest.mark.parametrize(
    ("wrong", "remedy"),
    [
        ({"order": "secnd"}, "did you mean 'second'"),
        ({"inner": "lbfgs"}, "known: sgd, adam|sgd"),
        ({"inner_rate": -1.0}, "give 0 or more"),
        ({"beta": float("nan")}, "give 0 or more"),
        ({"n_meta_test": 0}, "beta=0 for none"),
        ({"order": "second", "inner": "adam"}, "set method.inner=sgd or method.order=first"),
    ],
)
def test_fields_that_do_not_fit_are_refused(wrong: dict[str, Any], remedy: str) -> None:
    with pytest.raises(RecipeError, match=remedy):
        Mldg(**wrong)


def test_paper_scale_trains_what_the_paper_counts() -> None:
    recipe = recipes.load("mldg_lora")
    assert isinstance(recipe.detector, SslAasist)
    with torch.device("meta"):
        detector = recipe.detector.build()
    trained = sum(p.numel() for p in detector.parameters() if p.requires_grad)
    assert trained + 512 == 3_592_970  # 512 belong to a normalisation that the source never uses
    assert isinstance(recipe.method, Mldg)
    assert recipe.method.order == "first"
    small, plain = recipes.load("mldg_lora_small"), recipes.load("lora_small")
    assert small.detector == plain.detector
    assert small.budget == plain.budget
    for name in ("mldg_moe_lora", "mldg_moe_lora_small"):
        both = recipes.load(name)
        assert both.detector == recipes.load(name.removeprefix("mldg_")).detector
        assert both.method == recipes.load(name.replace("moe_", "")).method
