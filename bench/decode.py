"""How fast is every format decoded to 16 kHz, and what does an hour cost in memory?

Prints Markdown. Times are the best of five on one core; memory is the peak of a process of its
own that does nothing but stream the hour.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

import soundfile  # noqa: E402

from audio_files import FORMATS, encoded, tone  # noqa: E402
from unheard import audio  # noqa: E402
from unheard.audio.codecs import CODECS, round_trip  # noqa: E402

CLIP_S = 30.0
HOUR_S = 3600
STREAM = (
    "import sys, unheard.audio as a\n"
    "with a.open_stream(sys.argv[1]) as stream:\n"
    "    print(sum(map(len, stream)) / a.SAMPLE_RATE_HZ, file=sys.stderr)\n"
)
NOTHING = "import unheard.audio, av, soundfile, soxr\n"
# Not getrusage: its peak starts from what the parent process held.
PEAK = "print([line for line in open('/proc/self/status') if 'VmHWM' in line][0].split()[1])\n"


def best_s(work: object, *arguments: object, **options: object) -> float:
    """Return the least of five times, in seconds."""
    assert callable(work)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        work(*arguments, **options)
        times.append(time.perf_counter() - start)
    return min(times)


def peak_mib(code: str, *arguments: str) -> float:
    """Return the peak resident memory of a Python process that runs the code, in MiB."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    run = subprocess.run(
        [sys.executable, "-c", code + PEAK, *arguments],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    return int(run.stdout) / 1024


def formats() -> None:
    print(f"\n## Decode {CLIP_S:g} s of 48 kHz stereo to 16 kHz mono\n")
    print("| format | codec | s | times real time | 2 s from the middle, s |")
    print("|---|---|---|---|---|")
    channels = tone(CLIP_S, 48_000, 2)
    with tempfile.TemporaryDirectory() as folder:
        for suffix in FORMATS:
            path = Path(folder) / f"clip{suffix}"
            path.write_bytes(encoded(channels, suffix, 48_000))
            codec = audio.read(path).codec
            took_s = best_s(audio.read, path)
            part_s = best_s(audio.read, path, start_s=CLIP_S / 2, length_s=2.0)
            ratio = CLIP_S / took_s
            print(f"| {suffix[1:]} | {codec} | {took_s:.3f} | {ratio:.0f} | {part_s:.3f} |")


def codecs() -> None:
    print("\n## Send 4 s through a lossy channel\n")
    print("| codec | kbit/s | s |")
    print("|---|---|---|")
    speech = tone(4.0)[0]
    for name, codec in CODECS.items():
        print(f"| {name} | {codec.default_kbps:g} | {best_s(round_trip, speech, name):.3f} |")


def an_hour() -> None:
    idle = peak_mib(NOTHING)
    print(f"\n## Stream an hour of 48 kHz stereo (the imports alone take {idle:.0f} MiB)\n")
    print("| format | peak, MiB | s | times real time |")
    print("|---|---|---|---|")
    minute = tone(60.0, 48_000, 2)
    with tempfile.TemporaryDirectory() as folder:
        flac = Path(folder) / "hour.flac"
        with soundfile.SoundFile(flac, "w", 48_000, 2, "PCM_16") as sound:
            for _ in range(HOUR_S // 60):
                sound.write(minute.T)
        mp3 = Path(folder) / "hour.mp3"
        mp3.write_bytes(encoded(minute, ".mp3", 48_000) * (HOUR_S // 60))
        for path in (flac, mp3):
            start = time.perf_counter()
            peak = peak_mib(STREAM, str(path))
            took_s = time.perf_counter() - start
            print(f"| {path.suffix[1:]} | {peak:.0f} | {took_s:.1f} | {HOUR_S / took_s:.0f} |")


if __name__ == "__main__":
    formats()
    codecs()
    an_hour()
