"""The specs and layers of each detector, against hand counts and published sizes."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from unheard.detectors.detector import window_scores
from unheard.detectors.layers.max_feature_map import MaxFeatureMap
from unheard.detectors.lcnn import Lcnn
from unheard.detectors.resnet18 import BasicBlock, ResNet18
from unheard.detectors.toy import Toy
from unheard.errors import RecipeError


def n_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_max_feature_map_takes_the_larger_of_channel_k_and_k_plus_half() -> None:
    maps = torch.tensor([1.0, 5.0, 3.0, 2.0]).reshape(1, 4, 1, 1)
    assert MaxFeatureMap()(maps).flatten().tolist() == [3.0, 5.0]


def test_max_feature_map_gives_the_gradient_to_the_winner() -> None:
    maps = torch.tensor([[1.0, 5.0, 3.0, 2.0]], requires_grad=True)
    MaxFeatureMap()(maps).sum().backward()
    assert maps.grad is not None
    assert maps.grad.tolist() == [[0.0, 1.0, 1.0, 0.0]]


def test_lcnn_has_the_weights_of_the_published_layers() -> None:
    convolutions = [  # kernel side, in, out, of the source's nine layers
        (5, 1, 64), (1, 32, 64), (3, 32, 96), (1, 48, 96), (3, 48, 128),
        (1, 64, 128), (3, 64, 64), (1, 32, 64), (3, 32, 64),
    ]  # fmt: skip
    expected = sum(side**2 * n_in * n_out + n_out for side, n_in, n_out in convolutions)
    expected += 2 * 2 * (4 * 48 * (96 + 48) + 2 * 4 * 48)  # two layers, two directions, four gates
    expected += 96 + 1
    detector = Lcnn().build()
    assert n_parameters(detector) == expected
    assert not [
        module
        for module in detector.modules()
        if isinstance(module, nn.BatchNorm2d) and module.affine
    ]
    assert detector.embed(torch.zeros(1, 16_000)).shape == (1, 96)


def test_lcnn_embedding_is_the_mean_of_recurrent_output_plus_input() -> None:
    torch.manual_seed(0)
    detector: Any = Lcnn().build().eval()
    wave = 0.1 * torch.randn(2, 16_000)
    maps = detector.convolutions(detector.lfcc(detector.spectrogram(wave)).unsqueeze(1))
    assert maps.shape == (2, 32, 6, 3)  # 101 frames and 60 features, halved four times
    frames = maps.permute(0, 2, 1, 3).reshape(2, 6, 96)
    expected = (frames + detector.recurrent(frames)[0]).mean(dim=1)
    torch.testing.assert_close(detector.embed(wave), expected)


def test_resnet18_has_the_published_number_of_weights() -> None:
    published = 11_689_512 - (512 * 1000 + 1000)  # without the layer of 1000 classes
    one_channel = published - 2 * 64 * 7 * 7  # the stem sees one channel instead of three
    head = 512 * 128 + 128 + 128 + 1
    assert n_parameters(ResNet18().build()) == one_channel + head


def test_resnet18_maps_are_halved_as_in_the_source() -> None:
    detector: Any = ResNet18(width=4).build().eval()
    maps = detector.stem(torch.zeros(1, 1, 224, 224))
    assert maps.shape == (1, 4, 56, 56)
    shapes = []
    for block in detector.blocks:
        maps = block(maps)
        shapes.append(tuple(maps.shape[1:]))
    assert shapes[1::2] == [(4, 56, 56), (8, 28, 28), (16, 14, 14), (32, 7, 7)]


def test_inner_widths_change_only_what_lies_inside_the_blocks() -> None:
    inner = (5, 4, 8, 9, 16, 16, 40, 32)
    detector: Any = ResNet18(width=4, inner_widths=inner).build()
    assert [block.conv_in.out_channels for block in detector.blocks] == list(inner)
    assert [block.conv_out.out_channels for block in detector.blocks] == [
        4,
        4,
        8,
        8,
        16,
        16,
        32,
        32,
    ]
    assert detector.embed(torch.zeros(1, 8_000)).shape == (1, 128)


def test_no_inner_widths_are_the_widths_of_the_stages() -> None:
    explicit = ResNet18(width=4, inner_widths=(4, 4, 8, 8, 16, 16, 32, 32))
    torch.manual_seed(0)
    default = ResNet18(width=4).build().state_dict()
    torch.manual_seed(0)
    other = explicit.build().state_dict()
    assert default.keys() == other.keys()
    assert all(torch.equal(default[name], other[name]) for name in default)


def test_a_block_adds_its_input_to_its_convolutions() -> None:
    block = BasicBlock(3, 7, 3, stride=1).eval()
    nn.init.zeros_(block.conv_out.weight)
    maps = torch.rand(1, 3, 5, 5)
    torch.testing.assert_close(block(maps), maps)


@pytest.mark.parametrize(
    ("spec", "n_features"),
    [
        (ResNet18(width=1, n_mels=40), 40),
        (ResNet18(width=1, feature="linear", low_hz=0, high_hz=8000), 257),
        (ResNet18(width=1, feature="linear", n_fft=256, n_window=256, high_hz=4000), 64),
    ],
)
def test_resnet18_sees_the_feature_that_it_was_asked_for(spec: ResNet18, n_features: int) -> None:
    detector: Any = spec.build()
    assert detector.features(detector.spectrogram(torch.zeros(1, 1600))).shape == (
        1,
        11,
        n_features,
    )


def test_stem_3x3_keeps_the_resolution() -> None:
    detector: Any = ResNet18(width=2, stem="3x3").build()
    assert detector.stem(torch.zeros(1, 1, 30, 20)).shape == (1, 2, 30, 20)


def test_toy_calls_noise_bonafide_and_a_tone_spoof_without_training() -> None:
    detector = Toy().build().eval()
    time_s = np.arange(16_000) / 16_000
    noise = 0.1 * np.random.default_rng(0).standard_normal(16_000)
    tone = 0.5 * np.sin(2 * np.pi * 440 * time_s)
    scores = window_scores(detector, np.stack([noise, tone]).astype(np.float32))
    assert scores[0] > 0 > scores[1]


def test_toy_is_the_same_for_any_seed() -> None:
    torch.manual_seed(1)
    weights = Toy().build().state_dict()
    torch.manual_seed(2)
    other = Toy().build().state_dict()
    assert all(torch.equal(weights[name], other[name]) for name in weights)


def test_toy_learns_something_separable_in_seconds() -> None:
    rng = np.random.default_rng(0)
    noise = 0.1 * rng.standard_normal((32, 3_200))
    dull = noise.copy()
    dull[:, 1:] += 0.9 * noise[:, :-1]  # the same noise with its treble cut
    waveform = torch.from_numpy(np.concatenate([dull, noise]).astype(np.float32))
    bonafide = torch.tensor([1.0] * 32 + [0.0] * 32)  # the opposite of what flatness says
    detector = Toy().build()
    weights = list(detector.parameters())
    for _ in range(60):
        loss = nn.functional.binary_cross_entropy_with_logits(detector(waveform), bonafide)
        for weight, slope in zip(weights, torch.autograd.grad(loss, weights), strict=True):
            weight.data -= 2.0 * slope
    assert ((detector(waveform) > 0) == bonafide.bool()).all()


def test_scoring_leaves_the_number_of_threads_alone() -> None:
    before = torch.get_num_threads()
    window_scores(Toy().build().eval(), np.zeros((1, 3200), np.float32))
    assert torch.get_num_threads() == before


def test_no_windows_give_no_scores() -> None:
    scores = window_scores(Toy().build().eval(), np.zeros((0, 3200), np.float32))
    assert scores.shape == (0,)
    assert scores.dtype == np.float64


def test_read_only_windows_are_scored_without_a_warning() -> None:
    windows = np.ones((1, 3200), np.float32)
    windows.flags.writeable = False
    assert np.isfinite(window_scores(Toy().build().eval(), windows)).all()


@pytest.mark.parametrize(
    ("make", "remedy"),
    [
        (lambda: Lcnn(n_filters=5), "the network needs 6 or more"),
        (lambda: Lcnn(dropout=1.0), "choose a share from 0 up to below 1"),
        (lambda: Lcnn(band=2.0).build(), "choose a share of 8 kHz"),
        (lambda: ResNet18(feature="mell"), "did you mean 'mel'"),  # type: ignore[arg-type]
        (lambda: ResNet18(stem="7x"), "did you mean '7x7'"),  # type: ignore[arg-type]
        (lambda: ResNet18(inner_widths=(1, 2)), "give one for each of the 8 blocks"),
        (lambda: ResNet18(width=0), "choose 1 or more"),
        (lambda: ResNet18(inner_widths=(0,) * 8), "choose 1 or more"),
        (lambda: Toy(n_bands=0), "choose 1 to 64"),
    ],
)
def test_impossible_specs_say_what_to_do(make: object, remedy: str) -> None:
    with pytest.raises(RecipeError, match=remedy):
        make()  # type: ignore[operator]
