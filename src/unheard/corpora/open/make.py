"""Make the clips of a plan: decode recordings, run generators, equalise; in parallel, resumable.

What was made lies in `cache/made/SEED/` under a name that is a hash of how it was made, so a build
that was interrupted, or another size of the corpus, resumes from it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from unheard import audio
from unheard.attacks import Attack, Speech, attacks
from unheard.corpora.open import finish
from unheard.corpora.open.design import Planned
from unheard.corpora.open.speech import Recording, load, speech_bounds
from unheard.data.clip import BONAFIDE_ATTACK
from unheard.errors import CorpusError, UnheardError
from unheard.types import FloatArray, Say
from unheard.workers import Died, in_processes, with_progress

__all__ = [
    "Finishing",
    "equalise_all",
    "generated_path",
    "in_parallel",
    "make_all",
    "measure_all",
    "seconds_for",
    "speech_s_of",
]

_In = TypeVar("_In")
_Out = TypeVar("_Out")

LONGEST_RAW_S = 5.0
_GIVE_UP_AFTER = 6
"""Failures of one generator, without a success, after which it is not tried again."""

_COST_S = {"formant": 0.1, "statistical": 0.2, "diphone": 0.7, "signal vocoder": 1.0,
           "neural TTS": 3.0, "neural vocoder": 0.8, "unit selection": 2.0,
           "parametric codec": 0.1, "conversion": 0.8, "diffusion": 3.0}  # fmt: skip
"""Seconds for one clip by family on one core, roughly; for the estimate only."""


@dataclass(frozen=True)
class Finishing:
    """One clip to be equalised.

    Attributes:
        source: Raw clip.
        target: File to write.
        length_s: Seconds of speech to keep.
        drawn: What was drawn for the clip.
    """

    source: Path
    target: Path
    length_s: float
    drawn: finish.Draw


def seconds_for(planned: Iterable[Planned], generators: dict[str, Attack]) -> float:
    """Return about how many seconds of one core a plan takes."""
    total = 0.0
    for clip in planned:
        family = generators[clip.attack].family if clip.attack in generators else ""
        total += 0.3 + _COST_S.get(family, 0.1)
    return total


def generated_path(cache: Path, seed: int, clip: Planned) -> Path:
    """Return where a clip lies as it was made."""
    spoken = "" if clip.copy else clip.text
    how = "\n".join((clip.attack, clip.recording.id if clip.copy or not spoken else "", spoken))
    if clip.attack == BONAFIDE_ATTACK:
        how = f"{BONAFIDE_ATTACK}\n{clip.recording.id}"
    name = hashlib.sha256(f"{clip.id}\n{how}".encode()).hexdigest()[:24]
    return cache / "made" / str(seed) / name[:2] / f"{name}.flac"


def measure_all(
    cache: Path, recordings: list[Recording], jobs: int
) -> list[tuple[Recording, float]]:
    """Return recordings with the seconds of speech in each; 0 for what cannot be decoded."""
    tasks = [(cache, recording) for recording in recordings]
    lengths = dict(in_parallel(_measure, tasks, jobs, chunk=64))
    return [(recording, lengths[recording.id]) for recording in recordings]


def make_all(cache: Path, planned: list[Planned], seed: int, jobs: int, say: Say) -> dict[str, str]:
    """Make every clip that is not there yet; return ids of those that failed, and why.

    Args:
        cache: Corpus cache.
        planned: Recordings before the copies of them.
        seed: Seed of the corpus.
        jobs: Processes.
        say: Receives progress.
    """
    failures: dict[str, str] = {}
    succeeded: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    bona = [clip for clip in planned if clip.attack == BONAFIDE_ATTACK]
    spoof = sorted(
        (clip for clip in planned if clip.attack != BONAFIDE_ATTACK), key=lambda c: c.attack
    )
    for what, clips in (("recordings", bona), ("spoofed clips", spoof)):
        todo = [c for c in clips if not generated_path(cache, seed, c).exists()]
        say(f"{len(clips)} {what}, {len(clips) - len(todo)} of them there already")
        made = _generated(cache, seed, todo, jobs)
        for clip, why in with_progress(made, len(todo), say, f"{what} made"):
            (failed if why else succeeded)[clip.attack] += 1
            if why:
                failures[clip.id] = why
    first = {clip.attack: failures[clip.id] for clip in reversed(planned) if clip.id in failures}
    for name in sorted(failed):
        what = "recordings" if name == BONAFIDE_ATTACK else name
        n_tried = failed[name] + succeeded[name]
        say(f"{what}: {failed[name]} of {n_tried} clips failed: {first[name]}")
    return failures


def speech_s_of(paths: list[Path], jobs: int) -> dict[Path, float]:
    """Return the seconds of speech in raw clips, by file."""
    return dict(in_parallel(_speech_s, paths, jobs, chunk=64))


def equalise_all(tasks: list[Finishing], jobs: int, say: Say) -> dict[Path, str]:
    """Write the equalised clips that are asked for; return why, by target, where it failed."""
    failures = {}
    for number, (target, why) in enumerate(in_parallel(_equalise, tasks, jobs, chunk=16), start=1):
        if why:
            failures[target] = why
        if number % 500 == 0:
            say(f"{number} of {len(tasks)} clips equalised")
    return failures


def _generated(
    cache: Path, seed: int, clips: list[Planned], jobs: int
) -> Iterator[tuple[Planned, str]]:
    """Make clips in groups of one generator, so that a process loads each engine once."""
    by_attack: dict[str, list[Planned]] = {}
    for clip in clips:
        by_attack.setdefault(clip.attack, []).append(clip)
    groups = [
        group[start : start + 12]
        for group in by_attack.values()
        for start in range(0, len(group), 12)
    ]
    results = in_parallel(_make_group, [(cache, seed, group) for group in groups], jobs, chunk=1)
    by_id = {clip.id: clip for clip in clips}
    for answers in results:
        for clip_id, why in answers:
            yield by_id[clip_id], why


def _make_group(task: tuple[Path, int, list[Planned]]) -> list[tuple[str, str]]:
    cache, seed, clips = task
    answers: list[tuple[str, str]] = []
    for clip in clips:
        reasons = [why for _, why in answers if why]
        if len(reasons) >= _GIVE_UP_AFTER and len(reasons) == len(answers):
            answers.append((clip.id, reasons[0]))
            continue
        answers.append((clip.id, _make(cache, seed, clip)))
    return answers


def _make(cache: Path, seed: int, clip: Planned) -> str:
    """Make one clip; return why it failed, or nothing."""
    try:
        if clip.attack == BONAFIDE_ATTACK:
            samples = load(cache, clip.recording)
        else:
            samples = _spoofed(cache, seed, clip)
    except (UnheardError, OSError, ValueError, RuntimeError) as error:
        return str(error) or type(error).__name__
    start, end = speech_bounds(samples)
    edge = audio.SAMPLE_RATE_HZ // 4
    first = max(0, start - edge)
    last = min(end + edge, first + round(LONGEST_RAW_S * audio.SAMPLE_RATE_HZ))
    if end <= start:
        return "nothing but silence"
    audio.write(generated_path(cache, seed, clip), np.clip(samples[first:last], -1.0, 1.0))
    return ""


def _spoofed(cache: Path, seed: int, clip: Planned) -> FloatArray:
    attack = _generators(cache)[clip.attack]
    digest = hashlib.sha256(f"{seed}/{clip.id}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "little"))
    if not clip.copy:
        return attack.generate(Speech(text=clip.text, language=clip.recording.language), rng)
    source = Planned(clip.recording.id, clip.part, clip.recording, text=clip.recording.text)
    samples = audio.read(generated_path(cache, seed, source)).samples
    return attack.generate(Speech(samples=samples, language=clip.recording.language), rng)


@lru_cache(maxsize=1)
def _generators(cache: Path) -> dict[str, Attack]:
    return attacks(cache)


def _measure(task: tuple[Path, Recording]) -> tuple[str, float]:
    cache, recording = task
    try:
        start, end = speech_bounds(load(cache, recording))
    except (UnheardError, OSError):
        return recording.id, 0.0
    return recording.id, (end - start) / audio.SAMPLE_RATE_HZ


def _speech_s(path: Path) -> tuple[Path, float]:
    return path, finish.trimmed(audio.read(path).samples).size / audio.SAMPLE_RATE_HZ


def _equalise(task: Finishing) -> tuple[Path, str]:
    try:
        speech = finish.trimmed(audio.read(task.source).samples)
        audio.write(task.target, finish.equalise(speech, task.length_s, task.drawn))
    except UnheardError as error:
        return task.target, str(error)
    return task.target, ""


def in_parallel(
    work: Callable[[_In], _Out], tasks: list[_In], jobs: int, *, chunk: int
) -> Iterator[_Out]:
    """Results in any order; with one job in this process. A process that dies is named."""
    if jobs <= 1 or len(tasks) <= chunk:
        yield from map(work, tasks)
        return
    batches = [tasks[start : start + chunk] for start in range(0, len(tasks), chunk)]
    for _, results in in_processes(partial(_batch, work), batches, jobs, longest_s=0):
        if isinstance(results, Died):
            raise CorpusError(
                f"{results.why} Then build again with fewer jobs; it resumes where it stopped"
            )
        yield from results


def _batch(work: Callable[[_In], _Out], tasks: list[_In]) -> list[_Out]:
    return [work(task) for task in tasks]
