"""What one training step is fed with, and what it gives back.

A batch is a pure function of (seed, step, manifest): any number of loading processes, and a run
that was interrupted, see the same batches.

B clips, T samples at 16 kHz.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from unheard import audio
from unheard.audio import SAMPLE_RATE_HZ
from unheard.data import shards
from unheard.data.clip import Manifest, values_of
from unheard.data.round_robin import RoundRobin
from unheard.errors import RecipeError, TrainingError
from unheard.types import FloatArray, IntArray

__all__ = [
    "CACHE_BYTES",
    "Balanced",
    "Batch",
    "BatchRows",
    "BatchSource",
    "Sampler",
    "Shuffled",
    "Terms",
    "total",
]

CACHE_BYTES = 2**30
"""Up to this much decoded audio is held in memory: 9 hours at 16 kHz and 16 bits."""

Transform = Callable[[FloatArray, np.random.Generator], FloatArray]

Terms = dict[str, Tensor]
"""Named scalars of one step; names that start with "_" are logged but not minimised."""

T = TypeVar("T")


def total(terms: Terms) -> Tensor:
    """Return the scalar that is minimised: the sum of the terms, in the order they were added.

    Args:
        terms: Scalars by name; those that start with "_" are left out.
    """
    kept = [value for name, value in terms.items() if not name.startswith("_")]
    assert kept, f"no term to minimise among {list(terms)}"
    return torch.stack(kept).sum()


@dataclass(frozen=True, eq=False)
class Batch:
    """Clips of one step, cut to one length.

    Attributes:
        waveform: Shape [B, T] float32 in [-1, 1].
        n_samples: Shape [B] int64; how many samples of a row are not repeated ones.
        bonafide: Shape [B] bool.
        domain: Shape [B] int64; index into `BatchSource.domains`. The sampler may give a bona fide
            clip the domain it was drawn for; -1 if none.
        twin: Shape [B] int64; row of this batch that holds the clip's reconstruction or its source,
            cut at the same place; -1 if none. A reconstructed bona fide clip is one that is not
            bona fide and whose twin is.
        ids: Clip ids, B of them.
    """

    waveform: Tensor
    n_samples: Tensor
    bonafide: Tensor
    domain: Tensor
    twin: Tensor
    ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def to(self, device: torch.device) -> Batch:
        """Return the batch with its tensors on a device."""
        names = ("waveform", "n_samples", "bonafide", "domain", "twin")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})


@dataclass(frozen=True, eq=False)
class BatchRows:
    """Which clips make up one batch.

    Attributes:
        rows: Shape [B]; rows of the manifest. A clip may occur more than once, cut differently.
        domain: Shape [B]; see `Batch.domain`.
        twin: Shape [B]; see `Batch.twin`. Both clips of a pair point at each other.
    """

    rows: IntArray
    domain: IntArray
    twin: IntArray


class Sampler(Protocol):
    """A frozen dataclass that says how batches are composed."""

    def domains(self, manifest: Manifest) -> tuple[str, ...]:
        """Return the names that `Batch.domain` points into."""
        ...

    def planner(self, manifest: Manifest, seed: int) -> Callable[[int], BatchRows]:
        """Return a picklable function from a step, counted from 0, to its plan.

        Raises:
            TrainingError: If the manifest lacks what the batches are composed of.
        """
        ...


@dataclass(frozen=True)
class Balanced:
    """Half bona fide, half spoof; attacks take turns, so a large one does not dominate.

    Every clip of an attack is used once before any is used twice.

    Attributes:
        batch_clips: Clips per batch, an even number.
        by: Manifest column, or note such as "notes.page", whose values take turns among spoofed
            clips: "attack" or "family". With several, outer first, as in "corpus/family", corpora
            take turns, and within each of them its families, so neither a large corpus nor a large
            family dominates; see `values_of`.
        bonafide_by: The same for bona fide clips, such as "speaker" or "corpus"; "" for all alike.
    """

    batch_clips: int = 32
    by: str = "attack"
    bonafide_by: str = ""

    def __post_init__(self) -> None:
        if self.batch_clips < 2 or self.batch_clips % 2:
            raise RecipeError(
                f"sampler.batch_clips is {self.batch_clips}; half of a batch is bona fide: "
                "give an even number of 2 or more"
            )

    def domains(self, manifest: Manifest) -> tuple[str, ...]:
        """Return the values of `by` among spoofed clips, sorted; "corpus/family" if several."""
        combinations = np.unique(_columns(manifest, self.by)[~manifest.bonafide()], axis=0)
        return tuple("/".join(values) for values in combinations.tolist())

    def planner(self, manifest: Manifest, seed: int) -> Callable[[int], BatchRows]:
        """Return a function from a step to half a batch of each class.

        Raises:
            TrainingError: If the manifest has no bona fide or no spoofed clip.
        """
        bonafide = manifest.bonafide()
        if not bonafide.any() or bonafide.all():
            raise TrainingError(
                f"{int(bonafide.sum())} bona fide and {int((~bonafide).sum())} spoofed clips to "
                "train on; at least one of each is needed: choose another manifest or train_parts"
            )
        human = _columns(manifest, self.bonafide_by) if self.bonafide_by else bonafide
        spoof = RoundRobin.of(_columns(manifest, self.by), ~bonafide, (seed, 0))
        return partial(self._plan, RoundRobin.of(human, bonafide, (seed, 1)), spoof)

    def _plan(self, bonafide: RoundRobin, spoof: RoundRobin, step: int) -> BatchRows:
        half = self.batch_clips // 2
        first, _ = bonafide.draw(step * half, half)
        second, domain = spoof.draw(step * half, half)
        none = np.full(half, -1)
        return BatchRows(
            np.concatenate([first, second]),
            np.concatenate([none, domain]),
            np.concatenate([none, none]),
        )


@dataclass(frozen=True)
class Shuffled:
    """All clips in random order, every one once before any twice, whatever their class.

    The batches of most published recipes; objectives then weigh the classes.

    Attributes:
        batch_clips: Clips per batch.
        by: Manifest column, or note such as "notes.fold", that gives a spoofed clip its domain.
        bonafide_by: The same for bona fide clips; "" gives them none.
    """

    batch_clips: int = 32
    by: str = "attack"
    bonafide_by: str = ""

    def __post_init__(self) -> None:
        if self.batch_clips < 1:
            raise RecipeError(f"sampler.batch_clips is {self.batch_clips}; give 1 or more")

    def domains(self, manifest: Manifest) -> tuple[str, ...]:
        """Return the values that give clips their domains, sorted; "" gives none."""
        return tuple(sorted({*self._values(manifest)} - {""}))

    def planner(self, manifest: Manifest, seed: int) -> Callable[[int], BatchRows]:
        """Return a function from a step to the next clips of a random order."""
        index = {name: place for place, name in enumerate(self.domains(manifest))} | {"": -1}
        domain = np.array([index[name] for name in self._values(manifest)])
        everything = np.ones(len(manifest), bool)
        return partial(self._plan, RoundRobin.of(everything, everything, (seed, 2)), domain)

    def _values(self, manifest: Manifest) -> list[str]:
        """Return the name of each clip's domain, "" for none."""
        bonafide = manifest.bonafide()
        spoof = values_of(manifest, self.by)
        human = values_of(manifest, self.bonafide_by) if self.bonafide_by else ""
        names: list[str] = np.where(bonafide, human, spoof).tolist()
        return names

    def _plan(self, round_robin: RoundRobin, domain: IntArray, step: int) -> BatchRows:
        rows, _ = round_robin.draw(step * self.batch_clips, self.batch_clips)
        return BatchRows(rows, domain[rows], np.full(self.batch_clips, -1))


class BatchSource(Dataset[Batch]):
    """Batches by step, from the clips of a manifest.

    A clip is cut to the window at a random place, or repeated from a random phase if it is shorter,
    then transformed. Draws for slot i of step s come from `default_rng((seed, s, i))`.

    If the manifest gives all durations and the clips fit `cache_bytes` as 16-bit samples, they are
    decoded once, when first needed, and shared with the loading processes; else each cut is read
    from its file.
    """

    def __init__(
        self,
        manifest: Manifest,
        sampler: Sampler,
        *,
        window_s: float,
        seed: int,
        augment: Transform | None = None,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self.domains = sampler.domains(manifest)
        self.manifest = manifest
        self.augment = augment
        self.seed = seed
        self.n_window = round(window_s * SAMPLE_RATE_HZ)
        self._plan = sampler.planner(manifest, seed)
        self._paths = manifest.column("path")
        self._ids = manifest.column("id")
        self._bonafide = manifest.bonafide()
        self._duration_s = manifest.column("duration_s")
        n_bytes = 2 * SAMPLE_RATE_HZ * self._duration_s.sum()
        self._cached = bool((self._duration_s > 0).all()) and n_bytes <= cache_bytes
        self._clips: list[np.ndarray[Any, np.dtype[np.int16]]] = []

    def batches(
        self, start: int, stop: int, *, every: int = 1, workers: int = 0
    ) -> Iterator[Batch]:
        """Iterate over the batches of steps start to stop - 1.

        Args:
            start: First step, counted from 0.
            stop: One past the last step.
            every: Take every so many of them; processes that share a run take turns.
            workers: Loading processes; 0 loads in this one. The batches are the same.
        """
        if self._cached and not self._clips:  # before the workers are forked, to share the memory
            self._clips = [self._decode(row) for row in range(len(self.manifest))]
        loader = DataLoader(
            self,
            batch_size=None,
            sampler=range(start, stop, every),
            num_workers=workers,
            collate_fn=_as_it_is,
            # Its own generator: the loader would else draw from the global one, and a resumed run,
            # which makes a second loader, would part from the uninterrupted one.
            generator=torch.Generator(),
        )
        return iter(loader)

    def rows(self, n_steps: int) -> IntArray:
        """Return the rows of the manifest in the first batches, in their order, shape [N]."""
        return np.concatenate([self._plan(step).rows for step in range(n_steps)])

    def __getitem__(self, step: int) -> Batch:
        plan = self._plan(step)
        waveform = np.empty((len(plan.rows), self.n_window), np.float32)
        n_samples = np.empty(len(plan.rows), np.int64)
        places: list[float] = []
        for slot, (row, twin) in enumerate(np.stack([plan.rows, plan.twin], axis=1).tolist()):
            rng = np.random.default_rng((self.seed, step, slot))
            places.append(float(rng.random()))
            place = places[min(twin, slot)] if twin >= 0 else places[slot]
            wave, n_samples[slot] = self._cut(row, place)
            waveform[slot] = wave if self.augment is None else self.augment(wave, rng)
        return Batch(
            waveform=torch.from_numpy(waveform),
            n_samples=torch.from_numpy(n_samples),
            bonafide=torch.from_numpy(self._bonafide[plan.rows]),
            domain=torch.from_numpy(plan.domain),
            twin=torch.from_numpy(plan.twin),
            ids=tuple(self._ids[plan.rows]),
        )

    def _cut(self, row: int, place: float) -> tuple[FloatArray, int]:
        """Return a window of a clip at a place in [0, 1), and how much of it is not repeated."""
        n = self.n_window
        if self._clips:
            clip = self._clips[row]
            start = int(place * max(len(clip) - n + 1, 1))
            samples: FloatArray = clip[start : start + n].astype(np.float32) / np.float32(32768)
        else:
            samples = self._read(row, place)
        if len(samples) < n:
            phase = int(place * len(samples))
            return np.resize(np.roll(samples, -phase), n), len(samples)
        return samples, n

    def _read(self, row: int, place: float) -> FloatArray:
        """Return a window of a clip at a place, or all of a shorter one, from its file."""
        read = self._reader(row)
        window_s = self.n_window / SAMPLE_RATE_HZ
        spare_s = float(self._duration_s[row]) - window_s
        if spare_s > 0:
            return read(start_s=place * spare_s, length_s=window_s).samples
        samples = read().samples  # short, or of unknown length
        start = int(place * max(len(samples) - self.n_window + 1, 1))
        return samples[start : start + self.n_window]

    def _reader(self, row: int) -> Callable[..., audio.Waveform]:
        """Return `audio.read` of a clip, in a file of its own or in a shard."""
        root, path = self.manifest.root, self._paths[row]
        return partial(audio.read, shards.source(root, path), name=str(root / path))

    def _decode(self, row: int) -> np.ndarray[Any, np.dtype[np.int16]]:
        samples = self._reader(row)().samples
        return np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)


def _columns(manifest: Manifest, by: str) -> np.ndarray[Any, Any]:
    """Return the values of columns such as "corpus/family", shape [N, columns]."""
    return np.stack([values_of(manifest, name) for name in by.split("/")], axis=1)


def _as_it_is(value: T) -> T:
    return value
