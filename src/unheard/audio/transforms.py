"""Changes of level, spectrum and coding that a recording may meet, drawn at random.

Every function keeps the length, gives float32 in [-1, 1], and gives the same wave for the same
generator state.

T samples at 16 kHz.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from unheard.audio import codecs
from unheard.audio import recording as audio
from unheard.audio.recording import SAMPLE_RATE_HZ
from unheard.types import FloatArray

__all__ = [
    "SILENCE",
    "band_pass",
    "bounded",
    "clip",
    "codec",
    "denoiser",
    "equaliser",
    "gain",
    "high_pass",
    "low_pass",
    "mu_law",
    "noise",
    "notch",
    "offset",
    "polarity",
    "power",
    "resampling",
]

SILENCE = 1e-8
"""Mean power under which a wave has no level to set anything against."""


def gain(
    wave: FloatArray, rng: Generator, *, low_db: float = -15.0, high_db: float = 6.0
) -> FloatArray:
    """Change the level by a random amount, as far as the peak allows.

    Args:
        wave: Shape [T].
        rng: Source of randomness.
        low_db: Smallest change.
        high_db: Largest change; less where the peak would pass 1.
    """
    return bounded(wave * 10 ** (rng.uniform(low_db, high_db) / 20))


def polarity(wave: FloatArray, rng: Generator) -> FloatArray:
    """Flip the sign, as a reversed microphone cable does."""
    return -wave


def noise(
    wave: FloatArray, rng: Generator, *, low_db: float = 5.0, high_db: float = 30.0
) -> FloatArray:
    """Add noise whose power falls with frequency as 1 / f^a, a drawn from 0 (white) to 2 (brown).

    Args:
        wave: Shape [T]; silence is returned as it is, for it has no ratio to keep.
        rng: Source of randomness.
        low_db: Smallest signal-to-noise ratio.
        high_db: Largest signal-to-noise ratio.
    """
    snr_db, slope = rng.uniform(low_db, high_db), rng.uniform(0, 2)
    if power(wave) < SILENCE:
        return wave
    spectrum = np.fft.rfft(rng.standard_normal(wave.size, np.float32))
    spectrum[0] = 0
    spectrum[1:] *= np.arange(1, spectrum.size, dtype=np.float32) ** np.float32(-slope / 2)
    hiss = np.fft.irfft(spectrum, wave.size)
    level = np.sqrt(power(wave) / max(power(hiss), SILENCE**2) / 10 ** (snr_db / 10))
    return bounded(wave + hiss * level)


def codec(
    wave: FloatArray, rng: Generator, *, low_kbps: float = 0.0, low_rate_hz: float = 0.0
) -> FloatArray:
    """Send the wave through a lossy codec drawn at random, at a bit rate drawn at random.

    Args:
        wave: Shape [T].
        rng: Source of randomness.
        low_kbps: Lowest bit rate that is drawn.
        low_rate_hz: Lowest sample rate of a codec that is drawn: 16000 leaves telephone codecs out.
    """
    rates_kbps = {
        name: [kbps for kbps in codec.kbps if kbps >= low_kbps]
        for name, codec in codecs.CODECS.items()
        if codec.rate_hz >= low_rate_hz
    }
    name = str(rng.choice(sorted(name for name, rates in rates_kbps.items() if rates)))
    kbps = float(rng.choice(rates_kbps[name]))
    return bounded(codecs.round_trip(wave, name, kbps=kbps))


def low_pass(
    wave: FloatArray, rng: Generator, *, low_hz: float = 3400.0, high_hz: float = 7800.0
) -> FloatArray:
    """Remove what lies above a random frequency, as cheap channels and resamplers do.

    Args:
        wave: Shape [T].
        rng: Source of randomness.
        low_hz: Lowest edge, in (0, 8000).
        high_hz: Highest edge, in (0, 8000).
    """
    from scipy.signal import butter, sosfilt

    edge_hz = rng.uniform(low_hz, high_hz)
    return bounded(sosfilt(butter(8, edge_hz, fs=SAMPLE_RATE_HZ, output="sos"), wave))


def band_pass(
    wave: FloatArray,
    rng: Generator,
    *,
    bottom_low_hz: float = 50.0,
    bottom_high_hz: float = 400.0,
    top_low_hz: float = 3000.0,
    top_high_hz: float = 3800.0,
) -> FloatArray:
    """Keep one band, as a telephone line does (300 to 3400 Hz) or a small loudspeaker.

    Args:
        wave: Shape [T].
        rng: Source of randomness.
        bottom_low_hz: Lowest lower edge, in (0, 8000).
        bottom_high_hz: Highest lower edge, under every upper edge.
        top_low_hz: Lowest upper edge, in (0, 8000).
        top_high_hz: Highest upper edge, in (0, 8000).
    """
    from scipy.signal import butter, sosfilt

    edges_hz = (rng.uniform(bottom_low_hz, bottom_high_hz), rng.uniform(top_low_hz, top_high_hz))
    sections = butter(6, edges_hz, "bandpass", fs=SAMPLE_RATE_HZ, output="sos")
    return bounded(sosfilt(sections, wave))


def resampling(
    wave: FloatArray, rng: Generator, *, low_hz: float = 6000.0, high_hz: float = 15_000.0
) -> FloatArray:
    """Convert to a lower sample rate and back; what lies above half of that rate is lost.

    Args:
        wave: Shape [T].
        rng: Source of randomness.
        low_hz: Lowest rate.
        high_hz: Highest rate.
    """
    rate_hz = round(rng.uniform(low_hz, high_hz))
    lower = audio.resample(wave, SAMPLE_RATE_HZ, rate_hz)
    restored = audio.resample(lower, rate_hz, SAMPLE_RATE_HZ)[: wave.size]
    return bounded(np.pad(restored, (0, wave.size - restored.size)))


def clip(
    wave: FloatArray, rng: Generator, *, low_share: float = 0.001, high_share: float = 0.03
) -> FloatArray:
    """Cut the loudest samples off, as an overdriven microphone does.

    Args:
        wave: Shape [T].
        rng: Source of randomness.
        low_share: Smallest share of samples that are cut, in [0, 1].
        high_share: Largest share of samples that are cut, in [0, 1].
    """
    limit = np.quantile(np.abs(wave), 1 - rng.uniform(low_share, high_share))
    return bounded(np.clip(wave, -limit, limit))


def mu_law(
    wave: FloatArray, rng: Generator, *, low_bits: int = 6, high_bits: int = 8
) -> FloatArray:
    """Quantise with logarithmic steps, as telephone lines do.

    Args:
        wave: Shape [T].
        rng: Source of randomness.
        low_bits: Fewest bits per sample.
        high_bits: Most bits per sample.

    Source:
        ITU-T G.711 mu-law by its continuous formula; 8 bits give mu = 255.
    """
    mu = 2.0 ** rng.integers(low_bits, high_bits, endpoint=True) - 1
    level = np.sign(wave) * np.log1p(mu * np.abs(wave)) / np.log1p(mu)
    level = (np.rint((level + 1) / 2 * mu)) / mu * 2 - 1
    return bounded(np.sign(level) * np.expm1(np.abs(level) * np.log1p(mu)) / mu)


def notch(
    wave: FloatArray, rng: Generator, *, low_hz: float = 100.0, high_hz: float = 1500.0
) -> FloatArray:
    """Remove one band at a random place, so that no single band can decide.

    Args:
        wave: Shape [T].
        rng: Source of randomness.
        low_hz: Narrowest band.
        high_hz: Widest band.
    """
    width_hz = rng.uniform(low_hz, high_hz)
    start_hz = rng.uniform(0, SAMPLE_RATE_HZ / 2 - width_hz)
    spectrum = np.fft.rfft(wave)
    from_edge_hz = np.abs(
        np.fft.rfftfreq(wave.size, 1 / SAMPLE_RATE_HZ) - start_hz - width_hz / 2
    ) - (width_hz / 2)
    spectrum *= np.clip(from_edge_hz / 50, 0, 1)  # edges 50 Hz wide ring for 20 ms only
    return bounded(np.fft.irfft(spectrum, wave.size))


def offset(
    wave: FloatArray, rng: Generator, *, low: float = 1e-5, high: float = 1e-2
) -> FloatArray:
    """Add a constant of random sign, as cheap sound cards do, its logarithm drawn evenly.

    Args:
        wave: Shape [T].
        rng: Source of randomness.
        low: Smallest offset, of a full scale of 1.
        high: Largest offset.
    """
    level = np.exp(rng.uniform(np.log(low), np.log(high)))
    return bounded(wave + level * rng.choice([-1.0, 1.0]))


def high_pass(
    wave: FloatArray, rng: Generator, *, low_hz: float = 20.0, high_hz: float = 90.0
) -> FloatArray:
    """Remove what lies below a random frequency, as recorders and mixing desks do.

    Args:
        wave: Shape [T].
        rng: Source of randomness.
        low_hz: Lowest edge, above 0.
        high_hz: Highest edge.
    """
    from scipy.signal import butter, sosfilt

    edge_hz = rng.uniform(low_hz, high_hz)
    sections = butter(2, edge_hz, "highpass", fs=SAMPLE_RATE_HZ, output="sos")
    return bounded(sosfilt(sections, wave))


def equaliser(
    wave: FloatArray, rng: Generator, *, high_db: float = 6.0, n_bands: int = 8
) -> FloatArray:
    """Raise and lower bands at random, as microphones, rooms and mixing desks do.

    Gains are drawn at frequencies from 60 Hz to 8 kHz, evenly spaced in octaves, with straight
    lines between them.

    Args:
        wave: Shape [T].
        rng: Source of randomness.
        high_db: Largest change of a band, up or down.
        n_bands: Frequencies at which a gain is drawn.
    """
    gains_db = rng.uniform(-high_db, high_db, int(n_bands))
    octaves = np.linspace(np.log2(60.0), np.log2(SAMPLE_RATE_HZ / 2), int(n_bands))
    spectrum = np.fft.rfft(wave)
    hz = np.maximum(np.fft.rfftfreq(wave.size, 1 / SAMPLE_RATE_HZ), 1.0)
    spectrum *= 10 ** (np.interp(np.log2(hz), octaves, gains_db) / 20)
    return bounded(np.fft.irfft(spectrum, wave.size))


def denoiser(
    wave: FloatArray, rng: Generator, *, low_db: float = 6.0, high_db: float = 20.0
) -> FloatArray:
    """Suppress what sounds like steady noise, as calls and recorders do.

    The noise is the tenth percentile of each band's power over time; a band is attenuated by the
    gain of Wiener, as far down as a floor drawn at random.

    Args:
        wave: Shape [T].
        rng: Source of randomness.
        low_db: Smallest attenuation of what is taken to be noise.
        high_db: Largest one.
    """
    from scipy.signal import istft, stft

    floor = 10 ** (-rng.uniform(low_db, high_db) / 20)
    if wave.size < 1024:
        return wave
    _, _, spectrum = stft(wave, SAMPLE_RATE_HZ, nperseg=512)
    energy = np.square(np.abs(spectrum))
    # The mean of an exponential distribution lies 9.5 times above its tenth percentile.
    noise_energy = 9.5 * np.quantile(energy, 0.1, axis=1, keepdims=True)
    kept = np.maximum(1 - noise_energy / np.maximum(energy, SILENCE**2), floor)
    _, cleaned = istft(spectrum * kept, SAMPLE_RATE_HZ, nperseg=512)
    return bounded(cleaned[: wave.size])


def power(wave: FloatArray) -> float:
    """Return the mean square of a wave [T]."""
    return float(np.mean(np.square(wave, dtype=np.float64)))


def bounded(wave: FloatArray) -> FloatArray:
    """Return a wave [T] as float32, scaled down as a whole if its peak passes 1."""
    peak = float(np.max(np.abs(wave), initial=0.0))
    return (wave / peak if peak > 1 else wave).astype(np.float32)
