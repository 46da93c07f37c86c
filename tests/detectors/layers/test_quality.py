"""The convolutions of the quality network: the compressed complex spectrum, weights by name."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from unheard.corpora.open.encoders import _quality_network
from unheard.detectors.layers.quality import QualityConvolutions
from unheard.errors import RecipeError


def waves(n_samples: int) -> torch.Tensor:
    rng = np.random.default_rng(2)
    return torch.from_numpy(0.1 * rng.standard_normal((2, n_samples)).astype(np.float32))


def spectrum_by_fft(wave: np.ndarray) -> np.ndarray:
    """Return [2, K, F] by numpy's transform: frames of 320 every 160, magnitudes to the 0.3."""
    padded = np.pad(wave / np.abs(wave).max(), 80, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(320) / 320)
    frames = np.lib.stride_tricks.sliding_window_view(padded, 320)[::160] * window
    spectrum = np.fft.rfft(frames, axis=1).T
    compressed = np.abs(spectrum) ** 0.3 * np.exp(1j * np.angle(spectrum))
    return np.stack([compressed.real, compressed.imag])


def test_spectrum_keeps_phase_and_compresses_magnitude() -> None:
    wave = waves(4_800)
    found = QualityConvolutions()._spectrum(wave).numpy()
    expected = np.stack([spectrum_by_fft(clip) for clip in wave.double().numpy()])
    assert found.shape == (2, 2, 161, 30)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_one_frame_per_20_ms_whatever_the_level() -> None:
    network = QualityConvolutions().eval()
    with torch.inference_mode():
        frames = network(waves(48_000))
        assert frames.shape == (2, 150, network.n_features) == (2, 150, 1024)
        torch.testing.assert_close(network(0.01 * waves(48_000)), frames, rtol=1e-3, atol=1e-5)


def test_silence_gives_numbers() -> None:
    with torch.inference_mode():
        assert QualityConvolutions()(torch.zeros(1, 8_000)).isfinite().all()


def test_the_package_s_convolutions_load_by_name(tmp_path: Path) -> None:
    """A file laid out as the package's: the convolutions stand beside a transformer."""
    torch.manual_seed(3)
    wanted = QualityConvolutions()
    weights = {f"cnn.cnn.{name}": value for name, value in wanted.cnn.state_dict().items()}
    file = io.BytesIO()
    torch.save({"model": weights | {"transformer_pool_attn.norm.bias": torch.zeros(3)}}, file)
    tensors, config = _quality_network(file.getvalue())
    assert config == {"model_type": "distillmos"}
    save_file(tensors, tmp_path / "model.safetensors")
    loaded = QualityConvolutions()
    loaded.load_state_dict(loaded.pretrained(str(tmp_path)), strict=True)
    with torch.inference_mode():
        assert torch.equal(loaded(waves(8_000)), wanted(waves(8_000)))


def test_without_weights_the_error_names_the_command() -> None:
    with pytest.raises(RecipeError, match="unheard encoder nowhere"):
        QualityConvolutions().pretrained("nowhere")
