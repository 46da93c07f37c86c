"""Clip and Manifest: what is known of one recording, and a Parquet table of many.

A manifest of a million clips is one Arrow table; clips are made from its rows when asked for.
Paths in a manifest are relative to the folder that holds the manifest file, with forward slashes;
those of clips in a tar or Parquet file are as `unheard.data.shards` reads them.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from unheard.data import shards
from unheard.errors import ManifestError, suggestion
from unheard.files import in_one_step
from unheard.types import BoolArray

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["BONAFIDE_ATTACK", "PARTS", "RECONSTRUCTION", "Clip", "Manifest", "values_of"]

BONAFIDE_ATTACK = "-"
"""What `attack` and `family` of a bona fide clip hold, as in the ASVspoof protocols."""

PARTS = ("train", "dev", "eval_in", "eval_out")
"""Parts of the open corpus; corpora on disk keep the names their authors gave."""

RECONSTRUCTION = "reconstruction"
"""The family of a twin: a clip that a generator made from the clip its `source_clip` names."""

_BLOCK_CLIPS = 50_000
_NOTES = "notes."


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One recording: where it is, what it is, and where it comes from.

    Attributes:
        id: Unique within a manifest, and the same in every manifest that holds this clip.
        path: Audio file, relative to the manifest's folder.
        bonafide: True for human speech.
        part: Part of the corpus, such as "train" or "eval_out".
        attack: The generating system and voice, such as "flite-slt"; "-" for bona fide.
        family: The kind of system, such as "statistical"; "-" for bona fide.
        speaker: Speaker or voice, unique across corpora; "" if unknown.
        source_clip: Id of the recording that this clip is a copy of; "" if none.
        corpus: Package or corpus that the speech comes from.
        language: ISO 639-1 code; "" if unknown.
        licence: Licence of the audio; "" if unknown.
        text: What is said; "" if unknown.
        codec: Channel the audio went through, such as "opus-24k"; "" if unknown.
        duration_s: Length in seconds; 0 if not measured.
        sha256: Hash of the file, hexadecimal; "" if not computed.
        notes: What else a corpus states about a clip.
    """

    id: str
    path: str
    bonafide: bool
    part: str
    attack: str = BONAFIDE_ATTACK
    family: str = BONAFIDE_ATTACK
    speaker: str = ""
    source_clip: str = ""
    corpus: str = ""
    language: str = ""
    licence: str = ""
    text: str = ""
    codec: str = ""
    duration_s: float = 0.0
    sha256: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)


class Manifest:
    """An ordered, immutable table of clips and the folder their paths start from."""

    def __init__(self, table: pa.Table, root: Path) -> None:
        self.table = table
        self.root = root

    @classmethod
    def of(cls, clips: Iterable[Clip], root: Path) -> Manifest:
        """Return a manifest of clips, sorted by id.

        Args:
            clips: The clips; ids must be unique and labels consistent.
            root: Folder that their paths start from.

        Raises:
            ManifestError: If an id occurs twice, or a bona fide clip names an attack or a spoofed
                clip names none.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        table = pa.Table.from_batches(_batches(clips), schema=_schema())
        table = table.take(pc.sort_indices(table.column("id"))).combine_chunks()
        ids = table.column("id")
        again = pc.equal(ids.slice(1), ids.slice(0, max(len(ids) - 1, 0)))
        for row in table.slice(1).filter(again).slice(0, 1).to_pylist():
            first = table.filter(pc.equal(ids, row["id"])).column("path")[0]
            raise ManifestError(
                f"clip id {row['id']!r} stands for both {first} and {row['path']}; "
                "ids must be unique: give each clip its own"
            )
        human = pc.equal(table.column("attack"), BONAFIDE_ATTACK)
        wrong = pc.not_equal(table.column("bonafide"), human)
        for row in table.filter(wrong).slice(0, 1).to_pylist():
            raise ManifestError(
                f"clip {row['id']!r} has bonafide={row['bonafide']} and attack={row['attack']!r}; "
                f"a bona fide clip has attack {BONAFIDE_ATTACK!r}, a spoofed one its system's"
            )
        return cls(table, root)

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Read a manifest from a Parquet file.

        Raises:
            ManifestError: If the file is missing, is not Parquet, or lacks a column.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not path.is_file():
            raise ManifestError(
                f"{path}: no such manifest; build the open corpus with `unheard corpus build open` "
                "or make one of your own data with `unheard corpus import`"
            )
        try:
            table = pq.read_table(path)
        except (pa.ArrowInvalid, OSError) as error:
            raise ManifestError(f"{path}: not a readable Parquet file ({error})") from error
        missing = [name for name in _schema().names if name not in table.column_names]
        if missing:
            raise ManifestError(
                f"{path}: lacks the columns {', '.join(missing)}; "
                "a manifest is written by `unheard corpus build` or `unheard corpus import`"
            )
        try:
            return cls(table.select(_schema().names).cast(_schema()), path.parent)
        except pa.ArrowException as error:
            raise ManifestError(f"{path}: a column is of another kind: {error}") from error

    def write(self, path: Path) -> Path:
        """Write the manifest as Parquet, in one step: a reader sees the old file or the new one."""
        import pyarrow.parquet as pq

        with in_one_step(path) as unfinished:
            pq.write_table(self.table, unfinished, compression="zstd")
        return path

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __iter__(self) -> Iterator[Clip]:
        for batch in self.table.to_batches(max_chunksize=10_000):
            for row in batch.to_pylist():
                yield _clip(row)

    @overload
    def __getitem__(self, index: int) -> Clip: ...
    @overload
    def __getitem__(self, index: Sequence[int]) -> list[Clip]: ...
    def __getitem__(self, index: int | Sequence[int]) -> Clip | list[Clip]:
        if isinstance(index, int):
            return _clip(self.table.slice(index, 1).to_pylist()[0])
        return [_clip(row) for row in self.table.take(list(index)).to_pylist()]

    def column(self, name: str) -> np.ndarray[Any, Any]:
        """Return one column as an array, shape [len(self)]; strings come as objects.

        Raises:
            ManifestError: If no column has that name.
        """
        if name not in self.table.column_names:
            raise ManifestError(
                f"a manifest has no column {name!r}{suggestion(name, self.table.column_names)}"
            )
        column: np.ndarray[Any, Any] = self.table.column(name).to_numpy(zero_copy_only=False)
        return column

    def where(self, mask: BoolArray) -> Manifest:
        """Return the clips at which a mask, shape [len(self)], is true."""
        import pyarrow as pa

        return Manifest(self.table.filter(pa.array(mask)), self.root)

    def part(self, *names: str) -> Manifest:
        """Return the clips of the named parts.

        Raises:
            ManifestError: If a part has no clip.
        """
        parts = self.column("part")
        known = sorted(set(parts))
        for name in names:
            if name not in known:
                raise ManifestError(f"no clip is in part {name!r}{suggestion(name, known)}")
        return self.where(np.isin(parts.astype(str), names))

    def file(self, clip: Clip) -> Path:
        """Return where a clip's audio lies; for one in a shard, a name for messages."""
        return self.root / clip.path

    def bonafide(self) -> BoolArray:
        """Return which clips are bona fide, shape [N]."""
        truth: BoolArray = self.column("bonafide").astype(bool)
        return truth

    def twins(self) -> BoolArray:
        """Return which clips a generator reconstructed from another clip, shape [N]."""
        is_twin: BoolArray = self.column("family").astype(str) == RECONSTRUCTION
        return is_twin

    def audio(self, clip: Clip) -> Path | bytes:
        """Return what `unheard.audio.read` takes: the file, or the bytes of one in a shard.

        Raises:
            AudioError: If the shard cannot be read, or does not hold the clip.
        """
        return shards.source(self.root, clip.path)

    def sha256(self) -> str:
        """Return a hash of which clips this is: ids, labels, parts and audio hashes, in order."""
        digest = hashlib.sha256()
        names = ("id", "bonafide", "attack", "part", "sha256")
        for row in zip(*(self.table.column(name).to_pylist() for name in names), strict=True):
            digest.update(("\t".join(map(str, row)) + "\n").encode())
        return digest.hexdigest()


def _schema() -> pa.Schema:
    import pyarrow as pa

    kinds: dict[str, pa.DataType] = {
        "bonafide": pa.bool_(),
        "duration_s": pa.float64(),
        "notes": pa.map_(pa.string(), pa.string()),
    }
    return pa.schema([(f.name, kinds.get(f.name, pa.string())) for f in fields(Clip)])


def _batches(clips: Iterable[Clip]) -> Iterator[pa.RecordBatch]:
    """Arrow columns of some clips at a time, so that not all of them are objects at once."""
    import pyarrow as pa

    schema = _schema()
    waiting = iter(clips)
    while block := list(itertools.islice(waiting, _BLOCK_CLIPS)):
        columns = {name: list(map(attrgetter(name), block)) for name in schema.names}
        columns["notes"] = [sorted(notes.items()) for notes in columns["notes"]]
        yield pa.RecordBatch.from_pydict(columns, schema=schema)


def _clip(row: dict[str, Any]) -> Clip:
    return Clip(**row | {"notes": dict(row["notes"])})


def values_of(manifest: Manifest, by: str) -> np.ndarray[Any, Any]:
    """Return what a column, or a key of the notes, holds for each clip, shape [N]; "" if absent.

    Args:
        manifest: N clips.
        by: Name of a column, such as "family", or of a note, such as "notes.page"; or several, the
            first that a clip has counting, such as "notes.page|family".

    Raises:
        ManifestError: If there is no such column.
    """
    first, _, others = by.partition("|")
    if others:
        values = values_of(manifest, first)
        return np.where(values == "", values_of(manifest, others), values)
    if not by.startswith(_NOTES):
        return manifest.column(by).astype(str)
    key = by.removeprefix(_NOTES)
    notes = [dict(pairs or ()) for pairs in manifest.column("notes")]
    return np.array([note.get(key, "") for note in notes], dtype=str)
