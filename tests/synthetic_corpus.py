"""A corpus that anything learns in seconds: people hum in noise, machines hum in silence."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from unheard import audio
from unheard.data.clip import Clip, Manifest
from unheard.types import FloatArray

PARTS = {"train": 6, "dev": 4}
ATTACKS = {"saw": "formant", "buzz": "diphone"}


def hum(rng: np.random.Generator, duration_s: float, noise: float, slope: float) -> FloatArray:
    """Return harmonics of a random pitch that fall by a slope, with noise; shape [T]."""
    time_s = np.arange(round(duration_s * audio.SAMPLE_RATE_HZ)) / audio.SAMPLE_RATE_HZ
    pitch_hz = rng.uniform(90, 220)
    wave = noise * rng.standard_normal(time_s.size)
    for harmonic in range(1, 15):
        phase = rng.uniform(0, 2 * np.pi)
        wave += np.sin(2 * np.pi * pitch_hz * harmonic * time_s + phase) / harmonic**slope
    return (0.5 * wave / np.abs(wave).max()).astype(np.float32)


def corpus(root: Path, *, duration_s: float = 1.2) -> Manifest:
    """Write clips of parts train and dev, as many spoofed as bona fide, and their manifest."""
    clips: list[Clip] = []
    for part, n_clips in PARTS.items():
        for index in range(n_clips):
            for attack, family in {"-": "-", **ATTACKS}.items():
                rng = np.random.default_rng((len(clips), 7))
                name = f"{part}-{attack.strip('-') or 'human'}-{index}"
                length_s = duration_s * (0.6 if index == 0 else 1.0)
                wave = hum(rng, length_s, 0.3 if attack == "-" else 0.003, 1.0 + 0.5 * (index % 2))
                audio.write(root / "audio" / f"{name}.flac", wave)
                clips.append(
                    Clip(
                        id=name,
                        path=f"audio/{name}.flac",
                        bonafide=attack == "-",
                        part=part,
                        attack=attack,
                        family=family,
                        speaker=f"{part}-speaker-{index % 3}" if attack == "-" else "",
                        corpus="hum",
                        language="xx",
                        licence="CC0",
                        duration_s=length_s,
                        sha256=f"{len(clips):064x}",
                    )
                )
    manifest = Manifest.of(clips, root)
    manifest.write(root / "manifest.parquet")
    return manifest


def with_twins(manifest: Manifest) -> Manifest:
    """Write a coarse twin of every clip of train; return a manifest of all clips and twins."""
    twins: list[Clip] = []
    for clip in manifest.part("train"):
        path = f"twins/{clip.id}.flac"
        wave = audio.read(manifest.file(clip)).samples
        audio.write(manifest.root / path, np.round(wave * 8) / 8)
        twins.append(
            replace(
                clip,
                id=f"{clip.id}~coarse",
                path=path,
                bonafide=False,
                attack="coarse",
                family="reconstruction",
                source_clip=clip.id,
                sha256=f"{1000 + len(twins):064x}",
            )
        )
    return Manifest.of([*manifest, *twins], manifest.root)
