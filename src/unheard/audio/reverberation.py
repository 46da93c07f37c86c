"""Rooms that a recording may be played in: simulated from their walls, or only from their decay.

Both keep the length and the level, put the direct sound where the wave was, give float32 in
[-1, 1], and give the same wave for the same generator state.

T samples at 16 kHz, K samples of a response, M images of a source.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from unheard.audio.recording import SAMPLE_RATE_HZ
from unheard.audio.transforms import SILENCE, bounded, power
from unheard.types import FloatArray

__all__ = ["SOUND_M_PER_S", "images", "response", "room", "shoebox"]

SOUND_M_PER_S = 343.0
EARLY_S = 0.08  # after the direct sound; then reflections are too dense to tell from noise
HEIGHTS_M = (2.2, 4.0)
NEAREST_M = 0.1  # no source is nearer to a microphone than this
LOWEST_HZ = 40.0


def room(
    wave: FloatArray,
    rng: Generator,
    *,
    low_s: float = 0.1,
    high_s: float = 0.7,
    direct_low_db: float = 0.0,
    direct_high_db: float = 15.0,
) -> FloatArray:
    """Play the wave in a simulated room: the direct sound, then exponentially decaying noise.

    The level is kept.

    Args:
        wave: Shape [T].
        rng: Source of randomness.
        low_s: Shortest reverberation time, to a decay of 60 dB.
        high_s: Longest reverberation time.
        direct_low_db: Smallest ratio of direct to reverberant energy.
        direct_high_db: Largest ratio of direct to reverberant energy.

    Source:
        J. D. Polack, La transmission de l'energie sonore dans les salles, 1988: late reverberation
        as decaying Gaussian noise. Difference: early reflections are part of the noise.
    """
    t60_s = rng.uniform(low_s, high_s)
    ratio = 10 ** (-rng.uniform(direct_low_db, direct_high_db) / 10)
    first = int(rng.uniform(0.002, 0.02) * SAMPLE_RATE_HZ)
    after_s = np.arange(round(t60_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    tail = rng.standard_normal(after_s.size) * 10 ** (-3 * after_s / t60_s)
    tail *= np.sqrt(ratio / np.sum(tail**2))
    response = np.concatenate([[1.0], np.zeros(first), tail]).astype(np.float32)
    return _played(wave, response)


def shoebox(
    wave: FloatArray,
    rng: Generator,
    *,
    low_s: float = 0.15,
    high_s: float = 0.8,
    low_m: float = 2.5,
    high_m: float = 10.0,
) -> FloatArray:
    """Play the wave in a room with six walls, from one place in it to another, all at random.

    The places are at least a tenth of the room away from every wall.

    Args:
        wave: Shape [T].
        rng: Source of randomness.
        low_s: Shortest reverberation time, to a decay of 60 dB.
        high_s: Longest reverberation time.
        low_m: Shortest side of the floor.
        high_m: Longest side of the floor.

    Source:
        See `response`.
    """
    t60_s = rng.uniform(low_s, high_s)
    size_m = np.array([*rng.uniform(low_m, high_m, 2), rng.uniform(*HEIGHTS_M)])
    source_m, microphone_m = size_m * rng.uniform(0.1, 0.9, (2, 3))
    return _played(wave, response(size_m, source_m, microphone_m, t60_s, rng))


def response(
    size_m: FloatArray,
    source_m: FloatArray,
    microphone_m: FloatArray,
    t60_s: float,
    rng: Generator,
) -> FloatArray:
    """Return the impulse response of a room of six equal walls, from a source to a microphone.

    Reflections of the first 80 ms are images of the source; the rest is Gaussian noise of the
    power that the images would have, falling by 60 dB in the reverberation time. That costs a
    hundredth of all images and rings like a room with furniture: with nothing in it and equal
    walls, images alone give sweeping echoes and a decay that is no exponential.

    Args:
        size_m: Sides of the room, shape [3].
        source_m: Place of the source, from a corner of the room, shape [3].
        microphone_m: Place of the microphone, shape [3].
        t60_s: Reverberation time, to a decay of 60 dB.
        rng: Source of the late noise.

    Returns:
        Shape [K] from the arrival of the direct sound, which is the first sample, to a decay of
        60 dB; a source 1 m away has a direct sound of 1. Nothing under 40 Hz, where the images,
        all of one sign, would add up without limit.

    Source:
        J. B. Allen and D. A. Berkley, Image method for efficiently simulating small-room acoustics,
        1979; C. F. Eyring, Reverberation time in "dead" rooms, 1930, for the absorption of the
        walls. Differences: delays are whole samples; walls absorb all frequencies alike.
    """
    from scipy.signal import butter, sosfilt

    volume_m3, surface_m2 = np.prod(size_m), 2 * np.sum(np.prod(size_m) / size_m)
    echo = 10 ** (-3 * 4 * volume_m3 / (SOUND_M_PER_S * surface_m2 * t60_s))
    direct_s = max(float(np.linalg.norm(source_m - microphone_m)), NEAREST_M) / SOUND_M_PER_S
    delay_s, gain = images(
        size_m, source_m, microphone_m, echo=echo, until_s=direct_s + min(EARLY_S, t60_s)
    )
    n_total, n_early = round(t60_s * SAMPLE_RATE_HZ) + 1, round(EARLY_S * SAMPLE_RATE_HZ)
    after = np.rint((delay_s - direct_s) * SAMPLE_RATE_HZ).astype(np.int64)
    sound = np.asarray(np.bincount(after, gain, minlength=n_total), np.float64)
    late_s = direct_s + np.arange(n_early + 1, n_total) / SAMPLE_RATE_HZ
    # Images in a shell around the microphone, 4 pi c^3 t^2 / V of them in a second, times the
    # power of each, 1 / (c t)^2: what grows and what falls with distance cancel.
    power_per_s = 4 * np.pi * SOUND_M_PER_S / volume_m3 * 10 ** (-6 * late_s / t60_s)
    late = rng.standard_normal(late_s.size) * np.sqrt(power_per_s / SAMPLE_RATE_HZ)
    sound[n_early + 1 : n_total] += late
    high_pass = butter(2, LOWEST_HZ, "highpass", fs=SAMPLE_RATE_HZ, output="sos")
    return np.asarray(sosfilt(high_pass, sound), np.float32)


def images(
    size_m: FloatArray,
    source_m: FloatArray,
    microphone_m: FloatArray,
    *,
    echo: float,
    until_s: float,
) -> tuple[FloatArray, FloatArray]:
    """Return delays and gains of the images of a source in a room's walls.

    Args:
        size_m: Sides of the room, shape [3].
        source_m: Place of the source, from a corner of the room, shape [3].
        microphone_m: Place of the microphone, shape [3].
        echo: What a wall gives back of an amplitude, in [0, 1].
        until_s: Longest delay.

    Returns:
        Delays in seconds and gains, both of shape [M], in no order; 1 at 1 m without a wall.

    Source:
        J. B. Allen and D. A. Berkley, 1979, equation 8.
    """
    reach_m = until_s * SOUND_M_PER_S
    distance2_m2, n_walls = np.zeros(()), np.zeros((), np.int64)
    for side_m, from_m, to_m in zip(size_m, source_m, microphone_m, strict=True):
        n_most = int(reach_m / side_m) + 1
        crossed = np.arange(-n_most, n_most + 1)  # walls between the image and the microphone
        mirrored = crossed % 2 != 0
        at_m = np.where(mirrored, (crossed + 1) * side_m - from_m, crossed * side_m + from_m)
        distance2_m2 = distance2_m2[..., None] + (at_m - to_m) ** 2
        n_walls = n_walls[..., None] + np.abs(crossed)
    distance_m = np.maximum(np.sqrt(distance2_m2), NEAREST_M)
    near = distance_m <= reach_m
    return distance_m[near] / SOUND_M_PER_S, echo ** n_walls[near] / distance_m[near]


def _played(wave: FloatArray, response: FloatArray) -> FloatArray:
    """Return a wave [T] through a response [K], of the same length and level."""
    from scipy.signal import oaconvolve

    wet = oaconvolve(wave, response)[: wave.size]
    return bounded(wet * np.sqrt(power(wave) / max(power(wet), SILENCE**2)))
