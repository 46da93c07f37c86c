"""The speaker network: equal to its published form, batch norms and pooled contexts written out."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from torch import Tensor
from torch.nn import functional as f

from unheard.corpora.open.encoders import _speaker_network
from unheard.detectors.layers.speaker import SpeakerStages
from unheard.errors import RecipeError

Published = dict[str, Tensor]

NORM = ("weight", "bias", "running_mean", "running_var")
DENSE = {1: (128, 12, 1), 2: (256, 24, 2), 3: (512, 16, 2)}
"""Of each dense block: features that enter, layers, dilation."""


def waves(n_samples: int) -> Tensor:
    rng = np.random.default_rng(2)
    return torch.from_numpy(0.1 * rng.standard_normal((2, n_samples)).astype(np.float32))


@pytest.fixture(scope="module")
def published() -> Published:
    """Random weights under the names and in the shapes of the published file, pooling included."""
    generator = torch.Generator().manual_seed(4)
    weights: Published = {}

    def conv(name: str, *shape: int) -> None:
        spread = (2 / np.prod(shape[1:])) ** 0.5
        weights[f"{name}.weight"] = spread * torch.randn(shape, generator=generator)

    def norm(name: str, n: int) -> None:
        for kind in NORM:
            weights[f"{name}.{kind}"] = 0.5 + torch.rand(n, generator=generator)
        weights[f"{name}.num_batches_tracked"] = torch.tensor(7)

    for number, n_in in ((1, 1), (2, 32)):
        conv(f"head.conv{number}", 32, n_in, 3, 3)
        norm(f"head.bn{number}", 32)
    for block in ("layer1.0", "layer1.1", "layer2.0", "layer2.1"):
        for number in (1, 2):
            conv(f"head.{block}.conv{number}", 32, 32, 3, 3)
            norm(f"head.{block}.bn{number}", 32)
        if block.endswith("0"):
            conv(f"head.{block}.shortcut.0", 32, 32, 1, 1)
            norm(f"head.{block}.shortcut.1", 32)
    conv("xvector.tdnn.linear", 128, 320, 5)
    norm("xvector.tdnn.nonlinear.batchnorm", 128)
    for stage, (n_in, n_layers, _) in DENSE.items():
        for number in range(n_layers):
            layer = f"xvector.block{stage}.tdnnd{number + 1}"
            norm(f"{layer}.nonlinear1.batchnorm", n_in + 32 * number)
            conv(f"{layer}.linear1", 128, n_in + 32 * number, 1)
            norm(f"{layer}.nonlinear2.batchnorm", 128)
            conv(f"{layer}.cam_layer.linear_local", 32, 128, 3)
            for name, n_out, n_from in (("linear1", 64, 128), ("linear2", 32, 64)):
                conv(f"{layer}.cam_layer.{name}", n_out, n_from, 1)
                weights[f"{layer}.cam_layer.{name}.bias"] = torch.randn(n_out, generator=generator)
        n_out = n_in + 32 * n_layers
        norm(f"xvector.transit{stage}.nonlinear.batchnorm", n_out)
        conv(f"xvector.transit{stage}.linear", n_out // 2, n_out, 1)
    return weights


def by_the_paper(weights: Published, level: Tensor) -> list[Tensor]:
    """Return the six stages from log levels [B, K, F], each step as the paper writes it."""

    def norm(x: Tensor, name: str) -> Tensor:
        weight, bias, mean, variance = (weights[f"{name}.{kind}"] for kind in NORM)
        return f.batch_norm(x, mean, variance, weight, bias)

    def residual(x: Tensor, name: str, stride: int) -> Tensor:
        y = f.conv2d(x, weights[f"{name}.conv1.weight"], stride=(stride, 1), padding=1)
        y = f.conv2d(norm(y, f"{name}.bn1").relu(), weights[f"{name}.conv2.weight"], padding=1)
        if stride == 2:
            x = f.conv2d(x, weights[f"{name}.shortcut.0.weight"], stride=(2, 1))
            x = norm(x, f"{name}.shortcut.1")
        return (norm(y, f"{name}.bn2") + x).relu()

    def dense(x: Tensor, name: str, dilation: int) -> Tensor:
        y = f.conv1d(
            norm(x, f"{name}.nonlinear1.batchnorm").relu(), weights[f"{name}.linear1.weight"]
        )
        y = norm(y, f"{name}.nonlinear2.batchnorm").relu()
        cam = f"{name}.cam_layer"
        local = f.conv1d(
            y, weights[f"{cam}.linear_local.weight"], padding=dilation, dilation=dilation
        )
        pooled = f.avg_pool1d(y, 100, 100, ceil_mode=True).repeat_interleave(100, dim=2)
        context = y.mean(dim=2, keepdim=True) + pooled[:, :, : y.shape[2]]
        for number, last in ((1, torch.relu), (2, torch.sigmoid)):
            weight, bias = (weights[f"{cam}.linear{number}.{kind}"] for kind in ("weight", "bias"))
            context = last(f.conv1d(context, weight, bias))
        return torch.cat([x, local * context], dim=1)

    x = f.conv2d(
        (level - level.mean(2, keepdim=True))[:, None], weights["head.conv1.weight"], padding=1
    )
    stages = [norm(x, "head.bn1").relu()]
    for layer in ("head.layer1", "head.layer2"):
        stages.append(residual(residual(stages[-1], f"{layer}.0", 2), f"{layer}.1", 1))
    x = f.conv2d(stages[-1], weights["head.conv2.weight"], stride=(2, 1), padding=1)
    stages = [stage.flatten(1, 2) for stage in (*stages[1:], norm(x, "head.bn2").relu())]
    x = f.conv1d(stages[-1], weights["xvector.tdnn.linear.weight"], stride=2, padding=2)
    x = norm(x, "xvector.tdnn.nonlinear.batchnorm").relu()
    for stage, (_, n_layers, dilation) in DENSE.items():
        for number in range(n_layers):
            x = dense(x, f"xvector.block{stage}.tdnnd{number + 1}", dilation)
        stages.append(x)
        transit = f"xvector.transit{stage}"
        x = norm(x, f"{transit}.nonlinear.batchnorm").relu()
        x = f.conv1d(x, weights[f"{transit}.linear.weight"])
    return [stage.transpose(1, 2) for stage in stages]


def unpacked(published: Published) -> dict[str, np.ndarray]:
    """Return what `unheard encoder` makes of a file of the package's layout."""
    file = io.BytesIO()
    torch.save(published, file)
    tensors, config = _speaker_network(file.getvalue())
    assert config == {"model_type": "campplus"}
    return tensors


@pytest.mark.parametrize("n_samples", [48_000, 12_345])
def test_stages_are_those_of_the_published_form(
    published: Published, tmp_path: Path, n_samples: int
) -> None:
    save_file(unpacked(published), tmp_path / "model.safetensors")
    network = SpeakerStages().eval()
    network.load_state_dict(network.pretrained(str(tmp_path)), strict=True)
    with torch.inference_mode():
        found = network(waves(n_samples))
        expected = by_the_paper(published, network.bands.levels(waves(n_samples)))
    assert tuple(stage.shape[2] for stage in found) == network.n_features
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3 * float(theirs.abs().max()))


def test_levels_are_kaldi_s_on_samples_in_unit_scale() -> None:
    """Frames of 25 ms: mean taken away, pre-emphasis, Povey window, triangles on the mel scale."""
    wave = waves(800)[0].double().numpy()
    frames = np.stack([wave[start : start + 400] for start in (0, 160, 320)])
    frames -= frames.mean(axis=1, keepdims=True)
    frames -= 0.97 * np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    povey = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 399)) ** 0.85
    power = np.abs(np.fft.rfft(frames * povey, 512)) ** 2
    mel = 1127 * np.log1p(np.arange(257) * 16_000 / 512 / 700)
    edges = np.linspace(1127 * np.log1p(20 / 700), 1127 * np.log1p(8_000 / 700), 82)[:, None]
    up = (mel - edges[:-2]) / (edges[1:-1] - edges[:-2])
    down = (edges[2:] - mel) / (edges[2:] - edges[1:-1])
    expected = np.log(np.maximum(power @ np.minimum(up, down).clip(0).T, 2.0**-23)).T
    found = SpeakerStages().bands.levels(waves(800))[0]
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-3)


def test_the_level_of_a_clip_changes_nothing() -> None:
    network = SpeakerStages().eval()
    with torch.inference_mode():
        for loud, soft in zip(network(waves(8_000)), network(0.5 * waves(8_000)), strict=True):
            torch.testing.assert_close(loud, soft, rtol=1e-3, atol=1e-4)


def test_silence_and_the_shortest_clip_give_numbers() -> None:
    network = SpeakerStages().eval()
    with torch.inference_mode():
        for wave in (torch.zeros(1, 8_000), waves(network.shortest)):
            assert all(stage.isfinite().all() for stage in network(wave))


def test_without_weights_the_error_names_the_command() -> None:
    with pytest.raises(RecipeError, match="unheard encoder nowhere"):
        SpeakerStages().pretrained("nowhere")
