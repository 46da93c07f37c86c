"""Conditions that a recording may come to a detector under, to test it and not to train it.

Each is a function of a wave and of the clip's id: the same clip is changed in the same way on every
machine, in any order, in any process. Conditions of one group share what they draw, so a clip meets
the same noise at three levels and not three noises. A wave without sound comes back as it is.

The length is kept, except by the groups `trim` and `speed`. T samples at 16 kHz.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.random import Generator

from unheard.audio import codecs
from unheard.audio import recording as audio
from unheard.audio.activity import FRAME_S, Gauge
from unheard.audio.recording import SAMPLE_RATE_HZ
from unheard.audio.reverberation import shoebox
from unheard.audio.transforms import (
    SILENCE,
    band_pass,
    bounded,
    codec,
    denoiser,
    low_pass,
    mu_law,
    noise,
    power,
    resampling,
)
from unheard.errors import RecipeError, suggestion
from unheard.types import FloatArray

__all__ = [
    "CONDITIONS",
    "RAW",
    "Condition",
    "coded",
    "level",
    "loudspeaker",
    "named_conditions",
    "processed",
    "speech_alone",
    "speed",
]

RAW = "raw"
"""Name of the condition that changes nothing; all others are compared with it."""

_FRAME = round(FRAME_S * SAMPLE_RATE_HZ)


@dataclass(frozen=True)
class Condition:
    """What happens to a recording, under a name.

    Attributes:
        name: Its name in `CONDITIONS`.
        group: What it is a kind of; conditions of a group draw alike.
        words: The same for people.
        steps: Functions of a wave [T] and a generator, with their numbers set, in order.
    """

    name: str
    group: str
    words: str
    steps: tuple[partial[FloatArray], ...] = ()

    def __call__(self, wave: FloatArray, clip_id: str) -> FloatArray:
        """Return a wave [T] float32 in [-1, 1] as it comes under this condition.

        Args:
            wave: Shape [T] at 16 kHz in [-1, 1]; it is not changed.
            clip_id: Which clip it is; decides all that is drawn.
        """
        if not wave.size or power(wave) < SILENCE:
            return wave
        digest = hashlib.sha256(f"{self.group}\n{clip_id}".encode()).digest()
        rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
        for step in self.steps:
            wave = step(wave, rng)
        return wave

    def as_text(self) -> str:
        """Return the steps and their numbers as text: another text is another condition."""
        steps = (
            f"{step.func.__name__}({', '.join(f'{k}={v!r}' for k, v in step.keywords.items())})"
            for step in self.steps
        )
        return " ".join([self.name, self.group, *steps])


def named_conditions(names: str) -> tuple[str, ...]:
    """Return the conditions that a list stands for, in the order of `CONDITIONS`, raw among them.

    Args:
        names: Comma-separated: conditions, groups, "grid" for all but the group safe, "all".

    Raises:
        RecipeError: If a name is none of these.
    """
    groups = {condition.group for condition in CONDITIONS.values()}
    wanted = {RAW}
    for name in (word.strip() for word in names.split(",")):
        if name not in {"all", "grid", *groups, *CONDITIONS}:
            raise RecipeError(
                f"no condition {name!r}{suggestion(name, {'all', 'grid', *groups, *CONDITIONS})}"
            )
        wanted |= {
            condition.name
            for condition in CONDITIONS.values()
            if name in ("all", condition.group, condition.name)
            or (name == "grid" and condition.group != "safe")
        }
    return tuple(name for name in CONDITIONS if name in wanted)


def processed(wave: FloatArray, rng: Generator, *, codec_share: float = 0.75) -> FloatArray:
    """Send a wave [T] through one codec or one change of sample rate, drawn at random.

    Args:
        wave: Shape [T].
        rng: Source of randomness.
        codec_share: Share of clips that meet a codec; the others are resampled.
    """
    return codec(wave, rng) if rng.random() < codec_share else resampling(wave, rng)


def loudspeaker(
    wave: FloatArray,
    rng: Generator,
    *,
    low_drive: float = 0.5,
    high_drive: float = 2.0,
    most_offset: float = 0.1,
) -> FloatArray:
    """Play a wave [T] through a small loudspeaker: one band, and a cone that moves less and less.

    The band begins at 80 to 300 Hz and ends at 5 to 7.5 kHz. The level is kept. The saturation has
    no memory, which that of a real loudspeaker has.

    Args:
        wave: Shape [T].
        rng: Source of randomness.
        low_drive: Least saturation: the peak moves the cone to tanh(drive).
        high_drive: Most saturation.
        most_offset: Most that the cone rests off its middle, as a share of the peak: what gives
            even harmonics.
    """
    wave = band_pass(
        wave, rng, bottom_low_hz=80, bottom_high_hz=300, top_low_hz=5000, top_high_hz=7500
    )
    drive, offset = rng.uniform(low_drive, high_drive), rng.uniform(0, most_offset)
    peak = max(float(np.max(np.abs(wave))), SILENCE)
    moved = np.tanh(drive * (wave / peak + offset)) - np.tanh(drive * offset)
    return bounded(moved * np.sqrt(power(wave) / max(power(moved), SILENCE)))


def coded(wave: FloatArray, rng: Generator, *, name: str, kbps: float) -> FloatArray:
    """Send a wave [T] through one codec of `codecs.CODECS` at one of its bit rates."""
    return bounded(codecs.round_trip(wave, name, kbps=kbps))


def level(wave: FloatArray, rng: Generator, *, gain_db: float) -> FloatArray:
    """Change the level of a wave [T]; what would pass full scale is cut off, as recorders do."""
    changed: FloatArray = np.clip(wave * 10 ** (gain_db / 20), -1, 1)
    return changed.astype(np.float32)


def speech_alone(wave: FloatArray, rng: Generator, *, most_s: float = math.inf) -> FloatArray:
    """Remove what comes before the first and after the last speech of a wave [T].

    Pauses inside stay. A wave without speech comes back as it is.

    Args:
        wave: Shape [T].
        rng: Not used.
        most_s: Seconds of speech, pauses not counted, after which it ends.
    """
    gauge = Gauge()
    gauge.push(wave)
    starts_s = np.arange(wave.size // _FRAME) * FRAME_S
    spoken = [n for n, start_s in enumerate(starts_s) if gauge.speech_s(start_s, start_s + FRAME_S)]
    if not spoken:
        return wave
    n_kept = math.ceil(min(most_s / FRAME_S, len(spoken)))
    last = spoken[n_kept - 1]
    return wave[spoken[0] * _FRAME : (last + 1) * _FRAME]


def speed(wave: FloatArray, rng: Generator, *, factor: float) -> FloatArray:
    """Play a wave [T] faster or slower, pitch and all; shape [round(T / factor)]."""
    return bounded(audio.resample(wave, round(SAMPLE_RATE_HZ * factor), SAMPLE_RATE_HZ))


def _table(*conditions: Condition) -> dict[str, Condition]:
    return {condition.name: condition for condition in conditions}


CONDITIONS: dict[str, Condition] = _table(
    Condition(RAW, "safe", "as it is"),
    Condition(
        "processed",
        "safe",
        "one of 12 codecs at one of its bit rates, or one change of sample rate",
        (partial(processed),),
    ),
    Condition(
        "laundered",
        "safe",
        "played by a small loudspeaker in a room and recorded with noise at 15 to 30 dB",
        (
            partial(loudspeaker),
            partial(shoebox, low_s=0.2, high_s=0.6),
            partial(noise, low_db=15, high_db=30),
        ),
    ),
    Condition("gain_down_20", "gain", "20 dB quieter", (partial(level, gain_db=-20),)),
    Condition("gain_down_10", "gain", "10 dB quieter", (partial(level, gain_db=-10),)),
    Condition(
        "gain_up_6", "gain", "6 dB louder, cut off at full scale", (partial(level, gain_db=6),)
    ),
    Condition(
        "low_pass_4k",
        "band",
        "what lies above 4 kHz made weaker, 48 dB an octave",
        (partial(low_pass, low_hz=4e3, high_hz=4e3),),
    ),
    Condition(
        "telephone",
        "band",
        "the band of a telephone line, 300 to 3,400 Hz",
        (
            partial(
                band_pass,
                bottom_low_hz=300,
                bottom_high_hz=300,
                top_low_hz=3400,
                top_high_hz=3400,
            ),
        ),
    ),
    *(
        Condition(
            f"{name}_{kbps}",
            name,
            f"{words} at {kbps} kbit/s",
            (partial(coded, name=name, kbps=kbps),),
        )
        for name, words, rates in (("mp3", "MP3", (64, 32, 16)), ("opus", "Opus", (24, 16, 12, 6)))
        for kbps in rates
    ),
    Condition(
        "gsm_13",
        "gsm",
        "GSM 6.10 at 13 kbit/s, 8 kHz, as call recorders keep it",
        (partial(coded, name="gsm", kbps=13),),
    ),
    Condition(
        "mu_law",
        "mu_law",
        "8 bits with logarithmic steps, 16 kHz",
        (partial(mu_law, low_bits=8, high_bits=8),),
    ),
    *(
        Condition(
            f"noise_{snr_db}",
            "noise",
            f"noise, white to brown, {snr_db} dB below the speech",
            (partial(noise, low_db=snr_db, high_db=snr_db),),
        )
        for snr_db in (30, 20, 15, 10)
    ),
    Condition(
        "room_small",
        "room",
        "a room with sides of 2.5 to 4 m that decays in 0.3 s",
        (partial(shoebox, low_s=0.3, high_s=0.3, low_m=2.5, high_m=4),),
    ),
    Condition(
        "room_large",
        "room",
        "a room with sides of 8 to 12 m that decays in 0.9 s",
        (partial(shoebox, low_s=0.9, high_s=0.9, low_m=8, high_m=12),),
    ),
    Condition("trim_1s", "trim", "the first 1 s of speech", (partial(speech_alone, most_s=1),)),
    Condition("trim_2s", "trim", "the first 2 s of speech", (partial(speech_alone, most_s=2),)),
    Condition(
        "trim_silence", "trim", "no silence before and after the speech", (partial(speech_alone),)
    ),
    Condition(
        "coded_twice",
        "forwarded",
        "MP3 at 64 kbit/s, then Opus at 16",
        (partial(coded, name="mp3", kbps=64), partial(coded, name="opus", kbps=16)),
    ),
    Condition(
        "denoiser",
        "denoiser",
        "steady noise suppressed by up to 15 dB",
        (partial(denoiser, low_db=15, high_db=15),),
    ),
    Condition("speed_0.9", "speed", "a tenth slower, pitch too", (partial(speed, factor=0.9),)),
    Condition("speed_1.1", "speed", "a tenth faster, pitch too", (partial(speed, factor=1.1),)),
)
"""Every condition by the name that commands and score files use, in the order of reports."""
