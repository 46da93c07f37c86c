"""The recurrent detector: every variant of it reads whole clips, and its layers may grow."""

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from unheard.detectors.detector import Detector, Resizable
from unheard.detectors.grnn import Grnn
from unheard.detectors.layers.growth import grow, remove, size
from unheard.errors import RecipeError

SMALL = Grnn(n_filters=6, n_mels=12, channels=4, hidden=(5, 3), embedding=4)
CHOICES: dict[str, tuple[Any, ...]] = {
    "cell": ("gru", "lstm"),
    "pooling": ("attentive", "statistics"),
    "bidirectional": (True, False),
}
VARIANTS = [
    replace(SMALL, **dict(zip(CHOICES, values, strict=True)))
    for values in product(*CHOICES.values())
]
every_variant = pytest.mark.parametrize(
    "spec", VARIANTS, ids=lambda spec: f"{spec.cell}-{spec.pooling}-{spec.bidirectional}"
)


def noise(n_clips: int = 3, n_samples: int = 8_000) -> Tensor:
    samples = 0.1 * np.random.default_rng(5).standard_normal((n_clips, n_samples))
    return torch.from_numpy(samples.astype(np.float32))


def built(spec: Grnn) -> Detector:
    torch.manual_seed(1)
    detector = spec.build()
    detector(noise(8))  # running statistics are no longer those of a fresh one
    return detector.eval()


@every_variant
def test_preserving_growth_of_every_layer_leaves_scores_as_they_were(spec: Grnn) -> None:
    detector = built(spec)
    with torch.inference_mode():
        before = detector(noise())
    for width in detector.widths().values():
        grow(detector, width, 2, "preserving")
    with torch.inference_mode():
        assert torch.allclose(detector(noise()), before, rtol=0, atol=1e-6)
    assert [size(detector, width) for width in detector.widths().values()] == [7, 5]


@every_variant
def test_a_grown_and_pruned_network_is_what_its_spec_builds(spec: Grnn) -> None:
    detector = built(spec)
    first, second = detector.widths().values()
    grow(detector, first, 3, "kaiming")
    remove(detector, second, [1])
    grown = spec.with_widths({name: size(detector, w) for name, w in detector.widths().items()})
    assert grown.hidden == (8, 2)
    again = grown.build()
    again.load_state_dict(detector.state_dict())
    with torch.inference_mode():
        assert torch.equal(again.eval()(noise()), detector(noise()))


def test_new_units_of_both_directions_are_read_once_they_have_learnt() -> None:
    detector = built(SMALL)
    grow(detector, detector.widths()["recurrent.1"], 1, "preserving")
    detector.train()(noise()).sum().backward()
    slope = detector.get_submodule("embedding").weight.grad
    assert isinstance(slope, Tensor)
    by_unit = slope.unflatten(1, (2 * 2, 4))  # statistic and direction, unit
    assert (by_unit[:, :, 3].abs().amax(dim=0) > 0).all()


@pytest.mark.parametrize("feature", ["lfcc", "mel"])
@pytest.mark.parametrize("n_halvings", [0, 1, 3])
def test_any_number_of_halvings_covers_all_of_a_clip(feature: Any, n_halvings: int) -> None:
    detector = built(replace(SMALL, feature=feature, n_halvings=n_halvings))
    clip = noise(1, 16_000)
    with torch.inference_mode():
        whole = detector(clip)
        for place in (slice(0, 3_000), slice(7_000, 10_000), slice(13_000, 16_000)):
            silenced = clip.clone()
            silenced[:, place] = 0
            assert (detector(silenced) - whole).abs() > 1e-6


def test_halvings_shorten_what_the_recurrent_layers_read() -> None:
    lengths = []
    for n_halvings in (0, 2):
        detector = built(replace(SMALL, n_halvings=n_halvings))
        frames: list[int] = []
        detector.get_submodule("recurrent.0").register_forward_hook(
            lambda _, given, __, frames=frames: frames.append(given[0].shape[1])
        )
        detector(noise(1, 16_000))
        lengths += frames
    assert lengths == [101, 26]


def test_one_direction_knows_nothing_of_later_frames() -> None:
    clip = noise(1, 16_000)
    later = clip.clone()
    later[:, 12_000:] = 0
    for bidirectional in (True, False):
        detector = built(replace(SMALL, bidirectional=bidirectional, hidden=(5,), n_halvings=0))
        layer = detector.get_submodule("recurrent.0")
        early: list[Tensor] = []
        layer.register_forward_hook(lambda _, __, out, early=early: early.append(out[0][:, :60]))
        with torch.inference_mode():
            detector(clip)
            detector(later)
        whole, cut = early
        assert torch.allclose(whole, cut, rtol=0, atol=1e-6) != bidirectional


def test_attention_can_leave_frames_out() -> None:
    detector: Any = built(replace(SMALL, pooling="attentive"))
    frames = torch.full((1, 4, 6), 0.1)
    frames[0, 2] = 1.0
    with torch.inference_mode():
        detector.get_submodule("attention").weight.fill_(100.0)
        assert torch.allclose(detector._pooled(frames), frames[:, 2])


def test_its_spec_can_be_resized_one_layer_at_a_time() -> None:
    assert isinstance(SMALL, Resizable)
    assert SMALL.with_widths({"recurrent.1": 9}).hidden == (5, 9)
    with pytest.raises(RecipeError, match=r"did you mean 'recurrent\.1'"):
        SMALL.with_widths({"recurrent.11": 9})


@pytest.mark.parametrize(
    ("field", "value", "remedy"),
    [
        ("cell", "gur", "did you mean 'gru'"),
        ("feature", "mfcc", "did you mean 'lfcc'"),
        ("pooling", "mean", "attentive"),
        ("hidden", (), "one recurrent layer at least"),
        ("hidden", (4, 0), "choose 1 or more"),
        ("channels", 0, "choose 1 or more"),
        ("n_halvings", -1, "choose 0 or more"),
        ("dropout", 1.0, "choose a share"),
    ],
)
def test_impossible_numbers_are_refused_at_once(field: str, value: Any, remedy: str) -> None:
    with pytest.raises(RecipeError, match=remedy):
        replace(SMALL, **{field: value})
