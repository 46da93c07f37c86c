"""Time-frequency features: shapes, hand-worked values, precision."""

import numpy as np
import pytest
import torch

from unheard.detectors.layers.features import (
    Framing,
    Lfcc,
    LinearBand,
    Log,
    Mel,
    SpectralStatistics,
    Spectrogram,
)
from unheard.errors import RecipeError

FRAMING = Framing(n_window=400, n_hop=160, n_fft=512)


def tone(frequency_hz: float, n_samples: int = 16_000) -> torch.Tensor:
    time_s = torch.arange(n_samples, dtype=torch.float64) / 16_000
    return torch.sin(2 * torch.pi * frequency_hz * time_s).float()[None]


@pytest.mark.parametrize(("n_samples", "n_frames"), [(1, 1), (159, 1), (160, 2), (64_000, 401)])
def test_frames_are_centred_one_per_hop_and_one_more(n_samples: int, n_frames: int) -> None:
    assert Spectrogram(FRAMING)(torch.ones(2, n_samples)).shape == (2, n_frames, 257)


def test_power_of_a_frame_is_its_squared_fourier_transform() -> None:
    framing = Framing(n_window=8, n_hop=4, n_fft=16)
    wave = torch.linspace(-1, 1, 40)[None]
    frame = np.zeros(16)
    frame[4:12] = wave[0, 12:20].numpy() * np.sin(np.pi * np.arange(8) / 8) ** 2
    actual = Spectrogram(framing)(wave)[0, 4].numpy()  # centred on sample 16
    np.testing.assert_allclose(actual, np.abs(np.fft.rfft(frame)) ** 2, atol=1e-5)


def test_pre_emphasis_keeps_the_first_sample_and_subtracts_the_one_before() -> None:
    wave = torch.randn(1, 2000, generator=torch.Generator().manual_seed(0))
    by_hand = wave.clone()
    by_hand[:, 1:] -= 0.97 * wave[:, :-1]
    emphasised = Spectrogram(Framing(pre_emphasis=0.97))(wave)
    torch.testing.assert_close(emphasised, Spectrogram(Framing())(by_hand))


def test_equal_framings_are_equal_so_that_detectors_can_share_a_transform() -> None:
    assert Framing(n_fft=1024) == Framing(n_fft=1024)
    assert Framing(n_fft=1024) != Framing(n_fft=1024, window="hamming")


@pytest.mark.parametrize("scale", ["slaney", "htk"])
def test_a_tone_is_loudest_in_the_mel_filter_around_it(scale: str) -> None:
    mel = Mel(FRAMING, n_mels=40, low_hz=0, high_hz=8000, scale=scale)  # type: ignore[arg-type]
    loudest = [int(mel(Spectrogram(FRAMING)(tone(hz)))[0, 50].argmax()) for hz in (500, 2000, 6000)]
    # Place of the tone on the mel axis, in steps of (mel of 8 kHz) / 41, less one:
    # Slaney 5.8, 21.7, 36.2 (mel 7.5, 25.1, 41.1 of 45.2); HTK 7.8, 21.0, 35.7.
    expected = {"slaney": [6, 22, 36], "htk": [8, 21, 36]}
    assert loudest == expected[scale]


def test_slaney_filters_have_equal_area_and_htk_filters_height_one() -> None:
    framing = Framing(n_window=4096, n_hop=160, n_fft=4096)
    bin_hz = 16_000 / 4096
    areas = Mel(framing, n_mels=20, scale="slaney").filters.sum(dim=0) * bin_hz
    torch.testing.assert_close(areas, torch.ones(20), rtol=0.01, atol=0)
    peaks = Mel(framing, n_mels=20, scale="htk").filters.max(dim=0).values
    torch.testing.assert_close(peaks, torch.ones(20), rtol=0.05, atol=0)


def test_mel_scales_pass_through_their_published_points() -> None:
    def centres(scale: str, low_hz: float, high_hz: float) -> list[float]:
        framing = Framing(n_window=16_000, n_hop=160, n_fft=16_000)  # one bin per hertz
        mel = Mel(framing, n_mels=1, low_hz=low_hz, high_hz=high_hz, scale=scale)  # type: ignore[arg-type]
        return [int(mel.filters.argmax())]

    # Slaney: linear to 1000 Hz = 15 mel, then 27 mel per factor 6.4. 12 and 42 mel meet at 27 mel.
    assert centres("slaney", 800, 6400) == [round(1000 * 6.4 ** (12 / 27))]
    # HTK: 1000 Hz is 1000 mel; the middle between 0 and 1000 mel is 700 (10^(500/2595) - 1) Hz.
    assert centres("htk", 0, 1000) == [round(700 * (10 ** (500 / 2595) - 1))]


def test_linear_band_holds_the_bins_between_its_edges() -> None:
    power = torch.arange(257.0).expand(1, 3, 257)
    band = LinearBand(FRAMING, low_hz=31.25, high_hz=100.0)  # bins are 31.25 Hz apart
    assert band.n_features == 3
    assert band(power)[0, 0].tolist() == [1, 2, 3]


def test_log_takes_away_the_mean_of_each_feature_over_time() -> None:
    power = torch.rand(2, 50, 7, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(Log()(power).mean(dim=1), torch.zeros(2, 7), rtol=0, atol=1e-5)
    kept = Log(subtract_mean=False, floor=1e-3)(power)
    torch.testing.assert_close(kept, torch.log(power + 1e-3))


def test_log_mel_does_not_depend_on_level() -> None:
    wave = torch.randn(1, 16_000, generator=torch.Generator().manual_seed(0))
    features = torch.nn.Sequential(Spectrogram(FRAMING), Mel(FRAMING, n_mels=20), Log())
    torch.testing.assert_close(features(wave), features(0.5 * wave), rtol=0, atol=1e-3)


def test_deltas_are_the_next_frame_minus_the_one_before() -> None:
    wave = torch.randn(1, 4000, generator=torch.Generator().manual_seed(0))
    static, delta, second = Lfcc(Lfcc.framing())(Spectrogram(Lfcc.framing())(wave)).chunk(3, dim=2)
    assert static.shape == (1, 26, 20)
    torch.testing.assert_close(delta[:, 5], static[:, 6] - static[:, 4])
    torch.testing.assert_close(delta[:, 0], static[:, 1] - static[:, 0])
    torch.testing.assert_close(second[:, -1], delta[:, -1] - delta[:, -2])


@pytest.mark.parametrize("silence", [0.0, 1e-20])
def test_silence_gives_finite_features_and_gradients(silence: float) -> None:
    wave = torch.full((1, 4000), silence, requires_grad=True)
    for framing, head in (
        (Lfcc.framing(), Lfcc(Lfcc.framing())),
        (FRAMING, torch.nn.Sequential(Mel(FRAMING), Log())),
    ):
        features = head(Spectrogram(framing)(wave))
        (gradient,) = torch.autograd.grad(features.sum(), wave)
        assert torch.isfinite(features).all()
        assert torch.isfinite(gradient).all()


def test_autocast_changes_nothing() -> None:
    wave = 0.1 * torch.randn(2, 4000, generator=torch.Generator().manual_seed(0))
    heads = torch.nn.ModuleList([Mel(FRAMING), Log(), LinearBand(FRAMING)])
    power = Spectrogram(FRAMING)(wave)
    lfcc = Lfcc(Lfcc.framing())
    lfcc_power = Spectrogram(Lfcc.framing())(wave)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(Spectrogram(FRAMING)(wave), power, rtol=0, atol=0)
        cast = [head(power) for head in heads]
        cast_lfcc = lfcc(lfcc_power)
    for head, coefficients in zip(heads, cast, strict=True):
        assert coefficients.dtype == torch.float32
        torch.testing.assert_close(coefficients, head(power), rtol=0, atol=0)
    torch.testing.assert_close(cast_lfcc, lfcc(lfcc_power), rtol=0, atol=0)


def test_half_precision_input_is_raised_to_float32() -> None:
    assert Spectrogram(FRAMING)(torch.zeros(1, 800, dtype=torch.bfloat16)).dtype == torch.float32


def test_features_hold_no_weights() -> None:
    for module in (Spectrogram(FRAMING), Mel(FRAMING), Lfcc(Lfcc.framing())):
        assert not module.state_dict()


@pytest.mark.parametrize(
    ("make", "remedy"),
    [
        (lambda: Framing(n_window=600, n_fft=512), "choose 0 < n_hop <= n_window <= n_fft"),
        (lambda: Framing(n_hop=0), "choose 0 < n_hop"),
        (lambda: Framing(n_fft=1 << 30), "<= 65536"),
        (lambda: Framing(window="hanning"), "did you mean 'hann'"),  # type: ignore[arg-type]
        (lambda: Mel(FRAMING, n_mels=200), "use fewer filters or a longer FFT"),
        (lambda: Mel(FRAMING, n_mels=1 << 30), "choose 1 to 257"),
        (lambda: Mel(FRAMING, high_hz=9000), "choose 0 <= low_hz < high_hz <= 8000"),
        (lambda: LinearBand(FRAMING, low_hz=400, high_hz=300), "choose 0 <= low_hz"),
        (lambda: LinearBand(FRAMING, low_hz=10, high_hz=20), "choose a wider band"),
        (lambda: Lfcc(FRAMING, band=0), "choose a share of 8 kHz"),
        (lambda: Lfcc(FRAMING, n_filters=1000), "choose 1 to 128"),
    ],
)
def test_impossible_settings_say_what_to_do(make: object, remedy: str) -> None:
    with pytest.raises(RecipeError, match=remedy):
        make()  # type: ignore[operator]


def test_spectral_statistics_are_those_of_numpy_and_scipy() -> None:
    from scipy.fft import dct

    power = Spectrogram(FRAMING)(torch.randn(2, 8_000, generator=torch.Generator().manual_seed(0)))
    layer = SpectralStatistics(FRAMING, n_filters=20, n_coefficients=7)
    edges = np.linspace(0, 8000, 22)
    bins = np.linspace(0, 8000, 257)
    filters = np.stack([np.interp(bins, edges[i : i + 3], [0, 1, 0]) for i in range(20)], axis=1)
    bands = np.log(power.double().numpy() @ filters + 1e-6)
    padded = np.concatenate([bands[:, :1], bands, bands[:, -1:]], axis=1)
    delta = padded[:, 2:] - padded[:, :-2]
    cepstrum = dct(bands, axis=2, norm="ortho")[:, :, 1:8]
    by_hand = [bands.mean(axis=1), *(part.std(axis=1) for part in (bands, delta, cepstrum))]
    expected = np.concatenate(by_hand, axis=1)
    assert expected.shape == (2, layer.n_features) == (2, 67)
    np.testing.assert_allclose(layer(power).numpy(), expected, atol=1e-4)


def test_louder_speech_moves_only_the_means_of_spectral_statistics() -> None:
    wave = torch.randn(1, 8_000, generator=torch.Generator().manual_seed(0))
    layer = SpectralStatistics(FRAMING)
    quiet, loud = (layer(Spectrogram(FRAMING)(level * wave))[0] for level in (1.0, 10.0))
    torch.testing.assert_close(loud[100:], quiet[100:], rtol=0, atol=1e-3)
    rise = loud[:100] - quiet[:100]
    torch.testing.assert_close(rise, torch.full((100,), 2 * np.log(10.0)), rtol=0, atol=1e-3)
