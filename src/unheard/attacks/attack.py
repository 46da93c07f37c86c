"""What every generator of spoofed speech is: a value with a name, a family and one verb.

A generator takes either a bona fide recording (copy-synthesis, conversion, codec) or a text
(text to speech) and gives a waveform at 16 kHz. Engines that are Debian or npm packages are found
when the generator is used, never on import.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol, runtime_checkable

import numpy as np

from unheard.types import FloatArray

__all__ = ["FAMILIES", "VERSION", "Attack", "Copy", "Kind", "Speech"]

Kind = Literal["copy", "text"]
"""What a generator starts from: a recording, or a text."""

VERSION = 2
"""Raised when what a generator makes of a clip changes: copies that were kept are made again."""

FAMILIES = (
    "formant",
    "articulatory",
    "statistical",
    "diphone",
    "unit selection",
    "neural TTS",
    "neural vocoder",
    "signal vocoder",
    "parametric codec",
    "neural codec",
    "conversion",
    "diffusion",
)


@dataclass(frozen=True, eq=False)
class Speech:
    """What a generator starts from.

    Attributes:
        samples: Bona fide recording, shape [T] float32 at 16 kHz, for generators of kind "copy".
        text: What to say, for generators of kind "text".
        language: ISO 639-1 code of the text.
    """

    samples: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))
    text: str = ""
    language: str = "en"


@runtime_checkable
class Attack(Protocol):
    """A generator: a frozen dataclass, listed in `unheard.attacks.ATTACKS`."""

    @property
    def name(self) -> str:
        """System and voice, such as "flite-slt"; goes to `Clip.attack`."""
        ...

    @property
    def family(self) -> str:
        """One of `FAMILIES`; goes to `Clip.family`."""
        ...

    @property
    def kind(self) -> Kind:
        """Whether the generator copies a recording or speaks a text."""
        ...

    @property
    def languages(self) -> tuple[str, ...]:
        """ISO 639-1 codes that the generator can speak; empty if any, as for copies."""
        ...

    @property
    def free(self) -> bool:
        """Whether its output may train weights that we ship."""
        ...

    @property
    def licence(self) -> str:
        """Licence of the engine and voice, such as "GPL-3.0-or-later"; goes to `Clip.licence`."""
        ...

    @property
    def packages(self) -> tuple[str, ...]:
        """What to get, as "debian:NAME", "debian/non-free:NAME", "pypi:NAME==X", "npm:NAME@X".

        A file of a public repository is "git:OWNER/NAME@COMMIT". Libraries that an unpacked
        Debian package needs beside it are named too. Empty if nothing beyond this package's own
        dependencies is needed.
        """
        ...

    def missing(self) -> str:
        """Return what must be installed before the generator works; "" if it is ready."""
        ...

    def generate(self, speech: Speech, rng: np.random.Generator) -> FloatArray:
        """Return spoofed speech, shape [T'] float32 at 16 kHz.

        A copy has the length of its source. Raises AttackError if the engine is not installed,
        fails, or gives silence or non-finite samples.
        """
        ...


class Copy:
    """What generators that start from a recording have in common."""

    kind: ClassVar[Kind] = "copy"
    languages: ClassVar[tuple[str, ...]] = ()
