"""M-AILABS: a thousand hours of audiobooks in eight languages; bona fide only.

On disk, as its archives unpack, one for each language (root is the folder that holds the languages,
or the folder of one of them; languages that were not fetched are skipped):

    en_US/by_book/female/judy_bieber/ozma_of_oz/metadata.csv
    en_US/by_book/female/judy_bieber/ozma_of_oz/metadata_mls.json
    en_US/by_book/female/judy_bieber/ozma_of_oz/wavs/ozma_of_oz_01_f000001.wav ...
    es_ES/by_book/mix/don_quijote/metadata.csv          several readers: no folder of a speaker
    es_ES/by_book/mix/don_quijote/wavs/...

The parts are the languages as the folders name them: de_DE, en_UK, en_US, es_ES, fr_FR, it_IT,
pl_PL, ru_RU, uk_UK (Ukrainian). metadata.csv is that of LJSpeech, separated by "|" and unquoted:

    grune_haus_01_f000002|Ja, es ist ein grünes Haus, in dem ich 1989 wohne ...|... eintausend ...

Where a book lacks it, metadata_mls.json says the same; where it lacks both, the files are the list.

Counts: hours only (de_DE 237, en_UK 46, en_US 102, es_ES 109, fr_FR 191, it_IT 128, pl_PL 54,
ru_RU 47, uk_UK 87); the number of clips was not published, so none is compared.

Licence: terms of its own, close to BSD; the Ukrainian recordings for machine learning only. Where
to get it: the page of its author, "The M-AILABS Speech Dataset".

Citation: M-AILABS, "The M-AILABS Speech Dataset", 2019.

Known defects: each clip begins and ends with half a second of silence that was put there, which
tells it from generated speech without; about six clips of the lists have no file (en_UK, en_US,
es_ES), and are reported as missing; most recordings come from LibriVox, which offers MP3 files; in
"mix" the reader is not known, so a split by speaker cannot hold them apart; two readers of es_ES
are from Mexico and Argentina. It is the human side of MLAAD.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from unheard.corpora.ljspeech import metadata
from unheard.data.clip import Clip
from unheard.data.tables import check_part, files_under, subfolders
from unheard.errors import CorpusError

__all__ = ["MAilabs"]

_BOOKS = "by_book"


@dataclass(frozen=True)
class MAilabs:
    """Reader of M-AILABS; the layout is in the module's docstring."""

    name: ClassVar[str] = "m_ailabs"
    # fmt: off
    parts: ClassVar[tuple[str, ...]] = (
        "de_DE", "en_UK", "en_US", "es_ES", "fr_FR", "it_IT", "pl_PL", "ru_RU", "uk_UK",
    )
    # fmt: on
    published: ClassVar[Mapping[str, tuple[int, int]]] = {}
    licence: ClassVar[str] = "M-AILABS licence (close to BSD; Ukrainian: machine learning only)"
    source: ClassVar[str] = "The page of its author, an archive for each language"
    citation: ClassVar[str] = "M-AILABS, The M-AILABS Speech Dataset, 2019"
    defects: ClassVar[tuple[str, ...]] = (
        "Each clip begins and ends with half a second of silence that was put there.",
        "About six clips of the lists have no file (en_UK, en_US, es_ES).",
        "In mix the reader is not known, so a split by speaker cannot hold them apart.",
    )

    def parts_in(self, root: Path) -> tuple[str, ...]:
        """Return the languages that were fetched, sorted.

        Raises:
            CorpusError: If there is none.
        """
        parts = tuple(part for part in self.parts if _folder(root, part).is_dir())
        if not parts:
            raise CorpusError(
                f"{root}: no language such as en_US with {_BOOKS} in it; give the folder that the "
                "archives were unpacked into, the one that holds en_US and the other languages"
            )
        return parts

    def clips(self, root: Path, part: str) -> Iterator[Clip]:
        """Yield the clips that the lists of a language's books name.

        Args:
            root: Folder that holds the languages, or that of the language itself.
            part: Such as "en_US".

        Raises:
            CorpusError: If the language does not exist or was not fetched, or a list is malformed.
        """
        check_part(self.name, part, self.parts)
        above = _folder(root, part)
        if not above.is_dir():
            raise CorpusError(
                f"{above}: no such folder, only {', '.join(self.parts_in(root))}; "
                f"fetch {part}.tgz and unpack it next to them"
            )
        for book in (book for kind in subfolders(above) for book in _books(above / kind)):
            inside = book.relative_to(above).parts
            speaker = inside[1] if len(inside) == 3 else ""
            for name, text in _listed(book):
                yield Clip(
                    id=f"m_ailabs/{part}/{'/'.join(inside)}/{name}",
                    path=(book / "wavs" / f"{name}.wav").relative_to(root).as_posix(),
                    bonafide=True,
                    part=part,
                    speaker=f"m_ailabs/{speaker}" if speaker else "",
                    corpus="m_ailabs",
                    language=part.partition("_")[0],
                    licence=self.licence,
                    text=text,
                    notes={"gender": inside[0], "book": inside[-1]},
                )


def _folder(root: Path, part: str) -> Path:
    """Where the books of a language lie, if they are there."""
    return (root if root.resolve().name == part else root / part) / _BOOKS


def _books(folder: Path) -> list[Path]:
    """Folders of books in a folder or below, sorted: those with recordings or a list of them."""
    inside = subfolders(folder)
    if "wavs" in inside or (folder / "metadata.csv").is_file():
        return [folder]
    return [book for name in inside for book in _books(folder / name)]


def _listed(book: Path) -> Iterator[tuple[str, str]]:
    """Names and texts of a book, by whichever list there is."""
    table, tree = book / "metadata.csv", book / "metadata_mls.json"
    if table.is_file():
        yield from metadata(table)
    elif tree.is_file():
        yield from _mls(tree)
    else:
        for file in files_under(book / "wavs", suffixes={".wav"}):
            yield Path(file).stem, ""


def _mls(path: Path) -> Iterator[tuple[str, str]]:
    """Names and texts of a metadata_mls.json: {"NAME.wav": {"original": .., "clean": ..}}."""
    try:
        content = json.loads(path.read_text("utf-8-sig"))
        for file, texts in content.items():
            yield os.path.splitext(file)[0], str(texts["clean"]).strip()
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CorpusError(
            f"{path}: {type(error).__name__}: {error}; a text {{clean: ...}} for each file wanted; "
            "unpack the archive again"
        ) from error
