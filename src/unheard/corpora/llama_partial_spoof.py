"""LlamaPartialSpoof: six voice-cloning systems say altered sentences of LibriTTS, whole or in part.

On disk, as its archives unpack (root is the folder that holds the label files):

    label_R01TTS.0.a.txt
    label_R01TTS.0.b.txt
    R01TTS.0.a/dev-clean_1462_170145_000020_000002.wav ...    people, whole, and in part cross-faded
    R01TTS.0.b/dev01-cosyvoice-partial-cp_1272_128104_000005_000014.wav ...    in part, cut or added

A label file has no header: clip, seconds, "bonafide" or "spoof", and the pieces, each start and end
in seconds with its label, parted by spaces:

    dev01-cosyvoice-partial-cf_1272_128104_000007_000001 3.9090 spoof
        0.0000-0.0970-bonafide 0.0970-2.7070-spoof 2.7070-3.9090-bonafide

(one line each). The name of a clip is its set, the speaker of LibriTTS and the utterance; the set
of a spoofed one names the system and how it was joined: full, partial-cf (cross-fade), partial-cp
(cut and paste), or another. That is the attack. A label that the pieces contradict is refused. The
spoofed pieces go to the note "segments".

Counts: of R01TTS.0.a 10,573 bona fide and 65,655 spoofed, counted in the authors' lists of its
76,228 clips; of R01TTS.0.b 64,388 spoofed, as users report. There is no part to train on; the
authors' later lists part the speakers for that. The layout is that of public readers and of those
lists; the archives were not available.

Licence: CC BY 4.0, as users report. Where to get it: Zenodo, record 14214149.

Citation: H.-T. Luong, H. Li, L. Zhang, K. A. Lee, E. S. Chng, "LlamaPartialSpoof: An LLM-Driven
Fake Speech Dataset Simulating Disinformation Generation", ICASSP 2025.

Known defects: people are read English alone (LibriTTS), and in R01TTS.0.b there are none; clips of
one sentence share its real pieces, over systems and ways of joining.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from unheard.data.clip import BONAFIDE_ATTACK, Clip
from unheard.data.segment_labels import NOTE, spoofed_pieces, written
from unheard.data.tables import check_part, is_bonafide, lines
from unheard.errors import CorpusError

__all__ = ["LlamaPartialSpoof"]

_WANTED = "a label file of LlamaPartialSpoof: clip, seconds, label, pieces"
_LEAST_COLUMNS = 4
_LABELS = {"bonafide": True, "spoof": False}


@dataclass(frozen=True)
class LlamaPartialSpoof:
    """Reader of LlamaPartialSpoof; the layout is in the module's docstring."""

    name: ClassVar[str] = "llama_partial_spoof"
    parts: ClassVar[tuple[str, ...]] = ("R01TTS.0.a", "R01TTS.0.b")
    published: ClassVar[Mapping[str, tuple[int, int]]] = {
        "R01TTS.0.a": (10_573, 65_655),
        "R01TTS.0.b": (0, 64_388),
    }
    licence: ClassVar[str] = "CC-BY-4.0"
    source: ClassVar[str] = "Zenodo, record 14214149"
    citation: ClassVar[str] = (
        'H.-T. Luong et al., "LlamaPartialSpoof: An LLM-Driven Fake Speech Dataset Simulating '
        'Disinformation Generation", ICASSP 2025'
    )
    defects: ClassVar[tuple[str, ...]] = (
        "People are read English alone, and in R01TTS.0.b there are none.",
        "Clips of one sentence share its real pieces, over systems and ways of joining.",
    )

    def clips(self, root: Path, part: str) -> Iterator[Clip]:
        """Yield the clips that a label file lists, with their segments in a note.

        Args:
            root: Folder that holds the label files.
            part: "R01TTS.0.a" or "R01TTS.0.b".

        Raises:
            CorpusError: If the part does not exist, or its label file is missing or malformed.
        """
        check_part(self.name, part, self.parts)
        table = root / f"label_{part}.txt"
        for number, line in lines(table, _WANTED):
            where = f"{table}:{number}"
            columns = line.split()
            if len(columns) < _LEAST_COLUMNS:
                raise CorpusError(
                    f"{where}: {line[:80]!r} has {len(columns)} columns, {_LEAST_COLUMNS} or more "
                    f"wanted; give {_WANTED}"
                )
            name, _, key, *pieces = columns
            bonafide = is_bonafide(key, where)
            spoofed = spoofed_pieces(pieces, _LABELS, where)
            if bool(spoofed) == bonafide:
                raise CorpusError(
                    f"{where}: {name} is {key} and has {len(spoofed)} spoofed pieces; "
                    "get the label file again"
                )
            group, speaker, *_ = [*name.split("_"), ""]
            yield Clip(
                id=f"{self.name}/{name}",
                path=f"{part}/{name}.wav",
                bonafide=bonafide,
                part=part,
                attack=BONAFIDE_ATTACK if bonafide else group.partition("-")[2],
                family=BONAFIDE_ATTACK if bonafide else "unknown",
                speaker=f"{self.name}/{speaker}",
                corpus=self.name,
                language="en",
                licence=self.licence,
                notes={NOTE: written(spoofed)},
            )
