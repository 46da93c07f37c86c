"""What readers of texts and corpora share: tables, protocols, label words, folders, lists of files.

Every text is read here, for scoring, corpora and evaluation alike.
"""

from __future__ import annotations

import codecs
import csv
import io
import os
import re
from collections.abc import Collection, Container, Iterable, Iterator, Sequence
from pathlib import Path

from unheard.audio import AUDIO_SUFFIXES
from unheard.data.clip import BONAFIDE_ATTACK
from unheard.errors import CorpusError, UnheardError, suggestion
from unheard.files import NotRegular, open_regular

__all__ = [
    "BONAFIDE_WORDS",
    "LFS_HEAD",
    "SPOOF_WORDS",
    "check_attack",
    "check_part",
    "csv_rows",
    "delimiter_of",
    "file",
    "files_under",
    "folder",
    "is_bonafide",
    "is_new_folder",
    "lines",
    "rows",
    "subfolders",
    "text_lines",
]

BONAFIDE_WORDS = ("bonafide", "bona-fide", "bona_fide", "bona fide", "genuine", "real", "human")
"""What corpora call human speech; one of them writes "bona-fide"."""

SPOOF_WORDS = ("spoof", "spoofed", "fake", "deepfake", "synthetic", "generated")
"""What corpora call generated speech."""

LFS_HEAD = b"version https://git-lfs"
"""How a file begins that stands in for one that Git LFS has not fetched."""

_HEAD_BYTES = 4096


def rows(
    path: Path, *, columns: int | tuple[int, ...], what: str
) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a space-separated table, without a header; empty lines are passed over.

    Args:
        path: The table, its suffix does not matter: some .tsv files are space-separated.
        columns: How many columns there are, or numbers of which each is accepted.
        what: What the table should be, for the message, such as "a protocol of five columns".

    Yields:
        Line number, from 1, and columns.

    Raises:
        CorpusError: If it is missing, no text, or a line has another number of columns.
    """
    accepted = (columns,) if isinstance(columns, int) else columns
    for number, line in enumerate(text_lines(path, what), start=1):
        cells = line.split()
        if not cells:
            continue
        if len(cells) not in accepted:
            wanted = " or ".join(map(str, accepted))
            raise CorpusError(
                f"{path}:{number}: {line.strip()[:80]!r} has {len(cells)} columns, {wanted} "
                f"wanted; give {what}"
            )
        yield number, cells


def lines(path: Path, what: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of a text without their ends; empty lines are passed over.

    Only line feeds and carriage returns end a line: the other characters that Unicode counts as
    ends of lines occur within transcripts. A byte-order mark is dropped.

    Args:
        path: The text, UTF-8.
        what: What it should be, for the message, such as "the transcripts of a chapter".

    Yields:
        Line number, from 1, and line.

    Raises:
        CorpusError: If it is missing, or no text.
    """
    for number, line in enumerate(text_lines(path, what), start=1):
        if line.strip():
            yield number, line.rstrip("\r\n")


def csv_rows(
    path: Path,
    *,
    wanted: Sequence[str],
    delimiter: str = ",",
    quoting: bool = True,
    exact: bool = False,
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows of a table with a header, by column name.

    Args:
        path: The table.
        wanted: Columns that it must have.
        delimiter: What stands between two columns.
        quoting: Whether a quotation mark begins a quoted field; False where it is text like any
            other, as in transcripts.
        exact: Whether a row with more columns than the header is refused, not cut.

    Yields:
        Line number, from 2, and the row.

    Raises:
        CorpusError: If it is missing, no text, lacks a column, or a row has too few, or too many
            where that matters.
    """
    reader = csv.reader(
        text_lines(path, f"a table with the columns {', '.join(wanted)}"),
        delimiter=delimiter,
        quoting=csv.QUOTE_MINIMAL if quoting else csv.QUOTE_NONE,
        strict=quoting,
    )
    fields_of = _checked_rows(reader, path)
    header = [name.strip() for name in next(fields_of, ())]
    needed = set(wanted)
    missing = [name for name in wanted if name not in header]
    if missing:
        raise CorpusError(
            f"{path}:1: the header has {', '.join(header) or 'no column'} and lacks "
            f"{', '.join(missing)}; give the table as its authors publish it"
        )
    for fields in fields_of:
        row = dict(zip(header, fields, strict=False))
        if exact and any(fields[len(header) :]):
            raise CorpusError(
                f"{path}:{reader.line_num}: {len(fields)} columns, {len(header)} wanted; "
                f"put a field that holds {delimiter!r} into quotation marks"
            )
        if fields and not row.keys() >= needed:
            raise CorpusError(
                f"{path}:{reader.line_num}: {len(fields)} columns, {len(header)} wanted; "
                "fetch the table again"
            )
        if fields:
            yield reader.line_num, row


def is_bonafide(
    text: str,
    where: str,
    *,
    bonafide: Container[str] = BONAFIDE_WORDS,
    spoof: Container[str] = SPOOF_WORDS,
) -> bool:
    """Return whether a label word means human speech; case and space around it do not matter.

    Args:
        text: The label as it is written.
        where: File and line, for the message.
        bonafide: Words for human speech, lower case.
        spoof: Words for generated speech, lower case.

    Raises:
        CorpusError: If it is neither.
    """
    word = text.strip().lower()
    if word in bonafide:
        return True
    if word in spoof:
        return False
    raise CorpusError(
        f"{where}: label {text!r}; one of {_words(bonafide)} or one of {_words(spoof)} wanted; "
        "check that this is the column of the label"
    )


def check_attack(bonafide: bool, attack: str, where: str) -> None:
    """Refuse a row whose label and attack contradict each other.

    Args:
        bonafide: What the label says.
        attack: What stands as attack; "-" for bona fide.
        where: File and line, for the message.

    Raises:
        CorpusError: If they do not fit.
    """
    if bonafide != (attack == BONAFIDE_ATTACK):
        raise CorpusError(
            f"{where}: the key says {'bona fide' if bonafide else 'spoofed'} and the attack is "
            f"{attack!r}; {BONAFIDE_ATTACK!r} is the attack of bona fide clips and of no other: "
            "fetch the protocol again"
        )


def folder(root: Path, *names: str, what: str) -> Path:
    """Return the first of several folders under a root that exists.

    Args:
        root: Folder that the corpus was unpacked into.
        names: Where it may lie, relative to root; "." for root itself.
        what: What to give instead, for the message, such as "the one that holds LA".

    Raises:
        CorpusError: If none exists.
    """
    for name in names:
        if (root / name).is_dir():
            return root / name
    raise CorpusError(f"{root}: no folder {' or '.join(names)} in it; give the folder that {what}")


def file(root: Path, *names: str, what: str) -> Path:
    """Return the first of several files under a root that exists; arguments as of `folder`.

    Raises:
        CorpusError: If none exists.
    """
    for name in names:
        if (root / name).is_file():
            return root / name
    raise CorpusError(f"{root}: no file {' or '.join(names)} in it; give the folder that {what}")


def files_under(root: Path, *, suffixes: Container[str] = AUDIO_SUFFIXES) -> list[str]:
    """Return the files under a folder by suffix, relative to it, sorted; hidden ones left out.

    No file is looked into or asked for its size. Links to folders are followed, each real folder
    once.

    Args:
        root: Folder to search, to any depth; one that does not exist holds nothing.
        suffixes: Lower-case suffixes, with the dot.
    """
    files: list[str] = []
    waiting, seen = [""], {os.path.realpath(root)}
    while waiting:
        inside = waiting.pop()
        try:
            entries = os.scandir(root / inside)
        except (FileNotFoundError, NotADirectoryError):
            continue
        with entries:
            for entry in entries:
                path = inside + entry.name
                if entry.name.startswith("."):
                    continue
                if os.path.splitext(entry.name)[1].lower() in suffixes and entry.is_file():
                    files.append(path)
                elif entry.is_dir() and is_new_folder(entry, seen):
                    waiting.append(path + "/")
    return sorted(files)


def subfolders(folder: Path) -> list[str]:
    """Return the names of the folders directly in a folder, sorted; hidden ones left out."""
    with os.scandir(folder) as entries:
        return sorted(e.name for e in entries if not e.name.startswith(".") and e.is_dir())


def check_part(name: str, part: str, parts: Collection[str]) -> None:
    """Refuse a part that a corpus does not have.

    Args:
        name: The corpus.
        part: What was asked for.
        parts: What there is.

    Raises:
        CorpusError: If it is none of them.
    """
    if part not in parts:
        raise CorpusError(f"{name} has no part {part!r}{suggestion(part, parts)}")


def is_new_folder(entry: os.DirEntry[str], seen: set[str]) -> bool:
    """Return whether a folder is walked: a link only if it leads to where no other link led.

    Args:
        entry: The folder, or a link to one.
        seen: Where links led, by their real paths; takes this one.
    """
    if not entry.is_symlink():
        return True
    real = os.path.realpath(entry.path)
    new = real not in seen
    seen.add(real)
    return new


def text_lines(
    path: Path,
    what: str,
    *,
    failure: type[UnheardError] = CorpusError,
    newline: str | None = "",
    errors: str = "strict",
) -> Iterator[str]:
    """Yield the lines of a text in UTF-8 or UTF-16, with their ends; a byte-order mark is dropped.

    Args:
        path: The text.
        what: What it should be, for the message, such as "a key file".
        failure: What is raised.
        newline: As `open` has it; None makes every end a line feed.
        errors: As `open` has it.

    Raises:
        UnheardError: The failure, if it is missing, no regular file, no text, or stands in for a
            file that Git LFS has not fetched.
    """
    try:
        with open_regular(path) as file:
            head = file.peek(_HEAD_BYTES)[:_HEAD_BYTES]
            if head.startswith(LFS_HEAD):
                raise failure(
                    f"{path}: a Git LFS pointer and not the table itself; "
                    "run `git lfs pull` in its folder"
                )
            coding = _coding(head)
            if coding is None:
                raise failure(
                    f"{path}: not UTF-8 text, nor UTF-16 (it has zero bytes); give {what}"
                )
            yield from io.TextIOWrapper(file, coding, errors, newline)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise failure(f"{path}: no such file; give {what}") from error
    except UnicodeError as error:
        why = getattr(error, "reason", error)
        raise failure(f"{path}: not UTF-8 text, nor UTF-16 ({why}); give {what}") from error
    except NotRegular as error:
        raise failure(f"{path}: {error}, not a file; give {what}") from error
    except OSError as error:
        raise failure(f"{path}: cannot be read ({error}); give {what}") from error


def _coding(head: bytes) -> str | None:
    """How a text is coded that begins with these bytes; None if it is no text."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" not in head:
        return "utf-8-sig"
    odd, even = head[1::2].count(0), head[::2].count(0)
    if max(odd, even) < len(head) // 4 or min(odd, even) > max(odd, even) // 4:
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def delimiter_of(line: str) -> str | None:
    """Return what stands between the columns of a line: tab, comma or semicolon; None if none.

    It is the one that comes most often outside of quotation marks.
    """
    plain = re.sub(r'"[^"]*"', "", line)
    best = max("\t,;", key=plain.count)
    return best if best in plain else None


def _checked_rows(reader: Iterator[list[str]], path: Path) -> Iterator[list[str]]:
    """Rows of a table; a stray quotation mark would swallow those after it, so it is refused."""
    try:
        yield from reader
    except csv.Error as error:
        raise CorpusError(
            f"{path}: near line {getattr(reader, 'line_num', 0)}: {error}; quotation marks must "
            "enclose a whole field: if they are part of the text, read the table unquoted"
        ) from error


def _words(words: Container[str]) -> str:
    return ", ".join(map(repr, words)) if isinstance(words, Iterable) else str(words)
