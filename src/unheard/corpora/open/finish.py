"""The equalising chain: the same for both labels, so that only what a generator does is left.

Each clip: trim to speech, crop, one low-pass, room or noise, one codec, one level, the same random
edges, dither. What is drawn depends on the seed and the clip's id, never on its label. T samples at
16 kHz.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from unheard.audio import SAMPLE_RATE_HZ, codecs
from unheard.corpora.open.speech import speech_bounds
from unheard.types import FloatArray

__all__ = ["Draw", "draw", "equalise", "matched_durations_s", "trimmed"]

SHORTEST_S = 1.5
KEPT = 0.94
"""Share of its speech that a clip keeps at most: each is cropped, so that no edge tells a label."""

LOW_PASS_HZ = (3_400.0, 5_500.0, 7_000.0, 8_000.0)
LEVEL_DB = -26.0
DITHER_DB = -70.0
_CODECS: tuple[tuple[str, tuple[float, ...]], ...] = (
    ("opus", (12, 24, 48)),
    ("mp3", (32, 64)),
    ("aac", (24, 48)),
    ("vorbis", (32, 64)),
    ("g722", (64,)),
)


@dataclass(frozen=True)
class Draw:
    """What is drawn for one clip.

    Attributes:
        start: Where the crop begins, as a share of the slack, 0 to 1.
        low_pass_hz: Highest frequency kept; 8000 keeps all.
        room_s: Reverberation time of a simulated room, seconds; 0 for none.
        noise_db: Signal-to-noise ratio of added noise; infinity for none.
        noise_slope: Fall of the noise's spectrum, dB per octave.
        codec: Key of `channel.CODECS`; "" for none.
        kbps: Its bit rate; 0 if none.
        lead_s: Silence before speech, seconds.
        trail_s: Silence after speech, seconds.
        gain_db: Level against `LEVEL_DB`.
        seed: Seed of noise, room and dither.
    """

    start: float
    low_pass_hz: float
    room_s: float
    noise_db: float
    noise_slope: float
    codec: str
    kbps: float
    lead_s: float
    trail_s: float
    gain_db: float
    seed: int

    @property
    def channel(self) -> str:
        """The codec as `Clip.codec` names it, such as "opus-24k"; "pcm" for none."""
        return f"{self.codec}-{self.kbps:g}k" if self.codec else "pcm"


def draw(seed: int, clip_id: str) -> Draw:
    """Return what is drawn for a clip; a function of seed and id alone."""
    digest = hashlib.sha256(f"{seed}/{clip_id}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "little"))
    codec, kbps = "", 0.0
    low_pass_hz = float(rng.choice(LOW_PASS_HZ, p=(0.15, 0.2, 0.25, 0.4)))
    room_s = float(rng.uniform(0.1, 0.5)) if rng.random() < 0.25 else 0.0
    noise_db = float(rng.uniform(8.0, 35.0)) if rng.random() < 0.6 else float("inf")
    if rng.random() < 0.6:
        codec, rates = _CODECS[int(rng.integers(len(_CODECS)))]
        kbps = float(rng.choice(rates))
    return Draw(
        start=float(rng.random()),
        low_pass_hz=low_pass_hz,
        room_s=room_s,
        noise_db=noise_db,
        noise_slope=float(rng.uniform(-6.0, 0.0)),
        codec=codec,
        kbps=kbps,
        lead_s=float(rng.uniform(0.02, 0.2)),
        trail_s=float(rng.uniform(0.02, 0.2)),
        gain_db=float(rng.uniform(-4.0, 4.0)),
        seed=int.from_bytes(digest[8:12], "little"),
    )


def trimmed(samples: FloatArray) -> FloatArray:
    """Return the speech in a recording, without silent edges, shape [T']."""
    start, end = speech_bounds(samples)
    return samples[start:end]


def matched_durations_s(
    bonafide_s: FloatArray, spoof_s: FloatArray, longest_s: float
) -> tuple[FloatArray, FloatArray]:
    """Return how long each clip's speech is to be, so that length tells nothing of the label.

    The clips of each label are ranked by length; each gets the shorter of the two lengths at its
    rank, so both labels have one distribution and no clip is ever lengthened.

    Args:
        bonafide_s: Seconds of speech in each bona fide clip, shape [N].
        spoof_s: In each spoofed clip, shape [M].
        longest_s: Most seconds that any clip keeps.

    Returns:
        Target seconds in the order given, shapes [N] and [M].
    """
    if bonafide_s.size == 0 or spoof_s.size == 0:
        both = np.concatenate([bonafide_s, spoof_s])
        cut = np.minimum(both * KEPT, longest_s)
        return cut[: bonafide_s.size], cut[bonafide_s.size :]
    grid = np.linspace(0.0, 1.0, 2048)
    lower = np.minimum(np.quantile(bonafide_s, grid), np.quantile(spoof_s, grid))
    target = np.minimum(lower * KEPT, longest_s)
    return _at_rank(bonafide_s, grid, target), _at_rank(spoof_s, grid, target)


def equalise(samples: FloatArray, length_s: float, drawn: Draw) -> FloatArray:
    """Return one clip after the whole chain, shape [T'] float32.

    Args:
        samples: Trimmed speech, shape [T].
        length_s: Seconds of speech to keep.
        drawn: What was drawn for the clip.
    """
    rng = np.random.default_rng(drawn.seed)
    n_kept = min(samples.size, round(length_s * SAMPLE_RATE_HZ))
    first = round(drawn.start * (samples.size - n_kept))
    cropped = np.asarray(samples[first : first + n_kept], np.float64)
    speech = _faded(cropped - cropped.mean())
    lead, trail = (round(s * SAMPLE_RATE_HZ) for s in (drawn.lead_s, drawn.trail_s))
    clip: FloatArray = np.pad(speech, (lead, trail))
    if drawn.room_s:
        clip = _in_room(clip, drawn.room_s, rng)
    clip = _levelled(clip, lead, n_kept, LEVEL_DB)
    if np.isfinite(drawn.noise_db):
        clip = clip + _noise(clip.size, drawn.noise_slope, LEVEL_DB - drawn.noise_db, rng)
    clip = _low_passed(clip, drawn.low_pass_hz)
    if drawn.codec:
        sent = codecs.round_trip(clip.astype(np.float32), drawn.codec, kbps=drawn.kbps)
        clip = np.asarray(sent, np.float64)
    clip = _levelled(_low_passed(clip, drawn.low_pass_hz), lead, n_kept, LEVEL_DB + drawn.gain_db)
    clip = clip + rng.normal(0.0, 10 ** (DITHER_DB / 20), clip.size)
    clip = clip - clip.mean()
    clip /= max(1.0, float(np.abs(clip).max()) / 0.98)
    return clip.astype(np.float32, copy=False)


def _at_rank(lengths: FloatArray, grid: FloatArray, target: FloatArray) -> FloatArray:
    order = np.argsort(np.argsort(lengths, kind="stable"), kind="stable")
    rank = order / max(1, lengths.size - 1)
    allowed = lengths * KEPT
    kept: FloatArray = np.minimum(np.interp(rank, grid, target), allowed)
    return kept


def _faded(samples: FloatArray) -> FloatArray:
    n_fade = min(samples.size // 2, SAMPLE_RATE_HZ // 100)
    ramp = np.sin(np.linspace(0.0, np.pi / 2, n_fade)) ** 2
    samples[:n_fade] *= ramp
    samples[samples.size - n_fade :] *= ramp[::-1]
    return samples


def _levelled(samples: FloatArray, lead: int, n_speech: int, level_db: float) -> FloatArray:
    """Scale so that the speech has a root mean square of so many dB of full scale."""
    rms = np.sqrt(np.mean(np.square(samples[lead : lead + n_speech]))) + 1e-9
    levelled: FloatArray = samples * (10 ** (level_db / 20) / rms)
    return levelled


def _in_room(samples: FloatArray, time_s: float, rng: np.random.Generator) -> FloatArray:
    from scipy.signal import fftconvolve

    n_taps = round(time_s * SAMPLE_RATE_HZ)
    decay = 10 ** (-3.0 * np.arange(n_taps) / n_taps)
    tail = rng.normal(0.0, 1.0, n_taps) * decay
    tail *= rng.uniform(0.1, 0.6) / np.sqrt(np.sum(tail**2))
    tail[0] = 1.0
    wet: FloatArray = fftconvolve(samples, tail)[: samples.size]
    return wet


def _noise(n_samples: int, slope: float, level_db: float, rng: np.random.Generator) -> FloatArray:
    spectrum = np.fft.rfft(rng.normal(0.0, 1.0, n_samples))
    octaves = np.log2(np.maximum(np.arange(spectrum.size), 1) * SAMPLE_RATE_HZ / n_samples / 100.0)
    spectrum *= 10 ** (slope * np.maximum(octaves, 0.0) / 20)
    noise = np.fft.irfft(spectrum, n_samples)
    levelled: FloatArray = noise * (10 ** (level_db / 20) / np.sqrt(np.mean(noise**2)))
    return levelled


def _low_passed(samples: FloatArray, cut_hz: float) -> FloatArray:
    """Linear phase, 200 Hz wide, by the spectrum of the whole clip."""
    if cut_hz >= SAMPLE_RATE_HZ / 2:
        return samples
    spectrum = np.fft.rfft(samples)
    frequency = np.fft.rfftfreq(samples.size, 1 / SAMPLE_RATE_HZ)
    spectrum *= np.clip((cut_hz - frequency) / 200.0 + 0.5, 0.0, 1.0)
    passed: FloatArray = np.fft.irfft(spectrum, samples.size)
    return passed
