"""Seconds and memory of importing a corpus of 600,000 clips, next to the plain way.

Run:  python bench/import_corpus.py [--clips 600000] [--root FOLDER]

Writes the layout of ASVspoof 2021 DF (keys of 13 columns, a folder of empty .flac files) to a
temporary folder, or to --root, which is kept and used again. Each way runs in a process of its own,
whose peak memory and processor seconds are read: wall-clock seconds depend on what else runs. The
plain way is what a script would do: make an object of each line, ask the disk whether its file is
there, sort the objects and write them.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from unheard.corpora import CORPORA
from unheard.corpora.importing import import_corpus
from unheard.data.clip import Clip, Manifest

WAYS = ("import", "read", "plain")
COMPRESSIONS = ("nocodec", "low_mp3", "high_mp3", "low_m4a", "high_ogg", "mp3m4a")


def lay_out(root: Path, n_clips: int) -> None:
    """Write keys and empty files in the proportions of the corpus: 1 of 27 is bona fide."""
    flac = root / "ASVspoof2021_DF_eval" / "flac"
    keys = root / "keys/DF/CM/trial_metadata.txt"
    flac.mkdir(parents=True)
    keys.parent.mkdir(parents=True)
    with keys.open("w") as stream:
        for index in range(n_clips):
            name = f"DF_E_{2_000_000 + index}"
            attack, label, vocoder = f"A{7 + index % 13:02d}", "spoof", "traditional_vocoder"
            if index % 27 == 0:
                attack, label, vocoder = "-", "bonafide", "bonafide"
            subset = "hidden" if index % 33 == 1 else "progress" if index % 10 == 1 else "eval"
            stream.write(
                f"LA_{index % 48:04d} {name} {COMPRESSIONS[index % 6]} asvspoof {attack} {label} "
                f"notrim {subset} {vocoder} - - - -\n"
            )
            (flac / f"{name}.flac").touch()


def plain(root: Path, out: Path) -> int:
    """Import the way a script would; return how many clips were found."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    reader = CORPORA["asvspoof2021_df"]
    clips: list[Clip] = []
    for part in reader.parts:
        for clip in reader.clips(root, part):
            if (root / clip.path).is_file():
                clips.append(clip)
    clips.sort(key=lambda clip: clip.id)
    rows = [asdict(clip) | {"notes": sorted(clip.notes.items())} for clip in clips]
    schema = Manifest.of([], root).table.schema
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), out, compression="zstd")
    return len(clips)


def run(way: str, root: Path) -> str:
    """Import or read in this process; return a row of the table."""
    out = root / "manifest.parquet"
    start, start_cpu = time.perf_counter(), time.process_time()
    if way == "import":
        n_clips = sum(map(sum, import_corpus("asvspoof2021_df", root, out).counts.values()))
    elif way == "read":
        n_clips = len(Manifest.read(out))
    else:
        n_clips = plain(root, root / "plain.parquet")
    cpu, seconds = time.process_time() - start_cpu, time.perf_counter() - start
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return f"| {way} | {n_clips} | {cpu:.1f} | {seconds:.1f} | {peak_mb:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=600_000)
    parser.add_argument("--way", choices=("all", *WAYS), default="all")
    parser.add_argument("--root", type=Path, help="folder to lay out, or laid out before")
    options = parser.parse_args()
    if options.way != "all":
        print(run(options.way, options.root))
        return
    with tempfile.TemporaryDirectory() as temporary:
        root = options.root or Path(temporary)
        if not (root / "keys").is_dir():
            lay_out(root, options.clips)
        header = "| way | clips | processor s | seconds | peak memory, MB |\n|---|---|---|---|---|"
        print(header, flush=True)
        for way in WAYS:
            command = [sys.executable, __file__, "--way", way, "--root", str(root)]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
