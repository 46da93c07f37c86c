"""Cost and closeness of reconstruction: each generator that can be used here, on the same clips.

Run:  OMP_NUM_THREADS=1 python bench/reconstruct.py MANIFEST [--model FOLDER] [--engines CACHE]

Clips are bona fide ones of part train. Seconds are those of the processor, in one thread, after a
first clip that loads the engine; programs that are run next to it count too. Distance is the mean
difference of log mel spectrograms (80 bands, after both are brought to one level), in dB. The
neural codecs and HiFi-GAN are networks of the published size with random weights: their cost is
right, what they say is noise, so no distance is given. Give the folder of a diffusion model,
trained with `unheard generate train diffusion`, to see it at two strengths.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from unheard import audio
from unheard.attacks import Attack, Speech, attacks
from unheard.attacks.mel import Mel
from unheard.data.clip import Manifest
from unheard.types import FloatArray

HERE = (
    *("griffin-lim-linear", "griffin-lim-mel", "world", "mlsa", "codec2-3200", "mb-melgan"),
    *("hifi-gan-universal", "hifi-gan-ljspeech", "hifi-gan-16khz", "hifi-gan-v3-ljspeech"),
    *("parallel-wavegan", "cargan", "nsf-hn", "nsf-hn-sinc", "nsf-cyc-noise"),
    *("lyra-3200", "lyra-6000", "lyra-9200"),
)
PUBLISHED = {
    "encodec": ("Encodec", "EncodecModel"),
    "dac": ("Dac", "DacModel"),
    "mimi": ("Mimi", "MimiModel"),
    "hifi-gan": ("SpeechT5HifiGan", "SpeechT5HifiGan"),
}


def seconds() -> float:
    """Return the processor's seconds of this process and those it has run."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)


def distance_db(copy: FloatArray, source: FloatArray) -> float:
    """Return the mean difference of two log mel spectrograms, dB."""
    copied, original = (
        Mel().of(np.asarray(wave, np.float64) * (0.05 / np.sqrt(np.mean(wave**2))))
        for wave in (copy, source)
    )
    return float(20 * np.abs(copied - original).mean())


def published(name: str, folder: Path) -> Attack:
    """Return a row whose network has the published size and random weights."""
    import transformers

    config, model = PUBLISHED[name]
    # As drawn, the weights of HiFi-GAN are so small that it is silent.
    louder = {"initializer_range": 0.1} if name == "hifi-gan" else {}
    settings: Any = getattr(transformers, f"{config}Config")(**louder)
    getattr(transformers, model)(settings).save_pretrained(folder / name)
    row: Any = attacks(None)[name]
    return replace(row, source=str(folder / name))  # type: ignore[no-any-return]


def row(name: str, attack: Attack, clips: list[FloatArray], *, close: bool) -> str:
    attack.generate(Speech(clips[0]), np.random.default_rng(0))
    began, distances = seconds(), []
    for number, clip in enumerate(clips[1:]):
        copy = attack.generate(Speech(clip), np.random.default_rng(number))
        distances.append(distance_db(copy, clip) if close else 0.0)
    length_s = sum(clip.size for clip in clips[1:]) / audio.SAMPLE_RATE_HZ
    spent = seconds() - began
    distance = f"{np.mean(distances):.1f}" if close else "-"
    return f"| {name} | {spent / (len(clips) - 1):.2f} | {length_s / spent:.1f} | {distance} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--model", type=Path, help="folder of a trained diffusion model")
    parser.add_argument("--engines", type=Path, help="corpus cache in which engines lie")
    parser.add_argument("--clips", type=int, default=5)
    arguments = parser.parse_args()
    manifest = Manifest.read(arguments.manifest)
    train = manifest.part("train")
    human = train.where(train.column("bonafide").astype(bool))
    chosen = np.linspace(0, len(human) - 1, arguments.clips + 1).round().astype(int)
    clips = [audio.read(human.audio(human[int(index)])).samples for index in chosen]
    mean_s = np.mean([clip.size for clip in clips[1:]]) / audio.SAMPLE_RATE_HZ
    print(f"{arguments.clips} clips of {mean_s:.1f} s on average\n")
    print("| generator | processor seconds a clip | times real time | distance, dB |")
    print("|---|---:|---:|---:|")
    known = attacks(arguments.engines)
    for name in HERE:
        if known[name].missing():
            print(f"| {name} | - | - | not installed |")
        else:
            print(row(name, known[name], clips, close=True), flush=True)
    if arguments.model:
        base: Any = replace(known["diffusion"], source=str(arguments.model))  # type: ignore[type-var]
        for strength in (0.2, 0.5):
            for phases in ("drawn", "source"):
                name = f"diffusion, strength {strength:g}, phases {phases}"
                generator = replace(base, strength=strength, phases=phases)
                print(row(name, generator, clips, close=True), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in PUBLISHED:
            generator = published(name, Path(folder))
            print(row(f"{name}, random weights", generator, clips, close=False), flush=True)


if __name__ == "__main__":
    main()
