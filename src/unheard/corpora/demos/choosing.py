"""Which recordings of which pages become clips, and what is said of each.

The capped corpus is fixed: at most 14 clips of a page and base system, 24 of a base system in all,
60 of people on a page; of a page with people only 6 of a speaker and 110 in all; of these the
catalogue took turns over systems and pages. Its clips are listed by hash, so every source gives the
same ones. Without the caps there are also all other files that a rule fits: to part "train" those
of its pages, to "dev_extra" and "eval_extra" those of the others, which stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from unheard.audio import AUDIO_SUFFIXES
from unheard.corpora.demos.catalogue import Catalogue, Chosen, Page, Rule, clip_id
from unheard.data.clip import BONAFIDE_ATTACK
from unheard.data.kinds import KINDS
from unheard.errors import CorpusError, suggestion

__all__ = ["Choice", "Recording", "chosen", "others", "pages"]

_ORDER = ("eval", "dev", "train")
"""A file of two pages belongs to the one of the part that comes first: evaluation stays whole."""

_MORE_PEOPLE = 3
"""How many times as many people as of a system; all people of a page count as one."""

_EXTRA = {"train": "train", "dev": "dev_extra", "eval": "eval_extra"}


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What of the catalogue is built.

    Attributes:
        every: Whether the caps on pages, systems and speakers are lifted.
        at_most: With the caps lifted, at most this many more recordings of a base system on a page,
            and three times as many of people, spread evenly over its paths; 0 for all.
        licence: "stated" for pages whose repository states one only.
        include: Kinds of spoofed clips; empty for all.
        exclude: Kinds that are left out of these.
    """

    every: bool = False
    at_most: int = 0
    licence: Literal["any", "stated"] = "any"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for kind in (*self.include, *self.exclude):
            if kind not in KINDS:
                raise CorpusError(f"no kind is called {kind!r}{suggestion(kind, KINDS)}")
        for kind in {*self.include} & {*self.exclude}:
            raise CorpusError(f"kind {kind!r} is both included and excluded; choose one of them")

    def spread(self, paths: Sequence[str], *, bonafide: bool) -> Sequence[str]:
        """Return as many of the paths of one system, or of people, on a page as are wanted."""
        most = self.at_most * (_MORE_PEOPLE if bonafide else 1)
        if not 0 < most < len(paths):
            return paths
        return [paths[place * len(paths) // most] for place in range(most)]

    def takes(self, rule: Rule) -> bool:
        """Return whether files of a rule are wanted; people always are."""
        wanted = not self.include or rule.kind in self.include
        return rule.bonafide or (wanted and rule.kind not in self.exclude)


@dataclass(frozen=True)
class Recording:
    """A file of a page that becomes a clip.

    Attributes:
        page: Where it is from.
        rule: What it is.
        path: In the page's repository.
        blob: Git's hash of it.
        part: Of the manifest.
        listed: What the catalogue knows of its clip; None for one beyond the caps.
    """

    page: Page
    rule: Rule
    path: str
    blob: str
    part: str
    listed: Chosen | None = None

    @property
    def id(self) -> str:
        """Id of the clip in every manifest."""
        return clip_id(self.blob)

    @property
    def file(self) -> str:
        """Where the clip lies, relative to the corpus."""
        return f"clips/{self.part}/{self.blob[:16]}.flac"


def pages(catalogue: Catalogue, choice: Choice) -> list[Page]:
    """Return the pages that may be built: evaluation first, then by name; excluded ones never."""
    wanted = [
        page
        for page in catalogue.pages.values()
        if page.repo not in catalogue.excluded
        and (choice.licence == "any" or page.licence_is_stated)
    ]
    return sorted(wanted, key=lambda page: (_ORDER.index(page.part), page.repo))


def chosen(catalogue: Catalogue, choice: Choice, page: Page) -> Iterator[Recording]:
    """Yield the recordings of a page in the capped corpus."""
    for clip in catalogue.chosen.get(page.repo, ()):
        rule = catalogue.rule(page.repo, clip.path)
        if rule is not None and choice.takes(rule):
            yield Recording(page, rule, clip.path, clip.blob, page.part, clip)


def others(
    catalogue: Catalogue,
    choice: Choice,
    page: Page,
    files: Mapping[str, str],
    taken: Iterable[str] = (),
) -> Iterator[Recording]:
    """Yield the recordings of a page beyond the caps, each content once, by system and path.

    Args:
        catalogue: Says what files are.
        choice: Which are wanted.
        page: The page.
        files: Path -> git's hash, as `Repository.listed` gives it.
        taken: Hashes that are clips already.
    """
    seen = set(taken)
    of_system: dict[str, dict[str, Rule]] = {}
    for path, blob in sorted(files.items()):
        if PurePosixPath(path).suffix.lower() not in AUDIO_SUFFIXES or blob in seen:
            continue
        rule = catalogue.rule(page.repo, path)
        if rule is not None and choice.takes(rule):
            seen.add(blob)
            system = BONAFIDE_ATTACK if rule.bonafide else rule.base_system
            of_system.setdefault(system, {})[path] = rule
    for system, rules in of_system.items():
        for path in choice.spread(list(rules), bonafide=system == BONAFIDE_ATTACK):
            yield Recording(page, rules[path], path, files[path], _EXTRA[page.part])
