"""Evaluate a detector on clips it was not trained on: a score file first, then a report from it.

out/scores.parquet   one row per clip; everything else is made from it, without the detector
out/scores.partial   rows so far; an interrupted evaluation resumes from here
out/metrics.json, report.md, report.html, det.png, scores.png
"""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unheard.audio.conditions import CONDITIONS, RAW, named_conditions
from unheard.data.clip import Clip, Manifest
from unheard.data.protocol import Protocol
from unheard.data.rows import Lines
from unheard.data.sample import sampled
from unheard.data.segment_labels import NOTE
from unheard.detectors.bundle import read_card
from unheard.detectors.card import Card
from unheard.errors import EvaluationError, RecipeError
from unheard.evaluation.keys import with_notes
from unheard.evaluation.report import report
from unheard.evaluation.results import PLAIN, Extras, Report
from unheard.evaluation.scores import COLUMNS, SCORED, Facts, read_facts, write_scores
from unheard.evaluation.segments import noted
from unheard.scoring.many import Settings, Task, score_many
from unheard.types import Say
from unheard.workers import with_progress

if TYPE_CHECKING:
    from unheard.detectors.bundle_files import Bundle
    from unheard.scoring.scorer import Scorer

__all__ = [
    "Options",
    "Scoring",
    "add_result",
    "evaluate",
    "refuse_seen",
    "sample_note",
    "score_file",
    "task_under",
]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of an evaluation.

    Attributes:
        date: Day to state, ISO 8601; "" takes today.
        command: Command line that does it again, to be stated.
        n_draws: Bootstrap draws.
        seed: Seed of the bootstrap.
        into_card: Whether to write the results into the bundle's card.
        allow_missing_sets: Whether test sets of a protocol that are not there are left out.
        extras: What the report holds in addition.
        sample: How many clips to take of those of the protocol, spread evenly; None for all.
        conditions: Names in `CONDITIONS`, "raw" among them: each clip is scored under each. Empty
            scores clips as they are.
    """

    date: str = ""
    command: str = ""
    n_draws: int = 1000
    seed: int = 0
    into_card: bool = False
    allow_missing_sets: bool = False
    extras: Extras = PLAIN
    sample: int | None = None
    conditions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.conditions and self.conditions != named_conditions(",".join(self.conditions)):
            raise RecipeError(
                f"conditions {', '.join(self.conditions)}: {RAW!r} and the others are wanted in "
                "the order of the table; make them with unheard.audio.conditions.named_conditions"
            )


def evaluate(
    bundle: Path,
    manifest: Manifest | Sequence[Manifest],
    protocol: Protocol,
    out: Path,
    *,
    jobs: int = 1,
    say: Say = lambda _: None,
    options: Options = Options(),
) -> Report:
    """Score every clip of a protocol and write the report; resume where an earlier run stopped.

    A clip that cannot be read, or gets no verdict, is counted and listed, and left out of the
    metrics. Under conditions a clip has a row for each, with the id "<id>@<condition>"; those of
    "raw" keep their ids and are what the usual tables show.

    Args:
        bundle: Folder of the detector.
        manifest: Clips, of any parts; several manifests for a protocol of several corpora.
        protocol: Which of them to score.
        out: Folder for the score file and the report.
        jobs: Processes; from 2 on, a decoder that crashes costs one clip.
        say: Called with a line of progress now and then.
        options: What else to state and do.

    Raises:
        EvaluationError: If the detector was trained or tuned on a clip of the protocol, a test
            set is missing, no clip can be scored, or `out` holds another evaluation.
        ManifestError: If a part of the protocol has no clip.
        BundleError: If the bundle cannot be loaded.
    """
    from unheard.detectors.bundle import load
    from unheard.scoring.scorer import Scorer

    manifests = [manifest] if isinstance(manifest, Manifest) else manifest
    chosen = protocol.chosen(manifests, allow_missing=options.allow_missing_sets)
    detector = load(bundle)
    refuse_seen(detector, chosen)
    n_clips = len(chosen)
    if options.sample is not None:
        chosen = sampled(chosen, options.sample)
    facts = _facts(Scorer(detector), chosen, protocol, options, n_clips)

    def score(tasks: Sequence[Task]) -> Iterable[Mapping[str, Any]]:
        return score_many(tasks, Settings(bundle), n_jobs=jobs)

    scoring = Scoring(facts, score, read_card(bundle))
    scores = score_file(out, chosen, scoring, conditions=options.conditions, say=say)
    extras = replace(options.extras, sets=protocol.columns())
    result = report(scores, out, n_draws=options.n_draws, seed=options.seed, extras=extras)
    if options.into_card:
        add_result(bundle, result)
    return result


@dataclass(frozen=True, eq=False)
class Scoring:
    """What scores clips, and what its score file says of it.

    Attributes:
        facts: For the score file; their key tells whether an unfinished one is of the same.
        score: Gives a row for each task, in any order: "source" and "score" (None without one),
            "duration_s", "decision" and "reason", or "source" and "error".
        card: Of the detector; None for one that is not ours.
    """

    facts: Facts
    score: Callable[[Sequence[Task]], Iterable[Mapping[str, Any]]]
    card: Card | None = None


def score_file(
    out: Path,
    chosen: Manifest,
    scoring: Scoring,
    *,
    conditions: Sequence[str] = (),
    say: Say = lambda _: None,
) -> Path:
    """Score clips, and write a score file once all are done; resume where an earlier run stopped.

    Args:
        out: Folder for the score file.
        chosen: The clips.
        scoring: What scores them.
        conditions: Conditions that each is scored under; empty scores clips as they are.
        say: Called with a line of progress now and then.

    Returns:
        The score file.

    Raises:
        EvaluationError: If no clip can be scored, or `out` holds another evaluation.
    """
    facts, under = scoring.facts, conditions or (RAW,)
    scores, unfinished = out / "scores.parquet", out / "scores.partial"
    if scores.is_file():
        if read_facts(scores).key != facts.key:
            raise _other(scores)
        say(f"{scores} is complete; making the report from it (delete it to score again)")
        return scores
    with _lines(unfinished, facts.key) as lines:
        done = {row["id"]: row for _, row in lines if "id" in row and row["status"] != "unreadable"}
        if done:
            say(f"{len(done)} of {len(chosen) * len(under)} clips were scored before")
        trials = ((clip, condition) for clip in chosen for condition in under)
        waiting = (trial for trial in trials if _trial_id(trial[0].id, trial[1]) not in done)
        _score_all(waiting, chosen, scoring, lines, say=say)
        rows = {row["id"]: row for _, row in lines if "id" in row}
    _refuse_empty(rows, chosen)
    write_scores(scores, _columns(chosen, rows, conditions), facts)
    unfinished.unlink()
    return scores


def add_result(bundle: Path, result: Report) -> None:
    """Write the pooled and per-family results of a report into a bundle's card.

    Raises:
        BundleError: If there is no bundle.
    """
    from unheard.detectors.bundle import add_results

    add_results(bundle, result.results(), result.page_lines())


def refuse_seen(detector: Bundle, chosen: Manifest) -> None:
    """Raise if a detector was trained or tuned on one of some clips.

    Raises:
        EvaluationError: With how many, and examples.
    """
    ids, hashes = chosen.column("id").tolist(), chosen.column("sha256").tolist()
    keys = [sha256 or name for name, sha256 in zip(ids, hashes, strict=True)]
    seen = detector.has_seen(keys) | detector.has_seen(ids)
    if seen.any():
        examples = [name for name, known in zip(ids, seen, strict=True) if known][:3]
        raise EvaluationError(
            f"{detector.card.name} was trained or tuned on {int(seen.sum())} of the {len(ids)} "
            f"clips of this protocol, such as {', '.join(examples)}; its score there says nothing: "
            "test it on other clips, or train a detector without these"
        )


def _refuse_empty(rows: Mapping[str, Mapping[str, Any]], chosen: Manifest) -> None:
    """Stop before an evaluation of nothing counts as finished; its clips are tried again."""
    if not any(row["status"] == SCORED for row in rows.values()):
        first = next(iter(rows.values()))
        raise EvaluationError(
            f"none of the {len(chosen)} clips has a score; the first: {first['reason']}; check "
            f"that the audio of the manifest lies in {chosen.root}, then evaluate again"
        )


def _facts(
    scorer: Scorer, chosen: Manifest, protocol: Protocol, options: Options, n_clips: int
) -> Facts:
    from unheard.scoring.scorer import OPERATING_POINTS

    detector = scorer.bundle
    card = detector.card
    points = card.operating_points
    manifest_sha256 = chosen.sha256()
    # Results do not move scores: a bundle whose card has grown is still the same detector. Nor do
    # the names of systems, which older cards do not have.
    same = card.model_copy(update={"results": []})
    left_out: dict[str, Any] = {"provenance": {"systems"}}
    if card.segments is None:  # as in cards that have no such field
        left_out["segments"] = True
    identity = same.model_dump_json(exclude=left_out)
    changes = "".join(f"\n{CONDITIONS[name].as_text()}" for name in options.conditions)
    made_of = f"{identity}\n{manifest_sha256}\n{protocol.name}{changes}"
    return Facts(
        bundle=f"{card.name} {card.version}",
        bundle_sha256=detector.sha256,
        weights_sha256=card.weights_sha256,
        key=hashlib.sha256(made_of.encode()).hexdigest(),
        manifest_sha256=manifest_sha256,
        protocol=protocol.name,
        date=options.date or f"{datetime.now(UTC):%Y-%m-%d}",
        command=options.command,
        operating_points={name: getattr(points, name) for name in OPERATING_POINTS[1:]},
        thresholds=scorer.thresholds(),
        trained_families=tuple(sorted(card.provenance.families)),
        trained_systems=tuple(card.provenance.systems),
        conditions=options.conditions,
        notes=(sample_note(len(chosen), n_clips),) if len(chosen) < n_clips else (),
    )


def sample_note(n_chosen: int, n_clips: int) -> str:
    """Say that not all clips of a protocol were scored, and what that means."""
    return (
        f"a sample of {n_chosen:,} of the {n_clips:,} clips of the protocol, spread evenly over "
        "part, class, family, attack and speaker: rates over all attacks weigh them otherwise than "
        "the whole protocol does"
    )


def _other(path: Path) -> EvaluationError:
    return EvaluationError(
        f"{path}: belongs to another detector, manifest or protocol; "
        "choose another --out, or delete this file"
    )


@contextlib.contextmanager
def _lines(unfinished: Path, key: str) -> Iterator[Lines]:
    """Open the rows scored so far; the first line is the key of the evaluation."""
    with Lines(unfinished, b'{"key": ', _other(unfinished)) as lines:
        first = next(iter(lines), None)
        if first is None:
            lines.add({"key": key})
        elif first[1] != {"key": key}:
            raise _other(unfinished)
        yield lines


def _score_all(
    waiting: Iterable[tuple[Clip, str]],
    chosen: Manifest,
    scoring: Scoring,
    lines: Lines,
    *,
    say: Say,
) -> None:
    """Score clips and note each as it is done; a file that is two clips is scored once."""
    tasks: dict[str, Task] = {}
    clips_of: dict[str, list[tuple[str, Clip]]] = {}
    for clip, condition in waiting:
        task = task_under(chosen.file(clip), clip, condition)
        tasks.setdefault(task.source, task)
        clips_of.setdefault(task.source, []).append((_trial_id(clip.id, condition), clip))
    scored = scoring.score(list(tasks.values()))
    for verdict in with_progress(scored, len(tasks), say, "clips scored"):
        for trial, clip in clips_of[verdict["source"]]:
            lines.add(_row(trial, clip, verdict, scoring.card))


def _trial_id(clip_id: str, condition: str) -> str:
    return clip_id if condition == RAW else f"{clip_id}@{condition}"


def task_under(file: Path, clip: Clip, condition: str) -> Task:
    """Return what is to be scored: the file of a clip, changed as a condition says."""
    if condition == RAW:  # the samples as the decoder gives them, at constant memory
        return Task(str(file), file)
    recording = clip.id.removesuffix(f"@{clip.part}")  # a clip of two test sets is one recording
    change = partial(CONDITIONS[condition], clip_id=recording)
    return Task(f"{file} under {condition}", file, change=change)


def _row(trial: str, clip: Clip, verdict: Mapping[str, Any], card: Card | None) -> dict[str, Any]:
    """Return what is noted of a trial, from its verdict or the error in its place."""
    row = {"id": trial, "score": None, "decision": "", "duration_s": clip.duration_s}
    if "error" in verdict:
        return {**row, "status": "unreadable", "reason": verdict["error"]}
    if card is not None and NOTE in clip.notes:
        row |= noted(verdict, card)
    row |= {"score": verdict["score"], "duration_s": verdict["duration_s"]}
    if verdict["score"] is None:
        return {**row, "status": "no verdict", "reason": verdict["reason"] or ""}
    return {**row, "decision": verdict["decision"] or "", "status": SCORED, "reason": ""}


def _columns(
    chosen: Manifest, rows: Mapping[str, Mapping[str, Any]], conditions: Sequence[str]
) -> dict[str, list[Any]]:
    """Return the columns of the score file, in the order of the manifest, notes behind them.

    Conditions follow each other, each with all clips; only then is there a column that says which.
    """
    ids = chosen.column("id").tolist()
    noted = with_notes(chosen.table.select(["id", "notes"]))
    scored = [
        rows[_trial_id(clip, condition)] for condition in conditions or (RAW,) for clip in ids
    ]
    names = dict.fromkeys(name for row in scored for name in row)  # some have window scores
    scored_columns = {name: [row.get(name, "") for row in scored] for name in names}
    scored_columns["score"] = [
        math.nan if score is None else score for score in scored_columns["score"]
    ]
    known = {name: chosen.table.column(name) for name in COLUMNS if name not in scored_columns}
    known |= {
        name: noted.column(name)
        for name in noted.column_names
        if name not in {*COLUMNS, *chosen.table.column_names}
    }
    columns = scored_columns | {
        name: column.to_pylist() * (len(scored) // len(ids)) for name, column in known.items()
    }
    if conditions:
        columns["condition"] = [condition for condition in conditions for _ in ids]
    return columns
