"""FakeAVCeleb: videos of celebrities with face, voice, both or neither faked; we read the sound.

On disk, as its archive unpacks (root is the folder that holds `FakeAVCeleb`, or that folder
itself):

    FakeAVCeleb/meta_data.csv
    FakeAVCeleb/RealVideo-RealAudio/African/men/id00076/00109.mp4 ...
    FakeAVCeleb/RealVideo-FakeAudio/African/men/id00076/...
    FakeAVCeleb/FakeVideo-RealAudio/Asian (East)/men/id00863/...
    FakeAVCeleb/FakeVideo-FakeAudio/African/men/id00076/00109_10_id00476_wavtolip.mp4 ...

meta_data.csv has a header and ten columns, of which the header names nine: "path" is the name of
the file, and the column without a name its folder. Other copies call them filename and path, or
lack the folder; it is the type, race, gender and source in any case:

    source,target1,target2,method,category,type,race,gender,path,
    id00076,-,-,real,A,RealVideo-RealAudio,African,men,00109.mp4,FakeAVCeleb/RealVideo-RealAudio/...

The label of the sound is the second half of the type: RealAudio or FakeAudio. The parts are the
four types. A clip is the video file itself: its audio is decoded from the mp4, nothing is
extracted.

Counts, bona fide and spoofed sound: RealVideo-RealAudio 500 and 0; RealVideo-FakeAudio 0 and 500;
FakeVideo-RealAudio 9,709 and 0; FakeVideo-FakeAudio 0 and 10,835. The table has 10,857 rows of the
last type: 22 files stand in it twice, with the methods faceswap-wav2lip and wav2lip; each is one
clip here, under the method that comes first, and the other is in its notes. The counts by type are
recalled; they meet the 21,566 rows and 21,544 files that a public audit of the table counted, and a
survey's 10,209 real and 11,335 fake sounds.

Licence: unknown; it is given on request. Where to get it: the authors' request form, linked from
the page of DASH-Lab/FakeAVCeleb.

Citation: H. Khalid, S. Tariq, M. Kim, S. S. Woo, "FakeAVCeleb: A Novel Audio-Video Multimodal
Deepfake Dataset", NeurIPS 2021, Datasets and Benchmarks.

Known defects: the sound of FakeVideo-RealAudio is that of the 500 real videos again, so bona fide
clips are repeated about twenty times; use RealVideo-RealAudio alone for independent trials; methods
name what was done to the face, and all fake voices are by one cloner (rtvc; of the other methods
this is recalled, so their family is "unknown"); all sound went through the codec of the videos;
VoxCeleb2 is where the videos come from, so detectors trained on VoxCeleb may know the speakers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import ClassVar

from unheard.data.clip import BONAFIDE_ATTACK, Clip
from unheard.data.tables import check_part, csv_rows, file, is_bonafide
from unheard.errors import CorpusError

__all__ = ["FakeAvCeleb"]

_FOLDER = "FakeAVCeleb"
_FAMILIES = {"rtvc": "neural TTS"}
_NOTES = ("method", "race", "gender", "target1", "target2")


@dataclass(frozen=True)
class FakeAvCeleb:
    """Reader of the sound of FakeAVCeleb; the layout is in the module's docstring."""

    name: ClassVar[str] = "fakeavceleb"
    parts: ClassVar[tuple[str, ...]] = (
        "RealVideo-RealAudio",
        "RealVideo-FakeAudio",
        "FakeVideo-RealAudio",
        "FakeVideo-FakeAudio",
    )
    published: ClassVar[Mapping[str, tuple[int, int]]] = {
        "RealVideo-RealAudio": (500, 0),
        "RealVideo-FakeAudio": (0, 500),
        "FakeVideo-RealAudio": (9_709, 0),
        "FakeVideo-FakeAudio": (0, 10_835),
    }
    licence: ClassVar[str] = "unknown"
    source: ClassVar[str] = (
        "The authors' request form, linked from the page of DASH-Lab/FakeAVCeleb"
    )
    citation: ClassVar[str] = (
        'H. Khalid et al., "FakeAVCeleb: A Novel Audio-Video Multimodal Deepfake Dataset", '
        "NeurIPS 2021"
    )
    defects: ClassVar[tuple[str, ...]] = (
        "The sound of FakeVideo-RealAudio is that of the 500 real videos again.",
        "22 files stand in the table twice, with two methods; each is one clip here.",
        "Methods name what was done to the face; all fake voices are by one cloner.",
        "All sound went through the codec of the videos.",
    )

    def clips(self, root: Path, part: str) -> Iterator[Clip]:
        """Yield the clips that meta_data.csv lists for a type; their paths are of video files.

        Args:
            root: Folder that holds `FakeAVCeleb`, or that folder itself.
            part: A type, such as "RealVideo-FakeAudio".

        Raises:
            CorpusError: If the part does not exist, or the table is missing or malformed.
        """
        check_part(self.name, part, self.parts)
        names = (f"{_FOLDER}/meta_data.csv", "meta_data.csv")
        table = file(root, *names, what=f"holds {_FOLDER}, with meta_data.csv in it")
        above = table.parent.relative_to(root)
        by_path: dict[str, Clip] = {}
        for number, row in csv_rows(table, wanted=("source", "method", "type", "path")):
            where = f"{table}:{number}"
            if row["type"].strip() not in self.parts:
                raise CorpusError(
                    f"{where}: type {row['type']!r}; one of {', '.join(self.parts)} wanted; "
                    "fetch the table again"
                )
            if row["type"].strip() == part:
                clip = self._clip(row, where, above)
                first = by_path.setdefault(clip.path, clip)
                if first is not clip:
                    also = {**first.notes, "method_also": clip.notes["method"]}
                    by_path[clip.path] = replace(first, notes=also)
        yield from by_path.values()

    def _clip(self, row: dict[str, str], where: str, above: Path) -> Clip:
        kind, method = row["type"].strip(), row["method"].strip()
        words = {"bonafide": ("realaudio",), "spoof": ("fakeaudio",)}
        bonafide = is_bonafide(kind.rpartition("-")[2], where, **words)
        inside = _inside(row, where)
        return Clip(
            id=f"{self.name}/{inside.with_suffix('')}",
            path=(above / inside).as_posix(),
            bonafide=bonafide,
            part=kind,
            attack=BONAFIDE_ATTACK if bonafide else method,
            family=BONAFIDE_ATTACK if bonafide else _FAMILIES.get(method, "unknown"),
            speaker=f"voxceleb2/{row['source'].strip()}",
            corpus=self.name,
            language="en",
            notes={name: row[name].strip() for name in _NOTES if row.get(name, "-").strip() != "-"},
        )


def _inside(row: dict[str, str], where: str) -> PurePosixPath:
    """Where a row's video lies in the folder of the table, by whichever columns there are."""
    cells = [row.get(column, "").strip() for column in ("path", "filename", "")]
    names = [PurePosixPath(text).name for text in cells if text.lower().endswith(".mp4")]
    if not names:
        raise CorpusError(
            f"{where}: no file .mp4 in {', '.join(filter(None, cells)) or 'the row'}; give the "
            "table of the videos, not one of extracted sound or pictures"
        )
    folders = [PurePosixPath(text) for text in cells if "/" in text]
    if folders:
        folder = folders[0].parent if folders[0].suffix.lower() == ".mp4" else folders[0]
        return (folder.relative_to(_FOLDER) if folder.parts[0] == _FOLDER else folder) / names[0]
    parts = [row.get(column, "").strip() for column in ("type", "race", "gender", "source")]
    if not all(parts):
        raise CorpusError(
            f"{where}: neither a folder nor type, race, gender and source; fetch the table again"
        )
    return PurePosixPath(*parts, names[0])
