"""Kinds and systems of generators: what corpora name differently, under one name.

The open corpus and our generators name families ("neural vocoder"), the catalogue of demonstration
pages names kinds ("vocoder-gan"): both are in one of six groups of protocols. A copy of a recording
counts as its generator's kind. Our generators name voices and sets of weights ("kokoro-af_heart"),
the catalogue names base systems ("kokoro").
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["FAMILY_GROUP", "GROUPS", "KINDS", "base_system", "group_of", "kinds_of"]

GROUPS: dict[str, str] = {
    "tts-ar": "text to speech, auto-regressive",
    "tts-other": "text to speech, any other",
    "codec-lm": "language model over codec tokens",
    "conversion": "voice conversion and editing of speech",
    "vocoder": "copies of recordings by a vocoder",
    "codec": "copies of recordings by a codec",
}
"""The groups that `demos_group_out` leaves out in turn, with what is in them."""

KINDS: dict[str, str] = {
    "tts-ar": "tts-ar",
    "tts-nar": "tts-other",
    "tts-diffusion": "tts-other",
    "tts-e2e": "tts-other",
    "tts-concat-param": "tts-other",
    "tts-codec-lm": "codec-lm",
    "vc": "conversion",
    "speech-edit": "conversion",
    "vocoder-gan": "vocoder",
    "vocoder-diffusion": "vocoder",
    "vocoder-flow": "vocoder",
    "vocoder-ar": "vocoder",
    "vocoder-signal": "vocoder",
    "codec-neural": "codec",
    "commercial": "",
    "unknown": "",
}
"""Kinds of demonstration pages -> group; "" where what is inside is not known."""

FAMILY_GROUP: dict[str, str] = KINDS | {
    "formant": "tts-other",
    "articulatory": "tts-other",
    "statistical": "tts-other",
    "diphone": "tts-other",
    "unit selection": "tts-other",
    "neural TTS": "tts-other",
    "neural vocoder": "vocoder",
    "signal vocoder": "vocoder",
    "diffusion": "vocoder",
    "parametric codec": "codec",
    "neural codec": "codec",
    "conversion": "conversion",
}
"""Every value of `Clip.family` that this project writes -> group."""


_BASE_SYSTEM: dict[str, str] = {
    "hifi-gan-universal": "hifi-gan-v1",
    "hifi-gan-ljspeech": "hifi-gan-v1",
    "hifi-gan-16khz": "hifi-gan-v1",
    "hifi-gan-v3-ljspeech": "hifi-gan-v3",
    "lyra-3200": "lyra-v2",
    "lyra-6000": "lyra-v2",
    "lyra-9200": "lyra-v2",
    "world-shift": "world",
}
"""Our generators whose base system has another name in the catalogue of demonstration pages."""

_VOICES: dict[str, str] = {
    "kokoro-": "kokoro",
    "mbrola-": "mbrola",
    "pico-": "svox-pico",
}
"""The same for all generators whose names begin so: the rest is the voice."""


def base_system(attack: str) -> str:
    """Return the system that decides whether a detector has met an attack; else the attack itself.

    Args:
        attack: `Clip.attack`; of demonstration pages it is the base system already.

    Example:
        >>> base_system("kokoro-af_heart"), base_system("bigvgan")
        ('kokoro', 'bigvgan')
    """
    for start, system in _VOICES.items():
        if attack.startswith(start):
            return system
    return _BASE_SYSTEM.get(attack, attack)


def group_of(family: str, notes: Mapping[str, str] | None = None) -> str:
    """Return the group of a clip; "" if it has none, as people and unknown systems.

    Args:
        family: `Clip.family`.
        notes: `Clip.notes`; those of a reconstructed twin name its generator's family.
    """
    made_by = (notes or {}).get("generator_family", "")
    return FAMILY_GROUP.get(made_by or family, "")


def kinds_of(group: str) -> tuple[str, ...]:
    """Return the families and kinds of a group, sorted."""
    return tuple(sorted(name for name, its_group in FAMILY_GROUP.items() if its_group == group))
