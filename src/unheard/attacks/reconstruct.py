"""Reconstructed twins: every clip of the training parts as a generator gives it back.

A twin has the length, level, mean and rate of its source and is never bona fide. Twins are kept
under a hash of the source's audio, in a folder named after the generator and all that its output
depends on, so that an interrupted run, another manifest or another part resumes from what there is.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from unheard import audio
from unheard.attacks import VERSION, Attack, Pretrained, Speech, pretrained
from unheard.data import shards
from unheard.data.clip import RECONSTRUCTION, Clip, Manifest
from unheard.data.protocols import moved
from unheard.errors import AttackError, UnheardError

__all__ = ["MADE_OF", "NOTE", "Reconstructed", "identity", "reconstruct"]

Say = Callable[[str], None]

NOTE = "reconstructed"
"""The note that a twin has and no other clip: "bonafide" or "spoof", what its source is."""

MADE_OF = ("train", "trn", "dev", "val")
"""How the names of parts begin of which twins may be made: none that a detector is tested on."""

_GIVE_UP_AFTER = 6
"""Clips that fail, without a success, after which the generator is not tried again."""

_SAY_EVERY_S = 15.0

_DIED = (
    "the process that reconstructed it died (out of memory?); leave this clip out, or use fewer "
    "--jobs"
)


@dataclass(frozen=True)
class Reconstructed:
    """What a reconstruction gave.

    Attributes:
        manifest: The file with all clips and the twins.
        n_made: Twins that were made now.
        n_kept: Twins that were there already.
        failures: Why, by the id of the clip, where there is no twin.
    """

    manifest: Path
    n_made: int
    n_kept: int
    failures: dict[str, str]


@dataclass(frozen=True)
class _Task:
    """A clip to be reconstructed: where it is, the hash of its audio, where its twin goes."""

    clip_id: str
    attack: Attack
    root: Path
    path: str
    sha256: str
    target: Path


def reconstruct(
    manifest: Manifest,
    attack: Attack,
    out: Path,
    *,
    parts: tuple[str, ...] = ("train", "dev"),
    cache: Path | None = None,
    jobs: int = 1,
    say: Say = lambda line: None,
) -> Reconstructed:
    """Make twins of all clips of some parts, bona fide and spoofed; write a manifest with them.

    The manifest, out/manifest.parquet, has every clip of the given one and the twins: a twin's
    `source_clip` is the id of its source, `attack` the generator, `family` "reconstruction", its
    notes say what the source is. Twins that the given manifest has already stay and get none.

    Args:
        manifest: Clips.
        attack: A generator of kind "copy", ready to be used.
        out: Folder for the manifest, and for the twins unless `cache` is given.
        parts: Parts of the manifest; their names must begin as `MADE_OF` do.
        cache: Folder for the twins, to be shared by manifests.
        jobs: Processes. From 2 on, a crash costs one clip.
        say: Receives progress.

    Raises:
        AttackError: If the generator speaks texts or is not ready, a part is one for testing, only
            such parts know the attack or its family, or no clip at all can be reconstructed.
        ManifestError: If a part does not exist.
    """
    clips = _clips(manifest, attack, parts)
    key = identity(attack)
    folder = (cache or out / "twins") / f"{attack.name}-{key[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    settings = json.dumps(_settings(attack), indent=2, sort_keys=True)
    (folder / "generator.json").write_text(settings + "\n", "utf-8")
    hashes, unread = _hashes(manifest, clips)
    clips = [clip for clip in clips if clip.id in hashes]
    root = manifest.root.resolve()
    tasks = [
        _Task(clip.id, attack, root, clip.path, hashes[clip.id], _path(folder, hashes[clip.id]))
        for clip in clips
    ]
    new = list({task.target: task for task in tasks if not task.target.exists()}.values())
    say(f"{len(tasks)} twins by {attack.name}, {len(tasks) - len(new)} of them there already")
    failures = _make_all(new, jobs, say)
    complete = [
        (clip, task) for clip, task in zip(clips, tasks, strict=True) if task.target.exists()
    ]
    twins = [_twin(clip, task, out, key) for clip, task in complete]
    known = {twin.id for twin in twins}
    before = [clip for clip in moved(manifest, out) if clip.id not in known]
    whole = Manifest.of([*before, *twins], out)
    lacking = {task.clip_id: failures.get(task.target, "") for task in tasks} if failures else {}
    return Reconstructed(
        manifest=whole.write(out / "manifest.parquet"),
        n_made=len(new) - len(failures),
        n_kept=len(tasks) - len(new),
        failures=unread | {clip_id: why for clip_id, why in lacking.items() if why},
    )


def identity(attack: Attack) -> str:
    """Return a hash of all that a generator's output depends on: its settings, weights, version.

    A folder of weights counts by what is in it, not by its name.

    Raises:
        AttackError: If the weights cannot be found.
    """
    settings = _settings(attack)
    if isinstance(attack, Pretrained):
        prints = {
            source: pretrained.fingerprint(pretrained.find(attack.name, source))
            for source in attack.weights()
        }
        settings = {name: prints.get(str(value), value) for name, value in settings.items()}
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def _settings(attack: Attack) -> dict[str, Any]:
    """What a generator is, as plain values; where its engine lies is left out."""
    given = {
        field.name: getattr(attack, field.name)
        for field in fields(cast(Any, attack))
        if field.name != "engines"
    }
    plain = {
        name: asdict(value) if hasattr(value, "__dataclass_fields__") else value
        for name, value in given.items()
    }
    return plain | {"kind": type(attack).__name__, "version": VERSION}


def _clips(manifest: Manifest, attack: Attack, parts: tuple[str, ...]) -> list[Clip]:
    if attack.kind != "copy":
        raise AttackError(
            f"{attack.name} speaks texts and copies no recording; choose a generator that "
            "`unheard generate list` calls a copy"
        )
    for part in parts:
        if not part.startswith(MADE_OF):
            raise AttackError(
                f"no twins are made of part {part!r}: a detector must not train on what it is "
                f"tested on; give parts whose names begin with {', '.join(MADE_OF)}"
            )
    lacking = attack.missing()
    if lacking:
        raise AttackError(f"{attack.name}: {lacking}")
    _refuse_tested(manifest, attack, parts)
    return [clip for clip in manifest.part(*parts) if NOTE not in clip.notes]


def _refuse_tested(manifest: Manifest, attack: Attack, parts: tuple[str, ...]) -> None:
    """Raise if only parts for testing know the attack or its family: twins would make it known."""
    trained, names = manifest.part(*parts), set(manifest.column("part").tolist())
    tests = sorted(part for part in names if not part.startswith(MADE_OF))
    tested = manifest.part(*tests) if tests else trained
    for column, value in (("attack", attack.name), ("family", attack.family)):
        if value in set(tested.column(column)) - set(trained.column(column)):
            raise AttackError(
                f"{column} {value!r} is among the clips to test on ({', '.join(tests)}) and not in "
                f"{', '.join(parts)}: a detector trained on twins by {attack.name} would know it; "
                "choose another generator, or give a manifest without those parts"
            )


def _hashes(manifest: Manifest, clips: list[Clip]) -> tuple[dict[str, str], dict[str, str]]:
    """Return hashes of the audio, not those of the manifest, and why others are unreadable."""
    hashes, unread = {}, {}
    for clip in clips:
        try:
            hashes[clip.id] = _sha256(manifest.audio(clip))
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


def _sha256(content: Path | bytes) -> str:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _twin(clip: Clip, task: _Task, out: Path, key: str) -> Clip:
    attack = task.attack
    shown = " ".join(
        f"{name}={value}"
        for name, value in _settings(attack).items()
        if name not in ("name", "kind", "version") and not isinstance(value, dict)
    )
    return replace(
        clip,
        id=f"{clip.id}~{attack.name}-{key[:8]}",
        path=Path(os.path.relpath(task.target.resolve(), out.resolve())).as_posix(),
        bonafide=False,
        attack=attack.name,
        family=RECONSTRUCTION,
        source_clip=clip.id,
        duration_s=_duration_s(task.target),
        sha256=_sha256(task.target),
        notes=dict(clip.notes)
        | {
            NOTE: "bonafide" if clip.bonafide else "spoof",
            "generator": attack.name,
            "generator_family": attack.family,
            "generator_key": key[:12],
            "settings": shown,
            "free": str(attack.free).lower(),
        },
    )


def _duration_s(path: Path) -> float:
    import soundfile

    return float(soundfile.info(path).duration)


def _make_all(tasks: list[_Task], jobs: int, say: Say) -> dict[Path, str]:
    """Make twins; return why, by target, where it failed."""
    failures: dict[Path, str] = {}
    began = reported = time.monotonic()
    for number, (task, why) in enumerate(_each_made(tasks, jobs), start=1):
        if why:
            failures[task.target] = f"{task.clip_id}: {why}"
        if len(failures) == number >= _GIVE_UP_AFTER:
            raise AttackError(f"the first {number} clips failed, {failures[task.target]}")
        now = time.monotonic()
        if now - reported > _SAY_EVERY_S or number == len(tasks):
            reported, left_s = now, (now - began) / number * (len(tasks) - number)
            share = 100 * number // len(tasks)
            say(f"{number} of {len(tasks)} twins ({share} %), about {left_s / 60:.0f} min left")
    if tasks and len(failures) == len(tasks):
        raise AttackError(f"no clip could be reconstructed, {next(iter(failures.values()))}")
    return failures


def _each_made(tasks: list[_Task], jobs: int) -> Iterator[tuple[_Task, str]]:
    """Make twins, in this process or in several, and yield each with why it failed, or ""."""
    if jobs <= 1 or len(tasks) <= 1:
        yield from ((task, _make(task)) for task in tasks)
        return
    waiting = tasks
    while waiting:
        done = set()
        for task, why in _until_crash(waiting, min(jobs, len(waiting))):
            done.add(task.target)
            yield task, why
        waiting = [task for task in waiting if task.target not in done]
        # A process died. What it held is among the first ones waiting: each gets its own.
        for task in waiting[: 2 * jobs + 1]:
            yield next(_until_crash([task], 1), (task, _DIED))
        waiting = waiting[2 * jobs + 1 :]


def _until_crash(tasks: list[_Task], jobs: int) -> Iterator[tuple[_Task, str]]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_one_thread) as pool:
        futures = {pool.submit(_make, task): task for task in tasks}
        for future in as_completed(futures):
            try:
                yield futures[future], future.result()
            except BrokenProcessPool:
                continue


def _one_thread() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"


def _make(task: _Task) -> str:
    """Make one twin; return why it failed, or nothing."""
    seed = hashlib.sha256(f"{task.sha256}/{task.attack.name}".encode()).digest()[:8]
    rng = np.random.default_rng(int.from_bytes(seed, "little"))
    try:
        source = audio.read(shards.source(task.root, task.path), minimum_s=0.0).samples
        twin = task.attack.generate(Speech(source), rng)
        assert twin.shape == source.shape
        # A constant offset is no trace of a generator: equalised sources have none at all.
        audio.write(task.target, twin + (source.mean() - twin.mean()))
    except (UnheardError, OSError, ValueError, RuntimeError) as error:
        return str(error) or type(error).__name__
    return ""
