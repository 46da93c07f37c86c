"""HAD, Half-truth Audio Detection: Mandarin utterances with a few words replaced by synthetic ones.

On disk, HAD.zip and the archives inside it unpacked (root is the folder that holds `HAD_train`, or
holds `HAD`; public readers find the audio at different depths, so each is looked for):

    HAD_train/HAD_train_label.txt
    HAD_train/train/conbine/HAD_train_fake_00000001.wav ...       or HAD_train/conbine/
    HAD_dev/HAD_dev_label.txt
    HAD_dev/dev/conbine/HAD_dev_real_00000001.wav ...             or HAD_dev/conbine/
    HAD_test/HAD_test_label.txt
    HAD_test/test/test/HAD_test_00000001.wav ...                  or HAD_test/test/

A label file has three space-separated columns and no header: clip; its pieces, parted by a slash,
each start and end in seconds with T (true) or F (fake); 1 for a clip of a person and 0 for one with
something fake in it:

    HAD_test_00000003 0.00-1.43-T/1.43-2.02-F/2.02-4.03-T 0

A label that its pieces contradict is refused. The fake pieces go to the note "segments".

Counts: not known, so none is compared. The layout is that of public readers; the archives were not
available. Names of speakers and of generators are not in it.

Licence: unknown. Where to get it: Zenodo, record 10377492.

Citation: J. Yi et al., "Half-Truth: A Partially Fake Audio Detection Dataset", Interspeech 2021.

Known defects: what is fake is a few words of a sentence, so most of a fake clip is real; a whole
clip may be fake too; there is one language and one way of joining.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from unheard.data.clip import BONAFIDE_ATTACK, Clip
from unheard.data.segment_labels import NOTE, spoofed_pieces, written
from unheard.data.tables import check_part, folder, is_bonafide, rows
from unheard.errors import CorpusError

__all__ = ["Had"]

_WANTED = "a label file of HAD: clip, pieces, 1 or 0"
_UNPACKED = "HAD.zip was unpacked into, the one that holds HAD_train"


@dataclass(frozen=True)
class Had:
    """Reader of HAD; the layout is in the module's docstring."""

    name: ClassVar[str] = "had"
    parts: ClassVar[tuple[str, ...]] = ("train", "dev", "test")
    published: ClassVar[Mapping[str, tuple[int, int]]] = {}
    licence: ClassVar[str] = "unknown"
    source: ClassVar[str] = "Zenodo, record 10377492"
    citation: ClassVar[str] = (
        'J. Yi et al., "Half-Truth: A Partially Fake Audio Detection Dataset", Interspeech 2021'
    )
    defects: ClassVar[tuple[str, ...]] = (
        "Most of a fake clip is real; a whole clip may be fake too.",
        "One language and one way of joining.",
    )

    def clips(self, root: Path, part: str) -> Iterator[Clip]:
        """Yield the clips that a label file lists, with their segments in a note.

        Args:
            root: Folder that holds `HAD_train` and the others, or `HAD` with them.
            part: "train", "dev" or "test".

        Raises:
            CorpusError: If the part does not exist, or its label file is missing or malformed.
        """
        check_part(self.name, part, self.parts)
        base = folder(root, f"HAD_{part}", f"HAD/HAD_{part}", what=_UNPACKED)
        audio = _audio(base, part).relative_to(root).as_posix()
        table = base / f"HAD_{part}_label.txt"
        for number, (name, pieces, key) in rows(table, columns=3, what=_WANTED):
            where = f"{table}:{number}"
            bonafide = is_bonafide(key, where, bonafide=("1",), spoof=("0",))
            fake = spoofed_pieces(pieces.split("/"), {"T": True, "F": False}, where)
            if bool(fake) == bonafide:
                raise CorpusError(
                    f"{where}: {name} has {len(fake)} fake pieces and the key {key}; 1 is a clip "
                    "of a person and 0 one with a fake piece: get the label file again"
                )
            yield Clip(
                id=f"{self.name}/{name}",
                path=f"{audio}/{name}.wav",
                bonafide=bonafide,
                part=part,
                attack=BONAFIDE_ATTACK if bonafide else self.name,
                family=BONAFIDE_ATTACK if bonafide else "unknown",
                corpus=self.name,
                language="zh",
                licence=self.licence,
                notes={NOTE: written(fake)},
            )


def _audio(base: Path, part: str) -> Path:
    """Return the folder of the audio of a part: the deepest of those that archives unpack into."""
    places = (f"{part}/conbine", "conbine", f"{part}/{part}", part)
    return next((base / place for place in places if (base / place).is_dir()), base / places[0])
