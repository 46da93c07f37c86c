"""Dropin and plasticity: when networks change, what is held, what goes, and resuming to the bit."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, distributed, nn

from interruption import Interrupted, interrupt_before
from small_detectors import SMALL, TINY_ENCODER
from synthetic_corpus import corpus
from unheard.data.batches import Balanced, Batch, BatchSource, total
from unheard.data.clip import Manifest
from unheard.detectors.bundle import load, read_card
from unheard.detectors.detector import Detector, Spec, outputs
from unheard.detectors.layers.growth import size
from unheard.detectors.layers.lora import LoraExperts
from unheard.detectors.ssl_aasist import SslAasist
from unheard.errors import RecipeError, TrainingError
from unheard.training.loop import train
from unheard.training.method import Method, Moments, Progress
from unheard.training.objectives import WeightedCrossEntropy
from unheard.training.plasticity import Plasticity
from unheard.training.recipe import Adam, Budget, Recipe
from unheard.training.supervised import Supervised

DROPIN = Plasticity(n_growths=1, first=0.25, grow=0.5, remove=0.0)
CYCLE = Plasticity(n_growths=2, first=0.25, every=0.25, grow=0.5, remove_after=0.125)
"""Of 8 steps: grow after 2, remove after 3, grow after 4, remove after 5."""
SLOW = replace(CYCLE, remove_after=0.25)
"""Of 8 steps: grow after 2, remove and grow after 4, remove after 6; scores are of two steps."""

LORA = SslAasist(
    encoder=TINY_ENCODER, adapters=LoraExperts(rank=2, projections=("q", "v", "ff_in"))
)
RUNS: dict[str, tuple[Method, Spec]] = {
    "dropin, new units alone": (replace(DROPIN, train="new", init="kaiming"), SMALL["grnn"]),
    "plasticity by taylor, copies": (replace(SLOW, init="copy", noise=0.1), SMALL["grnn"]),
    "plasticity by activation": (
        replace(SLOW, score="activation", layers=("blocks.7", "blocks.2")),
        SMALL["resnet18"],
    ),
    "adapters, taylor": (SLOW, LORA),
}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return corpus(tmp_path_factory.mktemp("corpus"), duration_s=0.6)


@pytest.fixture(scope="module")
def batch(manifest: Manifest) -> Batch:
    return BatchSource(
        manifest.part("train"), Balanced(batch_clips=8), window_s=0.5, seed=0, augment=None
    )[0]


def recipe(method: Method, detector: Spec) -> Recipe:
    return Recipe(
        name="small",
        detector=detector,
        method=method,
        sampler=Balanced(batch_clips=4),
        budget=Budget(n_steps=8, eval_every=1, log_every=1, dev_clips=4, batches_per_step=2),
        window_s=0.5,
        hop_s=0.5,
    )


def last(run: Path, kind: str) -> dict[str, Tensor]:
    """Return the tensors of the only checkpoint that is left, the last."""
    (step,) = (run / "checkpoints").iterdir()
    return load_file(step / f"{kind}.safetensors")


def log(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("name", RUNS)
def test_checkpoints_before_between_and_after_changes_resume_to_the_bit(
    name: str, manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = recipe(*RUNS[name])
    train(run, manifest, tmp_path / "whole")
    after = (3, 5) if name.startswith("adapters") else (1, 2, 3, 5)
    stops = [2 * n_steps + 1 for n_steps in after]  # in a step, after as many whole ones
    interrupt_before(stops, monkeypatch)
    for _ in after:
        with pytest.raises(Interrupted):
            train(run, manifest, tmp_path / "stopped")
    train(run, manifest, tmp_path / "stopped")
    for kind in sorted(
        path.stem for path in next((tmp_path / "whole/checkpoints").iterdir()).glob("*.safetensors")
    ):
        tensors, others = last(tmp_path / "whole", kind), last(tmp_path / "stopped", kind)
        assert tensors.keys() == others.keys()
        assert all(torch.equal(value, others[key]) for key, value in tensors.items()), kind
    assert log(tmp_path / "whole") == log(tmp_path / "stopped")
    load(tmp_path / "whole" / "bundle")


def test_without_growth_it_is_supervised_training(manifest: Manifest, tmp_path: Path) -> None:
    runs = {}
    for name, method in (("none", Plasticity(n_growths=0)), ("supervised", Supervised())):
        train(recipe(method, SMALL["resnet18"]), manifest, tmp_path / name)
        runs[name] = log(tmp_path / name), load_file(tmp_path / name / "bundle/weights.safetensors")
    assert runs["none"][0] == runs["supervised"][0]
    for name, value in runs["supervised"][1].items():
        assert torch.equal(runs["none"][1][name], value)


def test_until_it_grows_it_is_supervised_training(manifest: Manifest, tmp_path: Path) -> None:
    for name, method in (("late", replace(DROPIN, first=0.9)), ("supervised", Supervised())):
        train(recipe(method, SMALL["grnn"]), manifest, tmp_path / name)
    for line, other in zip(log(tmp_path / "late")[:6], log(tmp_path / "supervised"), strict=False):
        assert {name: value for name, value in line.items() if "_width" not in name} == other


def test_the_log_records_the_widths_and_the_card_the_last_of_them(
    manifest: Manifest, tmp_path: Path
) -> None:
    run = recipe(replace(CYCLE, remove=0.5, grow=1.0), SMALL["grnn"])
    bundle_folder = train(run, manifest, tmp_path / "run")
    widths = [line["_width recurrent.0"] for line in log(tmp_path / "run")]
    assert widths == [4, 4, 8, 6, 12, 9, 9, 9]  # as each step found them
    best = int(str(read_card(bundle_folder).provenance.notes["best_step"]))
    after = [4, 8, 6, 12, 9, 9, 9, 9]
    detector: Any = load(bundle_folder).detector
    assert detector.recurrent[0].hidden_size == after[best - 1]


def stepped(method: Plasticity, spec: Spec, batch: Batch, n_steps: int, until: int) -> Detector:
    """Return a model after some of the steps of a run, as the loop makes them."""
    torch.manual_seed(0)
    model = method.prepare(spec.build()).train()
    moments: Moments = {}
    for step in range(1, until + 1):
        optimizer = Adam(weight_decay=0.1).build(model)
        for name, parameter in model.named_parameters():
            if name in moments:
                optimizer.state[parameter] = moments[name]
        for group in optimizer.param_groups:
            group["lr"] = 0.01
        optimizer.zero_grad()
        method.gradients(model, batch, WeightedCrossEntropy())
        optimizer.step()
        moments = {
            name: dict(optimizer.state[parameter])
            for name, parameter in model.named_parameters()
            if parameter in optimizer.state
        }
        method.after_step(model, Progress(step, n_steps, moments))
    assert isinstance(model, Detector)
    return model


def parameters(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


@pytest.mark.parametrize("score", ["magnitude", "taylor"])
def test_new_units_alone_are_trained_to_the_bit(score: Any, batch: Batch) -> None:
    method = replace(CYCLE, n_growths=1, train="new", score=score, layers=("recurrent.0",))
    spec = SMALL["grnn"]
    before = parameters(stepped(method, spec, batch, 8, 2))  # has just grown, from 4 to 6
    after = parameters(stepped(replace(method, remove=0.0), spec, batch, 8, 6))
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    connected = {name for name in before if name.startswith("recurrent.0")}
    connected |= {"recurrent.1.weight_ih_l0", "recurrent.1.weight_ih_l0_reverse"}
    assert moved == connected
    for name in connected:
        new = torch.zeros_like(before[name], dtype=torch.bool)
        if name.startswith("recurrent.0"):
            new.view(3, 6, -1)[:, 4:] = True
            if "weight_hh" in name:
                new[:, 4:] = True
        else:
            new.view(9, 2, 6)[:, :, 4:] = True
        assert torch.equal(after[name][~new], before[name][~new]), name
        assert (after[name][new] != before[name][new]).all(), name


def test_a_run_without_a_unit_left_to_train_ends_with_the_reason(batch: Batch) -> None:
    method = replace(
        CYCLE, n_growths=1, train="new", score="magnitude", init="preserving", grow=0.25
    )
    with pytest.raises(TrainingError, match="no new unit is left to train"):
        stepped(replace(method, layers=("recurrent.0",)), SMALL["grnn"], batch, 8, 6)


@pytest.mark.parametrize("method", [DROPIN, replace(DROPIN, remove=1.0, remove_after=0.7)])
def test_next_to_adapters_old_units_of_a_frozen_encoder_are_kept(
    method: Plasticity, batch: Batch
) -> None:
    started, before, after = (parameters(stepped(method, LORA, batch, 8, n)) for n in (0, 2, 6))
    part = "encoder.model.encoder.layers.1.feed_forward"
    for name, new in (
        (f"{part}.intermediate_dense.weight", after[f"{part}.intermediate_dense.weight"][24:]),
        (f"{part}.output_dense.weight", after[f"{part}.output_dense.weight"][:, 24:]),
    ):
        old = started[name]
        assert torch.equal(after[name][: len(old), : old.shape[1]], old)
        grown = before[name][24:] if "intermediate" in name else before[name][:, 24:]
        assert (new != grown).all()
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert f"{part}.intermediate_dense.lora_up" in moved
    assert "back_end.projection.weight" in moved
    assert not [name for name in moved if name.startswith("encoder") and "layer_norm" in name]
    assert f"{part}.output_dense.bias" not in moved


def test_gradients_of_kept_entries_count_in_the_norm_only_while_taylor_scores_are_gathered(
    batch: Batch,
) -> None:
    name = "encoder.model.encoder.layers.1.feed_forward.output_dense.weight"
    score: Any
    for score, counts in (("taylor", True), ("magnitude", False)):
        method = replace(CYCLE, score=score)
        model = stepped(method, LORA, batch, 8, 2)
        model.zero_grad()
        method.gradients(model, batch, WeightedCrossEntropy())
        gradient = model.get_parameter(name).grad
        assert gradient is not None
        assert bool(gradient[:, :24].any()) is counts
        assert gradient[:, 24:].any()


def removed(method: Plasticity, batch: Batch, weigh: Any) -> tuple[list[int], Tensor]:
    """Return which of block 7's units went, and the score that was worked out by hand."""
    method = replace(method, layers=("blocks.7",), n_growths=1)
    spec = SMALL["resnet18"]
    model: Any = stepped(method, spec, batch, 8, 2)
    by_hand = weigh(model)
    full = model.blocks[7].conv_in.weight.detach().clone()
    torch.manual_seed(9)
    method.after_step(model, Progress(3, 8, {}))
    kept = {tuple(row.flatten().tolist()) for row in model.blocks[7].conv_in.weight}
    rows = [tuple(row.flatten().tolist()) for row in full]
    return [number for number, row in enumerate(rows) if row not in kept], by_hand


def lowest(score: Tensor, n: int) -> list[int]:
    return sorted(score.argsort()[:n].tolist())


def test_the_smallest_weights_go_by_magnitude(batch: Batch) -> None:
    def weigh(model: Any) -> Tensor:
        block = model.blocks[7]
        rows = block.conv_in.weight.detach().abs().sum(dim=(1, 2, 3))
        return rows + block.conv_out.weight.detach().abs().sum(dim=(0, 2, 3))

    gone, score = removed(replace(CYCLE, score="magnitude"), batch, weigh)
    assert gone == lowest(score, 8)
    assert len(score) == 24


def test_the_smallest_products_with_the_gradient_go_by_taylor(batch: Batch) -> None:
    method = replace(CYCLE, score="taylor")

    def weigh(model: Any) -> Tensor:
        model.zero_grad()
        replace(method, layers=("blocks.7",)).gradients(model, batch, WeightedCrossEntropy())
        into, out = model.blocks[7].conv_in.weight, model.blocks[7].conv_out.weight
        rows = (into * into.grad).abs().sum(dim=(1, 2, 3))
        return (rows + (out * out.grad).abs().sum(dim=(0, 2, 3))).detach()

    gone, score = removed(method, batch, weigh)
    assert gone == lowest(score, 8)


def test_the_quietest_and_least_read_go_by_activation(batch: Batch) -> None:
    method = replace(CYCLE, score="activation", init="kaiming")

    def weigh(model: Any) -> Tensor:
        inputs_seen: list[Tensor] = []
        block = model.blocks[7]
        listener = block.conv_out.register_forward_hook(
            lambda module, inputs, output: inputs_seen.append(inputs[0].detach())
        )
        replace(method, layers=("blocks.7",)).gradients(model, batch, WeightedCrossEntropy())
        listener.remove()
        size_of = inputs_seen[0].abs().mean(dim=(0, 2, 3))
        return size_of * block.conv_out.weight.detach().square().sum(dim=(0, 2, 3)).sqrt()

    gone, score = removed(method, batch, weigh)
    assert gone == lowest(score, 8)


def test_random_removal_is_drawn_anew(batch: Batch) -> None:
    gone, _ = removed(replace(CYCLE, score="random"), batch, lambda model: None)
    torch.manual_seed(9)
    assert gone == sorted(torch.rand(24).argsort()[:8].tolist())


def test_activations_of_recurrent_units_are_those_of_both_directions(batch: Batch) -> None:
    method = replace(CYCLE, score="activation", layers=("recurrent.0",))
    model: Any = stepped(method, SMALL["grnn"], batch, 8, 2)
    inputs_seen: list[Tensor] = []
    model.recurrent[1].register_forward_hook(
        lambda m, inputs, y: inputs_seen.append(inputs[0].detach())
    )
    method.gradients(model, batch, WeightedCrossEntropy())
    (state,) = model.plasticity.parts
    mean = inputs_seen[0].abs().mean(dim=(0, 1))
    torch.testing.assert_close(state.importance, (mean[:6] + mean[6:]) / 2)


@pytest.mark.parametrize("score", ["taylor", "activation"])
def test_scores_start_anew_with_each_growth(score: Any, batch: Batch) -> None:
    method = replace(CYCLE, score=score)
    for until in (1, 2, 4):
        model: Any = stepped(method, SMALL["grnn"], batch, 8, until)
        assert not any(part.importance.any() for part in model.plasticity)
    model = stepped(replace(SLOW, score=score), SMALL["grnn"], batch, 8, 3)
    assert all(bool((part.importance > 0).any()) for part in model.plasticity)


def test_at_least_one_unit_stays(batch: Batch) -> None:
    method = replace(CYCLE, n_growths=1, remove=100.0)
    model = stepped(method, SMALL["grnn"], batch, 8, 3)
    assert [size(model, width) for width in model.widths().values()] == [1, 1]


def test_moments_go_where_their_entries_go(batch: Batch) -> None:
    method = replace(CYCLE, layers=("recurrent.1",), score="magnitude")
    model = stepped(method, SMALL["grnn"], batch, 8, 1)
    bias = "recurrent.1.bias_ih_l0"
    known: Moments = {
        bias: {"exp_avg": torch.arange(9.0) + 1, "step": torch.tensor(7.0)},
        "score.bias": {"exp_avg": torch.ones(1)},
    }
    assert method.after_step(model, Progress(2, 8, known))  # from 3 units to 5
    assert known[bias]["exp_avg"].tolist() == [1, 2, 3, 0, 0, 4, 5, 6, 0, 0, 7, 8, 9, 0, 0]
    with torch.no_grad():
        model.get_parameter("embedding.weight").view(4, 4, 5)[..., 1:3] *= 1e-6
        for way in ("", "_reverse"):
            for name in ("weight_ih", "weight_hh"):
                weight = model.get_parameter(f"recurrent.1.{name}_l0{way}")
                weight.view(3, 5, -1)[:, 1:3] *= 1e-6
    assert method.after_step(model, Progress(3, 8, known))
    assert known[bias]["exp_avg"].tolist() == [1, 0, 0, 4, 0, 0, 7, 0, 0]
    assert known[bias]["step"] == 7
    assert known["score.bias"]["exp_avg"].tolist() == [1]


def test_a_prepared_model_stays_a_detector_and_is_finished_without_a_trace(batch: Batch) -> None:
    model = stepped(CYCLE, SMALL["resnet18"], batch, 8, 4)
    built = CYCLE.spec(model, SMALL["resnet18"]).build()
    finished = CYCLE.finish(model)
    assert finished.state_dict().keys() == built.state_dict().keys()
    built.load_state_dict(finished.state_dict())
    assert repr(built) == repr(finished)


def test_terms_carry_no_graph_that_the_gradient_needs_again(batch: Batch) -> None:
    method = replace(DROPIN, train="new")
    model = stepped(method, SMALL["grnn"], batch, 8, 2)
    terms = method.gradients(model, batch, WeightedCrossEntropy())
    wanted = WeightedCrossEntropy()(outputs(model, batch.waveform), batch)
    assert list(terms) == [*wanted, "_width recurrent.0", "_width recurrent.1"]
    assert total(terms).item() > 0


def test_changes_come_at_shares_of_the_run() -> None:
    assert CYCLE.changes(8) == [(2, "grow"), (3, "remove"), (4, "grow"), (5, "remove")]
    assert DROPIN.changes(1000) == [(250, "grow")]
    assert Plasticity().changes(100) == [(30, "grow"), (50, "remove"), (60, "grow"), (80, "remove")]
    at_once = Plasticity(n_growths=2, first=0.1, every=0.4, remove_after=0.4)
    assert at_once.changes(10) == [(1, "grow"), (5, "remove"), (5, "grow"), (9, "remove")]
    assert Plasticity(n_growths=0).changes(10) == []


@pytest.mark.parametrize("method", [CYCLE, replace(DROPIN, n_growths=2, every=0.2)])
def test_a_run_too_short_for_its_changes_is_refused(method: Plasticity) -> None:
    with pytest.raises(RecipeError, match=r"of 2 steps none is left .* raise budget.n_steps"):
        method.changes(2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"init": "zero"}, r"method.init cannot be 'zero'; known: copy, kaiming"),
        ({"train": "old"}, r"method.train cannot be 'old'.*new"),
        ({"score": "taylr"}, r"method.score cannot be 'taylr'; did you mean 'taylor'"),
        ({"grow": 0.0}, r"method.grow is 0; give more than 0, or n_growths=0"),
        ({"remove": -1.0}, r"method.remove is -1; give 0 or more"),
        ({"remove_after": 0.35}, r"again before the removal; set remove_after to every or less"),
        ({"first": 0.6}, r"after 1.1 of the run.*lower method.first"),
    ],
)
def test_impossible_values_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Plasticity(**changes)


def test_what_has_no_such_width_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"Toy.* has no width that could change; choose"):
        Plasticity().prepare(SMALL["toy"].build())
    with pytest.raises(RecipeError, match=r"no width 'blocks.9'; did you mean 'blocks.7'"):
        Plasticity(layers=("blocks.9",)).prepare(SMALL["resnet18"].build())


def test_processes_do_not_share_activations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    detector = SMALL["grnn"].build()
    with pytest.raises(RecipeError, match=r"set method.score=taylor, or train in one process"):
        replace(CYCLE, score="activation").prepare(detector)
    replace(DROPIN, score="activation").prepare(detector)
