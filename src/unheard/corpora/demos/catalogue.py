"""The catalogue: which pages there are, what their files are, and which clips are evaluated on.

    pages.csv       a repository at a pinned commit: laboratory, part, fold, licence, year
    rules.csv       by page, in order: what a file is whose path a regular expression is found in
    clips.parquet   the clips of the capped corpus: git blob hash of the file, hash of the clip
    copies.csv      clips of those that are another one's recording, found by `copies`: left out
    excluded.csv    pages whose owners asked to be left out; the builder obeys

Facts only: no audio, and nothing cut from it.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["Catalogue", "Chosen", "Page", "Rule", "clip_id", "read_catalogue"]

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Page:
    """A repository of a public demonstration page.

    Attributes:
        repo: Owner and name, as its host spells them.
        commit: The pinned commit, 40 hexadecimal digits; not always the newest.
        laboratory: Owner, joined where several owners are one group.
        part: "train", "dev" or "eval"; the same for all pages of a laboratory.
        fold: "0" to "4" for choosing inside train and dev; "" in eval.
        licence: Of the repository, which says nothing of its audio for sure; or "none stated".
        year: Of the page.
        title: What it shows.
    """

    repo: str
    commit: str
    laboratory: str
    part: str
    fold: str
    licence: str
    year: str
    title: str

    @property
    def licence_is_stated(self) -> bool:
        """Whether the repository names any licence."""
        return self.licence != "none stated"


@dataclass(frozen=True)
class Rule:
    """What the files of a page are whose path a regular expression is found in.

    Attributes:
        repo: The page.
        path_regex: Searched in the path, case-sensitive; the first rule that fits counts.
        label: "bonafide", "spoof", or "skip" for what is neither, or doubtful.
        system: What made it, as BASE or BASE:VARIANT; "human" for people.
        kind: A key of `unheard.data.kinds.KINDS`; "human" for people.
        source_corpus: Where the recorded voices come from; "" if unknown.
        language: ISO 639 code; "" if unknown.
        speaker_regex: Its first group, or all of it, is the speaker; "" if none is known.
        note: Why, where that is not plain.
    """

    repo: str
    path_regex: str
    label: str
    system: str
    kind: str
    source_corpus: str
    language: str
    speaker_regex: str
    note: str

    @property
    def bonafide(self) -> bool:
        """Whether the rule is of people."""
        return self.label == "bonafide"

    @property
    def base_system(self) -> str:
        """The system without its variant: what decides whether a detector has met it."""
        return self.system.partition(":")[0]

    @property
    def sources(self) -> tuple[str, ...]:
        """The source corpora, of which any may be meant where there are several."""
        return tuple(filter(None, self.source_corpus.split("/")))

    def speaker(self, path: str) -> str:
        """Return the speaker of a file, "" if unknown."""
        match = re.search(self.speaker_regex, path) if self.speaker_regex else None
        if match is None:
            return ""
        return match[1] if match.re.groups else match[0]


@dataclass(frozen=True)
class Chosen:
    """A clip of the capped corpus, cut once and known by its hashes.

    Attributes:
        repo: The page.
        path: Of the file in it.
        blob: Git's hash of the file, 40 hexadecimal digits.
        container: Kind of file, such as "wav" or "mp3".
        original_rate_hz: Rate of the file.
        original_s: Length of the file, seconds.
        sha256: Of the clip as a pack holds it.
        pcm_sha256: Of its samples, 16 bit little-endian, whatever file they are in.
    """

    repo: str
    path: str
    blob: str
    container: str
    original_rate_hz: int
    original_s: float
    sha256: str
    pcm_sha256: str


@dataclass(frozen=True)
class Catalogue:
    """All that is known of the pages.

    Attributes:
        pages: By repository.
        rules: By repository, in order.
        chosen: Clips of the capped corpus, by repository.
        copies: Id of a chosen clip that is a near copy -> id of the one that stays.
        excluded: Reason by repository that must not be built.
    """

    pages: Mapping[str, Page]
    rules: Mapping[str, tuple[Rule, ...]]
    chosen: Mapping[str, tuple[Chosen, ...]]
    copies: Mapping[str, str]
    excluded: Mapping[str, str]

    def rule(self, repo: str, path: str) -> Rule | None:
        """Return what a file is; None if no rule fits, or the first that does says to skip it."""
        for rule in self.rules.get(repo, ()):
            if re.search(rule.path_regex, path):
                return None if rule.label == "skip" else rule
        return None

    def systems(self, *parts: str) -> frozenset[str]:
        """Return the base systems that the pages of some parts hold, chosen or not."""
        return frozenset(rule.base_system for rule in self._of(parts) if rule.label == "spoof")

    def sources(self, *parts: str) -> frozenset[str]:
        """Return the source corpora of people on the pages of some parts, chosen or not."""
        return frozenset(
            source for rule in self._of(parts) if rule.bonafide for source in rule.sources
        )

    def _of(self, parts: Collection[str]) -> Iterator[Rule]:
        for repo, rules in self.rules.items():
            if self.pages[repo].part in parts:
                yield from rules


@cache
def read_catalogue() -> Catalogue:
    """Return the catalogue that the package carries."""
    import pyarrow.parquet as pq

    pages = {row["repo"]: row for row in _rows("pages.csv")}
    rules: dict[str, list[Rule]] = defaultdict(list)
    for row in _rows("rules.csv"):
        rules[row["repo"]].append(Rule(**row))
    chosen: dict[str, list[Chosen]] = defaultdict(list)
    for row in pq.read_table(_HERE / "clips.parquet").to_pylist():
        chosen[row["repo"]].append(Chosen(**row))
    names = Page.__annotations__
    return Catalogue(
        pages={repo: Page(**{name: row[name] for name in names}) for repo, row in pages.items()},
        rules={repo: tuple(some) for repo, some in rules.items()},
        chosen={repo: tuple(some) for repo, some in chosen.items()},
        copies={clip_id(row["blob"]): clip_id(row["copy_of"]) for row in _rows("copies.csv")},
        excluded={row["repo"]: row["reason"] for row in _rows("excluded.csv")},
    )


def clip_id(blob: str) -> str:
    """Return the id of a clip in every manifest, by git's hash of the file it was cut from."""
    return f"demos/{blob[:16]}"


def _rows(name: str) -> Iterator[dict[str, str]]:
    with (_HERE / name).open(encoding="utf-8", newline="") as stream:
        yield from csv.DictReader(stream)
