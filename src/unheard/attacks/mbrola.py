"""MBROLA: diphone voices, driven by the phonemes and the prosody of espeak-ng; evaluation only."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from unheard.attacks import sound
from unheard.attacks.attack import Kind, Speech
from unheard.attacks.engines import Engines, install_hint
from unheard.attacks.espeak import DATA
from unheard.types import FloatArray

__all__ = ["Mbrola", "rows"]

_VOICES = {
    "en1": "en", "us1": "en", "us2": "en", "us3": "en",
    "es1": "es", "es2": "es",
    "it3": "it", "it4": "it",
    "fr1": "fr", "fr4": "fr",
    "cz2": "cs",
    "nl2": "nl",
    "de6": "de", "de7": "de",
    "ro1": "ro",
    "gr2": "el",
    "pl1": "pl",
}  # fmt: skip


@dataclass(frozen=True)
class Mbrola:
    """One MBROLA voice; the speaking rate is drawn anew for each text.

    Attributes:
        name: As in `ATTACKS`.
        voice: Voice, such as "cz2".
        language: ISO 639-1 code.
        engines: Where the engine lies.
    """

    name: str
    voice: str
    language: str
    engines: Engines = field(default=Engines())
    family: ClassVar[str] = "diphone"
    kind: ClassVar[Kind] = "text"
    free: ClassVar[bool] = False
    licence: ClassVar[str] = "non-commercial voice (MBROLA)"

    @property
    def languages(self) -> tuple[str, ...]:
        """The one language of the voice."""
        return (self.language,)

    @property
    def packages(self) -> tuple[str, ...]:
        """The phonemiser, the engine and the voice."""
        return (
            "debian:espeak-ng",
            "debian/contrib:mbrola",
            f"debian/non-free:mbrola-{self.voice}",
        )

    def missing(self) -> str:
        """Return how to install espeak-ng, MBROLA and this voice, or ""."""
        programs = all(self.engines.program(name) for name in ("espeak-ng", "mbrola"))
        ready = programs and self._voice_file() is not None
        hint = install_hint(f"espeak-ng, MBROLA or its voice {self.voice}", self.packages)
        return "" if ready else hint

    def generate(self, speech: Speech, rng: np.random.Generator) -> FloatArray:
        """Return the text as speech, shape [T] float32 at 16 kHz.

        Raises:
            AttackError: If the engine is not installed, fails, or gives nothing usable.
        """
        line = sound.text(self, speech)
        words_per_minute = rng.integers(130, 170)
        with tempfile.TemporaryDirectory() as folder:
            phonemes, out = Path(folder) / "say.pho", Path(folder) / "out.wav"
            self._gather(Path(folder) / "espeak-ng-data")
            voice = [f"--path={folder}", "-v", f"mb-{self.voice}", "-s", str(words_per_minute)]
            # espeak-ng can run mbrola itself, but then now and then some samples are lost.
            phonemes.write_bytes(
                self.engines.run(
                    ["espeak-ng", *voice, "-q", "--pho", "--stdin"], stdin=line.encode()
                )
            )
            self.engines.run(["mbrola", "-e", self._voice_file() or "", phonemes, out])
            return sound.spoken(self.name, sound.read(self.name, out))

    def _gather(self, data: Path) -> None:
        """Lay the data of espeak-ng and the voice side by side, where espeak-ng looks for both."""
        theirs, voice = self.engines.data(DATA), self._voice_file()
        assert theirs is not None
        assert voice is not None
        (data / "mbrola").mkdir(parents=True)
        for entry in theirs.iterdir():
            if entry.name != "mbrola":
                (data / entry.name).symlink_to(entry)
        (data / "mbrola" / self.voice).symlink_to(voice)

    def _voice_file(self) -> Path | None:
        return self.engines.data(f"usr/share/mbrola/{self.voice}/{self.voice}")


def rows(engines: Engines) -> list[Mbrola]:
    """Return one generator for each voice that espeak-ng can drive, in the corpus's languages."""
    return [
        Mbrola(f"mbrola-{voice}", voice, language, engines) for voice, language in _VOICES.items()
    ]
