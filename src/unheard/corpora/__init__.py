"""Corpora on disk: readers of their layouts, and `import_corpus` to make a manifest of one.

A new corpus is one file with a reader and one row in `CORPORA`.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

from unheard.clip import Clip, Manifest
from unheard.corpora.asvspoof5 import Asvspoof5
from unheard.corpora.asvspoof2019_la import Asvspoof2019La
from unheard.corpora.asvspoof2019_pa import Asvspoof2019Pa
from unheard.corpora.asvspoof2021_df import Asvspoof2021Df
from unheard.corpora.asvspoof2021_la import Asvspoof2021La
from unheard.corpora.common_voice import CommonVoice
from unheard.corpora.corpus import Corpus, Imported, parts_of
from unheard.corpora.folders import Folders
from unheard.corpora.jsut import Jsut
from unheard.corpora.librispeech import LibriSpeech
from unheard.corpora.ljspeech import LjSpeech
from unheard.corpora.m_ailabs import MAilabs
from unheard.corpora.tables import listed as listed_files
from unheard.corpora.vctk import Vctk
from unheard.errors import CorpusError, suggestion

__all__ = ["CORPORA", "Corpus", "Imported", "import_corpus"]

CORPORA: dict[str, Corpus] = {
    "asvspoof2019_la": Asvspoof2019La(),
    "asvspoof2019_pa": Asvspoof2019Pa(),
    "asvspoof2021_df": Asvspoof2021Df(),
    "asvspoof2021_la": Asvspoof2021La(),
    "asvspoof5": Asvspoof5(),
    "common_voice": CommonVoice(),
    "folders": Folders(),
    "jsut": Jsut(),
    "librispeech": LibriSpeech(),
    "ljspeech": LjSpeech(),
    "m_ailabs": MAilabs(),
    "vctk": Vctk(),
}
"""Every corpus that can be imported, by the name used on the command line."""


def import_corpus(name: str, root: Path, out: Path, *, headers: bool = False) -> Imported:
    """Write a manifest of a corpus on disk; the audio stays where it is.

    Clips whose files are not there are counted and left out of the manifest.

    Args:
        name: Key of `CORPORA`.
        root: Folder of the corpus.
        out: Manifest to write, a .parquet file.
        headers: Whether to open every file: gives durations and finds the unreadable.

    Raises:
        CorpusError: If the name or folder does not exist, a protocol is missing or malformed, or
            none of the listed files is there.
    """
    if name not in CORPORA:
        raise CorpusError(f"no corpus is called {name!r}{suggestion(name, CORPORA)}")
    if not root.is_dir():
        raise CorpusError(f"{root}: no such folder; give the one the corpus was unpacked into")
    corpus = CORPORA[name]
    parts = parts_of(corpus, root)
    listed = [clip for part in parts for clip in corpus.clips(root, part)]
    on_disk = set(listed_files(root))
    present = [clip for clip in listed if clip.path in on_disk]
    if not present:
        raise CorpusError(
            f"{root}: none of the {len(listed)} listed clips is there, such as "
            f"{listed[0].path if listed else 'any audio file'}; was the audio unpacked too?"
        )
    unreadable: list[str] = []
    if headers:
        present, unreadable = _with_headers(present, root)
    counts = Counter((clip.part, clip.bonafide) for clip in present)
    manifest = Manifest.of([_from(clip, root, out.parent) for clip in present], out.parent)
    return Imported(
        manifest=manifest.write(out),
        counts={part: (counts[part, True], counts[part, False]) for part in parts},
        published=dict(corpus.published),
        missing=tuple(sorted(clip.path for clip in listed if clip.path not in on_disk)),
        extra=tuple(sorted(on_disk - {clip.path for clip in listed})),
        unreadable=tuple(unreadable),
    )


def _with_headers(clips: list[Clip], root: Path) -> tuple[list[Clip], list[str]]:
    """Clips that open, with durations; paths of those that do not."""
    import soundfile

    opened: list[Clip] = []
    unreadable: list[str] = []
    for clip in clips:
        try:
            duration_s = float(soundfile.info(root / clip.path).duration)
        except (soundfile.LibsndfileError, OSError):
            duration_s = _duration_s(root / clip.path)
        if duration_s > 0:
            opened.append(replace(clip, duration_s=duration_s))
        else:
            unreadable.append(clip.path)
    return opened, unreadable


def _duration_s(path: Path) -> float:
    """Seconds in a file of a format without a simple header, by decoding it; 0 if it cannot be."""
    from unheard.audio import read
    from unheard.errors import AudioError

    try:
        return read(path, minimum_s=0.0).duration_s
    except AudioError:
        return 0.0


def _from(clip: Clip, root: Path, folder: Path) -> Clip:
    """The clip with its path relative to the folder of the manifest."""
    path = Path(os.path.relpath((root / clip.path).resolve(), folder.resolve()))
    return replace(clip, path=path.as_posix())
