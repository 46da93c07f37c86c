"""How big a corpus is, and what goes into which part: the tables that the plan is drawn from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["EXTRA_PARTS", "PARTS_OF_SPEAKER", "SIZES", "Size", "parts_of_voice", "shares"]


@dataclass(frozen=True)
class Size:
    """How many clips are wanted; 0 takes all there are.

    Attributes:
        bonafide: Bona fide clips by part.
        spoof: Spoofed clips by part.
        extra: Spoofed clips by part, of the families that the default protocol holds out.
        speakers: Parts of each speaker; who is not named is not used. None for the default,
            `PARTS_OF_SPEAKER`.
        systems: Generators whose names begin so are used; empty for all.
        captions: Whether the captions of the drawing stamps, which are GPL-2, are spoken; if not,
            lines of our own.
        longest_s: Most seconds of speech in an equalised clip.
    """

    bonafide: Mapping[str, int]
    spoof: Mapping[str, int]
    extra: Mapping[str, int]
    speakers: Mapping[str, tuple[str, ...]] | None = None
    systems: tuple[str, ...] = ()
    captions: bool = True
    longest_s: float = 4.0


SIZES: dict[str, Size] = {
    "tiny": Size(
        bonafide={"train": 5, "dev": 4, "eval_in": 4, "eval_out": 5},
        spoof={"train": 10, "dev": 8, "eval_in": 8, "eval_out": 9},
        extra={},
        speakers={
            "asterisk-carlo": ("train",),
            "asterisk-ivrvoice": ("dev",),
            "asterisk-allison": ("eval_in", "eval_out"),
            "festvox-ru-nsh": ("eval_out",),
        },
        systems=(
            "codec2",
            "festival-ru",
            "flite",
            "griffin-lim",
            "kokoro",
            "pico",
            "world",
        ),
        captions=False,
        longest_s=2.0,
    ),
    "small": Size(
        bonafide={"train": 270, "dev": 90, "eval_in": 120, "eval_out": 140},
        spoof={"train": 640, "dev": 200, "eval_in": 280, "eval_out": 320},
        extra={},
    ),
    "medium": Size(
        bonafide={"train": 900, "dev": 220, "eval_in": 240, "eval_out": 280},
        spoof={"train": 1700, "dev": 420, "eval_in": 480, "eval_out": 560},
        extra={"train_extra": 500, "dev_extra": 150},
    ),
    "full": Size(
        bonafide={"train": 0, "dev": 0, "eval_in": 0, "eval_out": 0},
        spoof={"train": 9000, "dev": 2400, "eval_in": 3000, "eval_out": 4500},
        extra={"train_extra": 3000, "dev_extra": 800},
    ),
}

EXTRA_PARTS = {"train_extra": "train", "dev_extra": "dev"}
"""Parts with the held-out families on training and development speakers, and those speakers' part.

They are used when every family may be trained on: leaving one family out, and shipped detectors.
"""

PARTS_OF_SPEAKER: dict[str, tuple[str, ...]] = {
    "fillets-nl-m": ("train",),
    "fillets-nl-v": ("train",),
    "asterisk-carlo": ("train",),
    "tuxpaint-nl": ("train",),
    "tuxpaint-fr": ("train",),
    "tuxpaint-ro": ("train",),
    "tuxpaint-be": ("train",),
    "tuxpaint-bg": ("train",),
    "tuxpaint-en": ("train",),
    "tuxpaint-lt": ("train",),
    "ktuberling-fr": ("train",),
    "ktuberling-en": ("train",),
    "ktuberling-de": ("train",),
    "ktuberling-gl": ("train",),
    "ktuberling-lt": ("train",),
    "ktuberling-nn": ("train",),
    "ktuberling-sl": ("train",),
    "ktuberling-uk": ("train",),
    "fillets-cs-m": ("dev",),
    "tuxpaint-es": ("dev",),
    "tuxpaint-ca": ("dev",),
    "tuxpaint-da": ("dev",),
    "ktuberling-ca": ("dev",),
    "ktuberling-da": ("dev",),
    "fillets-cs-v": ("eval_in", "eval_out"),
    "asterisk-allison": ("eval_in", "eval_out"),
    "asterisk-ivrvoice": ("eval_in", "eval_out"),
    "tuxpaint-ru": ("eval_in", "eval_out"),
    "tuxpaint-el": ("eval_in", "eval_out"),
    "ktuberling-ru": (),
    "ktuberling-el": (),
    "festvox-ru-nsh": ("eval_out",),
}
"""Where a speaker's recordings go. All sets of one language that may share a volunteer go together.

The unit-selection voice of festvox-ru is the same man as its recordings, so both are in eval_out
only. Word lists of evaluation languages are not used.
"""

_TRAINED = {"formant": 0.2, "statistical": 0.25, "diphone": 0.2, "signal vocoder": 0.35}
_HELD_OUT = {
    "neural TTS": 0.24,
    "neural vocoder": 0.2,
    "unit selection": 0.12,
    "parametric codec": 0.16,
    "conversion": 0.18,
    "diffusion": 0.1,
}
_VOICES: dict[str, tuple[str, ...]] = {
    "flite-awb": ("train",),
    "flite-rms": ("train",),
    "flite-slt": ("eval_in",),
    "flite-kal16": ("train",),
    "festival-kallpc16k": ("train",),
    "festival-kdlpc16k": ("eval_in",),
    "festival-italp16k": ("train",),
    "festival-itapc16k": ("train",),
    "festival-czech-dita": ("dev",),
    "festival-czech-krb": ("dev",),
    "festival-czech-machac": ("eval_in",),
    "festival-czech-ph": ("eval_in",),
    "festival-ru": ("eval_out",),
    "pico-en-US": ("train",),
    "pico-fr-FR": ("train",),
    "pico-it-IT": ("train",),
    "pico-de-DE": ("train",),
    "pico-es-ES": ("dev",),
    "pico-en-GB": ("eval_in",),
    "griffin-lim-mel": ("train", "dev", "eval_in"),
    "griffin-lim-linear": ("eval_in",),
    "world": ("train", "dev", "eval_in"),
    "mlsa": ("eval_in",),
}
_NEURAL_VOICES = {
    "kokoro-af_bella": "train_extra",
    "kokoro-am_fenrir": "train_extra",
    "kokoro-bf_isabella": "train_extra",
    "kokoro-ff_siwis": "train_extra",
    "kokoro-if_sara": "train_extra",
    "kokoro-im_nicola": "train_extra",
    "kokoro-em_santa": "dev_extra",
}
"""The others are in eval_out: hibari too, whose voice is a student of one of them."""

_NOT_PLANNED = re.compile(
    "(audioldm|cargan|dac|diffusion|encodec|gnuspeech|hifi-gan|lyra|mimi|nsf|parallel-wavegan)(-.*)?"
)
"""They came after the corpus was laid out, or their weights are in no package: they copy clips of a
finished corpus, see `unheard generate copies`."""

_VARIANTS = {"": "train", "klatt": "train", "f2": "dev", "m3": "eval_in", "klatt4": "eval_in"}


def shares(part: str) -> dict[str, float]:
    """Return the families of spoofed clips in a part and their shares, by the default protocol.

    A share does not depend on which generators are installed: a missing family leaves a gap and
    changes no other clip.

    Args:
        part: Name of a part.
    """
    return _HELD_OUT if part in EXTRA_PARTS or part == "eval_out" else _TRAINED


def parts_of_voice(name: str, family: str, kind: str) -> tuple[str, ...]:
    """Return the parts in which a generator may be used; none if it is not assigned to any.

    A voice is in one part only. A copy has the voice of its source, whose speaker is in one part,
    so the same copying system may be in several parts. Neural TTS voices of the extra parts are
    others than those of eval_out.

    Args:
        name: As in `ATTACKS`.
        family: Its family.
        kind: "copy" or "text".
    """
    if _NOT_PLANNED.fullmatch(name):
        return ()
    if name.startswith("espeak-ng-"):
        return (_VARIANTS.get(name.removeprefix("espeak-ng-").partition("-")[2], "eval_in"),)
    if name in _VOICES:
        return _VOICES[name]
    if family in _TRAINED:
        return ("eval_in",)
    if kind == "copy":
        return ("train_extra", "dev_extra", "eval_out")
    return (_NEURAL_VOICES.get(name, "eval_out"),)
