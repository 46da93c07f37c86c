"""Record LFCC of the ASVspoof 2021 baseline, computed slowly and literally.

Run:  python tests/detectors/layers/make_reference.py

Nothing of Unheard and no torch is used: frames are cut in a loop, transformed by NumPy's FFT in
float64, filtered by triangles drawn with `np.interp`, and turned into a cepstrum by SciPy's DCT.
The input is written down sample by sample, so that no random generator has to agree.
"""

import json
from datetime import date
from pathlib import Path

import numpy as np
import scipy
from scipy.fft import dct
from scipy.signal import get_window

OUT = Path(__file__).with_name("reference.json")
RATE_HZ, FRAME, SHIFT, FFT, FILTERS, EMPHASIS = 16_000, 320, 160, 1024, 20, 0.97
FLOOR = float(np.finfo(np.float32).eps)


def sound(n_samples: int) -> np.ndarray:
    """Return a chirp over noise, with silence in the middle, rounded to 16-bit steps."""
    rng = np.random.default_rng(20260)
    time_s = np.arange(n_samples) / RATE_HZ
    wave = 0.3 * np.sin(2 * np.pi * (300 + 9000 * time_s) * time_s)
    wave += 0.01 * rng.standard_normal(n_samples)
    wave[n_samples // 2 : n_samples // 2 + 700] = 0
    return np.round(wave * 32768) / 32768


def lfcc(wave: np.ndarray, band: float) -> np.ndarray:
    emphasised = wave.copy()
    for t in range(1, len(wave)):
        emphasised[t] = wave[t] - EMPHASIS * wave[t - 1]

    window = get_window("hamming", FRAME, fftbins=True)
    padded = np.concatenate([np.zeros(FFT // 2), emphasised, np.zeros(FFT // 2)])
    margin = (FFT - FRAME) // 2
    spectra = []
    for centre in range(0, len(wave) + 1, SHIFT):
        frame = np.zeros(FFT)
        frame[margin : margin + FRAME] = padded[centre + margin :][:FRAME] * window
        spectra.append(np.abs(np.fft.rfft(frame)) ** 2)

    bins = int(band * (FFT // 2 + 1))
    power = np.array(spectra)[:, :bins]
    frequencies = RATE_HZ / 2 * np.linspace(0, band, bins)
    edges = np.linspace(0, RATE_HZ / 2 * band, FILTERS + 2)

    rows = []
    for spectrum in power:
        levels = []
        for filter_index in range(FILTERS):
            corners = edges[filter_index : filter_index + 3]
            triangle = np.interp(frequencies, corners, [0, 1, 0])
            levels.append(np.log10(np.sum(spectrum * triangle) + FLOOR))
        cepstrum = dct(np.array(levels), type=2, norm="ortho")
        cepstrum[0] = np.log10(np.sum(spectrum) / FFT + FLOOR)
        rows.append(cepstrum)

    static = np.array(rows)
    first = slopes(static)
    return np.hstack([static, first, slopes(first)])


def slopes(rows: np.ndarray) -> np.ndarray:
    out = np.zeros_like(rows)
    for t in range(len(rows)):
        out[t] = rows[min(t + 1, len(rows) - 1)] - rows[max(t - 1, 0)]
    return out


def main() -> None:
    wave = sound(3300)
    record = {
        "made_by": "tests/detectors/layers/make_reference.py",
        "made_on": date.today().isoformat(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "samples_times_32768": [int(sample) for sample in wave * 32768],
        "lfcc": {
            f"{band:g}": [[float(f"{value:.8g}") for value in row] for row in lfcc(wave, band)]
            for band in (0.5, 1.0)
        },
    }
    OUT.write_text(json.dumps(record) + "\n")
    print(f"wrote {OUT.name}: {len(record['lfcc']['0.5'])} frames")


if __name__ == "__main__":
    main()
