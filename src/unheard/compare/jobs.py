"""What a plan wants done: one job per protocol, method and seed, and what each has left behind.

    OUT/manifests/without_<family>.parquet   clips with one family held out of training
    OUT/<protocol>/seed<k>/<method>/         one job: what `unheard train` leaves, and
        eval/scores.parquet                  its score file, with the report of this one detector
        cost.json                            size, and time of scoring
        spent.json                           time that the steps took
        log.txt                              what the commands said

What a recipe starts from lies next to it and is a job of its own, which all that need it share.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from unheard import recipes
from unheard.compare.cost import read_cost
from unheard.compare.plan import Comparison, Entry
from unheard.compare.time_used import read_time_used
from unheard.data import protocols
from unheard.data.clip import Manifest
from unheard.data.hold_out import leave_one_out
from unheard.data.protocol import moved
from unheard.detectors.bundle import read_card
from unheard.detectors.card import Card
from unheard.errors import RecipeError, UnheardError
from unheard.evaluation.scores import read_facts
from unheard.training.recipe import Recipe, recipe_to_json, with_settings

__all__ = ["STEPS", "Job", "Source", "Stage", "jobs_of", "stages_of"]

STEPS = ("train", "evaluate", "cost")
"""What is done in a job, in order; each is a command of that name."""


@dataclass(frozen=True, eq=False)
class Source:
    """A manifest that jobs are trained and tested on.

    Attributes:
        file: The manifest file.
        manifest: The clips; None where only runs that are there are looked at.
    """

    file: Path = Path()
    manifest: Manifest | None = None

    @cached_property
    def _hashes(self) -> dict[tuple[str, ...], str]:
        return {}

    def sha256(self, parts: tuple[str, ...]) -> str:
        """Return the hash of the clips of some parts; "" if they are not known.

        Raises:
            ManifestError: If a part has no clip.
        """
        if self.manifest is None:
            return ""
        if parts not in self._hashes:
            self._hashes[parts] = self.manifest.part(*parts).sha256()
        return self._hashes[parts]


UNKNOWN = Source()


@dataclass(frozen=True, eq=False)
class Stage:
    """What all methods are put through: a protocol, or training without one family.

    Attributes:
        name: Name of its folder: the protocol, or "without_<family>".
        held_out: Family that is held out of training; "" for none.
        sources: Manifests by the name that entries call them by; "" is that of most entries.
    """

    name: str
    held_out: str
    sources: Mapping[str, Source]


@dataclass(frozen=True, eq=False)
class Job:
    """A detector to be trained and, if it is compared, evaluated.

    Attributes:
        stage: Where.
        seed: Seed of the run.
        name: Name of the entry, or of the recipe that others start from.
        source: What it is trained and tested on.
        recipe_name: Recipe as the command line takes it.
        settings: What is set, the seed last.
        recipe: The recipe with these settings.
        protocol: Clips it is tested on; "" if others only start from it.
        folder: Folder of the run.
        needs: Jobs that must be done before it.
    """

    stage: Stage
    seed: int
    name: str
    source: Source
    recipe_name: str
    settings: tuple[str, ...]
    recipe: Recipe = field(repr=False)
    protocol: str
    folder: Path
    needs: tuple[Job, ...] = field(repr=False)

    @property
    def label(self) -> str:
        """What people call it."""
        return f"{self.stage.name} seed {self.seed} {self.name}"

    def steps_left(self) -> tuple[str, ...]:
        """Return which steps are still to be done, in order; none if the job is done."""
        card = self.card()
        if card is None:
            return STEPS if self.protocol else STEPS[:1]
        if not self.protocol:
            return ()
        left = [] if self._is_evaluated(card) else ["evaluate"]
        return (*left, *(() if self._is_measured() else ("cost",)))

    def command(self, step: str) -> list[str]:
        """Return the arguments of `unheard` that do a step."""
        bundle = str(self.folder / "bundle")
        if step == "train":
            set_ = [word for setting in self.settings for word in ("--set", setting)]
            where = ["--data", str(self.source.file), "--out", str(self.folder)]
            return ["train", self.recipe_name, *where, *set_]
        if step == "evaluate":
            where = ["--data", str(self.source.file), "--out", str(self.folder / "eval")]
            return ["evaluate", bundle, *where, "--protocol", self.protocol]
        return ["inspect", "cost", bundle, "--out", str(self.folder / "cost.json")]

    def card(self) -> Card | None:
        """Return the card of the trained detector; None unless it is of this recipe and data."""
        try:
            card = read_card(self.folder / "bundle")
        except UnheardError:
            return None
        provenance = card.provenance
        wanted = {
            "train": self.source.sha256(self.recipe.train_parts),
            "dev": self.source.sha256(self.recipe.dev_parts),
        }
        if any(
            sha256 and provenance.manifests.get(part) != sha256 for part, sha256 in wanted.items()
        ):
            return None
        return None if _contradicts(provenance.settings, recipe_to_json(self.recipe)) else card

    def training_core_s(self) -> float | None:
        """Return the processor seconds of its training and of what it needs; None if not noted."""
        noted = [read_time_used(job.folder).get("train") for job in (self, *_all_needs(self))]
        known = [step.core_s for step in noted if step]
        return sum(known) if len(known) == len(noted) else None

    def _is_evaluated(self, card: Card) -> bool:
        try:
            facts = read_facts(self.folder / "eval" / "scores.parquet")
        except UnheardError:
            return False
        weights = card.weights_sha256
        return (facts.protocol, facts.weights_sha256) == (self.protocol, weights)

    def _is_measured(self) -> bool:
        try:
            read_cost(self.folder / "cost.json")
        except UnheardError:
            return False
        return True


def stages_of(plan: Comparison, data: Mapping[str, Path], out: Path) -> list[Stage]:
    """Return what the methods of a plan are put through.

    Args:
        plan: The plan.
        data: Manifest files by the name that entries call them by; "" is that of most. Their
            versions without a family are written if they are not there. Empty to look at what is
            there.
        out: Folder of the comparison.

    Raises:
        ManifestError: If a manifest cannot be read, or does not have such a family.
        RecipeError: If no protocol has the name, or the folder is of another corpus.
    """
    protocols.protocol(plan.protocol)
    read = {name: Source(file, Manifest.read(file)) for name, file in data.items()}
    stages = [Stage(plan.protocol, "", read)]
    for family in plan.held_out:
        name = f"without_{'-'.join(family.split())}"
        sources = {}
        for key, whole in read.items():
            file = out / "manifests" / f"{name}{'_' if key else ''}{key}.parquet"
            sources[key] = Source(file, _left_out(whole, family, file))
        stages.append(Stage(name, family, sources))
    return stages


def jobs_of(
    plan: Comparison, stages: Iterable[Stage], out: Path, *, only: Sequence[str] = ()
) -> list[Job]:
    """Return all jobs of a plan, seed by seed, those that others need before these.

    Args:
        plan: The plan.
        stages: As `stages_of` gives them.
        out: Folder of the comparison.
        only: Entries to do; empty for all.

    Raises:
        RecipeError: If an entry, a recipe or a setting does not exist, or a recipe starts from one
            that is trained on other parts.
        ManifestError: If the manifest lacks a part that a recipe wants.
    """
    for name in only:
        plan.entry(name)
    jobs: dict[Path, Job] = {}
    for stage in stages:
        held_out_entries = plan.held_out_entries if stage.held_out else ()
        for seed in plan.seeds:
            layout = _Layout(plan, stage, seed, out / stage.name / f"seed{seed}", jobs)
            for entry in plan.entries:
                if entry.name in (held_out_entries or (entry.name,)) and entry.name in (
                    only or (entry.name,)
                ):
                    layout.add(entry.name, tested=True)
    return list(jobs.values())


@dataclass(frozen=True, eq=False)
class _Layout:
    """The jobs of one stage and seed; they lie in one folder."""

    plan: Comparison
    stage: Stage
    seed: int
    folder: Path
    jobs: dict[Path, Job]

    def add(self, name: str, *, tested: bool) -> Job:
        """Add the job of an entry, or of a recipe that others start from, after what it needs."""
        own = {entry.name: entry for entry in self.plan.entries}
        entry = own.get(name, Entry(name, name))
        folder, source = self.folder / name, self.stage.sources.get(entry.data, UNKNOWN)
        existing = self.jobs.get(folder)
        if existing is not None and (existing.protocol or not tested):
            return existing
        held_out_settings = self.plan.held_out_settings if self.stage.held_out else ()
        settings = (*self.plan.settings, *entry.settings, *held_out_settings, f"seed={self.seed}")
        recipe = with_settings(recipes.load(entry.recipe), settings)
        for part in (recipe.train_parts, recipe.dev_parts):
            source.sha256(part)
        needs = tuple(
            self._first(recipe, name)
            for name in dict.fromkeys(checkpoint.name for _, checkpoint in recipe.init_from)
        )
        job = Job(
            stage=self.stage,
            seed=self.seed,
            name=name,
            source=source,
            recipe_name=_path(entry.recipe),
            settings=settings,
            recipe=recipe,
            protocol=self.plan.protocol if tested else "",
            folder=folder,
            needs=needs,
        )
        self.jobs[folder] = job
        return job

    def _first(self, recipe: Recipe, name: str) -> Job:
        """Add what a recipe starts from."""
        job = self.add(name, tested=False)
        parts = (recipe.train_parts, recipe.dev_parts)
        if (job.recipe.train_parts, job.recipe.dev_parts) != parts:
            raise RecipeError(
                f"recipe {recipe.name!r} is trained on other parts than {name!r}, from which it "
                "starts; give both the same train_parts and dev_parts"
            )
        return job


def _path(recipe: str) -> str:
    """Return a recipe as a command in any folder takes it."""
    return str(Path(recipe).resolve()) if recipe.endswith(".py") else recipe


def _all_needs(job: Job) -> Iterator[Job]:
    """Yield what a job needs, each once."""
    seen: dict[Path, Job] = {}
    waiting = list(job.needs)
    while waiting:
        need = waiting.pop()
        if need.folder not in seen:
            seen[need.folder] = need
            waiting += need.needs
    yield from seen.values()


def _left_out(whole: Source, family: str, file: Path) -> Manifest:
    """Write a manifest without a family, if it is not there."""
    assert whole.manifest is not None
    left = moved(leave_one_out(whole.manifest, by="family", value=family), file.parent)
    if not file.is_file():
        left.write(file)
    elif Manifest.read(file).sha256() != left.sha256():
        raise RecipeError(
            f"{file}: made from another corpus; choose another --out, or delete it to train on "
            "this one"
        )
    return left


def _contradicts(old: Any, new: Any) -> bool:
    """Return whether two JSON values differ; names that only one has are of another version."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return any(_contradicts(old[name], new[name]) for name in old.keys() & new.keys())
    return bool(old != new)
