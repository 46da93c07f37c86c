"""Does every codec of the table work, at every bit rate it offers, without moving the speech?"""

import numpy as np
import pytest

from unheard import audio
from unheard.audio.codecs import CODECS, encode, round_trip
from unheard.errors import AudioError
from unheard.types import FloatArray

EVERY = [(codec, kbps) for codec, entry in CODECS.items() for kbps in entry.kbps]


def speech(duration_s: float = 2.0) -> FloatArray:
    """Syllables of noise with a low tilt: what speech codecs are made for, without a pitch."""
    rng = np.random.default_rng(0)
    n = round(duration_s * audio.SAMPLE_RATE_HZ)
    tilt = 0.7 ** np.arange(30)
    noise = np.convolve(rng.standard_normal(n), tilt)[:n]
    syllables = 0.55 + 0.45 * np.sin(2 * np.pi * 3 * np.arange(n) / audio.SAMPLE_RATE_HZ)
    wave = noise * syllables
    return (0.5 * wave / abs(wave).max()).astype(np.float32)


@pytest.mark.parametrize(("codec", "kbps"), EVERY)
def test_speech_comes_back_in_place_and_at_length(codec: str, kbps: float) -> None:
    wave = speech()
    back = round_trip(wave, codec, kbps=kbps)
    assert back.shape == wave.shape
    assert back.dtype == np.float32
    assert abs(back).max() <= 1
    assert not np.array_equal(back, wave)
    spectrum = np.fft.rfft(back, 2 * len(wave)) * np.fft.rfft(wave, 2 * len(wave)).conj()
    delay = int(np.argmax(np.fft.irfft(spectrum)))
    assert min(delay, 2 * len(wave) - delay) <= 3
    assert np.corrcoef(back, wave)[0, 1] > 0.35
    assert back[-400:].std() > 0.3 * wave[-400:].std()
    assert back[-20:].any()


@pytest.mark.parametrize("codec", [name for name, entry in CODECS.items() if len(entry.kbps) > 1])
def test_more_bits_sound_better_and_take_more_room(codec: str) -> None:
    wave = speech()
    least, most = CODECS[codec].kbps[0], CODECS[codec].kbps[-1]
    assert len(encode(wave, codec, kbps=least)) < 0.8 * len(encode(wave, codec, kbps=most))
    errors = [np.square(round_trip(wave, codec, kbps=kbps) - wave).mean() for kbps in (least, most)]
    assert errors[1] < errors[0]


@pytest.mark.parametrize("codec", CODECS)
def test_the_same_speech_gives_the_same_samples(codec: str) -> None:
    np.testing.assert_array_equal(round_trip(speech(), codec), round_trip(speech(), codec))


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("n", [1, 100, 3_333])
def test_short_clips_survive(codec: str, n: int) -> None:
    assert round_trip(speech()[:n], codec).shape == (n,)


@pytest.mark.parametrize("codec", CODECS)
def test_silence_stays_quiet(codec: str) -> None:
    assert abs(round_trip(np.zeros(8_000, np.float32), codec)).max() < 0.01


@pytest.mark.parametrize("codec", CODECS)
def test_a_telephone_codec_leaves_nothing_above_4_khz(codec: str) -> None:
    power = np.abs(np.fft.rfft(round_trip(speech(), codec))) ** 2
    high = power[len(power) * 9 // 16 :].sum() / power.sum()
    if CODECS[codec].rate_hz == 8_000:
        assert high < 1e-5
    else:
        assert high > 1e-4


@pytest.mark.parametrize("codec", CODECS)
def test_what_is_encoded_is_a_file_that_can_be_read(codec: str) -> None:
    recording = audio.read(encode(speech(), codec))
    assert abs(recording.duration_s - 2.0) < 0.15
    assert recording.n_bad_packets == 0


@pytest.mark.parametrize("codec", CODECS)
def test_the_table_is_in_order(codec: str) -> None:
    entry = CODECS[codec]
    assert list(entry.kbps) == sorted(entry.kbps)
    assert entry.default_kbps in entry.kbps
    assert not entry.compression or set(entry.compression) == set(entry.kbps)


def test_wrong_names_and_rates_suggest_the_right_ones() -> None:
    with pytest.raises(AudioError, match="did you mean 'opus'"):
        round_trip(speech(), "opuss")
    with pytest.raises(AudioError, match="gsm at 12 kbit/s is not offered; choose one of 13"):
        round_trip(speech(), "gsm", kbps=12)


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros((2, 9)), np.array([np.nan])])
def test_unfit_samples_are_not_encoded(samples: FloatArray) -> None:
    with pytest.raises(AudioError, match="non-empty one-dimensional array of finite numbers"):
        encode(samples, "opus")
