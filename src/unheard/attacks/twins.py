"""One reconstructed twin: what a generator is known by, how a twin is made, and its row.

T samples.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from unheard import audio
from unheard.attacks import pretrained
from unheard.attacks.attack import VERSION, Attack, Speech
from unheard.attacks.pretrained import Pretrained
from unheard.attacks.published import Publishing
from unheard.data import shards
from unheard.data.clip import RECONSTRUCTION, Clip
from unheard.errors import UnheardError

__all__ = ["NOTE", "Task", "TwinOutcome", "identity", "make", "settings", "sha256_of", "twin"]

NOTE = "reconstructed"
"""The note that a twin has and no other clip: "bonafide" or "spoof", what its source is."""


@dataclass(frozen=True)
class Task:
    """A clip and the generator that is to copy it.

    Attributes:
        clip: The source.
        attack: The generator.
        key: What `identity` says of it.
        root: Folder that the path of the clip starts from.
        sha256: Of the clip's audio.
        target: Where the twin goes.
    """

    clip: Clip
    attack: Attack
    key: str
    root: Path
    sha256: str
    target: Path


@dataclass(frozen=True)
class TwinOutcome:
    """What became of a task.

    Attributes:
        why: Why it failed; "" if it did not.
        wall_s: Seconds it took.
    """

    why: str
    wall_s: float = 0.0


def identity(attack: Attack) -> str:
    """Return a hash of all that a generator's output depends on: its settings, weights, version.

    A folder of weights counts by what is in it, not by its name; pinned files by their hashes.

    Raises:
        AttackError: If the weights cannot be found.
    """
    content = settings(attack)
    if isinstance(attack, Publishing):
        content["files"] = [file.sha256 for file in attack.files]
    if isinstance(attack, Pretrained):
        prints = {
            field: pretrained.fingerprint(pretrained.find(attack.name, field))
            for field in attack.weights()
        }
        content = {name: prints.get(str(value), value) for name, value in content.items()}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def settings(attack: Attack) -> dict[str, Any]:
    """Return what a generator is, as plain values; where its engine lies is left out."""
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


def sha256_of(content: Path | bytes) -> str:
    """Return the hash of a file, or of bytes."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make(task: Task) -> TwinOutcome:
    """Make one twin and write it, [T] -> [T]; say why if it failed."""
    began = time.monotonic()
    seed = hashlib.sha256(f"{task.sha256}/{task.attack.name}".encode()).digest()[:8]
    rng = np.random.default_rng(int.from_bytes(seed, "little"))
    try:
        source = audio.read(shards.source(task.root, task.clip.path), minimum_s=0.0).samples
        copy = task.attack.generate(Speech(source), rng)
        assert copy.shape == source.shape
        # A constant offset is no trace of a generator: equalised sources have none at all.
        audio.write(task.target, copy + (source.mean() - copy.mean()))
    except (UnheardError, OSError, ValueError, RuntimeError) as error:
        return TwinOutcome(str(error) or type(error).__name__, time.monotonic() - began)
    return TwinOutcome("", time.monotonic() - began)


def twin(task: Task, out: Path) -> Clip:
    """Return the row of a twin that was made, in a manifest that lies in a folder."""
    import soundfile

    clip, attack = task.clip, task.attack
    shown = " ".join(
        f"{name}={value}"
        for name, value in settings(attack).items()
        if name not in ("name", "kind", "version") and not isinstance(value, dict)
    )
    return replace(
        clip,
        id=f"{clip.id}~{attack.name}-{task.key[:8]}",
        path=Path(os.path.relpath(task.target.resolve(), out.resolve())).as_posix(),
        bonafide=False,
        attack=attack.name,
        family=RECONSTRUCTION,
        source_clip=clip.id,
        duration_s=float(soundfile.info(task.target).duration),
        sha256=sha256_of(task.target),
        notes=dict(clip.notes)
        | {
            NOTE: "bonafide" if clip.bonafide else "spoof",
            "generator": attack.name,
            "generator_family": attack.family,
            "generator_key": task.key[:12],
            "settings": shown,
            "free": str(attack.free).lower(),
        },
    )
