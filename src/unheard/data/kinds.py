"""Kinds of generators: one mapping from every family and kind to the six groups of protocols.

The open corpus and our generators name families ("neural vocoder"), the catalogue of demonstration
pages names kinds ("vocoder-gan"). A copy of a recording counts as its generator's kind.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["FAMILY_GROUP", "GROUPS", "KINDS", "group_of", "kinds_of"]

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
