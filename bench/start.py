"""How soon is the first verdict there, and how much of that is the model's?

    python bench/start.py [--repeats 5]

Processor seconds of whole processes, the least of some, taken in turns: `unheard --help`, `unheard
score` on a clip of 4 s with the packaged detector, and next to them what no command can do without:
Python with numpy; and Python that opens the same graph in ONNX Runtime and runs the clip's windows.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

from archive import babble  # type: ignore[import-not-found]
from unheard import audio
from unheard.detectors import bundle
from unheard.detectors.bundle_files import GRAPH

GRAPH_CODE = """
import sys, numpy as np, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
if int(sys.argv[2]):
    session.run(None, {"waveform": np.full((int(sys.argv[2]), int(sys.argv[3])), 0.1, np.float32)})
"""


def busy_s(words: list[str]) -> float:
    """Processor seconds of one process and of those under it."""
    used = [resource.getrusage(resource.RUSAGE_CHILDREN)]
    subprocess.run([sys.executable, *words], capture_output=True, check=True)
    used.append(resource.getrusage(resource.RUSAGE_CHILDREN))
    before, after = (usage.ru_utime + usage.ru_stime for usage in used)
    return after - before


def main() -> None:
    """Measure in turns and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    folder, card = bundle.default(), bundle.read_card(bundle.default())
    n_window = round(card.window_s * audio.SAMPLE_RATE_HZ)
    with tempfile.TemporaryDirectory() as name:
        clip = Path(name) / "clip.flac"
        audio.write(clip, babble(4.0, 0))
        n_windows = len(
            audio.windows(babble(4.0, 0), window_s=card.window_s, hop_s=card.hop_s).samples
        )
        graph = ["-c", GRAPH_CODE, str(folder / GRAPH)]
        parts = {
            "Python with numpy": ["-c", "import numpy"],
            "`unheard --help`": ["-m", "unheard", "--help"],
            "graph opened": [*graph, "0", "0"],
            f"graph opened, {n_windows} windows run": [*graph, str(n_windows), str(n_window)],
            "`unheard score clip.flac`": ["-m", "unheard", "score", str(clip)],
        }
        taken = {part: [busy_s(words)] for part, words in parts.items()}
        for _ in range(repeats - 1):
            for part, words in parts.items():
                taken[part].append(busy_s(words))
    least = {part: min(times) for part, times in taken.items()}
    numpy_s, help_s, _, limit_s, ours_s = least.values()
    print("| process | processor s |\n|---|---:|")
    for part, seconds in least.items():
        print(f"| {part} | {seconds:.2f} |")
    print(f"\nA verdict takes {ours_s / limit_s:.2f} x what its graph takes alone, ", end="")
    print(f"{ours_s - limit_s:.2f} s more; the help {help_s - numpy_s:.2f} s more than numpy.")


if __name__ == "__main__":
    main()
