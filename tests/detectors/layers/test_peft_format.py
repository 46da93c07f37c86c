"""Plain LoRA agrees with the peft library, in numbers and in files."""

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import torch as safetensors
from torch import nn

from tiny_encoders import build, inputs, layers, run
from unheard.detectors.layers.lora import LoraExperts, adapt, adapted
from unheard.detectors.layers.peft_format import from_peft, to_peft
from unheard.errors import BundleError, RecipeError

# peft asks transformers by a name that transformers has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")

PLAIN = LoraExperts(rank=3, alpha=5.0, projections=("q", "out", "ff_in"))
TARGETS = ["q_proj", "out_proj", "intermediate_dense"]


@pytest.fixture(scope="module")
def peft() -> Any:
    """The library, whose import takes seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import peft
    return peft


def ours(adapters: LoraExperts = PLAIN, *, seed: int = 3) -> Any:
    encoder = build("wav2vec2")
    adapt(layers(encoder), adapters)
    torch.manual_seed(seed)
    for part in adapted(encoder).values():
        nn.init.normal_(part.lora_up, std=0.3)
    return encoder


def theirs(peft: Any, folder: Path) -> Any:
    """A model that peft adapted, with random weights, saved in a folder."""
    config = peft.LoraConfig(r=3, lora_alpha=5, target_modules=TARGETS)
    model = peft.get_peft_model(build("wav2vec2"), config)
    torch.manual_seed(4)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    return model.eval()


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return to_peft(ours(), tmp_path / "adapter")


def edit(folder: Path, **fields: Any) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_what_peft_wrote_has_its_outputs_and_gradients_here(peft: Any, tmp_path: Path) -> None:
    model = theirs(peft, tmp_path)
    encoder = ours()
    from_peft(encoder, tmp_path)
    x = inputs(encoder)
    actual, wanted = run(encoder, x), run(model, x)
    torch.testing.assert_close(actual, wanted, rtol=1e-5, atol=1e-5)
    weights = torch.randn(actual.shape, generator=torch.Generator().manual_seed(6))
    (actual * weights).sum().backward()
    (wanted * weights).sum().backward()
    for name, part in adapted(encoder).items():
        layer = model.base_model.model.get_submodule(name)
        for own, other in ((part.lora_down, layer.lora_A), (part.lora_up, layer.lora_B)):
            gradient = other["default"].weight.grad
            assert gradient.any()
            assert own.grad is not None
            torch.testing.assert_close(own.grad[0], gradient, rtol=1e-4, atol=1e-4)


def test_what_is_written_here_has_its_outputs_in_peft(peft: Any, written: Path) -> None:
    encoder = ours()
    x = inputs(encoder)
    model = peft.PeftModel.from_pretrained(build("wav2vec2"), written).eval()
    torch.testing.assert_close(run(model, x), run(encoder, x), rtol=1e-5, atol=1e-5)


def test_fresh_adapters_are_as_large_as_those_of_peft(peft: Any) -> None:
    torch.manual_seed(0)
    config = peft.LoraConfig(r=64, target_modules=["0"])
    model = peft.get_peft_model(nn.Sequential(nn.Linear(300, 20)), config)
    down = model.base_model.model[0].lora_A["default"].weight
    own = adapted(ours(LoraExperts(rank=64)))
    limit = next(iter(own.values())).lora_down.abs().max().item() * 32**0.5
    assert limit == pytest.approx(down.abs().max().item() * 300**0.5, rel=0.01)


def test_one_expert_of_a_mixture_travels_alone(tmp_path: Path) -> None:
    mixture = ours(LoraExperts(rank=2, n_experts=3, n_active=2))
    plain = ours(LoraExperts(rank=2), seed=8)
    from_peft(plain, to_peft(mixture, tmp_path, expert=1))
    fresh = ours(LoraExperts(rank=2, n_experts=3, n_active=2), seed=9)
    from_peft(fresh, to_peft(plain, tmp_path), expert=2)
    for layer, same, copy in zip(
        *(adapted(model).values() for model in (mixture, plain, fresh)), strict=True
    ):
        assert torch.equal(layer.lora_up[1], same.lora_up[0])
        assert torch.equal(layer.lora_down[1], copy.lora_down[2])
        assert not torch.equal(layer.lora_up[0], copy.lora_up[0])


def test_files_of_one_module_fill_another(written: Path) -> None:
    encoder = ours(seed=7)
    x = inputs(encoder)
    from_peft(encoder, written)
    assert torch.equal(run(encoder, x), run(ours(), x))


@pytest.mark.parametrize(
    ("fields", "remedy"),
    [
        ({"use_dora": True}, "'use_dora' is True; only plain LoRA can be read"),
        ({"use_rslora": True}, "merge the adapter into its model"),
        ({"bias": "all"}, "'bias' is 'all'"),
        ({"init_lora_weights": "pissa"}, "'init_lora_weights' is 'pissa'"),
        ({"rank_pattern": {"q_proj": 4}}, "'rank_pattern'"),
        ({"some_later_idea": 3}, "'some_later_idea' is 3"),
        ({"peft_type": "IA3"}, "only LoRA can be read"),
    ],
)
def test_more_than_plain_lora_is_refused(
    written: Path, fields: dict[str, Any], remedy: str
) -> None:
    edit(written, **fields)
    with pytest.raises(BundleError, match=remedy):
        from_peft(ours(), written)


def test_another_rank_or_alpha_is_refused(written: Path) -> None:
    edit(written, lora_alpha=6)
    with pytest.raises(RecipeError, match="rank 3 and alpha 6, the module has rank 3 and alpha 5"):
        from_peft(ours(), written)


@pytest.mark.parametrize("projections", [("q", "out"), ("q", "out", "ff_in", "v")])
def test_other_places_are_refused_and_nothing_is_changed(
    written: Path, projections: tuple[str, ...]
) -> None:
    encoder = ours(LoraExperts(rank=3, alpha=5.0, projections=projections), seed=7)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    with pytest.raises(RecipeError, match="adapt the same projections and layers"):
        from_peft(encoder, written)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())


def test_values_that_are_not_finite_are_refused(written: Path) -> None:
    tensors = safetensors.load_file(written / "adapter_model.safetensors")
    next(iter(tensors.values()))[0, 0] = float("nan")
    safetensors.save_file(tensors, written / "adapter_model.safetensors")
    with pytest.raises(BundleError, match="not finite; get it again"):
        from_peft(ours(), written)


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
@pytest.mark.parametrize("content", [None, b"[", b"\xff\xfe"])
def test_missing_and_broken_files_are_refused(
    written: Path, name: str, content: bytes | None
) -> None:
    (written / name).unlink()
    if content is not None:
        (written / name).write_bytes(content)
    with pytest.raises(BundleError, match="give a folder that peft's save_pretrained wrote"):
        from_peft(ours(), written)


def test_what_cannot_be_written_says_why(tmp_path: Path) -> None:
    mixture = ours(LoraExperts(rank=2, n_experts=3, n_active=2))
    with pytest.raises(RecipeError, match="name one expert with expert=0"):
        to_peft(mixture, tmp_path)
    with pytest.raises(RecipeError, match="choose from 0 to 2"):
        to_peft(mixture, tmp_path, expert=3)
    with pytest.raises(RecipeError, match="call adapt on its layers first"):
        to_peft(build("wav2vec2"), tmp_path)
    uneven = build("wav2vec2")
    adapt(layers(uneven), LoraExperts(rank=2, projections=("q",)))
    adapt(layers(uneven), LoraExperts(rank=3, projections=("v",)))
    with pytest.raises(RecipeError, match="differ between layers"):
        to_peft(uneven, tmp_path)
