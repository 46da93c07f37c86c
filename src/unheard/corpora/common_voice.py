"""Mozilla Common Voice: sentences read into browsers in over a hundred languages; bona fide only.

On disk, as its archives unpack, one for each language (root is the folder of one release, the
folder above it, or the folder of one language):

    cv-corpus-17.0-2024-03-15/en/clips/common_voice_en_1.mp3 ...
    cv-corpus-17.0-2024-03-15/en/train.tsv
    cv-corpus-17.0-2024-03-15/en/dev.tsv
    cv-corpus-17.0-2024-03-15/en/test.tsv
    cv-corpus-17.0-2024-03-15/en/validated.tsv
    cv-corpus-17.0-2024-03-15/cy/...

A table has a header and is tab-separated. Columns were added over the years; `client_id`, `path`
and `sentence` are in all of them, and usually votes, age, gender, accent, locale. Nothing is
quoted: sentences begin with quotation marks and now and then hold a tab, which is put back into the
sentence here:

    client_id  path                   sentence               up_votes  down_votes  age  gender ...
    4f2e...    common_voice_en_1.mp3  "Where to?" he asked.  2         0

Parts: "train", "dev" and "test" as the tables of these names list them, and "validated", which is
what validated.tsv lists beyond them (one clip of each speaker and sentence is in the three). Clips
of other.tsv and invalidated.tsv are not read: nobody has confirmed that they are speech.

Counts: they differ by release and language, so none is compared.

Licence: CC0 1.0. Where to get it: the Common Voice pages of Mozilla (an account is needed). The
speaker is a hash of the account; its terms forbid trying to find out who that is.

Citation: R. Ardila et al., "Common Voice: a massively-multilingual speech corpus", LREC 2020.

Known defects: all clips are MP3, so next to uncompressed generated speech the codec gives the label
away; microphones and rooms are of every kind; one person may have several accounts, so speakers of
train and test may be the same; some clips are empty, cut off or read by a synthesiser; releases
grow, so two of them hold the same clips: use one, and say which.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from unheard.data.clip import Clip
from unheard.data.tables import check_part, lines, subfolders
from unheard.errors import CorpusError

__all__ = ["CommonVoice"]

_SPLITS = ("dev", "test", "train")
_REST = "validated"
_NEEDED = ("client_id", "path", "sentence")
_NOTES = {"age": "age", "gender": "gender", "accent": "accent", "accents": "accent"}
_GENDER = {"female_feminine": "female", "male_masculine": "male"}


@dataclass(frozen=True)
class CommonVoice:
    """Reader of Mozilla Common Voice; the layout is in the module's docstring."""

    name: ClassVar[str] = "common_voice"
    parts: ClassVar[tuple[str, ...]] = (*_SPLITS, _REST)
    published: ClassVar[Mapping[str, tuple[int, int]]] = {}
    licence: ClassVar[str] = "CC0-1.0"
    source: ClassVar[str] = "The Common Voice pages of Mozilla, an archive for each language"
    citation: ClassVar[str] = (
        "R. Ardila et al., Common Voice: a massively-multilingual speech corpus, LREC 2020"
    )
    defects: ClassVar[tuple[str, ...]] = (
        "All clips are MP3: next to uncompressed generated speech the codec gives the label away.",
        "One person may have several accounts, so speakers of train and test may be the same.",
        "Some clips are empty, cut off or read by a synthesiser.",
        "Releases grow, so two of them hold the same clips.",
    )

    def parts_in(self, root: Path) -> tuple[str, ...]:
        """Return the parts that any language has a table of, sorted.

        Raises:
            CorpusError: If there is no language, or there are several releases.
        """
        languages = _languages(root)
        return tuple(
            part
            for part in self.parts
            if any((folder / f"{part}.tsv").is_file() for folder in languages)
        )

    def clips(self, root: Path, part: str) -> Iterator[Clip]:
        """Yield the clips that the tables of a part list, language by language.

        Args:
            root: Folder of a release, the one above it, or that of a language.
            part: "train", "dev", "test", or "validated" for what is in none of them.

        Raises:
            CorpusError: If the part does not exist, there is no language, or a table is malformed.
        """
        check_part(self.name, part, self.parts)
        for folder in _languages(root):
            table = folder / f"{part}.tsv"
            taken = _taken(folder) if part == _REST else set()
            for row in _rows(table) if table.is_file() else ():
                if row["path"] not in taken:
                    yield _clip(row, folder, root, part)


def _clip(row: dict[str, str], folder: Path, root: Path, part: str) -> Clip:
    # The first releases name the file without its suffix.
    name = row["path"].removesuffix(".mp3")
    language = row.get("locale") or folder.resolve().name
    notes = {note: row[column] for column, note in _NOTES.items() if row.get(column)}
    if "gender" in notes:
        notes["gender"] = _GENDER.get(notes["gender"], notes["gender"])
    return Clip(
        id=f"common_voice/{name}",
        path=(folder / "clips" / f"{name}.mp3").relative_to(root).as_posix(),
        bonafide=True,
        part=part,
        speaker=f"common_voice/{row['client_id']}" if row["client_id"] else "",
        corpus="common_voice",
        language=language.partition("-")[0],
        licence="CC0-1.0",
        text=row["sentence"],
        codec="mp3",
        notes=notes | {"locale": language},
    )


def _languages(root: Path) -> list[Path]:
    """Folders of languages of one release, wherever root lies."""
    if _is_language(root):
        return [root]
    below = [root / name for name in subfolders(root)]
    if languages := [folder for folder in below if _is_language(folder)]:
        return languages
    releases = {
        release.name: languages
        for release in below
        if (languages := [release / n for n in subfolders(release) if _is_language(release / n)])
    }
    if len(releases) > 1:
        raise CorpusError(
            f"{root}: {len(releases)} releases, {', '.join(releases)}, which hold the same clips; "
            "give the folder of one"
        )
    if not releases:
        raise CorpusError(
            f"{root}: no language in it, a folder such as en with clips and validated.tsv; give "
            "the folder that the archives were unpacked into, the one that holds cv-corpus-..."
        )
    return next(iter(releases.values()))


def _is_language(folder: Path) -> bool:
    return any((folder / f"{part}.tsv").is_file() for part in (*_SPLITS, _REST))


def _taken(folder: Path) -> set[str]:
    """Paths of the clips in train, dev and test of a language."""
    tables = [folder / f"{part}.tsv" for part in _SPLITS]
    return {row["path"] for table in tables if table.is_file() for row in _rows(table)}


def _rows(path: Path) -> Iterator[dict[str, str]]:
    """Rows of a table by column; tabs within a sentence are taken back into it."""
    numbered = lines(path, "the table as the archive holds it")
    header = next(numbered, (1, ""))[1].split("\t")
    missing = [name for name in _NEEDED if name not in header]
    if missing:
        raise CorpusError(
            f"{path}:1: the header has {', '.join(header)} and lacks {', '.join(missing)}; "
            "give the table as the archive holds it, tab-separated"
        )
    at = header.index("sentence")
    for number, line in numbered:
        cells = line.split("\t")
        n_more = len(cells) - len(header)
        if n_more > 0:
            cells[at : at + n_more + 1] = [" ".join(cells[at : at + n_more + 1])]
        row = dict(zip(header, cells, strict=False))
        if not row.get("path") or "sentence" not in row:
            raise CorpusError(
                f"{path}:{number}: {line[:80]!r}; {len(header)} tab-separated columns wanted; "
                "unpack the archive again"
            )
        yield row
