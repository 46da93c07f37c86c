"""Samplers for methods that see a batch as several domains.

B clips.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from unheard.batch import Plan, Rota
from unheard.clip import Manifest
from unheard.errors import RecipeError, TrainingError

__all__ = ["ByDomain"]

NOTES = "notes."


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
        spoof = ~manifest.column("bonafide").astype(bool)
        return tuple(sorted(set(_values(manifest, self.by)[spoof].tolist())))

    def planner(self, manifest: Manifest, seed: int) -> Callable[[int], Plan]:
        """Return a function from a step to a mini-batch of each of its domains.

        Raises:
            TrainingError: If there are too few domains, or one has no bona fide clip to draw.
        """
        names, values = self.domains(manifest), _values(manifest, self.by)
        if len(names) < max(self.domains_per_step, 2):
            raise TrainingError(
                f"{self.by!r} tells {len(names)} domain(s) apart among the spoofed clips to train "
                f"on ({', '.join(names[:5])}), and {max(self.domains_per_step, 2)} or more are "
                "needed: name another column in sampler.by, or set sampler.domains_per_step lower"
            )
        bonafide = manifest.column("bonafide").astype(bool)
        rotas = []
        for index, name in enumerate(names):
            spoof = ~bonafide & (values == name)
            human = bonafide & (values == name) if self.bonafide_from == "domain" else bonafide
            if not human.any():
                raise TrainingError(
                    f"no bona fide clip to train on for domain {name!r} of {self.by!r}; set "
                    "sampler.bonafide_from=all, or add bona fide clips"
                )
            rotas.append(
                (Rota.of(human, human, (seed, 0, index)), Rota.of(spoof, spoof, (seed, 1, index)))
            )
        return partial(self._plan, tuple(rotas), seed)

    def _plan(self, rotas: tuple[tuple[Rota, Rota], ...], seed: int, step: int) -> Plan:
        half = self.clips_per_domain // 2
        chosen = np.arange(len(rotas))
        if self.domains_per_step:
            rng = np.random.default_rng((seed, step))
            chosen = np.sort(rng.choice(len(rotas), self.domains_per_step, replace=False))
        rows = [rota.draw(step * half, half)[0] for domain in chosen for rota in rotas[domain]]
        domains = np.repeat(chosen, self.clips_per_domain)
        return Plan(np.concatenate(rows), domains, np.full(len(domains), -1))


def _values(manifest: Manifest, by: str) -> np.ndarray[Any, Any]:
    """Return what a column, or a key of the notes, holds for each clip, shape [N]; "" if absent."""
    if not by.startswith(NOTES):
        return manifest.column(by).astype(str)
    key = by.removeprefix(NOTES)
    notes = [dict(pairs) for pairs in manifest.column("notes")]
    return np.array([held.get(key, "") for held in notes], dtype=str)
