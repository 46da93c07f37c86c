"""MLAAD: text to speech in dozens of languages by dozens of systems; bona fide side: M-AILABS.

On disk (root is the folder that holds `fake`; M-AILABS is fetched separately and may lie next to
it, in `real`, `M-AILABS`, `MAILabs` or directly; without it every clip is spoofed):

    fake/en/tts_models_en_ljspeech_vits/meta.csv
    fake/en/tts_models_en_ljspeech_vits/the_sea_fairies_01_f000008.wav ...
    fake/ja/kokoro/meta.csv
    real/en_US/by_book/female/judy_bieber/ozma_of_oz/wavs/ozma_of_oz_01_f000001.wav ...

A meta.csv in the folder of each system, with a header, columns separated by "|" and no quoting:

    path|original_file|language|is_original_language|duration|training_data|model_name|architecture|
        transcript                                                          (all in one line)
    ./fake/en/.../x.wav|en_US/by_book/.../x.wav|en|True|5.1|ljspeech|tts_models/..|vits|She said "no

Transcripts hold bare quotation marks; a reader that quotes joins rows and loses clips (53 of 1,000
of ja/kokoro). path starts from the root of the data set, original_file from that of M-AILABS: the
text was read there, it is not the voice. Of the columns, path, original_file, model_name and
language are certain; the others are as one public reader of version 5 gives them, and may be
absent.

There is no split: all of it is the part "all". Attack is the folder of the system. The version is
not written anywhere on disk: give it as `version`, and name it in every report.

Counts: they grow with the version: 76,000 spoofed in an early one, 456,000 in 54 languages in
version 10, usually 1,000 for a system and language; a count with M-AILABS gives 584,006
files; so none is compared.

Licence: CC BY-NC 4.0 by the authors' card (an earlier card said Apache 2.0); M-AILABS has its own.
Where to get it: the authors' page on a data-set hub (mueller91/MLAAD) or Fraunhofer AISEC's cloud.

Citation: N. Mueller et al., "MLAAD: The Multi-Language Audio Anti-Spoofing Dataset", IJCNN 2024.

Known defects: no human speech in it, and M-AILABS differs from it in more than the label (half a
second of silence at the edges, audiobooks, eight languages only); the language of about 1,000 rows
of version 5 is misspelt in path ("zh" for the folder "zh-cn"), so a row whose path leads elsewhere
is read from the folder of its meta.csv; some systems are not text to speech (RVC converts voices,
griffin_lim only vocodes); names of systems hold spaces and commas.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from unheard.corpora.beside import clips_as_part
from unheard.corpora.m_ailabs import MAilabs
from unheard.data.clip import Clip
from unheard.data.tables import check_part, csv_rows, folder, subfolders
from unheard.errors import CorpusError

__all__ = ["Mlaad"]

_REAL = (".", "real", "M-AILABS", "MAILabs", "m-ailabs", "m_ailabs")
_NOTES = ("model_name", "architecture", "original_file", "training_data")

# Certain by what the systems are known to be; most of the others have no one kind.
_FAMILIES = {
    "griffin_lim": "signal vocoder",
    "RVC": "conversion",
    "tts_models_en_multi-dataset_tortoise-v2": "diffusion",
}
_NEURAL = ("vits", "tacotron", "glow-tts", "fast_pitch", "speedy-speech", "mms-tts", "xtts", "bark")


@dataclass(frozen=True)
class Mlaad:
    """Reader of MLAAD and of M-AILABS next to it; see the module's docstring.

    Attributes:
        version: Which version was fetched, such as "5"; goes to the notes of its clips.
    """

    version: str = "unknown"
    name: ClassVar[str] = "mlaad"
    parts: ClassVar[tuple[str, ...]] = ("all",)
    published: ClassVar[Mapping[str, tuple[int, int]]] = {}
    licence: ClassVar[str] = "CC-BY-NC-4.0"
    source: ClassVar[str] = (
        "The authors' page on a data-set hub, mueller91/MLAAD; M-AILABS from its own"
    )
    citation: ClassVar[str] = (
        'N. Mueller et al., "MLAAD: The Multi-Language Audio Anti-Spoofing Dataset", IJCNN 2024'
    )
    defects: ClassVar[tuple[str, ...]] = (
        "The version is not written on disk, and results of different versions do not compare.",
        "It holds no human speech, and M-AILABS differs from it in more than the label.",
        "The language in some paths of version 5 is misspelt.",
        "Some systems are not text to speech: RVC converts voices, griffin_lim only vocodes.",
    )

    def clips(self, root: Path, part: str) -> Iterator[Clip]:
        """Yield the clips that each system's meta.csv lists, then those of M-AILABS next to it.

        Args:
            root: Folder that holds `fake`.
            part: "all".

        Raises:
            CorpusError: If the part does not exist, or no meta.csv is there or one is malformed.
        """
        check_part(self.name, part, self.parts)
        fake = folder(root, "fake", what="holds fake/LANGUAGE/SYSTEM/meta.csv")
        tables = [
            table
            for language in subfolders(fake)
            for system in subfolders(fake / language)
            if (table := fake / language / system / "meta.csv").is_file()
        ]
        if not tables:
            raise CorpusError(
                f"{fake}: no LANGUAGE/SYSTEM/meta.csv in it; give the folder that holds fake as "
                "the archive was unpacked, with its meta.csv files"
            )
        for table in tables:
            yield from self._system(table, root, part)
        for above in _REAL:
            languages = [
                code for code in MAilabs.parts if (root / above / code / "by_book").is_dir()
            ]
            for language in languages:
                yield from clips_as_part(MAilabs(), root, above, language, part)
            if languages:
                return

    def _system(self, table: Path, root: Path, part: str) -> Iterator[Clip]:
        base = table.parent.relative_to(root).as_posix()
        system = table.parent.name
        wanted = ("path", "original_file", "language", "model_name")
        for _, row in csv_rows(table, wanted=wanted, delimiter="|", quoting=False):
            path = row["path"].strip().removeprefix("./")
            if not path.startswith(f"{base}/"):
                path = f"{base}/{path.rpartition('/')[2]}"
            notes = {name: row.get(name, "").strip() for name in _NOTES}
            yield Clip(
                id=f"{self.name}/{path.removeprefix('fake/').rpartition('.')[0]}",
                path=path,
                bonafide=False,
                part=part,
                attack=system,
                family=_family(system),
                corpus=self.name,
                language=_language(row["language"] or table.parents[1].name),
                licence=self.licence,
                text=row.get("transcript", "").strip(),
                notes={"version": self.version} | {k: v for k, v in notes.items() if v},
            )


def _family(system: str) -> str:
    if system in _FAMILIES:
        return _FAMILIES[system]
    return "neural TTS" if any(name in system.lower() for name in _NEURAL) else "unknown"


def _language(code: str) -> str:
    """The part of a language code that ISO 639-1 knows: "zh-cn" is "zh"."""
    return code.strip().lower().replace("_", "-").partition("-")[0]
