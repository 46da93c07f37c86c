"""Your own recordings: a folder for each class, and for each attack if there are several.

    root/bonafide/*.wav                        part "eval"
    root/spoof/SYSTEM/*.wav                    attack SYSTEM; spoof/*.wav is attack "spoof"

or, with parts of your own, one level above:

    root/train/bonafide/ANYTHING/*.flac
    root/train/spoof/SYSTEM/*.mp3
    root/eval/bonafide/... and so on

Folders below those are searched too. A folder directly under `bonafide` names the speaker. Nothing
else is known of the clips: leaks between parts can be found only by file and speaker.

Licence, citation, counts: yours. Known defects: whatever differs between the two folders apart from
the label (rate, format, level, silence, length) a detector will learn; run `unheard corpus check`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from unheard.data.clip import BONAFIDE_ATTACK, Clip
from unheard.data.tables import check_part, files_under
from unheard.errors import CorpusError

__all__ = ["Folders"]

_CLASSES = ("bonafide", "spoof")
_ONLY_PART = "eval"


@dataclass(frozen=True)
class Folders:
    """Reader of a folder per class; the layout is in the module's docstring."""

    name: ClassVar[str] = "folders"
    parts: ClassVar[tuple[str, ...]] = ()
    published: ClassVar[Mapping[str, tuple[int, int]]] = {}
    licence: ClassVar[str] = "yours"
    source: ClassVar[str] = "your own recordings, sorted into folders"
    citation: ClassVar[str] = "yours"
    defects: ClassVar[tuple[str, ...]] = (
        "Whatever differs between the two folders apart from the label (rate, format, level, "
        "silence, length) a detector will learn; run `unheard corpus check`.",
    )

    def parts_in(self, root: Path) -> tuple[str, ...]:
        """Return the parts that a folder has, sorted.

        Raises:
            CorpusError: If there is neither a `bonafide` nor a `spoof` folder in it or one below.
        """
        if any((root / name).is_dir() for name in _CLASSES):
            return (_ONLY_PART,)
        parts = sorted(
            folder.name
            for folder in (root.iterdir() if root.is_dir() else ())
            if any((folder / name).is_dir() for name in _CLASSES)
        )
        if not parts:
            raise CorpusError(
                f"{root}: no folder bonafide or spoof in it; "
                "put human speech into bonafide/ and generated speech into spoof/SYSTEM/"
            )
        return tuple(parts)

    def clips(self, root: Path, part: str) -> Iterator[Clip]:
        """Yield the audio files of a part.

        Raises:
            CorpusError: If there is no such part.
        """
        known = self.parts_in(root)
        check_part(str(root), part, known)
        above = "" if part == _ONLY_PART and not (root / part).is_dir() else f"{part}/"
        for label in _CLASSES:
            for inside in files_under(root / above / label):
                group = inside.split("/")[0] if "/" in inside else ""
                bonafide = label == "bonafide"
                path = f"{above}{label}/{inside}"
                yield Clip(
                    id=path,
                    path=path,
                    bonafide=bonafide,
                    part=part,
                    attack=BONAFIDE_ATTACK if bonafide else group or "spoof",
                    family=BONAFIDE_ATTACK if bonafide else "unknown",
                    speaker=group if bonafide else "",
                    corpus=root.name,
                )
