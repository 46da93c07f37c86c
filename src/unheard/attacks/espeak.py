"""espeak-ng: formant synthesis in many languages, with its own and the Klatt synthesiser."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from unheard.attacks import sound
from unheard.attacks.attack import Kind, Speech
from unheard.attacks.engines import Engines, install_hint
from unheard.types import FloatArray

__all__ = ["DATA", "Espeak", "ipa", "rows"]

DATA = "usr/lib/*/espeak-ng-data"
"""Where Debian puts the engine's data, from the root."""

_VOICES = {
    "en": "en-us",
    "pt": "pt-br",
}
_LANGUAGES = (
    "en", "cs", "nl", "ru", "es", "it", "fr", "ro", "ca", "bg", "el", "da",
    "lt", "uk", "de", "pl", "pt",
)  # fmt: skip
_MARK = re.compile(r"\([a-z^-]+\)")
_VARIANTS = ("", "f2", "m3", "klatt", "klatt4")


@dataclass(frozen=True)
class Espeak:
    """One espeak-ng voice; speed and pitch are drawn again for each text.

    Attributes:
        name: As in `ATTACKS`.
        language: ISO 639-1 code.
        voice: Voice of the engine, with a variant after "+" if any, such as "cs+klatt4".
        engines: Where the engine lies.
    """

    name: str
    language: str
    voice: str
    engines: Engines = field(default=Engines())
    family: ClassVar[str] = "formant"
    kind: ClassVar[Kind] = "text"
    free: ClassVar[bool] = True
    licence: ClassVar[str] = "GPL-3.0-or-later"
    packages: ClassVar[tuple[str, ...]] = (
        "debian:espeak-ng",
        "debian:espeak-ng-data",
        "debian:libespeak-ng1",
        "debian:libpcaudio0",
        "debian:libsonic0",
    )

    @property
    def languages(self) -> tuple[str, ...]:
        """The one language of the voice."""
        return (self.language,)

    def missing(self) -> str:
        """Return how to install espeak-ng, or ""."""
        ready = self.engines.program("espeak-ng") is not None
        return "" if ready else install_hint("espeak-ng", self.packages[:1])

    def generate(self, speech: Speech, rng: np.random.Generator) -> FloatArray:
        """Return the text as speech, shape [T] float32 at 16 kHz.

        Raises:
            AttackError: If the engine is not installed, fails, or gives nothing usable.
        """
        line = sound.text(self, speech)
        words_per_minute, pitch = rng.integers(145, 190), rng.integers(35, 66)
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "out.wav"
            command = ["espeak-ng", *_data_option(self.engines), "-v", self.voice]
            options = ["-s", str(words_per_minute), "-p", str(pitch), "--stdin", "-w", str(out)]
            self.engines.run([*command, *options], stdin=line.encode())
            return sound.spoken(self.name, sound.read(self.name, out))


def ipa(engines: Engines, text: str, voice: str) -> str:
    """Return the phonemes of a text in the International Phonetic Alphabet.

    Letters of one sound, as in an affricate, are tied together by "^"; clauses are parted by ", ".

    Args:
        engines: Where espeak-ng lies.
        text: What to transcribe.
        voice: Voice or language code of espeak-ng.

    Raises:
        AttackError: If espeak-ng is not installed or does not know the voice.
    """
    command = [
        "espeak-ng",
        *_data_option(engines),
        "-q",
        "--ipa",
        "--tie=^",
        "-v",
        voice,
        "--stdin",
    ]
    output = engines.run(command, stdin=text.encode()).decode(errors="replace")
    # A word of another language comes with the marks of both, as in "(en)...(es)".
    clauses = (" ".join(_MARK.sub("", line).split()) for line in output.splitlines())
    return ", ".join(clause for clause in clauses if clause)


def rows(engines: Engines) -> list[Espeak]:
    """Return one generator for each language and variant."""
    attacks = []
    for language in _LANGUAGES:
        for variant in _VARIANTS:
            name = "-".join(part for part in ("espeak-ng", language, variant) if part)
            voice = _VOICES.get(language, language) + (f"+{variant}" if variant else "")
            attacks.append(Espeak(name, language, voice, engines))
    return attacks


def _data_option(engines: Engines) -> list[str]:
    """The option that points a program of the cache to the data of the cache."""
    if engines.home is None:
        return []
    data = engines.data(DATA)
    inside = data is not None and engines.home in data.parents
    return [f"--path={data.parent}"] if inside and data is not None else []
