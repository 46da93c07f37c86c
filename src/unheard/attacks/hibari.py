"""hibari: a small neural voice, taught by a Kokoro voice; and its English phonemes."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from unheard.attacks import sound
from unheard.attacks.attack import Kind, Speech
from unheard.attacks.engines import Engines, install_hint
from unheard.types import FloatArray

__all__ = ["PACKAGES", "Hibari", "phonemes", "ready", "rows"]

PACKAGES = ("pypi:hibari-tts==0.2.1", "pypi:onnxruntime")


@dataclass(frozen=True)
class Hibari:
    """The one voice that the package holds; speed is drawn again for each text.

    The other voices of hibari would be downloaded by it, which we never let it do.

    Attributes:
        name: As in `ATTACKS`.
        voice: "heart".
        engines: Where the package lies.
    """

    name: str = "hibari-heart"
    voice: str = "heart"
    engines: Engines = field(default=Engines())
    family: ClassVar[str] = "neural TTS"
    kind: ClassVar[Kind] = "text"
    free: ClassVar[bool] = True
    licence: ClassVar[str] = "Apache-2.0"
    languages: ClassVar[tuple[str, ...]] = ("en",)
    packages: ClassVar[tuple[str, ...]] = PACKAGES

    def missing(self) -> str:
        """Return how to get hibari, or ""."""
        return "" if ready(self.engines) else install_hint("hibari or its runtime", self.packages)

    def generate(self, speech: Speech, rng: np.random.Generator) -> FloatArray:
        """Return the text as speech, shape [T] float32 at 16 kHz.

        Raises:
            AttackError: If the package is missing or gives nothing usable.
        """
        line = sound.text(self, speech)
        speaker = _speaker(_package(self.engines), self.voice)
        speed = float(rng.uniform(0.9, 1.1))
        parts = [
            speaker.from_ids(speaker.ids(phonemes), speed, rng)
            for phonemes in speaker.phonemize(line)
        ]
        samples = np.concatenate([np.zeros(0, np.float32), *parts])
        return sound.spoken(self.name, sound.from_rate(samples, speaker.sample_rate))


def ready(engines: Engines) -> bool:
    """Return whether hibari and the runtime of its models are there."""
    return bool(engines.package("hibari/__init__.py") and util.find_spec("onnxruntime"))


def phonemes(engines: Engines, text: str, *, british: bool) -> str:
    """Return the phonemes of an English text in the alphabet of Kokoro, on one line."""
    return str(_converter(_package(engines), british)(text))


def rows(engines: Engines) -> list[Hibari]:
    """Return the one voice that is in the package."""
    return [Hibari(engines=engines)]


def _package(engines: Engines) -> Path:
    package = engines.package("hibari/__init__.py")
    assert package is not None
    return package


@lru_cache(maxsize=2)
def _speaker(package: Path, voice: str) -> Any:
    return _load(package).Hibari(voice=voice, threads=1)


@lru_cache(maxsize=2)
def _converter(package: Path, british: bool) -> Any:
    _load(package)
    return sys.modules["hibari.g2p"].G2P(british=british)


def _load(package: Path) -> ModuleType:
    """Import hibari from an unpacked wheel under its own name, off the search path."""
    if "hibari" not in sys.modules:
        spec = util.spec_from_file_location(
            "hibari", package, submodule_search_locations=[str(package.parent)]
        )
        assert spec is not None
        assert spec.loader is not None
        module = util.module_from_spec(spec)
        sys.modules["hibari"] = module
        spec.loader.exec_module(module)
    importlib.import_module("hibari.g2p")
    return sys.modules["hibari"]
