"""What every generator does before and after its engine: check the input, check and fit the output.

T samples.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from unheard import audio
from unheard.attacks.attack import Attack, Speech
from unheard.errors import AttackError, AudioError, suggestion
from unheard.types import FloatArray

__all__ = ["at_rate", "copied", "from_rate", "read", "recording", "spoken", "text", "write"]

SILENCE = 1e-4
"""Root mean square under which a waveform counts as silent: -80 dB of full scale."""

LONGEST_S = 60.0
SHORTEST_TEXT_S = 0.3


def text(attack: Attack, speech: Speech) -> str:
    """Return what a generator is to say, on one line, after checking that it can.

    Raises:
        AttackError: If the generator is not installed, the text is empty or in a language that the
            generator does not speak.
    """
    _ready(attack)
    line = " ".join("".join(c if c.isprintable() else " " for c in speech.text).split())
    if not any(c.isalnum() for c in line):
        raise AttackError(f"{attack.name}: no words in {speech.text!r}; give it a sentence")
    if speech.language not in attack.languages:
        raise AttackError(
            f"{attack.name}: cannot speak {speech.language!r}"
            f"{suggestion(speech.language, attack.languages)}; choose a generator of that language"
        )
    return line


def recording(attack: Attack, speech: Speech) -> FloatArray:
    """Return what a generator is to copy, shape [T] float64, after checking that it can.

    Raises:
        AttackError: If the generator is not installed, or the recording is silent, non-finite or
            shorter than 0.1 s.
    """
    _ready(attack)
    samples = np.asarray(speech.samples, np.float64)
    if samples.ndim != 1 or samples.size < audio.SAMPLE_RATE_HZ // 10:
        raise AttackError(
            f"{attack.name}: a recording of shape {samples.shape}, at least 0.1 s at 16 kHz "
            "in one channel needed; give it a bona fide recording"
        )
    _check(attack.name, samples, "the recording to copy")
    return samples


def spoken(name: str, samples: FloatArray) -> FloatArray:
    """Return what an engine spoke, shape [T] float32 within [-1, 1], after checking it.

    Args:
        name: The generator, for messages.
        samples: Shape [T] at 16 kHz.

    Raises:
        AttackError: If it is silent, non-finite, under 0.3 s or over 60 s.
    """
    length_s = samples.size / audio.SAMPLE_RATE_HZ
    if not SHORTEST_TEXT_S <= length_s <= LONGEST_S:
        raise AttackError(
            f"{name}: gave {length_s:.2f} s of audio, {SHORTEST_TEXT_S:g} to {LONGEST_S:g} s "
            "wanted; use one sentence as the text"
        )
    _check(name, samples, "the output")
    return (samples / max(1.0, float(np.abs(samples).max()))).astype(np.float32)


def copied(name: str, samples: FloatArray, source: FloatArray, *, delay: int = 0) -> FloatArray:
    """Return a copy at the length and level of its source, shape [T] float32 within [-1, 1].

    Args:
        name: The generator, for messages.
        samples: What the engine gave, at 16 kHz.
        source: What it was given, shape [T].
        delay: Samples by which the engine lags; they are taken off the front.

    Raises:
        AttackError: If the copy is silent, non-finite or under half as long as its source.
    """
    late = samples[delay:]
    if 2 * late.size < source.size:
        raise AttackError(
            f"{name}: gave {late.size} samples for a recording of {source.size}; leave it out"
        )
    _check(name, late, "the output")
    fitted = np.zeros(source.size)
    fitted[: late.size] = late[: source.size]
    fitted *= np.sqrt(np.mean(source**2) / np.mean(fitted**2))
    return (fitted / max(1.0, float(np.abs(fitted).max()))).astype(np.float32)


def read(name: str, path: Path) -> FloatArray:
    """Return the audio file that an engine wrote, shape [T] at 16 kHz.

    Raises:
        AttackError: If there is no file, or none that can be read.
    """
    try:
        return audio.read(path, minimum_s=0.0).samples
    except AudioError as error:
        raise AttackError(f"{name}: wrote no usable audio ({error})") from error


def write(path: Path, samples: FloatArray, rate_hz: int = audio.SAMPLE_RATE_HZ) -> Path:
    """Write samples, shape [T], as a 16-bit WAV file for an engine to read."""
    import soundfile

    soundfile.write(path, np.clip(samples, -1.0, 1.0), rate_hz, subtype="PCM_16")
    return path


def at_rate(samples: FloatArray, rate_hz: int) -> FloatArray:
    """Return samples, shape [T] at 16 kHz, at the rate an engine works at."""
    import soxr

    out: FloatArray = soxr.resample(samples, audio.SAMPLE_RATE_HZ, rate_hz)
    return out


def from_rate(samples: FloatArray, rate_hz: int) -> FloatArray:
    """Return samples of an engine that works at another rate, shape [T] at 16 kHz."""
    import soxr

    out: FloatArray = soxr.resample(samples, rate_hz, audio.SAMPLE_RATE_HZ)
    return out


def _ready(attack: Attack) -> None:
    lacking = attack.missing()
    if lacking:
        raise AttackError(f"{attack.name}: {lacking}")


def _check(name: str, samples: FloatArray, what: str) -> None:
    if not np.isfinite(samples).all():
        raise AttackError(f"{name}: {what} has samples that are not numbers; leave this clip out")
    if samples.size == 0 or np.sqrt(np.mean(np.square(samples, dtype=np.float64))) < SILENCE:
        raise AttackError(f"{name}: {what} is silent; leave this clip out or change the text")
