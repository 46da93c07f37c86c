"""Is the channel that is scored the one that was asked for, and what mixing hides said?"""

import numpy as np
import pytest

from audio_files import pipe, tone, wav
from unheard import audio
from unheard.audio.channels import Mixer
from unheard.audio.pcm import PcmReader
from unheard.errors import AudioError
from unheard.types import FloatArray
from voice import silence, voice


def read(channels: FloatArray, channel: str | int = "mix") -> audio.Waveform:
    return audio.read(wav(channels, subtype="FLOAT"), channel=channel)


def stereo(left: FloatArray, right: FloatArray) -> FloatArray:
    return np.stack([left, right])


@pytest.mark.parametrize(("channel", "row"), [("left", 0), ("right", 1), (1, 0), ("2", 1)])
def test_a_channel_is_read_alone(channel: str | int, row: int) -> None:
    channels = stereo(voice(1, seed=1), voice(1, seed=2))
    np.testing.assert_array_equal(read(channels, channel).samples, channels[row])
    assert not read(channels, channel).notes


@pytest.mark.parametrize("source", [bytes, pipe])
def test_a_channel_that_is_not_there_is_refused(source: type) -> None:
    data = wav(tone(1.0))
    with pytest.raises(AudioError, match="channel right is asked for, it has 1; give a lower"):
        audio.read(source(data), channel="right")
    with pytest.raises(AudioError, match="'middle' is asked for; give mix, left, right, or a num"):
        audio.read(source(data), channel="middle")


@pytest.mark.parametrize("lead_s", [0.0, 1.0])
def test_channels_that_cancel_give_way_to_the_loudest(lead_s: float) -> None:
    speech = np.concatenate([silence(lead_s), voice(3)])
    recording = read(stereo(0.2 * speech, -speech))
    assert "cancel each other when mixed: channel 2" not in str(read(stereo(speech, speech)).notes)
    inverted = read(stereo(speech * 0.99, -speech))
    np.testing.assert_array_equal(inverted.samples, -speech)
    assert "cancel each other when mixed: channel 2, the loudest" in str(inverted.notes)
    assert not recording.notes  # the mix loses 8 dB
    np.testing.assert_allclose(recording.samples, -0.4 * speech, atol=1e-7)


def test_different_voices_are_named_and_one_voice_is_not() -> None:
    left = np.concatenate([voice(4, seed=1), silence(4), voice(4, seed=2)])
    right = np.concatenate([silence(4), voice(4, seed=3), silence(4)])
    assert "different voices" in str(read(stereo(left, right)).notes)
    assert "--channel each" in str(read(stereo(left, right)).notes)
    later = np.concatenate([silence(0.001), voice(12, seed=1)])[: left.size]
    noise = 0.01 * np.random.default_rng(0).standard_normal((2, left.size)).astype(np.float32)
    assert not read(stereo(voice(12, seed=1), 0.4 * later) + noise).notes
    assert not read(stereo(left, noise[0])).notes
    assert not read(stereo(left, silence(12))).notes


@pytest.mark.parametrize("size", [1, 37, 320, 5_000])
def test_chunks_do_not_matter(size: int) -> None:
    rng = np.random.default_rng(0)
    speech = voice(1)
    fading = speech * np.linspace(-1, 1, speech.size, dtype=np.float32)
    channels = stereo(speech, fading) + 1e-3 * rng.standard_normal((2, speech.size))
    channels = channels.astype(np.float32)
    whole, parts = (Mixer("mix", 2, 16_000, "x") for _ in range(2))
    wanted = np.concatenate([whole.push(channels), whole.close()])
    got = [parts.push(channels[:, at : at + size]) for at in range(0, channels.shape[1], size)]
    np.testing.assert_array_equal(np.concatenate([*got, parts.close()]), wanted)
    assert parts.notes() == whole.notes()
    assert wanted.size == speech.size


def test_headerless_samples_have_channels_too() -> None:
    channels = stereo(voice(1, seed=1), voice(1, seed=2))
    data = np.ascontiguousarray(channels.T).astype("<f4").tobytes()
    reader = PcmReader("f32le", n_channels=2, channel="right")
    np.testing.assert_array_equal(reader.push(data), channels[1])
    inverted = np.stack([channels[0], -channels[0]], axis=1).astype("<f4").tobytes()
    reader = PcmReader("f32le", n_channels=2)
    np.testing.assert_array_equal(
        np.concatenate([reader.push(inverted), reader.close()]), channels[0]
    )
    assert "cancel each other" in str(reader.origin.notes)
