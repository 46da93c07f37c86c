"""Does every generator in ATTACKS keep its promise? A new row is tested by being listed."""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from functools import cache
from importlib import util
from pathlib import Path

import numpy as np
import pytest

import tiny_generators
from unheard.attacks import ATTACKS, FAMILIES, Attack, Engines, Pretrained, Speech, attacks
from unheard.errors import AttackError
from unheard.types import FloatArray

RATE_HZ = 16_000
PACKAGE = re.compile(
    r"debian(/contrib|/non-free)?:[a-z0-9.+-]+|pypi:[\w<>=.-]+|npm:[\w@./-]+|git:[\w./-]+@[0-9a-f]{40}"
)
IN_PYTHON = ("griffin-lim-linear", "griffin-lim-mel", "mlsa", "world", "world-shift")
WEIGHTS_NEEDED = tiny_generators.NEED_WEIGHTS
CACHE = Path(os.environ["UNHEARD_CACHE"]) if "UNHEARD_CACHE" in os.environ else None
SENTENCES = {
    "en": "The birch canoe slid on the smooth planks.",
    "cs": "Dnes je venku krásně a teplo.",
    "nl": "De snelle bruine vos springt over de luie hond.",
    "ru": "Съешь ещё этих мягких французских булок.",
    "es": "El perro corre muy rápido por el parque.",
    "it": "Il gatto dorme tranquillo sulla sedia.",
    "fr": "Le chat dort tranquillement sur la chaise.",
    "ro": "Pisica doarme liniștită pe scaun.",
    "ca": "El gat dorm tranquil a la cadira.",
    "bg": "Котката спи спокойно на стола.",
    "el": "Η γάτα κοιμάται ήσυχα στην καρέκλα.",
    "da": "Katten sover roligt på stolen.",
    "lt": "Katė ramiai miega ant kėdės.",
    "uk": "Кіт спокійно спить на стільці.",
    "de": "Die Katze schläft ruhig auf dem Stuhl.",
    "pl": "Kot śpi spokojnie na krześle.",
    "pt": "O gato dorme tranquilo na cadeira.",
    "eo": "La kato trankvile dormas sur la seĝo.",
    "mk": "Мачката мирно спие на столот.",
    "sq": "Macja fle e qetë në karrige.",
    "ky": "Мен бүгүн үйгө барып китеп окуйм.",
    "tt": "Мин бүген өйгә кайтып китап укыйм.",
    "hi": "आज मौसम बहुत अच्छा है।",
}


class NoEngines(Engines):
    """A machine on which nothing is installed."""

    def program(self, name: str) -> Path | None:
        return None

    def data(self, pattern: str) -> Path | None:
        return None

    def package(self, path: str) -> Path | None:
        return None


def voice_like(seconds: float = 1.0) -> FloatArray:
    """A tone of 140 Hz with falling harmonics, a slow vibrato and syllables, over faint noise."""
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    phase = 2 * np.pi * (140 * time + 0.1 * np.sin(2 * np.pi * 4 * time))
    tone = sum(np.sin(k * phase) / k for k in range(1, 25))
    syllables = 0.55 + 0.45 * np.sin(2 * np.pi * 3 * time)
    noise = np.random.default_rng(0).standard_normal(time.size)
    return (0.1 * tone * syllables + 0.003 * noise).astype(np.float32)


def without_engine(attack: Attack, monkeypatch: pytest.MonkeyPatch) -> Attack:
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    return replace(attack, engines=NoEngines()) if hasattr(attack, "engines") else attack  # type: ignore[type-var]


@pytest.mark.parametrize("name", ATTACKS)
def test_a_row_states_name_family_and_licence(name: str) -> None:
    attack = ATTACKS[name]
    assert isinstance(attack, Attack)
    assert attack.name == name
    assert attack.family in FAMILIES
    assert attack.kind in ("copy", "text")
    assert bool(attack.languages) == (attack.kind == "text")
    assert all(re.fullmatch("[a-z]{2}", language) for language in attack.languages)
    assert attack.licence
    assert all(PACKAGE.fullmatch(package) for package in attack.packages)


@pytest.mark.parametrize("name", ATTACKS)
def test_a_generator_is_a_value(name: str) -> None:
    attack = ATTACKS[name]
    with pytest.raises(FrozenInstanceError):
        attack.name = "other"  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(attack)) == attack  # noqa: S301 - our own bytes
    assert len({attack, attacks(None)[name]}) == 1


def test_a_corpus_cache_changes_no_name(tmp_path: Path) -> None:
    assert list(attacks(tmp_path)) == list(ATTACKS)


def test_voices_for_evaluation_alone_are_marked() -> None:
    closed = {name for name, attack in ATTACKS.items() if not attack.free}
    assert closed == {"audioldm", "encodec"}


def test_every_family_is_there() -> None:
    assert {attack.family for attack in ATTACKS.values()} == set(FAMILIES)


def test_rows_that_read_weights_are_known() -> None:
    assert {name for name, row in ATTACKS.items() if isinstance(row, Pretrained)} == set(
        WEIGHTS_NEEDED
    )


@pytest.mark.parametrize("name", ATTACKS)
def test_what_is_missing_is_reported_with_its_remedy(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    attack = without_engine(ATTACKS[name], monkeypatch)
    message = attack.missing()
    if not attack.packages:
        assert message == ""
        return
    how = "(install it with: .*(apt-get|pip|npm) install|fetch it with: unheard generate fetch)"
    assert re.search(f"is missing; {how}", message)
    first = attack.packages[0].partition(":")[2]
    assert first in message
    speech = Speech(voice_like(), "Hello there.", (*attack.languages, "en")[0])
    with pytest.raises(AttackError, match=f"^{name}: .* is missing; (install|fetch) it with"):
        attack.generate(speech, np.random.default_rng(0))


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Attack]:
    """Rows that can be used here; those that need weights stand on tiny random ones."""

    @cache
    def attack_named(name: str) -> Attack:
        if name in IN_PYTHON:
            return ATTACKS[name]
        return tiny_generators.ready(name, tmp_path_factory.mktemp(name))

    return attack_named


@pytest.mark.parametrize("name", [*IN_PYTHON, *WEIGHTS_NEEDED])
@pytest.mark.parametrize("n_samples", [RATE_HZ, 12_345])
def test_a_copy_has_the_length_the_level_and_the_range_of_its_source(
    ready: Callable[[str], Attack], name: str, n_samples: int
) -> None:
    source = voice_like()[:n_samples]
    copy = ready(name).generate(Speech(source), np.random.default_rng(0))
    assert copy.dtype == np.float32
    assert copy.shape == source.shape
    assert np.abs(copy).max() <= 1.0
    change_db = 10 * np.log10(np.mean(copy**2) / np.mean(source**2))
    assert abs(change_db) < 1.0
    assert not np.allclose(copy, source, atol=1e-3)


@pytest.mark.parametrize("name", IN_PYTHON)
def test_a_copy_follows_its_source_in_time(name: str) -> None:
    source = voice_like()
    copy = ATTACKS[name].generate(Speech(source), np.random.default_rng(0))
    frames = [np.sqrt(np.mean(x.reshape(-1, 400) ** 2, axis=1)) for x in (source, copy)]
    assert np.corrcoef(*frames)[0, 1] > 0.8


@pytest.mark.parametrize("name", [*IN_PYTHON, *WEIGHTS_NEEDED])
def test_one_seed_gives_one_copy(ready: Callable[[str], Attack], name: str) -> None:
    source, row = Speech(voice_like(0.5)), ready(name)
    first, again = (row.generate(source, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("name", [*IN_PYTHON, *WEIGHTS_NEEDED])
def test_another_seed_gives_another_copy_where_chance_has_a_say(
    ready: Callable[[str], Attack], name: str
) -> None:
    source, row = Speech(voice_like(0.5)), ready(name)
    first, second = (row.generate(source, np.random.default_rng(n)) for n in range(2))
    without_chance = ("world", "dac", "encodec", "hifi-gan", "mimi")
    assert np.array_equal(first, second) == (name in without_chance)


@pytest.mark.parametrize("name", WEIGHTS_NEEDED)
def test_weights_that_are_not_there_are_asked_for(name: str) -> None:
    row = replace(ATTACKS[name], source="nowhere")  # type: ignore[type-var]
    with pytest.raises(AttackError, match=f"^{name}: no folder 'nowhere' .* source=FOLDER"):
        row.generate(Speech(voice_like(0.5)), np.random.default_rng(0))


def test_a_conversion_moves_the_pitch_and_a_copy_does_not() -> None:
    source = voice_like()

    def pitch_hz(samples: FloatArray) -> float:
        spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
        return 60 + float(np.argmax(spectrum[60:240]))

    draws = [np.random.default_rng(seed) for seed in range(4)]
    moved = [pitch_hz(ATTACKS["world-shift"].generate(Speech(source), rng)) for rng in draws]
    assert all(abs(12 * np.log2(hz / 140)) > 1.5 for hz in moved)
    kept = pitch_hz(ATTACKS["world"].generate(Speech(source), draws[0]))
    assert abs(12 * np.log2(kept / 140)) < 0.5


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros(RATE_HZ, np.float32), "silent; leave this clip out"),
        (np.full(RATE_HZ, np.nan, np.float32), "not numbers; leave this clip out"),
        (np.ones(100, np.float32), "at least 0.1 s .* give it a bona fide recording"),
        (np.ones((2, RATE_HZ), np.float32), "in one channel needed"),
    ],
)
def test_a_recording_that_cannot_be_copied_is_refused(samples: FloatArray, message: str) -> None:
    with pytest.raises(AttackError, match=message):
        ATTACKS["griffin-lim-mel"].generate(Speech(samples), np.random.default_rng(0))


@pytest.mark.corpus
@pytest.mark.parametrize("name", [name for name in ATTACKS if name not in WEIGHTS_NEEDED])
def test_the_real_engine_gives_speech(name: str) -> None:
    attack = attacks(CACHE)[name]
    assert attack.missing() == ""
    language = (*attack.languages, "en")[0]
    speech = Speech(voice_like(2.0), SENTENCES[language], language)
    samples, again = (attack.generate(speech, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(samples, again)
    assert np.isfinite(samples).all()
    assert np.abs(samples).max() <= 1.0
    if attack.kind == "copy":
        assert samples.shape == speech.samples.shape
    else:
        assert 1.0 < samples.size / RATE_HZ < 8.0
        spectrum = np.abs(np.fft.rfft(samples)) ** 2
        hertz = np.fft.rfftfreq(samples.size, 1 / RATE_HZ)
        assert 150 < np.sum(hertz * spectrum) / np.sum(spectrum) < 2500


@pytest.mark.corpus
@pytest.mark.parametrize(
    "name",
    [name for name, row in ATTACKS.items() if row.kind == "copy" and name not in WEIGHTS_NEEDED],
)
def test_the_real_copy_follows_its_source_in_time(name: str) -> None:
    source = np.concatenate([0.001 * voice_like(), voice_like(), 0.001 * voice_like()])
    copy = attacks(CACHE)[name].generate(Speech(source), np.random.default_rng(0))
    power = copy.reshape(-1, 160) ** 2
    inside = power[98:202].sum() / power.sum()
    assert inside > 0.98
    late, early = power[200:206].sum(), power[94:100].sum()
    assert max(late, early) < 0.03 * power.sum()
