"""Samplers for methods that see a batch as several domains, or as clips and their twins.

B clips of a batch, N of a manifest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from unheard.data.batches import BatchRows
from unheard.data.clip import RECONSTRUCTION, Manifest, values_of
from unheard.data.round_robin import RoundRobin
from unheard.errors import RecipeError, TrainingError, suggestion
from unheard.types import BoolArray, IntArray

__all__ = ["ByDomain", "WithTwins"]


@dataclass(frozen=True)
class ByDomain:
    """A mini-batch of each domain: half spoofed clips of it, half bona fide ones drawn for it.

    The bona fide clips of each domain follow an order of their own, and `Batch.domain` says for
    which domain one was drawn. Clips of a domain lie together in the batch, bona fide ones first.

    Attributes:
        clips_per_domain: Clips of each domain in a batch, an even number.
        by: What a domain is: a column of the manifest, such as "attack", "family", "codec",
            "language" or "corpus", or a key of its notes, such as "notes.vocoder".
        domains_per_step: Domains in a batch, drawn at random for each; 0 for all. With all, every
            clip of a domain is used once before any is used twice.
        bonafide_from: "all" draws from all bona fide clips; "domain" from those that have the
            domain's value themselves, for columns such as "language".
    """

    clips_per_domain: int = 4
    by: str = "attack"
    domains_per_step: int = 0
    bonafide_from: Literal["all", "domain"] = "all"

    def __post_init__(self) -> None:
        if self.clips_per_domain < 2 or self.clips_per_domain % 2:
            raise RecipeError(
                f"sampler.clips_per_domain is {self.clips_per_domain}; half of them are bona fide: "
                "give an even number of 2 or more"
            )
        if self.domains_per_step < 0 or self.domains_per_step == 1:
            raise RecipeError(
                f"sampler.domains_per_step is {self.domains_per_step}; give 2 or more, or 0 for all"
            )
        if self.bonafide_from not in ("all", "domain"):
            raise RecipeError(
                f"sampler.bonafide_from is {self.bonafide_from!r}; give 'all' or 'domain'"
            )

    def domains(self, manifest: Manifest) -> tuple[str, ...]:
        """Return the values of `by` among spoofed clips, sorted."""
        return tuple(sorted(set(values_of(manifest, self.by)[~manifest.bonafide()].tolist())))

    def planner(self, manifest: Manifest, seed: int) -> Callable[[int], BatchRows]:
        """Return a function from a step to a mini-batch of each of its domains.

        Raises:
            TrainingError: If there are too few domains, or one has no bona fide clip to draw.
        """
        names, values = self.domains(manifest), values_of(manifest, self.by)
        if len(names) < max(self.domains_per_step, 2):
            raise TrainingError(
                f"{self.by!r} tells {len(names)} domain(s) apart among the spoofed clips to train "
                f"on ({', '.join(names[:5])}), and {max(self.domains_per_step, 2)} or more are "
                "needed: name another column in sampler.by, or set sampler.domains_per_step lower"
            )
        bonafide = manifest.bonafide()
        round_robins = []
        for index, name in enumerate(names):
            spoof = ~bonafide & (values == name)
            human = bonafide & (values == name) if self.bonafide_from == "domain" else bonafide
            if not human.any():
                raise TrainingError(
                    f"no bona fide clip to train on for domain {name!r} of {self.by!r}; set "
                    "sampler.bonafide_from=all, or add bona fide clips"
                )
            round_robins.append(
                (
                    RoundRobin.of(human, human, (seed, 0, index)),
                    RoundRobin.of(spoof, spoof, (seed, 1, index)),
                )
            )
        return partial(self._plan, tuple(round_robins), seed)

    def _plan(
        self, round_robins: tuple[tuple[RoundRobin, RoundRobin], ...], seed: int, step: int
    ) -> BatchRows:
        half = self.clips_per_domain // 2
        chosen = np.arange(len(round_robins))
        if self.domains_per_step:
            rng = np.random.default_rng((seed, step))
            chosen = np.sort(rng.choice(len(round_robins), self.domains_per_step, replace=False))
        rows = [
            round_robin.draw(step * half, half)[0]
            for domain in chosen
            for round_robin in round_robins[domain]
        ]
        domains = np.repeat(chosen, self.clips_per_domain)
        return BatchRows(np.concatenate(rows), domains, np.full(len(domains), -1))


@dataclass(frozen=True)
class WithTwins:
    """Clips together with their twins: bona fide, reconstructed, spoofed, and theirs reconstructed.

    A twin is a clip of the family "reconstruction"; it is never bona fide, its `source_clip` is the
    id of the clip it was made from, and its `attack` names the generator. Twins are drawn, every
    one once before any twice, and each brings its source: generators take turns, and among those
    made from spoofed clips the sources' families too. With several generators a batch may so hold a
    clip twice. In a batch lie bona fide clips, their twins, spoofed clips, their twins; a twin has
    the domain of its source, so methods that split domains keep a pair together.

    Attributes:
        batch_clips: Clips per batch, twins among them.
        bonafide_clips: Bona fide clips of a batch, their twins not among them; 0 for a quarter of
            it, or half if the generator is "none".
        generator: Whose twins: an `attack` among them, "all" in turn, or "none", for the same clips
            without twins.
        by: Manifest column whose values take turns among spoofed clips: "attack" or "family".
        lacking: What to do with clips that have no twin: "refuse" the manifest, or "leave_out" the
            clips.

    Source:
        Diffusion reconstruction towards generalizable audio deepfake detection (2604.26465) trains
        on these four kinds of clips; how many of each a batch holds is not known.
    """

    batch_clips: int = 16
    bonafide_clips: int = 0
    generator: str = "all"
    by: str = "family"
    lacking: Literal["refuse", "leave_out"] = "refuse"

    def __post_init__(self) -> None:
        n_bonafide, n_spoof = self._counts()
        if self.batch_clips % 2 or n_bonafide < 2 or n_spoof < 1:
            raise RecipeError(
                f"sampler.batch_clips {self.batch_clips} and bonafide_clips {self.bonafide_clips} "
                f"make {n_bonafide} bona fide and {n_spoof} spoofed clips next to their twins; "
                "give an even number that leaves 2 bona fide clips and 1 spoofed one or more, such "
                "as 8"
            )
        if self.lacking not in ("refuse", "leave_out"):
            raise RecipeError(f"sampler.lacking is {self.lacking!r}; give 'refuse' or 'leave_out'")

    def domains(self, manifest: Manifest) -> tuple[str, ...]:
        """Return the values of `by` among spoofed clips that are no twins, sorted."""
        plain = ~manifest.bonafide() & ~manifest.twins()
        return tuple(sorted(set(manifest.column(self.by)[plain])))

    def planner(self, manifest: Manifest, seed: int) -> Callable[[int], BatchRows]:
        """Return a function from a step to a batch of clips and their twins.

        Raises:
            TrainingError: If there are no twins, one's source is not among the clips, clips lack a
                twin and may not be left out, or too few of a class are left.
        """
        bonafide, twins = manifest.bonafide(), manifest.twins()
        names, values = self.domains(manifest), manifest.column(self.by).astype(str)
        source = np.arange(len(manifest))
        drawn, turns = ~twins, values
        if self.generator != "none":
            drawn = self._chosen(manifest, twins)
            source[drawn] = _sources(manifest, drawn, twins)
            self._check_lacking(manifest, ~twins & ~np.isin(source, source[drawn]))
            made_by = manifest.column("attack").astype(str)
            turns = np.array([f"{g}\n{v}" for g, v in zip(made_by, values[source], strict=True)])
        is_human = bonafide[source]
        n_human = len(set(source[drawn & is_human].tolist()))
        if n_human < 2 or not (drawn & ~is_human).any():
            raise TrainingError(
                f"{n_human} bona fide clip(s) and {int((drawn & ~is_human).sum())} spoofed one(s) "
                "to draw; 2 and 1 or more are needed: add clips, and their twins"
            )
        place = {name: index for index, name in enumerate(names)}
        domain = np.array([place.get(value, -1) for value in values[source].tolist()])
        domain[is_human] = -1
        round_robins = (
            RoundRobin.of(turns, drawn & is_human, (seed, 0)),
            RoundRobin.of(turns, drawn & ~is_human, (seed, 1)),
        )
        return partial(self._plan, round_robins, source, domain)

    def _plan(
        self,
        round_robins: tuple[RoundRobin, RoundRobin],
        source: IntArray,
        domain: IntArray,
        step: int,
    ) -> BatchRows:
        rows: list[IntArray] = []
        twin: list[IntArray] = []
        for round_robin, n in zip(round_robins, self._counts(), strict=True):
            drawn, _ = round_robin.draw(step * n, n)
            offsets, first = np.arange(n), sum(map(len, rows))
            if self.generator == "none":
                rows, twin = [*rows, drawn], [*twin, np.full(n, -1)]
            else:
                rows, twin = (
                    [*rows, source[drawn], drawn],
                    [*twin, first + n + offsets, first + offsets],
                )
        together = np.concatenate(rows)
        return BatchRows(together, domain[together], np.concatenate(twin))

    def _counts(self) -> tuple[int, int]:
        """Return how many bona fide and spoofed clips a batch has, without their twins."""
        n_sources = self.batch_clips if self.generator == "none" else self.batch_clips // 2
        n_bonafide = self.bonafide_clips or n_sources // 2
        return n_bonafide, n_sources - n_bonafide

    def _chosen(self, manifest: Manifest, twins: BoolArray) -> BoolArray:
        """Return which clips are twins by the generator, [N] bool."""
        made_by = manifest.column("attack").astype(str)
        known = sorted(set(made_by[twins].tolist()))
        if not known:
            raise TrainingError(
                f"no clip to train on is of the family {RECONSTRUCTION!r}; make twins of the clips "
                "first, see docs/reconstruction.md, or set sampler.generator=none"
            )
        if self.generator not in ("all", *known):
            raise TrainingError(
                f"no twin was made by {self.generator!r}{suggestion(self.generator, known)}; set "
                "sampler.generator to one of them, or to all"
            )
        if self.generator == "all":
            return twins
        chosen: BoolArray = twins & (made_by == self.generator)
        return chosen

    def _check_lacking(self, manifest: Manifest, lacking: BoolArray) -> None:
        if lacking.any() and self.lacking == "refuse":
            human = manifest.bonafide()
            raise TrainingError(
                f"{int((lacking & human).sum())} bona fide and {int((lacking & ~human).sum())} "
                f"spoofed clips have no twin, such as {manifest.column('id')[lacking][0]!r}; make "
                "theirs too, or train without these clips: sampler.lacking=leave_out"
            )


def _sources(manifest: Manifest, drawn: BoolArray, twins: BoolArray) -> list[int]:
    """Return the rows of the clips that some twins were made from."""
    ids = manifest.column("id").tolist()
    rows = {name: row for row, name in enumerate(ids) if not twins[row]}
    sources = manifest.column("source_clip")[drawn].tolist()
    strange = [
        twin for twin, name in zip(np.array(ids)[drawn], sources, strict=True) if name not in rows
    ]
    if strange:
        raise TrainingError(
            f"{len(strange)} twin(s) were made from clips that are not trained on, such as "
            f"{strange[0]!r}; a twin belongs to the part of its source: move it there"
        )
    return [rows[name] for name in sources]
