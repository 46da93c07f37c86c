"""Numbers of clips that come from pages: unseen systems, and pages that all weigh the same.

A score file has them if its clips have the note "page", as those of the corpus demos. A system is
unseen if nothing that the detector was trained on has its base system. Where that is not known of a
detector, the note "unseen" decides, which knows of the corpus alone; without notes all are taken.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from unheard.data.kinds import base_system
from unheard.errors import MetricError
from unheard.evaluation.scores import SCORED, Facts
from unheard.metrics import (
    GroupMean,
    TiesWarning,
    bootstrap,
    eer,
    mean_over_groups,
    mean_within_groups,
    share_by_group,
)
from unheard.metrics.by_group import FEWEST_PEOPLE
from unheard.types import BoolArray, FloatArray

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["PageRate", "page_rates", "unseen_systems"]

_COLUMNS = ("page", "attack", "language", "source_corpus", "source_seen", "unseen", "part")

_Labels = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, kw_only=True)
class PageRate:
    """One number over pages or systems.

    Attributes:
        part: Part of the clips.
        name: What it is, in words.
        value: In [0, 1].
        low: Lower end of the 95 % interval; pages or source corpora, and systems, drawn whole.
            None if there is but one to draw.
        high: Upper end.
        n_bonafide: Bona fide clips that it is of.
        n_spoof: Spoofed clips.
        n_groups: Systems or pages with clips enough for a value of their own.
        worst: Highest value of those; None if there is none.
        worst_group: Which that is; "" if there is none.
    """

    part: str
    name: str
    value: float
    low: float | None
    high: float | None
    n_bonafide: int = 0
    n_spoof: int = 0
    n_groups: int = 0
    worst: float | None = None
    worst_group: str = ""


def page_rates(
    table: pa.Table,
    parts: Sequence[str],
    facts: Facts,
    *,
    n_draws: int = 1000,
    seed: int = 0,
) -> list[PageRate]:
    """Return the numbers of parts whose clips name their page; none where they do not.

    A number for which there are not clips enough is left out.

    Args:
        table: Clips as `read_scores` gives them, those without a verdict too.
        parts: Parts with clips of both classes.
        facts: Of the detector: its default decision, if it has one, and what it was trained on.
        n_draws: Bootstrap draws.
        seed: Seed of the bootstrap.
    """
    if "page" not in table.column_names:
        return []
    clips = _Clips.of(table)
    rates: list[PageRate] = []
    for part in parts:
        inside = clips.where(clips.labels["part"] == part)
        of_part = _Part(inside, part, facts.trained_systems, n_draws, seed)
        rates.extend(of_part.rates(facts.thresholds))
    return rates


@dataclass(frozen=True, eq=False)
class _Clips:
    """Columns of clips with a page, each shape [N]; score NaN without a verdict."""

    score: FloatArray
    bonafide: BoolArray
    labels: Mapping[str, _Labels]

    @classmethod
    def of(cls, table: pa.Table) -> _Clips:
        def text(name: str) -> _Labels:
            if name not in table.column_names:
                return np.full(table.num_rows, "", object)
            column: _Labels = table.column(name).to_numpy(zero_copy_only=False)
            return column

        score = table.column("score").to_numpy().astype(np.float64)
        bonafide = table.column("bonafide").to_numpy(zero_copy_only=False).astype(bool)
        whole = cls(score, bonafide, {name: text(name) for name in _COLUMNS})
        judged = np.isin(text("status").astype(str), (SCORED, "no verdict"))
        return whole.where(judged & (whole.labels["page"] != ""))

    def unseen(self, trained_systems: Sequence[str]) -> BoolArray:
        return unseen_systems(self.labels["attack"], self.labels["unseen"], trained_systems)

    def where(self, mask: BoolArray) -> _Clips:
        labels = {name: values[mask] for name, values in self.labels.items()}
        return _Clips(self.score[mask], self.bonafide[mask], labels)


@dataclass(frozen=True, eq=False)
class _Part:
    """The clips of one part, what the detector was trained on, how numbers are resampled."""

    clips: _Clips
    part: str
    trained_systems: tuple[str, ...]
    n_draws: int
    seed: int

    def rates(self, thresholds: Sequence[float]) -> Iterator[PageRate]:
        if not self.clips.score.size:
            return
        scored = self.clips.where(np.isfinite(self.clips.score))
        people, spoof = scored.where(scored.bonafide), scored.where(~scored.bonafide)
        unseen = spoof.where(spoof.unseen(self.trained_systems))
        yield from self._pooled("pooled EER", people, unseen)
        new = people.where(people.labels["source_seen"] == "no")
        yield from self._pooled("pooled EER, people of source corpora not in train", new, unseen)
        for name, label in (("systems", "attack"), ("pages", "page")):
            groups = people.labels["page"], unseen.labels[label]
            yield from self._mean(f"mean over {name}", mean_over_groups, people, unseen, groups)
        groups = people.labels["page"], spoof.labels["page"]
        yield from self._mean("within a page", mean_within_groups, people, spoof, groups)
        if len(thresholds) == 2:
            yield from self._decisions(*thresholds)

    def _pooled(self, name: str, people: _Clips, spoof: _Clips) -> Iterator[PageRate]:
        """EER of all people against all spoofed clips; pages and systems drawn whole."""
        if not (people.score.size and spoof.score.size):
            return
        clusters = people.labels["page"].astype(str), spoof.labels["attack"].astype(str)
        scores = people.score, spoof.score
        drawn = {"n_draws": self.n_draws, "seed": self.seed}
        interval = bootstrap(eer, *scores, clusters=clusters, **drawn)
        with warnings.catch_warnings(action="ignore", category=TiesWarning):
            value = eer(*scores)
        n_bonafide, n_spoof = (array.size for array in scores)
        yield PageRate(
            part=self.part,
            name=name,
            value=value,
            low=interval.low,
            high=interval.high,
            n_bonafide=n_bonafide,
            n_spoof=n_spoof,
        )

    def _mean(
        self,
        name: str,
        mean: Callable[..., GroupMean],
        people: _Clips,
        spoof: _Clips,
        groups: tuple[_Labels, _Labels],
    ) -> Iterator[PageRate]:
        try:
            over_groups = mean(
                eer, people.score, spoof.score, groups, n_draws=self.n_draws, seed=self.seed
            )
        except MetricError:  # not clips enough of any system or page
            return
        yield self._rate(name, over_groups, people.score.size, spoof.score.size)

    def _decisions(self, low: float, high: float) -> Iterator[PageRate]:
        """Shares at the operating point, NaN being undecided: a score that is on no side."""
        people, spoof = (self.clips.where(self.clips.bonafide == truth) for truth in (True, False))
        unseen = spoof.where(spoof.unseen(self.trained_systems))
        new = people.where(people.labels["source_seen"] == "no")
        yield from self._share("people called spoof, by page", people, "page", people.score < low)
        yield from self._share(
            "people called spoof, by source corpus", people, "source_corpus", people.score < low
        )
        yield from self._share(
            "people of source corpora not in train called spoof", new, "page", new.score < low
        )
        for language in sorted(set(people.labels["language"]) - {""}):
            speakers = people.where(people.labels["language"] == language)
            if speakers.score.size < FEWEST_PEOPLE:
                continue
            name = f"people called spoof, language {language}"
            yield from self._share(name, speakers, "page", speakers.score < low)
        undecided = ~((unseen.score < low) | (unseen.score >= high))
        yield from self._share("synthetic called bona fide", unseen, "attack", unseen.score >= high)
        yield from self._share("synthetic undecided", unseen, "attack", undecided)

    def _share(self, name: str, clips: _Clips, label: str, called: BoolArray) -> Iterator[PageRate]:
        if not clips.score.size:
            return
        # Clips that do not tell are of their page: a source corpus "" is none.
        groups = np.where(clips.labels[label] == "", clips.labels["page"], clips.labels[label])
        share = share_by_group(called, groups, n_draws=self.n_draws, seed=self.seed)
        n = clips.score.size
        human = bool(clips.bonafide[0])
        yield self._rate(name, share, n if human else 0, 0 if human else n)

    def _rate(self, name: str, mean: GroupMean, n_bonafide: int, n_spoof: int) -> PageRate:
        groups = mean.groups
        return PageRate(
            part=self.part,
            name=name,
            value=mean.value,
            low=mean.interval.low if mean.interval else None,
            high=mean.interval.high if mean.interval else None,
            n_bonafide=n_bonafide,
            n_spoof=n_spoof,
            n_groups=len(groups.values) if groups else 0,
            worst=groups.worst if groups else None,
            worst_group=groups.worst_group if groups else "",
        )


def unseen_systems(attacks: _Labels, noted: _Labels, trained_systems: Sequence[str]) -> BoolArray:
    """Return which spoofed clips are of systems that no detector in question was trained on.

    Args:
        attacks: System of each clip, shape [M].
        noted: The note "unseen" of each, shape [M]; it decides where nothing is known of training.
        trained_systems: Base systems of the clips that were trained on; empty if not known.
    """
    if len(trained_systems):
        systems = [base_system(attack) for attack in attacks.tolist()]
        return ~np.isin(np.array(systems, str), list(trained_systems))
    known: BoolArray = noted != ""
    return noted == "yes" if known.any() else ~known
