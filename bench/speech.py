"""What is refused as no speech: music that should be, and speech that should not.

    python bench/speech.py MANIFEST --music FOLDER [FOLDER ...] [--parts eval_in eval_out]

FOLDER is a package of music, unpacked (`dpkg-deb -x`); two passages of 20 s of each of its files
are taken. Speech is each clip of the manifest, the clips of a voice joined to 20 s, and those with
music under them. Nothing is scored: windows are those of a detector of 4 s every 2 s.
"""

from __future__ import annotations

import argparse
import math
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np

from unheard import audio
from unheard.audio.activity import Gauge
from unheard.data.clip import Manifest
from unheard.errors import AudioError
from unheard.scoring.verdict import MINIMUM_SPEECH_S, WINDOW_SPEECH_S, no_verdict
from unheard.types import FloatArray

LENGTH = 20 * audio.SAMPLE_RATE_HZ
LEAST_BYTES = 150_000  # smaller files are sounds of buttons
WINDOW_S, HOP_S = 4.0, 2.0
SUFFIXES = {".ogg", ".opus", ".mp3", ".flac", ".wav"}


def passages(folder: Path, most_files: int) -> Iterator[FloatArray]:
    """Two passages [T] of each piece of music in a folder, from its first 100 s."""
    rng = np.random.default_rng(1)
    files = [path for path in sorted(folder.rglob("*")) if path.suffix in SUFFIXES]
    files = [path for path in files if path.is_file() and path.stat().st_size > LEAST_BYTES]
    for index in rng.permutation(len(files))[:most_files]:
        try:
            samples = audio.read(files[index], length_s=100).samples
        except AudioError:
            continue
        for _ in range(2 if samples.size > LENGTH else 0):
            start = int(rng.integers(samples.size - LENGTH))
            yield samples[start : start + LENGTH]


def refused(samples: FloatArray, window_s: float = WINDOW_S) -> tuple[str, int, int]:
    """Why there is no verdict, or ""; how many windows are active; how many of them are left out.

    The reason is cut at its first colon. Active is what the activity detector alone calls speech.
    """
    gauge = Gauge()
    gauge.push(samples.astype(np.float32))
    ends = np.arange(window_s, samples.size / audio.SAMPLE_RATE_HZ + 1e-6, window_s / 2)
    spans = [(end - window_s, end) for end in ends] or [(0.0, samples.size / 16_000)]
    active = [span for span in spans if gauge.active_s(*span) >= WINDOW_SPEECH_S]
    kept = [span for span in active if gauge.speech_s(*span) >= WINDOW_SPEECH_S]
    reason = no_verdict(gauge.quality(), MINIMUM_SPEECH_S, len(kept)) or ""
    return reason.partition(":")[0], len(active), len(active) - len(kept)


def print_row(name: str, recordings: Iterable[FloatArray], window_s: float = WINDOW_S) -> None:
    """Print a row."""
    judged = [refused(samples, window_s) for samples in recordings]
    music = sum(reason == "it sounds like music" for reason, _, _ in judged)
    other = sum(bool(reason) for reason, _, _ in judged) - music
    active, left_out = sum(counts[1] for counts in judged), sum(counts[2] for counts in judged)
    print(
        f"| {name} | {len(judged)} | {music} ({music / len(judged):.1%}) | {other} "
        f"| {left_out} of {active} ({left_out / max(active, 1):.1%}) |",
        flush=True,
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("manifest", type=Path)
    arguments.add_argument("--music", type=Path, nargs="+", required=True)
    arguments.add_argument("--parts", nargs="+", default=["eval_in", "eval_out"])
    arguments.add_argument("--files", type=int, default=25, help="most files of a package")
    arguments.add_argument("--clips", type=int, default=8, help="most clips of a voice and attack")
    chosen = arguments.parse_args()
    print(
        "| sound | recordings | refused as music | otherwise | windows left out |\n|" + "---|" * 5
    )
    music = {folder.name: list(passages(folder, chosen.files)) for folder in chosen.music}
    for name, sounds in music.items():
        print_row(name, sounds)
    print_row("all music", [passage for sounds in music.values() for passage in sounds])
    manifest = Manifest.read(chosen.manifest).part(*chosen.parts)
    voices: dict[tuple[bool, str, str], list[FloatArray]] = defaultdict(list)
    for clip in manifest:
        clips_of_voice = voices[clip.bonafide, clip.speaker, clip.attack]
        if len(clips_of_voice) < chosen.clips:
            clips_of_voice.append(audio.read(manifest.audio(clip)).samples)
    for bonafide, name in ((True, "bona fide"), (False, "spoofed")):
        clips = [clip for key, waves in voices.items() if key[0] is bonafide for clip in waves]
        print_row(f"{name} clips", clips)
        print_row(f"{name} clips, windows of 1 s", clips, 1.0)
    joined = [np.concatenate(waves)[:LENGTH] for waves in voices.values()]
    print_row("voices joined to 20 s", joined)
    beds = [passage for sounds in music.values() for passage in sounds]
    for snr_db in (20, 10, 5, 0):
        print_row(f"the same over music, {snr_db} dB", over(joined, beds, snr_db))


def over(voices: list[FloatArray], beds: list[FloatArray], snr_db: float) -> Iterator[FloatArray]:
    """Voices with music that much weaker under them."""
    for index, voice in enumerate(voices):
        bed = beds[index % len(beds)][: voice.size]
        powers = float(np.mean(voice**2)), max(float(np.mean(bed**2)), 1e-9)
        gain = math.sqrt(powers[0] / powers[1]) * 10 ** (-snr_db / 20)
        mixed = voice + gain * bed
        yield mixed / max(1.0, float(np.abs(mixed).max()))


if __name__ == "__main__":
    main()
