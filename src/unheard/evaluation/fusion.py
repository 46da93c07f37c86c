"""Score files of several systems on one trial list, made one score file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from unheard.errors import EvaluationError, RecipeError
from unheard.evaluation.intake import Intake, read_with_keys
from unheard.evaluation.keys import in_one_form
from unheard.evaluation.scores import SCORED, Facts, write_scores
from unheard.metrics import Fusion, fit_fusion, fit_operating_points
from unheard.scoring.verdict import decide
from unheard.types import BoolArray, FloatArray

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["fused"]

DEV_SCORES = "dev_scores.parquet"
"""What a bundle calls the scores of its dev clips."""

AS_IT_IS = Intake()
"""How score files of our own are read."""

_MOST_NAMED = 3


def fused(
    files: Sequence[Path],
    out: Path,
    *,
    how: Literal["mean", "logistic"] = "mean",
    dev: Sequence[Path] = (),
    intake: Intake = AS_IT_IS,
    dev_intake: Intake = AS_IT_IS,
) -> Facts:
    """Write one score file made of those of several systems for the same trials.

    A trial that one of the systems has no score for has none after the fusion.

    Args:
        files: Score files, at least two.
        out: Score file to write, Parquet; reports call the fusion by its name without suffix.
        how: "mean" weighs all alike; "logistic" by a regression that is fitted to `dev`, whose
            operating points the result gets.
        dev: Scores of dev clips by the same systems in the same order, for "logistic": score files,
            or bundles, which hold the scores of their dev clips.
        intake: How the score files are read.
        dev_intake: How those of dev are read.

    Returns:
        What the new file says of its making: `fusion` and `notes`.

    Raises:
        EvaluationError: If the trials of the files differ, a dev clip is also under test, dev
            lacks a class, or is seen to be of other detectors.
        RecipeError: If there are too few files, or not one of dev for each.
    """
    if len(files) < 2:
        raise RecipeError(f"{len(files)} score file; a fusion needs two or more")
    if len(dev) != (len(files) if how == "logistic" else 0):
        raise RecipeError(
            f"{len(dev)} dev score files for {len(files)} systems fused by {how}; logistic wants "
            "one for each in the same order, the mean none"
        )
    test = _Trials.read(files, [intake] * len(files))
    agreed = _shared_facts(test, f"{out.stem} ({how} of {', '.join(test.names)})")
    if how == "mean":
        note = _mean_note(test.facts, test.names)
        facts = replace(agreed, notes=(*_notes(test), note))
        return _write(out, test, np.mean(test.scores, axis=1), facts)
    ours = Intake(keys=dev_intake.keys)  # a bundle's dev scores have our names of columns
    hows = [ours if path.is_dir() else dev_intake for path in dev]
    learnt = _Trials.read([_dev_file(path) for path in dev], hows)
    _refuse_other_order(dev, learnt, files, test)
    twice = set(learnt.ids) & set(test.ids)
    if twice:
        raise EvaluationError(
            f"{len(twice)} dev clips are also under test, such as {min(twice)!r}; a fusion "
            "fitted to the scores under test flatters them: give scores of other clips"
        )
    fit, facts = _fitted(learnt, test, agreed)
    return _write(out, test, fit(test.scores), facts)


@dataclass(frozen=True, eq=False)
class _Trials:
    """One trial list and what each system says: scores [K, S], NaN without one."""

    names: tuple[str, ...]
    table: pa.Table
    facts: tuple[Facts, ...]
    ids: list[str]
    bonafide: BoolArray
    scores: FloatArray

    @classmethod
    def read(cls, files: Sequence[Path], hows: Sequence[Intake]) -> _Trials:
        """Read score files; each may have its own order, but all must have the same trials."""
        tables, facts = zip(*map(read_with_keys, files, hows), strict=True)
        first = tables[0]
        ids = in_one_form(first.column("id").to_pylist())
        bonafide = first.column("bonafide").to_numpy(zero_copy_only=False).astype(bool)
        columns = []
        for path, table in zip(files, tables, strict=True):
            names = in_one_form(table.column("id").to_pylist())
            rows = {name: row for row, name in enumerate(names)}
            _refuse_other_trials(files[0], path, ids, rows)
            table = table.take([rows[name] for name in ids])
            theirs = table.column("bonafide").to_numpy(zero_copy_only=False).astype(bool)
            if (theirs != bonafide).any():
                name = ids[int(np.argmax(theirs != bonafide))]
                raise EvaluationError(
                    f"{files[0]} and {path} disagree on whether {name!r} is bona fide; give "
                    "both the same keys"
                )
            status = table.column("status").to_numpy(zero_copy_only=False)
            columns.append(np.where(status == SCORED, table.column("score").to_numpy(), np.nan))
        names = [
            system_facts.bundle or path.name
            for system_facts, path in zip(facts, files, strict=True)
        ]
        if len(set(names)) < len(names):
            names = [str(path) for path in files]
        return cls(tuple(names), first, facts, ids, bonafide, np.stack(columns, axis=1))


def _refuse_other_trials(
    first: Path, other: Path, ids: Sequence[str], rows: dict[str, int]
) -> None:
    unshared = sorted(set(ids) ^ rows.keys())
    if unshared:
        raise EvaluationError(
            f"{len(unshared):,} trials are in only one of {first} and {other}, such as "
            f"{', '.join(unshared[:_MOST_NAMED])}; a fusion wants every system on the same trials: "
            "score them with the same manifest and protocol"
        )


def _dev_file(path: Path) -> Path:
    """Return a file of dev scores; of a bundle the one inside."""
    if not path.is_dir():
        return path
    if not (path / DEV_SCORES).is_file():
        raise EvaluationError(
            f"{path}: a folder without {DEV_SCORES}; give a bundle that holds the scores of its "
            "dev clips, or a score file"
        )
    return path / DEV_SCORES


def _refuse_other_order(
    dev: Sequence[Path], learnt: _Trials, files: Sequence[Path], test: _Trials
) -> None:
    """Refuse weights that would be given to another system, wherever that can be seen."""
    for path, own, file, theirs in zip(dev, learnt.facts, files, test.facts, strict=True):
        hashed = own.weights_sha256
        if path.is_dir():
            hashes = json.loads((path / "bundle.json").read_bytes())["files"]
            hashed = hashes.get("weights.safetensors") or hashes["model.onnx"]
        if hashed and theirs.weights_sha256 and hashed != theirs.weights_sha256:
            raise EvaluationError(
                f"{path} holds dev scores of another detector than {file} (other weights); give "
                "dev in the order of the score files"
            )


def _fitted(learnt: _Trials, test: _Trials, facts: Facts) -> tuple[Fusion, Facts]:
    whole = np.isfinite(learnt.scores).all(axis=1)
    human, machine = (learnt.scores[whole & mask] for mask in (learnt.bonafide, ~learnt.bonafide))
    if not (len(human) and len(machine)):
        raise EvaluationError(
            f"dev has {len(human)} bona fide and {len(machine)} spoofed clips with a score of "
            "every system; a fit needs both: give the scores of a whole dev part"
        )
    fit = fit_fusion(human, machine)
    points = fit_operating_points(fit(human), fit(machine))
    terms = " ".join(
        f"{weight:+.4g} [{name}]" for weight, name in zip(fit.weights, test.names, strict=True)
    )
    note = (
        f"scores are log-likelihood ratios by a logistic fusion: {terms} {fit.offset:+.4g}, fitted "
        f"to dev ({len(human):,} bona fide and {len(machine):,} spoofed clips)"
    )
    facts = replace(
        facts,
        operating_points={
            "balanced": points.balanced,
            "false_alarm_1pct": points.false_alarm_1pct,
            "miss_1pct": points.miss_1pct,
        },
        thresholds=(points.surely_spoof, points.surely_bonafide),
        fusion={**dict(zip(test.names, fit.weights, strict=True)), "offset": fit.offset},
        notes=(*_notes(test), note),
    )
    return fit, facts


def _shared_facts(test: _Trials, source: str) -> Facts:
    """Return what the facts of all systems agree on."""
    facts = test.facts

    def same(name: str, otherwise: Any) -> Any:
        values = [getattr(system, name) for system in facts]
        return values[0] if all(value == values[0] for value in values) else otherwise

    families = {family for system in facts for family in system.trained_families}
    systems = {name for system in facts for name in system.trained_systems}
    return Facts(
        manifest_sha256=same("manifest_sha256", ""),
        protocol=same("protocol", ""),
        date=max(system.date for system in facts),
        trained_families=tuple(sorted(families)) if all(f.trained_families for f in facts) else (),
        trained_systems=tuple(sorted(systems)) if all(f.trained_systems for f in facts) else (),
        conditions=same("conditions", ()),
        source=source,
    )


def _notes(test: _Trials) -> list[str]:
    return list(dict.fromkeys(note for facts in test.facts for note in facts.notes))


def _mean_note(facts: Sequence[Facts], names: Sequence[str]) -> str:
    note = f"scores are the plain mean of {', '.join(names)}"
    unknown = [name for system, name in zip(facts, names, strict=True) if not system.calibrated]
    if unknown:
        note += (
            f"; nothing says that those of {', '.join(unknown)} are calibrated, and a system "
            "whose scores spread more weighs more"
        )
    return note


def _write(out: Path, test: _Trials, scores: FloatArray, facts: Facts) -> Facts:
    lacking = np.isnan(scores)
    columns: dict[str, Any] = {name: test.table.column(name) for name in test.table.column_names}
    status, reason = (columns[name].to_pylist() for name in ("status", "reason"))
    for row in np.flatnonzero(lacking):
        without = [
            n for n, score in zip(test.names, test.scores[row], strict=True) if np.isnan(score)
        ]
        if status[row] == SCORED:
            status[row], reason[row] = "no verdict", f"no score of {', '.join(without)}"
    zone = facts.thresholds[:2]
    columns |= {
        "score": scores,
        "status": status,
        "reason": reason,
        "decision": [
            decide(float(score), (zone[0], zone[1])) if zone and np.isfinite(score) else ""
            for score in scores
        ],
    }
    write_scores(out, columns, facts)
    return facts
