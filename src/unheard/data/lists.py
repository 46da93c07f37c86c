"""Lists and tables of recordings: the paths that they hold."""

from __future__ import annotations

import csv
import itertools
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from unheard.audio import AUDIO_SUFFIXES
from unheard.data.shards import parquet_members
from unheard.data.tables import delimiter_of, text_lines
from unheard.errors import CorpusError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["LIST_SUFFIXES", "PATH_COLUMNS", "listed"]

LIST_SUFFIXES = (".txt", ".lst", ".list", ".csv", ".tsv", ".jsonl", ".parquet")
"""How a list or table of recordings ends; what begins like audio is none."""

PATH_COLUMNS = (
    *("path", "file_path", "filepath", "audio_path", "audio_filepath", "wav_path", "file"),
    *("filename", "file_name", "audio_file", "audio", "wav", "recording", "source", "url", "uri"),
)
"""Names of a column of paths, the surest first; lower case, with "_" for "-" and spaces."""

_A_LIST = "a list with a path or URL on each line, or a table with a column path"


def listed(file: str) -> Iterator[str]:
    """Yield the paths and URLs that a list or a table of recordings holds, as they are written.

    A table has a column of a known name; without a header, one with names of audio files.
    Recordings within a Parquet file come as members of it.

    Args:
        file: Its path, with one of `LIST_SUFFIXES`.

    Raises:
        CorpusError: If it cannot be read, or has no such column.
        AudioError: If it should hold recordings and holds something else.
    """
    if file.lower().endswith(".parquet"):
        yield from _in_parquet(Path(file))
        return
    texts = text_lines(Path(file), _A_LIST, newline=None, errors="surrogateescape")
    lines: Iterator[str] = (line for line in texts if line.strip())
    first = next(lines, "")
    if first.lstrip().startswith("{"):
        yield from _in_json(file, itertools.chain([first], lines))
        return
    is_table = file.lower().endswith((".csv", ".tsv"))
    delimiter = delimiter_of(first)
    cells = next(csv.reader([first], delimiter=delimiter or ","), [])
    column = _path_column(cells)
    if column is None:
        lines = itertools.chain([first], lines)
        if is_table or delimiter == "\t":
            column = next((at for at, cell in enumerate(cells) if _names_audio(cell)), None)
            if column is None and len(cells) > 1:
                raise _no_column(file, cells)
    if column is None or (delimiter is None and not is_table):
        yield from filter(None, map(str.strip, lines))
        return
    try:
        for row in csv.reader(lines, delimiter=delimiter or ","):
            if len(row) > column and row[column].strip():
                yield row[column].strip()
    except csv.Error as error:
        raise CorpusError(f"{file}: no readable table ({error}); give {_A_LIST}") from error


def _path_column(names: Iterable[str]) -> int | None:
    """Which of some columns holds paths, by their names."""
    plain = [name.strip().lower().replace("-", "_").replace(" ", "_") for name in names]
    return next((plain.index(name) for name in PATH_COLUMNS if name in plain), None)


def _names_audio(cell: str) -> bool:
    return os.path.splitext(cell.strip())[1].lower() in AUDIO_SUFFIXES


def _in_json(file: str, lines: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            names = list(row)
            column = _path_column(names)
            if column is None:
                raise _no_column(f"{file}:{number}", names)
            yield str(row[names[column]])
        except (ValueError, TypeError) as error:
            raise CorpusError(
                f"{file}:{number}: no JSON object ({error}); give one on each line, such as "
                '{"path": "a.wav"}'
            ) from error


def _in_parquet(file: Path) -> Iterator[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not file.is_file():
        raise CorpusError(f"{file}: no file; give {_A_LIST}")
    try:
        with pq.ParquetFile(file) as opened:
            schema = opened.schema_arrow
            texts = [field.name for field in schema if _is_text(field.type)]
            column = _path_column(texts)
            if column is not None:
                for batch in opened.iter_batches(columns=[texts[column]]):
                    yield from filter(None, batch.column(0).to_pylist())
                return
    except (pa.ArrowInvalid, OSError) as error:
        raise CorpusError(f"{file}: not a readable Parquet file ({error}); give {_A_LIST}") from (
            error
        )
    column = _path_column(schema.names)
    if column is None:
        raise _no_column(str(file), schema.names)
    prefix = len(str(file.parent / "x")) - 1
    yield from (member[prefix:] for member in parquet_members(file, schema.names[column]))


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _no_column(where: str, names: Iterable[str]) -> CorpusError:
    return CorpusError(
        f"{where}: no column of paths among {', '.join(map(str, names))[:200]}; call it path, or "
        f"as others do: {', '.join(PATH_COLUMNS[1:])}"
    )
