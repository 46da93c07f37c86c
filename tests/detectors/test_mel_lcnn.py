"""The mixture's light CNN: against its published layers, counted and computed by hand."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from unheard.detectors.lcnn import Lcnn
from unheard.detectors.mel_lcnn import MelLcnn
from unheard.errors import RecipeError

CONVOLUTIONS = [  # kernel side, in, out, and whether pooling and normalisation follow
    (5, 1, 64, "pool"),
    (1, 32, 64, "norm"),
    (3, 32, 96, "pool norm"),
    (1, 48, 96, "norm"),
    (3, 48, 128, "pool"),
    (1, 64, 128, "norm"),
    (3, 64, 64, "norm"),
    (1, 32, 64, "norm"),
    (3, 32, 64, ""),
]


def test_has_the_weights_of_the_published_layers() -> None:
    expected = sum(side**2 * n_in * n_out + n_out for side, n_in, n_out, _ in CONVOLUTIONS)
    expected += 2 * (32 + 48 + 48 + 64 + 32 + 32)  # scale and offset of each normalisation
    expected += 32 * 16 * 8 * 128 + 128 + 2 * 64 + 64 * 2 + 2
    n_weights = sum(weight.numel() for weight in MelLcnn().build().parameters())
    assert n_weights == expected == 682_690


def larger(x: Tensor) -> Tensor:
    half = x.shape[1] // 2
    return torch.maximum(x[:, :half], x[:, half:])


def log_mel(wave: Tensor) -> Tensor:
    """The source's front end from its definition, but for the edges; [B, T] -> [B, F, 80]."""
    emphasised = wave.numpy().astype(np.float64)
    emphasised[:, 1:] -= 0.97 * wave.numpy()[:, :-1]
    padded = np.pad(emphasised, ((0, 0), (256, 256)))
    window = np.zeros(512)
    window[56:456] = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(400) / 400)
    starts = range(0, padded.shape[1] - 511, 160)
    frames = np.stack([padded[:, start : start + 512] * window for start in starts], axis=1)
    power = np.abs(np.fft.rfft(frames)) ** 2

    def mel(hz: Any) -> Any:
        return 2595 * np.log10(1 + hz / 700)

    edges = 700 * (10 ** (np.linspace(mel(20.0), mel(7600.0), 82) / 2595) - 1)
    bins = np.linspace(0, 8000, 257)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    filters = np.clip(np.minimum(rising, falling), 0, None)
    logarithm = np.log(power @ filters + 1e-6)
    return torch.from_numpy(logarithm - logarithm.mean(axis=1, keepdims=True)).float()


def test_is_its_published_layers_in_their_order() -> None:
    torch.manual_seed(0)
    detector: Any = MelLcnn().build()
    waveform = 0.1 * torch.randn(3, 16_000)
    for parameter in detector.parameters():
        parameter.data += 0.02 * torch.randn_like(parameter)
    detector(waveform)  # moves the running statistics away from 0 and 1
    detector.eval()
    layers = [m for m in detector.convolutions if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
    maps = log_mel(waveform).unsqueeze(1)
    for side, _, _, then in CONVOLUTIONS:
        layer = layers.pop(0)
        maps = larger(functional.conv2d(maps, layer.weight, layer.bias, padding=side // 2))
        if "pool" in then:
            maps = functional.max_pool2d(maps, 2)
        if "norm" in then:
            maps = layers.pop(0)(maps)
    assert not layers
    assert maps.shape == (3, 32, 12, 10)  # 101 frames and 80 features, halved three times
    maps = functional.adaptive_max_pool2d(maps, (8, 16))
    linear = detector.embedding[0]
    embedding = larger(maps.reshape(3, -1) @ linear.weight.T + linear.bias)
    actual = detector.embed(waveform)
    torch.testing.assert_close(actual, embedding, rtol=1e-3, atol=1e-4)
    logits = detector.norm(embedding) @ detector.logits.weight.T + detector.logits.bias
    score = torch.log_softmax(logits, 1)[:, 1] - torch.log_softmax(logits, 1)[:, 0]
    torch.testing.assert_close(detector.classify(embedding), score, rtol=1e-4, atol=1e-5)


def test_shares_its_convolutions_with_lcnn_but_learns_its_normalisations() -> None:
    own = {name for name in MelLcnn().build().state_dict() if name.startswith("convolutions.")}
    others = {name for name in Lcnn().build().state_dict() if name.startswith("convolutions.")}
    affine = own - others
    assert others <= own
    assert len(affine) == 2 * 6
    assert {name.rsplit(".", 1)[1] for name in affine} == {"weight", "bias"}


def test_front_end_has_the_source_s_framing() -> None:
    detector: Any = MelLcnn().build()
    framing = detector.spectrogram.framing
    assert (framing.n_window, framing.n_hop, framing.n_fft) == (400, 160, 512)
    assert (framing.window, framing.pre_emphasis) == ("hamming", 0.97)


def test_too_few_features_are_refused() -> None:
    with pytest.raises(RecipeError, match="the network needs 8 or more"):
        MelLcnn(n_mels=7)
    assert MelLcnn(n_mels=8).build()(torch.randn(2, 1_120)).shape == (2,)
