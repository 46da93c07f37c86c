"""Does any damaged file crash, hang or confuse what decodes and scores it?

    python bench/mutants.py [--mutants 10000] [--minutes M] [--jobs 1] [--seed 0]
    python bench/mutants.py --mutants 300 --detector BUNDLE

Two seconds of babble are written in 20 containers. Each mutant is one of these files with one to
three changes: bits turned over, bytes overwritten, a stretch cut out, doubled or moved, a number of
the header made extreme, the end cut off, the beginning of another container put in front. It is
decoded and scored, by a toy detector unless another is given, in a process that is ended after a
minute of processor time, or half an hour of the clock. Prints Markdown: for each container how many
mutants got a verdict, none for a stated reason, or a refusal. Fails if one crashed, took longer,
raised anything but a refusal, or gave a number that is not finite; `--only N` repeats mutant N.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import lru_cache, partial
from itertools import takewhile
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import av
import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from bench.archive import babble

from unheard import audio
from unheard.errors import UnheardError
from unheard.types import FloatArray
from unheard.workers import Died, in_processes

MOST_CPU_S = 60.0
LONGEST_S = 1800  # by the clock, for what waits; a busy machine alone is no fault
OUTCOMES = ("verdict", "no verdict", "refused", "fault")

BY_SOUNDFILE = {
    "wav": ("WAV", "PCM_16", "LITTLE"),
    "rifx": ("WAV", "PCM_16", "BIG"),
    "wav, gsm": ("WAV", "GSM610", "FILE"),
    "rf64": ("RF64", "PCM_16", "FILE"),
    "w64": ("W64", "PCM_16", "FILE"),
    "aiff": ("AIFF", "PCM_24", "FILE"),
    "au": ("AU", "ULAW", "FILE"),
    "caf": ("CAF", "ALAC_16", "FILE"),
    "voc": ("VOC", "PCM_U8", "FILE"),
    "nist": ("NIST", "PCM_16", "FILE"),
    "flac": ("FLAC", "PCM_16", "FILE"),
    "ogg": ("OGG", "VORBIS", "FILE"),
}
"""Container: libsndfile's format, coding and byte order."""

BY_FFMPEG = {
    "mp3": ("mp3", "libmp3lame", 16_000),
    "opus": ("ogg", "libopus", 48_000),
    "webm": ("webm", "libopus", 48_000),
    "mp4": ("mp4", "aac", 16_000),
    "mpegts": ("mpegts", "aac", 16_000),
    "flv": ("flv", "aac", 44_100),
    "amr": ("amr", "libopencore_amrnb", 8_000),
    "wv": ("wv", "wavpack", 16_000),
}
"""Container: FFmpeg's, its encoder, its rate."""


def toy(folder: Path) -> Path:
    """Save an untrained detector that costs next to nothing, and return its folder."""
    from unheard.detectors import weights
    from unheard.detectors.card import Card
    from unheard.detectors.toy import Toy
    from unheard.metrics import Calibration, OperatingPoints

    points = OperatingPoints(0.0, -1.0, 1.0, surely_spoof=-1.0, surely_bonafide=1.0)
    scale = Calibration(scale=1.0, offset=0.0)
    card = Card(
        name="toy", version="1", window_s=1.0, hop_s=0.5, calibration=scale, operating_points=points
    )
    return weights.save(folder, Toy().build(), Toy(), card, seen=[])


def recordings() -> dict[str, bytes]:
    """Return the same two seconds in each container."""
    wave = babble(2.0, 3)
    files: dict[str, bytes] = {}
    for name, (kind, subtype, endian) in BY_SOUNDFILE.items():
        file = io.BytesIO()
        soundfile.write(file, wave, 16_000, format=kind, subtype=subtype, endian=endian)
        files[name] = file.getvalue()
    for name, (container, encoder, rate_hz) in BY_FFMPEG.items():
        files[name] = _muxed(wave, container, encoder, rate_hz)
    return files


def _muxed(wave: FloatArray, container: str, encoder: str, rate_hz: int) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream: Any = output.add_stream(encoder, rate=rate_hz, layout="mono")
        frame = av.AudioFrame.from_ndarray(wave[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = audio.SAMPLE_RATE_HZ, 0
        resampler = av.AudioResampler(stream.format.name, "mono", rate_hz, stream.frame_size)
        for part in (*resampler.resample(frame), *resampler.resample(None), None):
            output.mux(stream.encode(part))
    return file.getvalue()


Change = Callable[[bytearray, np.random.Generator, dict[str, bytes]], bytearray]
HEAD = 200


def _place(data: bytearray, rng: np.random.Generator) -> int:
    """A byte, in the header as often as anywhere."""
    return int(rng.integers(min(HEAD, len(data)) if rng.integers(2) else len(data)))


def _bits(data: bytearray, rng: np.random.Generator, _: dict[str, bytes]) -> bytearray:
    for _n in range(int(rng.integers(1, 20))):
        data[_place(data, rng)] ^= 1 << int(rng.integers(8))
    return data


def _overwritten(data: bytearray, rng: np.random.Generator, _: dict[str, bytes]) -> bytearray:
    at, n = _place(data, rng), int(rng.integers(1, 300))
    data[at : at + n] = rng.bytes(len(data[at : at + n]))
    return data


def _extreme(data: bytearray, rng: np.random.Generator, _: dict[str, bytes]) -> bytearray:
    at, n = int(rng.integers(min(HEAD, len(data)))), int(rng.choice([1, 2, 4, 8]))
    value = [bytes(n), b"\xff" * n, b"\x7f" + b"\xff" * (n - 1), b"\x80" + bytes(n - 1)]
    data[at : at + n] = value[rng.integers(len(value))]
    return data


def _without(data: bytearray, rng: np.random.Generator, _: dict[str, bytes]) -> bytearray:
    at = _place(data, rng)
    del data[at : at + int(rng.integers(1, 2000))]
    return data


def _doubled(data: bytearray, rng: np.random.Generator, _: dict[str, bytes]) -> bytearray:
    at, n, to = _place(data, rng), int(rng.integers(1, 2000)), _place(data, rng)
    return data[:to] + data[at : at + n] + data[to:]


def _cut_off(data: bytearray, rng: np.random.Generator, _: dict[str, bytes]) -> bytearray:
    return data[: _place(data, rng) + 1]


def _behind_another(
    data: bytearray, rng: np.random.Generator, files: dict[str, bytes]
) -> bytearray:
    other = files[str(rng.choice(list(files)))]
    return bytearray(other[: int(rng.integers(1, HEAD))]) + data[int(rng.integers(HEAD)) :]


CHANGES: tuple[Change, ...] = (
    *(_bits, _overwritten, _extreme, _without, _doubled, _cut_off, _behind_another),
)


def mutant(files: dict[str, bytes], number: int, seed: int) -> tuple[str, bytes]:
    """Return the container and the bytes of a mutant."""
    name = list(files)[number % len(files)]
    rng = np.random.default_rng((seed, number))
    data = bytearray(files[name])
    for index in rng.integers(len(CHANGES), size=int(rng.integers(1, 4))):
        data = CHANGES[index](data, rng, files) or bytearray(1)
    return name, bytes(data)


@lru_cache(maxsize=1)
def _ready(detector: Path) -> tuple[Any, dict[str, bytes]]:
    from unheard.detectors import bundle
    from unheard.scoring.scorer import Scorer

    return Scorer(bundle.load(detector)), recordings()


def judged(detector: Path, seed: int, number: int) -> tuple[str, str, float]:
    """Decode and score a mutant: its container, what came of it, processor seconds.

    Anything but a verdict or a refusal begins with "fault".
    """
    scorer, files = _ready(detector)
    name, data = mutant(files, number, seed)
    signal.setitimer(signal.ITIMER_PROF, MOST_CPU_S)  # its default is to end the process
    begun_s = time.process_time()
    try:
        verdict = scorer.file(data, name="mutant")
        json.dumps(verdict.to_dict(), allow_nan=False)
        outcome = "verdict" if verdict.reason is None else "no verdict"
    except UnheardError as error:
        outcome = "refused" if any(mark in str(error) for mark in ";:") else f"fault: {error}"
    except Exception as error:
        outcome = f"fault: {type(error).__name__}: {error}"
    signal.setitimer(signal.ITIMER_PROF, 0)
    return name, outcome, time.process_time() - begun_s


def main() -> None:
    """Print a table; fail if a mutant was too much."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mutants", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so long")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--detector", type=Path)
    parser.add_argument("--only", type=int, help="one mutant, by its number")
    asked = parser.parse_args()
    numbers = range(asked.mutants) if asked.only is None else [asked.only]
    files = recordings()
    counts: dict[str, Counter[str]] = {name: Counter() for name in files}
    slowest_s: defaultdict[str, float] = defaultdict(float)
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        work = partial(judged, asked.detector or toy(Path(folder) / "toy"), asked.seed)
        end_s = time.monotonic() + 60 * asked.minutes
        in_time = takewhile(lambda _: time.monotonic() < end_s, numbers)
        for number, result in in_processes(work, in_time, asked.jobs, longest_s=LONGEST_S):
            if isinstance(result, Died):
                result = mutant(files, number, asked.seed)[0], f"fault: {result.why}", 0.0
            name, outcome, seconds = result
            counts[name][outcome.partition(":")[0]] += 1
            slowest_s[name] = max(slowest_s[name], seconds)
            if outcome.startswith("fault"):
                faults.append(f"mutant {number} ({name}): {outcome}")
                print(faults[-1], file=sys.stderr, flush=True)
    print(
        "| container | bytes | " + " | ".join(OUTCOMES) + " | CPU at most, s |\n" + "|---" * 7 + "|"
    )
    for name, data in files.items():
        row = " | ".join(str(counts[name][outcome]) for outcome in OUTCOMES)
        print(f"| {name} | {len(data)} | {row} | {slowest_s[name]:.2f} |")
    total = sum(counts.values(), Counter[str]())
    row = " | ".join(str(total[outcome]) for outcome in OUTCOMES)
    print(f"| all {total.total()} | | {row} | {max(slowest_s.values()):.2f} |")
    peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"\nmost memory of a process: {peak_mb:.0f} MB")
    if faults:
        raise SystemExit(f"{len(faults)} faults; repeat one with --only NUMBER")


if __name__ == "__main__":
    main()
