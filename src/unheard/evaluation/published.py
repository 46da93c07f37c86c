"""Published detectors on our clips: scored by their authors' code in processes of their own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from unheard import audio
from unheard.data.clip import Manifest
from unheard.data.protocol import Protocol
from unheard.data.sample import sampled
from unheard.errors import AudioError, EvaluationError, UnheardError
from unheard.evaluation.authors import PublishedDetector, Score, open_detector, published, verified
from unheard.evaluation.evaluate import Options, Scoring, sample_note, score_file
from unheard.evaluation.report import report
from unheard.evaluation.results import Report
from unheard.evaluation.scores import Facts
from unheard.scoring.many import Task
from unheard.types import FloatArray, Say
from unheard.workers import Died, in_processes

__all__ = ["Authors", "check_against_authors", "evaluate_published"]

LONGEST_S = 600
"""Seconds after which the process that scores one clip is ended."""

CLOSE = 1e-5
"""How far scores of a checkpoint may be from those of its authors' code, in logits."""

SEEN = ("asvspoof2019_la", ("train", "dev"))
"""Corpus and parts that all of them were trained and chosen on."""


@dataclass(frozen=True)
class Authors:
    """A published detector, and where its authors' files lie.

    Attributes:
        name: Row of `PUBLISHED`.
        folder: Their repository at the pinned commit.
    """

    name: str
    folder: Path


def evaluate_published(
    authors: Authors,
    manifests: Sequence[Manifest],
    protocol: Protocol,
    out: Path,
    *,
    jobs: int = 1,
    say: Say = lambda _: None,
    options: Options | None = None,
) -> Report:
    """Score every clip of a protocol with a published detector and write the report.

    The score file says whose detector it was, and holds the authors' scores: no ratios, no
    thresholds. What stopped is taken up again, as by `unheard.evaluation.evaluate.evaluate`.

    Args:
        authors: Whose.
        manifests: Clips.
        protocol: Which of them to score.
        out: Folder for the score file and the report.
        jobs: Processes; a crash costs one clip.
        say: Called with a line of progress now and then.
        options: What else to state and do; there is no card to write into.

    Raises:
        EvaluationError: If a file is missing or another than the pinned one, weights are no plain
            tensors, a clip is of what the detector was trained on, or none can be scored.
        ManifestError: If a part of the protocol has no clip.
    """
    options = options or Options()
    detector = published(authors.name)
    verified(detector, authors.folder)
    chosen = protocol.chosen(manifests, allow_missing=options.allow_missing_sets)
    _refuse_trained_on(detector, chosen)
    n_clips = len(chosen)
    if options.sample is not None:
        chosen = sampled(chosen, options.sample)
    facts = _facts(detector, chosen, protocol, options)
    if len(chosen) < n_clips:
        facts = replace(facts, notes=(*facts.notes, sample_note(len(chosen), n_clips)))
    scoring = Scoring(facts, partial(_score_all, authors, jobs))
    scores = score_file(out, chosen, scoring, conditions=options.conditions, say=say)
    extras = replace(options.extras, sets=protocol.columns())
    return report(scores, out, n_draws=options.n_draws, seed=options.seed, extras=extras)


def check_against_authors(authors: Authors, weights: Path) -> float:
    """Return the largest difference of scores between the authors' code and a checkpoint's bundle.

    Both score the same noise, by the difference of two logits, with the same weights.

    Args:
        authors: Whose; their name is also a row of `unheard.detectors.checkpoints.CHECKPOINTS`.
        weights: The checkpoint, which may be another than the published one.

    Raises:
        EvaluationError: If a file of theirs is not the pinned one, their code cannot be run, or a
            difference is above 1e-5.
        BundleError: If the weights are no plain tensors, or do not fit the detector.
    """
    from unheard.detectors.checkpoints import detector_of, known
    from unheard.detectors.detector import window_scores

    ours = window_scores(detector_of(weights, known(authors.name)), _noise())
    verified(published(authors.name), authors.folder, {published(authors.name).weights})
    work = partial(_noise_scores, authors)
    ((_, theirs),) = in_processes(work, [weights], 1, longest_s=LONGEST_S)
    if isinstance(theirs, UnheardError):
        raise theirs
    if isinstance(theirs, Died):
        raise EvaluationError(f"the authors' code could not be run: {theirs.why}")
    difference = float(np.abs(ours - theirs).max())
    if not difference <= CLOSE:
        raise EvaluationError(
            f"{weights}: scores of noise differ from those of the authors' code by "
            f"{difference:.2g}, {CLOSE:g} at most wanted; it is no checkpoint of "
            f"{published(authors.name).title} with its usual settings"
        )
    return difference


def _noise() -> FloatArray:
    """Windows [3, T] of noise, quiet to loud."""
    rng = np.random.default_rng(0)
    loudness = np.array([[0.01], [0.1], [0.3]])
    return np.asarray(loudness * rng.standard_normal((3, 64_600)), np.float32)


def _noise_scores(authors: Authors, weights: Path) -> FloatArray | UnheardError:
    """Score noise by the authors' code, in a process of its own."""
    try:
        score = open_detector(authors.name, authors.folder, weights, logits=True)
    except UnheardError as error:
        return error
    return np.array([score(window) for window in _noise()])


def _facts(
    detector: PublishedDetector, chosen: Manifest, protocol: Protocol, options: Options
) -> Facts:
    weights_sha256 = detector.files[detector.weights]
    manifest_sha256 = chosen.sha256()
    made_of = [
        json.dumps(dict(detector.files), sort_keys=True),
        manifest_sha256,
        protocol.name,
        *options.conditions,
    ]
    return Facts(
        key=hashlib.sha256("\n".join(made_of).encode()).hexdigest(),
        weights_sha256=weights_sha256,
        manifest_sha256=manifest_sha256,
        protocol=protocol.name,
        date=options.date or f"{datetime.now(UTC):%Y-%m-%d}",
        command=options.command,
        conditions=options.conditions,
        source=f"{detector.title} ({detector.source}, weights {weights_sha256[:12]})",
        notes=(
            f"{detector.title} by its authors' code and weights ({detector.source}, "
            f"{detector.licence}), trained and chosen by them on ASVspoof 2019 LA; the score is "
            f"{detector.says}",
        ),
    )


def _refuse_trained_on(detector: PublishedDetector, chosen: Manifest) -> None:
    corpus, parts = SEEN
    of_corpus = np.asarray(chosen.column("corpus").tolist()) == corpus
    n_seen = int((of_corpus & np.isin(chosen.column("part").tolist(), parts)).sum())
    if n_seen:
        raise EvaluationError(
            f"{detector.title} was trained or chosen on {n_seen} of these clips, "
            f"{' and '.join(parts)} of {corpus}; its score there says nothing: test it on others"
        )


def _score_all(authors: Authors, jobs: int, tasks: Sequence[Task]) -> Iterator[dict[str, Any]]:
    work = partial(_score_apart, authors)
    for task, result in in_processes(work, tasks, min(jobs, len(tasks)), longest_s=LONGEST_S):
        if isinstance(result, UnheardError):
            raise result
        if isinstance(result, Died):
            yield {"source": task.source, "error": f"{task.source}: {result.why}"}
        else:
            yield result


def _score_apart(authors: Authors, task: Task) -> dict[str, Any] | UnheardError:
    """Score one clip in a process of its own; what keeps it from any is returned."""
    try:
        score = _opened(authors)
    except UnheardError as error:
        return error
    try:
        recording = audio.read(task.audio, minimum_s=0.0, name=task.source)
        samples = recording.samples if task.change is None else task.change(recording.samples)
        if not samples.size:
            raise AudioError(f"{task.source}: no audio in it; give a recording that has some")
        value = score(np.array(samples, np.float32))
    except Exception as error:  # theirs may raise anything; it costs one clip
        return {"source": task.source, "error": f"{task.source}: {type(error).__name__}: {error}"}
    if not np.isfinite(value):
        return {"source": task.source, "error": f"{task.source}: the score is {value}"}
    return {
        "source": task.source,
        "score": value,
        "duration_s": recording.duration_s,
        "decision": "",
        "reason": "",
    }


@lru_cache(maxsize=1)
def _opened(authors: Authors) -> Score:
    return open_detector(authors.name, authors.folder)
