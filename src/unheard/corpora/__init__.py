"""Corpora on disk: readers of their layouts; `importing` makes a manifest of one.

A new corpus is one file with a reader and one row in `CORPORA`.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, cast

from unheard.corpora.asvspoof5 import Asvspoof5
from unheard.corpora.asvspoof2019_la import Asvspoof2019La
from unheard.corpora.asvspoof2019_pa import Asvspoof2019Pa
from unheard.corpora.asvspoof2021_df import Asvspoof2021Df
from unheard.corpora.asvspoof2021_la import Asvspoof2021La
from unheard.corpora.codecfake_wu import CodecfakeWu
from unheard.corpora.codecfake_xie import CodecfakeXie
from unheard.corpora.common_voice import CommonVoice
from unheard.corpora.corpus import Corpus, Imported
from unheard.corpora.diffssd import Diffssd, Purdue
from unheard.corpora.fake_or_real import FakeOrReal
from unheard.corpora.fakeavceleb import FakeAvCeleb
from unheard.corpora.folders import Folders
from unheard.corpora.had import Had
from unheard.corpora.in_the_wild import InTheWild
from unheard.corpora.jsut import Jsut
from unheard.corpora.librispeech import LibriSpeech
from unheard.corpora.ljspeech import LjSpeech
from unheard.corpora.llama_partial_spoof import LlamaPartialSpoof
from unheard.corpora.m_ailabs import MAilabs
from unheard.corpora.mlaad import Mlaad
from unheard.corpora.partial_spoof import PartialSpoof
from unheard.corpora.spoofceleb import SpoofCeleb
from unheard.corpora.table import Table
from unheard.corpora.vctk import Vctk
from unheard.corpora.wavefake import WaveFake
from unheard.errors import CorpusError, suggestion

__all__ = ["CORPORA", "Corpus", "Imported", "about", "corpus_named"]

CORPORA: dict[str, Corpus] = {
    "asvspoof2019_la": Asvspoof2019La(),
    "asvspoof2019_pa": Asvspoof2019Pa(),
    "asvspoof2021_df": Asvspoof2021Df(),
    "asvspoof2021_la": Asvspoof2021La(),
    "asvspoof5": Asvspoof5(),
    "codecfake_wu": CodecfakeWu(),
    "codecfake_xie": CodecfakeXie(),
    "common_voice": CommonVoice(),
    "diffssd": Diffssd(),
    "fake_or_real": FakeOrReal(),
    "fakeavceleb": FakeAvCeleb(),
    "folders": Folders(),
    "had": Had(),
    "in_the_wild": InTheWild(),
    "jsut": Jsut(),
    "librispeech": LibriSpeech(),
    "llama_partial_spoof": LlamaPartialSpoof(),
    "ljspeech": LjSpeech(),
    "m_ailabs": MAilabs(),
    "mlaad": Mlaad(),
    "partial_spoof": PartialSpoof(),
    "purdue": Purdue(),
    "spoofceleb": SpoofCeleb(),
    "table": Table(),
    "vctk": Vctk(),
    "wavefake": WaveFake(),
}
"""Every corpus that can be imported, by the name used on the command line."""


def corpus_named(name: str, settings: Mapping[str, str] | None = None) -> Corpus:
    """Return a reader by name, with some of its fields set.

    Args:
        name: Key of `CORPORA`.
        settings: Values by field, for readers that have any.

    Raises:
        CorpusError: If there is no such corpus, or it has no such field.
    """
    if name not in CORPORA:
        raise CorpusError(f"no corpus is called {name!r}{suggestion(name, CORPORA)}")
    corpus = CORPORA[name]
    known = [field.name for field in fields(cast(Any, corpus))]
    for field in settings or {}:
        if field not in known:
            hint = suggestion(field, known) if known else "; leave it out, nothing can be set"
            raise CorpusError(f"{name} has no field {field!r}{hint}")
    return cast(Corpus, replace(cast(Any, corpus), **(settings or {})))


def about(corpus: Corpus) -> dict[str, Any]:
    """Return what is known of a corpus, for programs; "page" is its module's docstring."""
    names = ("name", "parts", "published", "licence", "source", "citation", "defects")
    page = inspect.getdoc(inspect.getmodule(type(corpus))) or ""
    return {name: getattr(corpus, name) for name in names} | {"page": page}
