"""Festival: diphone voices in English, Italian and Czech, and a Russian unit-selection voice.

The program must be installed on the system, for the folders of its library are fixed when it is
compiled; a voice may lie in the corpus cache.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from unheard.attacks import sound
from unheard.attacks.attack import Kind, Speech
from unheard.attacks.engines import Engines, install_hint
from unheard.types import FloatArray

__all__ = ["Festival", "rows"]

_VOICES = "usr/share/festival/voices"
_FREE = "BSD-like (Festival voice)"

_LEXICONS: dict[str, tuple[str, ...]] = {
    "en": ("festlex-cmu", "festlex-poslex"),
    "it": ("festlex-ifd",),
    "cs": ("festival-czech",),
    "ru": (),
}

# name, voice, language, encoding of the voice's rules, Debian package, licence
_ROWS = (
    ("festival-kallpc16k", "kal_diphone", "en", "ascii", "festvox-kallpc16k", _FREE),
    ("festival-kdlpc16k", "ked_diphone", "en", "ascii", "festvox-kdlpc16k", _FREE),
    ("festival-italp16k", "lp_diphone", "it", "iso-8859-1", "festvox-italp16k", "GPL-2.0"),
    ("festival-itapc16k", "pc_diphone", "it", "iso-8859-1", "festvox-itapc16k", "GPL-2.0"),
    ("festival-czech-dita", "czech_dita", "cs", "iso-8859-2", "festvox-czech-dita", "GPL-2.0"),
    ("festival-czech-krb", "czech_krb", "cs", "iso-8859-2", "festvox-czech-krb", "GPL-2.0"),
    ("festival-czech-machac", "czech_machac", "cs", "iso-8859-2", "festvox-czech-machac", "GPL-2.0"),  # noqa: E501
    ("festival-czech-ph", "czech_ph", "cs", "iso-8859-2", "festvox-czech-ph", "GPL-2.0"),
    ("festival-ru", "msu_ru_nsh_clunits", "ru", "utf-8", "festvox-ru", _FREE),
)  # fmt: skip


@dataclass(frozen=True)
class Festival:
    """One Festival voice.

    Attributes:
        name: As in `ATTACKS`.
        voice: Voice of the engine, the name of its folder.
        language: ISO 639-1 code.
        encoding: Encoding of the voice's letter-to-sound rules; other letters are left out.
        package: Debian package of the voice.
        licence: Licence of the voice.
        family: "diphone" or "unit selection".
        engines: Where the engine lies.
    """

    name: str
    voice: str
    language: str
    encoding: str
    package: str
    licence: str
    family: str = "diphone"
    engines: Engines = field(default=Engines())
    kind: ClassVar[Kind] = "text"
    free: ClassVar[bool] = True

    @property
    def languages(self) -> tuple[str, ...]:
        """The one language of the voice."""
        return (self.language,)

    @property
    def packages(self) -> tuple[str, ...]:
        """The engine and the voice."""
        engine = ("festival", "libestools2.5", *_LEXICONS[self.language], self.package)
        return tuple(f"debian:{name}" for name in engine)

    def missing(self) -> str:
        """Return how to install Festival and this voice, or ""."""
        program = Engines().program("festival")
        ready = program is not None and self.engines.data(f"{_VOICES}/*/{self.voice}") is not None
        wanted = [name for name in self.packages if "libestools" not in name]
        return "" if ready else install_hint(f"Festival or its voice {self.voice}", wanted)

    def generate(self, speech: Speech, rng: np.random.Generator) -> FloatArray:
        """Return the text as speech, shape [T] float32 at 16 kHz.

        Raises:
            AttackError: If the engine is not installed, fails, or gives nothing usable.
        """
        line = sound.text(self, speech)
        with tempfile.TemporaryDirectory() as folder:
            script, out = Path(folder) / "say.scm", Path(folder) / "out.wav"
            script.write_bytes(self._script(line, out).encode(self.encoding, errors="ignore"))
            Engines().run(["festival", "-b", script])
            return sound.spoken(self.name, sound.read(self.name, out))

    def _script(self, line: str, out: Path) -> str:
        # A quoting mark or a backslash would end the string and start a program.
        words = line.replace("\\", " ").replace('"', " ")
        speak = f'(utt.save.wave (utt.synth (Utterance Text "{words}")) "{out}" \'riff)'
        return f"{self._shelf()}(voice_{self.voice})\n{speak}\n"

    def _shelf(self) -> str:
        """Scheme that tells the program of a voice that lies in the cache alone."""
        pattern = f"{_VOICES}/*/{self.voice}"
        if Engines().data(pattern) is not None:
            return ""
        return f'(voice-location \'{self.voice} "{self.engines.data(pattern)}/" "")\n'


def rows(engines: Engines) -> list[Festival]:
    """Return one generator for each voice."""
    return [
        Festival(*row, "unit selection" if "clunits" in row[1] else "diphone", engines)
        for row in _ROWS
    ]
