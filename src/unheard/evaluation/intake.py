"""Score files of others made ours: keys, polarity, missing trials, calibration.

Nothing is fixed in silence: what was done stands in the facts of the score file as a note, and
from there in the report.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from unheard.errors import EvaluationError, RecipeError, suggestion
from unheard.evaluation.formats import Scores, official_ids, read, write
from unheard.evaluation.keys import in_one_form, join, read_keys
from unheard.evaluation.scores import SCORED, Facts, completed, read_facts, write_scores
from unheard.evaluation.trials import KNOWN, Columns, as_number, read_sheet
from unheard.metrics import (
    ASVSPOOF5_ASV,
    AsvRates,
    Calibration,
    asv_rates,
    fit_calibration,
    fit_isotonic,
)
from unheard.types import FloatArray

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "ASV_RATES",
    "Intake",
    "calibrated",
    "classes",
    "convert",
    "read_asv",
    "read_with_keys",
    "stated_asv",
]

ASV_RATES: dict[str, AsvRates] = {"asvspoof5": ASVSPOOF5_ASV}
"""Published rates of speaker verifiers, by name."""

NO_SCORE = "no score in the score file"
_MOST_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class Intake:
    """How score files of others are read.

    Attributes:
        keys: Key file; None where the score file holds the keys.
        format: Name of the score format; "" recognises it.
        bonafide_label: Label of bona fide trials where it is not a known word.
        higher_is: Which class higher scores mean in the file.
        allow_missing: Whether trials without a score, and scores without a trial, are left out.
        where: Column -> values, one of which a trial must have; others are not asked for.
        columns: Columns of the score file, and a label column of the keys, of no known name.
    """

    keys: Path | None = None
    format: str = ""
    bonafide_label: str = ""
    higher_is: Literal["bonafide", "spoof"] = "bonafide"
    allow_missing: bool = False
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    columns: Columns = KNOWN


def read_with_keys(scores: Path, how: Intake) -> tuple[pa.Table, Facts]:
    """Return a score file with its keys as one of ours, higher scores being more bona fide.

    Args:
        scores: Score file of any format.
        how: How to read it.

    Returns:
        A table as `read_scores` gives it, and facts with a note on all that was done.

    Raises:
        EvaluationError: If a file cannot be used, a trial lacks a score or a score its trial
            (unless that is allowed), or labels of scores and keys differ.
        RecipeError: If no format or column has that name.
    """
    import pyarrow.compute as pc

    file = _scores(scores, how)
    facts = read_facts(scores) if file.format == "unheard" else Facts()
    table, notes = file.table, [*facts.notes, *file.notes]
    if how.keys is not None:
        of_keys = Columns(label=how.columns.label)
        keys = read_keys(how.keys, bonafide_label=how.bonafide_label, columns=of_keys)
        joined = join(table, keys)
        table = _only(joined.table, how.where)
        unscored = table.filter(pc.is_null(table.column("score"))).column("id").to_pylist()
        missing = sorted(set(joined.missing) & set(unscored))
        notes += _left_out(missing, "trial", "no score", how)
        notes += _left_out(joined.unknown, "score", "no trial in the keys", how)
        if joined.matched_by != "id":
            notes.append(f"trials and scores were matched by {joined.matched_by}")
    else:
        table, missing = _only(table, how.where), []
    table = completed(table, scores)
    if missing:
        unscored = pc.equal(table.column("status"), "no verdict")
        table = _set(table, "reason", pc.if_else(unscored, NO_SCORE, table.column("reason")))
    if how.higher_is == "spoof":
        table = _set(table, "score", pc.negate(table.column("score")))
        notes.append("scores were turned round: in the file, higher is more spoof")
        facts = replace(facts, bundle="", operating_points={}, thresholds=())
    digest = hashlib.sha256(scores.read_bytes()).hexdigest()
    source = facts.source or f"{scores.name} ({file.format}), sha256 {digest}"
    return table, replace(facts, source=source, notes=tuple(dict.fromkeys(notes)))


def _scores(file: Path, how: Intake) -> Scores:
    """The score file; a label column that is named is that of the keys if there are any."""
    columns = how.columns if how.keys is None else replace(how.columns, label="")
    return read(file, how.format, bonafide_label=how.bonafide_label, columns=columns)


def convert(source: Path, out: Path, format: str, how: Intake) -> list[str]:
    """Write a score file in another format.

    In the formats of ASVspoof trials are named as their authors name them, without our corpus.

    Args:
        source: Score file of any format.
        out: File to write.
        format: Name in `FORMATS`.
        how: How to read the source; clips without a score are left out if that is allowed.

    Returns:
        What is to be known of it, as sentences.

    Raises:
        EvaluationError: As `read_with_keys`; or if the format cannot hold the scores, or lacks the
            keys.
    """
    import pyarrow.compute as pc

    file = _scores(source, how)
    if format == "unheard" or how.keys or "bonafide" in file.table.column_names:
        table, facts = read_with_keys(source, how)
        notes = list(facts.notes)
    else:  # scores alone are enough for a format of scores alone
        table, notes = file.table, list(file.notes)
        if how.higher_is == "spoof":
            table = _set(table, "score", pc.negate(table.column("score")))
    if format == "unheard":
        write_scores(out, {name: table.column(name) for name in table.column_names}, facts)
        return notes
    unscored = pc.is_null(table.column("score"), nan_is_null=True)
    if how.allow_missing and pc.any(unscored).as_py():
        notes.append(f"clips without a score, {pc.sum(unscored).as_py():,}, are left out")
        table = table.filter(pc.invert(unscored))
    if format.startswith("asvspoof") and "corpus" in table.column_names:
        ids, corpora = table.column("id").to_pylist(), table.column("corpus").to_pylist()
        table = _set(table, "id", [official_ids(ids, corpora)])
    write(out, table, format)
    return notes


def calibrated(
    table: pa.Table, facts: Facts, dev: pa.Table, *, method: str = "logistic", name: str = "dev"
) -> tuple[pa.Table, Facts]:
    """Return scores as log-likelihood ratios, by a calibration fitted to other clips.

    Args:
        table: Scores to calibrate, as `read_with_keys` gives them.
        facts: What is known of them.
        dev: Scores of dev clips of the same detector.
        method: "logistic" (a straight line, keeps the order) or "isotonic" (any rising map, pools
            neighbouring scores).
        name: What to call the dev scores.

    Raises:
        EvaluationError: If a dev clip is also under test, or dev lacks a class.
        RecipeError: If there is no such method.
    """
    import pyarrow as pa

    fits: dict[str, Any] = {"logistic": fit_calibration, "isotonic": fit_isotonic}
    if method not in fits:
        raise RecipeError(f"no calibration {method!r}{suggestion(method, fits)}")
    shared = set(in_one_form(dev.column("id").to_pylist()))
    shared &= set(in_one_form(table.column("id").to_pylist()))
    if shared:
        raise EvaluationError(
            f"{len(shared)} clips of {name} are also under test, such as {min(shared)!r}; a "
            "calibration fitted to the scores under test flatters them: give scores of dev clips"
        )
    human, machine = classes(dev)
    if not (human.size and machine.size):
        raise EvaluationError(
            f"{name} has {human.size} bona fide and {machine.size} spoofed clips with a score; "
            "a calibration needs both: give the scores of a whole dev part"
        )
    fit = fits[method](human, machine)
    line = f": {fit.scale:.4g} s {fit.offset:+.4g}" if isinstance(fit, Calibration) else ""
    note = (
        f"scores are log-likelihood ratios by a {method} calibration{line}, fitted to {name} "
        f"({human.size:,} bona fide and {machine.size:,} spoofed clips)"
    )
    if method == "isotonic":
        note += "; it pools neighbouring scores, so EER and minDCF may differ from the raw ones"
    scores = fit(table.column("score").to_numpy())
    scores[np.isnan(table.column("score").to_numpy())] = np.nan
    facts = replace(
        facts, notes=(*facts.notes, note), operating_points={"Bayes": 0.0}, thresholds=()
    )
    return _set(table, "score", pa.array(scores)), facts


def classes(table: pa.Table) -> tuple[FloatArray, FloatArray]:
    """Return the scores of the bona fide [N] and of the spoofed [M] clips that have one."""
    import pyarrow.compute as pc

    rows = table.filter(pc.equal(table.column("status"), SCORED))
    bonafide = rows.column("bonafide").to_numpy(zero_copy_only=False).astype(bool)
    scores = rows.column("score").to_numpy()
    return scores[bonafide], scores[~bonafide]


def stated_asv(text: str) -> AsvRates:
    """Return the rates of a speaker verifier from a name, or from three numbers.

    Args:
        text: A name in `ASV_RATES`, or "miss,false alarm,spoof false alarm" as shares.

    Raises:
        RecipeError: If it is neither.
        MetricError: If a rate is outside [0, 1].
    """
    if text in ASV_RATES:
        return ASV_RATES[text]
    numbers = [as_number(word) for word in text.split(",")]
    if len(numbers) != 3 or None in numbers:
        raise RecipeError(
            f"no rates of a speaker verifier {text!r}; known: {', '.join(ASV_RATES)}; or give "
            "three shares, as 0.02,0.02,0.46: miss, false alarm, false alarm on spoof"
        )
    miss, false_alarm, spoofed = (float(number or 0) for number in numbers)
    return AsvRates(miss=miss, false_alarm=false_alarm, spoof_false_alarm=spoofed)


def read_asv(path: Path) -> AsvRates:
    """Return the rates of a speaker verifier from its scores, as ASVspoof publishes them.

    Args:
        path: Text separated by blanks, no header: attack or label, key (target, nontarget or
        spoof),
            score.

    Raises:
        EvaluationError: If it is not such a file, or lacks one of the three keys.
    """
    wanted = "scores of a speaker verifier: attack, key (target, nontarget, spoof), score"
    sheet = read_sheet(path, wanted)
    keys, cells = [], []
    for line in sheet.lines:
        words = line.split()
        keys.append(words[-2] if len(words) > 1 else "")
        cells.append(as_number(words[-1]))
    kinds = ("target", "nontarget", "spoof")
    for index, (key, cell) in enumerate(zip(keys, cells, strict=True)):
        if key not in kinds or cell is None:
            raise EvaluationError(
                f"{sheet.where(index)}: {sheet.lines[index].strip()[:80]!r}; give {wanted}"
            )
    scores, key_of_trial = np.array(cells, np.float64), np.array(keys)
    absent = [kind for kind in kinds if kind not in keys]
    if absent:
        raise EvaluationError(f"{path}: no trial is {' or '.join(absent)}; give {wanted}")
    return asv_rates(*(scores[key_of_trial == kind] for kind in kinds))


def _only(table: pa.Table, where: Mapping[str, tuple[str, ...]]) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    for name, values in where.items():
        if name not in table.column_names:
            raise RecipeError(
                f"scores and keys have no column {name!r}{suggestion(name, table.column_names)}"
            )
        cells = table.column(name).cast(pa.string())
        table = table.filter(pc.is_in(cells, value_set=pa.array(values, pa.string())))
        if not table.num_rows:
            raise EvaluationError(
                f"no trial has {name} {' or '.join(values)} (found "
                f"{', '.join(sorted(set(map(str, cells.to_pylist())))[:10])}); choose another value"
            )
    return table


def _left_out(names: Sequence[str], what: str, lack: str, how: Intake) -> list[str]:
    if not names:
        return []
    shown = ", ".join(names[:_MOST_NAMED])
    verb = f"{what} has" if len(names) == 1 else f"{what}s have"
    finding = f"{len(names):,} {verb} {lack}, such as {shown}"
    if not how.allow_missing:
        raise EvaluationError(
            f"{finding}; give the whole score file and its own keys, or leave these out with "
            "--allow-missing"
        )
    return [f"{finding}; left out"]


def _set(table: pa.Table, name: str, column: Any) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, column)
