"""Reconstructed twins: clips of the training parts as generators give them back.

A twin has the length, level, mean and rate of its source and is never bona fide. Twins are kept
under a hash of the source's audio, in a folder named after the generator and all that its output
depends on, so that an interrupted run, another manifest or another part resumes with what is there.
With several generators each clip goes to one or some of them, chosen by its audio alone: one
generator more or less changes the twins of few clips.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from unheard.attacks import Attack
from unheard.attacks.twins import NOTE, Task, TwinOutcome, identity, make, settings, sha256_of, twin
from unheard.data.clip import Clip, Manifest
from unheard.data.protocol import moved
from unheard.errors import AttackError, UnheardError
from unheard.types import Say
from unheard.workers import Died, in_processes

__all__ = ["MADE_OF", "Reconstructed", "objection", "reconstruct"]

MADE_OF = ("train", "trn", "dev", "val")
"""How the names of parts begin of which twins may be made: none that a detector is tested on."""

_GIVE_UP_AFTER = 6
"""Clips that fail, without a success, after which a generator is not tried again."""

_SAY_EVERY_S = 15.0
_WRITE_EVERY_S = 60.0
"""Seconds between manifests: a run that is killed leaves what it has made, to be trained on."""

_LONGEST_S = 3600
"""Seconds after which a process that makes one twin is ended: diffusion is slow."""

_REMEDY = "leave this clip out, or use fewer --jobs"


@dataclass(frozen=True)
class Reconstructed:
    """What a reconstruction gave.

    Attributes:
        manifest: The file with all clips and the twins.
        n_made: Twins that were made now.
        n_kept: Twins that were there already.
        failures: Why, by the id of the clip, where a twin is lacking.
    """

    manifest: Path
    n_made: int
    n_kept: int
    failures: dict[str, str]


def reconstruct(  # noqa: PLR0913  each is a choice of its own
    manifest: Manifest,
    generators: Sequence[Attack],
    out: Path,
    *,
    parts: tuple[str, ...] = ("train", "dev"),
    each: int = 1,
    people_only: bool = False,
    cache: Path | None = None,
    jobs: int = 1,
    say: Say = lambda line: None,
) -> Reconstructed:
    """Make twins of the clips of some parts, and write a manifest with them as they come.

    The manifest, out/manifest.parquet, has every clip of the given one and the twins: a twin's
    `source_clip` is the id of its source, `attack` the generator, `family` "reconstruction", its
    notes say what the source is. Twins that the given manifest has already stay and get none.

    Args:
        manifest: Clips.
        generators: Generators of kind "copy", ready to be used.
        out: Folder for the manifest, and for the twins unless `cache` is given.
        parts: Parts of the manifest; their names must begin as `MADE_OF` do.
        each: Twins of a clip, each by another generator.
        people_only: Whether bona fide clips alone get twins.
        cache: Folder for the twins, to be shared by manifests.
        jobs: Processes. From 2 on, a crash costs one clip.
        say: Receives progress.

    Raises:
        AttackError: If a generator speaks texts or is not ready, a part is one for testing, only
            such parts know an attack or its family, or no clip at all can be reconstructed.
        ManifestError: If a part does not exist.
    """
    for attack in generators:
        _refuse(objection(manifest, attack, parts))
    clips = [clip for clip in manifest.part(*parts) if NOTE not in clip.notes]
    clips = [clip for clip in clips if clip.bonafide or not people_only]
    hashes, unread = _hashes(manifest, clips)
    clips = [clip for clip in clips if clip.id in hashes]
    keys = _keys(generators, cache or out / "twins")
    tasks = [
        Task(clip, attack, keys[attack.name][0], manifest.root.resolve(), hashes[clip.id], target)
        for clip in clips
        for attack in _chosen(generators, hashes[clip.id], each)
        for target in [_path(keys[attack.name][1], hashes[clip.id])]
    ]
    whole = _Whole(manifest, tasks, out)
    new = list({task.target: task for task in tasks if not task.target.exists()}.values())
    names = ", ".join(attack.name for attack in generators)
    say(f"{len(tasks)} twins by {names}; {len(tasks) - len(new)} of them are there already")
    failures = _make_all(new, jobs, whole, say)
    lacking = {task.clip.id: failures[task.target] for task in tasks if task.target in failures}
    return Reconstructed(
        manifest=whole.write(),
        n_made=len(new) - len(failures),
        n_kept=len(tasks) - len(new),
        failures=unread | lacking,
    )


def objection(manifest: Manifest, attack: Attack, parts: tuple[str, ...]) -> str:
    """Return why a generator may not make twins of some parts of a manifest, or "".

    Raises:
        ManifestError: If a part does not exist.
    """
    if attack.kind != "copy":
        return (
            f"{attack.name} speaks texts and copies no recording; choose a generator that "
            "`unheard generate list` calls a copy"
        )
    for part in parts:
        if not part.startswith(MADE_OF):
            return (
                f"no twins are made of part {part!r}: a detector must not train on what it is "
                f"tested on; give parts whose names begin with {', '.join(MADE_OF)}"
            )
    lacking = attack.missing()
    if lacking:
        return f"{attack.name}: {lacking}"
    return _tested(manifest, attack, parts)


def _tested(manifest: Manifest, attack: Attack, parts: tuple[str, ...]) -> str:
    """Say so if only parts for testing know the attack or its family: twins would make it known."""
    trained, names = manifest.part(*parts), set(manifest.column("part").tolist())
    tests = sorted(part for part in names if not part.startswith(MADE_OF))
    tested = manifest.part(*tests) if tests else trained
    for column, value in (("attack", attack.name), ("family", attack.family)):
        if value in set(tested.column(column)) - set(trained.column(column)):
            return (
                f"{column} {value!r} is among the clips to test on ({', '.join(tests)}) and not in "
                f"{', '.join(parts)}: a detector trained on twins by {attack.name} would know it; "
                "choose another generator, or give a manifest without those parts"
            )
    return ""


def _refuse(why: str) -> None:
    if why:
        raise AttackError(why)


def _keys(generators: Sequence[Attack], cache: Path) -> dict[str, tuple[str, Path]]:
    """Identity and folder of each generator, by name; the folder says what made its twins."""
    keys = {}
    for attack in generators:
        key = identity(attack)
        folder = cache / f"{attack.name}-{key[:12]}"
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(settings(attack), indent=2, sort_keys=True)
        (folder / "generator.json").write_text(text + "\n", "utf-8")
        keys[attack.name] = (key, folder)
    return keys


def _chosen(generators: Sequence[Attack], sha256: str, each: int) -> list[Attack]:
    """The generators that copy a clip: those whose hash together with the clip's is highest.

    Source:
        Thaler, Ravishankar, "A name-based mapping scheme for rendezvous", 1996: without one
        generator, only its clips go to others.
    """

    def weight(attack: Attack) -> bytes:
        return hashlib.sha256(f"{sha256}\n{attack.name}".encode()).digest()

    return sorted(generators, key=weight)[-each:]


def _hashes(manifest: Manifest, clips: list[Clip]) -> tuple[dict[str, str], dict[str, str]]:
    """Return hashes of the audio, not those of the manifest, and why others are unreadable."""
    hashes, unread = {}, {}
    for clip in clips:
        try:
            hashes[clip.id] = sha256_of(manifest.audio(clip))
        except (UnheardError, OSError) as error:
            unread[clip.id] = f"{clip.id}: {error}"
    if unread and not hashes:
        raise AttackError(
            f"none of the {len(clips)} clips can be read, {next(iter(unread.values()))}; check "
            f"that the audio of the manifest lies in {manifest.root}"
        )
    return hashes, unread


def _path(folder: Path, sha256: str) -> Path:
    return folder / sha256[:2] / f"{sha256}.flac"


class _Whole:
    """The manifest of all clips and the twins that are there, written again and again."""

    def __init__(self, manifest: Manifest, tasks: list[Task], out: Path) -> None:
        self.manifest, self.tasks, self.out = manifest, tasks, out
        self.twins: dict[tuple[str, str], Clip] = {}

    def write(self) -> Path:
        """Write the manifest in one step; return its file."""
        for task in self.tasks:
            which = (task.clip.id, task.attack.name)
            if which not in self.twins and task.target.exists():
                self.twins[which] = twin(task, self.out)
        known = {clip.id for clip in self.twins.values()}
        before = [clip for clip in moved(self.manifest, self.out) if clip.id not in known]
        whole = Manifest.of([*before, *self.twins.values()], self.out)
        return whole.write(self.out / "manifest.parquet")


class _Pace:
    """What each generator has done so far, and how long the rest will take."""

    def __init__(self, tasks: list[Task], jobs: int) -> None:
        self.jobs, self.n_tasks = max(1, jobs), len(tasks)
        self.left: dict[str, int] = {}
        for task in tasks:
            self.left[task.attack.name] = self.left.get(task.attack.name, 0) + 1
        self.done = dict.fromkeys(self.left, 0)
        self.failed = dict.fromkeys(self.left, 0)
        self.wall_s = dict.fromkeys(self.left, 0.0)

    def add(self, name: str, outcome: TwinOutcome) -> None:
        """Count what became of a task."""
        self.left[name] -= 1
        self.done[name] += 1
        self.failed[name] += bool(outcome.why)
        self.wall_s[name] += outcome.wall_s

    def is_hopeless(self, name: str) -> bool:
        """Whether a generator has failed from the start, too often to go on with."""
        return self.failed[name] == self.done[name] >= _GIVE_UP_AFTER

    def line(self) -> str:
        """Return how far the run is. Generators that have made nothing count as the mean one."""
        n_done = sum(self.done.values())
        mean_s = sum(self.wall_s.values()) / max(1, n_done)
        left_s = sum(
            n_left * (self.wall_s[name] / self.done[name] if self.done[name] else mean_s)
            for name, n_left in self.left.items()
        )
        share = 100 * n_done // self.n_tasks
        left = f"about {left_s / self.jobs / 60:.0f} min left"
        return f"{n_done} of {self.n_tasks} twins ({share} %), {left}"


def _make_all(tasks: list[Task], jobs: int, whole: _Whole, say: Say) -> dict[Path, str]:
    """Make twins; return why, by target, where it failed."""
    failures: dict[Path, str] = {}
    pace = _Pace(tasks, jobs)
    last_line_s = written = time.monotonic()
    for number, (task, outcome) in enumerate(_made(tasks, jobs, pace), start=1):
        name = task.attack.name
        pace.add(name, outcome)
        if outcome.why:
            failures[task.target] = f"{task.clip.id}: {outcome.why}"
        if outcome.why and pace.done[name] == _GIVE_UP_AFTER and pace.is_hopeless(name):
            why = f"the first {_GIVE_UP_AFTER} clips failed, {failures[task.target]}"
            if len(pace.left) == 1:
                raise AttackError(why)
            say(f"gave up {name}: {why}")
        now = time.monotonic()
        if now - last_line_s > _SAY_EVERY_S or number == len(tasks):
            last_line_s = now
            say(pace.line())
        if now - written > _WRITE_EVERY_S:
            written = now
            whole.write()
    if tasks and len(failures) == len(tasks):
        raise AttackError(f"no clip could be reconstructed, {next(iter(failures.values()))}")
    return failures


def _made(tasks: list[Task], jobs: int, pace: _Pace) -> Iterator[tuple[Task, TwinOutcome]]:
    """Make twins, in this process or in several, and yield each task with what became of it.

    The tasks of a generator that `pace` has lost hope of are not tried.
    """
    given_up: list[Task] = []

    def hopeful() -> Iterator[Task]:
        for task in tasks:
            if pace.is_hopeless(task.attack.name):
                given_up.append(task)
            else:
                yield task

    if jobs <= 1 or len(tasks) <= 1:
        for task in hopeful():
            yield task, make(task)
    else:
        results = in_processes(_make, hopeful(), min(jobs, len(tasks)), longest_s=_LONGEST_S)
        for task, result in results:
            if isinstance(result, Died):
                result = TwinOutcome(f"{result.why}; {_REMEDY}")
            yield task, result
    for task in given_up:
        yield task, TwinOutcome(f"not tried, as the first {_GIVE_UP_AFTER} clips failed")


def _make(task: Task) -> TwinOutcome:
    os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is loaded, which `make` does
    return make(task)
