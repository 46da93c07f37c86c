"""PartialSpoof: utterances of ASVspoof 2019 LA with synthetic segments in them, labelled in time.

On disk, all archives unpacked into one folder (root), which may hold `database` or be it:

    database/train/con_wav/CON_T_0000000.wav, LA_T_1138215.wav ...      also dev, eval
    database/protocols/PartialSpoof_LA_cm_protocols/PartialSpoof.LA.cm.train.trl.txt
    database/segment_labels/train_seglab_0.01.npy                       and 0.02 to 0.64

A protocol has five space-separated columns and no header: speaker, clip, unused, attack (CON, or
"-"), key:

    LA_0079 CON_T_0000000 - CON spoof
    LA_0079 LA_T_1138215 - - bonafide

A file of segment labels is a pickled dictionary: clip to an array of "1" (bona fide) and "0"
(spoofed), one for each stretch of the resolution in the file's name. The finest that is there is
read, from the bytes of the arrays: nothing is unpickled. A bona fide clip with a "0" is refused.
The stretches go to the note "segments". Labels of clips are those of the protocol.

Counts: those of ASVspoof 2019 LA, train 2,580 bona fide and 22,800 spoofed, dev 2,548 and 22,296,
eval 7,355 and 63,882. The layout is that of public readers; the archives were not available.

Licence: ODC-By 1.0, recalled. Where to get it: Zenodo, the record of PartialSpoof.

Citation: L. Zhang et al., "The PartialSpoof database and countermeasures for the detection of short
fake speech segments embedded in an utterance", IEEE/ACM Transactions on Audio, Speech, and Language
Processing 31, 2023.

Known defects: a spoofed clip may begin or end in silence that is labelled as the speech next to it;
joins are overlapped and added, and detectors learn the joins; all speech is English, read (VCTK).
"""

from __future__ import annotations

import pickletools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from unheard.data.clip import BONAFIDE_ATTACK, Clip
from unheard.data.segment_labels import NOTE, Stretch, written
from unheard.data.tables import check_attack, check_part, folder, is_bonafide, rows
from unheard.errors import CorpusError

__all__ = ["PartialSpoof"]

_RESOLUTIONS = ("0.01", "0.02", "0.04", "0.08", "0.16", "0.32", "0.64")
_WANTED = "a protocol of PartialSpoof: PartialSpoof.LA.cm.<part>.trl.txt"
_NAMES = ("CON_", "LA_")


@dataclass(frozen=True)
class PartialSpoof:
    """Reader of PartialSpoof; the layout is in the module's docstring."""

    name: ClassVar[str] = "partial_spoof"
    parts: ClassVar[tuple[str, ...]] = ("train", "dev", "eval")
    published: ClassVar[Mapping[str, tuple[int, int]]] = {
        "train": (2_580, 22_800),
        "dev": (2_548, 22_296),
        "eval": (7_355, 63_882),
    }
    licence: ClassVar[str] = "ODC-By-1.0"
    source: ClassVar[str] = "Zenodo, the record of PartialSpoof"
    citation: ClassVar[str] = (
        'L. Zhang et al., "The PartialSpoof database and countermeasures for the detection of '
        'short fake speech segments embedded in an utterance", IEEE/ACM Transactions on Audio, '
        "Speech, and Language Processing 31, 2023"
    )
    defects: ClassVar[tuple[str, ...]] = (
        "A spoofed clip may begin or end in silence that is labelled as the speech next to it.",
        "Joins are overlapped and added, and detectors learn the joins.",
        "All speech is English, read, recorded in a studio (VCTK).",
    )

    def clips(self, root: Path, part: str) -> Iterator[Clip]:
        """Yield the clips that a protocol lists, with their segments in a note.

        Args:
            root: Folder that holds `database`, or `database` itself.
            part: "train", "dev" or "eval".

        Raises:
            CorpusError: If the part does not exist, or its protocol or labels are missing or
                malformed.
        """
        check_part(self.name, part, self.parts)
        protocols = "protocols/PartialSpoof_LA_cm_protocols"
        where = "the archives of PartialSpoof were unpacked into, the one that holds database"
        base = folder(root, f"database/{protocols}", protocols, what=where).parents[1]
        protocol = base / protocols / f"PartialSpoof.LA.cm.{part}.trl.txt"
        audio = (base / part / "con_wav").relative_to(root).as_posix()
        labels, resolution_s = _labels(base / "segment_labels", part)
        for number, columns in rows(protocol, columns=5, what=_WANTED):
            clip = _clip(columns, f"{protocol}:{number}", audio, part)
            name = clip.id.partition("/")[2]
            if name not in labels:
                raise CorpusError(
                    f"{protocol}:{number}: {name} has no segment labels in {base}; unpack the "
                    "labels of the same release"
                )
            stretches = _stretches(labels[name], resolution_s, clip.attack)
            if bool(stretches) == clip.bonafide:
                raise CorpusError(
                    f"{name} is {'bona fide' if clip.bonafide else 'spoofed'} in {protocol}, and "
                    f"has {len(stretches)} spoofed segments; 1 is bona fide and 0 spoofed in the "
                    "labels: unpack those of the same release"
                )
            yield replace(clip, notes={NOTE: written(stretches)})


def _clip(columns: list[str], where: str, audio: str, part: str) -> Clip:
    speaker, name, _, attack, label = columns
    bonafide = is_bonafide(label, where)
    check_attack(bonafide, attack, where)
    return Clip(
        id=f"partial_spoof/{name}",
        path=f"{audio}/{name}.wav",
        bonafide=bonafide,
        part=part,
        attack=attack,
        family=BONAFIDE_ATTACK if bonafide else "unknown",
        speaker=f"partial_spoof/{speaker}",
        corpus="partial_spoof",
        language="en",
        licence="ODC-By-1.0",
    )


def _labels(place: Path, part: str) -> tuple[dict[str, str], float]:
    """Return the segment labels of a part by clip, the finest there are, and their resolution."""
    for resolution in _RESOLUTIONS:
        path = place / f"{part}_seglab_{resolution}.npy"
        if path.is_file():
            return _dictionary(path), float(resolution)
    raise CorpusError(
        f"{place}: no {part}_seglab_0.01.npy, nor a coarser one; unpack the archive of segment "
        "labels of PartialSpoof there"
    )


def _dictionary(path: Path) -> dict[str, str]:
    """Return the labels of clips as text, from the steps of a pickle, none of which is run.

    Each name of a clip is followed by an array of text of one letter, whose bytes are taken.
    """
    with path.open("rb") as stream:
        try:
            np.lib.format.read_magic(stream)
            np.lib.format.read_array_header_1_0(stream)
            steps = [argument for _, argument, _ in pickletools.genops(stream)]
        except ValueError as error:
            raise CorpusError(
                f"{path}: no segment labels as PartialSpoof has them ({error}); get the file again"
            ) from error
    labels: dict[str, str] = {}
    name = ""
    for argument in steps:
        if isinstance(argument, str) and argument.startswith(_NAMES):
            name = argument
        elif isinstance(argument, bytes) and name:
            labels[name] = argument.decode("utf-32-le", "replace")
            name = ""
    return labels


def _stretches(labels: str, resolution_s: float, attack: str) -> list[Stretch]:
    """Return the spoofed stretches of a clip's labels."""
    spoof = np.array(list(labels)) == "0"
    edges = np.flatnonzero(np.diff(np.concatenate([[False], spoof, [False]]).astype(int)))
    return [
        Stretch(round(start * resolution_s, 3), round(end * resolution_s, 3), False, attack)
        for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    ]
