"""From a corpus on disk to a manifest, and to what is missing, extra and unreadable in it."""

from __future__ import annotations

import os
import posixpath
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

from unheard.corpora.corpus import GET_LFS, Corpus, Imported, parts_of
from unheard.corpora.inspecting import POINTER, UNREADABLE, Inspected, inspect, pointers_among
from unheard.data import shards
from unheard.data.clip import Manifest
from unheard.data.tables import files_under
from unheard.errors import CorpusError
from unheard.types import Say

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["import_corpus"]


def import_corpus(
    corpus: Corpus | str,
    root: Path,
    out: Path,
    *,
    headers: bool = False,
    hashes: bool = False,
    jobs: int = 1,
    say: Say = lambda line: None,
) -> Imported:
    """Write a manifest of a corpus on disk; the audio stays where it is.

    Clips whose files are not there, or are no audio, are counted and left out of the manifest. A
    file that is listed and not there is looked for in the .tar files under root. No file is opened
    or asked for its size unless headers or hashes are wanted; then an interrupted run resumes from
    the row file next to the manifest, which is deleted when all is done.

    Args:
        corpus: Its reader, or the name of one.
        root: Folder of the corpus.
        out: Manifest to write, a .parquet file.
        headers: Whether to open every file: gives durations and finds the unreadable.
        hashes: Whether to hash every file.
        jobs: Files looked into at once.
        say: Receives progress.

    Raises:
        CorpusError: If the folder does not exist, a protocol is missing or malformed, or none of
            the listed files is there or is audio.
        ManifestError: If two clips have one id.
        AudioError: If a tar that may hold missing files cannot be read.
    """
    if isinstance(corpus, str):
        from unheard.corpora import corpus_named

        corpus = corpus_named(corpus)
    if not root.is_dir():
        raise CorpusError(f"{root}: no such folder; give the one the corpus was unpacked into")
    parts = parts_of(corpus, root)
    table = Manifest.of((clip for part in parts for clip in corpus.clips(root, part)), root).table
    say(f"{len(table)} clips are listed; looking for their files")
    wanted = table.column("path").to_pylist()
    on_disk = set(files_under(root))
    places = _places(root, wanted, on_disk)
    missing = [path for path, where in zip(wanted, places, strict=True) if where is None]
    if len(missing) == len(wanted):
        raise CorpusError(
            f"{root}: none of the {len(wanted)} listed clips is there, such as "
            f"{wanted[0] if wanted else 'any audio file'}; was the audio unpacked too?"
        )
    table = _with(table, "path", places).filter([where is not None for where in places])
    row_file = out.with_name(f"{out.name}.seen.jsonl")
    paths = table.column("path").to_pylist()
    if headers or hashes:
        files = inspect(root, paths, row_file, headers=headers, hashes=hashes, jobs=jobs, say=say)
        table, states = _with_inspected(table, files), [file.state for file in files]
    else:
        pointers = pointers_among(root, paths)
        states = [POINTER if path in pointers else "" for path in paths]
    table = _audio(table, root, states)
    manifest = Manifest(_moved(table, root, out.parent), out.parent).write(out)
    row_file.unlink(missing_ok=True)
    return Imported(
        manifest=manifest,
        counts=_counts(table, parts),
        published={part: corpus.published[part] for part in parts if part in corpus.published},
        missing=tuple(sorted(missing)),
        **_not_listed(on_disk, {path for path in (*wanted, *places) if path}),
        unreadable=_of(paths, states, UNREADABLE),
        pointers=_of(paths, states, POINTER),
    )


def _not_listed(on_disk: set[str], listed: set[str]) -> dict[str, tuple[str, ...]]:
    """Sort files that no list names by whether the list names others of their folder."""
    folders = {posixpath.dirname(path) for path in listed}
    beyond = sorted(on_disk - listed)
    return {
        "extra": tuple(path for path in beyond if posixpath.dirname(path) in folders),
        "elsewhere": tuple(path for path in beyond if posixpath.dirname(path) not in folders),
    }


def _audio(table: pa.Table, root: Path, states: list[str]) -> pa.Table:
    """The clips whose files have nothing wrong with them."""
    good = table.filter([not state for state in states])
    if not len(good):
        raise CorpusError(
            f"{root}: none of the {len(table)} files is audio, such as {table.column('path')[0]}; "
            f"{GET_LFS if POINTER in states else 'fetch and unpack the corpus again'}"
        )
    return good


def _counts(table: pa.Table, parts: tuple[str, ...]) -> dict[str, tuple[int, int]]:
    columns = (table.column(name).to_pylist() for name in ("part", "bonafide"))
    counts = Counter(zip(*columns, strict=True))
    return {part: (counts[part, True], counts[part, False]) for part in parts}


def _places(root: Path, wanted: list[str], on_disk: set[str]) -> list[str | None]:
    """Where each listed file is: as listed, or in a tar under root; None if nowhere.

    Names that differ only in their Unicode form are the same.
    """
    places: list[str | None] = [path if path in on_disk else None for path in wanted]
    absent = [index for index, path in enumerate(places) if path is None]
    # macOS writes an accent apart from its letter, lists do not.
    by_form = {normalize("NFC", path): path for path in on_disk} if absent else {}
    for index in absent:
        places[index] = by_form.get(normalize("NFC", wanted[index]))
    absent = [index for index in absent if places[index] is None]
    tars = files_under(root, suffixes={".tar"}) if absent else []
    find = shards.tar_finder(root, tars)
    is_present: dict[str, bool] = {}
    for index in absent:
        shard, mark, _ = wanted[index].partition(shards.MARK)
        if not mark:
            places[index] = find(wanted[index])
            continue
        if shard not in is_present:
            is_present[shard] = (root / shard).is_file()
        places[index] = wanted[index] if is_present[shard] else None
    return places


def _of(paths: list[str], states: list[str], kind: str) -> tuple[str, ...]:
    return tuple(sorted(p for p, state in zip(paths, states, strict=True) if state == kind))


def _with(table: pa.Table, name: str, values: list[Any]) -> pa.Table:
    """The table with another column in place of the one of that name."""
    import pyarrow as pa

    column = pa.array(values, table.schema.field(name).type)
    return table.set_column(table.schema.get_field_index(name), name, column)


def _with_inspected(table: pa.Table, files: list[Inspected]) -> pa.Table:
    """The table with the lengths and hashes that were asked for."""
    for name in ("duration_s", "sha256"):
        values = [getattr(file, name) for file in files]
        if any(value is not None for value in values):
            table = _with(table, name, values)
    return table


def _moved(table: pa.Table, root: Path, folder: Path) -> pa.Table:
    """The table with paths that start from the folder of the manifest."""
    import pyarrow.compute as pc

    above = Path(os.path.relpath(root.resolve(), folder.resolve())).as_posix()
    if above == ".":
        return table
    paths = pc.binary_join_element_wise(above, table.column("path"), "/")
    return table.set_column(table.schema.get_field_index("path"), "path", paths)
