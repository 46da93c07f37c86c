"""Are the networks of vocoders the ones of their papers?"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from unheard.attacks import nsf, nsf_network
from unheard.attacks.cargan_network import CarganNetwork, CarganShape
from unheard.attacks.hifi_gan_network import HifiGanNetwork, HifiGanShape
from unheard.attacks.nsf_network import NsfKind, NsfNetwork
from unheard.attacks.parallel_wavegan_network import (
    ParallelWaveGanNetwork,
    ParallelWaveGanShape,
    renamed,
)

RATE_HZ = 16_000


def test_hifi_gan_is_that_of_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.SpeechT5HifiGanConfig(
        model_in_dim=80,
        upsample_initial_channel=16,
        upsample_rates=[8, 8, 2, 2],
        upsample_kernel_sizes=[16, 16, 4, 4],
        normalize_before=False,
    )
    torch.manual_seed(0)
    theirs = transformers.SpeechT5HifiGan(config).eval()
    for weight in theirs.parameters():
        weight.data += 0.1 * torch.randn_like(weight)
    weights = {
        name.replace("upsampler.", "ups."): value for name, value in theirs.state_dict().items()
    }
    ours = HifiGanNetwork(HifiGanShape(n_channels=16)).eval()
    ours.load_state_dict({name: weights[name] for name in ours.state_dict()})
    logs = torch.randn(1, 80, 7)
    with torch.inference_mode():
        torch.testing.assert_close(ours(logs)[0], theirs(logs[0].T), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("rates", [(8, 8, 2, 2), (8, 5, 2, 2), (5, 3)])
def test_a_frame_becomes_a_hop_of_samples(rates: tuple[int, ...]) -> None:
    kernels = tuple(2 * rate for rate in rates)
    shape = HifiGanShape(rates=rates, kernels=kernels, n_channels=2 ** (len(rates) + 1), n_mels=4)
    assert HifiGanNetwork(shape)(torch.randn(2, 4, 6)).shape == (2, 6 * shape.n_hop)


def cargan(n_chunk: int = 128) -> CarganNetwork:
    torch.manual_seed(0)
    shape = CarganShape(
        n_mels=4, n_past=32, n_hidden=8, n_context=8, widths=(8, 8), rates=(4, 8), n_chunk=n_chunk
    )
    return CarganNetwork(shape).eval()


def test_a_chunk_hears_the_end_of_the_one_before_and_nothing_of_the_one_after() -> None:
    network, logs = cargan(), torch.randn(1, 4, 12)
    changed = logs.clone()
    changed[:, :, 6] += 3.0
    with torch.inference_mode():
        first, other = network(logs)[0], network(changed)[0]
    differs = (first - other).abs() > 1e-7
    assert not differs[:128].any()
    assert differs[128:256].any()
    assert differs[256:].any()


def test_a_last_chunk_that_is_not_full_is_cut() -> None:
    assert cargan()(torch.randn(2, 4, 5)).shape == (2, 5 * 32)


def test_parallel_wavegan_takes_the_variables_of_tensorflow() -> None:
    torch.manual_seed(0)
    network = ParallelWaveGanNetwork(
        ParallelWaveGanShape(n_mels=5, n_channels=4, n_blocks=3, n_cycle=2, rates=(2, 3))
    )
    modules = {"context": "conv1x1_aux", "on": "conv1x1_out", "aside": "conv1x1_skip"}
    firsts = {"first": "first_convolution", "lower": "tf_conv1d1x1", "last": "tf_conv1d1x1_1"}
    variables: dict[str, Tensor] = {}
    for name, value in network.state_dict().items():
        kernel = value.permute(2, 1, 0) if value.ndim == 3 else value
        words = name.split(".")
        behind = "BiasAdd" if words[-1] == "bias" else "TFConv1d/ExpandDims_1"
        if name == "sum_bias":
            variables["residual_block_._2/conv1x1_skip/BiasAdd"] = value
        elif words[0] == "blocks":
            inner = modules.get(words[2], f"tf_conv1d_{words[1]}")
            variables[f"residual_block_._{words[1]}/{inner}/{behind}"] = kernel
        elif words[0] == "stretches":
            number = "" if words[1] == "0" else f"_{words[1]}"
            path = f"tf_conv_in_upsample_net_work/upsample_network/conv2d{number}/Conv2D"
            variables[path] = value.reshape(-1, 1, 1, 1)
        elif words[0] == "around":
            variables["tf_conv_in_upsample_net_work/conv_in/TFConv1d/ExpandDims_1"] = kernel
        else:
            variables[f"{firsts[words[0]]}/{behind}"] = kernel
    output = renamed(variables)
    assert output.keys() == network.state_dict().keys()
    for name, value in network.state_dict().items():
        torch.testing.assert_close(output[name], value, rtol=0, atol=0)


def test_parallel_wavegan_hears_frames_and_noise() -> None:
    torch.manual_seed(0)
    network = ParallelWaveGanNetwork(ParallelWaveGanShape(n_channels=4, n_blocks=4, n_cycle=2))
    logs, noise = torch.randn(1, 80, 3), torch.randn(1, 1, 3 * 256)
    with torch.inference_mode():
        first = network(logs, noise)
        assert first.shape == (1, 3 * 256)
        assert not torch.allclose(first, network(logs + 1.0, noise))
        assert not torch.allclose(first, network(logs, -noise))


def excitation(kind: NsfKind, n_frames: int) -> tuple[Tensor, Tensor, Tensor]:
    inputs = torch.randn(1, nsf_network.N_INPUTS, n_frames)
    inputs[:, -1] = 120.0
    n_rows = 1 if kind == "cyc-noise" else nsf_network.N_HARMONICS
    n_samples = n_frames * nsf_network.N_HOP
    return inputs, 0.1 * torch.randn(1, n_rows, n_samples), 0.03 * torch.randn(1, 1, n_samples)


@pytest.mark.parametrize("kind", ["hn", "hn-sinc", "cyc-noise"])
def test_source_filters_hear_only_the_past_of_what_excites_them(kind: NsfKind) -> None:
    torch.manual_seed(0)
    network = NsfNetwork(kind).eval()
    inputs, source, noise = excitation(kind, 6)
    later = source.clone()
    later[:, :, 200:] *= -1.0
    with torch.inference_mode():
        first, other = network(inputs, source, noise)[0], network(inputs, later, noise)[0]
    assert first.shape == (480,)
    torch.testing.assert_close(first[:200], other[:200], rtol=0, atol=1e-6)
    assert (first[200:] - other[200:]).abs().max() > 1e-4


def test_sinc_filters_pass_their_side_of_the_cut_off() -> None:
    cut = torch.tensor([0.2, 0.5, 0.8])[None, None]
    low, high = (first[0].double().numpy() for first in nsf_network._sincs(cut))
    bins = np.linspace(0, 1, 257)
    for column, edge in enumerate((0.2, 0.5, 0.8)):
        gains = [np.abs(np.fft.rfft(first[:, column], 512)) for first in (low, high)]
        assert gains[0][0] == pytest.approx(1.0, abs=1e-5)
        assert gains[1][-1] == pytest.approx(1.0, abs=1e-5)
        assert gains[0][bins > edge + 0.12].max() < 0.02
        assert gains[1][bins < edge - 0.12].max() < 0.02


def test_a_filter_that_does_not_vary_is_a_convolution() -> None:
    signal, taps = torch.randn(1, 1, 100), torch.randn(31)
    output = nsf_network._varying(signal, taps[None, :, None].expand(1, 31, 100))[0, 0]
    wanted = np.convolve(signal[0, 0].numpy(), taps.numpy())[:100]
    np.testing.assert_allclose(output.numpy(), wanted, atol=1e-4)


def test_sines_stand_at_the_harmonics_where_voiced_and_noise_elsewhere() -> None:
    hertz = np.concatenate([np.zeros(8_000), np.full(16_000, 200.0)])
    excites = nsf.sines(hertz, np.random.default_rng(0))
    assert excites.shape == (8, 24_000)
    for row, wave in enumerate(excites, start=1):
        spectrum = np.abs(np.fft.rfft(wave[8_000:]))
        assert spectrum.argmax() == 200 * row
        assert np.std(wave[8_000:]) == pytest.approx(0.1 / np.sqrt(2), rel=0.02)
        assert np.std(wave[:8_000]) == pytest.approx(0.1 / 3, rel=0.05)


def test_cyclic_noise_has_one_burst_for_each_cycle() -> None:
    hertz = np.concatenate([np.zeros(800), np.full(3_200, 100.0), np.zeros(800)])
    pulses = nsf._pulses(hertz)
    places = np.flatnonzero(pulses > 0)
    assert places[0] == 800
    assert set(np.diff(places)) <= {159, 160, 161}
    assert len(places) == 20
    wave = nsf.cyclic_noise(hertz, np.random.default_rng(0))[0]
    cycles = wave[960:3_840].reshape(-1, 160)
    np.testing.assert_allclose(cycles[4], cycles[9], atol=2e-4)
    assert nsf.cyclic_noise(np.zeros(800), np.random.default_rng(0)).std() > 0


def test_the_bands_of_source_filters_have_one_area_but_the_first() -> None:
    bands = nsf.mel_bands()
    assert bands.shape == (80, 513)
    assert np.flatnonzero(bands[0]).tolist() == [0]
    areas = bands[1:].sum(axis=1) * RATE_HZ / 1024
    np.testing.assert_allclose(areas, 1.0, atol=0.35)
    centres_hz = bands[1:].argmax(axis=1) * RATE_HZ / 1024
    assert np.ptp(np.diff(centres_hz[centres_hz < 950])) <= 16.0
    logs = nsf.log_mel(np.sin(2 * np.pi * 1_000 * np.arange(1_600) / RATE_HZ))
    assert logs.shape == (21, 80)
    assert bands[logs[10].argmax(), 64] == bands[:, 64].max()
